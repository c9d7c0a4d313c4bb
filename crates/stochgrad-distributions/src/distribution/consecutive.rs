//! Lists of consecutive integers, for the supports of counts.

use crate::distribution::Distribution;
use crate::error::{DistributionError, DistributionResult};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

/// The number of integers from `low` to `high`. It is known without a list of them.
///
/// # Errors
/// If these are not the bounds of a list, or if an element type cannot tell some of the integers apart, which the error
/// describes with the name of the distribution.
pub(crate) fn count_integers<F: Real>(distribution: &'static str, low: F, high: F) -> DistributionResult<u128> {
    let unsupported = |problem: String| Err(DistributionError::Unsupported { distribution, problem });
    let (low, high) = (low.to_f64(), high.to_f64());
    if !(low.is_finite() && high.is_finite() && low <= high && low.fract() == 0.0 && high.fract() == 0.0) {
        return unsupported(format!(
            "expected the ends of a finite list of integers, got {low} and {high}; validate the parameters"
        ));
    }
    let exact = 2.0 / F::EPSILON.to_f64();
    if low.abs().max(high.abs()) > exact {
        return unsupported(format!(
            "expected states that {} represents exactly, which are the integers up to {exact:e}, got the integers from \
             {low:e} to {high:e}; use a method that draws samples",
            F::NAME
        ));
    }
    Ok((high - low) as u128 + 1)
}

/// The number of trials of all elements of a distribution.
///
/// # Errors
/// If the elements have different numbers of trials, or something else than a count.
pub(crate) fn common_trials<F: Real>(distribution: &'static str, trials: Var<'_, F>) -> DistributionResult<F> {
    let unsettled = |problem: &str| Err(DistributionError::Unsupported { distribution, problem: problem.into() });
    let trials = trials.peek()?;
    match trials.as_slice() {
        [] => unsettled("no element has a number of trials; give at least one"),
        [first, rest @ ..] if rest.iter().any(|n| n != first) => unsettled(
            "the elements have different numbers of trials, so that no one support fits all; sample them as separate \
             nodes, or use another method",
        ),
        [first, ..] if !(first.to_f64() >= 0.0 && first.is_finite()) => {
            unsettled("the number of trials is not a count; validate the parameters")
        }
        [first, ..] => Ok(*first),
    }
}

/// The integers from `low` to `high`.
///
/// # Errors
/// As [`count_integers`], and if there is no room for the list.
pub(crate) fn list_integers<'t, F: Real>(
    distribution: &dyn Distribution<'t, F>,
    low: F,
    high: F,
) -> DistributionResult<Tensor<F>> {
    let count = usize::try_from(count_integers(distribution.name(), low, high)?).unwrap_or(usize::MAX);
    distribution.tape()?.check_memory("the list of the states of a distribution", &[], count)?;
    Ok(Tensor::from_fn([count], |k| low + F::from_usize(k)))
}
