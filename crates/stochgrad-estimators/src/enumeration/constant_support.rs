//! The states of a distribution with a finite support, for methods that hold them constant.

use stochgrad_distributions::{DistributionError, DistributionResult, FiniteSupport};
use stochgrad_graph::is_differentiable;
use stochgrad_tape::Smoothness;
use stochgrad_tensor::{Real, Tensor};

/// The states of one element. A sum over states differentiates their probabilities only. It is refused if something
/// trainable decides which states exist, since the derivative with respect to it would be lost silently.
///
/// # Errors
/// For such a parameter, and those of the distribution.
pub(crate) fn constant_support<'t, F: Real>(distribution: &dyn FiniteSupport<'t, F>) -> DistributionResult<Tensor<F>> {
    let decides = |score: Smoothness| matches!(score, Smoothness::Constant | Smoothness::Jump);
    let parameters = distribution.parameters();
    match parameters.iter().find(|parameter| decides(parameter.score) && is_differentiable(parameter.var)) {
        None => distribution.element_support(),
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
