//! One recorded operation.

use crate::id::{Id, Inputs};
use crate::op::Op;
use crate::plate::Plates;
use crate::sets::SetId;
use std::panic::Location;
use stochgrad_tensor::{Real, Shape, Tensor};

#[derive(Debug)]
pub(crate) struct Node<F: Real> {
    pub(crate) op: Op,
    pub(crate) inputs: Inputs,
    pub(crate) value: Tensor<F>,
    /// Whether the buffer of the value belongs to the pool. Other buffers are not recycled, since the pool of a
    /// workspace would grow with every step.
    pub(crate) pooled: bool,
    /// Whether the value has a buffer that it shares with none of its operands.
    pub(crate) owns: bool,
    pub(crate) plates: Plates,
    /// The stochastic sites that this value depends on.
    pub(crate) ancestors: SetId,
    pub(crate) location: &'static Location<'static>,
    /// The stamp of its [`Id`].
    pub(crate) stamp: u32,
    /// The value whose derivative rule recorded this node, if any.
    pub(crate) rule_of: Id,
    /// Whether a derivative of the value reaches a trainable leaf.
    pub(crate) trains: bool,
}

impl<F: Real> Node<F> {
    /// The handle to this node, which has the given position.
    pub(crate) fn id(&self, position: usize) -> Id {
        Id { position: position as u32, stamp: self.stamp }
    }

    /// The shape of the value without its plate axes.
    pub(crate) fn event(&self) -> Shape {
        Shape::from(&self.value.shape()[self.plates.len()..])
    }

    /// The bytes of the buffer, if the node owns it.
    pub(crate) fn own_bytes(&self) -> usize {
        if self.owns { self.value.len() * size_of::<F>() } else { 0 }
    }
}
