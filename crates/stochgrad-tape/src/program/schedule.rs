//! Compilation of a recording into instructions.

use super::fusion::fuse;
use super::group::{Group, row_reduction};
use super::recomputation::{Recomputed, recomputed};
use super::recording::Recording;
use super::{Input, Instruction, Program, Work};
use crate::error::{TapeError, TapeResult};
use crate::id::{Id, Inputs};
use crate::node::Node;
use crate::op::{Op, PlateReduction};
use crate::sets::SetId;
use crate::tape::{Inner, Tape};
use crate::var::Var;
use smallvec::SmallVec;
use std::collections::{BTreeSet, HashMap};
use std::panic::Location;
use stochgrad_tensor::fused::Scratch;
use stochgrad_tensor::{Real, instantiated};

/// The largest length of a group. The registers of a longer one would not fit into the cache.
const LONGEST: usize = 400;

impl<F: Real> Tape<F> {
    /// Compiles the recording into a program that computes `outputs` for other values of `inputs`, and with other
    /// noise.
    ///
    /// The inputs must be leaves. All other parameters and constants keep their values. The outputs may have any shape,
    /// and may be gradients recorded with [`gradients`](Tape::gradients).
    ///
    /// # Errors
    /// The first error on the tape, an input that is not a leaf, or an output that was recorded after host code had
    /// read a value that changes from run to run: it may depend on this value in a way that the tape does not know.
    #[track_caller]
    pub fn compile(&self, inputs: &[Var<'_, F>], outputs: &[Var<'_, F>]) -> TapeResult<Program<F>> {
        let at = Location::caller();
        self.check()?;
        let input_ids = self.own(inputs, at)?;
        let output_ids = self.own(outputs, at)?;
        instantiated!(F: fn(&Tape<F>, &[Id], &[Id], &'static Location<'static>) -> TapeResult<Program<F>> = plan)(
            self,
            &input_ids,
            &output_ids,
            at,
        )
    }
}

/// The largest size of a value that waits for the end of a group.
const SMALL: usize = 16;

/// The groups that are still open, and the instructions so far.
struct Planner<'a, 'r, F: Real> {
    recording: &'a Recording<'r, F>,
    groups: Vec<Group>,
    open: BTreeSet<usize>,
    /// The group that computes each value, as a member or as a reduction.
    group_of: Vec<Option<u32>>,
    order: Vec<Planned>,
    /// Small values that are added later, in their order. They read sums of open groups, or each other. To add them now
    /// would close these groups, and the rest of the pass over the elements would become another pass.
    waiting: BTreeSet<usize>,
}

enum Planned {
    Evaluate(usize),
    Group(usize),
}

impl<F: Real> Planner<'_, '_, F> {
    fn open_group(&self, value: usize) -> Option<usize> {
        self.group_of[value].map(|group| group as usize).filter(|group| self.open.contains(group))
    }

    fn close(&mut self, group: usize) {
        self.open.remove(&group);
        self.groups[group].members.sort_unstable();
        self.order.push(Planned::Group(group));
    }

    fn close_all(&mut self) {
        self.add_waiting();
        while let Some(&group) = self.open.first() {
            self.close(group);
        }
    }

    fn add(&mut self, value: usize) {
        let reads = self.recording.reads(value);
        let small = self.recording.node(value).value.len() <= SMALL;
        let waits = reads.iter().any(|read| self.waiting.contains(read));
        if small && (waits || reads.iter().any(|&read| self.is_open_sum(read))) {
            self.waiting.insert(value);
            return;
        }
        // Reductions over shards keep their order, which must be the same on all shards.
        if waits || matches!(self.recording.node(value).op, Op::AllReduce(_)) {
            self.add_waiting();
        }
        self.add_now(value);
    }

    /// Whether a value is reduced from larger rows by a group that is still open.
    fn is_open_sum(&self, value: usize) -> bool {
        self.open_group(value).is_some_and(|group| {
            let group = &self.groups[group];
            group.shape.numel() > SMALL && group.reductions.iter().any(|&(reduction, _)| reduction == value)
        })
    }

    fn add_waiting(&mut self) {
        for value in std::mem::take(&mut self.waiting) {
            self.add_now(value);
        }
    }

    fn add_now(&mut self, value: usize) {
        let operands = self.recording.operands(value);
        for read in self.recording.reads(value).into_iter().filter(|read| !operands.contains(read)) {
            // A value that is read in place needs all the values that hold its elements.
            if let Some(group) = self.open_group(read) {
                self.close(group);
            }
        }
        if self.recording.is_elementwise(value) {
            self.add_elementwise(value, &operands);
        } else if let Some(row) = self.recording.reduced_row(value) {
            self.add_reduction(value, operands[0], row);
        } else {
            for operand in operands {
                if let Some(group) = self.open_group(operand) {
                    self.close(group);
                }
            }
            self.order.push(Planned::Evaluate(value));
        }
    }

    fn add_elementwise(&mut self, value: usize, operands: &[usize]) {
        let node = self.recording.node(value);
        let mut home: Option<usize> = None;
        for &operand in operands {
            let Some(group) = self.open_group(operand) else { continue };
            let known = &self.groups[group];
            let fits = known.shape == *node.value.shape()
                && known.plates == node.plates
                && !known.reductions.iter().any(|&(reduction, _)| reduction == operand)
                && known.members.len() < LONGEST;
            if !fits {
                self.close(group);
                if home == Some(group) {
                    home = None;
                }
            } else if let Some(first) = home.filter(|&first| first != group) {
                if self.merges(first, group) {
                    self.merge(first, group);
                } else {
                    self.close(group);
                }
            } else {
                home = Some(group);
            }
        }
        let home = home.unwrap_or_else(|| self.start(value));
        self.groups[home].members.push(value);
        self.group_of[value] = Some(home as u32);
    }

    fn add_reduction(&mut self, value: usize, operand: usize, row: usize) {
        let reduce = row_reduction(&self.recording.node(value).op);
        let fits = |group: &Group| {
            (group.row == 0 || group.row == row) && !group.reductions.iter().any(|&(reduction, _)| reduction == operand)
        };
        let home = match self.open_group(operand) {
            Some(group) if fits(&self.groups[group]) => group,
            Some(group) => {
                self.close(group);
                self.start(operand)
            }
            None => self.start(operand),
        };
        let group = &mut self.groups[home];
        group.row = row;
        group.reductions.extend(reduce.map(|reduce| (value, reduce)));
        self.group_of[value] = Some(home as u32);
    }

    /// Starts a group with the shape of a value.
    fn start(&mut self, value: usize) -> usize {
        let node = self.recording.node(value);
        self.groups.push(Group {
            members: Vec::new(),
            reductions: Vec::new(),
            shape: node.value.shape().clone(),
            plates: node.plates.clone(),
            event_rank: node.value.shape().len() - node.plates.len(),
            row: 0,
        });
        self.open.insert(self.groups.len() - 1);
        self.groups.len() - 1
    }

    fn merges(&self, into: usize, from: usize) -> bool {
        let (into, from) = (&self.groups[into], &self.groups[from]);
        (into.row == 0 || from.row == 0 || into.row == from.row) && into.members.len() + from.members.len() <= LONGEST
    }

    fn merge(&mut self, into: usize, from: usize) {
        self.open.remove(&from);
        let moved = std::mem::take(&mut self.groups[from].members);
        let reductions = std::mem::take(&mut self.groups[from].reductions);
        for value in moved.iter().copied().chain(reductions.iter().map(|&(value, _)| value)) {
            self.group_of[value] = Some(into as u32);
        }
        let row = self.groups[from].row;
        let into = &mut self.groups[into];
        into.members.extend(moved);
        into.reductions.extend(reductions);
        into.row = into.row.max(row);
    }
}

fn plan<F: Real>(
    tape: &Tape<F>,
    inputs: &[Id],
    outputs: &[Id],
    at: &'static Location<'static>,
) -> TapeResult<Program<F>> {
    if let Some(Recomputed { tape, inputs, outputs }) = recomputed(tape, inputs, outputs) {
        return plan(&tape, &inputs, &outputs, at);
    }
    let inner = tape.inner.borrow();
    for input in inputs {
        if !matches!(inner.nodes[input.index()].op, Op::Leaf { .. }) {
            let message = format!(
                "an input of a program must be a parameter or a constant, got the result of {} (recorded at {})",
                inner.nodes[input.index()].op,
                inner.nodes[input.index()].location
            );
            return Err(TapeError::Other { message, at });
        }
    }
    let recording = Recording::new(&inner, inputs, outputs);
    check_peeks(&recording, at)?;
    let count = inner.nodes.len();
    let mut planner = Planner {
        recording: &recording,
        groups: Vec::new(),
        open: BTreeSet::new(),
        group_of: vec![None; count],
        order: Vec::new(),
        waiting: BTreeSet::new(),
    };
    for value in (0..count).filter(|&value| recording.is_computed(value)) {
        planner.add(value);
    }
    planner.close_all();
    let Planner { mut groups, group_of, order, .. } = planner;

    let outputs: Vec<Id> = outputs.iter().map(|id| inner.id(recording.root[id.index()] as usize)).collect();
    let mut is_output = vec![false; count];
    outputs.iter().for_each(|id| is_output[id.index()] = true);
    let mut stays = is_output.clone();
    recording.required.iter().for_each(|&(_, value)| stays[value] = true);
    let mut kept = stays.clone();
    let mut readers: HashMap<usize, SmallVec<[Option<u32>; 4]>> = HashMap::new();
    for value in (0..count).filter(|&value| recording.is_computed(value)) {
        for operand in recording.reads(value) {
            if group_of[value].is_none() || group_of[operand] != group_of[value] {
                kept[operand] = true;
                readers.entry(operand).or_default().push(group_of[value]);
            }
        }
    }
    compute_again(&recording, &mut groups, &group_of, &mut kept, &readers, &stays);
    let order = with_reductions_together(&recording, &groups, order);
    let mut instructions: Vec<Instruction<F>> = Vec::new();
    let mut last_use: HashMap<usize, usize> = HashMap::new();
    let mut checks = Checks::new(&recording);
    checks.add_given(&mut instructions, &mut last_use);
    for planned in &order {
        let position = instructions.len();
        let work = match planned {
            Planned::Evaluate(value) => {
                let operands = recording.operands(*value);
                operands.iter().for_each(|&operand| {
                    last_use.insert(operand, position);
                });
                last_use.insert(*value, position);
                let inputs: Inputs = operands.iter().map(|&operand| inner.id(operand)).collect();
                let to = inner.id(*value);
                match recording.node(*value).op.clone() {
                    Op::AllReduce(reduction) => Work::Collective { reduction, part: inputs[0], to },
                    op => {
                        let held = tape.holds(&op, &inputs).is_ok();
                        Work::Evaluate { op, inputs, to, held }
                    }
                }
            }
            Planned::Group(group) => {
                let group = &groups[*group];
                let reductions = group.reductions.iter().map(|&(value, _)| value);
                for value in group.members.iter().copied().chain(reductions) {
                    recording.reads(value).iter().for_each(|&operand| {
                        last_use.insert(operand, position);
                    });
                    last_use.insert(value, position);
                }
                Work::Fused(Box::new(fuse(&recording, group, &|value| kept[value])))
            }
        };
        instructions.push(Instruction { work, spent: SmallVec::new() });
        match planned {
            Planned::Evaluate(value) => checks.add(&mut instructions, &mut last_use, *value),
            Planned::Group(group) => {
                let Group { members, reductions, .. } = &groups[*group];
                for value in members.iter().copied().chain(reductions.iter().map(|&(value, _)| value)) {
                    if group_of[value] == Some(*group as u32) {
                        checks.add(&mut instructions, &mut last_use, value);
                    }
                }
            }
        }
    }
    for (&value, &position) in &last_use {
        let stays = is_output[value] || !recording.is_computed(value);
        let in_register = group_of[value].is_some() && !kept[value] && recording.is_elementwise(value);
        if !stays && !in_register {
            instructions[position].spent.push(inner.id(value));
        }
    }
    instructions.iter_mut().for_each(|instruction| instruction.spent.sort_unstable());
    let inputs = inputs
        .iter()
        .map(|&id| Input {
            id,
            shape: inner.nodes[id.index()].value.shape().clone(),
            given: false,
            location: inner.nodes[id.index()].location,
        })
        .collect();
    let is_collective = |instruction: &&Instruction<F>| matches!(instruction.work, Work::Collective { .. });
    let collectives = instructions.iter().filter(is_collective).count();
    let results = outputs.iter().map(|_| inner.placeholder.clone()).collect();
    let threads = tape.threads();
    let scratch = (0..threads).map(|_| Scratch::new()).collect();
    let shapes = inner.nodes.iter().map(|node| node.value.shape().clone()).collect();
    let tape = slots(tape, &inner, &recording);
    Ok(Program {
        tape,
        inputs,
        outputs,
        shapes,
        results,
        instructions,
        scratch,
        finite: 0..0,
        squares_are_finite: false,
        checks: true,
        collectives,
    })
}

/// Moves reductions over shards, and what depends on them, behind all that does not, so that successive reductions are
/// made together, in one message. The reductions keep their order, which must be the same on all shards.
fn with_reductions_together<F: Real>(
    recording: &Recording<'_, F>,
    groups: &[Group],
    order: Vec<Planned>,
) -> Vec<Planned> {
    let is_reduction = |planned: &Planned| match planned {
        Planned::Evaluate(value) => matches!(recording.node(*value).op, Op::AllReduce(_)),
        Planned::Group(_) => false,
    };
    if !order.iter().any(is_reduction) {
        return order;
    }
    let values = |planned: &Planned| -> SmallVec<[usize; 8]> {
        match planned {
            Planned::Evaluate(value) => SmallVec::from_elem(*value, 1),
            Planned::Group(group) => {
                let Group { members, reductions, .. } = &groups[*group];
                members.iter().copied().chain(reductions.iter().map(|&(value, _)| value)).collect()
            }
        }
    };
    let mut sorted = Vec::with_capacity(order.len());
    let (mut reductions, mut behind) = (Vec::new(), Vec::new());
    // The results of the reductions that were moved, and of what depends on them.
    let mut is_behind = vec![false; recording.needed.len()];
    for planned in order {
        let own = values(&planned);
        let is_read = |&value: &usize| {
            let mut reads = recording.reads(value).into_iter().chain(recording.operands(value));
            reads.any(|read| is_behind[read])
        };
        let depends = own.iter().any(is_read);
        if is_reduction(&planned) {
            if depends {
                sorted.append(&mut reductions);
                sorted.append(&mut behind);
                is_behind.fill(false);
            }
            reductions.push(planned);
        } else if depends {
            behind.push(planned);
        } else {
            sorted.push(planned);
            continue;
        }
        own.iter().for_each(|&value| is_behind[value] = true);
    }
    sorted.append(&mut reductions);
    sorted.append(&mut behind);
    sorted
}

/// Lets groups recompute values that are cheaper to compute than to keep: cheap functions of values that are kept
/// anyway, if a reader then reads at most one value in place of the result.
fn compute_again<F: Real>(
    recording: &Recording<'_, F>,
    groups: &mut [Group],
    group_of: &[Option<u32>],
    kept: &mut [bool],
    readers: &HashMap<usize, SmallVec<[Option<u32>; 4]>>,
    stays: &[bool],
) {
    for value in (0..kept.len()).filter(|&value| recording.is_computed(value)) {
        let node = recording.node(value);
        let cheap = match node.op {
            Op::Map(map) => !map.is_transcendental(),
            Op::Zip(zip) => !zip.is_transcendental(),
            _ => false,
        };
        let (true, true, Some(own), Some(readers)) = (kept[value], cheap, group_of[value], readers.get(&value)) else {
            continue;
        };
        let operands = recording.operands(value);
        let there = |&operand: &usize| kept[operand] || !recording.is_computed(operand);
        let size = node.value.len();
        let fits = |reader: &Option<u32>| {
            reader.is_some_and(|reader| {
                let reader = &groups[reader as usize];
                let reads =
                    |operand| reader.members.iter().any(|&member| recording.operands(member).contains(&operand));
                let more = operands.iter().filter(|&&at| recording.node(at).value.len() == size && !reads(at)).count();
                let shaped = reader.shape == *node.value.shape() && reader.plates == node.plates;
                shaped && more <= 1 && reader.members.len() < LONGEST
            })
        };
        if stays[value] || !operands.iter().all(there) || !readers.iter().all(fits) {
            continue;
        }
        kept[value] = false;
        for reader in readers.iter().flatten().filter(|&&reader| reader != own) {
            let members = &mut groups[*reader as usize].members;
            if let Err(at) = members.binary_search(&value) {
                members.insert(at, value);
            }
        }
    }
}

/// The checks of required values that are not among the instructions yet.
struct Checks<'a, 'r, F: Real> {
    recording: &'a Recording<'r, F>,
    /// The requirements on each value, by their numbers.
    open: HashMap<usize, SmallVec<[usize; 2]>>,
}

impl<'a, 'r, F: Real> Checks<'a, 'r, F> {
    fn new(recording: &'a Recording<'r, F>) -> Self {
        let mut open: HashMap<usize, SmallVec<[usize; 2]>> = HashMap::new();
        for &(number, value) in &recording.required {
            open.entry(value).or_default().push(number);
        }
        Checks { recording, open }
    }

    /// Adds the checks of the values that the program does not compute.
    fn add_given(&mut self, instructions: &mut Vec<Instruction<F>>, last_use: &mut HashMap<usize, usize>) {
        let required = self.recording.required.iter().map(|&(_, value)| value);
        for value in required.filter(|&value| !self.recording.is_computed(value)) {
            self.add(instructions, last_use, value);
        }
    }

    /// Adds the checks of a value that has just been computed, while it is in the cache.
    fn add(&mut self, instructions: &mut Vec<Instruction<F>>, last_use: &mut HashMap<usize, usize>, value: usize) {
        for number in self.open.remove(&value).unwrap_or_default() {
            last_use.insert(value, instructions.len());
            let requirement = self.recording.inner.requirements[number].requirement;
            let work = Work::Check { requirement, number, value: self.recording.inner.id(value) };
            instructions.push(Instruction { work, spent: SmallVec::new() });
        }
    }
}

/// Checks that no output was recorded after host code had read a value that varies.
fn check_peeks<F: Real>(recording: &Recording<'_, F>, at: &'static Location<'static>) -> TapeResult<()> {
    let Some(peek) = recording.first_peek() else { return Ok(()) };
    let after = (peek.recorded_before..recording.needed.len()).find(|&value| recording.needed[value]);
    let Some(after) = after else { return Ok(()) };
    let node = recording.node(after);
    let (after, after_at) = (node.op.to_string(), node.location);
    Err(TapeError::NotRepeatable { look: peek.location, after, after_at, at })
}

/// A tape with the positions of the recording and the values of its constants.
fn slots<F: Real>(tape: &Tape<F>, inner: &Inner<F>, recording: &Recording<'_, F>) -> Tape<F> {
    let slots = Tape::with_threads(tape.threads());
    let rooted = |value| recording.operands(value).iter().map(|&operand| inner.id(operand)).collect();
    {
        let new = &mut *slots.inner.borrow_mut();
        new.plates = inner.plates.clone();
        new.primitives = inner.primitives.clone();
        new.samplers = inner.samplers.clone();
        new.slots = inner.slots.clone();
        new.generation = inner.generation;
        for (value, node) in inner.nodes.iter().enumerate() {
            let constant = recording.needed[value] && !recording.varies[value];
            // Copies share the buffer of their operand, which may not belong to the pool. A value that is repeated does not.
            let copies = match node.op {
                Op::Reshape(_) | Op::StraightThrough | Op::PlateReduce(_, PlateReduction::Mean) => true,
                Op::Expand(..) => {
                    recording.operands(value).iter().all(|&from| inner.nodes[from].value.len() == node.value.len())
                }
                _ => false,
            };
            let pooled = match node.op {
                _ if constant => false,
                Op::Leaf { .. } => false,
                _ if copies => recording.operands(value).iter().all(|&operand| new.nodes[operand].pooled),
                _ => inner.takes_from_pool(&node.op),
            };
            let kept = recording.needed[value];
            new.nodes.push(Node {
                // A search for the origin of a NaN repeats these operations.
                op: if kept { node.op.clone() } else { Op::Leaf { trainable: false } },
                inputs: if kept && !constant { rooted(value) } else { Inputs::new() },
                value: if constant { node.value.clone() } else { new.placeholder.clone() },
                pooled,
                owns: false,
                plates: node.plates.clone(),
                ancestors: SetId::EMPTY,
                location: node.location,
                stamp: node.stamp,
                rule_of: node.rule_of,
                trains: node.trains,
            });
        }
    }
    slots
}
