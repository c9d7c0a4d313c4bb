//! MuProp: a linear model of the cost at the mean of the node, as a control variate. Use it if the cost is nearly
//! linear between the states.
//!
//! With $\mu = \mathbb{E}[x]$, the control variate $c(x) = f(\mu) + \nabla f(\mu)^\top (x - \mu)$ has the mean
//! $f(\mu)$, and
//!
//! $$g = \big[f(x) - c(x)\big]\, \nabla_\theta \ln p(x; \theta) + \nabla f(\mu)^\top\, \nabla_\theta\, \mu.$$
//!
//! $f(\mu)$ and its gradient are evaluated by a counterfactual replay with every member at its mean, under the same
//! noise. They are constants to the gradient, and $\mathbb{E}[\nabla f(\mu)^\top x]$ is linear in $\mu(\theta)$, so
//! that the gradient is unbiased at every order. Gu, Levine, Sutskever and Mnih (2016).
//!
//! Linear costs have no variance. **It fails where the cost is curved between the states**: for one bit with
//! probability ½ and $f = (b - t)^2$, $f - c = \frac14$ in both states, whatever $t$ is, and the variance is that of a
//! constant cost of ¼ without a baseline. A node downstream that is drawn again passes no derivative, and the linear
//! part lacks what depends on it.

use super::taylor::{Expansion, no_mean};
use super::{Baseline, Baselines, CostBaseline, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{Access, CostContext, Count, GraphResult, Order, Profile};
use stochgrad_tensor::Real;

/// The first-order Taylor polynomial of the cost at the mean of the node, as a control variate. It needs a distribution
/// with a known mean, and a cost that is defined there.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{MuProp, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &ScoreFunction::new().baseline(MuProp::new()))?;
/// graph.cost("loss", (bits.sum() - 0.5).exp())?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MuProp;

impl MuProp {
    /// A linear model at the mean.
    pub fn new() -> Self {
        MuProp
    }
}

impl Memory for MuProp {
    fn name(&self) -> Option<String> {
        Some("MuProp".into())
    }

    fn profile(&self) -> Profile {
        let replay = Profile::unbiased(Order::Any).evaluations(Count::exactly(1));
        replay.backward_passes(Count::exactly(1), Access::Between)
    }
}

impl<F: Real> Baseline<F> for MuProp {
    fn check_distribution(&self, distribution: &dyn Distribution<'_, F>) -> Result<(), String> {
        distribution.mean().map(|_| ()).ok_or_else(|| no_mean(distribution.name()))
    }

    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let expansion = Expansion::new(context, distribution)?;
        let values = expansion.costs.iter().map(|(cost, at_mean, slope)| {
            let (linear, mean) = expansion.linear(context, cost, *slope);
            CostBaseline::with_mean(cost.clone(), *at_mean + linear, mean)
        });
        Ok(Baselines { values: values.collect(), ..Baselines::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pathwise::Pathwise;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, Cauchy, Normal, OneHotCategorical, Poisson};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    fn mu_prop(samples: usize) -> BitMethod {
        Arc::new(ScoreFunction::new().samples(samples).baseline(MuProp::new()))
    }

    #[test]
    fn every_shape_of_graph_is_exact_at_every_order() {
        let (one, two) = (mu_prop(1), mu_prop(2));
        let plain: BitMethod = Arc::new(ScoreFunction::new());
        models::assert_exact([&one, &one, &one], 3, true);
        models::assert_exact([&plain, &one, &two], 2, false);
        for method in [one, two] {
            Oracle::new()
                .verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &method), 0..=3, 1e-9)
                .unwrap();
        }
    }

    #[test]
    fn joint_costs_pathwise_nodes_and_vectors_are_exact() {
        let method = ScoreFunction::new().samples(2).baseline(MuProp::new());
        let joint = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.8])?;
            let features = graph.data("data", [0.5, -1.5])?;
            let x = graph.sample("x", &Bernoulli::from_logits(t * features), &method)?;
            let noisy = graph.sample("y", &Normal::new(x.sum() * features, 0.5), &Pathwise::new())?;
            graph.cost("own", (noisy - 0.3).square())?;
            graph.cost("all", (x.sum().sum_over(features.plates()[0]) - 0.7).square() * t.index(0, 1))
        };
        Oracle::new().nodes(2).verify(joint, 0..=1, 1e-9).unwrap();
        let one = ScoreFunction::new().baseline(MuProp::new());
        let vectors = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]])?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &one)?;
            let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 1.0, 1.5]])).sum_axis(-1);
            graph.cost("cost", (y.index(0, 0) - y.index(0, 1) * 0.5).exp())
        };
        Oracle::new().verify(vectors, 0..=2, 1e-9).unwrap();
        let counts = |graph: &Graph<'_, f64>| {
            let rate = graph.param("rate", 1.3)?;
            let x = graph.sample("x", &Poisson::from_rate(rate), &one)?;
            graph.cost("cost", (x * 0.3).sin())
        };
        Oracle::new().verify(counts, 0..=2, 1e-9).unwrap();
    }

    #[test]
    fn linear_costs_have_no_variance_and_curved_ones_that_of_the_remainder() {
        let linear = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -1.0, 2.0])?;
            let x = graph.sample("x", &Bernoulli::from_logits(t), &mu_prop(1))?;
            graph.cost("cost", (x * graph.constant([1.0, -2.0, 0.5])).sum() + 4.0)
        };
        let variance = Oracle::new().gradient(linear).unwrap().variance("t").unwrap().to_vec();
        assert!(variance.iter().all(|variance| *variance < 1e-20), "{variance:?}");
        // At probability ½ the remainder is (b − ½)² = ¼, for every target; its score has the variance ¼.
        for target in [0.499, 0.45, -3.0] {
            models::assert_variance(&mu_prop(1), target, 0.5, 0.25 * 0.25 * 0.25);
        }
        // At θ it is (b − θ)², and the score b − θ.
        let theta = 0.1_f64;
        let cube = |b: f64| (b - theta).powi(3);
        let mean = theta * cube(1.0) + (1.0 - theta) * cube(0.0);
        let square = theta * cube(1.0).powi(2) + (1.0 - theta) * cube(0.0).powi(2);
        models::assert_variance(&mu_prop(1), 0.45, theta, square - mean * mean);
        models::assert_compiled(&mu_prop(2));
    }

    #[test]
    fn a_distribution_without_a_mean_is_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let distribution = Cauchy::new(graph.param("t", 0.3).unwrap(), 1.0);
        let x = graph.sample("x", &distribution, &ScoreFunction::new().baseline(MuProp::new())).unwrap();
        graph.cost("cost", x.sin()).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("mean of Cauchy"), "{error}");
    }
}
