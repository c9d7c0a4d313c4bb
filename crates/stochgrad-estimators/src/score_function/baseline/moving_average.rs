//! An exponential moving average of past costs. Use it for a node with a single sample; it costs nothing.
//!
//! $$w_{t+1} = \beta\, w_t + 1 - \beta, \quad b_{t+1} = b_t + \frac{1 - \beta}{w_{t+1}}\, (\bar f_t - b_t),$$
//!
//! with $b_0 = w_0 = 0$ and the mean $\bar f_t$ of the cost in step $t$. The current cost must not be part of the
//! baseline: with $N$ samples the gradient would be too small by a factor of about $1 - (1 - \beta)/N$. The average is
//! therefore updated at the end of the step.

use super::{Baseline, Baselines, CostBaseline, Memory};
use crate::common::running_means::{RunningMeans, WEIGHT};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult, MethodSlots, SlotDomain, SlotPart};
use stochgrad_tensor::Real;

const MEAN: SlotPart = SlotPart { name: "mean", domain: SlotDomain::Finite };
const PARTS: &[SlotPart] = &[MEAN, WEIGHT];

/// The moving average of each cost over past steps, for each node. Clones share the averages.
///
/// The averages change only when the user calls [`Gradients::advance`](stochgrad_graph::Gradients::advance).
#[derive(Clone, Debug)]
pub struct MovingAverage {
    means: RunningMeans,
}

impl MovingAverage {
    /// An average in which the cost `n` steps ago has the weight `decayⁿ`, with a decay in [0, 1).
    pub fn new(decay: f64) -> Self {
        MovingAverage { means: RunningMeans::new(decay, PARTS) }
    }
}

impl Memory for MovingAverage {
    fn name(&self) -> Option<String> {
        Some(format!("moving average, decay {}", self.means.decay))
    }

    fn check(&self, _members: usize) -> Result<(), String> {
        self.means.check()
    }

    fn slots(&self) -> MethodSlots {
        self.means.slots()
    }
}

impl<F: Real> Baseline<F> for MovingAverage {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        _distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let label = context.label();
        let mut baselines = Baselines::default();
        let costs = context.costs()?;
        for (index, cost) in costs.iter().enumerate() {
            // The parts of a cost may depend on different members jointly, so that each part has its own average.
            let part = costs[..index].iter().filter(|before| before.name == cost.name).count();
            let key = if part == 0 {
                format!("{label} / {}", cost.name)
            } else {
                format!("{label} / {} / {part}", cost.name)
            };
            let before = self.means.mean(context.tape(), &key, MEAN.name, []);
            match baselines.values.iter_mut().find(|known| known.cost.joint == cost.joint) {
                Some(known) => known.value = known.value + before,
                None => baselines.values.push(CostBaseline::new(cost.clone(), before)),
            }
            baselines.updates.extend(self.means.updates(&key, &[(MEAN.name, cost.value)]));
        }
        Ok(baselines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::Constant;
    use stochgrad_check::{CheckError, Oracle};
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, GraphError, Method, MethodState, Seed};
    use stochgrad_tape::Tape;

    fn model<B: Baseline<f64> + Clone + 'static>(
        method: &ScoreFunction<B>,
    ) -> impl Fn(&Graph<'_, f64>) -> GraphResult<()> {
        move |graph| {
            let t = graph.param("t", 0.3)?;
            let x = graph.sample("x", &Bernoulli::from_logits(t), method)?;
            graph.cost("a", (x - 2.0).square())?;
            graph.cost("b", x * 5.0)
        }
    }

    /// Means with their weights.
    fn state(numbers: [(&str, [f64; 2]); 2]) -> MethodState {
        let parts = |(key, [mean, weight]): (&str, [f64; 2])| {
            [(MEAN, mean), (WEIGHT, weight)].map(|(part, x)| (format!("{key} / {}", part.name), vec![x]))
        };
        numbers.into_iter().flat_map(parts).collect()
    }

    /// A moving average that includes the current cost before it is used.
    #[derive(Clone)]
    struct Greedy(MovingAverage);

    impl Memory for Greedy {
        fn name(&self) -> Option<String> {
            Some("greedy".into())
        }
    }

    impl Baseline<f64> for Greedy {
        fn baselines<'t>(
            &self,
            context: &CostContext<'_, 't, f64>,
            distribution: &dyn Distribution<'t, f64>,
        ) -> GraphResult<Baselines<'t, f64>> {
            let before = self.0.state();
            for update in self.0.baselines(context, distribution)?.updates {
                update.slot.write(update.value.inspect()?.as_slice());
            }
            let values = self.0.baselines(context, distribution)?.values;
            self.0.load_state(&before)?;
            Ok(Baselines { values, ..Baselines::default() })
        }
    }

    #[test]
    fn an_average_with_the_current_cost_is_found_to_be_biased() {
        let average = MovingAverage::new(0.9);
        average.load_state(&state([("x / a", [1.6, 0.5]), ("x / b", [2.2, 0.5])])).unwrap();
        let right = ScoreFunction::new().samples(2).baseline(average.clone());
        Oracle::new().verify(model(&right), 0..=3, 1e-9).unwrap();
        let wrong = ScoreFunction::new().samples(2).baseline(Greedy(average));
        let error = Oracle::new().verify(model(&wrong), 0..=1, 1e-9).unwrap_err();
        assert!(matches!(error, CheckError::Expectation { order: 1, .. }), "{error}");
    }

    #[test]
    fn the_memory_moves_on_only_when_told() {
        let average = MovingAverage::new(0.75);
        let method = ScoreFunction::new().samples(3).baseline(average.clone());
        let mut costs = Vec::new();
        for step in 0..3 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(5).step(step));
            model(&method)(&graph).unwrap();
            let before = average.state();
            graph.surrogate().unwrap();
            assert_eq!(average.state(), before);
            let gradients = graph.backward().unwrap();
            costs.push(gradients.cost("a").unwrap());
            assert_eq!(average.state(), before);
            gradients.advance();
            assert_ne!(average.state(), before);
        }
        let sum = costs.iter().fold(0.0, |sum, cost| 0.75 * sum + 0.25 * cost);
        let weight = 1.0 - 0.75_f64.powi(3);
        let found = average.state();
        let names = ["x / a / mean", "x / a / weight", "x / b / mean", "x / b / weight"];
        assert_eq!(found.keys().collect::<Vec<_>>(), names);
        assert!((found[names[0]][0] - sum / weight).abs() < 1e-12 && (found[names[1]][0] - weight).abs() < 1e-12);
    }

    #[test]
    fn the_average_is_the_sum_over_the_costs() {
        let gradient = |method: &dyn Fn(&Graph<'_, f64>) -> GraphResult<()>| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(11));
            method(&graph).unwrap();
            graph.backward().unwrap().get("t").unwrap().item().unwrap()
        };
        let average = MovingAverage::new(0.9);
        average.load_state(&state([("x / a", [1.6, 0.5]), ("x / b", [2.2, 0.5])])).unwrap();
        let moving = gradient(&model(&ScoreFunction::new().baseline(average)));
        let constant = gradient(&model(&ScoreFunction::new().baseline(Constant(3.8))));
        let none = gradient(&model(&ScoreFunction::new()));
        assert!((moving - constant).abs() < 1e-14 && (moving - none).abs() > 0.1, "{moving} {constant} {none}");
    }

    #[test]
    fn the_first_step_has_no_baseline() {
        let plain = Oracle::new().gradient(model(&ScoreFunction::new())).unwrap();
        let first = Oracle::new().gradient(model(&ScoreFunction::new().baseline(MovingAverage::new(0.9)))).unwrap();
        assert_eq!(plain.variance("t").unwrap(), first.variance("t").unwrap());
    }

    #[test]
    fn state_goes_round_and_nonsense_is_refused() {
        let average = MovingAverage::new(0.9);
        let saved = state([("x / a", [1.6, 0.5]), ("x / b", [2.2, 0.5])]);
        let method = ScoreFunction::new().baseline(average);
        method.load_state(&saved).unwrap();
        assert_eq!(method.state(), saved);
        for wrong in [[f64::NAN, 0.5], [1.0, 1.5]] {
            assert!(matches!(
                method.load_state(&state([("x / a", wrong), ("x / b", [0.0, 0.0])])),
                Err(GraphError::State { .. })
            ));
            assert_eq!(method.state(), saved);
        }
        assert!(matches!(ScoreFunction::new().load_state(&saved), Err(GraphError::State { .. })));
    }
}
