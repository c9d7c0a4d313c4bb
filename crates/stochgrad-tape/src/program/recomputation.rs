//! Values that a program computes again for derivatives instead of keeping them from the forward pass.
//!
//! A recording keeps every value. A program keeps a value until its last use, which for most values is a derivative
//! rule: the memory of a long loop grows with its length. [`Tape::recompute`] marks a block of operations. What
//! operations outside the block read stays, except where derivative rules read it: they read copies of the operations,
//! which are computed just before the first of them. The backward pass goes through the blocks in reverse, so that the
//! inner values of only one block exist at a time. Noise is a function of its address, so that the copies of draws have
//! the same bits.

use super::recording::Recording;
use crate::id::{HostRead, Id, Inputs};
use crate::node::Node;
use crate::op::Op;
use crate::requirement::Required;
use crate::sets::SetId;
use crate::tape::{Inner, Tape};
use std::ops::Range;
use stochgrad_tensor::Real;

impl<F: Real> Tape<F> {
    /// Lets compiled programs compute the values of these operations again for derivatives, instead of keeping them.
    ///
    /// The results are the same bit for bit. A program with many such blocks, as the steps of a loop, needs the memory
    /// of what passes from block to block and of the inner values of one block, and the time of one more forward pass.
    /// Mark a block after it is recorded and before derivatives are. Blocks must not overlap.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter([0.5, 2.0]);
    /// let mut y = x;
    /// for _ in 0..100 {
    ///     let start = tape.len();
    ///     y = (y.sin() * x).exp();
    ///     tape.recompute(start..tape.len());
    /// }
    /// let [dx] = tape.grad(y.sum(), [x])?;
    /// let mut program = tape.compile(&[x], &[dx])?;
    /// program.set(0, &Tensor::from([0.5, 2.0]))?;
    /// program.run(Default::default())?;
    /// assert_eq!(program.output(0)?, &dx.value()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn recompute(&self, operations: Range<usize>) {
        let mut inner = self.inner.borrow_mut();
        let end = operations.end.min(inner.nodes.len());
        if operations.start < end {
            inner.recomputed.push(operations.start..end);
        }
    }
}

/// A recording with copies of operations, and the inputs and outputs in it.
pub(super) struct Recomputed<F: Real> {
    pub(super) tape: Tape<F>,
    pub(super) inputs: Vec<Id>,
    pub(super) outputs: Vec<Id>,
}

/// The recording with the operations that are computed again; `None` if there are none.
pub(super) fn recomputed<F: Real>(tape: &Tape<F>, inputs: &[Id], outputs: &[Id]) -> Option<Recomputed<F>> {
    let inner = tape.inner.borrow();
    if inner.recomputed.is_empty() {
        return None;
    }
    let copier = Copier::new(&inner, inputs, outputs);
    let new = Tape::with_threads(tape.threads());
    let position = copier.copy(&new);
    let find = |ids: &[Id]| ids.iter().map(|id| position[id.index()]).collect();
    Some(Recomputed { tape: new, inputs: find(inputs), outputs: find(outputs) })
}

struct Copier<'a, F: Real> {
    inner: &'a Inner<F>,
    /// The number of the block of each operation, from 1; 0 for none.
    block: Vec<u32>,
    /// Whether an operation is computed again if a derivative rule outside its block reads it.
    again: Vec<bool>,
    /// Whether the program computes a value.
    used: Vec<bool>,
}

impl<'a, F: Real> Copier<'a, F> {
    fn new(inner: &'a Inner<F>, inputs: &[Id], outputs: &[Id]) -> Self {
        let recording = Recording::new(inner, inputs, outputs);
        let count = inner.nodes.len();
        let mut block = vec![0; count];
        for (number, range) in inner.recomputed.iter().enumerate() {
            block[range.clone()].fill(number as u32 + 1);
        }
        // Equal values were merged in the analysis, so that an operation is used if what it was merged into is.
        let used: Vec<bool> = (0..count)
            .map(|value| recording.needed[recording.root[value] as usize] && recording.varies[value])
            .collect();
        let mut again: Vec<bool> = (0..count)
            .map(|value| {
                let repeats = !matches!(inner.nodes[value].op, Op::Leaf { .. } | Op::Slot(_));
                block[value] > 0 && used[value] && repeats
            })
            .collect();
        let mut copier = Copier { inner, block, again: Vec::new(), used };
        for (value, node) in inner.nodes.iter().enumerate().filter(|&(value, _)| copier.used[value]) {
            if !copier.is_rule(value) {
                for input in node.inputs.iter().filter(|input| copier.block[input.index()] != copier.block[value]) {
                    again[input.index()] = false;
                }
            }
        }
        outputs.iter().for_each(|id| again[id.index()] = false);
        copier.again = again;
        copier
    }

    /// Whether an operation belongs to a derivative rule.
    fn is_rule(&self, value: usize) -> bool {
        self.inner.nodes[value].rule_of != Id::POISON
    }

    /// Whether an operation reads a copy of an operand.
    fn reads_copy(&self, value: usize, operand: usize) -> bool {
        self.used[value] && self.is_rule(value) && self.block[value] != self.block[operand] && self.again[operand]
    }

    /// Fills a tape. Returns the new positions of the operations.
    fn copy(&self, tape: &Tape<F>) -> Vec<Id> {
        let new = &mut *tape.inner.borrow_mut();
        let inner = self.inner;
        new.plates = inner.plates.clone();
        new.primitives = inner.primitives.clone();
        new.samplers = inner.samplers.clone();
        new.slots = inner.slots.clone();
        new.noise = inner.noise;
        new.generation = inner.generation;
        let count = inner.nodes.len();
        let (mut position, mut copy) = (vec![Id::POISON; count], vec![Id::POISON; count]);
        for (value, node) in inner.nodes.iter().enumerate() {
            for input in node.inputs.iter().map(|input| input.index()) {
                if self.reads_copy(value, input) {
                    self.copy_operation(new, input, &position, &mut copy);
                }
            }
            let inputs = node.inputs.iter().map(|input| {
                if self.reads_copy(value, input.index()) { copy[input.index()] } else { position[input.index()] }
            });
            position[value] = self.push(new, value, inputs.collect(), 0, &position);
        }
        new.requirements.extend(
            inner
                .requirements
                .iter()
                .map(|required| Required { id: position[required.id.index()], requirement: required.requirement }),
        );
        let place = |before: usize| position.get(before).map_or(new.nodes.len(), |id| id.index());
        new.peeks.extend(inner.peeks.iter().map(|peek| HostRead {
            id: if peek.id == Id::POISON { Id::POISON } else { position[peek.id.index()] },
            recorded_before: place(peek.recorded_before),
            location: peek.location,
        }));
        position
    }

    /// Copies an operation, after those of its block that it needs.
    fn copy_operation(&self, new: &mut Inner<F>, operation: usize, position: &[Id], copy: &mut [Id]) {
        let block = self.block[operation];
        let missing =
            |value: usize, copy: &[Id]| self.block[value] == block && self.again[value] && copy[value] == Id::POISON;
        let (mut found, mut pending) = (Vec::new(), vec![operation]);
        while let Some(value) = pending.pop() {
            if missing(value, copy) {
                found.push(value);
                pending.extend(self.inner.nodes[value].inputs.iter().map(|input| input.index()));
            }
        }
        found.sort_unstable();
        found.dedup();
        for value in found {
            let node = &self.inner.nodes[value];
            let inputs = node.inputs.iter().map(|input| input.index());
            let inputs = inputs.map(|input| if copy[input] == Id::POISON { position[input] } else { copy[input] });
            copy[value] = self.push(new, value, inputs.collect(), block, position);
        }
    }

    fn push(&self, new: &mut Inner<F>, value: usize, inputs: Inputs, recomputation: u32, position: &[Id]) -> Id {
        let node = &self.inner.nodes[value];
        let rule_of = if node.rule_of == Id::POISON { Id::POISON } else { position[node.rule_of.index()] };
        let place = new.nodes.len();
        new.nodes.push(Node {
            op: node.op.clone(),
            inputs,
            value: node.value.clone(),
            pooled: false,
            owns: false,
            plates: node.plates.clone(),
            ancestors: SetId::EMPTY,
            location: node.location,
            rule_of,
            trains: node.trains,
            stamp: node.stamp,
        });
        new.recomputations.push(recomputation);
        new.id(place)
    }
}
