//! Alternative worlds: what the nodes of a group could be instead, and who follows the consequences.

use crate::error::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// What a node of a group could be instead of its sample, and the weight of each alternative. Everything is recorded.
#[derive(Clone, Debug)]
pub struct Candidates<'t, F: Real> {
    /// Alternatives, which broadcast to the sample. Their elements are used one at a time.
    pub values: Vec<Var<'t, F>>,
    /// The weights of the alternatives, parameter by parameter.
    pub shares: Vec<CandidateShare<'t, F>>,
    /// The rank of one element.
    pub element_rank: usize,
}

/// The weights of some alternatives in the derivative with respect to one parameter.
#[derive(Clone, Debug)]
pub struct CandidateShare<'t, F: Real> {
    /// The parameter.
    pub parameter: Var<'t, F>,
    /// The index of its first alternative in [`Candidates::values`].
    pub first: usize,
    /// The weights of each of its alternatives, which broadcast to the plates and independent axes of the sample, and
    /// have the axes of the parameter within one element after them.
    pub weights: Vec<Var<'t, F>>,
}

/// The start of alternative worlds at a node, in some lanes.
#[derive(Clone, Copy, Debug)]
pub struct Jump<'t, F: Real> {
    /// 1 in the lanes whose world starts here, and 0 in all others.
    pub starts: Var<'t, F>,
    /// The value of the node in the worlds that start.
    pub value: Var<'t, F>,
    /// Whether a lane in which a world starts may have had another world before, which ends here.
    pub ends_others: bool,
}

/// Decides where alternative worlds start, and receives the changes of the costs in them. A
/// [sweep](crate::GroupContext::sweep) calls it at the nodes and costs in the order of recording. Everything is recorded,
/// so that a compiled graph repeats the decisions with other values.
pub trait AlternativeWorld<'t, F: Real> {
    /// Called at the node with this number in the group. `ended` records for each lane whether its world has become
    /// equal to the recording in all values that are used later: 1 if so, else 0. It is `None` before any world has
    /// started.
    ///
    /// # Errors
    /// Those of draws.
    fn at_node(
        &mut self,
        member: usize,
        ended: Option<&dyn Fn() -> GraphResult<Var<'t, F>>>,
    ) -> GraphResult<Option<Jump<'t, F>>>;

    /// Called at a cost, with the cost in the alternative world minus the recorded cost, lane by lane. In a lane without
    /// a world, the change need not be finite.
    fn at_cost(&mut self, change: Var<'t, F>);
}
