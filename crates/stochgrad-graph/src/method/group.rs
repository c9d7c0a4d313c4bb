//! Groups of nodes whose gradient terms are made together.
//!
//! A budget of replays belongs to the whole graph and not to one node: one alternative world can serve all nodes only
//! if it is chosen for all of them. A method that belongs to a group names it
//! ([`GradientMethod::group`](crate::GradientMethod::group)) and states what the node could be instead
//! ([`GradientMethod::candidates`](crate::GradientMethod::candidates)). The surrogate collects the nodes of each group
//! and asks the group once for the terms of all of them. The group decides which alternative world to follow, and this
//! crate computes it.

use crate::error::GraphResult;
use crate::method::alternative_world::{AlternativeWorld, Candidates};
use crate::method::context::CostContext;
use crate::method::cost_queries::{CostQueries, Sweeps};
use crate::method::places::Places;
use crate::method::terms::GradientTerm;
use stochgrad_distributions::Draw;
use stochgrad_tape::{Plates, Tape};
use stochgrad_tensor::{Real, Shape};

/// Makes the gradient terms of all nodes of a group at once.
pub trait Group<F: Real>: Send + Sync {
    /// The terms, each with the number of its node in the group.
    ///
    /// # Errors
    /// Those of replays and draws.
    fn terms<'t>(&self, context: &GroupContext<'_, 't, F>) -> GraphResult<Vec<(usize, GradientTerm<'t, F>)>>;
}

/// What a group can use to make its terms: its nodes, and the alternative worlds of the graph.
pub struct GroupContext<'a, 't, F: Real> {
    queries: &'a dyn CostQueries<'t, F>,
    /// The nodes, in the order of recording.
    members: Vec<usize>,
    candidates: Vec<Candidates<'t, F>>,
    sweeps: Box<dyn Sweeps<'t, F> + 'a>,
}

impl<'a, 't, F: Real> GroupContext<'a, 't, F> {
    pub(crate) fn new(
        queries: &'a dyn CostQueries<'t, F>,
        members: Vec<usize>,
        candidates: Vec<Candidates<'t, F>>,
    ) -> GraphResult<Self> {
        let sweeps = queries.sweeps(&members)?;
        Ok(GroupContext { queries, members, candidates, sweeps })
    }

    /// The tape.
    pub fn tape(&self) -> &'t Tape<F> {
        self.queries.tape()
    }

    /// The number of nodes in the group.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether the group has no nodes.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The context of one of the nodes.
    pub fn member(&self, member: usize) -> CostContext<'a, 't, F> {
        CostContext::new(self.queries, self.members[member])
    }

    /// What the nodes could be instead, in the order of the nodes.
    pub fn candidates(&self) -> &[Candidates<'t, F>] {
        &self.candidates
    }

    /// The plates that all nodes carry and whose members meet nowhere downstream. Each combination of their members is
    /// a lane with an alternative world of its own.
    pub fn lanes(&self) -> &Plates {
        self.sweeps.lanes().as_plates()
    }

    /// The number of lanes.
    pub fn lane_count(&self) -> usize {
        self.lanes().iter().map(|&plate| self.tape().plate_size(plate)).product()
    }

    /// The shape of a tensor that has the given axes for each lane.
    pub fn lane_shape(&self, axes: &[usize]) -> Shape {
        self.lanes().iter().map(|&plate| self.tape().plate_size(plate)).chain(axes.iter().copied()).collect()
    }

    /// The number of elements of a node, counted over its plates and independent axes.
    pub fn places(&self, member: usize) -> usize {
        self.places_of(member).count()
    }

    /// The lane in which an element of a node lies.
    pub fn lane(&self, member: usize, place: usize) -> usize {
        self.places_of(member).lane(place, self.sweeps.lanes())
    }

    fn places_of(&self, member: usize) -> Places {
        Places::new(self.queries.node(self.members[member]).value, self.candidates[member].element_rank)
    }

    /// A request for noise that the group draws at one of its nodes, with one draw for each lane.
    pub fn draw(&self, member: usize, purpose: &str) -> Draw<'_, F> {
        self.member(member).draw_on(purpose, self.lanes())
    }

    /// Follows one alternative world forwards through the graph, under the same noise. This never costs more than
    /// recording what is downstream of the nodes once.
    ///
    /// # Errors
    /// If an operation fails in the alternative world, and those of `world`.
    pub fn sweep(&self, world: &mut dyn AlternativeWorld<F>) -> GraphResult<()> {
        let mark = self.tape().len();
        let result = self.sweeps.sweep(&self.candidates, world);
        self.tape().truncate(mark);
        result
    }
}
