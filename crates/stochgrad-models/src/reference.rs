//! The expected cost of a model and its gradient, with which estimators are compared.

use crate::interpret::{Direction, Meaning, interpret};
use crate::model::Model;

/// The meaning of a model, which does not depend on the methods.
#[derive(Clone, Debug)]
pub enum Reference {
    /// The expected total cost and its gradient.
    Finite {
        /// The expected total cost.
        value: f64,
        /// The derivatives with respect to each element of each parameter.
        gradient: Vec<Vec<f64>>,
        /// Whether derivatives do not exist; see [`Meaning::Finite`].
        singular: bool,
        /// Whether the model lies on the boundary of its parameters; see [`Meaning::Finite`].
        boundary: bool,
    },
    /// The cost is infinite or NaN with positive probability.
    Infinite,
}

/// Computes the reference of a model.
///
/// # Errors
/// The reason, if the model has no derivatives or an expected cost that is not finite.
pub fn reference(model: &Model) -> Result<Reference, &'static str> {
    let mut gradient: Direction = model.parameters.iter().map(|parameter| vec![0.0; parameter.values.len()]).collect();
    let (mut value, mut singular, mut boundary) = (0.0, false, false);
    let mut along = gradient.clone();
    for parameter in 0..gradient.len() {
        for element in 0..gradient[parameter].len() {
            along[parameter][element] = 1.0;
            match interpret(model, &along) {
                Meaning::Finite { derivatives, singular: without, boundary: on_boundary } => {
                    value = derivatives[0];
                    gradient[parameter][element] = derivatives[1];
                    singular |= without;
                    boundary |= on_boundary;
                }
                Meaning::Infinite => return Ok(Reference::Infinite),
                Meaning::Undefined(reason) => return Err(reason),
            }
            along[parameter][element] = 0.0;
        }
    }
    if !value.is_finite() || gradient.iter().flatten().any(|slope| !slope.is_finite()) {
        return Err("an expected cost that is too large");
    }
    Ok(Reference::Finite { value, gradient, singular, boundary })
}
