//! Analysis of a recording for a program.

use super::group::row_reduction;
use crate::id::{HostRead, Id};
use crate::node::Node;
use crate::noise::NoiseLayout;
use crate::op::Op;
use crate::plate::{Plate, Plates};
use crate::tape::Inner;
use smallvec::{SmallVec, smallvec};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use stochgrad_tensor::fused::{BLOCK, View};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Shape};

/// The results of the analysis.
pub(super) struct Recording<'a, F: Real> {
    pub(super) inner: &'a Inner<F>,
    /// Whether a value can differ from run to run.
    pub(super) varies: Vec<bool>,
    /// The first value that equals each value.
    pub(super) root: Vec<u32>,
    /// Whether a value is computed by the program.
    pub(super) needed: Vec<bool>,
    /// Whether a value is never computed, since its readers find its elements in other values.
    in_place: Vec<bool>,
    /// The requirements that a run checks, by their numbers, and the values that they are about.
    pub(super) required: Vec<(usize, usize)>,
}

/// A hash of an operation without its arguments, of its operands, and of the recomputation that it belongs to.
fn hash(op: &Op, operands: &[usize], recomputation: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    recomputation.hash(&mut hasher);
    std::mem::discriminant(op).hash(&mut hasher);
    match op {
        Op::Map(map) => std::mem::discriminant(map).hash(&mut hasher),
        Op::Zip(zip) => std::mem::discriminant(zip).hash(&mut hasher),
        Op::Noise { address, .. } => address.hash(&mut hasher),
        Op::Slice { start, .. } | Op::PadInto { start, .. } => start.hash(&mut hasher),
        Op::PlateMember(_, member) | Op::PlateScatter(_, member) => member.hash(&mut hasher),
        _ => {}
    }
    operands.hash(&mut hasher);
    hasher.finish()
}

impl<'a, F: Real> Recording<'a, F> {
    pub(super) fn new(inner: &'a Inner<F>, inputs: &[Id], outputs: &[Id]) -> Self {
        let count = inner.nodes.len();
        let mut recording = Recording {
            inner,
            varies: vec![false; count],
            root: (0..count as u32).collect(),
            needed: vec![false; count],
            in_place: vec![false; count],
            required: Vec::new(),
        };
        for input in inputs {
            recording.varies[input.index()] = true;
        }
        recording.find_variables();
        recording.find_equals();
        recording.find_needed(outputs);
        recording.find_required();
        let required = recording.required.iter().map(|&(_, value)| inner.id(value));
        let kept: Vec<Id> = outputs.iter().copied().chain(required).collect();
        recording.find_needed(&kept);
        recording.find_in_place(&kept);
        recording
    }

    pub(super) fn node(&self, value: usize) -> &Node<F> {
        &self.inner.nodes[value]
    }

    pub(super) fn plate_size(&self, plate: Plate) -> usize {
        self.inner.plates[plate.index as usize].size
    }

    pub(super) fn whole_plate_size(&self, plate: Plate) -> usize {
        self.inner.plates[plate.index as usize].whole()
    }

    /// The operands of a value, each replaced by the first value that equals it.
    pub(super) fn operands(&self, value: usize) -> SmallVec<[usize; 3]> {
        self.node(value).inputs.iter().map(|id| self.root[id.index()] as usize).collect()
    }

    /// The value of all elements of a constant, if they are equal.
    pub(super) fn number(&self, value: usize) -> Option<F> {
        if self.varies[value] {
            return None;
        }
        let elements = self.node(value).value.as_slice();
        let first = *elements.first()?;
        elements.iter().all(|x| x.to_f64().to_bits() == first.to_f64().to_bits()).then_some(first)
    }

    /// The values that an operation reads. They must be computed before it.
    pub(super) fn reads(&self, value: usize) -> SmallVec<[usize; 3]> {
        self.operands(value).into_iter().flat_map(|operand| self.owners(operand)).collect()
    }

    /// The values that hold the elements of a value: the value itself, unless it is read in place.
    pub(super) fn owners(&self, value: usize) -> SmallVec<[usize; 3]> {
        match self.node(value).op {
            Op::PlateMember(..) if self.in_place[value] => self.operands(value),
            Op::EventToPlate(plate) if self.in_place[value] => self.parts(value, plate).unwrap_or_default(),
            _ => smallvec![value],
        }
    }

    /// How a group with some plates and event rank reads a value from the values that hold its elements.
    pub(super) fn view(&self, value: usize, plates: &[Plate], event_rank: usize) -> View {
        match self.node(value).op {
            Op::PlateMember(plate, member) if self.in_place[value] => {
                let axis = plates.partition_point(|other| *other < plate);
                let mut all: Plates = plates.into();
                all.insert(axis, plate);
                View::member(&self.spread(self.operands(value)[0], &all, event_rank), axis, member)
            }
            Op::EventToPlate(plate) if self.in_place[value] => {
                let axis = plates.partition_point(|other| *other < plate);
                View::stack(self.node(value).value.shape(), axis)
            }
            _ => View::whole(&self.spread(value, plates, event_rank)),
        }
    }

    /// The shape of a value, extended to some plates and an event rank.
    fn spread(&self, value: usize, plates: &[Plate], event_rank: usize) -> Shape {
        let node = self.node(value);
        let shape = node.value.shape();
        let event = &shape[node.plates.len()..];
        plates
            .iter()
            .map(|plate| node.plates.binary_search(plate).map_or(1, |at| shape[at]))
            .chain(std::iter::repeat_n(1, event_rank - event.len()))
            .chain(event.iter().copied())
            .collect()
    }

    /// The index of the first element of some noise, if the indices are consecutive.
    pub(super) fn consecutive_noise(&self, value: usize) -> Option<u64> {
        let Op::Noise { plates, event, scheme: None, .. } = &self.node(value).op else { return None };
        let entries = plates.iter().map(|plate| self.inner.plates[plate.index as usize].extent());
        NoiseLayout::of(entries, event.numel()).consecutive()
    }

    fn find_variables(&mut self) {
        for value in 0..self.varies.len() {
            if self.varies[value] {
                continue;
            }
            let node = self.node(value);
            let varies = |input: &Id| self.varies[input.index()];
            self.varies[value] = match &node.op {
                // The parts of other shards may differ even if that of this shard is a constant.
                Op::Noise { .. } | Op::Draw { .. } | Op::Slot(_) | Op::AllReduce(_) => true,
                // Their values are 1 and 0 for any operand.
                Op::MagicBox | Op::Map(Map::OnesLike | Map::ZerosLike) => false,
                // The other inputs only record dependence.
                Op::Sample(_) | Op::StraightThrough | Op::Estimated(_) => varies(&node.inputs[0]),
                _ => node.inputs.iter().any(varies),
            };
        }
    }

    /// Finds values that equal others: copies, products with 1, and repeated operations.
    fn find_equals(&mut self) {
        let mut known: HashMap<u64, SmallVec<[u32; 1]>> = HashMap::new();
        for value in 0..self.root.len() {
            if !self.varies[value]
                || self.node(value).inputs.is_empty()
                    && !matches!(self.node(value).op, Op::Noise { .. } | Op::Draw { .. } | Op::Slot(_))
            {
                continue;
            }
            if let Some(original) = self.original(value) {
                self.root[value] = original as u32;
                continue;
            }
            if matches!(self.node(value).op, Op::Custom(_) | Op::Draw { .. }) {
                continue;
            }
            let operands = self.operands(value);
            let key = hash(&self.node(value).op, &operands, self.recomputation(value));
            let alike = known.entry(key).or_default();
            match alike.iter().find(|&&other| self.repeats(value, &operands, other as usize)) {
                Some(&other) => self.root[value] = other,
                None => alike.push(value as u32),
            }
        }
    }

    /// Whether a value with these operands repeats the operation of another value.
    fn repeats(&self, value: usize, operands: &[usize], other: usize) -> bool {
        let (op, known) = (&self.node(value).op, &self.node(other).op);
        // The numbers 0 and -0 are equal, but operations with them are not.
        let same_numbers = || !matches!(op, Op::Map(_) | Op::Zip(_)) || format!("{op:?}") == format!("{known:?}");
        let same_pass = self.recomputation(value) == self.recomputation(other);
        same_pass && op == known && self.operands(other)[..] == *operands && same_numbers()
    }

    /// The number of the recomputation that a value belongs to, 0 for none. A recomputed value equals the one that it
    /// repeats, but must not be replaced by it, which would then be kept.
    fn recomputation(&self, value: usize) -> u32 {
        self.inner.recomputations.get(value).copied().unwrap_or(0)
    }

    /// The operand that a value equals bit for bit.
    fn original(&self, value: usize) -> Option<usize> {
        let node = self.node(value);
        let operands = self.operands(value);
        let same = |operand: usize| {
            let other = self.node(operand);
            (other.plates == node.plates && other.value.shape() == node.value.shape()).then_some(operand)
        };
        match &node.op {
            Op::Detach(_)
            | Op::Sample(_)
            | Op::StraightThrough
            | Op::Estimated(_)
            | Op::Expand(..)
            | Op::Reshape(_) => same(operands[0]),
            Op::Map(Map::MulScalar(1.0) | Map::PowScalar(1.0)) => same(operands[0]),
            Op::Reduce(_, axes) if axes.is_empty() => same(operands[0]),
            Op::Zip(Zip::Mul) => {
                let one = |operand: usize| self.number(operand) == Some(F::ONE);
                match (one(operands[0]), one(operands[1])) {
                    (true, _) => same(operands[1]),
                    (_, true) => same(operands[0]),
                    _ => None,
                }
            }
            Op::Zip(Zip::Div) if self.number(operands[1]) == Some(F::ONE) => same(operands[0]),
            Op::PlateMember(plate, member) => self.stacked(operands[0], *plate, *member).and_then(same),
            _ => None,
        }
    }

    /// The value that is placed at one member of a plate, as part of a stack.
    fn stacked(&self, value: usize, plate: Plate, member: usize) -> Option<usize> {
        let stack = match &self.node(value).op {
            Op::EventToPlate(to) if *to == plate => self.operands(value)[0],
            _ => return None,
        };
        let parts = self.operands(stack);
        let (true, Some(&part)) = (matches!(self.node(stack).op, Op::Concat(0)), parts.get(member)) else {
            return None;
        };
        let one_each = parts.len() == self.plate_size(plate);
        (one_each && matches!(self.node(part).op, Op::Reshape(_))).then(|| self.operands(part)[0])
    }

    /// The members of a value that stacks values of one shape along a plate.
    fn parts(&self, value: usize, plate: Plate) -> Option<SmallVec<[usize; 3]>> {
        let node = self.node(value);
        let axis = node.plates.binary_search(&plate).ok()?;
        let (mut plates, mut shape) = (node.plates.clone(), node.value.shape().to_vec());
        plates.remove(axis);
        shape.remove(axis);
        (0..self.plate_size(plate))
            .map(|member| {
                let part = self.stacked(value, plate, member)?;
                let other = self.node(part);
                (other.plates == plates && **other.value.shape() == shape[..]).then_some(part)
            })
            .collect()
    }

    /// Whether it is faster to assemble a stack in each block that reads it than once in memory: if it has two parts,
    /// or a few parts with long runs of elements.
    fn is_worth_interleaving(&self, value: usize, plate: Plate) -> bool {
        const MOST: usize = 8;
        const TURN: usize = 16;
        let node = self.node(value);
        let size = self.plate_size(plate);
        let turn: usize =
            node.value.shape().iter().skip(node.plates.partition_point(|other| *other <= plate)).product();
        (size == 2 || size <= MOST && turn >= TURN) && self.parts(value, plate).is_some()
    }

    /// The first read of a value that varies by host code.
    pub(super) fn first_peek(&self) -> Option<&HostRead> {
        let varies = |id: Id| self.inner.node(id).is_none() || self.varies[id.index()];
        self.inner.peeks.iter().find(|peek| varies(peek.id))
    }

    /// Finds the requirements on values that vary. Values that were recorded after host code had read a value, and that
    /// no output needs, may depend on what it read, and are left out.
    fn find_required(&mut self) {
        let repeatable = self.first_peek().map_or(usize::MAX, |peek| peek.recorded_before);
        for (number, required) in self.inner.requirements.iter().enumerate() {
            let value = self.root[required.id.index()] as usize;
            if self.varies[value] && (self.needed[value] || required.id.index() < repeatable) {
                self.required.push((number, value));
            }
        }
    }

    fn find_needed(&mut self, outputs: &[Id]) {
        let mut pending: Vec<usize> = outputs.iter().map(|id| self.root[id.index()] as usize).collect();
        while let Some(value) = pending.pop() {
            if !std::mem::replace(&mut self.needed[value], true) && self.varies[value] {
                pending.extend(self.operands(value));
            }
        }
    }

    /// Finds values that need not be computed, since only element-wise functions read them: members of a plate, which
    /// are read from the value on the plate, and stacks of values, which are read from their parts.
    fn find_in_place(&mut self, outputs: &[Id]) {
        let count = self.needed.len();
        let mut copied = vec![false; count];
        outputs.iter().for_each(|id| copied[self.root[id.index()] as usize] = true);
        for value in (0..count).filter(|&value| self.is_computed(value)) {
            let node = self.node(value);
            let walks = self.is_elementwise(value) || self.reduced_row(value).is_some();
            for operand in self.operands(value) {
                let other = self.node(operand);
                let fits = match other.op {
                    Op::PlateMember(plate, _) => !node.plates.contains(&plate),
                    _ if self.is_elementwise(value) => {
                        other.plates == node.plates && other.value.shape() == node.value.shape()
                    }
                    _ => true,
                };
                copied[operand] |= !(walks && fits);
            }
        }
        // Values that are used only by a stack in place are not computed either.
        let mut read = vec![false; count];
        outputs.iter().for_each(|id| read[self.root[id.index()] as usize] = true);
        for value in (0..count).rev() {
            if !self.is_computed(value) {
                continue;
            }
            if !read[value] {
                self.in_place[value] = true;
                continue;
            }
            self.in_place[value] = !copied[value]
                && match self.node(value).op {
                    Op::PlateMember(..) => true,
                    Op::EventToPlate(plate) => self.is_worth_interleaving(value, plate),
                    _ => false,
                };
            let owners = if self.in_place[value] { self.owners(value) } else { self.operands(value) };
            for owner in owners {
                read[owner] = true;
                // A constant part of a stack would otherwise not be kept.
                self.needed[owner] = true;
            }
        }
    }

    /// Whether a value is computed by the program, and is not a leaf or a constant.
    pub(super) fn is_computed(&self, value: usize) -> bool {
        self.needed[value]
            && self.varies[value]
            && !self.in_place[value]
            && !matches!(self.node(value).op, Op::Leaf { .. })
    }

    pub(super) fn is_elementwise(&self, value: usize) -> bool {
        let node = self.node(value);
        !node.value.is_empty()
            && match node.op {
                Op::Map(_) | Op::Zip(_) | Op::Select | Op::Expand(..) => true,
                Op::Noise { .. } => self.consecutive_noise(value).is_some(),
                _ => false,
            }
    }

    /// The number of elements of a row, for a reduction of trailing axes.
    pub(super) fn reduced_row(&self, value: usize) -> Option<usize> {
        let node = self.node(value);
        let reduce = row_reduction(&node.op)?;
        let operand = self.node(*self.operands(value).first()?);
        let (shape, lead) = (operand.value.shape(), operand.plates.len());
        let mut gone: SmallVec<[bool; 8]> = SmallVec::from_elem(false, shape.len());
        match &node.op {
            Op::Reduce(_, axes) => axes.iter().for_each(|&axis| gone[lead + axis] = true),
            Op::SumOut(plates, axes) => {
                axes.iter().for_each(|&axis| gone[lead + axis] = true);
                plates
                    .iter()
                    .filter_map(|plate| operand.plates.binary_search(plate).ok())
                    .for_each(|at| gone[at] = true);
            }
            Op::PlateReduce(plate, _) => gone[operand.plates.binary_search(plate).ok()?] = true,
            _ => return None,
        }
        let mut row = 1;
        let mut kept = false;
        for (&size, gone) in shape.iter().zip(&gone).rev().filter(|(size, _)| **size != 1) {
            if !gone {
                kept = true;
            } else if kept {
                return None;
            } else {
                row *= size;
            }
        }
        (row > 1 && (row <= BLOCK || reduce.joins())).then_some(row)
    }
}
