//! Divides the difference of cost and baseline by the running standard deviation of the cost. This is biased. Use it
//! with plain gradient descent if the costs differ much in size over a training run or between nodes; an optimiser such
//! as Adam, which ignores the size of a gradient, does not need it.
//!
//! $$g = \frac{f(x) - b}{\max(1, \sigma)}\, \nabla_\theta \ln p(x; \theta)$$
//!
//! with the standard deviation $\sigma$ of the cost over past steps, as in NVIL (Mnih & Gregor 2014). The gradient is
//! that of the node times $1/\max(1, \sigma)$. Its direction is therefore **biased** wherever anything else (another
//! node, a direct derivative of the cost) contributes to the gradient with respect to the same parameter, and its size
//! is biased everywhere. The guarantee says so.

use super::members::total_key;
use super::{Baseline, Baselines, CostBaseline, Memory};
use crate::common::running_moments::RunningMoments;
use stochgrad_distributions::Distribution;
use stochgrad_graph::{Access, Bias, CostContext, Count, GradientTerm, GraphResult, MethodSlots, Profile};
use stochgrad_tensor::Real;

/// A baseline whose difference with the cost is divided by the running standard deviation of the cost, if that is above
/// 1. This is biased: see the [profile](Memory::profile).
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{Normalized, Nvil, ScoreFunction};
/// use stochgrad_graph::{Bias, Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let method = ScoreFunction::new().baseline(Normalized::new(Nvil::new(), 0.9));
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &method)?;
/// graph.cost("loss", (bits.sum() * 100.0).exp())?;
/// assert_eq!(graph.backward()?.guarantee("logits")?.bias, Bias::Gradient);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Normalized<B> {
    baseline: B,
    moments: RunningMoments,
}

impl<B> Normalized<B> {
    /// Normalises a baseline, with this decay of the running standard deviation, in [0, 1).
    pub fn new(baseline: B, decay: f64) -> Self {
        Normalized { baseline, moments: RunningMoments::new(decay) }
    }
}

impl<B: Memory> Memory for Normalized<B> {
    fn name(&self) -> Option<String> {
        Some(match self.baseline.name() {
            Some(name) => format!("{name}, normalised"),
            None => "normalised".into(),
        })
    }

    fn profile(&self) -> Profile {
        Profile::biased(Bias::Gradient)
            .evaluations(Count::exactly(0))
            .backward_passes(Count::exactly(0), Access::Values)
            .and(self.baseline.profile())
    }

    fn check(&self, members: usize) -> Result<(), String> {
        self.moments.check()?;
        self.baseline.check(members)
    }

    fn check_groups(&self, groups: usize) -> Result<(), String> {
        self.moments.check()?;
        self.baseline.check_groups(groups)
    }

    fn by_member(&self) -> bool {
        self.baseline.by_member()
    }

    fn sees_other_members(&self) -> bool {
        self.baseline.sees_other_members()
    }

    fn slots(&self) -> MethodSlots {
        self.moments.slots().under("scale: ").and(self.baseline.slots().under("baseline: "))
    }
}

impl<F: Real, B: Baseline<F>> Baseline<F> for Normalized<B> {
    fn check_distribution(&self, distribution: &dyn Distribution<'_, F>) -> Result<(), String> {
        self.baseline.check_distribution(distribution)
    }

    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let tape = context.tape();
        let mut inner = self.baseline.baselines(context, distribution)?;
        let totals = context.totals()?;
        let mut variance = tape.constant(0.0);
        for cost in &totals {
            let key = total_key(context, cost);
            variance = variance + self.moments.variance(tape, &key);
            inner.updates.extend(self.moments.updates(&key, cost.value));
        }
        let scale = tape.constant(1.0).maximum(variance.sqrt()).recip();
        for baseline in &mut inner.values {
            baseline.value = baseline.value * scale;
            baseline.mean = baseline.mean.map(|mean| mean * scale);
        }
        for GradientTerm { value, .. } in &mut inner.gradient_terms {
            *value = *value * scale;
        }
        // f − (f (1 − 1/σ) + b/σ) = (f − b)/σ.
        inner.values.extend(totals.into_iter().map(|cost| {
            let kept = cost.value * (1.0 - scale);
            CostBaseline::new(cost, kept)
        }));
        Ok(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::LeaveOneOut;
    use crate::score_function::baseline::NoBaseline;
    use crate::score_function::baseline::Vimco;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, GraphError, Guarantee, Method, Order, Seed};
    use stochgrad_tape::Tape;

    fn model<B: Baseline<f64> + Clone + 'static>(
        method: &ScoreFunction<B>,
    ) -> impl Fn(&Graph<'_, f64>) -> GraphResult<()> {
        move |graph| {
            let t = graph.param("t", 0.3)?;
            let x = graph.sample("x", &Bernoulli::from_logits(t), method)?;
            graph.cost("each", (x * 20.0 - 3.0).square())?;
            graph.cost("bound", -(x * 1.3).log_mean_exp_over(graph.plate_named("x").expect("samples")))
        }
    }

    fn gradient(model: impl Fn(&Graph<'_, f64>) -> GraphResult<()>) -> f64 {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(11));
        model(&graph).unwrap();
        graph.backward().unwrap().get("t").unwrap().item().unwrap()
    }

    #[test]
    fn the_gradient_is_divided_and_the_guarantee_says_biased() {
        let state: stochgrad_graph::MethodState = [("x", 12.0, 56.0), ("x / over x", 0.5, 0.75)]
            .into_iter()
            .flat_map(|(owner, mean, variance)| {
                [("mean", mean), ("variance", variance), ("weight", 0.5)]
                    .map(|(part, x)| (format!("scale: {owner} / {part}"), vec![x]))
            })
            .collect();
        let scale = 56.75_f64.sqrt();
        let vimco = ScoreFunction::new().samples(3).baseline(Vimco::new());
        let normalized = ScoreFunction::new().samples(3).baseline(Normalized::new(Vimco::new(), 0.9));
        let plain = gradient(model(&vimco));
        assert_eq!(gradient(model(&normalized)), plain, "nothing is known yet");
        normalized.load_state(&state).unwrap();
        assert_eq!(normalized.state(), state);
        let found = gradient(model(&normalized));
        assert!((found * scale - plain).abs() < 1e-12 * plain.abs(), "{found} of {plain}");

        let exact = Oracle::new().exact_gradient(model(&vimco)).unwrap()[0].1.item().unwrap();
        let mean = Oracle::new().gradient(model(&normalized)).unwrap().mean("t").unwrap().item().unwrap();
        assert!((mean * scale - exact).abs() < 1e-9, "{mean}, {exact}");
        let error = Oracle::new().verify(model(&normalized), 0..=2, 1e-9).unwrap_err().to_string();
        assert!(error.contains("order"), "{error}");

        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        model(&normalized)(&graph).unwrap();
        let guarantee = graph.backward().unwrap().guarantee("t").unwrap();
        assert_eq!(guarantee, Guarantee { bias: Bias::Gradient, order: Order::Finite(1) });
        assert!(normalized.name().contains("normalised"));
    }

    #[test]
    fn small_costs_are_left_alone_and_state_moves_when_told() {
        let method = ScoreFunction::new().samples(2).baseline(Normalized::new(NoBaseline, 0.5));
        let plain = ScoreFunction::new().samples(2);
        let small = |graph: &Graph<'_, f64>, which: bool| {
            let t = graph.param("t", 0.3)?;
            let bit = Bernoulli::from_logits(t);
            let x = if which { graph.sample("x", &bit, &method)? } else { graph.sample("x", &bit, &plain)? };
            graph.cost("cost", x * 0.1)
        };
        for step in 0..4 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(2).step(step));
            small(&graph, true).unwrap();
            graph.backward().unwrap().advance();
        }
        assert_eq!(gradient(|graph| small(graph, true)), gradient(|graph| small(graph, false)));
        let leave_one_out = ScoreFunction::new().baseline(Normalized::new(LeaveOneOut, 0.9));
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let bit = Bernoulli::from_logits(graph.constant(0.3));
        assert!(graph.sample("x", &bit, &leave_one_out).is_err());
        let wrong = [("scale: x / mean".to_owned(), vec![1.0])].into();
        assert!(matches!(method.load_state(&wrong), Err(GraphError::State { .. })));
    }
}
