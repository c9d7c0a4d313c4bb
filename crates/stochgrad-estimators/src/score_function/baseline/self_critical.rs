//! Self-critical: the cost at the mode of the node, that is, of a greedy decision. Use it for a node with a single
//! sample whose mode is a good value.
//!
//! $$b = f(\hat x), \qquad \hat x = \operatorname{argmax}_x p(x; \theta),$$
//!
//! It is evaluated by counterfactual replay under the same noise. Rennie, Marcheret, Mroueh, Ross and Goel (2017).
//!
//! $\hat x$ is a function of the parameters, and the noise of the replay is independent of the sample, so that the
//! gradient is unbiased at every order. All members are at their modes together: the baseline of a cost of several
//! members jointly is the cost of all modes. Samples that differ only in the node itself share one replay.

use super::{Baseline, Baselines, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, Count, GraphResult, Order, Profile};
use stochgrad_tensor::Real;

/// The cost at the most likely value of the node, for distributions with a mode.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{ScoreFunction, SelfCritical};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &ScoreFunction::new().baseline(SelfCritical))?;
/// graph.cost("loss", (bits - 0.499).square().sum())?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SelfCritical;

/// The error for a distribution without a mode.
fn no_mode(distribution: &str) -> String {
    format!(
        "{distribution} has no mode in closed form; use FreshSample, which compares with another draw, or LeaveOneOut"
    )
}

impl Memory for SelfCritical {
    fn name(&self) -> Option<String> {
        Some("self-critical".into())
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any).evaluations(Count::exactly(1))
    }
}

impl<F: Real> Baseline<F> for SelfCritical {
    fn check_distribution(&self, distribution: &dyn Distribution<'_, F>) -> Result<(), String> {
        distribution.mode().map(|_| ()).ok_or_else(|| no_mode(distribution.name()))
    }

    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let mode = distribution.mode().ok_or_else(|| context.refused(no_mode(distribution.name())))?;
        Ok(Baselines::new(context.replay(mode.stop_gradient())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enumeration::enumerate::Enumerate;
    use crate::pathwise::Pathwise;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::FnBaseline;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, Normal, OneHotCategorical, Skellam};
    use stochgrad_graph::{Graph, GraphError, Seed};
    use stochgrad_tape::{Plate, Tape, Var};

    fn critical(samples: usize) -> BitMethod {
        Arc::new(ScoreFunction::new().samples(samples).baseline(SelfCritical))
    }

    #[test]
    fn every_shape_of_graph_is_exact_at_every_order() {
        let (one, two) = (critical(1), critical(2));
        let states: BitMethod = Arc::new(Enumerate::new());
        models::assert_exact([&one, &one, &one], 3, true);
        models::assert_exact([&two, &one, &states], 2, false);
        models::assert_exact([&states, &two, &one], 2, false);
        for method in [one, two] {
            Oracle::new()
                .verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &method), 0..=3, 1e-9)
                .unwrap();
        }
    }

    #[test]
    fn joint_costs_and_pathwise_nodes_downstream_are_exact() {
        let method = critical(2);
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.8])?;
            let features = graph.data("data", [0.5, -1.5])?;
            let x = graph.sample("x", &Bernoulli::from_logits(t * features), &method)?;
            let noisy = graph.sample("y", &Normal::new(x.sum() * features, 0.5), &Pathwise::new())?;
            graph.cost("own", (noisy - 0.3).square())?;
            graph.cost("all", (x.sum().sum_over(features.plates()[0]) - 0.7).square() * t.index(0, 1))
        };
        Oracle::new().nodes(2).verify(model, 0..=1, 1e-9).unwrap();
        let vectors = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]])?;
            let method = ScoreFunction::new().baseline(SelfCritical);
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method)?;
            let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 1.0, 1.5]])).sum_axis(-1);
            graph.cost("cost", (y.index(0, 0) - y.index(0, 1) * 0.5).exp())
        };
        Oracle::new().verify(vectors, 0..=2, 1e-9).unwrap();
    }

    #[test]
    fn the_variance_is_that_of_the_cost_of_the_mode() {
        // With the bit at its mode f(mode) is subtracted: only the other state contributes, with its score 1 − θ or −θ.
        let (target, theta) = (0.45, 0.1);
        let f = |b: f64| (b - target) * (b - target);
        let mean = theta * (1.0 - theta) * (f(1.0) - f(0.0));
        let expected = theta * ((f(1.0) - f(0.0)) * (1.0 - theta)).powi(2) - mean * mean;
        models::assert_variance(&critical(1), target, theta, expected);
        models::assert_variance(&critical(4), target, theta, expected / 4.0);
        models::assert_compiled(&critical(2));
    }

    /// The most plates of any value that a value is made of.
    fn most_plates(value: Var<'_, f64>) -> usize {
        value.inputs().into_iter().map(most_plates).fold(value.plates().len(), usize::max)
    }

    /// The most plates in the replay of a cost of four samples.
    fn replayed_plates(cost: &dyn for<'t> Fn(Var<'t, f64>, Plate) -> Var<'t, f64>) -> usize {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let found = Arc::new(AtomicUsize::new(0));
        let seen = found.clone();
        let look = FnBaseline::new("look", move |context, distribution, _| {
            let mode = distribution.mode().expect("a mode");
            let replayed = context.replay(mode)?;
            seen.store(most_plates(replayed[0].1), Ordering::Relaxed);
            Ok(replayed[0].1)
        });
        let bit = Bernoulli::from_logits(graph.param("t", [0.3, 0.2]).unwrap());
        let x = graph.sample("x", &bit, &ScoreFunction::new().samples(4).baseline(look)).unwrap();
        graph.cost("cost", cost(x, graph.plate_named("x").unwrap())).unwrap();
        graph.backward().unwrap();
        found.load(Ordering::Relaxed)
    }

    #[test]
    fn samples_share_one_replay_unless_they_meet() {
        assert_eq!(replayed_plates(&|x, _| x.exp().sum()), 0);
        assert_eq!(replayed_plates(&|x, plate| x.exp().sum().log_mean_exp_over(plate)), 1);
    }

    #[test]
    fn no_mode_and_a_branch_on_the_sample_are_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let method = ScoreFunction::new().baseline(SelfCritical);
        let bit = Bernoulli::from_logits(graph.param("t", 0.3).unwrap());
        let x = graph.sample("x", &bit, &method).unwrap();
        let cost = if x.item().unwrap() == 1.0 { 5.0 } else { 1.0 };
        graph.cost("cost", x * cost).unwrap();
        assert!(matches!(graph.backward().unwrap_err(), GraphError::Replay { .. }));

        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let distribution = Skellam::new(graph.constant(1.0), 2.0);
        let x = graph.sample("x", &distribution, &method).unwrap();
        graph.cost("cost", x).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("no mode") && error.contains("FreshSample"), "{error}");
    }
}
