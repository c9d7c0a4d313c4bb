//! Gumbel-Rao: straight-through Gumbel-softmax, averaged over the noise given the sample. Use it instead of
//! straight-through Gumbel-softmax: it has the same mean and never a larger variance, without further evaluations of
//! the cost.
//!
//! Given the sample $x$, the Gumbel variates that lead to it are drawn several times:
//!
//! $$g = \Big[\frac1K \sum_{k=1}^K J_\tau\big(\phi + G^{(k)}\big)\Big]^\top \nabla f(x), \qquad G^{(k)} \sim G \mid \operatorname{argmax}(\phi + G) = x,$$
//!
//! with the Jacobian $J_\tau$ of $\operatorname{softmax}(\cdot / \tau)$. Paulus, Maddison and Krause (2021).
//!
//! **Assumptions.** The cost is differentiable at the states. Paths from the value are checked as for
//! [`Pathwise`](crate::Pathwise).
//!
//! | | |
//! |---|---|
//! | bias | of the gradient: that of straight-through Gumbel-softmax; costs are right |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass |
//! | requirement on the cost | derivatives at the states |

use crate::relaxation::hard_samples::HardSamples;
use crate::relaxation::temperature::Temperature;
use crate::sampling_setters;
use stochgrad_distributions::{Family, Relaxed};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, MethodSlots, Path, Profile, SampleContext,
    SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::PlateKind;
use stochgrad_tensor::Real;

/// Rao-Blackwellised straight-through Gumbel-softmax, for distributions with a continuous relaxation: bits and one-hot
/// vectors.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::GumbelRao;
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let logits = graph.param("logits", [0.2, -0.4])?;
/// let b = graph.sample("b", &Bernoulli::from_logits(logits), &GumbelRao::new(0.5))?;
/// graph.cost("loss", (b - 0.45).square().sum())?;
/// assert_eq!(graph.backward()?.guarantee("logits")?.bias, Bias::Gradient);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GumbelRao {
    samples: HardSamples,
    draws: usize,
}

impl GumbelRao {
    /// Draws one sample, and its noise ten times.
    pub fn new(temperature: impl Into<Temperature>) -> Self {
        GumbelRao { samples: HardSamples::new(temperature.into()), draws: 10 }
    }

    /// Sets how often the noise is drawn for each sample, at least once; 10 to 100 are common.
    pub fn conditional_draws(self, draws: usize) -> Self {
        GumbelRao { draws: draws.max(1), ..self }
    }

    sampling_setters! { self => self.samples.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        GumbelRao { samples: self.samples.assume_continuous(), ..self }
    }
}

impl Method for GumbelRao {
    fn name(&self) -> String {
        format!(
            "Gumbel-Rao ({}, {} conditional draws, {})",
            self.samples.temperature,
            self.draws,
            self.samples.describe()
        )
    }

    fn profile(&self) -> Profile {
        Profile::biased(Bias::Gradient).times(self.samples.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.samples.sampling.plate
    }

    fn slots(&self) -> MethodSlots {
        self.samples.temperature.slots()
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for GumbelRao
where
    for<'t> D::On<'t>: Relaxed<'t, F>,
{
    fn guarantee(&self, _distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        self.samples.guarantee(&self.profile(), path)
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let tape = context.tape();
        let set = self.samples.sampled(context, distribution)?;
        let hard = set.value;
        let draws = tape.plate("conditional draws", self.draws, PlateKind::Samples, &hard.plates());
        let draw = context.draw_on(&[set.plate.as_slice(), &[draws]].concat()).purpose("noise given the sample");
        let perturbed = distribution.conditional_perturbed(hard, &draw).map_err(|source| context.error(source))?;
        // The noise is a constant to the derivative.
        let perturbed = perturbed.drawn().straight_through(distribution.location());
        let soft = distribution.soften(perturbed, self.samples.temperature.record(tape)).mean_over(draws);
        Ok(SampleSet::equal(hard.straight_through(soft), set.plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        self.samples.terms(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relaxation::gumbel_softmax::GumbelSoftmax;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::{Oracle, StatisticalTest};
    use stochgrad_distributions::OneHotCategorical;
    use stochgrad_graph::Graph;

    #[test]
    fn the_mean_is_that_of_straight_through_and_the_variance_smaller() {
        for (target, mean, variance) in [(0.499, -6.688e-2, 1.284e-2), (0.45, -5.659e-2, 1.247e-2)] {
            let method: BitMethod = Arc::new(GumbelRao::new(1.0).conditional_draws(1));
            models::assert_moments(&method, target, 0.1, mean, variance, 1e-3);
            let method: BitMethod = Arc::new(GumbelRao::new(1.0).conditional_draws(2));
            let found = models::moments(&method, target, 0.1);
            assert!((found.0 - mean).abs() < 1e-3 * mean.abs() && found.1 < variance, "{found:?}");
        }
    }

    #[test]
    fn vectors_have_the_mean_of_straight_through_too() {
        let model = |graph: &Graph<'_, f64>, rao: bool| {
            let logits = graph.param("logits", [0.2, -0.4, 1.0])?;
            let distribution = OneHotCategorical::from_logits(logits);
            let x = match rao {
                true => graph.sample("x", &distribution, &GumbelRao::new(0.7))?,
                false => graph.sample("x", &distribution, &GumbelSoftmax::new(0.7).straight_through().samples(400))?,
            };
            graph.cost("cost", (x * graph.constant([1.0, -2.0, 0.5])).sum().exp())
        };
        let means = |rao| {
            let run = |seed| {
                let tape = stochgrad_tape::Tape::<f64>::new();
                let graph = Graph::new(&tape, stochgrad_graph::Seed::new(seed));
                model(&graph, rao).unwrap();
                graph.backward().unwrap().get("logits").unwrap().to_vec()
            };
            StatisticalTest::new().runs(4000).sample(run).unwrap()
        };
        let (rao, plain) = (means(true), means(false));
        for i in 0..3 {
            let error = rao.standard_error(i).hypot(plain.standard_error(i));
            assert!((rao.mean[i] - plain.mean[i]).abs() < 4.0 * error, "{:?}, {:?}", rao.mean, plain.mean);
            assert!(rao.variance[i] < 400.0 * plain.variance[i]);
        }
        // The costs themselves are right.
        Oracle::new().nodes(1).verify(|graph: &Graph<'_, f64>| model(graph, true), 0..=0, 1e-9).unwrap();
    }
}
