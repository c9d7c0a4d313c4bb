//! Straight-through: the derivative of the mean in place of that of the sample. Use it for comparison;
//! [`ReinMax`](crate::ReinMax) has a smaller bias at the same cost.
//!
//! $$x \sim \operatorname{Categorical}(\operatorname{softmax} \phi), \qquad
//!     g = J\big(\operatorname{softmax}(\phi / \tau)\big)^\top \nabla f(x) / \tau, \qquad J(p) = \operatorname{diag} p - p p^\top,$$
//!
//! and $\sigma'(\eta / \tau)/\tau$ for a bit. Hinton (2012); Bengio, Léonard and Courville (2013).
//!
//! **Assumptions.** The cost is differentiable at the states. Paths from the value are checked as for
//! [`Pathwise`](crate::Pathwise). Derivatives with respect to the probabilities of categories are those along the
//! simplex.
//!
//! | | |
//! |---|---|
//! | bias | of the gradient; none if the temperature is 1 and the cost affine in the sample, which is certified; costs are right |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass |
//! | requirement on the cost | derivatives at the states |

use crate::relaxation::hard_samples::HardSamples;
use crate::relaxation::temperature::Temperature;
use crate::sampling_setters;
use stochgrad_distributions::{Family, Relaxed, RelaxedMean};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, MethodSlots, Path, Profile, SampleContext,
    SamplePlate, SampleSet, Terms,
};
use stochgrad_tensor::Real;

/// Straight-through gradients, for distributions with a continuous relaxation: bits and one-hot vectors.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::StraightThrough;
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let logits = graph.param("logits", [0.2, -0.4])?;
/// let b = graph.sample("b", &Bernoulli::from_logits(logits), &StraightThrough::new(1.0))?;
/// graph.cost("loss", (b - 0.45).square().sum())?;
/// assert_eq!(graph.backward()?.guarantee("logits")?.bias, Bias::Gradient);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StraightThrough {
    samples: HardSamples,
}

impl StraightThrough {
    /// Draws one sample. At temperature 1, costs that are affine in the sample have no bias.
    pub fn new(temperature: impl Into<Temperature>) -> Self {
        StraightThrough { samples: HardSamples::new(temperature.into()) }
    }

    sampling_setters! { self => self.samples.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        StraightThrough { samples: self.samples.assume_continuous() }
    }
}

impl Method for StraightThrough {
    fn name(&self) -> String {
        format!("straight-through ({}, {})", self.samples.temperature, self.samples.describe())
    }

    fn profile(&self) -> Profile {
        Profile::biased(Bias::Gradient)
            .exact_to(self.samples.temperature.exact_at_one(1))
            .times(self.samples.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.samples.sampling.plate
    }

    fn slots(&self) -> MethodSlots {
        self.samples.temperature.slots()
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for StraightThrough
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
        let soft = distribution.soften(distribution.location(), self.samples.temperature.record(context.tape()));
        Ok(SampleSet::equal(hard.straight_through(soft), set.plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        self.samples.terms(context)
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
    fn the_bias_of_one_bit_is_the_known_one() {
        let method: BitMethod = Arc::new(StraightThrough::new(1.0));
        for (target, theta, mean, variance) in [
            (0.499, 0.5, 5.0e-4, 6.25e-2),
            (0.499, 0.1, -7.182e-2, 2.916e-3),
            (0.45, 0.5, 0.025, 6.25e-2),
            (0.45, 0.1, -0.063, 2.916e-3),
        ] {
            models::assert_moments(&method, target, theta, mean, variance, 1e-3);
        }
    }

    #[test]
    fn affine_costs_have_no_bias() {
        let method = StraightThrough::new(1.0).samples(2);
        let model = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]])?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method)?;
            graph.cost("cost", (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 4.0, 1.5]])).sum() - 1.0)
        };
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
    }
}
