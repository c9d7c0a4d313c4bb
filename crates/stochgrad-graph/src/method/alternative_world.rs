//! Alternative worlds: what the nodes of a group could be instead, and who follows the consequences.

use crate::error::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

/// What a node of a group could be instead of its sample, and the weight of each alternative.
#[derive(Clone, Debug)]
pub struct Candidates<'t, F: Real> {
    /// Alternatives, each of the shape of the sample. Their elements are used one at a time.
    pub values: Vec<Tensor<F>>,
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
    /// The weights of each of its alternatives, of shape: plates and independent axes of the sample, then the axes of
    /// the parameter within one element.
    pub weights: Vec<Tensor<F>>,
}

impl<F: Real> CandidateShare<'_, F> {
    /// The weights of an alternative at one of `places` places, one for each coordinate of the parameter. The slice is
    /// empty if the alternative belongs to another parameter.
    pub fn at(&self, jump: Jump, places: usize) -> &[F] {
        let Some(weights) = jump.alternative.checked_sub(self.first).and_then(|own| self.weights.get(own)) else {
            return &[];
        };
        let width = weights.len() / places.max(1);
        &weights.as_slice()[jump.place * width..(jump.place + 1) * width]
    }
}

/// The start of an alternative world: one element of a node takes the value of an alternative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The index of the alternative in [`Candidates::values`].
    pub alternative: usize,
    /// The index of the element, counted over the plates and the independent axes of the node's value.
    pub place: usize,
}

/// Decides where an alternative world starts, and receives the changes of the costs in it. A
/// [sweep](crate::GroupContext::sweep) calls it at the nodes and costs in the order of recording.
pub trait AlternativeWorld<F: Real> {
    /// Called at the node with this number in the group. `live` says for each lane whether the alternative world still
    /// differs from the recording in a value that is used later. Each returned jump, at most one for each lane, starts
    /// the world of its lane again at this node; earlier differences in that lane are dropped.
    ///
    /// # Errors
    /// Those of draws.
    fn at_node(&mut self, member: usize, live: &[bool]) -> GraphResult<Vec<Jump>>;

    /// Called at a cost, with the cost in the alternative world minus the recorded cost, lane by lane.
    fn at_cost(&mut self, changes: &[F]);
}
