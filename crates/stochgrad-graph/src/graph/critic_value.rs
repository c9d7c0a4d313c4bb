//! Critic values: recorded estimates of the costs downstream, which methods of nodes find by name.
//!
//! A critic that shares layers with the model is a part of the recording. The method of a node is chosen before the
//! node is sampled, and outlives the recording, so that it cannot hold a recorded value. It names the value instead.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::graph::scan::log::What;
use std::collections::BTreeMap;
use std::panic::Location;
use stochgrad_tape::{TapeError, Var};
use stochgrad_tensor::Real;

/// The recorded estimates by their addresses, and where they were named.
pub(crate) type CriticValues<'t, F> = BTreeMap<Address, (Var<'t, F>, &'static Location<'static>)>;

impl<'t, F: Real> Graph<'t, F> {
    /// Names a value for the methods of nodes: an estimate of the sum of the costs downstream, for example. It has no
    /// effect of its own.
    ///
    /// The method of the node `("action", t)` finds the value `("value", t)`, and the method of `"action"` the value
    /// `"value"`. In a [loop](Self::scan) the names carry the number of the step, as those of nodes do. A value may be
    /// named after the node was sampled, since methods ask for it when the graph is differentiated.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> stochgrad_graph::GraphResult<()> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let state = graph.data("states", [0.5, -1.0])?;
    /// graph.set_critic_value(("value", 0), state * graph.param("slope", 0.3)?)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If another value has this name and index, and for earlier errors on the tape.
    #[track_caller]
    pub fn set_critic_value(&self, address: impl Into<Address>, value: Var<'t, F>) -> GraphResult<()> {
        self.critic_value_at(&address.into(), value, Location::caller())
    }

    /// As [`set_critic_value`](Self::set_critic_value), for a value that is named at another line.
    pub(crate) fn critic_value_at(
        &self,
        named: &Address,
        value: Var<'t, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<()> {
        self.tape().check()?;
        if !std::ptr::eq(value.tape(), self.tape()) {
            return Err(TapeError::Foreign { what: format!("critic value \"{named}\""), at }.into());
        }
        let address = self.address_in_scan(named);
        if let Some((_, before)) = self.state().critic_values.get(&address) {
            return Err(GraphError::Duplicate { what: "critic value", name: address.to_string(), before, at });
        }
        self.state_mut().critic_values.insert(address, (value, at));
        self.note_scan(|log, end| log.add(end..end, value, What::CriticValue(named.clone()), at));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Seed;
    use stochgrad_tape::Tape;

    #[test]
    fn values_are_named_once() {
        let (tape, other) = (Tape::<f64>::new(), Tape::<f64>::new());
        let graph = Graph::new(&tape, Seed::new(7));
        let value = graph.constant(1.0);
        graph.set_critic_value("value", value).unwrap();
        graph.set_critic_value(("value", 0), value).unwrap();
        let message = graph.set_critic_value(("value", 0), value).unwrap_err().to_string();
        assert!(message.contains("critic value \"value[0]\" exists already"), "{message}");
        assert!(graph.set_critic_value("foreign", other.constant(1.0)).is_err());
    }

    /// The body of a loop is repeated, and the value of each step is that of the step.
    #[test]
    fn each_step_of_a_loop_has_a_value_of_its_own() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let mut calls = 0;
        graph
            .scan("time", 4, graph.constant(1.0), |_, level| {
                calls += 1;
                let level = level * 2.0;
                graph.set_critic_value("value", level)?;
                Ok((level, ()))
            })
            .unwrap();
        assert!(calls < 4, "the body is recorded once");
        let state = graph.state();
        let values = state.critic_values.iter();
        let found: Vec<_> = values.map(|(name, (value, _))| (name.to_string(), value.peek().unwrap().item())).collect();
        let expected = [(0, 2.0), (1, 4.0), (2, 8.0), (3, 16.0)].map(|(t, value)| (format!("value[{t}]"), Ok(value)));
        assert_eq!(found, expected);
    }
}
