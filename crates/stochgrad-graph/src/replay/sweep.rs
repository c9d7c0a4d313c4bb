//! One alternative world, swept forwards through the graph.
//!
//! The operations downstream of a group's nodes are gone through once, in the order of recording. As long as the
//! alternative world differs from the recording somewhere that is still read, the operations that see a difference are
//! recorded again (other nodes draw again, with the same noise); where a value comes out the same, the difference ends.
//! So the work is at most that of recording the cone once, however many nodes there are.

use crate::analysis::reduction::reduce;
use crate::error::GraphResult;
use crate::method::group::{AlternativeWorld, GroupContext, Jump};
use crate::surrogate::Builder;
use std::collections::HashMap;
use stochgrad_tape::{Id, IdMap, Op, Plate, PlateSet, Plates, SiteId, Tape, Var, Weights};
use stochgrad_tensor::{Real, Tensor};

/// What is done at a position of the tape.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The node with this number in the group.
    Member(usize),
    /// Another node, which draws again.
    Node(SiteId),
    Operation,
}

/// A position of the cone.
#[derive(Clone, Copy, Debug)]
struct Step {
    id: Id,
    kind: Kind,
    /// Whether a part of a cost is here.
    costs: bool,
}

/// The cone of a group of nodes, ready to be followed.
pub(crate) struct Walk {
    steps: Vec<Step>,
    /// The last position that reads each value, 0 for none.
    last_use: Vec<usize>,
    /// Plates that something in the cone reduces.
    reduced: PlateSet,
    /// The parts of costs at a position.
    costs: HashMap<Id, Vec<(usize, usize)>>,
}

impl Walk {
    pub(crate) fn new<F: Real>(builder: &Builder<'_, '_, F>, members: &[usize]) -> Self {
        let (tape, end) = (builder.tape, builder.end);
        let mut costs: HashMap<Id, Vec<(usize, usize)>> = HashMap::new();
        let mut last_use = vec![0; end];
        let mut needed = vec![false; end];
        let mut reached = vec![false; end];
        for (cost, recorded) in builder.costs.iter().enumerate() {
            for (number, part) in recorded.parts.iter().enumerate() {
                costs.entry(part.value.id()).or_default().push((cost, number));
                needed[part.value.id().index()] = true;
                for &plate in &part.plates {
                    if let Weights::Given { id, .. } = tape.weights(plate) {
                        needed[id.index()] = true;
                        last_use[id.index()] = end;
                    }
                }
            }
        }
        // A node that its method draws again reads its parameters; what the first draw was made of is not needed.
        let redrawn = |site: SiteId| {
            let node = builder.nodes.get(site.0 as usize).filter(|node| node.site == site);
            node.is_some_and(|node| !node.method.is_rerecordable())
        };
        tape.visit_backwards(end, &mut |visit| {
            if !needed[visit.id.index()] {
                return;
            }
            let skipped = usize::from(matches!(visit.op, Op::Sample(site) if redrawn(*site)));
            for input in &visit.inputs[skipped..] {
                needed[input.index()] = true;
                last_use[input.index()] = last_use[input.index()].max(visit.id.index());
            }
        });
        // Both the members and what is visited are in the order of recording.
        let mut numbers =
            members.iter().enumerate().map(|(number, &node)| (builder.nodes[node].value.id(), number)).peekable();
        let (mut steps, mut reduced) = (Vec::new(), PlateSet::new());
        tape.visit(end, &mut |visit| {
            let member = numbers.next_if(|(id, _)| *id == visit.id).map(|(_, number)| number);
            let mut here = member.is_some();
            for (number, _) in visit.inputs.iter().enumerate().filter(|(_, input)| reached[input.index()]) {
                here = true;
                reduced
                    .extend(visit.input_plates(number).iter().copied().filter(|plate| !visit.plates.contains(plate)));
            }
            reached[visit.id.index()] = here;
            if here && (needed[visit.id.index()] || member.is_some()) {
                let kind = match (member, visit.op) {
                    (Some(number), _) => Kind::Member(number),
                    (None, Op::Sample(site)) => Kind::Node(*site),
                    _ => Kind::Operation,
                };
                steps.push(Step { id: visit.id, kind, costs: costs.contains_key(&visit.id) });
            }
        });
        Walk { steps, last_use, reduced, costs }
    }

    /// Plates whose members meet somewhere downstream of the nodes.
    pub(crate) fn reduced(&self) -> &PlateSet {
        &self.reduced
    }

    /// See [`GroupContext::sweep`].
    pub(crate) fn follow<F: Real>(
        &self,
        context: &GroupContext<'_, '_, F>,
        world: &mut dyn AlternativeWorld<F>,
    ) -> GraphResult<()> {
        let builder = context.builder;
        let tape = builder.tape;
        tape.note_host_work();
        let mut front = Front::default();
        for &Step { id, kind, costs } in &self.steps {
            let var = tape.var(id)?;
            let site = match kind {
                Kind::Member(number) => Some(builder.nodes[context.members[number]].site),
                Kind::Node(site) => Some(site),
                Kind::Operation => None,
            };
            if !front.is_empty() {
                let again = match site {
                    Some(site) if front.reaches(var) => front.resample(context, site, var)?,
                    Some(_) => var,
                    None => tape.rerecord(var, &front.ids),
                };
                front.note(var, again)?;
            }
            if let Kind::Member(number) = kind {
                front.forget(|id| self.last_use[id.index()] > var.id().index());
                let live = front.live(context)?;
                let jumps = world.at_node(number, &live)?;
                if !jumps.is_empty() {
                    front.restart(context, number, &jumps)?;
                }
            }
            if costs && !front.is_empty() {
                for &at in self.costs.get(&id).into_iter().flatten() {
                    if let Some(changes) = front.change(context, at)? {
                        world.at_cost(changes.as_slice());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where the alternative world differs from the recording.
#[derive(Default)]
struct Front {
    /// The values that differ, and what they are there.
    changed: Vec<(Id, Id)>,
    /// The same, for recording again.
    ids: IdMap,
    /// The jumps that the world started with, with the lane and the number of the node in the group.
    jumps: Vec<(usize, usize, Jump)>,
}

impl Front {
    fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// Whether an operand of a value differs.
    fn reaches<F: Real>(&self, var: Var<'_, F>) -> bool {
        var.inputs().iter().skip(1).any(|input| self.ids.changes(input.id()))
    }

    fn resample<'t, F: Real>(
        &mut self,
        context: &GroupContext<'_, 't, F>,
        site: SiteId,
        var: Var<'t, F>,
    ) -> GraphResult<Var<'t, F>> {
        let node = site.0 as usize;
        let weights =
            context.builder.nodes.get(node).and_then(|node| node.plate).map(|plate| context.tape().weights(plate));
        let again = context.builder.resample(node, site, var, &mut self.ids, false)?;
        if let Some(Weights::Given { id, .. }) = weights
            && self.ids.changes(id)
        {
            let (old, new) = (context.tape().var(id)?, context.tape().var(self.ids.get(id))?);
            self.note(old, new)?;
        }
        Ok(again)
    }

    /// Remembers a value if it came out differently.
    fn note<F: Real>(&mut self, var: Var<'_, F>, again: Var<'_, F>) -> GraphResult<()> {
        if again.id() != var.id() && again.inspect()?.as_slice() != var.inspect()?.as_slice() {
            self.changed.push((var.id(), again.id()));
            self.ids.insert(var.id(), again.id());
        }
        Ok(())
    }

    /// Drops the differences that nothing reads any more.
    fn forget(&mut self, read: impl Fn(Id) -> bool) {
        let before = self.changed.len();
        self.changed.retain(|(id, _)| read(*id));
        if self.changed.len() < before {
            self.index();
        }
    }

    fn index(&mut self) {
        self.ids = IdMap::identity();
        self.changed.iter().for_each(|&(id, other)| self.ids.insert(id, other));
    }

    /// In which lanes something differs.
    fn live<F: Real>(&self, context: &GroupContext<'_, '_, F>) -> GraphResult<Vec<bool>> {
        let mut live = vec![false; context.lane_count()];
        for &(id, other) in &self.changed {
            let (old, new) = (context.tape().var(id)?, context.tape().var(other)?);
            let (a, b) = (old.inspect()?, new.inspect()?);
            Lanes::new(context.tape(), old.plates(), context.lanes()).each(a.len(), |lane, range| {
                live[lane] |= a.as_slice()[range.clone()] != b.as_slice()[range];
            });
        }
        Ok(live)
    }

    /// Starts the world anew at a node, in the lanes of the jumps.
    fn restart<F: Real>(
        &mut self,
        context: &GroupContext<'_, '_, F>,
        number: usize,
        jumps: &[Jump],
    ) -> GraphResult<()> {
        let tape = context.tape();
        let mut restarted = vec![false; context.lane_count()];
        self.jumps.retain(|(lane, ..)| !jumps.iter().any(|jump| context.lane(number, jump.place) == *lane));
        for jump in jumps {
            let lane = context.lane(number, jump.place);
            restarted[lane] = true;
            self.jumps.push((lane, number, *jump));
        }
        let var = context.builder.nodes[context.members[number]].value;
        let other = tape.var(self.ids.get(var.id()))?.inspect()?;
        if restarted.iter().all(|&restarted| restarted) {
            self.changed.clear();
        }
        let mut kept = Vec::new();
        for &(id, other) in self.changed.iter().filter(|(id, _)| *id != var.id()) {
            let (old, new) = (tape.var(id)?, tape.var(other)?);
            let (old_value, mut value) = (old.inspect()?, new.inspect()?);
            let numbers = value.make_mut();
            Lanes::new(tape, old.plates(), context.lanes()).each(old_value.len(), |lane, range| {
                if restarted[lane] {
                    numbers[range.clone()].copy_from_slice(&old_value.as_slice()[range]);
                }
            });
            if value.as_slice() != old_value.as_slice() {
                kept.push((id, tape.constant_on(&old.plates(), value).id()));
            }
        }
        let sample = var.inspect()?;
        let mut value = other;
        let numbers = value.make_mut();
        Lanes::new(tape, var.plates(), context.lanes()).each(sample.len(), |lane, range| {
            if restarted[lane] {
                numbers[range.clone()].copy_from_slice(&sample.as_slice()[range]);
            }
        });
        let width = sample.len() / context.places(number).max(1);
        for jump in jumps {
            let place = jump.place * width..(jump.place + 1) * width;
            let alternative = &context.candidates()[number].values[jump.alternative];
            numbers[place.clone()].copy_from_slice(&alternative.as_slice()[place]);
        }
        if value.as_slice() != sample.as_slice() {
            kept.push((var.id(), tape.constant_on(&var.plates(), value).id()));
        }
        self.changed = kept;
        self.index();
        Ok(())
    }

    /// How much higher a part of a cost is, lane by lane; `None` where it cannot differ.
    fn change<F: Real>(
        &self,
        context: &GroupContext<'_, '_, F>,
        (cost, number): (usize, usize),
    ) -> GraphResult<Option<Tensor<F>>> {
        let builder = context.builder;
        let part = &builder.costs[cost].parts[number];
        let reweighted = part
            .plates
            .iter()
            .any(|&plate| matches!(context.tape().weights(plate), Weights::Given { id, .. } if self.ids.changes(id)));
        if !reweighted && !self.ids.changes(part.value.id()) {
            return Ok(None);
        }
        let outside = part.plates.without(context.lanes());
        let again = self.cleared(context, context.tape().var(self.ids.get(part.value.id()))?.stop_gradient())?;
        let again = reduce(again, &outside, &self.ids, true);
        let before = reduce(part.value.stop_gradient(), &outside, &IdMap::identity(), true);
        Ok(Some((again - before).expand_plates(context.lanes()).inspect()?))
    }

    /// A cost in the alternative world, with 0 where it is not finite and the world started with an impossible value.
    fn cleared<'t, F: Real>(&self, context: &GroupContext<'_, 't, F>, cost: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let tape = context.tape();
        let mut value = cost.inspect()?;
        if value.all_finite() {
            return Ok(cost);
        }
        let mut impossible = vec![false; context.lane_count()];
        for &(lane, number, jump) in &self.jumps {
            let alternative = &context.candidates()[number].values[jump.alternative];
            impossible[lane] = context.builder.is_impossible(context.members[number], alternative, jump.place)?;
        }
        let len = value.len();
        let numbers = value.make_mut();
        Lanes::new(tape, cost.plates(), context.lanes()).each(len, |lane, range| {
            let here = numbers[range].iter_mut().filter(|number| impossible[lane] && !number.to_f64().is_finite());
            here.for_each(|number| *number = F::ZERO);
        });
        Ok(tape.constant_on(&cost.plates(), value))
    }
}

/// The lanes that the members of some plates belong to.
struct Lanes<'a> {
    plates: PlateSet,
    sizes: Vec<usize>,
    lanes: &'a [Plate],
}

impl<'a> Lanes<'a> {
    fn new<F: Real>(tape: &Tape<F>, plates: Plates, lanes: &'a [Plate]) -> Self {
        let plates = PlateSet::from(plates);
        let sizes = plates.iter().map(|&plate| tape.plate_size(plate)).collect();
        Lanes { plates, sizes, lanes }
    }

    /// Shows the range of each member in a value of this length, with its lane.
    fn each(&self, len: usize, mut show: impl FnMut(usize, std::ops::Range<usize>)) {
        let members: usize = self.sizes.iter().product();
        let row = len / members.max(1);
        for member in 0..members {
            let lane = self.plates.project(member, &self.sizes, self.lanes);
            show(lane, member * row..(member + 1) * row);
        }
    }
}
