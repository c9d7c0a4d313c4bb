//! A chosen baseline for each cost, by the name of the cost. Use it if the costs are of different kinds: a closed-form
//! divergence needs no baseline, a reconstruction error a learned one, and a bound over several samples VIMCO.
//!
//! By linearity the gradient has the bias and the order of the worst of the baselines.

use super::{Baseline, Baselines, DynBaseline, Memory};
use std::sync::Arc;
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, Count, GraphResult, MethodSlots, Order, Profile};
use stochgrad_tensor::Real;

/// Baselines by the names of costs, and one for the total of all other costs. A name without a cost downstream has no
/// effect.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{LeaveOneOut, NoBaseline, PerCost, ScoreFunction, SelfCritical};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let baselines = PerCost::new(LeaveOneOut).cost("reconstruction", SelfCritical).cost("penalty", NoBaseline);
/// let method = ScoreFunction::new().samples(2).baseline(baselines);
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &method)?;
/// graph.cost("reconstruction", (bits - 0.499).square().sum())?;
/// graph.cost("penalty", bits.sum() * 0.1)?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PerCost<F: Real> {
    /// The names of costs and their baselines. The baseline of all other costs is the first, without a name.
    entries: Vec<(Option<String>, DynBaseline<F>)>,
}

impl<F: Real> PerCost<F> {
    /// The baseline of the total of all costs that are not named.
    pub fn new(otherwise: impl Baseline<F> + 'static) -> Self {
        PerCost { entries: vec![(None, Arc::new(otherwise))] }
    }

    /// Sets the baseline of the cost with this name, and replaces an earlier one.
    pub fn cost(mut self, name: impl Into<String>, baseline: impl Baseline<F> + 'static) -> Self {
        let name = Some(name.into());
        self.entries.retain(|(known, _)| *known != name);
        self.entries.push((name, Arc::new(baseline)));
        self
    }

    /// The prefix of the state of an entry.
    fn prefix(name: Option<&String>) -> String {
        match name {
            Some(name) => format!("cost {name}: "),
            None => "other costs: ".into(),
        }
    }
}

impl<F: Real> std::fmt::Debug for PerCost<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PerCost").field(&self.name()).finish()
    }
}

impl<F: Real> Memory for PerCost<F> {
    fn name(&self) -> Option<String> {
        let named = |(name, baseline): &(Option<String>, DynBaseline<F>)| {
            let baseline = baseline.name().unwrap_or_else(|| "no baseline".into());
            match name {
                Some(name) => format!("{baseline} for {name}"),
                None => baseline,
            }
        };
        Some(self.entries.iter().map(named).collect::<Vec<_>>().join(", "))
    }

    fn profile(&self) -> Profile {
        let nothing = Profile::unbiased(Order::Any).evaluations(Count::exactly(0));
        self.entries.iter().fold(nothing, |all, (_, baseline)| all.and(baseline.profile()))
    }

    fn check(&self, members: usize) -> Result<(), String> {
        self.entries.iter().try_for_each(|(_, baseline)| baseline.check(members))
    }

    fn check_groups(&self, groups: usize) -> Result<(), String> {
        self.entries.iter().try_for_each(|(_, baseline)| baseline.check_groups(groups))
    }

    fn by_member(&self) -> bool {
        self.entries.iter().any(|(_, baseline)| baseline.by_member())
    }

    fn sees_other_members(&self) -> bool {
        self.entries.iter().any(|(_, baseline)| baseline.sees_other_members())
    }

    fn slots(&self) -> MethodSlots {
        let of_entry =
            |(name, baseline): &(Option<String>, DynBaseline<F>)| baseline.slots().under(&Self::prefix(name.as_ref()));
        self.entries.iter().map(of_entry).fold(MethodSlots::default(), MethodSlots::and)
    }
}

impl<F: Real> Baseline<F> for PerCost<F> {
    fn check_distribution(&self, distribution: &dyn Distribution<'_, F>) -> Result<(), String> {
        self.entries.iter().try_for_each(|(_, baseline)| baseline.check_distribution(distribution))
    }

    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let parts = context.cost_parts();
        let is_named = |cost: &String| self.entries.iter().any(|(name, _)| name.as_ref() == Some(cost));
        let mut baselines = Baselines::default();
        for (name, baseline) in &self.entries {
            let keep = |number: usize| match name {
                Some(name) => parts[number].0 == *name,
                None => !is_named(&parts[number].0),
            };
            if (0..parts.len()).any(keep) {
                let label = name.as_deref().unwrap_or("other costs");
                baselines.extend(baseline.baselines(&context.restricted(label, &keep), distribution)?);
            }
        }
        Ok(baselines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::BatchMean;
    use crate::score_function::baseline::Constant;
    use crate::score_function::baseline::FreshSample;
    use crate::score_function::baseline::LeaveOneOut;
    use crate::score_function::baseline::MovingAverage;
    use crate::score_function::baseline::MuProp;
    use crate::score_function::baseline::NoBaseline;
    use crate::score_function::baseline::Normalized;
    use crate::score_function::baseline::Nvil;
    use crate::score_function::baseline::OptimalBaseline;
    use crate::score_function::baseline::SelfCritical;
    use crate::score_function::baseline::Vimco;
    use crate::testing::models::{self, BitMethod};
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Bias, Graph, Method, Seed};
    use stochgrad_tape::Tape;

    #[test]
    fn mixtures_are_exact_at_every_order() {
        let method = |samples: usize, baselines: PerCost<f64>| {
            Arc::new(ScoreFunction::new().samples(samples).baseline(baselines)) as BitMethod
        };
        let first = method(1, PerCost::new(FreshSample).cost("early", SelfCritical).cost("of both", Constant(0.7)));
        let second = method(1, PerCost::new(MuProp::new()).cost("late", SelfCritical).cost("of left", BatchMean));
        let third = method(2, PerCost::new(LeaveOneOut).cost("bound", Vimco::new()).cost("each", MuProp::new()));
        models::assert_exact([&first, &second, &third], 2, false);
        for method in [third, first] {
            Oracle::new()
                .verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &method), 0..=2, 1e-9)
                .unwrap();
        }
    }

    #[test]
    fn each_cost_gets_its_own() {
        let variance = |baselines: PerCost<f64>| {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", 0.3)?;
                let method = ScoreFunction::new().baseline(baselines.clone());
                let x = graph.sample("x", &Bernoulli::from_logits(t), &method)?;
                graph.cost("one", x * 0.0 + 5.0)?;
                graph.cost("two", x * 0.0 - 3.0)?;
                graph.cost("three", x * 0.0 + 1.5)
            };
            Oracle::new().gradient(model).unwrap().variance("t").unwrap().item().unwrap()
        };
        let right = PerCost::new(Constant(1.5)).cost("one", Constant(2.0)).cost("two", Constant(-3.0));
        assert!(variance(right.clone()) > 0.1);
        assert!(variance(right.cost("one", Constant(5.0)).cost("unknown", Constant(9.0))) < 1e-20);
    }

    #[test]
    fn the_guarantee_is_that_of_the_worst() {
        let baselines = PerCost::new(NoBaseline).cost("a", Normalized::new(NoBaseline, 0.9));
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let t = graph.param("t", 0.3).unwrap();
        let x = graph.sample("x", &Bernoulli::from_logits(t), &ScoreFunction::new().baseline(baselines)).unwrap();
        graph.cost("a", x).unwrap();
        let guarantee = graph.backward().unwrap().guarantee("t").unwrap();
        assert_eq!((guarantee.bias, guarantee.order), (Bias::Gradient, Order::Finite(1)));
    }

    #[test]
    fn state_goes_round_and_nonsense_is_refused() {
        let baselines = || {
            PerCost::new(Nvil::new().hidden(2))
                .cost("early", MovingAverage::new(0.9))
                .cost("late", OptimalBaseline::new(0.9).by_element())
        };
        let (method, other) = (ScoreFunction::new().baseline(baselines()), ScoreFunction::new().baseline(baselines()));
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let dynamic: BitMethod = Arc::new(method.clone());
        models::two_costs(&graph, &dynamic, &dynamic).unwrap();
        let x = graph.sample("x3", &Bernoulli::from_logits(graph.constant(0.2)), &method).unwrap();
        graph.cost("third", x).unwrap();
        graph.backward().unwrap().advance();
        let state = Method::state(&method);
        assert!(state.keys().any(|key| key.starts_with("cost early: ")));
        assert!(state.keys().any(|key| key.starts_with("cost late: ")));
        assert!(state.keys().any(|key| key.starts_with("other costs: ")));
        other.load_state(&state).unwrap();
        assert_eq!(Method::state(&other), state);
        for (key, numbers) in [("cost unknown: x", vec![1.0]), ("cost early: x1 / early / mean", vec![f64::NAN])] {
            let mut wrong = state.clone();
            wrong.insert(key.into(), numbers);
            assert!(matches!(other.load_state(&wrong), Err(stochgrad_graph::GraphError::State { .. })));
            assert_eq!(Method::state(&other), state);
        }
    }
}
