//! Recording parts of a tape again with other inputs.

use crate::error::{TapeError, TapeResult};
use crate::id::{Id, Inputs};
use crate::node::Node;
use crate::op::{Degree, Op, Smoothness};
use crate::plate::Plate;
use crate::primitive::Primitive;
use crate::sets::SetId;
use crate::tape::Tape;
use crate::var::Var;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_tensor::Real;

/// A replacement of values by others in a replay. Values that are not in the map are kept.
#[derive(Clone, Debug, Default)]
pub struct IdMap {
    map: HashMap<Id, Id>,
}

impl IdMap {
    /// The map without replacements.
    pub fn identity() -> Self {
        Self::default()
    }

    /// Replaces `from` by `to`.
    pub fn insert(&mut self, from: Id, to: Id) {
        self.map.insert(from, to);
    }

    /// The replacement of a value, or the value itself.
    pub fn get(&self, id: Id) -> Id {
        self.map.get(&id).copied().unwrap_or(id)
    }

    /// Whether a value is replaced by another one.
    pub fn changes(&self, id: Id) -> bool {
        self.map.contains_key(&id)
    }
}

impl<F: Real> Tape<F> {
    /// Records the operation of a value again, with its operands replaced by the map. If no operand is replaced,
    /// returns the value itself.
    pub fn rerecord<'t>(&'t self, var: Var<'t, F>, map: &IdMap) -> Var<'t, F> {
        let (op, inputs, location) = {
            let inner = self.inner.borrow();
            let Some(node) = inner.node(var.id) else {
                return var;
            };
            if !node.inputs.iter().any(|&id| map.changes(id)) {
                return var;
            }
            let inputs: Inputs = node.inputs.iter().map(|&id| map.get(id)).collect();
            (node.op.clone(), inputs, node.location)
        };
        Var { tape: self, id: self.apply(op, &inputs, location) }
    }

    /// The values recorded after `from` and before position `end` that depend on it, in the order of recording. There
    /// are none if the tape has no such position.
    pub fn cone(&self, from: Id, end: usize) -> Vec<Id> {
        let inner = self.inner.borrow();
        if inner.node(from).is_none() {
            return Vec::new();
        }
        let (start, end) = (from.index(), end.min(inner.nodes.len()));
        let mut reached = vec![false; end.saturating_sub(start)];
        let mut cone = Vec::new();
        if let Some(first) = reached.first_mut() {
            *first = true;
        }
        for index in start + 1..end {
            if inner.nodes[index].inputs.iter().any(|id| id.index() >= start && reached[id.index() - start]) {
                reached[index - start] = true;
                cone.push(inner.id(index));
            }
        }
        cone
    }
}

/// One recorded operation, during a visit of the tape.
pub struct Visit<'a, F: Real> {
    /// The position.
    pub id: Id,
    /// The operation.
    pub op: &'a Op,
    /// The operands.
    pub inputs: &'a [Id],
    /// The plates of the result.
    pub plates: &'a [Plate],
    primitives: &'a [Arc<dyn Primitive<F>>],
    nodes: &'a [Node<F>],
}

impl<F: Real> Visit<'_, F> {
    /// The plates of an operand.
    pub fn input_plates(&self, input: usize) -> &[Plate] {
        self.inputs.get(input).and_then(|id| self.nodes.get(id.index())).map_or(&[], |node| &node.plates)
    }

    /// The stochastic sites that an operand depends on.
    pub fn input_ancestors(&self, input: usize) -> SetId {
        self.inputs.get(input).and_then(|id| self.nodes.get(id.index())).map_or(SetId::EMPTY, |node| node.ancestors)
    }

    /// Whether an operand has a derivative with respect to a trainable leaf of the tape.
    pub fn input_is_trained(&self, input: usize) -> bool {
        self.inputs.get(input).and_then(|id| self.nodes.get(id.index())).is_some_and(|node| node.trains)
    }

    /// How the result depends on one of the operands.
    pub fn smoothness(&self, input: usize) -> Smoothness {
        match self.op {
            Op::Custom(number) => self.primitives[*number as usize].smoothness(input),
            op => op.smoothness(input),
        }
    }

    /// The degree of the result as a polynomial in some variable, given the degrees of the operands.
    pub fn degree(&self, operands: &[Degree]) -> Degree {
        match self.op {
            Op::Custom(number) => self.primitives[*number as usize].degree(operands),
            op => op.degree(operands),
        }
    }

    /// Whether a derivative flows to the given operand.
    pub fn passes_gradient(&self, input: usize) -> bool {
        match self.op {
            Op::Custom(_) => self.smoothness(input).passes_gradient(),
            op => op.passes_gradient(input),
        }
    }
}

impl<F: Real> Tape<F> {
    /// Calls `show` for the operations before position `end`, the last one first. `show` must not record anything.
    pub fn visit_backwards(&self, end: usize, show: &mut dyn FnMut(Visit<'_, F>)) {
        let inner = self.inner.borrow();
        for (index, node) in inner.nodes[..end.min(inner.nodes.len())].iter().enumerate().rev() {
            show(Visit {
                id: inner.id(index),
                op: &node.op,
                inputs: &node.inputs,
                plates: &node.plates,
                primitives: &inner.primitives,
                nodes: &inner.nodes,
            });
        }
    }

    /// Calls `show` for the operations before position `end`, the first one first. `show` must not record anything.
    pub fn visit(&self, end: usize, show: &mut dyn FnMut(Visit<'_, F>)) {
        let inner = self.inner.borrow();
        for (index, node) in inner.nodes[..end.min(inner.nodes.len())].iter().enumerate() {
            show(Visit {
                id: inner.id(index),
                op: &node.op,
                inputs: &node.inputs,
                plates: &node.plates,
                primitives: &inner.primitives,
                nodes: &inner.nodes,
            });
        }
    }

    /// The variable at a position, given as an index.
    ///
    /// # Errors
    /// If the tape has no such position.
    #[track_caller]
    pub fn var_at(&self, index: usize) -> TapeResult<Var<'_, F>> {
        let known = self.inner.borrow().nodes.get(index).map(|node| node.id(index));
        let id =
            known.ok_or_else(|| TapeError::Foreign { what: format!("position {index}"), at: Location::caller() })?;
        Ok(Var { tape: self, id })
    }
}
