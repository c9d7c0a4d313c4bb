//! Potentials: values with a given gradient.

use std::sync::Arc;
use stochgrad_tape::{Description, Primitive, PrimitiveInputs, Smoothness, Var};
use stochgrad_tensor::{Real, Tensor};

/// The value zero with this gradient with respect to `at`, element by element, and on the plates of `at`.
///
/// The derivatives of the result of order $n + 1$ are those of `gradient` of order $n$. If `gradient` is the recorded
/// gradient of some function of `at`, the sum of the result is therefore that function minus its value, at every order.
/// A gradient that has been computed anyway is then used for the first derivative, too, instead of a second pass.
pub(crate) fn potential<'t, F: Real>(at: Var<'t, F>, gradient: Var<'t, F>) -> Var<'t, F> {
    let held = at.held();
    // Zero wherever `at` is not finite, too.
    let zero = held.lt(held);
    at.tape().custom(Arc::new(Potential), &[at, gradient, zero])
}

/// The operation behind [`potential`]: the third operand, with the second as its derivative with respect to the first.
struct Potential;

impl<F: Real> Primitive<F> for Potential {
    fn name(&self) -> &str {
        "potential"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        match inputs.values {
            [_, _, zero] => Ok(zero.clone()),
            _ => Err(format!("expected a point, a gradient and a value, got {} operands", inputs.values.len())),
        }
    }

    fn takes_from_pool(&self) -> bool {
        // The value shares the buffer of an operand that does.
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        inputs.get(2).map(|&zero| Description::of(zero))
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![Some(adjoint * inputs[1]), None, None]
    }

    fn smoothness(&self, input: usize) -> Smoothness {
        if input == 0 { Smoothness::Smooth } else { Smoothness::Constant }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tape::Tape;

    /// The derivatives of the orders 1 to 4 of a scalar function of one number.
    fn derivatives(f: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>) -> Vec<f64> {
        let tape = Tape::<f64>::new();
        let x = tape.parameter([0.7, -0.3]);
        let mut value = f(x).sum();
        let mut found = Vec::new();
        for _ in 0..4 {
            value = tape.gradients(value, &[x]).unwrap()[0].sum();
            found.push(value.item().unwrap());
        }
        found
    }

    #[test]
    fn a_potential_has_all_derivatives_of_the_function_and_the_value_zero() {
        fn function(x: Var<'_, f64>) -> Var<'_, f64> {
            (x * 2.0 + x.sum()).sin() * x.exp()
        }
        fn by_gradient(x: Var<'_, f64>) -> Var<'_, f64> {
            // A point that is a function of the parameter.
            let at = x.square() + x;
            let gradient = x.tape().gradients(function(at).sum(), &[at]).unwrap()[0];
            let found = potential(at, gradient);
            assert_eq!(found.peek().unwrap().as_slice(), [0.0, 0.0]);
            found
        }
        let found = derivatives(by_gradient);
        for (found, expected) in found.iter().zip(derivatives(|x| function(x.square() + x))) {
            assert!((found - expected).abs() < 1e-10 * expected.abs().max(1.0), "{found}, expected {expected}");
        }
    }

    #[test]
    fn infinite_points_and_equal_gradients_on_plates_are_kept() {
        let tape = Tape::<f64>::new();
        let at = tape.parameter([f64::INFINITY, f64::NEG_INFINITY]);
        let value = potential(at, tape.constant(3.0)).sum();
        assert_eq!(value.item(), Ok(0.0));
        assert_eq!(tape.gradients(value, &[at]).unwrap()[0].peek().unwrap().as_slice(), [3.0, 3.0]);
    }
}
