//! Recording of operations, and their properties.

use crate::error::TapeError;
use crate::id::{Id, Inputs};
use crate::node::Node;
use crate::op::{Op, Smoothness};
use crate::plate::Plates;
use crate::primitive::Primitive;
use crate::tape::{Inner, Tape};
use crate::var::Var;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_tensor::{Real, Tensor, instantiated};

impl<F: Real> Inner<F> {
    /// How the value of a node depends on one of its operands. A custom primitive answers for itself.
    pub(crate) fn smoothness(&self, node: &Node<F>, input: usize) -> Smoothness {
        match &node.op {
            Op::Custom(number) => self.primitives[*number as usize].smoothness(input),
            op => op.smoothness(input),
        }
    }

    /// Whether an operation returns a buffer of the pool.
    pub(crate) fn takes_from_pool(&self, op: &Op) -> bool {
        match op {
            Op::Custom(number) => self.primitives[*number as usize].takes_from_pool(),
            _ => true,
        }
    }

    /// Whether a derivative flows from the value of a node to one of its operands.
    pub(crate) fn passes_gradient(&self, node: &Node<F>, input: usize) -> bool {
        match &node.op {
            Op::Custom(_) => self.smoothness(node, input).passes_gradient(),
            op => op.passes_gradient(input),
        }
    }
}

impl<F: Real> Tape<F> {
    pub(crate) fn push(
        &self,
        op: Op,
        inputs: Inputs,
        value: Tensor<F>,
        mut pooled: bool,
        plates: Plates,
        location: &'static Location<'static>,
    ) -> Id {
        let inner = &mut *self.inner.borrow_mut();
        let mut ancestors = inner.control;
        let mut owns = true;
        for &input in &inputs {
            let node = &inner.nodes[input.index()];
            let shared = node.value.shares_buffer_with(&value);
            owns &= !shared;
            pooled &= node.pooled || !shared;
            ancestors = inner.sets.union(ancestors, node.ancestors);
        }
        if let Op::Sample(site) = op {
            ancestors = inner.sets.insert(ancestors, site);
        }
        let location = inner.located.unwrap_or(location);
        let rule_of = inner.rule_of;
        let stamp = inner.stamp;
        let trains = false;
        let mut node = Node { op, inputs, value, pooled, owns, plates, ancestors, location, stamp, rule_of, trains };
        let reaches = |(input, id): (usize, &Id)| inner.nodes[id.index()].trains && inner.passes_gradient(&node, input);
        node.trains = match node.op {
            Op::Leaf { trainable } => trainable,
            _ => node.inputs.iter().enumerate().any(reaches),
        };
        inner.memory.live += node.own_bytes();
        if let Some(scratch) = &mut inner.scratch {
            let slot = scratch.free.pop();
            let index = slot.unwrap_or(inner.nodes.len() as u32);
            scratch.created.push(index);
            if slot.is_some() {
                inner.nodes[index as usize] = node;
                return Id { position: index, stamp };
            }
        }
        inner.nodes.push(node);
        Id { position: inner.nodes.len() as u32 - 1, stamp }
    }

    /// Records an operation and evaluates it. If the operands are unsuitable, it records the error and returns the
    /// poisoned position.
    pub(crate) fn apply(&self, op: Op, inputs: &[Id], location: &'static Location<'static>) -> Id {
        instantiated!(F: fn(&Tape<F>, Op, &[Id], &'static Location<'static>) -> Id = Tape::apply_body)(
            self, op, inputs, location,
        )
    }

    fn apply_body(&self, op: Op, inputs: &[Id], location: &'static Location<'static>) -> Id {
        if inputs.contains(&Id::POISON) {
            return Id::POISON;
        }
        let known = {
            let inner = self.inner.borrow();
            inputs.iter().all(|&id| inner.node(id).is_some())
        };
        if !known {
            return self.fail(TapeError::Foreign { what: "a variable".into(), at: location }).id;
        }
        if let Err(error) = self.check_room(&op, inputs, location) {
            return self.fail(error).id;
        }
        let has_shards = self.inner.borrow().has_shards;
        let recorded = match has_shards {
            true => self.apply_on_shards(&op, inputs, location),
            false => match self.evaluate(&op, inputs) {
                Ok((value, plates)) => {
                    let pooled = self.inner.borrow().takes_from_pool(&op);
                    return self.push(op, Inputs::from_slice(inputs), value, pooled, plates, location);
                }
                Err(fault) => Err(fault),
            },
        };
        match recorded {
            Ok(id) => id,
            Err(fault) => {
                let location = self.inner.borrow().located.unwrap_or(location);
                self.fail(fault.into_error(&op, location)).id
            }
        }
    }

    /// Applies a [`Primitive`] that the user defined.
    #[track_caller]
    pub fn custom<'t>(&'t self, primitive: Arc<dyn Primitive<F>>, inputs: &[Var<'t, F>]) -> Var<'t, F> {
        let number = {
            let mut inner = self.inner.borrow_mut();
            inner.primitives.push(primitive);
            inner.primitives.len() as u32 - 1
        };
        let location = Location::caller();
        match self.own(inputs, location) {
            Ok(ids) => Var { tape: self, id: self.apply(Op::Custom(number), &ids, location) },
            Err(error) => self.fail(error),
        }
    }

    /// Runs `record`, and attributes every operation that it records to the given line of the user's source.
    pub fn located<R>(&self, at: &'static Location<'static>, record: impl FnOnce() -> R) -> R {
        let before = self.inner.borrow_mut().located.replace(at);
        let result = record();
        self.inner.borrow_mut().located = before;
        result
    }

    /// How a recorded value depends on one of its inputs, custom primitives included.
    pub fn smoothness(&self, var: Var<'_, F>, input: usize) -> Smoothness {
        let inner = self.inner.borrow();
        inner.node(var.id).map_or(Smoothness::Constant, |node| inner.smoothness(node, input))
    }

    /// The primitive that computed a value, if one did.
    pub fn primitive(&self, var: Var<'_, F>) -> Option<Arc<dyn Primitive<F>>> {
        let inner = self.inner.borrow();
        match inner.node(var.id)?.op {
            Op::Custom(number) => inner.primitives.get(number as usize).cloned(),
            _ => None,
        }
    }

    /// The name of the operation that computed a value. For a custom primitive, it is [`Primitive::name`].
    pub fn operation_name(&self, var: Var<'_, F>) -> Option<String> {
        let inner = self.inner.borrow();
        Some(match &inner.node(var.id)?.op {
            Op::Custom(number) => inner.primitives[*number as usize].name().into(),
            Op::Draw { sampler, .. } => inner.samplers[*sampler as usize].name().into(),
            op => op.to_string(),
        })
    }
}
