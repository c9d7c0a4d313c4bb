//! Critics: recorded estimates of the costs downstream of a node, learned or known.
//!
//! A *state value* $V(s)$ estimates the expected sum of the costs downstream of a node before it is sampled, and an
//! *action value* $Q(s, a)$ after. The model records them, so that they can share layers with it, and names them with
//! [`Graph::set_critic_value`](stochgrad_graph::Graph::set_critic_value). Critic values are in the units of the costs: a
//! policy that maximises rewards has their negatives as costs, and its critic estimates the negative return.
//!
//! | the node is credited with | by | bias |
//! |---|---|---|
//! | the costs downstream minus $V(s)$ | [`StateValue`] | none |
//! | $Q(s, a) - V(s)$, a generalised advantage, or another estimate | [`Advantage`] | the gradient, unless it is exact |
//! | $\sum_a \nabla \pi(a \mid s)\, Q(s, a)$ | [`ActionValues`] | the gradient, unless $Q$ is exact |
//! | $\nabla_a Q(s, a)$ along the sample path | [`GradientCritic`] | the gradient, unless it is exact |
//!
//! [`Trajectory`] computes returns and advantages, and [`CriticFit`] trains a critic.
//!
//! Schulman, Heess, Weber and Abbeel (2015), *Gradient estimation using stochastic computation graphs*; Weber, Heess,
//! Buesing and Silver (2019), *Credit assignment techniques in stochastic computation graphs*.

mod action_values;
mod advantage;
mod critic_fit;
mod gradient_critic;
mod state_value;
#[cfg(test)]
mod tests;
mod trajectory;

pub use action_values::ActionValues;
pub use advantage::Advantage;
pub use critic_fit::CriticFit;
pub use gradient_critic::GradientCritic;
pub use state_value::StateValue;
pub use trajectory::Trajectory;

use stochgrad_graph::{Access, Bias, CostContext, Count, GraphResult, NodeCost, Order, Profile};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

/// The profile of a critic that takes the place of the costs, as an addition to that of the score function.
fn profile(exact: bool) -> Profile {
    match exact {
        true => Profile::unbiased(Order::Any).evaluations(Count::exactly(0)),
        false => Profile::biased(Bias::Gradient)
            .evaluations(Count::exactly(0))
            .backward_passes(Count::exactly(0), Access::Values),
    }
}

/// A critic value of this event shape for each member of a node.
///
/// # Errors
/// If there is none, for another shape, and for plates that the node lacks.
fn value_of_shape<'t, F: Real>(context: &CostContext<'_, 't, F>, name: &str, shape: &Shape) -> GraphResult<Var<'t, F>> {
    let value = context.critic_value(name)?;
    if value.shape() != *shape {
        return Err(context.refused(format!(
            "expected a critic value \"{name}\" of event shape {shape} for each member of the node, got event shape {}",
            value.shape()
        )));
    }
    if let Some(foreign) = value.plates().iter().find(|plate| !context.plates().contains(plate)) {
        return Err(context.refused(format!(
            "critic value \"{name}\" lies on plate \"{}\", which the node does not have; compute it from what the node \
             depends on",
            context.tape().plate_name(*foreign)
        )));
    }
    Ok(value)
}

/// The sum of the costs of each member, which a critic value replaces; `None` if there is none.
///
/// # Errors
/// For a cost of several members jointly, since a critic value is that of one member.
fn cost_of_a_member<'t, F: Real>(context: &CostContext<'_, 't, F>, name: &str) -> GraphResult<Option<NodeCost<'t, F>>> {
    let totals = context.totals()?;
    if let Some(plate) = totals.iter().find_map(|cost| cost.joint.first()) {
        return Err(context.refused(format!(
            "critic value \"{name}\" estimates the costs of one member, and a cost depends on all members of plate \"{}\" \
             jointly; leave the plate in the cost, or restrict the critic to other costs with PerCost",
            context.tape().plate_name(*plate)
        )));
    }
    Ok(totals.into_iter().next())
}
