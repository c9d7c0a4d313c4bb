//! What a gradient method may ask about the costs downstream of its node, on one page.
//!
//! Methods ask through [`CostContext`](crate::CostContext) and [`GroupContext`](crate::GroupContext), which also
//! document the answers. The module `replay` answers.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::guarantee::Path;
use crate::method::alternative_world::AlternativeWorld;
use crate::method::node_cost::{CostChange, ElementDifference, NodeCost};
use std::panic::Location;
use stochgrad_distributions::NoiseSource;
use stochgrad_tape::{Plate, PlateSet, Plates, Tape, Var};
use stochgrad_tensor::Real;

/// A part of a cost, by the number of the cost and the number of the part.
pub(crate) type PartNumber = (usize, usize);

/// What a method may know about its node.
pub(crate) struct NodeFacts<'a, 't, F: Real> {
    pub(crate) address: &'a Address,
    pub(crate) value: Var<'t, F>,
    pub(crate) plate: Option<Plate>,
    pub(crate) plates: &'a PlateSet,
    pub(crate) path: &'a Path,
    pub(crate) gradient_function: Option<Var<'t, F>>,
    pub(crate) at: &'static Location<'static>,
}

/// The questions. `node` is the number of a node, and `parts` are the parts of costs that the method considers.
pub(crate) trait CostQueries<'t, F: Real> {
    // The surroundings.
    fn tape(&self) -> &'t Tape<F>;
    fn noise(&self) -> &dyn NoiseSource<F>;
    fn data(&self, name: &str) -> Option<Var<'t, F>>;
    fn critic_value(&self, node: usize, name: &str) -> GraphResult<Var<'t, F>>;
    fn node(&self, node: usize) -> NodeFacts<'_, 't, F>;
    fn refused(&self, node: usize, problem: String) -> GraphError;
    fn check_hidden_outcomes(&self, node: usize) -> GraphResult<()>;
    fn thresholds(&self, node: usize) -> Vec<Var<'t, F>>;

    // The costs as they were recorded.
    fn parts(&self, node: usize) -> Vec<PartNumber>;
    fn cost_name(&self, cost: usize) -> &str;
    fn costs(&self, node: usize, parts: &[PartNumber]) -> GraphResult<Vec<NodeCost<'t, F>>>;
    fn totals(&self, node: usize, parts: &[PartNumber]) -> GraphResult<Vec<NodeCost<'t, F>>>;
    fn cost_gradients(&self, node: usize, parts: &[PartNumber]) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>>;

    // The costs for other values of the node.
    fn replay(
        &self,
        node: usize,
        parts: &[PartNumber],
        value: Var<'t, F>,
    ) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>>;
    fn recorded_replay(
        &self,
        node: usize,
        parts: &[PartNumber],
        value: Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>>;
    fn recorded_replays(
        &self,
        node: usize,
        parts: &[PartNumber],
        values: &[Var<'t, F>],
    ) -> GraphResult<Vec<Vec<Var<'t, F>>>>;
    fn changed_reductions(
        &self,
        node: usize,
        parts: &[PartNumber],
        plate: Plate,
        change: &dyn Fn(Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>>;
    fn replayed_reductions(
        &self,
        node: usize,
        parts: &[PartNumber],
        plate: Plate,
        value: Var<'t, F>,
        change: &dyn Fn(Var<'t, F>, Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>>;

    // The differences of the costs.
    fn coupled_plates(&self, node: usize) -> GraphResult<Plates>;
    fn change(&self, node: usize, parts: &[PartNumber], value: Var<'t, F>) -> GraphResult<Vec<CostChange<'t, F>>>;
    fn element_differences(
        &self,
        node: usize,
        parts: &[PartNumber],
        alternatives: &[Var<'t, F>],
        element_rank: usize,
    ) -> GraphResult<Vec<ElementDifference<'t, F>>>;

    // The alternative worlds of a group of nodes, which are in the order of recording.
    fn sweeps<'b>(&'b self, nodes: &[usize]) -> GraphResult<Box<dyn Sweeps<'t, F> + 'b>>;
}

/// Follows alternative worlds of a group of nodes.
pub(crate) trait Sweeps<'t, F: Real> {
    /// The plates that all nodes carry and whose members meet nowhere downstream.
    fn lanes(&self) -> &PlateSet;

    /// Records one alternative world.
    fn sweep(&self, world: &mut dyn AlternativeWorld<'t, F>) -> GraphResult<()>;
}
