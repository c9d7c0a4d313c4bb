//! Records one alternative world forwards through the graph.
//!
//! The operations downstream of a group's nodes are visited once, in the order of recording, and those with an operand
//! that may differ are recorded again (other nodes draw again, with the same noise). Where a world starts in some lanes,
//! the values that may differ are selected: those of the new world in these lanes, and those of the old world in the
//! others. The work is about that of recording the cone once, however many nodes there are.

use crate::analysis::recording::Recording;
use crate::error::GraphResult;
use crate::method::alternative_world::{AlternativeWorld, Jump};
use crate::method::cost_queries::{PartNumber, Sweeps};
use crate::reduction::{reduce, reduced_plates};
use crate::replay::cone::{Cone, Kind, Position};
use crate::replay::counterfactuals::Counterfactuals;
use crate::replay::impossible::impossible_elements;
use std::cell::OnceCell;
use stochgrad_tape::{Id, IdMap, PlateSet, SiteId, Tape, Var, Weights};
use stochgrad_tensor::Real;

/// The cone of a group of nodes, ready to be followed.
pub(crate) struct Walk<'a, 't, F: Real> {
    counterfactuals: &'a Counterfactuals<'a, 't, F>,
    /// The nodes of the group, in the order of recording.
    members: Vec<usize>,
    lanes: PlateSet,
    cone: Cone,
}

impl<'a, 't, F: Real> Walk<'a, 't, F> {
    pub(crate) fn new(counterfactuals: &'a Counterfactuals<'a, 't, F>, members: &[usize]) -> Self {
        let recording = counterfactuals.recording();
        let cone = Cone::new(recording, members);
        let mut lanes: Option<PlateSet> = None;
        for &node in members {
            let free = PlateSet::from(recording.nodes[node].value.plates()).without(&cone.reduced);
            lanes = Some(lanes.map_or(free.clone(), |lanes| free.intersection(&lanes)));
        }
        let lanes = without_outer_weights(recording, lanes.unwrap_or_default());
        Walk { counterfactuals, members: members.to_vec(), lanes, cone }
    }

    fn tape(&self) -> &'t Tape<F> {
        self.counterfactuals.tape()
    }

    /// The sample of a node of the group.
    fn sample(&self, member: usize) -> Var<'t, F> {
        self.counterfactuals.stochastic_node(self.members[member]).value
    }

    /// The sum over the event axes, and over the members of plates that are not lanes.
    fn over_lanes(&self, value: Var<'t, F>) -> Var<'t, F> {
        let met = PlateSet::from(value.plates()).without(&self.lanes);
        let value = if value.shape().is_empty() { value } else { value.sum() };
        on(met.iter().fold(value, |sum, &plate| sum.sum_over(plate)), &self.lanes)
    }
}

impl<'t, F: Real> Sweeps<'t, F> for Walk<'_, 't, F> {
    fn lanes(&self) -> &PlateSet {
        &self.lanes
    }

    fn sweep(&self, world: &mut dyn AlternativeWorld<'t, F>) -> GraphResult<()> {
        let (tape, recording) = (self.tape(), self.counterfactuals.recording());
        let mut front = Front {
            walk: self,
            changed: Vec::new(),
            ids: IdMap::identity(),
            starts: Vec::new(),
            impossible: OnceCell::new(),
        };
        for &Position { id, kind, costs } in &self.cone.positions {
            let var = tape.var(id)?;
            let site = match kind {
                Kind::Member(number) => Some(recording.nodes[self.members[number]].site),
                Kind::Node(site) => Some(site),
                Kind::Operation => None,
            };
            if !front.is_empty() {
                let again = match site {
                    Some(site) if front.reaches(var) => front.resample(site, var)?,
                    Some(_) => var,
                    None => tape.rerecord(var, &front.ids),
                };
                front.note(var, again);
            }
            if let Kind::Member(number) = kind {
                front.forget(|id| self.cone.last_use[id.index()] > var.id().index());
                let ended = || front.ended();
                let jump = world.at_node(number, (!front.is_empty()).then_some(&ended as _))?;
                if let Some(jump) = jump {
                    front.start(number, jump)?;
                }
            }
            if costs && !front.is_empty() {
                for &at in self.cone.costs.get(&id).into_iter().flatten() {
                    if let Some(change) = front.change(at)? {
                        world.at_cost(change);
                    }
                }
            }
        }
        Ok(tape.check()?)
    }
}

/// A value that carries some plates, repeated along those that it lacks.
fn on<'t, F: Real>(value: Var<'t, F>, plates: &PlateSet) -> Var<'t, F> {
    if PlateSet::from(value.plates()).contains_all(plates) { value } else { value.expand_plates(plates) }
}

/// The plates whose weights carry no other plates than these.
///
/// The states of an enumerated node have weights that may carry the samples of its parent. Such a plate is reduced
/// before those samples are, and cannot be a lane: changes of costs are reduced over all plates that are not lanes.
fn without_outer_weights<F: Real>(recording: &Recording<'_, '_, F>, mut lanes: PlateSet) -> PlateSet {
    loop {
        let closed = lanes.filtered(|plate| lanes.contains_all(&reduced_plates(recording.tape, &[plate])));
        if closed.len() == lanes.len() {
            return lanes;
        }
        lanes = closed;
    }
}

/// Where the alternative world may differ from the recording.
struct Front<'a, 't, F: Real> {
    walk: &'a Walk<'a, 't, F>,
    /// The recorded values that may differ, and their values in the alternative world.
    changed: Vec<(Id, Id)>,
    /// The same as a map, for recording operations again.
    ids: IdMap,
    /// Where worlds have started: the number of the node in the group, and the jump.
    starts: Vec<(usize, Jump<'t, F>)>,
    /// 1 in the lanes whose world started with an impossible value. It is recorded only if a cost is not finite.
    impossible: OnceCell<Var<'t, F>>,
}

impl<'t, F: Real> Front<'_, 't, F> {
    fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// Whether an operand of a value may differ.
    fn reaches(&self, var: Var<'t, F>) -> bool {
        var.inputs().iter().skip(1).any(|input| self.ids.changes(input.id()))
    }

    fn resample(&mut self, site: SiteId, var: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let (tape, counterfactuals) = (self.walk.tape(), self.walk.counterfactuals);
        let plate = counterfactuals.node_at(site).and_then(|node| counterfactuals.stochastic_node(node).plate);
        let weights = plate.map(|plate| tape.weights(plate));
        let again = counterfactuals.resample(site, var, &mut self.ids)?;
        if let Some(Weights::Given { id, .. }) = weights
            && self.ids.changes(id)
        {
            let (old, new) = (tape.var(id)?, tape.var(self.ids.get(id))?);
            self.note(old, new);
        }
        Ok(again)
    }

    /// Stores a value that was recorded again.
    fn note(&mut self, var: Var<'t, F>, again: Var<'t, F>) {
        if again.id() != var.id() {
            self.changed.push((var.id(), again.id()));
            self.ids.insert(var.id(), again.id());
        }
    }

    /// Drops the values that are no longer used.
    fn forget(&mut self, is_used: impl Fn(Id) -> bool) {
        let before = self.changed.len();
        self.changed.retain(|(id, _)| is_used(*id));
        if self.changed.len() < before {
            self.index();
        }
    }

    fn index(&mut self) {
        self.ids = IdMap::identity();
        self.changed.iter().for_each(|&(id, other)| self.ids.insert(id, other));
    }

    /// For each lane, 1 if no value differs in it, else 0.
    fn ended(&self) -> GraphResult<Var<'t, F>> {
        let (walk, tape) = (self.walk, self.walk.tape());
        let equal = |&(id, other): &(Id, Id)| -> GraphResult<Var<'t, F>> {
            let (old, new) = (tape.var(id)?.stop_gradient(), tape.var(other)?.stop_gradient());
            Ok(old.equal(new))
        };
        if let [only] = &self.changed[..] {
            let equal = equal(only)?;
            if equal.shape().is_empty() && PlateSet::from(equal.plates()) == walk.lanes {
                return Ok(equal);
            }
        }
        let mut differences: Option<Var<'t, F>> = None;
        for each in &self.changed {
            let differs = walk.over_lanes(1.0 - equal(each)?);
            differences = Some(differences.map_or(differs, |sum| sum + differs));
        }
        let nothing = tape.constant(0.0);
        Ok(differences.unwrap_or(nothing).equal(nothing))
    }

    /// Starts worlds at a node.
    fn start(&mut self, number: usize, jump: Jump<'t, F>) -> GraphResult<()> {
        let (walk, tape) = (self.walk, self.walk.tape());
        let var = walk.sample(number);
        let own = tape.var(self.ids.get(var.id()))?;
        if jump.ends_others {
            for (id, other) in self.changed.iter_mut().filter(|(id, _)| *id != var.id()) {
                *other = jump.starts.select(tape.var(*id)?, tape.var(*other)?).id();
            }
        }
        self.changed.retain(|(id, _)| *id != var.id());
        self.changed.push((var.id(), jump.starts.select(jump.value, own).id()));
        self.index();
        self.starts.push((number, jump));
        self.impossible = OnceCell::new();
        Ok(())
    }

    /// The change of a part of a cost, lane by lane; `None` if it cannot differ.
    fn change(&self, at: PartNumber) -> GraphResult<Option<Var<'t, F>>> {
        let (tape, lanes) = (self.walk.tape(), &self.walk.lanes);
        let part = self.walk.counterfactuals.recording().part(at);
        let reweighted = part
            .plates
            .iter()
            .any(|&plate| matches!(tape.weights(plate), Weights::Given { id, .. } if self.ids.changes(id)));
        if !reweighted && !self.ids.changes(part.value.id()) {
            return Ok(None);
        }
        let outside = part.plates.without(lanes);
        tape.check()?;
        let again = self.cleared(tape.var(self.ids.get(part.value.id()))?.stop_gradient())?;
        let again = reduce(again, &outside, &self.ids, true);
        let before = reduce(part.value.stop_gradient(), &outside, &IdMap::identity(), true);
        Ok(Some(on(again - before, lanes)))
    }

    /// A cost in the alternative world, with 0 where it is not finite and the world of its lane started with an
    /// impossible value.
    fn cleared(&self, cost: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        if cost.inspect()?.all_finite() {
            return Ok(cost);
        }
        let impossible = match self.impossible.get() {
            Some(&impossible) => impossible,
            None => {
                let impossible = self.impossible_worlds()?;
                *self.impossible.get_or_init(|| impossible)
            }
        };
        let tape = self.walk.tape();
        let finite = cost.abs().lt(tape.constant(F::INFINITY.to_f64()));
        Ok((impossible * (1.0 - finite)).select(tape.constant(0.0), cost))
    }

    fn impossible_worlds(&self) -> GraphResult<Var<'t, F>> {
        let (walk, recording) = (self.walk, self.walk.counterfactuals.recording());
        let mut impossible = walk.tape().constant(0.0);
        for (number, jump) in &self.starts {
            let value = jump.value.expand_plates(&walk.sample(*number).plates());
            let elements = impossible_elements(recording, walk.members[*number], value)?;
            impossible = jump.starts.select(walk.over_lanes(elements).step(), impossible);
        }
        Ok(impossible)
    }
}
