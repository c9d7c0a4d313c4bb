//! Sampling without replacement with importance weights. Use it instead of [`UnorderedSet`](crate::UnorderedSet) for
//! large sets, since it needs no sums over orders.
//!
//! Every state $s$ arrives after an exponential time with rate $p(s)$, whose logarithm is minus $\ln p(s)$ perturbed by
//! a Gumbel variate. The first $k$ states to arrive are the set $S$, and the arrival time $t$ of the next one gives the
//! threshold $\kappa = -\ln t$. Given the others, a state is in the set with probability $q_\kappa(s) = 1 - e^{-p(s)\,
//! t}$, so that
//!
//! $$\mathbb{E}[f] = \mathbb{E} \sum_{s \in S} w_s\, f(s), \qquad w_s = \frac{p(s)}{q_\kappa(s)}, \qquad
//!     g = \sum_{s \in S} w_s\, \nabla \ln p(s)\, \big[f(s)\,(1 + w_s - p(s)) - B\big], \quad B = \sum_{s' \in S} w_{s'} f(s').$$
//!
//! The baseline $B$ is made of the same set. The factor of $f(s)$ corrects the resulting bias, since the weights of two
//! states are uncorrelated for $k \ge 2$. The weights are detached, and $\ln p$ is the gradient function, so that
//! derivatives of every order are unbiased. [`normalized`](WithoutReplacement::normalized) divides the weights by their
//! sum, and uses $B$ without the correction: this is biased, and has a lower variance. Duffield, Lund and Thorup (2007)
//! as priority sampling; Vieira (2017); Kool, van Hoof and Welling (2019, 2020).
//!
//! [`UnorderedSet`](crate::UnorderedSet) is the conditional expectation of the unnormalised form given the set, and
//! never has a larger variance. With a single state the variance is infinite.
//!
//! **Assumptions.** A finite support; the joint states of all elements are the states. A cost must not depend on the
//! sets of several plate members together.
//!
//! | | plain | normalised |
//! |---|---|---|
//! | bias | none | of costs and gradients, of order $1/k$ |
//! | order | any | any |
//! | cost evaluations | $k$ | $k$ |
//! | requirement on the cost | values | values |

use crate::common::unrolled::check_unrolled;
use crate::enumeration::distinct_states::{DistinctStates, pick_draw, weighted};
use stochgrad_distributions::{Distribution, DistributionError, Family, FiniteSupport, ScoreDifferentiable};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphResult, Method, Order, Path, Profile, SampleContext, SampleSet, Terms,
};
use stochgrad_tape::{Degree, Plate, PlateKind, TapeResult, Var, Weights};
use stochgrad_tensor::{Real, Shape, instantiated};

/// States without replacement with importance weights, for distributions with a finite support.
///
/// ```
/// use stochgrad_distributions::Categorical;
/// use stochgrad_estimators::WithoutReplacement;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0, 0.5, 0.0])?;
/// let x = graph.sample("x", &Categorical::from_logits(logits), &WithoutReplacement::new(2))?;
/// graph.cost("loss", (x - 1.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithoutReplacement {
    size: usize,
    baseline: bool,
    normalized: bool,
    limit: usize,
}

impl WithoutReplacement {
    /// Draws sets of this number of states, for nodes with up to 4096 joint states. From two states on, they have the
    /// built-in baseline.
    pub fn new(size: usize) -> Self {
        WithoutReplacement { size, baseline: true, normalized: false, limit: 4096 }
    }

    /// Leaves out the built-in baseline.
    pub fn without_baseline(self) -> Self {
        WithoutReplacement { baseline: false, ..self }
    }

    /// Divides the weights by their sum, which is biased and has a lower variance.
    pub fn normalized(self) -> Self {
        WithoutReplacement { normalized: true, ..self }
    }

    /// Sets the largest number of joint states; a node with more of them is an error.
    pub fn limit(self, states: usize) -> Self {
        WithoutReplacement { limit: states, ..self }
    }

    fn sample_body<'t, F: Real>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &dyn FiniteSupport<'t, F>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let tape = context.tape();
        let mut states = DistinctStates::new(tape, distribution, self.limit).map_err(|source| context.error(source))?;
        if self.size == 0 || self.size > states.total() {
            return Err(context.error(DistributionError::Unsupported {
                distribution: distribution.name(),
                problem: format!(
                    "expected a set of 1 to {} states, got {}; for all states use Enumerate",
                    states.total(),
                    self.size
                ),
            }));
        }
        let instead = "draw smaller sets, or several samples with ScoreFunction";
        check_unrolled(distribution.name(), "states in a set", self.size, instead)
            .map_err(|source| context.error(source))?;
        // Arrival times are independent of which state arrives. The wait for the next one has the rate of the remaining
        // states.
        let mut rates = vec![states.rest()];
        for number in 0..self.size {
            states.pick_randomly(&pick_draw(context, number)).map_err(|source| context.error(source))?;
            rates.push(states.rest());
        }
        let chances: Vec<Var<'t, F>> = states.picked().iter().map(|&chosen| states.probability(chosen)).collect();
        let weights = if self.size == states.total() {
            chances
        } else {
            let draw = context.draw(None).purpose("threshold");
            let waits = draw.record_exponential(tape, &Shape::from([rates.len()]));
            let waits = waits.map_err(|source| context.error(source))?;
            importance_weights(&chances, &rates, waits)?
        };
        let weights = if self.normalized { normalized(&weights)? } else { weights };
        let plate = context.plate(self.size, PlateKind::JointSamples)?;
        let value = states.members(states.picked(), plate, &distribution.event_shape())?;
        weighted(value, &weights, plate)
    }

    fn terms_body<'t, F: Real>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn FiniteSupport<'t, F>,
    ) -> GraphResult<Terms<'t, F>> {
        context.check_hidden_outcomes()?;
        let Some(plate) = context.plate().filter(|_| self.baseline && self.size >= 2) else {
            return Ok(Terms::default());
        };
        let chances = distribution.log_prob(context.value()).stop_gradient().exp();
        own_baseline(context, plate, chances, self.normalized)
    }
}

/// The weights of states that were drawn without replacement, from their probabilities, from the probabilities of all
/// that remained before each draw and after the last one, and from standard exponential variates for the waits.
pub(crate) fn importance_weights<'t, F: Real>(
    chances: &[Var<'t, F>],
    rates: &[Var<'t, F>],
    waits: Var<'t, F>,
) -> TapeResult<Vec<Var<'t, F>>> {
    let arrival = (waits / Var::stack(rates)?).sum();
    Ok(chances.iter().map(|&p| p / -(-(p * arrival)).expm1()).collect())
}

/// Weights divided by their sum.
pub(crate) fn normalized<'t, F: Real>(weights: &[Var<'t, F>]) -> TapeResult<Vec<Var<'t, F>>> {
    let sum = Var::stack(weights)?.sum();
    Ok(weights.iter().map(|&weight| weight / sum).collect())
}

/// The baseline that is made of the weighted set itself. `chances` are the probabilities of the members.
pub(crate) fn own_baseline<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    plate: Plate,
    chances: Var<'t, F>,
    normalized: bool,
) -> GraphResult<Terms<'t, F>> {
    let mut terms = Terms::default();
    let Weights::Given { id, .. } = context.tape().weights(plate) else { return Ok(terms) };
    let weights = context.tape().var(id)?.stop_gradient();
    for cost in context.totals()? {
        let Some(l) = cost.gradient_function else { continue };
        let all = (weights * cost.value).sum_over(plate);
        let baseline = if normalized { all } else { all - (weights - chances) * cost.value };
        terms.control_variates.push((1.0 - l.magic_box()) * baseline.stop_gradient());
    }
    Ok(terms)
}

impl Method for WithoutReplacement {
    fn name(&self) -> String {
        let normalized = if self.normalized { ", normalised" } else { "" };
        let baseline = if self.baseline { "" } else { ", no baseline" };
        format!("without replacement ({} states{normalized}{baseline})", self.size)
    }

    fn profile(&self) -> Profile {
        let profile = Profile::unbiased(Order::Any).times(self.size);
        match self.normalized {
            false => profile,
            true => Profile { bias: Bias::Distribution, exact_to: Degree::CONSTANT, ..profile },
        }
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for WithoutReplacement
where
    for<'t> D::On<'t>: FiniteSupport<'t, F> + ScoreDifferentiable<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        instantiated!(
            F: for<'t> fn(&WithoutReplacement, &SampleContext<'_, 't, F>, &dyn FiniteSupport<'t, F>) -> GraphResult<SampleSet<'t, F>> =
                WithoutReplacement::sample_body
        )(self, context, distribution)
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, _path: &Path) -> Option<Var<'t, F>> {
        Some(distribution.log_prob(value))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        instantiated!(
            F: for<'t> fn(&WithoutReplacement, &CostContext<'_, 't, F>, &dyn FiniteSupport<'t, F>) -> GraphResult<Terms<'t, F>> =
                WithoutReplacement::terms_body
        )(self, context, distribution)
    }
}

#[cfg(test)]
mod tests;
