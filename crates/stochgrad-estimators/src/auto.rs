//! A method that chooses among the others, node by node.
//!
//! How to *sample* is settled when the node is sampled, from what the distribution can do:
//!
//! 1. a finite support with few joint states: all of them are enumerated;
//! 2. reparameterised: one differentiable sample, behind a gate;
//! 3. else: independent samples.
//!
//! How to *differentiate* the second kind is settled when the graph is, from the recorded paths. If every path from the
//! value is free of jumps, the gate stays open and the derivative is pathwise. If one is not, the gate closes, no
//! gradient passes the value, and the score function takes over for all costs. Never both: the sum of the two would
//! count the derivative twice.
//!
//! **Assumptions.** Those of [`Enumerate`](crate::Enumerate), [`Pathwise`](crate::Pathwise) or
//! [`ScoreFunction`](crate::ScoreFunction), whichever is chosen.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | any; 1 where the path has a kink, or where a parameter's path or score has one |
//! | cost evaluations | the number of joint states, or one a sample |
//! | the cost must offer | values |
//!
//! Several samples of the score function get the leave-one-out baseline. `Gradients::reports` says what was chosen, and
//! why. Under the differentiable replay of another node (REBAR), an `Auto` node counts as drawn anew, hence is refused:
//! name `Pathwise` there.

use crate::common::sampling::Sampling;
use crate::enumeration::enumerate::{enumerate, independent_elements, joint_states};
use crate::sampling_setters;
use crate::score_function::baseline::{Baseline, LeaveOneOut};
use crate::score_function::baseline_terms;
use stochgrad_distributions::{Distribution, DistributionError, Family, SamplePath};
use stochgrad_graph::{
    CostContext, GradientMethod, GraphResult, Guarantee, Method, Order, Path, Profile, SampleContext, SamplePlate,
    SampleSet, Terms, sample_path_order,
};
use stochgrad_tape::{Plate, Smoothness, Tape, Var};
use stochgrad_tensor::Real;

/// Enumeration, pathwise derivatives or the score function, whatever suits the node.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Normal};
/// use stochgrad_estimators::Auto;
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let theta = graph.param("theta", 0.3)?;
/// let b = graph.sample("b", &Bernoulli::from_logits(theta), &Auto::new())?;
/// let x = graph.sample("x", &Normal::new(theta + b, 1.0), &Auto::new())?;
/// graph.cost("loss", x.square())?;
/// let gradients = graph.backward()?;
/// let chosen: Vec<&str> = gradients.reports().iter().map(|(_, choice)| choice.as_str()).collect();
/// assert_eq!(chosen, ["enumeration of 2 joint states", "pathwise: every path from the value is free of jumps"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auto {
    sampling: Sampling,
    limit: usize,
}

impl Default for Auto {
    fn default() -> Self {
        Auto { sampling: Sampling::default(), limit: 64 }
    }
}

/// How a node is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// All joint states, of which there are so many.
    Enumerated(usize),
    /// Differentiable samples behind a gate.
    Reparameterized,
    /// Independent samples.
    Independent,
}

impl Auto {
    /// One sample; enumerates up to 64 joint states.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! {
        self => self.sampling;
        /// Where the node is enumerated, the setting is not used.
        samples,
        /// Where the node is enumerated, the setting is not used.
        on_plate
    }

    /// Enumerates nodes of at most that many joint states.
    pub fn limit(self, states: usize) -> Self {
        Auto { limit: states, ..self }
    }

    fn choose<'t, F: Real>(&self, distribution: &dyn Distribution<'t, F>) -> Choice {
        let can = distribution.capabilities();
        if let Some(finite) = can.finite_support
            && let Ok(support) = finite.element_support()
            && let Some(&states) = support.shape().first()
            && let Some(joint) = joint_states(states, independent_elements(finite))
            && joint <= self.limit
        {
            return Choice::Enumerated(joint);
        }
        let smooth = || distribution.parameters().iter().all(|parameter| parameter.path != SamplePath::None);
        if can.reparameterized.is_some() && smooth() { Choice::Reparameterized } else { Choice::Independent }
    }
}

/// Whether a pathwise derivative may be taken along all paths.
fn is_open(path: &Path) -> bool {
    path.smoothness <= Smoothness::Kinked
}

/// The independent members of a node's plate, if there are several to leave one out of.
fn has_others<F: Real>(tape: &Tape<F>, plate: Option<Plate>) -> bool {
    plate.is_some_and(|plate| tape.plate_kind(plate).is_independent() && tape.plate_size(plate) >= 2)
}

impl Method for Auto {
    fn name(&self) -> String {
        format!("auto ({})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        // At most: the choice is made node by node.
        Profile::unbiased(Order::Any).times(self.sampling.samples().max(self.limit))
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Auto {
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        match self.choose(distribution) {
            Choice::Enumerated(_) => Ok(Guarantee::EXACT),
            Choice::Reparameterized if is_open(path) => {
                // The ledger looks at the smoothness of the score; for this choice that of the sample path counts as
                // well.
                Ok(Guarantee::unbiased(sample_path_order(distribution).min(path.order())))
            }
            _ if distribution.capabilities().score.is_some() => Ok(Guarantee::EXACT),
            _ => {
                let through = path
                    .through
                    .as_ref()
                    .map_or("an operation that jumps".into(), |(what, at)| format!("{what} ({at})"));
                Err(format!(
                    "the value reaches a cost through {through}, which rules the pathwise derivative out, and the support \
                     of {} depends on its parameters, which rules the score function out; use MeasureValued if it offers \
                     a weak derivative, or smooth the operation",
                    distribution.name()
                ))
            }
        }
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let can = distribution.capabilities();
        match (self.choose(distribution), can.finite_support, can.reparameterized) {
            (Choice::Enumerated(_), Some(finite), _) => enumerate(context, finite, self.limit),
            (Choice::Reparameterized, _, Some(reparameterized)) => {
                let plate = context.sample_plate(self.sampling.plate)?;
                let value = reparameterized.rsample(&context.draw(plate)).map_err(|source| context.error(source))?;
                Ok(SampleSet::equal(value, plate))
            }
            _ if can.score.is_some() => self.sampling.draw(context, distribution),
            _ => Err(context.error(DistributionError::Unsupported {
                distribution: distribution.name(),
                problem: "Auto needs a small finite support, reparameterised samples or a support that does not depend on the \
                          parameters, and this distribution has none of them; use MeasureValued if it offers a weak derivative"
                    .into(),
            })),
        }
    }

    fn passes_gradient(&self, path: &Path) -> bool {
        is_open(path)
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, path: &Path) -> Option<Var<'t, F>> {
        match self.choose(distribution) {
            Choice::Enumerated(_) => None,
            Choice::Reparameterized if is_open(path) => None,
            _ => Some(distribution.log_prob(value)),
        }
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let tape = context.tape();
        if context.gradient_function().is_none() || !has_others(tape, context.plate()) {
            return Ok(Terms::default());
        }
        Ok(baseline_terms(tape, LeaveOneOut.baselines(context, distribution)?))
    }

    fn report(&self, distribution: &D::On<'_>, path: &Path) -> Option<String> {
        let score = |reason: String| {
            let others = match self.sampling.plate {
                SamplePlate::New(samples) => samples >= 2,
                SamplePlate::Shared(plate) => distribution.tape().is_ok_and(|tape| has_others(tape, Some(plate))),
                SamplePlate::Single => false,
            };
            format!("score function{}: {reason}", if others { " with leave-one-out" } else { "" })
        };
        Some(match self.choose(distribution) {
            Choice::Enumerated(joint) => format!("enumeration of {joint} joint states"),
            Choice::Reparameterized if is_open(path) => "pathwise: every path from the value is free of jumps".into(),
            Choice::Reparameterized => score(match &path.through {
                Some((what, at)) => format!("a path from the value goes through {what} ({at})"),
                None => "a path from the value jumps".into(),
            }),
            Choice::Independent => {
                score(format!("{} has no small finite support and is not reparameterised", distribution.name()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::enumeration::enumerate::Enumerate;
    use crate::pathwise::Pathwise;
    use crate::score_function::ScoreFunction;
    use std::sync::Arc;
    use stochgrad_check::{Oracle, StatisticalTest};
    use stochgrad_distributions::{Bernoulli, Gamma, Id, Normal, Poisson, Uniform};
    use stochgrad_graph::{DynMethod, Gradients, Graph, GraphError, Seed};
    use stochgrad_tensor::Tensor;

    type Normals = DynMethod<f64, Normal<Id>>;
    type Bits = DynMethod<f64, Bernoulli<Id>>;

    fn normal(method: &Normals, jump: bool) -> Gradients<f64> {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(9));
        let (mu, log_scale) = (graph.param("mu", [0.5, -0.1]).unwrap(), graph.param("log_scale", 0.2).unwrap());
        let x = graph.sample("x", &Normal::from_log_scale(mu, log_scale), method).unwrap();
        let cost = if jump { x + x.step() * 3.0 } else { x.square() };
        graph.cost("cost", cost.sum() * mu.sum()).unwrap();
        graph.backward().unwrap()
    }

    fn equal(left: &Gradients<f64>, right: &Gradients<f64>) {
        for ((name, left), (_, right)) in left.iter().zip(right.iter()) {
            for (left, right) in left.as_slice().iter().zip(right.as_slice()) {
                assert!((left - right).abs() <= 1e-12 * right.abs().max(1.0), "{name}: {left} and {right}");
                assert_ne!(*left, 0.0);
            }
        }
    }

    #[test]
    fn a_smooth_path_is_differentiated_pathwise_and_only_so() {
        equal(
            &normal(&(Arc::new(Auto::new().samples(3)) as Normals), false),
            &normal(&(Arc::new(Pathwise::new().samples(3)) as Normals), false),
        );
    }

    #[test]
    fn a_jump_closes_the_gate_and_only_the_score_function_is_used() {
        let (auto, score): (Normals, Normals) = (Arc::new(Auto::new()), Arc::new(ScoreFunction::new()));
        equal(&normal(&auto, true), &normal(&score, true));
        let auto: Normals = Arc::new(Auto::new().samples(3));
        let score: Normals = Arc::new(ScoreFunction::new().samples(3).baseline(LeaveOneOut));
        equal(&normal(&auto, true), &normal(&score, true));
    }

    #[test]
    fn the_gradient_through_a_jump_is_the_known_one() {
        let model = |graph: &Graph<'_, f64>| {
            let mu = graph.param("mu", 0.5)?;
            let x = graph.sample("x", &Normal::new(mu, 1.0), &Auto::new().samples(4))?;
            graph.cost("cost", x + x.step() * 3.0)
        };
        StatisticalTest::new().runs(8000).check(model, &[("mu", Tensor::scalar(2.056_196))]).unwrap();
    }

    #[test]
    fn few_states_are_enumerated_and_many_are_not() {
        let report = |auto: Auto, bits: usize| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(2));
            let logits = graph.param("logits", vec![0.3; bits]).unwrap();
            let b = graph.sample("b", &Bernoulli::from_logits(logits), &auto).unwrap();
            graph.cost("cost", b.sum().square()).unwrap();
            graph.backward().unwrap().reports()[0].1.clone()
        };
        assert_eq!(report(Auto::new(), 6), "enumeration of 64 joint states");
        assert!(report(Auto::new(), 7).starts_with("score function: Bernoulli"), "{}", report(Auto::new(), 7));
        assert!(report(Auto::new().samples(4), 7).starts_with("score function with leave-one-out: Bernoulli"));
        assert_eq!(report(Auto::new().limit(128), 7), "enumeration of 128 joint states");
        assert!(report(Auto::new(), 200).starts_with("score function: Bernoulli"));
    }

    #[test]
    fn the_report_names_the_jump() {
        let reports = |jump| normal(&(Arc::new(Auto::new()) as Normals), jump).reports().to_vec();
        assert_eq!(
            reports(false),
            [("x".to_string(), "pathwise: every path from the value is free of jumps".to_string())]
        );
        let report = &reports(true)[0].1;
        assert!(
            report.starts_with("score function: ") && report.contains("Step") && report.contains("auto.rs"),
            "{report}"
        );
    }

    #[test]
    fn every_order_is_exact() {
        let methods: [Bits; 3] =
            [Arc::new(Auto::new()), Arc::new(Auto::new().limit(1)), Arc::new(Auto::new().limit(1).samples(2))];
        for first in &methods {
            for second in &methods {
                let model = |graph: &Graph<'_, f64>| {
                    let t = graph.param("t", 0.3)?;
                    let x = graph.sample("x", &Bernoulli::from_logits(t), first)?;
                    let y = graph.sample("y", &Bernoulli::from_logits(t * x + 0.25 + t / 3.0), second)?;
                    graph.cost("cost", (x - 2.0 * y + 1.0).square() + t * x * y)
                };
                Oracle::new().verify(model, 0..=3, 1e-9).unwrap();
            }
        }
        let mixed = |graph: &Graph<'_, f64>| {
            let (t, s) = (graph.param("t", 0.3)?, graph.param("s", -0.2)?);
            let x = graph.sample("x", &Normal::new(t, 1.0), &Auto::new())?;
            let b = graph.sample("b", &Bernoulli::from_logits(s), &Auto::new())?;
            let y = graph.sample("y", &Normal::new(x * b + s, 0.5), &Auto::new())?;
            graph.cost("cost", (y - t * b).square())
        };
        Oracle::new().nodes(4).verify(mixed, 0..=2, 1e-9).unwrap();
    }

    #[test]
    fn nodes_are_drawn_again_in_a_replay() {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let b = graph.sample("b", &Bernoulli::from_logits(t), &MeasureValued::new())?;
            let c = graph.sample("c", &Bernoulli::from_logits(b - t), &Auto::new())?;
            let x = graph.sample("x", &Normal::new(b * 2.0 + t, 1.0), &Auto::new())?;
            let y = graph.sample("y", &Normal::new(x * c, 0.5), &Auto::new())?;
            graph.cost("cost", (y + b).square())
        };
        Oracle::new().nodes(4).verify(model, 0..=1, 1e-9).unwrap();
    }

    #[test]
    fn countable_distributions_use_the_score_function() {
        let model = |graph: &Graph<'_, f64>| {
            let rate = graph.param("rate", 0.8)?;
            let n = graph.sample("n", &Poisson::from_rate(rate), &Auto::new())?;
            graph.cost("cost", (n - 1.0).square() * rate)
        };
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
    }

    fn order_of(record: impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>, parameter: &str) -> GraphResult<Order> {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(2));
        record(&graph)?;
        Ok(graph.backward()?.guarantee(parameter)?.order)
    }

    #[test]
    fn kinks_cap_the_order() {
        let kink = |graph: &Graph<'_, f64>| {
            let x = graph.sample("x", &Normal::new(graph.param("mu", 0.5)?, 1.0), &Auto::new())?;
            graph.cost("cost", x.relu())
        };
        assert_eq!(order_of(kink, "mu"), Ok(Order::Finite(1)));
        let implicit = |graph: &Graph<'_, f64>| {
            let x = graph.sample("x", &Gamma::new(graph.param("shape", 2.0)?, 1.0), &Auto::new())?;
            graph.cost("cost", x.square())
        };
        assert_eq!(order_of(implicit, "shape"), Ok(Order::Finite(1)));
        let jump = |graph: &Graph<'_, f64>| {
            let x = graph.sample("x", &Gamma::new(graph.param("shape", 2.0)?, 1.0), &Auto::new())?;
            graph.cost("cost", (x - 1.0).step())
        };
        assert_eq!(order_of(jump, "shape"), Ok(Order::Any));
    }

    #[test]
    fn where_nothing_applies_it_says_so() {
        let uniform = |jump: bool| {
            move |graph: &Graph<'_, f64>| {
                let x =
                    graph.sample("x", &Uniform::new(graph.constant(0.0), graph.param("high", 2.0)?), &Auto::new())?;
                graph.cost("cost", if jump { (x - 0.5).step() } else { x.square() })
            }
        };
        assert_eq!(order_of(uniform(false), "high"), Ok(Order::Any));
        let error = order_of(uniform(true), "high").unwrap_err();
        assert!(matches!(error, GraphError::Refused { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.contains("Step") && message.contains("Uniform") && message.contains("MeasureValued"),
            "{message}"
        );
    }

    #[test]
    fn enumeration_is_that_of_the_method() {
        let gradient = |method: &Bits| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(2));
            let logits = graph.param("logits", [0.3, -0.4]).unwrap();
            let b = graph.sample("b", &Bernoulli::from_logits(logits), method).unwrap();
            graph.cost("cost", (b.sum() - 0.3).square()).unwrap();
            graph.backward().unwrap()
        };
        equal(&gradient(&(Arc::new(Auto::new()) as Bits)), &gradient(&(Arc::new(Enumerate::new()) as Bits)));
    }
}
