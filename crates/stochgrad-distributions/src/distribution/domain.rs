//! Checks of parameters against their domains.

use crate::error::{DistributionError, DistributionResult};
use stochgrad_tape::{Condition, Requirement, Var, Violation};
use stochgrad_tensor::{Real, Shape};

/// Checks that a parameter meets a condition, and records the condition: a compiled program checks it in each run.
/// `expected` and `hint` complete the message of the error.
///
/// ```
/// use stochgrad_distributions::{Condition, check_parameter};
/// use stochgrad_tape::Tape;
///
/// let tape = Tape::<f64>::new();
/// let check = |p: f64| {
///     let condition = Condition::AtMost { above: 0.0, high: 1.0 };
///     check_parameter("Geometric", "probabilities", tape.constant(p), "in (0, 1]", "use logits", condition)
/// };
/// assert!(check(1.0).is_ok() && check(0.0).is_err() && check(f64::NAN).is_err());
/// ```
///
/// # Errors
/// Names the first element for which the condition does not hold.
pub fn check_parameter<F: Real>(
    distribution: &'static str,
    parameter: &'static str,
    var: Var<'_, F>,
    expected: &'static str,
    hint: &'static str,
    condition: Condition,
) -> DistributionResult<()> {
    match var.require(Requirement { condition, owner: distribution, name: parameter, expected, hint })? {
        None => Ok(()),
        Some(Violation { position, found }) => {
            Err(DistributionError::Parameter { distribution, parameter, expected, found, position, hint })
        }
    }
}

/// Checks that a parameter is finite.
///
/// # Errors
/// Names the first element that is not.
pub fn finite<F: Real>(distribution: &'static str, parameter: &'static str, var: Var<'_, F>) -> DistributionResult<()> {
    let hint = "look for the operation that made it";
    check_parameter(distribution, parameter, var, "a finite number", hint, Condition::Finite)
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
    check_parameter(distribution, parameter, var, "a positive finite number", hint, Condition::POSITIVE)
}

/// Checks that the sum of the concentrations is so far from overflow that its products with logarithms do not overflow
/// either.
///
/// # Errors
/// Names the first sum that is not.
pub(crate) fn moderate_total<F: Real>(distribution: &'static str, total: Var<'_, F>) -> DistributionResult<()> {
    let condition = Condition::Between { low: 0.0, high: F::MAX.to_f64() / 8.0 };
    let (expected, hint) =
        ("at most 2.2e307 (4.2e37 in f32)", "smaller ones with the same ratios give the same values to rounding");
    check_parameter(distribution, "sum of the concentrations", total, expected, hint, condition)
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
    check_parameter(distribution, parameter, var, expected, hint, Condition::Integer { least: least as f64 })
}

/// The event shape to which parameters broadcast. Where they do not broadcast, it is that of a single number, and the
/// first operation on them records the error.
pub fn common_shape<F: Real>(parameters: &[Var<'_, F>]) -> Shape {
    parameters
        .iter()
        .try_fold(Shape::default(), |shape, parameter| Shape::broadcast(&shape, &parameter.shape()))
        .unwrap_or_default()
}
