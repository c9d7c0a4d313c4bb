//! A separate baseline for each cost. Use it with a learned or fitted baseline if the costs differ in size or in what
//! they depend on.
//!
//! Most baselines use the total of the costs downstream. With `EachCost`, the network, the coefficient and the running
//! mean are those of each single cost. By linearity the sum of the baselines is a baseline of the sum.

use super::{Baseline, Baselines, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult, MethodSlots, Profile};
use stochgrad_tensor::Real;

/// A separate baseline for each cost downstream, or for each part of a cost.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{EachCost, OptimalBaseline, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let method = ScoreFunction::new().baseline(EachCost::new(OptimalBaseline::new(0.9)));
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &method)?;
/// graph.cost("loss", (bits - 0.499).square().sum())?;
/// graph.cost("length", bits.sum())?;
/// graph.backward()?.advance();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct EachCost<B> {
    baseline: B,
    parts: bool,
}

impl<B> EachCost<B> {
    /// A baseline for each named cost.
    pub fn new(baseline: B) -> Self {
        EachCost { baseline, parts: false }
    }

    /// Uses a separate baseline for each part of a cost. A cost that is a sum of averages over plates has several
    /// parts.
    pub fn parts(self) -> Self {
        EachCost { parts: true, ..self }
    }
}

impl<B: Memory> Memory for EachCost<B> {
    fn name(&self) -> Option<String> {
        let each = if self.parts { "for each part of a cost" } else { "for each cost" };
        self.baseline.name().map(|name| format!("{name} {each}"))
    }

    fn profile(&self) -> Profile {
        self.baseline.profile()
    }

    fn check(&self, members: usize) -> Result<(), String> {
        self.baseline.check(members)
    }

    fn check_groups(&self, groups: usize) -> Result<(), String> {
        self.baseline.check_groups(groups)
    }

    fn by_member(&self) -> bool {
        self.baseline.by_member()
    }

    fn sees_other_members(&self) -> bool {
        self.baseline.sees_other_members()
    }

    fn slots(&self) -> MethodSlots {
        self.baseline.slots()
    }
}

impl<F: Real, B: Baseline<F>> Baseline<F> for EachCost<B> {
    fn check_distribution(&self, distribution: &dyn Distribution<'_, F>) -> Result<(), String> {
        self.baseline.check_distribution(distribution)
    }

    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let parts = context.cost_parts();
        let mut baselines = Baselines::default();
        for (first, (name, part)) in parts.iter().enumerate() {
            let begun = !self.parts && parts[..first].iter().any(|(before, _)| before == name);
            if begun {
                continue;
            }
            let one = match self.parts {
                true => context.restricted(&format!("{name} / part {part}"), &|number| number == first),
                false => context.restricted(name, &|number| parts[number].0 == *name),
            };
            baselines.extend(self.baseline.baselines(&one, distribution)?);
        }
        Ok(baselines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::Constant;
    use crate::score_function::baseline::LeaveOneOut;
    use crate::score_function::baseline::MovingAverage;
    use crate::score_function::baseline::OptimalBaseline;
    use crate::score_function::baseline::SelfCritical;
    use crate::score_function::baseline::Vimco;
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, Method, Seed};
    use stochgrad_tape::Tape;

    #[test]
    fn every_shape_of_graph_is_exact_at_every_order() {
        let each = |parts: bool| {
            let each = EachCost::new(SelfCritical);
            let each = if parts { each.parts() } else { each };
            Arc::new(ScoreFunction::new().baseline(each)) as BitMethod
        };
        let vimco: BitMethod = Arc::new(ScoreFunction::new().samples(2).baseline(EachCost::new(Vimco::new())));
        models::assert_exact([&each(false), &each(true), &vimco], 2, false);
        for method in [each(true), vimco] {
            Oracle::new()
                .verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &method), 0..=2, 1e-9)
                .unwrap();
        }
    }

    #[test]
    fn of_baselines_that_are_linear_in_the_cost_it_is_the_sum() {
        let leave_one_out: BitMethod = Arc::new(ScoreFunction::new().samples(3).baseline(LeaveOneOut));
        let each: BitMethod = Arc::new(ScoreFunction::new().samples(3).baseline(EachCost::new(LeaveOneOut).parts()));
        let gradient = |method: &BitMethod| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(11));
            models::fork(&graph, method, method, method).unwrap();
            graph.backward().unwrap().get("t").unwrap().to_vec()
        };
        for (one, other) in gradient(&leave_one_out).iter().zip(gradient(&each)) {
            assert_abs_diff_eq!(*one, other, epsilon = 1e-13);
        }
    }

    #[test]
    fn a_constant_is_subtracted_once_for_each_cost_or_part() {
        let variance = |each: EachCost<Constant>| {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", 0.3)?;
                let x = graph.sample("x", &Bernoulli::from_logits(t), &ScoreFunction::new().baseline(each))?;
                let data = graph.data("data", [1.0, -1.0])?;
                let mean = (x * data).mean_over(data.plates()[0]);
                graph.cost("one", x * 0.0 + 5.0)?;
                graph.cost("two", x * 0.0 + 5.0 + mean * 0.0)
            };
            Oracle::new().gradient(model).unwrap().variance("t").unwrap().item().unwrap()
        };
        assert!(variance(EachCost::new(Constant(5.0))) < 1e-20);
        assert!(variance(EachCost::new(Constant(5.0)).parts()) > 0.1);
    }

    #[test]
    fn the_memory_of_each_cost_is_its_own() {
        let method = ScoreFunction::new().baseline(EachCost::new(OptimalBaseline::new(0.9)));
        let averages = ScoreFunction::new().baseline(EachCost::new(MovingAverage::new(0.9)));
        let step = |method: &BitMethod| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(11));
            let plain: BitMethod = Arc::new(ScoreFunction::new());
            models::two_costs(&graph, method, &plain).unwrap();
            graph.backward().unwrap().advance();
        };
        step(&(Arc::new(method.clone()) as BitMethod));
        step(&(Arc::new(averages.clone()) as BitMethod));
        let owners = |method: &dyn Method| -> Vec<String> {
            let state = method.state();
            let weights = state.keys().filter_map(|name| name.strip_suffix(" / weight"));
            weights.map(str::to_owned).collect()
        };
        assert_eq!(owners(&method), ["x1 / early", "x1 / late"]);
        assert_eq!(owners(&averages), ["x1 / early / early", "x1 / late / late"]);
    }
}
