//! The method of a node, as far as it does not depend on the distribution.

use crate::error::GraphResult;
use crate::method::Method;
use crate::method::method_slots::{MethodSlots, MethodState};

/// The gradient method of a node with its slots, so that its state can be saved and restored. It shares the slots with
/// the method. [`Graph::methods`](crate::Graph::methods) and
/// [`CompiledGraph::methods`](crate::CompiledGraph::methods) list those of all nodes.
#[derive(Clone, Debug)]
pub struct NodeMethod {
    /// The address of the node in words.
    pub node: String,
    /// The name of the method.
    pub name: String,
    /// What the method keeps between steps. Nodes with clones of one method share it.
    pub slots: MethodSlots,
}

impl NodeMethod {
    /// The method of the node with this address, without a graph.
    pub fn new(node: impl Into<String>, method: &dyn Method) -> Self {
        NodeMethod { node: node.into(), name: method.name(), slots: method.slots() }
    }

    /// The values that the method keeps between steps, for checkpoints.
    pub fn state(&self) -> MethodState {
        self.slots.state()
    }

    /// Restores values that [`state`](Self::state) returned.
    ///
    /// # Errors
    /// If the state is not one of this method, which is then as before.
    pub fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        self.slots.load(&self.name, state)
    }
}
