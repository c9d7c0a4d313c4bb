//! Groups of nodes whose gradient terms are made together.
//!
//! A budget of replays is a property of the whole graph and not of one node: one alternative world can serve all nodes
//! only if somebody sees all of them. A method that belongs to a group names it
//! ([`GradientMethod::group`](crate::GradientMethod::group)) and says what the node could be instead
//! ([`GradientMethod::candidates`](crate::GradientMethod::candidates)). The surrogate builder collects the nodes of
//! each group and asks it once for the terms of all of them; the group decides which alternative world is followed, and
//! this crate computes it.

use crate::analysis::reduction::reduced_plates;
use crate::error::GraphResult;
use crate::method::context::CostContext;
use crate::method::terms::GradientTerm;
use crate::replay::sweep::Walk;
use crate::surrogate::Builder;
use stochgrad_distributions::Draw;
use stochgrad_tape::{Plate, PlateSet, Plates, Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// What a node of a group could be instead of its sample, and what each alternative is worth.
#[derive(Clone, Debug)]
pub struct Candidates<'t, F: Real> {
    /// Alternatives, each of the shape of the sample; their elements are used one at a time.
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
    /// The first of its alternatives.
    pub first: usize,
    /// For each of its alternatives the weights: plates and independent axes of the sample, then the axes of the
    /// parameter within one element.
    pub weights: Vec<Tensor<F>>,
}

impl<F: Real> CandidateShare<'_, F> {
    /// The weights of an alternative at a place, one for each coordinate of the parameter; nothing if the alternative
    /// is not this parameter's.
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
    /// Which alternative.
    pub alternative: usize,
    /// Which element, counted over the plates and the independent axes of the node's value.
    pub place: usize,
}

/// Who decides where an alternative world starts, and receives the changes of costs in it.
pub trait AlternativeWorld<F: Real> {
    /// At the node with this number in the group. `live` says, lane by lane, whether the world still differs from the
    /// recording where anything reads it. The returned jumps, at most one a lane, start it anew there; what was
    /// different before is forgotten in that lane.
    ///
    /// # Errors
    /// Those of draws.
    fn at_node(&mut self, member: usize, live: &[bool]) -> GraphResult<Vec<Jump>>;

    /// At a cost: how much higher it is in the alternative world, lane by lane.
    fn at_cost(&mut self, changes: &[F]);
}

/// Makes the gradient terms of all nodes of a group at once.
pub trait Group<F: Real>: Send + Sync {
    /// The terms, each with the number of its node in the group.
    ///
    /// # Errors
    /// Those of replays and draws.
    fn terms<'t>(&self, context: &GroupContext<'_, 't, F>) -> GraphResult<Vec<(usize, GradientTerm<'t, F>)>>;
}

/// The surroundings of a group: its nodes, and the alternative worlds of the graph.
pub struct GroupContext<'a, 't, F: Real> {
    pub(crate) builder: &'a Builder<'a, 't, F>,
    /// The nodes, in the order of recording.
    pub(crate) members: Vec<usize>,
    candidates: Vec<Candidates<'t, F>>,
    lanes: PlateSet,
    walk: Walk,
}

/// The plates whose weights carry no other plates than these.
///
/// The states of an enumerated node have weights that may carry the samples of its parent. Such a plate is reduced
/// before those samples are, and can be no lane: changes of costs are reduced over all plates that are no lanes.
fn without_outer_weights<F: Real>(builder: &Builder<'_, '_, F>, mut lanes: PlateSet) -> PlateSet {
    loop {
        let closed = lanes.filtered(|plate| lanes.contains_all(&reduced_plates(builder.tape, &[plate])));
        if closed.len() == lanes.len() {
            return lanes;
        }
        lanes = closed;
    }
}

impl<'a, 't, F: Real> GroupContext<'a, 't, F> {
    pub(crate) fn new(
        builder: &'a Builder<'a, 't, F>,
        members: Vec<usize>,
        candidates: Vec<Candidates<'t, F>>,
    ) -> GraphResult<Self> {
        builder.check_branches(&members)?;
        let walk = Walk::new(builder, &members);
        let mut lanes: Option<PlateSet> = None;
        for &node in &members {
            let free = PlateSet::from(builder.nodes[node].value.plates()).without(walk.reduced());
            lanes = Some(lanes.map_or(free.clone(), |lanes| free.intersection(&lanes)));
        }
        let lanes = without_outer_weights(builder, lanes.unwrap_or_default());
        Ok(GroupContext { builder, members, candidates, lanes, walk })
    }

    /// The tape.
    pub fn tape(&self) -> &'t Tape<F> {
        self.builder.tape
    }

    /// How many nodes the group has.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether the group has no node.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The surroundings of a node.
    pub fn member(&self, member: usize) -> CostContext<'a, 't, F> {
        CostContext { builder: self.builder, node: self.members[member], chosen: None }
    }

    /// What the nodes could be instead.
    pub fn candidates(&self) -> &[Candidates<'t, F>] {
        &self.candidates
    }

    /// The plates that all nodes carry and whose members meet nowhere downstream: each combination of their members is
    /// a lane with an alternative world of its own.
    pub fn lanes(&self) -> &Plates {
        self.lanes.as_plates()
    }

    /// How many lanes there are.
    pub fn lane_count(&self) -> usize {
        self.lanes.iter().map(|&plate| self.tape().plate_size(plate)).product()
    }

    /// The shape of something with these axes for each lane.
    pub fn lane_shape(&self, axes: &[usize]) -> Shape {
        self.lanes.iter().map(|&plate| self.tape().plate_size(plate)).chain(axes.iter().copied()).collect()
    }

    /// How many elements a node has, over its plates and independent axes.
    pub fn places(&self, member: usize) -> usize {
        let value = self.builder.nodes[self.members[member]].value;
        let event = value.shape();
        let split = event.len().saturating_sub(self.candidates[member].element_rank);
        self.plate_members(&value.plates()) * event[..split].iter().product::<usize>()
    }

    /// The lane of an element of a node.
    pub fn lane(&self, member: usize, place: usize) -> usize {
        let plates = PlateSet::from(self.builder.nodes[self.members[member]].value.plates());
        let sizes: Vec<usize> = plates.iter().map(|&plate| self.tape().plate_size(plate)).collect();
        let elements = self.places(member) / self.plate_members(&plates).max(1);
        plates.project(place / elements.max(1), &sizes, &self.lanes)
    }

    fn plate_members(&self, plates: &[Plate]) -> usize {
        plates.iter().map(|&plate| self.tape().plate_size(plate)).product()
    }

    /// A request for noise of the group at one of its nodes, one draw a lane.
    pub fn draw(&self, member: usize, purpose: &str) -> Draw<'_, F> {
        self.member(member).draw_on(purpose, &self.lanes)
    }

    /// Follows one alternative world forwards through the graph, under the same noise; it never costs more than
    /// recording what is downstream of the nodes once.
    ///
    /// # Errors
    /// If an operation fails in the alternative world, and those of `world`.
    pub fn sweep(&self, world: &mut dyn AlternativeWorld<F>) -> GraphResult<()> {
        let mark = self.tape().len();
        let result = self.walk.follow(self, world);
        self.tape().truncate(mark);
        result
    }
}
