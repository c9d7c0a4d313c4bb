//! Named outputs, and the estimates of the costs without their gradients.

use crate::analysis::finite::{check_recorded, cost_in_words};
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::reduction::reduce;
use std::panic::Location;
use stochgrad_tape::{IdMap, TapeError, Var};
use stochgrad_tensor::Real;

impl<'t, F: Real> Graph<'t, F> {
    /// Names a value that one may want to look at, such as a prediction. It has no effect on the gradients.
    ///
    /// # Errors
    /// If another output has this name, and for earlier errors on the tape.
    #[track_caller]
    pub fn output(&self, name: &str, value: Var<'t, F>) -> GraphResult<()> {
        let at = Location::caller();
        self.tape().check()?;
        if !std::ptr::eq(value.tape(), self.tape()) {
            return Err(TapeError::Foreign { what: format!("output \"{name}\""), at }.into());
        }
        let known = self.state().outputs.iter().find(|(known, ..)| known == name).map(|(_, _, before)| *before);
        if let Some(before) = known {
            return Err(GraphError::Duplicate { what: "output", name: name.into(), before, at });
        }
        self.state_mut().outputs.push((name.into(), value, at));
        Ok(())
    }

    /// The named outputs, in the order of recording.
    pub fn outputs(&self) -> Vec<(String, Var<'t, F>)> {
        self.state().outputs.iter().map(|(name, value, _)| (name.clone(), *value)).collect()
    }

    /// The estimates of the expectations of the costs, recorded on the tape: each cost, reduced over its plates. Their
    /// derivatives are not those of the expectations.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let x = graph.data("points", [1.0, 2.0, 6.0])?;
    /// graph.cost("loss", x * 2.0)?;
    /// let [(name, estimate)] = &graph.estimates()?[..] else { panic!("one cost") };
    /// assert_eq!((&name[..], estimate.item()?), ("loss", 6.0));
    /// # Ok::<(), stochgrad_graph::GraphError>(())
    /// ```
    ///
    /// # Errors
    /// For a graph without costs, for an estimate that is NaN or infinite, with the operation that first produced it,
    /// and for earlier errors on the tape.
    pub fn estimates(&self) -> GraphResult<Vec<(String, Var<'t, F>)>> {
        let state = self.state();
        if state.costs.is_empty() {
            return Err(GraphError::NoCost);
        }
        let mut estimates = Vec::new();
        for cost in &state.costs {
            let parts = cost.parts.iter().map(|part| reduce(part.value, &part.plates, &IdMap::identity(), false));
            estimates.extend(parts.reduce(|sum, part| sum + part).map(|value| (cost.name.clone(), value)));
        }
        self.tape().check()?;
        for (name, estimate) in &estimates {
            check_recorded(&[*estimate], |_| cost_in_words(name))?;
        }
        Ok(estimates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Seed;
    use stochgrad_tape::Tape;

    #[test]
    fn outputs_are_kept_by_name_and_order() {
        let (tape, other) = (Tape::<f64>::new(), Tape::<f64>::new());
        let graph = Graph::new(&tape, Seed::new(7));
        let x = graph.param("x", 2.0).unwrap();
        graph.output("b", x * 2.0).unwrap();
        graph.output("a", x).unwrap();
        assert_eq!(graph.outputs().iter().map(|(name, _)| &name[..]).collect::<Vec<_>>(), ["b", "a"]);
        let message = graph.output("a", x).unwrap_err().to_string();
        assert!(message.contains("output \"a\" exists already"), "{message}");
        assert!(graph.output("c", other.constant(1.0)).is_err());
    }

    #[test]
    fn estimates_are_those_of_the_gradients() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        assert_eq!(graph.estimates().err(), Some(GraphError::NoCost));
        let x = graph.data("points", [1.0, 2.5, 6.0]).unwrap();
        let plate = x.plates()[0];
        graph.cost("sum", x.exp() + x.mean_over(plate)).unwrap();
        graph.cost("other", x.sin()).unwrap();
        let estimates: Vec<(String, f64)> =
            graph.estimates().unwrap().into_iter().map(|(name, value)| (name, value.item().unwrap())).collect();
        assert_eq!(estimates, graph.backward().unwrap().costs());
    }
}
