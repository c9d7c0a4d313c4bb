//! One recorded operation.

use crate::op::Op;
use crate::plate::Plates;
use crate::sets::SetId;
use smallvec::SmallVec;
use std::panic::Location;
use stochgrad_tensor::{Real, Shape, Tensor};

/// The position of a value on its tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub(crate) u32);

impl Id {
    /// The result of an operation that failed: everything computed from it fails quietly.
    pub(crate) const POISON: Id = Id(u32::MAX);

    /// The position as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

pub(crate) type Inputs = SmallVec<[Id; 3]>;

#[derive(Debug)]
pub(crate) struct Node<F: Real> {
    pub(crate) op: Op,
    pub(crate) inputs: Inputs,
    pub(crate) value: Tensor<F>,
    /// Whether the buffer of the value came from the pool. Buffers from outside are not kept for later: the pool of a
    /// workspace would grow with every step.
    pub(crate) pooled: bool,
    /// Whether the value has a buffer that its operands have not.
    pub(crate) owns: bool,
    pub(crate) plates: Plates,
    /// The stochastic sites that this value descends from.
    pub(crate) ancestors: SetId,
    pub(crate) location: &'static Location<'static>,
    /// The value whose derivative rule recorded this, if one did.
    pub(crate) rule_of: Id,
}

impl<F: Real> Node<F> {
    /// The shape of the value without its plate axes.
    pub(crate) fn event(&self) -> Shape {
        Shape::from(&self.value.shape()[self.plates.len()..])
    }

    /// The bytes of its own buffer.
    pub(crate) fn own_bytes(&self) -> usize {
        if self.owns { self.value.len() * size_of::<F>() } else { 0 }
    }
}

/// A value that host code looked at, which makes what is recorded afterwards depend on it.
#[derive(Clone, Copy, Debug)]
pub struct HostRead {
    /// The value that was read.
    pub id: Id,
    /// How many nodes the tape had at that time: everything from there on may depend on the value.
    pub recorded_before: usize,
    /// The line that read it.
    pub location: &'static Location<'static>,
}
