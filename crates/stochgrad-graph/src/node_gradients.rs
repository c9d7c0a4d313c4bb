//! Gradients with respect to the parameters of the distributions of nodes.

use crate::analysis::facts::Analysis;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::surrogate::build;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

impl<F: Real> Graph<'_, F> {
    /// The gradients of the total expected cost with respect to the parameters of the distribution of a node, one for
    /// each parameter, such as the logits. Use them for the variance that the gradient methods cause at the node. The
    /// tape is restored afterwards.
    ///
    /// A parameter is the variable with which the distribution was made, and its gradient contains all its uses: that of
    /// logits contains the part of a divergence that is computed from them.
    ///
    /// A parameter that lies on a plate has a gradient for each member. If costs are averaged over the plate, it
    /// contains a factor of one over the number of members.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let x = graph.param("x", 2.0)?;
    /// graph.cost("square", x.square())?;
    /// let message = graph.node_gradients("z").unwrap_err().to_string();
    /// assert_eq!(message, "no node is called \"z\"; there are: none");
    /// # Ok::<(), stochgrad_graph::GraphError>(())
    /// ```
    ///
    /// # Errors
    /// For an unknown node, and those of [`backward`](Self::backward). The values are not checked.
    pub fn node_gradients(&self, node: &str) -> GraphResult<Vec<Tensor<F>>> {
        let state = self.state();
        let Some(found) = state.nodes.iter().find(|known| known.address.to_string() == node) else {
            let known: Vec<String> = state.nodes.iter().map(|node| node.address.to_string()).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            return Err(GraphError::Unknown { what: "node", name: node.into(), known });
        };
        let tape = self.tape();
        let mark = tape.len();
        let differentiate = || -> GraphResult<Vec<Tensor<F>>> {
            let surrogate = build(&Analysis::new(self, &state)?)?.surrogate;
            let parameters: Vec<Var<'_, F>> = found.parameters.iter().map(|parameter| parameter.var).collect();
            Ok(tape.backward_all(surrogate, &parameters)?)
        };
        let gradients = differentiate();
        tape.truncate(mark);
        gradients
    }
}
