//! Importance sampling: the score function with samples of another distribution. Use it if rare values matter: small
//! probabilities, tails, costs that are large where $p$ is small.
//!
//! Samples are drawn from a proposal $r$ and have weights,
//!
//! $$\mathbb{E}_p[f] = \mathbb{E}_r\big[w f\big], \qquad w = \frac{p(x; \theta)}{r(x)}, \qquad
//!     g = \frac1K \sum_{k=1}^K w_k\, (f(x_k) - b_k)\, \nabla \ln p(x_k; \theta).$$
//!
//! The weights are differentiated, so that derivatives of every order are unbiased: $\nabla^n w = \nabla^n p / r$. The
//! dependence of the proposal on the parameters is irrelevant, since the mean is the same for every proposal. A
//! baseline $b_k$ enters as $a = (1/\square(\ln p) - 1)\, b$, whose weighted derivatives $-b\, \nabla^n w$ have mean
//! zero. [`normalized`](ImportanceSampling::normalized) divides the weights by their sum and differentiates the
//! quotient. This has a bias of order $1/K$, and acts as if the mean of the costs were a baseline.
//!
//! The best proposal is $r \propto p\, |f|\, \|\nabla \ln p\|$, which is wider than $p$, since the score is large in
//! the tails. This suggests overdispersed proposals $r \propto p^{1/\tau}$ with $\tau$ a little above 1 (Ruiz, Titsias
//! and Blei 2016). *It does not help* if several elements are equally important, since their weights multiply and a few
//! samples get all of the weight. Nor does a proposal with lighter tails than $p f$: the variance may be infinite, and
//! nothing detects this.
//!
//! **Assumptions.** The proposal is positive where $p$ is, and does not depend on plates that $p$ lacks. This is
//! checked as far as possible: shapes and supports must be the same, and for finite supports every state of each
//! element is checked. A cost must not depend on several of the samples together.
//!
//! | | plain | normalised |
//! |---|---|---|
//! | bias | none | of costs and gradients, of order $1/K$ |
//! | order | any | any |
//! | cost evaluations | $K$ | $K$ |
//! | requirement on the cost | values | values |

use crate::common::sampling::Sampling;
use crate::sampling_setters;
use crate::score_function::baseline::{Baseline, Memory, NoBaseline};
use crate::score_function::check_baseline;
use crate::score_function::proposal::{GivenProposal, OverdispersedProposal, Proposal, ProposalKind, check_support};
use stochgrad_distributions::{Distribution, DistributionError, Family, Live, ScoreDifferentiable};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphResult, Method, MethodSlots, Order, Profile, SampleContext, SamplePlate,
    SampleSet, Terms,
};
use stochgrad_tape::{Degree, Tape};
use stochgrad_tensor::Real;

/// Weighted samples of another distribution, for distributions whose support does not depend on their parameters.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::ImportanceSampling;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let mu = graph.param("mu", 0.3)?;
/// // Few samples of the distribution itself are above 3.
/// let proposal = Normal::new(graph.constant(3.5), 1.0);
/// let method = ImportanceSampling::from_distribution(&proposal).samples(16);
/// let x = graph.sample("x", &Normal::new(mu, 1.0), &method)?;
/// graph.cost("chance", x.gt(graph.constant(3.0)))?;
/// assert!(graph.backward()?.get("mu")?.item().is_ok_and(|gradient| gradient > 0.0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ImportanceSampling<P, B = NoBaseline> {
    proposal: P,
    sampling: Sampling,
    normalized: bool,
    baseline: B,
}

impl<R> ImportanceSampling<GivenProposal<R>> {
    /// Draws one sample from a distribution recorded on the same tape: of the same family, or any with the same
    /// support.
    pub fn from_distribution<'t, F: Real, L: Live<'t, F, Family = R>>(proposal: &L) -> Self
    where
        R: Family<F, On<'t> = L>,
    {
        // A distribution without parameters has no tape, and cannot be out of date.
        let generation = proposal.tape().map_or(0, Tape::generation);
        Self::of(GivenProposal { distribution: R::store(proposal), generation })
    }
}

impl ImportanceSampling<OverdispersedProposal> {
    /// Draws one sample from the distribution itself with its density raised to the power `1 / temperature`: logits are
    /// divided by the temperature, and the variance of a normal distribution is multiplied by it. At 1 it is the same
    /// distribution; above 1 it is wider.
    pub fn overdispersed(temperature: f64) -> Self {
        Self::of(OverdispersedProposal { temperature })
    }
}

impl<P> ImportanceSampling<P> {
    /// Draws one sample from your own kind of proposal.
    pub fn of(proposal: P) -> Self {
        ImportanceSampling {
            proposal,
            sampling: Sampling::on(SamplePlate::New(1)),
            normalized: false,
            baseline: NoBaseline,
        }
    }
}

impl<P, B> ImportanceSampling<P, B> {
    sampling_setters! { self => self.sampling; samples, scheme, groups }

    /// Divides the weights by their sum. This is biased, and suits distributions that are known up to a factor.
    pub fn normalized(self) -> Self {
        ImportanceSampling { normalized: true, ..self }
    }

    /// Subtracts a baseline from the costs.
    pub fn baseline<C>(self, baseline: C) -> ImportanceSampling<P, C> {
        let ImportanceSampling { proposal, sampling, normalized, .. } = self;
        ImportanceSampling { proposal, sampling, normalized, baseline }
    }
}

impl<P: ProposalKind, B: Memory> Method for ImportanceSampling<P, B> {
    fn name(&self) -> String {
        let normalized = self.normalized.then(|| "normalised".to_owned());
        let settings = [Some(self.proposal.name()), normalized, self.baseline.name()].into_iter().flatten();
        let members = self.sampling.describe();
        let settings: Vec<String> = settings.chain([members]).collect();
        format!("importance sampling ({})", settings.join(", "))
    }

    fn profile(&self) -> Profile {
        let profile = Profile::unbiased(Order::Any).and(self.baseline.profile()).times(self.sampling.samples());
        match self.normalized {
            false => profile,
            true => Profile { bias: Bias::Distribution, exact_to: Degree::CONSTANT, ..profile },
        }
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn slots(&self) -> MethodSlots {
        self.baseline.slots()
    }
}

impl<F: Real, D: Family<F>, P: Proposal<F, D>, B: Baseline<F>> GradientMethod<F, D> for ImportanceSampling<P, B>
where
    for<'t> D::On<'t>: ScoreDifferentiable<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let tape = context.tape();
        let (plate, draw) = self.sampling.members(context)?;
        let unsupported =
            |problem: String| DistributionError::Unsupported { distribution: distribution.name(), problem };
        check_baseline(tape, plate, &self.baseline).map_err(|problem| context.error(unsupported(problem)))?;
        let mut drawn = None;
        let proposed = self.proposal.propose(tape, distribution, &mut |proposal| {
            proposal.validate()?;
            if !self.proposal.has_same_support() {
                check_support(tape, distribution, proposal).map_err(unsupported)?;
            }
            let value = proposal.sample(&draw)?.drawn();
            // The dependence of the proposal's density on its parameters has no influence on the mean.
            drawn = Some((value, distribution.log_prob(value) - proposal.log_prob(value).drawn()));
            Ok(())
        });
        proposed.map_err(|source| context.error(source))?;
        let (Some((value, log_weight)), Some(plate)) = (drawn, plate) else {
            return Err(context
                .error(unsupported("`Proposal::propose` did not call its argument; pass the proposal to it".into())));
        };
        let weights = match self.normalized {
            true => (log_weight - log_weight.log_mean_exp_over(plate)).exp(),
            false => log_weight.exp(),
        };
        let weights = weights * (1.0 / self.sampling.samples() as f64);
        Ok(SampleSet { value, plate: Some(plate), weights: Some((weights, true)) })
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let Some(plate) = context.plate() else { return Ok(Terms::default()) };
        if self.proposal.has_same_support() {
            context.check_hidden_outcomes()?;
        }
        for cost in context.totals()? {
            if cost.joint.contains(&plate) {
                return Err(context.refused(
                    "a cost depends on several samples together, which are weighted draws of another distribution; \
                     keep the plate in the cost, or use a method with samples of the distribution itself, such as \
                     ScoreFunction",
                ));
            }
        }
        let baselines = self.baseline.baselines(context, distribution)?;
        let of_the_distribution = self.baseline.by_member()
            || self.baseline.profile().bias != Bias::Unbiased
            || !baselines.gradient_terms.is_empty()
            || baselines.values.iter().any(|baseline| baseline.mean.is_some());
        if of_the_distribution {
            return Err(context.refused(format!(
                "\"{}\" is made for samples of the distribution itself, and these are draws of another one; use \
                 LeaveOneOut, MovingAverage or SelfCritical, or ScoreFunction for the node",
                self.baseline.name().unwrap_or_default()
            )));
        }
        let total = baselines.values.iter().map(|baseline| baseline.value).reduce(|sum, baseline| sum + baseline);
        let control_variates = total.map(|baseline| {
            let magic_box = distribution.log_prob(context.value()).magic_box();
            (1.0 / magic_box - 1.0) * baseline.stop_gradient()
        });
        Ok(Terms {
            control_variates: control_variates.into_iter().collect(),
            auxiliary: baselines.auxiliary,
            updates: baselines.updates,
            ..Terms::default()
        })
    }
}

#[cfg(test)]
mod tests;
