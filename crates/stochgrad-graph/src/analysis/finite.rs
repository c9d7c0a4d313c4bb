//! Checks that gradients and estimates are finite, with errors that name the operation that first produced a value that
//! is not.

use crate::error::{GraphError, GraphResult};
use stochgrad_tape::{Tape, Var, not_finite_in_words};
use stochgrad_tensor::descent::squares_are_finite;
use stochgrad_tensor::{Real, Tensor};

/// The position of the first element that is not finite, and whether the squares of all elements are finite.
pub(crate) fn first_not_finite<F: Real>(value: &Tensor<F>) -> (Option<usize>, bool) {
    match squares_are_finite(value.as_slice()) {
        true => (None, true),
        false => (value.as_slice().iter().position(|x| !x.is_finite()), false),
    }
}

/// Checks recorded values. `name` describes the value with an index in words.
///
/// # Errors
/// For the first value that is not finite, with the operation that produced it.
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

/// Checks the gradients of a scalar, and returns whether their squares are finite, too. The adjoints of the scalar have
/// been released, so on failure the scalar is differentiated again with all of them kept.
///
/// # Errors
/// For the first gradient that is not finite, with the operation that produced it.
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

pub(crate) fn next_value_in_words(input: &str) -> String {
    format!("the next value of input \"{input}\"")
}

/// The description of a gradient with which a method's own parameters are trained.
pub(crate) const AUXILIARY: &str = "a gradient of an auxiliary loss, with which a gradient method is trained,";

/// The end of the description of a value from which the state of a method is updated.
pub(crate) const UPDATE: &str = "with which a gradient method updates its state,";
