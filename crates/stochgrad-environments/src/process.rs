//! The trait of decision processes.

use stochgrad_graph::{Graph, GraphResult, Transition};
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

/// A Markov decision process: it starts episodes, and makes steps from a state and an action.
///
/// Both functions record operations for all members of some plates at once. They must be pure: everything that the next
/// step needs is a part of the state, and noise comes from the graph, under the name that is passed. Names of nodes may be
/// longer than that name, so that each part of a step has one of its own.
///
/// [`HostProcess`](crate::HostProcess) implements it for functions in plain Rust.
///
/// ```
/// use stochgrad_environments::{DecisionProcess, Transition};
/// use stochgrad_graph::{Graph, GraphResult};
/// use stochgrad_tape::{Plate, Var};
///
/// /// A position that an action moves, with a reward for being close to 0. Episodes do not end.
/// struct Line;
///
/// impl DecisionProcess<f64> for Line {
///     fn start<'t>(&self, graph: &Graph<'t, f64>, _: &str, plates: &[Plate]) -> GraphResult<Var<'t, f64>> {
///         Ok(graph.constant(1.0).expand_plates(plates))
///     }
///
///     fn step<'t>(
///         &self,
///         graph: &Graph<'t, f64>,
///         _: &str,
///         state: Var<'t, f64>,
///         action: Var<'t, f64>,
///     ) -> GraphResult<Transition<'t, f64>> {
///         let next = state + 0.5 * action;
///         Ok(Transition { state: next, observation: next, reward: -next.square(), done: graph.constant(0.0) })
///     }
/// }
/// ```
pub trait DecisionProcess<F: Real> {
    /// Starts an episode for each combination of members of the plates, and returns their states.
    ///
    /// # Errors
    /// Those of recorded operations.
    fn start<'t>(&self, graph: &Graph<'t, F>, name: &str, plates: &[Plate]) -> GraphResult<Var<'t, F>>;

    /// Makes one step.
    ///
    /// # Errors
    /// Those of recorded operations.
    fn step<'t>(
        &self,
        graph: &Graph<'t, F>,
        name: &str,
        state: Var<'t, F>,
        action: Var<'t, F>,
    ) -> GraphResult<Transition<'t, F>>;
}
