//! Groups of element-wise operations, compiled to chains of the fused kernel.

use super::group::Group;
use super::pairs::{Argument, Pairs};
use super::recording::Recording;
use crate::id::Id;
use crate::node::Node;
use crate::op::{Op, PlateReduction};
use smallvec::SmallVec;
use std::collections::HashMap;
use stochgrad_tensor::fused::{Chain, Place, Results, RowReduction, Scratch, Source, Step, View};
use stochgrad_tensor::map::{Map, map_slice};
use stochgrad_tensor::random::Key;
use stochgrad_tensor::{Pool, Real, Shape, Tensor};

/// A chain, and the values that it reads and writes.
pub(super) struct Fused<F> {
    chain: Chain<F>,
    inputs: Vec<Id>,
    addresses: Vec<u128>,
    outputs: Vec<Written>,
    reductions: Vec<Written>,
}

/// A value that a chain writes.
struct Written {
    to: Id,
    shape: Shape,
    /// The factor of the result of a reduction.
    factor: Option<f64>,
}

/// The number of values that a run can write without an allocation. A chain that writes more than this, or reads more
/// than 128, takes memory from the allocator.
type Tensors<F> = SmallVec<[Tensor<F>; 48]>;

impl<F: Real> Fused<F> {
    /// Runs the chain on the values of a tape.
    pub(super) fn run(
        &self,
        nodes: &mut [Node<F>],
        pool: &Pool<F>,
        scratch: &mut [Scratch<F>],
        key: impl Fn(u128) -> Key,
    ) {
        let mut outputs = Tensors::new();
        for written in &self.outputs {
            outputs.push(pool.take(written.shape.clone()));
        }
        let mut reduced = Tensors::new();
        for written in &self.reductions {
            reduced.push(pool.take(written.shape.clone()));
        }
        let mut partials = Tensors::new();
        if self.chain.partials() > 0 {
            partials.extend(reduced.iter().map(|_| pool.take(Shape::from([self.chain.partials()]))));
        }
        {
            // A loop of `push` builds the list in place. A `collect` would build it elsewhere and move it.
            let mut inputs: SmallVec<[&[F]; 128]> = SmallVec::new();
            for id in &self.inputs {
                inputs.push(nodes[id.index()].value.as_slice());
            }
            let mut keys: SmallVec<[Key; 16]> = SmallVec::new();
            for &address in &self.addresses {
                keys.push(key(address));
            }
            let mut results = Results::new();
            for tensor in &mut outputs {
                results.outputs.push(tensor.make_mut());
            }
            for tensor in &mut reduced {
                results.reduced.push(tensor.make_mut());
            }
            for tensor in &mut partials {
                results.partials.push(tensor.make_mut());
            }
            self.chain.run(scratch, &inputs, &keys, &mut results);
        }
        partials.drain(..).for_each(|partial| pool.recycle(partial));
        for (written, value) in self.outputs.iter().zip(outputs.drain(..)) {
            nodes[written.to.index()].value = value;
        }
        for (written, mut value) in self.reductions.iter().zip(reduced.drain(..)) {
            if let Some(factor) = written.factor {
                let mut scaled = pool.take(written.shape.clone());
                map_slice(Map::MulScalar(factor), value.as_slice(), scaled.make_mut());
                pool.recycle(std::mem::replace(&mut value, scaled));
            }
            nodes[written.to.index()].value = value;
        }
    }
}

impl<F: Real> std::fmt::Debug for Fused<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = |written: &[Written]| written.iter().map(|written| written.to.position).collect::<Vec<_>>();
        let inputs: Vec<u32> = self.inputs.iter().map(|id| id.position).collect();
        write!(
            f,
            "fused: {:?} = {} passes over {inputs:?}; {:?} by rows",
            ids(&self.outputs),
            self.chain.steps(),
            ids(&self.reductions)
        )
    }
}

/// The group as a chain. `kept` says which members are also read outside the group.
pub(super) fn fuse<F: Real>(recording: &Recording<'_, F>, group: &Group, kept: &dyn Fn(usize) -> bool) -> Fused<F> {
    let mut maker = Maker {
        recording,
        group,
        sources: HashMap::new(),
        inputs: Vec::new(),
        operands: Vec::new(),
        addresses: Vec::new(),
        free: Vec::new(),
        registers: 0,
    };
    let pairs = Pairs::find(recording, group, kept);
    let mut last: HashMap<usize, usize> = HashMap::new();
    for (position, &member) in group.members.iter().enumerate() {
        for input in pairs.operands(recording, member) {
            last.insert(input, position);
        }
    }
    for &(reduction, _) in &group.reductions {
        last.insert(recording.operands(reduction)[0], usize::MAX);
    }
    let (mut steps, mut outputs) = (Vec::new(), Vec::new());
    for (position, &member) in group.members.iter().enumerate() {
        if pairs.is_first(member) {
            continue;
        }
        let values = pairs.operands(recording, member);
        let operands: SmallVec<[Source<F>; 3]> = values.iter().map(|&input| maker.source(input)).collect();
        let kept = kept(member);
        let node = recording.node(member);
        if let (Op::Expand(..), false) = (&node.op, kept) {
            // Broadcasting is part of how an operand is read.
            maker.sources.insert(member, operands[0]);
            continue;
        }
        // A choice between values is written over one of them if this is its last use: where the other one is chosen
        // nowhere in a block, nothing is written.
        let replaced = match node.op {
            Op::Select if !kept => values[1..].iter().copied().find(|input| {
                let register = group.contains(*input) && matches!(maker.sources.get(input), Some(Source::Register(_)));
                register && *input != values[0] && last.get(input) == Some(&position)
            }),
            _ => None,
        };
        let to = if kept {
            outputs.push(Written { to: recording.inner.id(member), shape: node.value.shape().clone(), factor: None });
            Place::Output(outputs.len() as u16 - 1)
        } else if let Some(&Source::Register(register)) = replaced.and_then(|value| maker.sources.get(&value)) {
            Place::Register(register)
        } else {
            Place::Register(maker.register())
        };
        steps.push(match (pairs.with(member), &node.op) {
            (Some(pair), _) => {
                let [a, b, c] = pair.operands.map(|operand| match operand {
                    Argument::Value(value) => maker.source(value),
                    Argument::Number(number) => Source::Number(F::from_f64(number)),
                });
                Step::Pair { first: pair.first, second: pair.second, a, b, c, to }
            }
            (None, Op::Map(op)) => Step::Map { op: *op, x: operands[0], to },
            (None, Op::Expand(..)) => Step::Map { op: Map::PowScalar(1.0), x: operands[0], to },
            (None, Op::Zip(op)) => Step::Zip { op: *op, a: operands[0], b: operands[1], to },
            (None, Op::Select) => Step::Select { condition: operands[0], yes: operands[1], no: operands[2], to },
            (None, Op::Noise { fill, address, .. }) => {
                let key = maker.addresses.len() as u16;
                maker.addresses.push(*address);
                let start = recording.consecutive_noise(member).unwrap_or(0);
                Step::Noise { fill: *fill, key, start, to }
            }
            (None, other) => unreachable!("{other} is not element-wise"),
        });
        maker.sources.insert(
            member,
            match to {
                Place::Register(register) => Source::Register(register),
                Place::Output(output) => Source::Output(output),
            },
        );
        let mut done = values;
        done.sort_unstable();
        done.dedup();
        if !last.contains_key(&member) {
            done.push(member);
        }
        for input in done.into_iter().filter(|&input| Some(input) != replaced) {
            if last.get(&input).copied().unwrap_or(position) == position {
                maker.free(input);
            }
        }
    }
    let mut written = Vec::new();
    let mut rows = Vec::new();
    for &(reduction, op) in &group.reductions {
        let node = recording.node(reduction);
        let factor = match &node.op {
            Op::PlateReduce(plate, PlateReduction::Mean) => Some(1.0 / recording.whole_plate_size(*plate) as f64),
            _ => None,
        };
        rows.push(RowReduction { op, of: maker.source(recording.operands(reduction)[0]) });
        written.push(Written { to: recording.inner.id(reduction), shape: node.value.shape().clone(), factor });
    }
    let chain = Chain::new(&group.shape, &maker.operands, steps, rows, group.row, maker.registers);
    Fused { chain, inputs: maker.inputs, addresses: maker.addresses, outputs, reductions: written }
}

/// A chain under construction.
struct Maker<'a, 'r, F: Real> {
    recording: &'a Recording<'r, F>,
    group: &'a Group,
    sources: HashMap<usize, Source<F>>,
    inputs: Vec<Id>,
    operands: Vec<View>,
    addresses: Vec<u128>,
    free: Vec<u16>,
    registers: usize,
}

impl<F: Real> Maker<'_, '_, F> {
    fn register(&mut self) -> u16 {
        self.free.pop().unwrap_or_else(|| {
            self.registers += 1;
            self.registers as u16 - 1
        })
    }

    fn free(&mut self, member: usize) {
        if let Some(&Source::Register(register)) = self.sources.get(&member)
            && self.group.contains(member)
        {
            self.free.push(register);
        }
    }

    /// The source of a value for a step: a member of the group, a number, or an operand of the chain.
    fn source(&mut self, value: usize) -> Source<F> {
        if let Some(&known) = self.sources.get(&value) {
            return known;
        }
        let source = match self.recording.number(value) {
            Some(number) => Source::Number(number),
            None => {
                self.operands.push(self.recording.view(value, &self.group.plates, self.group.event_rank));
                let first = self.inputs.len() as u16;
                self.inputs
                    .extend(self.recording.owners(value).into_iter().map(|owner| self.recording.inner.id(owner)));
                Source::Input(first)
            }
        };
        self.sources.insert(value, source);
        source
    }
}
