//! Follows one alternative world forwards through the graph.
//!
//! The operations downstream of a group's nodes are visited once, in the order of recording. As long as the alternative
//! world differs from the recording in a value that is still used, the operations with a different operand are recorded
//! again (other nodes draw again, with the same noise). If the result is equal to the recorded value, the difference
//! ends. The work is at most that of recording the cone once, however many nodes there are.

use crate::analysis::recording::Recording;
use crate::error::GraphResult;
use crate::method::alternative_world::{AlternativeWorld, Candidates, Jump};
use crate::method::cost_queries::{PartNumber, Sweeps};
use crate::method::places::Places;
use crate::reduction::{reduce, reduced_plates};
use crate::replay::cone::{Cone, Kind, Position};
use crate::replay::counterfactuals::Counterfactuals;
use crate::replay::impossible::is_impossible;
use stochgrad_tape::{Id, IdMap, Plate, PlateSet, Plates, SiteId, Tape, Var, Weights};
use stochgrad_tensor::{Real, Tensor};

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

    fn lane_count(&self) -> usize {
        self.lanes.iter().map(|&plate| self.tape().plate_size(plate)).product()
    }

    /// The sample of a node of the group.
    fn sample(&self, member: usize) -> Var<'t, F> {
        self.counterfactuals.stochastic_node(self.members[member]).value
    }

    /// The lanes of the members of some plates.
    fn lanes_of(&self, plates: Plates) -> LanesOfMembers<'_> {
        LanesOfMembers::new(self.tape(), plates, &self.lanes)
    }
}

impl<'t, F: Real> Sweeps<'t, F> for Walk<'_, 't, F> {
    fn lanes(&self) -> &PlateSet {
        &self.lanes
    }

    fn sweep(&self, candidates: &[Candidates<'t, F>], world: &mut dyn AlternativeWorld<F>) -> GraphResult<()> {
        let (tape, recording) = (self.tape(), self.counterfactuals.recording());
        tape.note_host_work();
        let mut front =
            Front { walk: self, candidates, changed: Vec::new(), ids: IdMap::identity(), jumps: Vec::new() };
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
                front.note(var, again)?;
            }
            if let Kind::Member(number) = kind {
                front.forget(|id| self.cone.last_use[id.index()] > var.id().index());
                let live = front.live()?;
                let jumps = world.at_node(number, &live)?;
                if !jumps.is_empty() {
                    front.restart(number, &jumps)?;
                }
            }
            if costs && !front.is_empty() {
                for &at in self.cone.costs.get(&id).into_iter().flatten() {
                    if let Some(changes) = front.change(at)? {
                        world.at_cost(changes.as_slice());
                    }
                }
            }
        }
        Ok(())
    }
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

/// Where the alternative world differs from the recording.
struct Front<'a, 't, F: Real> {
    walk: &'a Walk<'a, 't, F>,
    /// What the nodes of the group could be instead.
    candidates: &'a [Candidates<'t, F>],
    /// The recorded values that differ, and their values in the alternative world.
    changed: Vec<(Id, Id)>,
    /// The same as a map, for recording operations again.
    ids: IdMap,
    /// The jumps with which the world started: the lane, the number of the node in the group, and the jump.
    jumps: Vec<(usize, usize, Jump)>,
}

impl<'t, F: Real> Front<'_, 't, F> {
    fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// Whether an operand of a value differs.
    fn reaches(&self, var: Var<'t, F>) -> bool {
        var.inputs().iter().skip(1).any(|input| self.ids.changes(input.id()))
    }

    fn resample(&mut self, site: SiteId, var: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let (tape, counterfactuals) = (self.walk.tape(), self.walk.counterfactuals);
        let node = site.0 as usize;
        let plate = counterfactuals.recording().nodes.get(node).and_then(|node| node.plate);
        let weights = plate.map(|plate| tape.weights(plate));
        let again = counterfactuals.resample(node, site, var, &mut self.ids, false)?;
        if let Some(Weights::Given { id, .. }) = weights
            && self.ids.changes(id)
        {
            let (old, new) = (tape.var(id)?, tape.var(self.ids.get(id))?);
            self.note(old, new)?;
        }
        Ok(again)
    }

    /// Stores a value if it differs from the recorded one.
    fn note(&mut self, var: Var<'t, F>, again: Var<'t, F>) -> GraphResult<()> {
        if again.id() != var.id() && again.inspect()?.as_slice() != var.inspect()?.as_slice() {
            self.changed.push((var.id(), again.id()));
            self.ids.insert(var.id(), again.id());
        }
        Ok(())
    }

    /// Drops the differences that are no longer used.
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

    /// For each lane, whether a value differs in it.
    fn live(&self) -> GraphResult<Vec<bool>> {
        let tape = self.walk.tape();
        let mut live = vec![false; self.walk.lane_count()];
        for &(id, other) in &self.changed {
            let (old, new) = (tape.var(id)?, tape.var(other)?);
            let (a, b) = (old.inspect()?, new.inspect()?);
            self.walk.lanes_of(old.plates()).each(a.len(), |lane, range| {
                live[lane] |= a.as_slice()[range.clone()] != b.as_slice()[range];
            });
        }
        Ok(live)
    }

    /// Restarts the world at a node, in the lanes of the jumps.
    fn restart(&mut self, number: usize, jumps: &[Jump]) -> GraphResult<()> {
        let (walk, tape) = (self.walk, self.walk.tape());
        let var = walk.sample(number);
        let places = Places::new(var, self.candidates[number].element_rank);
        let mut restarted = vec![false; walk.lane_count()];
        self.jumps.retain(|(lane, ..)| !jumps.iter().any(|jump| places.lane(jump.place, &walk.lanes) == *lane));
        for jump in jumps {
            let lane = places.lane(jump.place, &walk.lanes);
            restarted[lane] = true;
            self.jumps.push((lane, number, *jump));
        }
        let other = tape.var(self.ids.get(var.id()))?.inspect()?;
        if restarted.iter().all(|&restarted| restarted) {
            self.changed.clear();
        }
        let mut kept = Vec::new();
        for &(id, other) in self.changed.iter().filter(|(id, _)| *id != var.id()) {
            let (old, new) = (tape.var(id)?, tape.var(other)?);
            let (old_value, mut value) = (old.inspect()?, new.inspect()?);
            let elements = value.make_mut();
            walk.lanes_of(old.plates()).each(old_value.len(), |lane, range| {
                if restarted[lane] {
                    elements[range.clone()].copy_from_slice(&old_value.as_slice()[range]);
                }
            });
            if value.as_slice() != old_value.as_slice() {
                kept.push((id, tape.constant_on(&old.plates(), value).id()));
            }
        }
        let sample = var.inspect()?;
        let mut value = other;
        let elements = value.make_mut();
        walk.lanes_of(var.plates()).each(sample.len(), |lane, range| {
            if restarted[lane] {
                elements[range.clone()].copy_from_slice(&sample.as_slice()[range]);
            }
        });
        let width = sample.len() / places.count().max(1);
        for jump in jumps {
            let place = jump.place * width..(jump.place + 1) * width;
            let alternative = &self.candidates[number].values[jump.alternative];
            elements[place.clone()].copy_from_slice(&alternative.as_slice()[place]);
        }
        if value.as_slice() != sample.as_slice() {
            kept.push((var.id(), tape.constant_on(&var.plates(), value).id()));
        }
        self.changed = kept;
        self.index();
        Ok(())
    }

    /// The change of a part of a cost, lane by lane; `None` if it cannot differ.
    fn change(&self, at: PartNumber) -> GraphResult<Option<Tensor<F>>> {
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
        let again = self.cleared(tape.var(self.ids.get(part.value.id()))?.stop_gradient())?;
        let again = reduce(again, &outside, &self.ids, true);
        let before = reduce(part.value.stop_gradient(), &outside, &IdMap::identity(), true);
        Ok(Some((again - before).expand_plates(lanes).inspect()?))
    }

    /// A cost in the alternative world, with 0 where it is not finite and the world of its lane started with an
    /// impossible value.
    fn cleared(&self, cost: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let (walk, recording) = (self.walk, self.walk.counterfactuals.recording());
        let mut value = cost.inspect()?;
        if value.all_finite() {
            return Ok(cost);
        }
        let mut impossible = vec![false; walk.lane_count()];
        for &(lane, number, jump) in &self.jumps {
            let alternative = &self.candidates[number].values[jump.alternative];
            impossible[lane] = is_impossible(recording, walk.members[number], alternative, jump.place)?;
        }
        let len = value.len();
        let elements = value.make_mut();
        walk.lanes_of(cost.plates()).each(len, |lane, range| {
            let here = elements[range].iter_mut().filter(|element| impossible[lane] && !element.to_f64().is_finite());
            here.for_each(|element| *element = F::ZERO);
        });
        Ok(walk.tape().constant_on(&cost.plates(), value))
    }
}

/// The lanes to which the members of some plates belong.
struct LanesOfMembers<'a> {
    plates: PlateSet,
    sizes: Vec<usize>,
    lanes: &'a [Plate],
}

impl<'a> LanesOfMembers<'a> {
    fn new<F: Real>(tape: &Tape<F>, plates: Plates, lanes: &'a [Plate]) -> Self {
        let plates = PlateSet::from(plates);
        let sizes = plates.iter().map(|&plate| tape.plate_size(plate)).collect();
        LanesOfMembers { plates, sizes, lanes }
    }

    /// Calls a function with the lane of each member, and its range in a value of this length.
    fn each(&self, len: usize, mut call: impl FnMut(usize, std::ops::Range<usize>)) {
        let members: usize = self.sizes.iter().product();
        let row = len / members.max(1);
        for member in 0..members {
            let lane = self.plates.project(member, &self.sizes, self.lanes);
            call(lane, member * row..(member + 1) * row);
        }
    }
}
