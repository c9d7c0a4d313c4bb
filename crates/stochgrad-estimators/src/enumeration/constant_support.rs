//! The states of a distribution with a finite support, for methods that hold them constant.

use stochgrad_distributions::{DistributionError, DistributionResult, FiniteSupport};
use stochgrad_graph::is_differentiable;
use stochgrad_tape::Smoothness;
use stochgrad_tensor::{Real, Shape, Tensor};

/// The number of states of one element. A sum over states differentiates their probabilities only. It is refused if
/// something trainable decides which states exist, since the derivative with respect to it would be lost silently.
///
/// # Errors
/// For such a parameter, and those of the distribution.
pub(crate) fn constant_states<'t, F: Real>(distribution: &dyn FiniteSupport<'t, F>) -> DistributionResult<u128> {
    let decides = |score: Smoothness| matches!(score, Smoothness::Constant | Smoothness::Jump);
    let parameters = distribution.parameters();
    match parameters.iter().find(|parameter| decides(parameter.score) && is_differentiable(parameter.var)) {
        None => distribution.states(),
        Some(parameter) => Err(DistributionError::Unsupported {
            distribution: distribution.name(),
            problem: format!(
                "the states depend on the parameter \"{}\", which depends on something trainable, and a sum over \
                 states holds them constant; stop the gradient of the parameter, or use Pathwise or ScoreFunction \
                 where they apply",
                parameter.name
            ),
        }),
    }
}

/// The states of one element, of which there must be at most `limit`.
///
/// # Errors
/// As [`constant_states`], and for more states.
pub(crate) fn constant_support<'t, F: Real>(
    distribution: &dyn FiniteSupport<'t, F>,
    limit: usize,
) -> DistributionResult<Tensor<F>> {
    let states = constant_states(distribution)?;
    if states > limit as u128 {
        let problem = format!(
            "expected at most {limit} states of an element, since the method goes through all of them, got {states}; \
             raise the limit with .limit(states) if the method has one, or use another method, such as ScoreFunction"
        );
        return Err(DistributionError::Unsupported { distribution: distribution.name(), problem });
    }
    distribution.element_support()
}

/// The number of joint states of several elements; `None` if it overflows.
pub(crate) fn joint_states(states: u128, elements: usize) -> Option<usize> {
    let joint = match states {
        0 | 1 => states.pow(u32::from(elements > 0)),
        _ => states.checked_pow(u32::try_from(elements).ok()?)?,
    };
    usize::try_from(joint).ok()
}

/// The number of independent elements of a value.
pub(crate) fn independent_elements<'t, F: Real>(distribution: &dyn FiniteSupport<'t, F>) -> usize {
    let event = distribution.event_shape();
    Shape::from(&event[..event.len().saturating_sub(distribution.element_rank())]).numel()
}

/// The states of one element, and the number of joint states of all elements, of which there must be at most `limit`.
/// They are counted before they are listed.
///
/// # Errors
/// As [`constant_states`], and for more joint states.
pub(crate) fn joint_support<'t, F: Real>(
    distribution: &dyn FiniteSupport<'t, F>,
    limit: usize,
) -> DistributionResult<(Tensor<F>, usize)> {
    let states = constant_states(distribution)?;
    let elements = independent_elements(distribution);
    match joint_states(states, elements).filter(|&total| total <= limit) {
        Some(total) => Ok((distribution.element_support()?, total)),
        None => {
            let problem = format!(
                "enumeration: {elements} independent elements with {states} states each have {states}^{elements} joint \
                 states, and the limit is {limit}; raise it with .limit(states), make several nodes of the elements, \
                 or use another method, such as ScoreFunction or MeasureValued"
            );
            Err(DistributionError::Unsupported { distribution: distribution.name(), problem })
        }
    }
}
