//! OVIS with auxiliary samples: the mean of the factor of each score over further samples in its place. Use it for
//! importance-weighted bounds with few samples, or with weights that differ much, where [`Ovis`](super::Ovis) is not
//! yet close to the best baseline.
//!
//! In the gradient of $\mathcal L(z_1, \dots, z_K) = \ln\frac1K \sum_k w_k$ with respect to the parameters of the
//! samples' distribution, sample $k$ has the score $\nabla \ln q(z_k)$ times $d_k = \mathcal L - v_k$, with $v_k = w_k
//! / \sum_j w_j$. The second part of $d_k$ is the derivative of $\ln w_k$. With $S$ auxiliary samples $z'_s \sim q$,
//! the baseline is
//!
//! $$b_k = \frac1S \sum_{s=1}^S d_k(z_1, \dots, z_{k-1}, z'_s, z_{k+1}, \dots, z_K),$$
//!
//! an unbiased estimate of the mean of $d_k$ given the other samples. Liévin, Dittadi, Christensen and Winther (2020),
//! equation 12. It does not depend on $z_k$, so that the gradient is unbiased at every order.
//!
//! The auxiliary samples are shared by all $k$ whose samples have the same distribution, and each of them is one more
//! evaluation of the weight, by counterfactual replay under the same noise. A node whose distribution depends on
//! another one along the same plate has auxiliary samples of its own for each $k$, given its parents. The weights of
//! all $k$ with all auxiliary samples are a matrix of $S K^2$ numbers.
//!
//! If $\ln q$ is not a part of the log-weight, $-v_k$ does not belong to the factor. The gradient remains unbiased, and
//! its variance may be higher than necessary.

use super::vimco::{baseline_of_each, check_log_sums, left_out_members};
use super::{Baseline, Baselines, LeaveOneOut, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, Count, GraphResult, Order, Profile};
use stochgrad_tape::{Plate, PlateKind, Var};
use stochgrad_tensor::{Real, Tensor};

/// The mean factor of each score over auxiliary samples in its place, for joint costs that take the log-mean-exp of
/// log-weights over the sample plate, and leave-one-out for costs that keep the plate. A cost that reduces the plate in
/// another way (by a sum or a mean) is an error.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Distribution};
/// use stochgrad_estimators::{EvidenceBound, OvisMonteCarlo, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let distribution = Bernoulli::from_logits(graph.param("logits", [0.3, -1.0])?);
/// let samples = graph.plate("samples", 5)?;
/// let method = ScoreFunction::new().on_plate(samples).baseline(OvisMonteCarlo::new(10));
/// let z = graph.sample("z", &distribution, &method)?;
/// EvidenceBound::importance_weighted(samples).record(&graph, "loss", z.sum() * 0.7, distribution.log_prob(z))?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OvisMonteCarlo {
    auxiliary: usize,
}

impl OvisMonteCarlo {
    /// A number of auxiliary samples, at least one. The variance falls as it rises, to that of the mean.
    pub fn new(auxiliary: usize) -> Self {
        OvisMonteCarlo { auxiliary: auxiliary.max(1) }
    }
}

impl Memory for OvisMonteCarlo {
    fn name(&self) -> Option<String> {
        let plural = if self.auxiliary == 1 { "" } else { "s" };
        Some(format!("OVIS, {} auxiliary sample{plural}", self.auxiliary))
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any).evaluations(Count::exactly(self.auxiliary))
    }

    fn check(&self, members: usize) -> Result<(), String> {
        LeaveOneOut.check(members).map_err(|problem| problem.replace("leave-one-out", "OVIS"))
    }

    fn sees_other_members(&self) -> bool {
        true
    }
}

impl<F: Real> Baseline<F> for OvisMonteCarlo {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let mut baselines = LeaveOneOut.baselines(context, distribution)?;
        let Some((plate, l)) = context.plate().zip(context.gradient_function()) else { return Ok(baselines) };
        let own: Vec<Plate> =
            distribution.parameters().iter().flat_map(|parameter| parameter.var.plates().to_vec()).collect();
        let auxiliary = context.tape().plate("auxiliary samples", self.auxiliary, PlateKind::Samples, &own);
        let draw = context.draw_on("auxiliary samples", &[&own[..], &[auxiliary]].concat());
        let drawn = distribution.sample(&draw).map_err(|source| context.error(source))?.stop_gradient();
        let left_out = left_out_members(context, plate);
        let mut changed = context.replayed_reductions(plate, drawn, &|log_weights, again| {
            factor_with(log_weights, again, plate, left_out)
        })?;
        check_log_sums(context, &changed, plate, left_out, "OVIS is the mean of the factor of each score")?;
        for cost in &mut changed {
            // A part that no auxiliary sample affects has no such plate, and is its own mean.
            cost.value = cost.value.mean_over(auxiliary);
        }
        let each = changed.into_iter().map(|cost| baseline_of_each(context, cost, l, plate, left_out));
        baselines.values.extend(each);
        Ok(baselines)
    }
}

/// The log-weights with that of an auxiliary sample in the place of each in turn, shifted so that their log-mean-exp is
/// the factor of the score in this place.
fn factor_with<'t, F: Real>(log_weights: Var<'t, F>, again: Var<'t, F>, plate: Plate, left_out: Plate) -> Var<'t, F> {
    let tape = log_weights.tape();
    let members = tape.plate_size(plate);
    let own = tape.constant_on(&[plate, left_out], Tensor::eye(members));
    let replaced = own.select(again, log_weights);
    let total = replaced.log_mean_exp_over(plate) + (members as f64).ln();
    let own_weight = match again.plates().contains(&plate) {
        true => again.plate_to_event(plate).event_to_plate(left_out),
        false => again,
    };
    replaced - (own_weight - total).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::EvidenceBound;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::{NoBaseline, Ovis, Vimco};
    use crate::testing::models;
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, Normal};
    use stochgrad_graph::{Graph, GraphError, Seed};
    use stochgrad_tape::Tape;

    const LOGITS: [f64; 2] = [0.3, -0.8];
    const SLOPES: [f64; 2] = [1.4, -0.7];
    /// The states of two bits.
    const STATES: [[f64; 2]; 4] = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];

    /// The importance-weighted bound of two bits, whose normalised weights differ.
    fn bound<B: Baseline<f64> + Clone + 'static>(
        graph: &Graph<'_, f64>,
        samples: usize,
        baseline: B,
    ) -> GraphResult<()> {
        let distribution = Bernoulli::from_logits(graph.param("t", LOGITS)?);
        let plate = graph.plate("samples", samples)?;
        let z = graph.sample("z", &distribution, &ScoreFunction::new().on_plate(plate).baseline(baseline))?;
        let log_joint = (z * graph.constant(SLOPES)).sum() - z.index(0, 0) * z.index(0, 1);
        EvidenceBound::importance_weighted(plate).record(graph, "loss", log_joint, distribution.log_prob(z))
    }

    /// The means and variances of the estimates, by the formula, over all outcomes.
    fn by_hand(samples: usize, auxiliary: usize) -> ([f64; 2], [f64; 2]) {
        let p = LOGITS.map(|logit| 1.0 / (1.0 + (-logit).exp()));
        let chance = |z: [f64; 2]| (0..2).map(|i| if z[i] == 1.0 { p[i] } else { 1.0 - p[i] }).product::<f64>();
        let weight = |z: [f64; 2]| (z[0] * SLOPES[0] + z[1] * SLOPES[1] - z[0] * z[1]).exp() / chance(z);
        let factor = |set: &[[f64; 2]], k: usize| {
            let total: f64 = set.iter().map(|&z| weight(z)).sum();
            (total / set.len() as f64).ln() - weight(set[k]) / total
        };
        let (mut first, mut second) = ([0.0; 2], [0.0; 2]);
        for outcome in 0..4_usize.pow((samples + auxiliary) as u32) {
            let all: Vec<[f64; 2]> =
                (0..samples + auxiliary).map(|at| STATES[outcome / 4_usize.pow(at as u32) % 4]).collect();
            let probability: f64 = all.iter().map(|&z| chance(z)).product();
            let (set, others) = all.split_at(samples);
            let mut gradient = [0.0; 2];
            for k in 0..samples {
                let mut replaced = set.to_vec();
                let mut baseline = 0.0;
                for &other in others {
                    replaced[k] = other;
                    baseline += factor(&replaced, k) / auxiliary as f64;
                }
                for i in 0..2 {
                    gradient[i] -= (factor(set, k) - baseline) * (set[k][i] - p[i]);
                }
            }
            for i in 0..2 {
                first[i] += probability * gradient[i];
                second[i] += probability * gradient[i] * gradient[i];
            }
        }
        (first, std::array::from_fn(|i| second[i] - first[i] * first[i]))
    }

    #[test]
    fn mean_and_variance_are_those_of_the_formula() {
        for (samples, auxiliary) in [(2, 1), (2, 2), (3, 1)] {
            let model = |graph: &Graph<'_, f64>| bound(graph, samples, OvisMonteCarlo::new(auxiliary));
            let moments = Oracle::new().gradient(model).unwrap();
            let (mean, variance) = by_hand(samples, auxiliary);
            let found = (moments.mean("t").unwrap().to_vec(), moments.variance("t").unwrap().to_vec());
            for i in 0..2 {
                assert!((found.0[i] - mean[i]).abs() < 1e-12, "{samples}, {auxiliary}: {found:?} and {mean:?}");
                assert!((found.1[i] - variance[i]).abs() < 1e-12, "{samples}, {auxiliary}: {found:?} and {variance:?}");
            }
        }
    }

    #[test]
    fn the_bound_is_exact_at_every_order() {
        let method: models::BitMethod = Arc::new(ScoreFunction::new().samples(2).baseline(OvisMonteCarlo::new(2)));
        Oracle::new()
            .verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &method), 0..=3, 1e-9)
            .unwrap();
        Oracle::new().verify(|graph: &Graph<'_, f64>| bound(graph, 2, OvisMonteCarlo::new(1)), 0..=2, 1e-9).unwrap();
        models::assert_compiled(&method);
    }

    /// The bound of two nodes along the samples, one of which depends on the other.
    fn nested<B: Baseline<f64> + Clone + 'static>(graph: &Graph<'_, f64>, baseline: B) -> GraphResult<()> {
        let t = graph.param("t", LOGITS)?;
        let samples = graph.plate("samples", 2)?;
        let method = ScoreFunction::new().on_plate(samples).baseline(baseline);
        let first = Bernoulli::from_logits(t.index(0, 0));
        let x = graph.sample("x", &first, &method)?;
        let second = Bernoulli::from_logits(t.index(0, 1) + x * 0.7);
        let y = graph.sample("y", &second, &method)?;
        let log_joint = x * 1.3 - y * 0.5 - x * y;
        let log_posterior = first.log_prob(x) + second.log_prob(y);
        EvidenceBound::importance_weighted(samples).record(graph, "loss", log_joint, log_posterior)
    }

    /// A bound for each of two images, and a cost of each sample.
    fn on_data<B: Baseline<f64> + Clone + 'static>(graph: &Graph<'_, f64>, baseline: B) -> GraphResult<()> {
        let t = graph.param("t", LOGITS)?;
        let features = graph.data("data", [0.5, -1.5])?;
        let samples = graph.plate("samples", 2)?;
        let distribution = Bernoulli::from_logits(t.index(0, 0) * features + t.index(0, 1));
        let x = graph.sample("x", &distribution, &ScoreFunction::new().on_plate(samples).baseline(baseline))?;
        graph.cost("each", (x - 0.3).square() * t.index(0, 1))?;
        let log_joint = x * features * 1.3;
        EvidenceBound::importance_weighted(samples).record(graph, "loss", log_joint, distribution.log_prob(x))
    }

    #[test]
    fn nested_nodes_and_data_are_exact_and_vary_less() {
        type Model = fn(&Graph<'_, f64>, bool) -> GraphResult<()>;
        let models: [Model; 2] = [
            |graph, plain| if plain { nested(graph, NoBaseline) } else { nested(graph, OvisMonteCarlo::new(1)) },
            |graph, plain| if plain { on_data(graph, NoBaseline) } else { on_data(graph, OvisMonteCarlo::new(1)) },
        ];
        for model in models {
            Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, false), 0..=2, 1e-9).unwrap();
            let [ours, plain] = [false, true].map(|plain| {
                let moments = Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, plain)).unwrap();
                moments.variance("t").unwrap().to_vec()
            });
            assert!(ours.iter().zip(&plain).all(|(ours, plain)| ours < plain), "{ours:?} and {plain:?}");
        }
    }

    #[test]
    fn for_two_samples_it_varies_less_than_the_other_baselines() {
        let variance = |model: &dyn Fn(&Graph<'_, f64>) -> GraphResult<()>| -> f64 {
            Oracle::new().gradient(model).unwrap().variance("t").unwrap().as_slice().iter().sum()
        };
        let found = [
            variance(&|graph| bound(graph, 2, NoBaseline)),
            variance(&|graph| bound(graph, 2, Vimco::new())),
            variance(&|graph| bound(graph, 2, Ovis)),
            variance(&|graph| bound(graph, 2, OvisMonteCarlo::new(1))),
            variance(&|graph| bound(graph, 2, OvisMonteCarlo::new(2))),
        ];
        // By an independent program.
        for (found, known) in found.into_iter().zip([1.5195, 0.2603, 0.053938, 0.033989, 0.021678]) {
            assert!((found / known - 1.0).abs() < 1e-4, "{found}, not {known}");
        }
    }

    #[test]
    fn a_sum_over_the_samples_is_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let distribution = Normal::new(graph.param("t", 0.3).unwrap(), 1.0);
        let method = ScoreFunction::new().samples(3).baseline(OvisMonteCarlo::new(2));
        let x = graph.sample("x", &distribution, &method).unwrap();
        graph.cost("cost", x.sum_over(graph.plate_named("x").unwrap()).square()).unwrap();
        let Err(GraphError::Refused { problem, .. }) = graph.backward() else { panic!("expected a refusal") };
        assert!(problem.contains("log-mean-exp") && problem.contains("a sum"), "{problem}");
    }
}
