//! Bounds on the evidence: the ELBO, the importance-weighted bound, and the Rényi bounds. Use them to train a
//! latent-variable model, and to choose how the score inside the bound is treated.
//!
//! With $K$ samples $z_k \sim q_\phi(z|x)$ and weights $w_k = p_\theta(x, z_k) / q_\phi(z_k|x)$,
//!
//! $$\mathcal L_{\alpha} = \frac{1}{1 - \alpha} \ln \frac1K \sum_{k=1}^K w_k^{1 - \alpha},$$
//!
//! which is the importance-weighted bound (IWAE) at $\alpha = 0$, and the ELBO $\ln w$ of each sample as $\alpha \to
//! 1$. Burda, Grosse and Salakhutdinov (2016); Li and Turner (2016); as one family of objectives: Daudel, Benton, Shi
//! and Doucet (2023).
//!
//! The gradient with respect to $\phi$ flows through the samples, and through $\ln q_\phi$ at given samples. The second
//! part is a score:
//!
//! | | the score at given samples | bias with respect to $\phi$ | order with respect to $\phi$ |
//! |---|---|---|---|
//! | as recorded | is differentiated | none | that of the methods |
//! | [`sticking_the_landing`](EvidenceBound::sticking_the_landing) | is left out (Roeder, Wu and Duvenaud 2017) | none for the ELBO, and for $K = 1$; **biased** otherwise, and the guarantee says so | 1 |
//! | [`doubly_reparameterized`](EvidenceBound::doubly_reparameterized) | is replaced by a derivative along the sample paths (DReG, Tucker et al. 2019) | none | 1 |
//!
//! The last two have no variance where $q$ is the exact posterior; the first one does. With pathwise samples, the
//! signal-to-noise ratio of the gradient of the importance-weighted bound with respect to $\phi$ falls like $1/\sqrt K$
//! as recorded (Rainforth et al. 2018), and rises like $\sqrt K$ doubly reparameterised. The derivatives with respect
//! to $\theta$ are the same in all three, unless priors are given: then they are doubly reparameterised too (GDReG,
//! Bauer and Mnih 2021).
//!
//! **Assumptions.** $\ln q$ is the log-density of everything drawn along the sample plate upstream of it. For doubly
//! reparameterised gradients, all of it is drawn by [`Pathwise`](crate::Pathwise) along that plate.

use super::double_reparameterization::{Ingredients, NamedPrior, has_equal_weights};
use super::held::{all_samples, direct_samples, hold_parameters};
use std::panic::Location;
use stochgrad_distributions::CumulativeDistribution;
use stochgrad_graph::{Bias, Graph, GraphError, GraphResult, Guarantee, Order, is_differentiable};
use stochgrad_tape::{Plate, Plates, Var};
use stochgrad_tensor::Real;

/// The treatment of the score of the samples' distribution inside the bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Score {
    #[default]
    Recorded,
    LeftOut,
    Reparameterized,
}

/// A bound on the evidence, recorded as the cost $-\mathcal L$.
///
/// ```
/// use stochgrad_distributions::{Distribution, Normal};
/// use stochgrad_estimators::{EvidenceBound, Pathwise};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let (location, log_scale) = (graph.param("location", 0.3)?, graph.param("log_scale", -0.2)?);
/// let samples = graph.plate("samples", 8)?;
/// let posterior = Normal::from_log_scale(location, log_scale);
/// let z = graph.sample("z", &posterior, &Pathwise::new().on_plate(samples))?;
/// let prior = Normal::new(graph.constant(0.0), 1.0);
/// let log_joint = prior.log_prob(z) + Normal::new(z, 1.0).log_prob(graph.constant(1.2));
/// let bound = EvidenceBound::importance_weighted(samples).doubly_reparameterized();
/// bound.record(&graph, "loss", log_joint, posterior.log_prob(z))?;
/// assert!(graph.backward()?.cost("loss")?.is_finite());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EvidenceBound {
    /// The plate of the samples, and α; `None` for the ELBO.
    together: Option<(Plate, f64)>,
    score: Score,
}

/// A distribution at a latent variable.
pub type Prior<'a, 't, F> = (&'a dyn CumulativeDistribution<'t, F>, Var<'t, F>);

impl EvidenceBound {
    /// The evidence lower bound $\ln w$, separately for each sample.
    pub fn elbo() -> Self {
        EvidenceBound { together: None, score: Score::Recorded }
    }

    /// The importance-weighted bound of the samples along a plate.
    pub fn importance_weighted(samples: Plate) -> Self {
        Self::renyi(samples, 0.0)
    }

    /// The Rényi bound of the samples along a plate. It is the importance-weighted bound at $\alpha = 0$ and the ELBO
    /// at 1. Below 0 it is closer to the largest weight, and above 1 it is an upper bound of the evidence as $K \to
    /// \infty$.
    pub fn renyi(samples: Plate, alpha: f64) -> Self {
        EvidenceBound { together: (alpha != 1.0).then_some((samples, alpha)), score: Score::Recorded }
    }

    /// Leaves out the score of the samples' distribution. For the ELBO its mean is zero, with any gradient method. With
    /// several samples in one logarithm it is not, and the gradient is [biased](Bias::Gradient).
    pub fn sticking_the_landing(self) -> Self {
        EvidenceBound { score: Score::LeftOut, ..self }
    }

    /// Estimates the score of the samples' distribution along their sample paths. For the ELBO this is the same as
    /// leaving it out.
    pub fn doubly_reparameterized(self) -> Self {
        EvidenceBound { score: Score::Reparameterized, ..self }
    }

    /// Records the bound as the cost $-\mathcal L$: `log_joint` is $\ln p(x, z)$ and `log_posterior` $\ln q(z|x)$, one
    /// number for each sample. When the exact oracle records the model, the score is differentiated as recorded,
    /// whatever the setting.
    ///
    /// # Errors
    /// If $\alpha$ is not finite, if doubly reparameterised samples are not pathwise or not along the plate, and those
    /// of [`Graph::cost`].
    #[track_caller]
    pub fn record<'t, F: Real>(
        &self,
        graph: &Graph<'t, F>,
        name: &str,
        log_joint: Var<'t, F>,
        log_posterior: Var<'t, F>,
    ) -> GraphResult<()> {
        self.record_with_priors(graph, name, log_joint, &[], log_posterior)
    }

    /// As [`record`](Self::record), with some factors of the joint distribution given as priors: distributions of
    /// elements that are single numbers, each with its latent variable. `log_likelihood` is the rest of $\ln p(x, z)$.
    /// If the bound is doubly reparameterised, so are the gradients with respect to the parameters of the priors.
    ///
    /// # Errors
    /// Those of [`record`](Self::record), and if a prior belongs to a variable that is not in `log_posterior`.
    #[track_caller]
    pub fn record_with_priors<'t, F: Real>(
        &self,
        graph: &Graph<'t, F>,
        name: &str,
        log_likelihood: Var<'t, F>,
        priors: &[Prior<'_, 't, F>],
        log_posterior: Var<'t, F>,
    ) -> GraphResult<()> {
        let at = Location::caller();
        let objective = Objective { bound: self, graph, name, at };
        graph.tape().check()?;
        if let Some((_, alpha)) = self.together.filter(|(_, alpha)| !alpha.is_finite()) {
            return Err(objective.error(format!("expected a finite order, got {alpha}")));
        }
        if self.score == Score::Recorded || graph.records_joint_distribution() {
            let log_joint = priors.iter().fold(log_likelihood, |sum, (prior, sample)| sum + prior.log_prob(*sample));
            return graph.cost(name, -self.reduce(log_joint - log_posterior));
        }
        let (log_posterior, held) = hold_parameters(log_posterior);
        let bound = match self.score {
            Score::Reparameterized => objective.reparameterized(log_likelihood, priors, log_posterior)?,
            _ => {
                let log_joint =
                    priors.iter().fold(log_likelihood, |sum, (prior, sample)| sum + prior.log_prob(*sample));
                self.reduce(log_joint - log_posterior)
            }
        };
        graph.cost(name, -bound)?;
        graph.qualify(&held, self.guarantee(graph), format!("the bound \"{name}\" {}", self.describe()));
        Ok(())
    }

    /// The bound of some log-weights.
    fn reduce<'t, F: Real>(&self, log_weight: Var<'t, F>) -> Var<'t, F> {
        match self.together {
            None => log_weight,
            Some((plate, 0.0)) => log_weight.log_mean_exp_over(plate),
            Some((plate, alpha)) => (log_weight * (1.0 - alpha)).log_mean_exp_over(plate) * (1.0 / (1.0 - alpha)),
        }
    }

    fn describe(&self) -> &'static str {
        match self.score {
            Score::Recorded => "is differentiated as it stands",
            Score::LeftOut => "sticks the landing",
            Score::Reparameterized => "is doubly reparameterised",
        }
    }

    /// The guarantee for the parameters of the samples' distribution.
    fn guarantee<F: Real>(&self, graph: &Graph<'_, F>) -> Guarantee {
        let several = self.together.is_some_and(|(plate, _)| graph.tape().whole_plate_size(plate) > 1);
        let bias = if self.score == Score::LeftOut && several { Bias::Gradient } else { Bias::Unbiased };
        Guarantee { bias, order: Order::Finite(1) }
    }
}

/// A bound that is being recorded.
struct Objective<'a, 't, F: Real> {
    bound: &'a EvidenceBound,
    graph: &'a Graph<'t, F>,
    name: &'a str,
    at: &'static Location<'static>,
}

impl<'t, F: Real> Objective<'_, 't, F> {
    /// The bound with doubly reparameterised gradients. The parameters of `log_posterior` are held constant.
    fn reparameterized(
        &self,
        log_likelihood: Var<'t, F>,
        priors: &[Prior<'_, 't, F>],
        log_posterior: Var<'t, F>,
    ) -> GraphResult<Var<'t, F>> {
        let latents = direct_samples(log_posterior);
        self.check_latents(&latents, log_posterior)?;
        let mut named = Vec::with_capacity(priors.len());
        let mut log_joint = log_likelihood;
        for &(prior, sample) in priors {
            if !latents.iter().any(|latent| latent.id() == sample.id()) {
                return Err(self.error(
                    "expected priors of samples whose distribution is in the log-posterior, got a prior of something \
                     else; pass the value that `sample` returned, and add other priors to the log-likelihood",
                ));
            }
            let (log_prior, held) = hold_parameters(prior.log_prob(sample));
            let because = format!("the prior {} in \"{}\" is doubly reparameterised", prior.name(), self.name);
            self.graph.qualify(&held, Guarantee::unbiased(Order::Finite(1)), because);
            log_joint = log_joint + log_prior;
            named.push(NamedPrior { distribution: prior, sample, log_density: log_prior });
        }
        let log_weight = log_joint - log_posterior;
        let bound = self.bound.reduce(log_weight);
        let one = self.graph.tape().constant(1.0);
        let (normalized, slope) = match self.bound.together {
            None => (one, one * 0.0),
            Some((plate, alpha)) => {
                let scaled = log_weight * (1.0 - alpha);
                let members = self.graph.tape().whole_plate_size(plate) as f64;
                let normalized = (scaled - scaled.log_mean_exp_over(plate)).exp() * (1.0 / members);
                (normalized, normalized * (1.0 - normalized) * (1.0 - alpha))
            }
        };
        let terms = Ingredients { latents, log_weight, log_posterior, normalized, slope, plates: bound.plates() };
        let bound = if self.bound.together.is_some() { bound + terms.posterior_term(self.graph)? } else { bound };
        if named.is_empty() { Ok(bound) } else { Ok(bound + terms.prior_term(self.graph, &named)?) }
    }

    /// Checks that every latent variable that depends on parameters does so along a sample path, on the same plate as
    /// all others.
    fn check_latents(&self, latents: &[Var<'t, F>], log_posterior: Var<'t, F>) -> GraphResult<()> {
        let Some((plate, _)) = self.bound.together else { return Ok(()) };
        if !has_equal_weights(self.graph, plate) {
            return Err(self.error(
                "expected a plate of independent samples, got one with weights; make it with graph.plate(name, size)",
            ));
        }
        for sample in all_samples(log_posterior) {
            let moves = is_differentiable(sample);
            let is_latent = latents.iter().any(|latent| latent.id() == sample.id());
            let along: Plates = sample.plates();
            if along.contains(&plate) {
                if !moves && sample.inputs().iter().skip(1).any(|&parameter| is_differentiable(parameter)) {
                    return Err(self.error(format!(
                        "expected samples along plate \"{}\" that move with the parameters of their distribution, got \
                         others; draw them with Pathwise, or use the bound as recorded",
                        self.graph.tape().plate_name(plate)
                    )));
                }
                self.graph.require_path(
                    sample,
                    format!(
                        "the doubly reparameterised bound \"{}\" needs the gradient through this sample; use \
                             Pathwise here",
                        self.name
                    ),
                );
            }
            if moves && !(is_latent && along.contains(&plate)) {
                let place = sample.location().map_or(String::new(), |at| format!(" (the sample at {at})"));
                return Err(self.error(format!(
                    "expected every sample that moves with parameters to be drawn along plate \"{}\", and its \
                     distribution to be in the log-posterior, got another one{place}; draw it along the plate too, or \
                     use the bound as recorded",
                    self.graph.tape().plate_name(plate)
                )));
            }
        }
        Ok(())
    }

    fn error(&self, problem: impl Into<String>) -> GraphError {
        GraphError::Objective { name: self.name.into(), problem: problem.into(), at: self.at }
    }
}
