//! Checks of parameters against their domains.

use crate::error::{DistributionError, DistributionResult};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

/// Checks that `valid` holds for all elements of a parameter. `expected` and `hint` complete the message of the error.
///
/// # Errors
/// Names the first element for which `valid` does not hold. NaN is passed to `valid` as well.
pub fn check_parameter<F: Real>(
    distribution: &'static str,
    parameter: &'static str,
    var: Var<'_, F>,
    expected: &'static str,
    hint: &'static str,
    valid: impl Fn(f64) -> bool,
) -> DistributionResult<()> {
    let value = var.inspect()?;
    match value.as_slice().iter().position(|x| !valid(x.to_f64())) {
        Some(position) => {
            let found = value.as_slice()[position].to_f64();
            Err(DistributionError::Parameter { distribution, parameter, expected, found, position, hint })
        }
        None => Ok(()),
    }
}

/// Checks that a parameter is finite.
///
/// # Errors
/// Names the first element that is not.
pub fn finite<F: Real>(distribution: &'static str, parameter: &'static str, var: Var<'_, F>) -> DistributionResult<()> {
    let hint = "look for the operation that made it";
    check_parameter(distribution, parameter, var, "a finite number", hint, f64::is_finite)
}

/// Checks that a parameter is positive and finite.
///
/// # Errors
/// Names the first element that is not.
pub fn positive<F: Real>(
    distribution: &'static str,
    parameter: &'static str,
    var: Var<'_, F>,
) -> DistributionResult<()> {
    let hint = "use exp() or softplus() of an unconstrained number";
    check_parameter(distribution, parameter, var, "a positive finite number", hint, |x| x > 0.0 && x.is_finite())
}

/// Checks that a parameter is an integer, at least `least`.
///
/// # Errors
/// Names the first element that is not.
pub fn whole<F: Real>(
    distribution: &'static str,
    parameter: &'static str,
    var: Var<'_, F>,
    least: i64,
) -> DistributionResult<()> {
    let hint = "round it, or look for the operation that made it";
    let expected = match least {
        0 => "a whole number, at least 0",
        1 => "a whole number, at least 1",
        _ => "a whole number",
    };
    check_parameter(distribution, parameter, var, expected, hint, |x| {
        x.is_finite() && x == x.floor() && x >= least as f64
    })
}

/// The event shape to which parameters broadcast. Where they do not broadcast, it is that of a single number, and the
/// first operation on them records the error.
pub fn common_shape<F: Real>(parameters: &[Var<'_, F>]) -> Shape {
    parameters
        .iter()
        .try_fold(Shape::default(), |shape, parameter| Shape::broadcast(&shape, &parameter.shape()))
        .unwrap_or_default()
}
