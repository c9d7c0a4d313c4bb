//! A state value as a baseline: the score function of a node multiplies the costs downstream minus $V(s)$. Use it with a
//! critic that is a part of the model.
//!
//! $$g = \big(f - V(s)\big)\, \nabla_\theta \ln \pi(a \mid s)$$
//!
//! $V$ does not depend on the sample, so that the gradient is unbiased at every order, however wrong the critic is. The
//! method refuses a value that does depend on it. Sutton, McAllester, Singh and Mansour (2000); Schulman, Heess, Weber
//! and Abbeel (2015) for stochastic computation graphs.

use super::value_of_shape;
use crate::score_function::baseline::{Baseline, Baselines, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult};
use stochgrad_tensor::{Real, Shape};

/// A recorded state value as a baseline.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{ScoreFunction, StateValue};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let state = graph.data("states", [0.5, -1.0])?;
/// let policy = Bernoulli::from_logits(state * graph.param("slope", 0.3)?);
/// let method = ScoreFunction::new().baseline(StateValue::new("value"));
/// let action = graph.sample("action", &policy, &method)?;
/// graph.set_critic_value("value", state * 2.0)?;
/// graph.cost("cost", (action - state).square())?;
/// assert_eq!(graph.backward()?.guarantee("slope")?.to_string(), "unbiased, valid at every order");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateValue {
    name: String,
}

impl StateValue {
    /// The critic value of this name, which has the index of the node: for the node `("action", t)` that of `(name, t)`.
    pub fn new(name: impl Into<String>) -> Self {
        StateValue { name: name.into() }
    }
}

impl Memory for StateValue {
    fn name(&self) -> Option<String> {
        Some(format!("state value \"{}\"", self.name))
    }
}

impl<F: Real> Baseline<F> for StateValue {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        _distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let value = value_of_shape(context, &self.name, &Shape::scalar())?;
        if context.descends(value) {
            return Err(context.refused(format!(
                "the state value \"{}\" depends on the sample of the node, or was recorded after host code had read it, \
                 which would bias the gradient; compute it from what the node depends on, or use Advantage",
                self.name
            )));
        }
        let totals = context.totals()?;
        // It is an estimate of all costs together: subtracted once.
        let own = totals.iter().position(|cost| cost.joint.is_empty()).unwrap_or(0);
        Ok(Baselines::new(totals.into_iter().nth(own).map(|cost| {
            let carried = value.plates();
            let joint = cost.joint.iter().filter(|plate| carried.contains(plate));
            let value = joint.fold(value, |mean, &plate| mean.mean_over(plate));
            (cost, value)
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, GraphError, Seed};
    use stochgrad_tape::{Tape, Var};
    use stochgrad_tensor::Tensor;

    /// Two actions on a plate of states, each with its own value, and a cost of one state or of all of them.
    fn model(graph: &Graph<'_, f64>, jointly: bool) -> GraphResult<()> {
        let method = ScoreFunction::new().baseline(StateValue::new("value"));
        let states = graph.data("states", [0.5, -1.0])?;
        let (t, u) = (graph.param("t", 0.4)?, graph.param("u", -0.3)?);
        let mut position = states;
        for step in 0..2 {
            let action = graph.sample(("action", step), &Bernoulli::from_logits(position * t + u), &method)?;
            graph.set_critic_value(("value", step), position.square() * 1.5 + t)?;
            position = position + action * 0.5 + t * action;
            graph.cost(&format!("cost {step}"), (position - 0.7).square())?;
        }
        if jointly {
            graph.cost("joint", position.mean_over(states.plates()[0]).exp())?;
        }
        Ok(())
    }

    #[test]
    fn it_is_exact_at_every_order_with_any_value() {
        for jointly in [false, true] {
            Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, jointly), 0..=2, 1e-9).unwrap();
        }
    }

    /// Names a critic value for a bit.
    type Naming = dyn for<'t> Fn(&Graph<'t, f64>, Var<'t, f64>) -> GraphResult<()>;

    #[test]
    fn values_that_do_not_suit_the_node_are_refused() {
        let message = |record: &Naming| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(3));
            let bit = Bernoulli::from_logits(graph.param("t", 0.4).unwrap());
            let method = ScoreFunction::new().baseline(StateValue::new("value"));
            let bit = graph.sample(("bit", 1), &bit, &method).unwrap();
            record(&graph, bit).unwrap();
            graph.cost("cost", bit * 2.0).unwrap();
            let error = graph.backward().unwrap_err();
            assert!(matches!(error, GraphError::Refused { .. }), "{error}");
            error.to_string()
        };
        assert!(message(&|_, _| Ok(())).contains("expected a critic value \"value[1]\""));
        let other = message(&|graph, _| graph.set_critic_value(("value", 0), graph.constant(1.0)));
        assert!(other.contains("got value[0]"), "{other}");
        let dependent = message(&|graph, bit| graph.set_critic_value(("value", 1), bit + 1.0));
        assert!(dependent.contains("depends on the sample") && dependent.contains("Advantage"), "{dependent}");
        let vector = message(&|graph, _| graph.set_critic_value(("value", 1), graph.constant([1.0, 2.0])));
        assert!(vector.contains("event shape"), "{vector}");
        let foreign = message(&|graph, _| {
            let rows = graph.data("rows", Tensor::from([1.0, 2.0]))?;
            graph.set_critic_value(("value", 1), rows)
        });
        assert!(foreign.contains("plate \"rows\""), "{foreign}");
    }
}
