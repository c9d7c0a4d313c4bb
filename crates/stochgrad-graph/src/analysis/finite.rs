//! Gradients and estimates are finite, or an error that says where they stopped to be.

use crate::error::{GraphError, GraphResult};
use stochgrad_tape::{Tape, Var, not_finite_in_words};
use stochgrad_tensor::descent::squares_are_finite;
use stochgrad_tensor::{Real, Tensor};

/// The position of the first number that is not finite, and whether the squares of all of them are finite.
pub(crate) fn first_not_finite<F: Real>(value: &Tensor<F>) -> (Option<usize>, bool) {
    match squares_are_finite(value.as_slice()) {
        true => (None, true),
        false => (value.as_slice().iter().position(|x| !x.is_finite()), false),
    }
}

/// Checks recorded values, which `name` puts into words.
///
/// # Errors
/// The first one that is not finite, with the operation that produced it.
pub(crate) fn check_recorded<F: Real>(values: &[Var<'_, F>], name: impl Fn(usize) -> String) -> GraphResult<()> {
    for (index, value) in values.iter().enumerate() {
        let tensor = value.inspect()?;
        if let (Some(position), _) = first_not_finite(&tensor) {
            let origin = value.tape().origin(*value, position)?.map(Box::new);
            let value = not_finite_in_words(tensor.as_slice()[position]);
            return Err(GraphError::NotFinite { what: name(index), value, position, origin });
        }
    }
    Ok(())
}

/// Checks gradients of a number whose adjoints were given back, and says whether all squares are finite, too. On
/// failure the number is differentiated again with everything kept.
///
/// # Errors
/// The first one that is not finite, with the operation that produced it.
pub(crate) fn check_gradients<F: Real>(
    gradients: &[Tensor<F>],
    number: Var<'_, F>,
    parameters: &[Var<'_, F>],
    name: impl Fn(usize) -> String,
) -> GraphResult<bool> {
    let mut squares = true;
    for (index, gradient) in gradients.iter().enumerate() {
        let (position, moderate) = first_not_finite(gradient);
        squares &= moderate;
        if let Some(position) = position {
            let tape: &Tape<F> = number.tape();
            let mark = tape.len();
            let origin = tape
                .gradients(number, parameters)
                .and_then(|recorded| tape.origin(recorded[index], position))
                .ok()
                .flatten()
                .map(Box::new);
            tape.truncate(mark);
            let value = not_finite_in_words(gradient.as_slice()[position]);
            return Err(GraphError::NotFinite { what: name(index), value, position, origin });
        }
    }
    Ok(squares)
}

pub(crate) fn gradient_in_words(parameter: &str) -> String {
    format!("the gradient with respect to \"{parameter}\"")
}

pub(crate) fn cost_in_words(cost: &str) -> String {
    format!("the estimate of cost \"{cost}\"")
}

/// What a method's own parameters learn by.
pub(crate) const AUXILIARY: &str = "a gradient of an auxiliary loss, by which a gradient method learns,";

/// What the state of a method is changed by.
pub(crate) const UPDATE: &str = "a value by which a gradient method changes its state";
