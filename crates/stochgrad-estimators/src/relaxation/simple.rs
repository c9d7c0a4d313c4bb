//! SIMPLE: exact samples with the derivative of the exact mean. Use it for subsets of a fixed size
//! ([`KSubset`](stochgrad_distributions::KSubset)) in a network, if a biased gradient of low variance is acceptable.
//!
//! $$x \sim p(x; \theta), \qquad g = \big(\partial_\theta \mu\big)^\top \nabla f(x), \qquad \mu = \mathbb{E}[x].$$
//!
//! For subsets of size $k$ the mean is the vector of the probabilities with which each item is a member, which is known
//! exactly. It replaces the relaxed sample of the relaxed top-$k$ methods, whose bias does not vanish for linear costs.
//! For bits and one-hot vectors the method is [`StraightThrough`](crate::StraightThrough) at temperature 1, and for
//! counts [`Fini`](crate::Fini) of degree 1.
//!
//! Ahmed, Zeng, Niepert and Van den Broeck, "SIMPLE: a gradient estimator for k-subset sampling" (2023).
//!
//! **Assumptions.** The cost is differentiable at the states. Paths from the value are checked as for
//! [`Pathwise`](crate::Pathwise). The mean has a closed form.
//!
//! | | |
//! |---|---|
//! | bias | of the gradient; none for costs that are affine in the sample, which is certified; costs are right |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass |
//! | requirement on the cost | derivatives at the states |

use crate::common::sampling::Sampling;
use crate::enumeration::constant_support::constant_states;
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, DistributionError, Family, FiniteSupport};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, Path, Profile, SampleContext, SamplePlate,
    SampleSet, Terms, path_order,
};
use stochgrad_tape::Degree;
use stochgrad_tensor::Real;

/// Exact samples with the derivative of the mean, for distributions with a finite support and a known mean.
///
/// ```
/// use stochgrad_distributions::KSubset;
/// use stochgrad_estimators::Simple;
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let logits = graph.param("logits", [0.2, -0.4, 1.0, 0.0])?;
/// let chosen = graph.sample("chosen", &KSubset::from_logits(2, logits), &Simple::new())?;
/// graph.cost("loss", (chosen * graph.constant([1.0, -2.0, 0.5, 0.3])).sum())?;
/// // A linear cost has no bias.
/// assert_eq!(graph.backward()?.guarantee("logits")?.bias, Bias::Unbiased);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Simple {
    sampling: Sampling,
    assume_continuous: bool,
}

impl Simple {
    /// Draws one sample.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        Simple { assume_continuous: true, ..self }
    }
}

impl Method for Simple {
    fn name(&self) -> String {
        format!("SIMPLE ({})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::biased(Bias::Gradient).exact_to(Degree::new(1)).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Simple
where
    for<'t> D::On<'t>: FiniteSupport<'t, F>,
{
    fn guarantee(&self, _distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        Ok(self.profile().guarantee(path).at_most(path_order(path, self.assume_continuous)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        constant_states(distribution).map_err(|source| context.error(source))?;
        let Some(mean) = distribution.mean() else {
            return Err(context.error(DistributionError::Unsupported {
                distribution: distribution.name(),
                problem: "has no closed form for its mean; use GumbelSoftmax where it has a relaxation, or \
                          ScoreFunction"
                    .into(),
            }));
        };
        let set = self.sampling.draw(context, distribution)?;
        Ok(SampleSet::equal(set.value.straight_through(mean), set.plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        context.check_hidden_outcomes()?;
        Ok(Terms::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{KSubset, PlackettLuce};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    const WEIGHTS: [[f64; 4]; 2] = [[1.0, -2.0, 0.5, 0.3], [0.0, 1.5, -1.0, 2.0]];

    fn subsets(graph: &Graph<'_, f64>, power: f64, method: &Simple) -> GraphResult<()> {
        let logits = graph.param("logits", [[0.2, -0.4, 1.0, 0.0], [0.9, 0.3, -2.0, 0.1]])?;
        let x = graph.sample("x", &KSubset::from_logits(2, logits), method)?;
        graph.cost("cost", ((x * graph.constant(WEIGHTS)).sum() + 5.0).powf(power))
    }

    #[test]
    fn costs_that_are_affine_in_a_subset_have_no_bias() {
        for method in [Simple::new(), Simple::new().samples(2)] {
            Oracle::new().verify(|graph: &Graph<'_, f64>| subsets(graph, 1.0, &method), 0..=1, 1e-9).unwrap();
        }
        let quadratic = |graph: &Graph<'_, f64>| subsets(graph, 2.0, &Simple::new());
        Oracle::new().verify(quadratic, 0..=0, 1e-9).unwrap();
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        quadratic(&graph).unwrap();
        assert_eq!(graph.backward().unwrap().guarantee("logits").unwrap().bias, Bias::Gradient);
    }

    #[test]
    fn the_mean_gradient_is_that_of_the_exact_mean() {
        // Cost (w x)²: the mean of its gradient at the samples, 2 E[(w x) w], times the Jacobian of the mean, which is
        // the covariance.
        let logits = [0.2_f64, -0.4, 1.0, 0.0];
        let w = WEIGHTS[0];
        let pairs: Vec<([usize; 2], f64)> = (0..4)
            .flat_map(|a| (a + 1..4).map(move |b| [a, b]))
            .map(|pair| (pair, (logits[pair[0]] + logits[pair[1]]).exp()))
            .collect();
        let total: f64 = pairs.iter().map(|(_, weight)| weight).sum();
        let mean =
            |f: &dyn Fn(&[usize; 2]) -> f64| pairs.iter().map(|(pair, weight)| f(pair) * weight).sum::<f64>() / total;
        let member = |pair: &[usize; 2], item: usize| f64::from(u8::from(pair.contains(&item)));
        let dot = |pair: &[usize; 2]| w[pair[0]] + w[pair[1]];
        let covariance = |i: usize, j: usize| {
            mean(&|pair| member(pair, i) * member(pair, j))
                - mean(&|pair| member(pair, i)) * mean(&|pair| member(pair, j))
        };
        let expected: Vec<f64> =
            (0..4).map(|i| (0..4).map(|j| covariance(i, j) * 2.0 * w[j]).sum::<f64>() * mean(&dot)).collect();
        let model = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", logits)?;
            let x = graph.sample("x", &KSubset::from_logits(2, logits), &Simple::new())?;
            graph.cost("cost", (x * graph.constant(w)).sum().square())
        };
        let found = Oracle::new().gradient(model).unwrap();
        for (found, expected) in found.mean("logits").unwrap().as_slice().iter().zip(&expected) {
            assert_abs_diff_eq!(*found, *expected, epsilon = 1e-12);
        }
    }

    #[test]
    fn bits_are_those_of_straight_through() {
        let method: BitMethod = Arc::new(Simple::new());
        models::assert_moments(&method, 0.499, 0.1, -7.182e-2, 2.916e-3, 1e-3);
        models::assert_compiled(&method);
    }

    #[test]
    fn subsets_by_exact_methods_agree_with_the_oracle() {
        let model = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [0.2, -0.4, 1.0, 0.0])?;
            let x = graph.sample("x", &KSubset::from_logits(2, logits), &ScoreFunction::new())?;
            graph.cost("cost", ((x * graph.constant(WEIGHTS[0])).sum() * logits.index(0, 1)).exp())
        };
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
    }

    #[test]
    fn a_distribution_without_a_mean_is_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let logits = graph.param("logits", [0.2, -0.4, 1.0]).unwrap();
        let error = graph.sample("x", &PlackettLuce::from_logits(logits), &Simple::new()).unwrap_err().to_string();
        assert!(error.contains("no closed form for its mean"), "{error}");
    }
}
