//! Directions in the space of all parameters, and derivatives along them.

use std::collections::BTreeMap;
use stochgrad_graph::GraphResult;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::random::{Key, address_hash};
use stochgrad_tensor::{Shape, Tensor};

/// Parameters with at most this many elements in all also have one direction for each element.
const FEW: usize = 8;

/// The number of directions that mix all parameters.
const MIXED: u64 = 3;

/// A direction in the space of all parameters.
#[derive(Clone, Debug)]
pub(crate) struct Direction {
    pub(crate) name: String,
    parts: BTreeMap<String, Tensor<f64>>,
}

impl Direction {
    /// Fixed pseudo-random directions, with components of magnitude between 1/2 and 1. If there are few elements, the
    /// direction of each of them as well.
    pub(crate) fn several(shapes: &[(String, Shape)]) -> Vec<Self> {
        let mut directions = Vec::new();
        for number in 0..MIXED {
            let parts = shapes.iter().map(|(name, shape)| {
                let mut part = Tensor::zeros(shape.clone());
                Key::new(number, 0, address_hash(name, &[])).uniform(0, part.make_mut());
                (name.clone(), part.map(|u| if u < 0.5 { u - 1.0 } else { u }))
            });
            directions
                .push(Direction { name: format!("fixed pseudo-random direction {number}"), parts: parts.collect() });
        }
        if shapes.iter().map(|(_, shape)| shape.numel()).sum::<usize>() <= FEW {
            for (name, shape) in shapes {
                for element in 0..shape.numel() {
                    let part = Tensor::from_fn(shape.clone(), |i| if i == element { 1.0 } else { 0.0 });
                    let parts = BTreeMap::from([(name.clone(), part)]);
                    directions.push(Direction { name: format!("\"{name}\", element {element}"), parts });
                }
            }
        }
        directions
    }
}

/// The parameters of a graph, with their names.
pub(crate) type Parameters<'t> = Vec<(String, Var<'t, f64>)>;

/// The first parameter that the first outcome did not record, if there is one.
pub(crate) fn unforeseen(directions: &[Direction], parameters: &Parameters<'_>) -> Option<String> {
    let known = &directions.first()?.parts;
    parameters.iter().find(|(name, _)| !known.contains_key(name)).map(|(name, _)| name.clone())
}

/// The derivatives of the orders 0 to `top` along a direction.
pub(crate) fn directional_derivatives(
    value: Var<'_, f64>,
    along: &[(Var<'_, f64>, &Tensor<f64>)],
    top: usize,
) -> GraphResult<Vec<f64>> {
    let tape = value.tape();
    let wrt: Vec<Var<'_, f64>> = along.iter().map(|(var, _)| tape.var(var.id())).collect::<Result<_, _>>()?;
    let mut values = Vec::with_capacity(top + 1);
    let mut derivative = value;
    for order in 0..=top {
        if order > 0 {
            let gradients = tape.gradients(derivative, &wrt)?;
            derivative = tape.constant(0.0);
            for (gradient, (_, direction)) in gradients.into_iter().zip(along) {
                derivative = derivative + (gradient * tape.constant(*direction)).sum();
            }
        }
        values.extend_from_slice(derivative.peek()?.as_slice());
    }
    Ok(values)
}

/// The derivatives of the orders 0 to `top` along each of several directions, one direction after the other.
pub(crate) fn along_all(
    tape: &Tape<f64>,
    value: Var<'_, f64>,
    parameters: &Parameters<'_>,
    directions: &[Direction],
    top: usize,
) -> GraphResult<Vec<f64>> {
    let mut values = Vec::with_capacity(directions.len() * (top + 1));
    let mark = tape.len();
    for direction in directions {
        let along: Vec<(Var<'_, f64>, &Tensor<f64>)> =
            parameters.iter().filter_map(|(name, var)| Some((*var, direction.parts.get(name)?))).collect();
        values.extend(directional_derivatives(value, &along, top)?);
        tape.truncate(mark);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn derivatives_are_those_along_the_direction() {
        let tape = Tape::new();
        let (x, y) = (tape.parameter([1.0, 2.0]), tape.parameter(3.0));
        let value = x.powf(3.0).sum() * y;
        // With x = (1 + t, 2), y = 3 − t: f = ((1 + t)³ + 8)(3 − t).
        let (dx, dy) = (Tensor::from([1.0, 0.0]), Tensor::scalar(-1.0));
        let found = directional_derivatives(value, &[(x, &dx), (y, &dy)], 3).expect("derivatives");
        for (found, expected) in found.iter().zip([27.0, 0.0, 12.0, 0.0]) {
            assert_abs_diff_eq!(*found, expected, epsilon = 1e-12);
        }
    }

    #[test]
    fn many_elements_have_mixed_directions_only() {
        let shapes = |n: usize| vec![("a".to_string(), Shape::from([n])), ("b".to_string(), Shape::scalar())];
        assert_eq!(Direction::several(&shapes(FEW)).len(), MIXED as usize);
        let few = Direction::several(&shapes(2));
        assert_eq!(few.len(), MIXED as usize + 3);
        assert_eq!(few[4].parts["a"].as_slice(), &[0.0, 1.0]);
        for mixed in &few[..MIXED as usize] {
            assert!(
                mixed.parts["a"]
                    .as_slice()
                    .iter()
                    .chain(mixed.parts["b"].as_slice())
                    .all(|x| (0.5..1.0).contains(&x.abs()))
            );
        }
    }
}
