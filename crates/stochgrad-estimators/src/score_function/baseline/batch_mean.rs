//! The mean cost of all other members of the batch. Use it for batches of data, also with a single sample for each
//! member, when their costs are of similar size.
//!
//! $$b_{n,k} = \frac{1}{N K - 1} \sum_{(m,j) \ne (n,k)} f_m(x_{m,j})$$
//!
//! for $N$ data members with $K \ge 1$ samples each: images serve as baselines of one another. The member itself is
//! left out; with it, the gradient would be too small by the factor $1 - 1/(NK)$. It is unbiased at every order,
//! whatever the costs of the other members are, and helps as far as they are similar.
//!
//! Only independent members are used: along the plate of an antithetic pair, of a sampling scheme or of enumerated
//! states, a member is compared with those at the same position. A cost that depends on several members jointly is
//! compared with the costs of the other groups of members.

use super::members::{independent_plates, sum_of_others};
use super::{Baseline, Baselines, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult};
use stochgrad_tensor::Real;

/// The mean cost of all other independent members: those of the data, the node's own samples, and shared samples.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{BatchMean, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let weight = graph.param("weight", 0.3)?;
/// let images = graph.data("images", [0.5, -1.0, 2.0])?;
/// let method = ScoreFunction::new().baseline(BatchMean);
/// let bits = graph.sample("bits", &Bernoulli::from_logits(weight * images), &method)?;
/// graph.cost("loss", (bits - images).square())?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchMean;

impl Memory for BatchMean {
    fn name(&self) -> Option<String> {
        Some("batch mean".into())
    }

    fn sees_other_members(&self) -> bool {
        true
    }
}

impl<F: Real> Baseline<F> for BatchMean {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        _distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let plates = independent_plates(context);
        if plates.is_empty() {
            return Err(context.refused(
                "the batch mean needs a plate of independent members: data, or samples (.samples(2) or more, \
                 .on_plate(plate)); use another baseline for a node with a single member",
            ));
        }
        // In a batch with a single member there is no other one.
        let others = context.totals()?.into_iter().filter_map(|cost| {
            let (sum, count) = sum_of_others(cost.value, &plates)?;
            Some((cost, sum * (1.0 / count as f64)))
        });
        Ok(Baselines::new(others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antithetic::disarm::DisArm;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::LeaveOneOut;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::{CheckError, Oracle};
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    /// The mean that includes the member itself.
    #[derive(Clone)]
    struct OwnIncluded;

    impl Memory for OwnIncluded {
        fn name(&self) -> Option<String> {
            Some("own included".into())
        }
    }

    impl Baseline<f64> for OwnIncluded {
        fn baselines<'t>(
            &self,
            context: &CostContext<'_, 't, f64>,
            _distribution: &dyn Distribution<'t, f64>,
        ) -> GraphResult<Baselines<'t, f64>> {
            let mean = |value: stochgrad_tape::Var<'t, f64>| {
                value.plates().iter().fold(value, |mean, &plate| mean.mean_over(plate))
            };
            Ok(Baselines::new(context.totals()?.into_iter().map(|cost| {
                let mean = mean(cost.value);
                (cost, mean)
            })))
        }
    }

    #[test]
    fn data_and_samples_are_exact_at_every_order() {
        for samples in [1, 2] {
            let method: BitMethod = Arc::new(ScoreFunction::new().samples(samples).baseline(BatchMean));
            let plain: BitMethod = Arc::new(ScoreFunction::new());
            let one = |graph: &Graph<'_, f64>| models::on_data(graph, &method, &plain);
            Oracle::new().verify(one, 0..=4 - samples, 1e-9).unwrap();
            let bound = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", 0.3)?;
                let features = graph.data("data", [0.5, -1.5])?;
                let x = graph.sample("x", &Bernoulli::from_logits(t * features), &method)?;
                let plate = graph.plate_named("x").expect("the samples");
                graph.cost("bound", -(x * 1.3 - t * x * features).log_mean_exp_over(plate))?;
                graph.cost("mixed", (x + x.mean_over(features.plates()[0])).square())
            };
            Oracle::new().verify(bound, 0..=3 - samples, 1e-9).unwrap();
        }
        let two: BitMethod = Arc::new(ScoreFunction::new().samples(2).baseline(BatchMean));
        let one: BitMethod = Arc::new(ScoreFunction::new().samples(1).baseline(BatchMean));
        models::assert_exact([&two, &one, &one], 2, false);
    }

    #[test]
    fn members_that_share_their_noise_are_not_compared() {
        // Two nodes below an antithetic pair, for each of two images.
        let below: BitMethod = Arc::new(ScoreFunction::new().baseline(BatchMean));
        let pair: BitMethod = Arc::new(DisArm::new());
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.8])?;
            let features = graph.data("data", [0.5, -1.5])?;
            let x = graph.sample("x", &Bernoulli::from_logits(t.index(0, 0) * features), &pair)?;
            let y = graph.sample("y", &Bernoulli::from_logits(t.index(0, 1) + x * features), &below)?;
            graph.cost("cost", (x + y * features * 2.0 - 0.3).square())
        };
        Oracle::new().nodes(2).verify(model, 0..=1, 1e-9).unwrap();
    }

    #[test]
    fn with_the_own_member_it_is_found_to_be_biased() {
        let plain: BitMethod = Arc::new(ScoreFunction::new());
        let wrong: BitMethod = Arc::new(ScoreFunction::new().baseline(OwnIncluded));
        let error = Oracle::new()
            .verify(|graph: &Graph<'_, f64>| models::on_data(graph, &wrong, &plain), 0..=1, 1e-9)
            .unwrap_err();
        assert!(matches!(error, CheckError::Expectation { order: 1, .. }), "{error}");
    }

    #[test]
    fn of_one_node_with_several_samples_it_is_leave_one_out() {
        let batch: BitMethod = Arc::new(ScoreFunction::new().samples(4).baseline(BatchMean));
        let leave_one_out: BitMethod = Arc::new(ScoreFunction::new().samples(4).baseline(LeaveOneOut));
        assert_eq!(models::moments(&batch, 0.45, 0.1), models::moments(&leave_one_out, 0.45, 0.1));
        models::assert_variance(&batch, 0.45, 0.1, 1.575e-4);
        models::assert_compiled(&batch);
    }

    #[test]
    fn images_are_baselines_of_one_another() {
        let variance = |method: &BitMethod| {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", 0.2)?;
                let features = graph.data("data", [1.0, 1.1, 0.9, 1.2])?;
                let x = graph.sample("x", &Bernoulli::from_logits(t * features), method)?;
                graph.cost("cost", (x - 0.45).square() + 3.0)
            };
            Oracle::new().gradient(model).unwrap().variance("t").unwrap().item().unwrap()
        };
        let plain = variance(&(Arc::new(ScoreFunction::new()) as BitMethod));
        let batch = variance(&(Arc::new(ScoreFunction::new().baseline(BatchMean)) as BitMethod));
        assert!(batch < 1e-3 * plain, "{batch}, {plain} without");
    }

    #[test]
    fn a_single_member_is_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let bit = Bernoulli::from_logits(graph.param("t", 0.3).unwrap());
        let x = graph.sample("x", &bit, &ScoreFunction::new().baseline(BatchMean)).unwrap();
        graph.cost("cost", x).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("\"x\"") && error.contains(".samples(2)"), "{error}");
    }
}
