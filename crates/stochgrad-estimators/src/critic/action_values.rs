//! Action values of all states of a discrete node: the expected policy gradient. Use it if a critic returns one value
//! for each action.
//!
//! $$g = \sum_a \nabla_\theta\, \pi(a \mid s)\, Q(s, a)$$
//!
//! The sum has no variance of the action itself, and needs no baseline, since the derivatives of the probabilities add up
//! to 0. The sampled action only decides what happens next. Sutton, McAllester, Singh and Mansour (2000); Asadi, Allen,
//! Roderick, Mohamed, Konidaris and Littman (2017) as the mean actor-critic; Ciosek and Whiteson (2018).
//!
//! **Assumptions.** A finite support of one element.
//!
//! | | |
//! |---|---|
//! | bias | the gradient; none if $Q$ is exact |
//! | order | 1; any if $Q$ is exact |
//! | cost evaluations | that of the sample |
//! | requirement on the cost | its value; one number for each member |

use super::{cost_of_a_member, profile, value_of_shape};
use crate::enumeration::local_expectation::{MOST_STATES, states};
use crate::score_function::baseline::{Baseline, Baselines, CostBaseline, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult, Profile};
use stochgrad_tensor::{Real, Shape};

/// Recorded action values in place of the costs downstream of a node, summed over all actions.
///
/// ```
/// use stochgrad_distributions::Categorical;
/// use stochgrad_estimators::{ActionValues, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.0, 0.0, 0.0])?;
/// let method = ScoreFunction::new().baseline(ActionValues::new("q").exact());
/// let action = graph.sample("action", &Categorical::from_logits(logits), &method)?;
/// graph.cost("cost", action.square())?;
/// graph.set_critic_value("q", graph.constant([0.0, 1.0, 4.0]))?;
/// let gradients = graph.backward()?;
/// let exact = [-5.0, -2.0, 7.0].map(|x| x / 9.0);
/// assert!(gradients.get("logits")?.as_slice().iter().zip(exact).all(|(found, exact)| (found - exact).abs() < 1e-12));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionValues {
    name: String,
    exact: bool,
    limit: usize,
}

impl ActionValues {
    /// The critic value of this name, which has the index of the node: for the node `("action", t)` that of `(name, t)`.
    /// Its event axis has one element for each state of the node, in the order of
    /// [`element_support`](stochgrad_distributions::FiniteSupport::element_support).
    pub fn new(name: impl Into<String>) -> Self {
        ActionValues { name: name.into(), exact: false, limit: MOST_STATES }
    }

    /// States that each value is the expected sum of the costs downstream, up to a number that all actions share. The
    /// gradient is then declared unbiased, which nothing checks.
    pub fn exact(self) -> Self {
        ActionValues { exact: true, ..self }
    }

    /// Sets the largest number of states, 4096 by default; a node with more of them is an error.
    pub fn limit(self, states: usize) -> Self {
        ActionValues { limit: states, ..self }
    }
}

/// The error for a distribution without a finite support of one element.
fn unsuitable(distribution: &str) -> String {
    format!(
        "expected a distribution over the states of one element, got {distribution}; use Advantage with the value of \
         the sampled action"
    )
}

impl Memory for ActionValues {
    fn name(&self) -> Option<String> {
        let exact = if self.exact { "exact " } else { "" };
        Some(format!("{exact}action values \"{}\"", self.name))
    }

    fn profile(&self) -> Profile {
        profile(self.exact)
    }
}

impl<F: Real> Baseline<F> for ActionValues {
    fn check_distribution(&self, distribution: &dyn Distribution<'_, F>) -> Result<(), String> {
        let event = distribution.event_shape();
        let elements = Shape::from(&event[..event.len().saturating_sub(distribution.element_rank())]).numel();
        match distribution.capabilities().finite_support {
            Some(_) if elements == 1 => Ok(()),
            _ => Err(unsuitable(distribution.name())),
        }
    }

    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let Some(finite) = distribution.capabilities().finite_support else {
            return Err(context.refused(unsuitable(distribution.name())));
        };
        let states = states(finite, self.limit).map_err(|source| context.error(source))?;
        let values = value_of_shape(context, &self.name, &Shape::from([states.len()]))?.held();
        if context.descends(values) {
            return Err(context.refused(format!(
                "the action values \"{}\" depend on the sample of the node, or were recorded after host code had read \
                 it; compute them from what the node depends on",
                self.name
            )));
        }
        let Some(cost) = cost_of_a_member(context, &self.name)? else { return Ok(Baselines::default()) };
        let tape = context.tape();
        let mut mean = tape.constant(0.0);
        for (number, state) in states.into_iter().enumerate() {
            let probability = finite.probability_each(tape.constant(state)).sum();
            mean = mean + probability * values.index(0, number);
        }
        // The costs themselves are the baseline, whose mean is that of the critic.
        let value = cost.value;
        Ok(Baselines { values: vec![CostBaseline::with_mean(cost, value, mean)], ..Baselines::default() })
    }
}
