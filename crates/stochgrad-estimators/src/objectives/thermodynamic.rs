//! The thermodynamic variational objective (TVO): bounds on the evidence between the ELBO and an upper bound. Use it for
//! discrete codes with many samples, where tighter bounds by importance weights have noisy gradients.
//!
//! The log-evidence is the integral of $\mathbb E_{\pi_\beta}[\ln w]$ over $\beta \in [0, 1]$, where $w = p_\theta(x, z) /
//! q_\phi(z|x)$, and $\pi_\beta \propto q_\phi^{1-\beta} p_\theta^\beta$ leads from the approximate posterior to the exact
//! one. The integrand increases with $\beta$, so that its sums over the left ends of intervals are lower bounds, and those
//! over the right ends upper bounds:
//!
//! $$\mathcal T = \sum_j (\beta_{j+1} - \beta_j)\, \mathbb E_{\pi_{\beta_j}}[\ln w].$$
//!
//! One interval with its left end is the ELBO. The expectations are estimated with self-normalised weights $v_k \propto
//! w_k^\beta$ of the same $K$ samples of $q_\phi$, and their gradients as covariances:
//!
//! $$\nabla \mathbb E_{\pi_\beta}[\ln w] \approx \sum_k v_k \nabla \ln w_k
//!   + \frac{K}{K - 1} \sum_k v_k \big(\ln w_k - \overline{\ln w}\big)\, \nabla \ln \big(q_\phi w^\beta\big)(z_k).$$
//!
//! At $\beta = 0$, this is the score function with the leave-one-out baseline. Masrani, Le and Wood (2019).
//!
//! **Assumptions.** The samples are drawn from [`detached`](crate::detached) distributions.
//!
//! | | |
//! |---|---|
//! | bias | that of self-normalised weights, $O(1/K)$, of the value and the gradient; none for terms with $\beta = 0$ |
//! | order | 1 |
//! | cost evaluations | $K$ |
//! | requirement on the cost | $\ln p$ and $\ln q$, differentiable with respect to their parameters |

use super::proposals::Proposals;
use std::panic::Location;
use stochgrad_graph::{Bias, Graph, GraphResult, Guarantee, Order};
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

/// The end of each interval at which the integrand is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Left,
    Right,
}

/// The thermodynamic variational objective.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Distribution};
/// use stochgrad_estimators::{ScoreFunction, ThermodynamicObjective, detached};
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let q = Bernoulli::from_logits(graph.param("q", [0.2, -0.1])?);
/// let samples = graph.plate("samples", 8)?;
/// let z = graph.sample("z", &detached(&q)?, &ScoreFunction::new().on_plate(samples))?;
/// let p = Bernoulli::from_logits((z * graph.param("p", [1.2, -0.7])?).sum());
/// let log_joint = Bernoulli::from_logits(graph.constant([0.4, -0.3])).log_prob(z) + p.log_prob(graph.constant(1.0));
/// let objective = ThermodynamicObjective::log_spaced(samples, 5, 0.02);
/// objective.record(&graph, "loss", log_joint, q.log_prob(z))?;
/// assert!(graph.backward()?.cost("loss")?.is_finite());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ThermodynamicObjective {
    samples: Plate,
    points: Vec<f64>,
    end: End,
}

impl ThermodynamicObjective {
    /// The lower bound by the intervals between these points, which increase from 0 to 1: `[0.0, 0.25, 1.0]`. The
    /// samples lie along the plate.
    pub fn new(samples: Plate, points: impl Into<Vec<f64>>) -> Self {
        ThermodynamicObjective { samples, points: points.into(), end: End::Left }
    }

    /// The lower bound by this number of intervals. The first one ends at `first`, and the ends of the others grow by a
    /// constant factor up to 1, because the integrand changes most near 0. Masrani et al. use 2 to 50 intervals, and
    /// values of `first` around 0.01.
    pub fn log_spaced(samples: Plate, intervals: usize, first: f64) -> Self {
        let last = intervals.saturating_sub(1).max(1) as f64;
        let ends = (0..intervals).map(|at| if at + 1 == intervals { 1.0 } else { first.powf(1.0 - at as f64 / last) });
        Self::new(samples, std::iter::once(0.0).chain(ends).collect::<Vec<f64>>())
    }

    /// The upper bound, by the right ends of the intervals.
    pub fn upper(self) -> Self {
        ThermodynamicObjective { end: End::Right, ..self }
    }

    /// The ends of the intervals.
    pub fn points(&self) -> &[f64] {
        &self.points
    }

    /// Records the cost $-\mathcal T$: `log_joint` is $\ln p_\theta(x, z)$ and `log_posterior` $\ln q_\phi(z|x)$, one
    /// number for each sample.
    ///
    /// # Errors
    /// If the points do not increase from 0 to 1, if there are fewer than two samples, if samples come from a
    /// distribution with trainable parameters, if they do not lie along the plate or have weights, and those of
    /// [`Graph::cost`].
    #[track_caller]
    pub fn record<'t, F: Real>(
        &self,
        graph: &Graph<'t, F>,
        name: &str,
        log_joint: Var<'t, F>,
        log_posterior: Var<'t, F>,
    ) -> GraphResult<()> {
        let proposals = Proposals { graph, objective: name, at: Location::caller() };
        self.check_points(&proposals)?;
        let log_weight = log_joint - log_posterior;
        proposals.check_along(self.samples, log_weight)?;
        let members = graph.tape().whole_plate_size(self.samples);
        if members < 2 {
            return Err(proposals.error(format!("expected a plate of at least 2 samples, got {members}")));
        }
        let correction = members as f64 / (members - 1) as f64;
        let terms = self.points.windows(2).map(|interval| {
            let beta = if self.end == End::Left { interval[0] } else { interval[1] };
            self.mean_log_weight(log_weight, log_posterior, beta, correction) * (interval[1] - interval[0])
        });
        let total = terms.reduce(|sum, term| sum + term).expect("at least one interval");
        graph.cost(name, -total)?;
        let is_elbo = self.end == End::Left && self.points.len() == 2;
        let bias = if is_elbo { Bias::Unbiased } else { Bias::Gradient };
        graph.qualify(
            &[log_weight],
            Guarantee { bias, order: Order::Finite(1) },
            format!("the thermodynamic objective \"{name}\" estimates its terms from {members} normalised weights"),
        );
        Ok(())
    }

    /// $\mathbb E_{\pi_\beta}[\ln w]$, with its gradient as a covariance.
    fn mean_log_weight<'t, F: Real>(
        &self,
        log_weight: Var<'t, F>,
        log_posterior: Var<'t, F>,
        beta: f64,
        correction: f64,
    ) -> Var<'t, F> {
        let plate = self.samples;
        let members = log_weight.tape().whole_plate_size(plate) as f64;
        let tempered = log_weight.held() * beta;
        let weights = (tempered - tempered.log_mean_exp_over(plate)).exp() * (1.0 / members);
        let mean = log_weight.weighted_sum_over(plate, weights);
        // The density of π, up to its constant, relative to its present value.
        let density = log_posterior + log_weight * beta;
        let deviation = (log_weight - mean).held() * (density - density.held());
        mean + deviation.weighted_sum_over(plate, weights) * correction
    }

    fn check_points<F: Real>(&self, proposals: &Proposals<'_, '_, F>) -> GraphResult<()> {
        let increases = self.points.windows(2).all(|interval| interval[0] < interval[1]);
        if self.points.len() >= 2 && increases && self.points[0] == 0.0 && self.points.last() == Some(&1.0) {
            return Ok(());
        }
        let points = &self.points;
        Err(proposals.error(format!("expected points that increase from 0 to 1, such as [0, 0.25, 1], got {points:?}")))
    }
}
