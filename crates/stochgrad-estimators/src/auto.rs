//! Chooses a method for each node: enumeration, the pathwise derivative or the score function. Use it if you do not
//! want to choose a method yourself.
//!
//! How a node is *sampled* is decided when it is sampled, by what its distribution offers:
//!
//! 1. If it has a finite support with few joint states, all of them are enumerated.
//! 2. If it is reparameterised, one differentiable sample is drawn.
//! 3. Otherwise, independent samples are drawn.
//!
//! How a differentiable sample is *differentiated* is decided when the graph is, by the recorded paths. If no path from
//! the value contains a jump, the derivative is pathwise. Otherwise no gradient passes through the value, and the score
//! function is used for all costs. The two are never combined, since that would count the derivative twice.
//!
//! **Assumptions.** Those of [`Enumerate`](crate::Enumerate), [`Pathwise`](crate::Pathwise) or
//! [`ScoreFunction`](crate::ScoreFunction), whichever is chosen.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | any; 1 where the path has a kink, or where a parameter's path or score has one |
//! | cost evaluations | the number of joint states, or one a sample |
//! | requirement on the cost | values |
//!
//! Several samples of the score function get the leave-one-out baseline. `Gradients::reports` states what was chosen,
//! and why. The differentiable replay of another node (in REBAR, for example) does not accept an `Auto` node
//! downstream; use `Pathwise` for it there.

use crate::common::sampling::Sampling;
use crate::enumeration::constant_support::{constant_states, independent_elements, joint_states};
use crate::enumeration::enumerate::enumerate;
use crate::sampling_setters;
use crate::score_function::baseline::{Baseline, LeaveOneOut, independent_members};
use crate::score_function::baseline_terms;
use stochgrad_distributions::{Distribution, DistributionError, Family, SamplePath};
use stochgrad_graph::{
    CostContext, GradientMethod, GraphResult, Guarantee, Method, Order, Path, Profile, SampleContext, SamplePlate,
    SampleSet, Terms, sample_path_order,
};
use stochgrad_tape::{Plate, Smoothness, Tape, Var};
use stochgrad_tensor::{Real, instantiated};

/// Enumeration, the pathwise derivative or the score function, chosen for each node.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Normal};
/// use stochgrad_estimators::Auto;
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let theta = graph.param("theta", 0.3)?;
/// let b = graph.sample("b", &Bernoulli::from_logits(theta), &Auto::new())?;
/// let x = graph.sample("x", &Normal::new(theta + b, 1.0), &Auto::new())?;
/// graph.cost("loss", x.square())?;
/// let gradients = graph.backward()?;
/// let chosen: Vec<&str> = gradients.reports().iter().map(|(_, choice)| choice.as_str()).collect();
/// assert_eq!(chosen, ["enumeration of 2 joint states", "pathwise: every path from the value is free of jumps"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auto {
    sampling: Sampling,
    limit: usize,
}

impl Default for Auto {
    fn default() -> Self {
        Auto { sampling: Sampling::default(), limit: 64 }
    }
}

/// How a node is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// All joint states, of which there are this many.
    Enumerated(usize),
    /// Differentiable samples, through which gradients may or may not pass.
    Reparameterized,
    /// Independent samples.
    Independent,
}

impl Auto {
    /// Draws one sample, or enumerates up to 64 joint states.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! {
        self => self.sampling;
        /// Has no effect where the node is enumerated.
        samples,
        /// Has no effect where the node is enumerated.
        on_plate,
        /// Has no effect where the node is enumerated.
        scheme,
        /// Has no effect where the node is enumerated.
        groups
    }

    /// Enumerates nodes with at most this number of joint states.
    pub fn limit(self, states: usize) -> Self {
        Auto { limit: states, ..self }
    }

    fn choose<'t, F: Real>(&self, distribution: &dyn Distribution<'t, F>) -> Choice {
        let can = distribution.capabilities();
        if let Some(finite) = can.finite_support
            && let Ok(states) = constant_states(finite)
            && let Some(joint) = joint_states(states, independent_elements(finite))
            && joint <= self.limit
        {
            return Choice::Enumerated(joint);
        }
        let smooth = || distribution.parameters().iter().all(|parameter| parameter.path != SamplePath::None);
        if can.reparameterized.is_some() && smooth() { Choice::Reparameterized } else { Choice::Independent }
    }

    fn sample_body<'t, F: Real>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let can = distribution.capabilities();
        match (self.choose(distribution), can.finite_support, can.reparameterized) {
            (Choice::Enumerated(_), Some(finite), _) => enumerate(context, finite, self.limit),
            (Choice::Reparameterized, _, Some(reparameterized)) => {
                let (plate, draw) = self.sampling.members(context)?;
                let value = reparameterized.rsample(&draw).map_err(|source| context.error(source))?;
                Ok(SampleSet::equal(value, plate))
            }
            _ if can.score.is_some() => self.sampling.draw(context, distribution),
            _ => Err(context.error(DistributionError::Unsupported {
                distribution: distribution.name(),
                problem: "Auto needs a small finite support, reparameterised samples or a support that does not \
                          depend on the parameters, and this distribution has none of them; use MeasureValued if it \
                          offers a weak derivative"
                    .into(),
            })),
        }
    }

    fn terms_body<'t, F: Real>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Terms<'t, F>> {
        let tape = context.tape();
        if context.gradient_function().is_none() || !has_others(tape, context.plate()) {
            return Ok(Terms::default());
        }
        Ok(baseline_terms(tape, LeaveOneOut.baselines(context, distribution)?))
    }
}

/// Whether a pathwise derivative may be taken along all paths.
fn is_open(path: &Path) -> bool {
    path.smoothness <= Smoothness::Kinked
}

/// Whether a plate has several independent members, or groups of them, as leave-one-out needs.
fn has_others<F: Real>(tape: &Tape<F>, plate: Option<Plate>) -> bool {
    plate.is_some_and(|plate| independent_members(tape, plate) >= 2)
}

impl Method for Auto {
    fn name(&self) -> String {
        format!("auto ({})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        // An upper bound, since the choice is made for each node.
        Profile::unbiased(Order::Any).times(self.sampling.samples().max(self.limit))
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Auto {
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        match self.choose(distribution) {
            Choice::Enumerated(_) => Ok(Guarantee::EXACT),
            Choice::Reparameterized if is_open(path) => {
                // The graph derives the order from the smoothness of the score; here that of the sample path counts as
                // well.
                Ok(Guarantee::unbiased(sample_path_order(distribution).min(path.order())))
            }
            _ if distribution.capabilities().score.is_some() => Ok(Guarantee::EXACT),
            _ => {
                let through = path
                    .through
                    .as_ref()
                    .map_or("an operation that jumps".into(), |(what, at)| format!("{what} ({at})"));
                Err(format!(
                    "the value reaches a cost through {through}, which rules the pathwise derivative out, and the \
                     support of {} depends on its parameters, which rules the score function out; use MeasureValued \
                     if it offers a weak derivative, or smooth the operation",
                    distribution.name()
                ))
            }
        }
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        instantiated!(
            F: for<'t> fn(&Auto, &SampleContext<'_, 't, F>, &dyn Distribution<'t, F>) -> GraphResult<SampleSet<'t, F>> =
                Auto::sample_body
        )(self, context, distribution)
    }

    fn passes_gradient(&self, path: &Path) -> bool {
        is_open(path)
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, path: &Path) -> Option<Var<'t, F>> {
        match self.choose(distribution) {
            Choice::Enumerated(_) => None,
            Choice::Reparameterized if is_open(path) => None,
            _ => Some(distribution.log_prob(value)),
        }
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        instantiated!(
            F: for<'t> fn(&Auto, &CostContext<'_, 't, F>, &dyn Distribution<'t, F>) -> GraphResult<Terms<'t, F>> =
                Auto::terms_body
        )(self, context, distribution)
    }

    fn report(&self, distribution: &D::On<'_>, path: &Path) -> Option<String> {
        let score = |reason: String| {
            let others = match self.sampling.plate {
                SamplePlate::New(_) if self.sampling.scheme.is_some() => self.sampling.groups >= 2,
                SamplePlate::New(samples) => samples >= 2,
                SamplePlate::Shared(plate) => distribution.tape().is_ok_and(|tape| has_others(tape, Some(plate))),
                SamplePlate::Single => false,
            };
            format!("score function{}: {reason}", if others { " with leave-one-out" } else { "" })
        };
        Some(match self.choose(distribution) {
            Choice::Enumerated(joint) => format!("enumeration of {joint} joint states"),
            Choice::Reparameterized if is_open(path) => "pathwise: every path from the value is free of jumps".into(),
            Choice::Reparameterized => score(match &path.through {
                Some((what, at)) => format!("a path from the value goes through {what} ({at})"),
                None => "a path from the value jumps".into(),
            }),
            Choice::Independent => {
                score(format!("{} has no small finite support and is not reparameterised", distribution.name()))
            }
        })
    }
}

#[cfg(test)]
mod tests;
