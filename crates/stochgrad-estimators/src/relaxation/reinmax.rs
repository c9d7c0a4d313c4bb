//! ReinMax: the straight-through gradient to second order. Use it instead of
//! [`StraightThrough`](crate::StraightThrough), at the same cost and with a smaller bias.
//!
//! $$g = \big[2 J\big(\tfrac12(\pi_\tau + x)\big) - \tfrac12 J(\pi)\big]^\top \nabla f(x), \qquad J(p) = \operatorname{diag} p - p p^\top,
//!     \quad \pi_\tau = \operatorname{softmax}(\phi / \tau),$$
//!
//! This is Heun's rule where straight-through is Euler's; a bit is a vector of two categories. At temperature 1 the
//! matrix is $\tfrac12 [J(\pi) + (x - \pi)(x - \pi)^\top]$, and the gradient is unbiased for every quadratic cost. Liu
//! et al. (2023).
//!
//! **Assumptions.** The cost is differentiable at the states. Paths from the value are checked as for
//! [`Pathwise`](crate::Pathwise).
//!
//! | | |
//! |---|---|
//! | bias | of the gradient; none if the temperature is 1 and the cost quadratic in the sample, which is certified; costs are right |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass |
//! | requirement on the cost | derivatives at the states |

use crate::relaxation::hard_samples::HardSamples;
use crate::relaxation::temperature::Temperature;
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, Family, Relaxed, RelaxedMean};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, MethodSlots, Path, Profile, SampleContext,
    SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// Second-order straight-through gradients, for distributions with a continuous relaxation: bits and one-hot vectors.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::ReinMax;
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let logits = graph.param("logits", [0.2, -0.4])?;
/// let b = graph.sample("b", &Bernoulli::from_logits(logits), &ReinMax::new(1.0))?;
/// graph.cost("loss", (b - 0.45).square().sum())?;
/// let gradients = graph.backward()?;
/// assert_eq!(gradients.guarantee("logits")?.bias, Bias::Unbiased);
/// assert!(gradients.reasons("logits")?[1].starts_with("exact: the costs are of degree 2 in node \"b\""));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ReinMax {
    samples: HardSamples,
}

impl ReinMax {
    /// Draws one sample. At temperature 1, costs that are quadratic in the sample have no bias; a higher temperature
    /// lowers the variance.
    pub fn new(temperature: impl Into<Temperature>) -> Self {
        ReinMax { samples: HardSamples::new(temperature.into()) }
    }

    sampling_setters! { self => self.samples.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        ReinMax { samples: self.samples.assume_continuous() }
    }
}

impl Method for ReinMax {
    fn name(&self) -> String {
        format!("ReinMax ({}, {})", self.samples.temperature, self.samples.describe())
    }

    fn profile(&self) -> Profile {
        Profile::biased(Bias::Gradient)
            .exact_to(self.samples.temperature.exact_at_one(2))
            .times(self.samples.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.samples.sampling.plate
    }

    fn slots(&self) -> MethodSlots {
        self.samples.temperature.slots()
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for ReinMax
where
    for<'t> D::On<'t>: RelaxedMean<'t, F>,
{
    fn guarantee(&self, _distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        self.samples.guarantee(&self.profile(), path)
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let set = self.samples.sampled(context, distribution)?;
        let hard = set.value;
        let logits = distribution.location();
        // The probabilities are part of the rule and constants to the derivative.
        let tempered = distribution.soften(logits, self.samples.temperature.record(context.tape())).drawn();
        let mean = distribution.soften(logits, context.tape().constant(1.0)).drawn();
        let change = |p: Var<'t, F>| jacobian(p, logits, distribution.element_rank());
        let soft = change((tempered + hard) * 0.5) * 2.0 - change(mean) * 0.5;
        Ok(SampleSet::equal(hard.straight_through(soft), set.plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        self.samples.terms(context)
    }
}

/// The product of the Jacobian of softmax (of a sigmoid, for elements that are numbers) at `p` with the logits: linear
/// in them.
fn jacobian<'t, F: Real>(p: Var<'t, F>, logits: Var<'t, F>, element_rank: usize) -> Var<'t, F> {
    match element_rank {
        0 => p * (1.0 - p) * logits,
        _ => p * (logits - (p * logits).sum_axis(-1).unsqueeze(-1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::OneHotCategorical;
    use stochgrad_graph::Graph;

    #[test]
    fn the_moments_of_one_bit_are_the_known_ones() {
        let method: BitMethod = Arc::new(ReinMax::new(1.0));
        for (target, theta, mean, variance) in [
            (0.499, 0.5, 5.0e-4, 6.25e-2),
            (0.499, 0.1, 1.8e-4, 2.257e-2),
            (0.45, 0.5, 0.025, 6.25e-2),
            (0.45, 0.1, 0.009, 2.624e-2),
        ] {
            models::assert_moments(&method, target, theta, mean, variance, 5e-4);
        }
    }

    #[test]
    fn quadratic_costs_have_no_bias() {
        let model = |graph: &Graph<'_, f64>, temperature: f64| {
            let logits = graph.param("logits", [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]])?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &ReinMax::new(temperature))?;
            let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 4.0, 1.5]])).sum_axis(-1);
            // Quadratic in each of the two vectors.
            graph.cost("cost", (y - 0.3).square().sum() + y.index(0, 0) * y.index(0, 1))
        };
        Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, 1.0), 0..=1, 1e-9).unwrap();
        assert!(Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, 2.0), 1..=1, 1e-9).is_err());
    }
}
