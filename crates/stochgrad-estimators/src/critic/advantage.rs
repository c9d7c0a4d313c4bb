//! An estimate in place of the costs: the score function of a node multiplies a recorded advantage. Use it for
//! generalised advantages, for action values, and for returns that are cut off and completed by a critic.
//!
//! $$g = \hat A\, \nabla_\theta \ln \pi(a \mid s)$$
//!
//! The gradient is that of the expected costs if $\mathbb{E}[\hat A \mid s, a]$ differs from the expected sum of the
//! costs downstream by a function of the state only. This holds for $Q(s, a)$, $Q(s, a) - V(s)$ and generalised
//! advantages (Schulman, Moritz, Levine, Jordan and Abbeel 2016) of *exact* critics without a discount. A learned critic
//! makes the gradient biased, and so does a discount that the costs do not have. With $\lambda = 1$ and no discount, a
//! generalised advantage is the return minus $V(s)$, for which [`StateValue`](crate::StateValue) has the better guarantee.
//!
//! In the surrogate, the costs are multiplied by the magic box of the node as before, and the control variate
//! $(1 - \square(l))\, \operatorname{stop}(f - \hat A)$ is added. This is the objective of Farquhar, Whiteson and Foerster
//! (2019) for advantages: with an exact critic, derivatives of every order are exact.
//!
//! | | |
//! |---|---|
//! | bias | the gradient; none if the critic is exact |
//! | order | 1; any if the critic is exact |
//! | cost evaluations | that of the sample |
//! | requirement on the cost | its value; one number for each member |

use super::{cost_of_a_member, profile, value_of_shape};
use crate::score_function::baseline::{Baseline, Baselines, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult, Profile};
use stochgrad_tensor::{Real, Shape};

/// A recorded advantage in place of the costs downstream of the node.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{Advantage, ScoreFunction};
/// use stochgrad_graph::{Bias, Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logit = graph.param("logit", 0.3)?;
/// let method = ScoreFunction::new().baseline(Advantage::new("advantage"));
/// let action = graph.sample("action", &Bernoulli::from_logits(logit), &method)?;
/// let later = graph.sample("later", &Bernoulli::from_logits(action - 0.5), &ScoreFunction::new())?;
/// graph.cost("cost", action + later)?;
/// // A critic that knows roughly what the later bit costs, minus a value of the state.
/// graph.set_critic_value("advantage", action + 0.4 + 0.2 * action - 1.0)?;
/// assert_eq!(graph.backward()?.guarantee("logit")?.bias, Bias::Gradient);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advantage {
    name: String,
    exact: bool,
}

impl Advantage {
    /// The critic value of this name, which has the index of the node: for the node `("action", t)` that of `(name, t)`.
    pub fn new(name: impl Into<String>) -> Self {
        Advantage { name: name.into(), exact: false }
    }

    /// States that the mean of the value, given the sample, is the expected sum of the costs downstream minus a number
    /// that does not depend on the sample. The gradient is then declared unbiased, which nothing checks.
    pub fn exact(self) -> Self {
        Advantage { exact: true, ..self }
    }
}

impl Memory for Advantage {
    fn name(&self) -> Option<String> {
        let exact = if self.exact { "exact " } else { "" };
        Some(format!("{exact}advantage \"{}\"", self.name))
    }

    fn profile(&self) -> Profile {
        profile(self.exact)
    }
}

impl<F: Real> Baseline<F> for Advantage {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        _distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let advantage = value_of_shape(context, &self.name, &Shape::scalar())?.held();
        let cost = cost_of_a_member(context, &self.name)?;
        Ok(Baselines::new(cost.map(|cost| {
            let rest = cost.value - advantage;
            (cost, rest)
        })))
    }
}
