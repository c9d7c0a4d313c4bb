//! Reweighted wake–sleep: a latent-variable model and its recognition network, each with an objective of its own. Use
//! it for discrete codes, in particular with many samples: neither gradient needs a score-function term.
//!
//! With $K$ samples $z_k \sim q_\phi(z|x)$ that carry no gradient, weights $w_k = p_\theta(x, z_k) / q_\phi(z_k|x)$ and
//! $\tilde w_k = w_k / \sum_j w_j$,
//!
//! $$g_\theta = \sum_k \tilde w_k\, \nabla_\theta \ln p_\theta(x, z_k), \qquad
//!   g_\phi^{\text{wake}} = \sum_k \tilde w_k\, \nabla_\phi \ln q_\phi(z_k|x), \qquad
//!   g_\phi^{\text{sleep}} = \nabla_\phi \ln q_\phi(z|x) \ \text{ at } (z, x) \sim p_\theta .$$
//!
//! $g_\theta$ is the gradient of the importance-weighted bound $\mathcal L_K = \mathbb E \ln \frac1K \sum_k w_k$. The wake
//! phase of the recognition network follows $-\mathrm{KL}\big(p_\theta(z|x) \,\|\, q_\phi(z|x)\big)$, and the sleep phase
//! the same divergence averaged over data that the model generates. Hinton, Dayan, Frey and Neal (1995); Bornschein and
//! Bengio (2015); Le, Kosiorek, Siddharth, Teh and Wood (2019).
//!
//! **Assumptions.** The samples are drawn from [`detached`](crate::detached) distributions.
//!
//! | | $\theta$ | $\phi$, wake | $\phi$, sleep |
//! |---|---|---|---|
//! | bias | none, for $\mathcal L_K$ | that of self-normalised weights, $O(1/K)$; for $K = 1$ the gradient has mean 0 | none |
//! | order | any | 1 | any |
//! | cost evaluations | $K$ | the same ones | 1 |
//! | requirement on the cost | $\ln p$ and $\ln q$, differentiable with respect to their parameters | | |

use super::proposals::Proposals;
use stochgrad_graph::{Bias, Graph, GraphResult, Guarantee, Order};
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

use std::panic::Location;

/// Reweighted wake–sleep.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Distribution};
/// use stochgrad_estimators::{ScoreFunction, WakeSleep, detached};
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.constant(1.0);
/// let prior = Bernoulli::from_logits(graph.param("prior", [0.4, -0.3])?);
/// let recognition = Bernoulli::from_logits(graph.param("recognition", [0.2, -0.1])?);
/// let samples = graph.plate("samples", 8)?;
/// let z = graph.sample("z", &detached(&recognition)?, &ScoreFunction::new().on_plate(samples))?;
/// let likelihood = Bernoulli::from_logits((z * graph.param("weights", [1.2, -0.7])?).sum());
/// let log_joint = prior.log_prob(z) + likelihood.log_prob(x);
/// WakeSleep::new(samples).record(&graph, "loss", log_joint, recognition.log_prob(z))?;
/// assert!(graph.backward()?.get("recognition")?.to_vec().iter().all(|slope| *slope != 0.0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WakeSleep {
    samples: Plate,
}

impl WakeSleep {
    /// The wake phases, with the samples along a plate.
    pub fn new(samples: Plate) -> Self {
        WakeSleep { samples }
    }

    /// Records both wake phases as one cost, whose value is $-\mathcal L_K$: `log_joint` is $\ln p_\theta(x, z)$ and
    /// `log_posterior` $\ln q_\phi(z|x)$, one number for each sample. The guarantee of the parameters in
    /// `log_posterior` says that their gradient is not that of the bound.
    ///
    /// # Errors
    /// If samples come from a distribution with trainable parameters, if they do not lie along the plate or have
    /// weights, and those of [`Graph::cost`].
    #[track_caller]
    pub fn record<'t, F: Real>(
        &self,
        graph: &Graph<'t, F>,
        name: &str,
        log_joint: Var<'t, F>,
        log_posterior: Var<'t, F>,
    ) -> GraphResult<()> {
        let proposals = Proposals { graph, objective: name, at: Location::caller() };
        proposals.check_along(self.samples, log_joint - log_posterior)?;
        let log_weight = log_joint - log_posterior.held();
        let bound = log_weight.log_mean_exp_over(self.samples);
        if graph.records_joint_distribution() {
            return graph.cost(name, -bound);
        }
        let members = graph.tape().whole_plate_size(self.samples) as f64;
        let normalized = ((log_weight - bound).exp() * (1.0 / members)).held();
        let wake = (log_posterior - log_posterior.held()).weighted_sum_over(self.samples, normalized);
        graph.cost(name, -(bound + wake))?;
        graph.qualify(
            &[log_posterior],
            Guarantee { bias: Bias::Gradient, order: Order::Finite(1) },
            format!(
                "the wake phase \"{name}\" weights the scores of the recognition network by {members} normalised \
                 weights, which is not the gradient of the bound"
            ),
        );
        Ok(())
    }

    /// Records the sleep phase as the cost $-\ln q_\phi(z|x)$, where both $z$ and $x$ were drawn from the model.
    ///
    /// # Errors
    /// If they were drawn from a distribution with trainable parameters, and those of [`Graph::cost`].
    #[track_caller]
    pub fn record_sleep<'t, F: Real>(graph: &Graph<'t, F>, name: &str, log_posterior: Var<'t, F>) -> GraphResult<()> {
        Proposals { graph, objective: name, at: Location::caller() }.check(log_posterior)?;
        graph.cost(name, -log_posterior)
    }
}
