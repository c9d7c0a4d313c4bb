//! OVIS: the bound of the other samples as the baseline of each sample. Use it for importance-weighted bounds; its
//! signal-to-noise ratio rises with the number of samples.
//!
//! In the gradient of $\mathcal L = \ln\frac1K \sum_k w_k$ with respect to the parameters of the samples' distribution,
//! sample $k$ has the score $\nabla \ln q(z_k)$ times $\mathcal L - v_k$, with $v_k = w_k / \sum_j w_j$. Its baseline
//! is the bound without it,
//!
//! $$b_k = \ln \frac1K \sum_{j \ne k} w_j, \qquad \mathcal L - v_k - b_k = -\ln(1 - v_k) - v_k,$$
//!
//! which does not depend on the sample, and leaves a factor of the order of $v_k^2$. Liévin, Dittadi, Christensen and
//! Winther (2020), with $\gamma = 0$: the signal-to-noise ratio rises like $\sqrt K$. It is [`Vimco`](super::Vimco)
//! with a weight of zero for the left-out sample. A weight of zero has a meaning in a log-mean-exp only: a cost that
//! reduces the sample plate in another way is an error. [`OvisMonteCarlo`](super::OvisMonteCarlo) estimates the
//! baseline that this one approximates for many samples.
//!
//! With $\gamma = 1$ the factor is $\ln\frac{K - 1}{K} - \ln(1 - v_k)$, whose expectation is different: the baseline
//! contains the sample's own $v_k$. [`Vimco::arithmetic`](super::Vimco::arithmetic) gives the same gradient with a
//! bound that [leaves out the score](crate::EvidenceBound::sticking_the_landing), whose guarantee says that it is
//! biased.

use super::vimco::{MeanOfOthers, without_each};
use super::{Baseline, Baselines, LeaveOneOut, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult};
use stochgrad_tensor::Real;

/// The bound of the other samples, for joint costs that take the log-mean-exp of log-weights over the sample plate, and
/// leave-one-out for costs that keep the plate. A cost that reduces the plate in another way (by a sum or a mean) is an
/// error.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Distribution};
/// use stochgrad_estimators::{EvidenceBound, Ovis, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let distribution = Bernoulli::from_logits(graph.param("logits", [0.3, -1.0])?);
/// let samples = graph.plate("samples", 5)?;
/// let z = graph.sample("z", &distribution, &ScoreFunction::new().on_plate(samples).baseline(Ovis))?;
/// EvidenceBound::importance_weighted(samples).record(&graph, "loss", z.sum() * 0.7, distribution.log_prob(z))?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ovis;

impl Memory for Ovis {
    fn name(&self) -> Option<String> {
        Some("OVIS".into())
    }

    fn check(&self, members: usize) -> Result<(), String> {
        LeaveOneOut.check(members).map_err(|problem| problem.replace("leave-one-out", "OVIS"))
    }

    fn sees_other_members(&self) -> bool {
        true
    }
}

impl<F: Real> Baseline<F> for Ovis {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        without_each(context, distribution, MeanOfOthers::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::EvidenceBound;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::Vimco;
    use crate::testing::models;
    use std::sync::Arc;
    use stochgrad_check::{CheckError, Oracle};
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Bias, Graph, Seed};
    use stochgrad_tape::Tape;

    /// The importance-weighted bound of two bits, whose normalised weights differ.
    fn bound<B: Baseline<f64> + Clone + 'static>(
        graph: &Graph<'_, f64>,
        samples: usize,
        baseline: B,
        choose: fn(EvidenceBound) -> EvidenceBound,
    ) -> GraphResult<()> {
        let distribution = Bernoulli::from_logits(graph.param("t", [0.3, -0.8])?);
        let plate = graph.plate("samples", samples)?;
        let z = graph.sample("z", &distribution, &ScoreFunction::new().on_plate(plate).baseline(baseline))?;
        let log_joint = (z * graph.constant([1.4, -0.7])).sum() - z.index(0, 0) * z.index(0, 1);
        choose(EvidenceBound::importance_weighted(plate)).record(graph, "loss", log_joint, distribution.log_prob(z))
    }

    #[test]
    fn the_bound_is_exact_at_every_order() {
        let method: models::BitMethod = Arc::new(ScoreFunction::new().samples(3).baseline(Ovis));
        Oracle::new()
            .verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &method), 0..=3, 1e-9)
            .unwrap();
        Oracle::new().verify(|graph: &Graph<'_, f64>| bound(graph, 3, Ovis, |bound| bound), 0..=2, 1e-9).unwrap();
    }

    /// Every outcome of two samples of one bit, by hand: Σₖ (−ln(1 − vₖ) − vₖ) ∇ ln q(zₖ).
    #[test]
    fn the_factor_of_each_score_is_the_known_one() {
        let (logit, slope) = (0.3_f64, 1.9_f64);
        let p = 1.0 / (1.0 + (-logit).exp());
        let chance = |z: f64| if z == 1.0 { p } else { 1.0 - p };
        let weight = |z: f64| (slope * z).exp() / chance(z);
        let (mut first, mut second) = (0.0, 0.0);
        for (x, y) in [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)] {
            let total = weight(x) + weight(y);
            let factor = |z: f64| -(1.0 - weight(z) / total).ln() - weight(z) / total;
            let g = factor(x) * (x - p) + factor(y) * (y - p);
            first += chance(x) * chance(y) * g;
            second += chance(x) * chance(y) * g * g;
        }
        let model = |graph: &Graph<'_, f64>| {
            let distribution = Bernoulli::from_logits(graph.param("t", logit)?);
            let plate = graph.plate("samples", 2)?;
            let z = graph.sample("z", &distribution, &ScoreFunction::new().on_plate(plate).baseline(Ovis))?;
            EvidenceBound::importance_weighted(plate).record(graph, "loss", z * slope, distribution.log_prob(z))
        };
        let moments = Oracle::new().gradient(model).unwrap();
        let (mean, variance) =
            (moments.mean("t").unwrap().item().unwrap(), moments.variance("t").unwrap().item().unwrap());
        assert!(
            (mean + first).abs() < 1e-12 && (variance - (second - first * first)).abs() < 1e-12,
            "{mean} {variance}"
        );
    }

    #[test]
    fn a_cost_that_is_no_log_mean_exp_is_refused() {
        type Cost = for<'t> fn(stochgrad_tape::Var<'t, f64>, stochgrad_tape::Plate) -> stochgrad_tape::Var<'t, f64>;
        // The sum over a plate that is averaged is a cost of all samples jointly, too.
        let costs: [(&str, Cost); 4] = [
            ("a sum", |x, k| (x * 2.0).sum_over(k).square()),
            ("a mean", |x, k| x.mean_over(k).exp()),
            ("a sum", |x, k| x.log_mean_exp_over(k) * x.sum_over(k)),
            ("another function", |x, k| x.plate_to_event(k).sum().square()),
        ];
        for (reduction, cost) in costs {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let distribution = Bernoulli::from_logits(graph.param("t", 0.3).unwrap());
            let x = graph.sample("x", &distribution, &ScoreFunction::new().samples(3).baseline(Ovis)).unwrap();
            graph.cost("cost", cost(x, graph.plate_named("x").unwrap())).unwrap();
            match graph.backward() {
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains(reduction) && error.contains("Vimco") && error.contains("cost"), "{error}");
                }
                // A function of the members that is no reduction gets no baseline at all.
                Ok(gradients) => {
                    assert!(reduction == "another function" && gradients.get("t").unwrap().all_finite());
                }
            }
        }
    }

    /// A cost that is the sum over the samples, for which the baseline would be NaN.
    #[test]
    fn a_sum_over_the_samples_is_refused_or_has_the_exact_gradient() {
        let model = |graph: &Graph<'_, f64>| {
            let distribution = Bernoulli::from_logits(graph.param("t", 0.3)?);
            let x = graph.sample("x", &distribution, &ScoreFunction::new().samples(2).baseline(Ovis))?;
            let k = graph.plate_named("x").expect("the samples");
            graph.cost("cost", (x * 2.0).sum_over(k))
        };
        match Oracle::new().verify(model, 0..=1, 1e-9) {
            Ok(_) => {}
            Err(CheckError::Graph(stochgrad_graph::GraphError::Refused { problem, .. })) => {
                assert!(problem.contains("log-mean-exp") && problem.contains("Vimco"), "{problem}");
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn its_own_weight_in_the_baseline_makes_it_biased() {
        let own = |graph: &Graph<'_, f64>| bound(graph, 3, Vimco::arithmetic(), EvidenceBound::sticking_the_landing);
        let error = Oracle::new().verify(own, 0..=1, 1e-3).unwrap_err();
        assert!(matches!(error, CheckError::Expectation { order: 1, .. }), "{error}");
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        own(&graph).unwrap();
        assert_eq!(graph.backward().unwrap().guarantee("t").unwrap().bias, Bias::Gradient);
    }
}
