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
use stochgrad_tape::{PlateSet, Plates, Tape, Var};
use stochgrad_tensor::Real;

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

    /// A value with the independent axes of a node, along a single axis that holds the elements in a lane: the members
    /// of the plates of the node that are not lanes, then the independent axes. Where a lane has a single number, there
    /// is no axis.
    pub fn fold(&self, member: usize, value: Var<'t, F>) -> Var<'t, F> {
        self.places_of(member).fold(value)
    }

    /// The inverse of [`fold`](Self::fold): a value of the elements in a lane on the plates and the independent axes of
    /// the node.
    pub fn unfold(&self, member: usize, flat: Var<'t, F>) -> Var<'t, F> {
        self.places_of(member).unfold(flat)
    }

    /// The number of elements of a node in each lane.
    pub fn places(&self, member: usize) -> usize {
        self.places_of(member).count()
    }

    fn places_of(&self, member: usize) -> Places {
        let value = self.queries.node(self.members[member]).value;
        let folded = PlateSet::from(value.plates()).without(self.sweeps.lanes());
        Places::new(value, self.candidates[member].element_rank, &folded)
    }

    /// A request for noise that the group draws at one of its nodes, with one draw for each lane.
    pub fn draw(&self, member: usize, purpose: &str) -> Draw<'_, F> {
        self.member(member).draw_on(purpose, self.lanes())
    }

    /// Records one alternative world, forwards through the graph and under the same noise: what is downstream of the
    /// nodes is recorded once more, and selections where a world starts.
    ///
    /// # Errors
    /// If an operation fails in the alternative world, and those of `world`.
    pub fn sweep(&self, world: &mut dyn AlternativeWorld<'t, F>) -> GraphResult<()> {
        self.sweeps.sweep(world)
    }
}
