//! Handles to recorded values, and the operations on them.

mod axes;
mod convolution;
mod detach;
mod elementwise;
mod estimated;
mod norm;
mod order;
mod plates;
mod pooling;
mod scatter;
mod shapes;

use crate::error::{TapeError, TapeResult};
use crate::id::{HostRead, Id, Inputs};
use crate::op::Op;
use crate::plate::Plates;
use crate::sets::SetId;
use crate::tape::{IntoTensor, Tape};
use std::panic::Location;
use stochgrad_tensor::{Real, Shape, Tensor};

/// A small `Copy` handle to a value on a tape.
///
/// The axes of a value are its plates, on the left, followed by its event axes. Operations on several values align
/// their plates by identity and broadcast their event axes. Axis arguments refer to event axes. They count from the
/// left or, if negative, from the right.
///
/// If an operation fails, for instance because shapes do not fit, it records the error on the tape and returns a
/// poisoned variable. The next method that returns a `Result` returns the error.
pub struct Var<'t, F: Real> {
    pub(crate) tape: &'t Tape<F>,
    pub(crate) id: Id,
}

impl<F: Real> Clone for Var<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Real> Copy for Var<'_, F> {}

impl<F: Real> std::fmt::Debug for Var<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.peek() {
            Ok(value) => write!(f, "%{} = {value:?}", self.id.position),
            Err(error) => write!(f, "%{} ({error})", self.id.position),
        }
    }
}

/// Properties of a recorded value.
impl<'t, F: Real> Var<'t, F> {
    /// The tape.
    pub fn tape(self) -> &'t Tape<F> {
        self.tape
    }

    /// The position on the tape.
    pub fn id(self) -> Id {
        self.id
    }

    pub(crate) fn is_poisoned(self) -> bool {
        self.id == Id::POISON
    }

    /// The event shape; empty for a poisoned variable.
    pub fn shape(self) -> Shape {
        let inner = self.tape.inner.borrow();
        inner.node(self.id).map(|node| node.event()).unwrap_or_default()
    }

    /// The plates that the value carries.
    pub fn plates(self) -> Plates {
        let inner = self.tape.inner.borrow();
        inner.node(self.id).map(|node| node.plates.clone()).unwrap_or_default()
    }

    /// The operation; `None` for a poisoned variable.
    pub fn op(self) -> Option<Op> {
        self.tape.inner.borrow().node(self.id).map(|node| node.op.clone())
    }

    /// The operands.
    pub fn inputs(self) -> Vec<Self> {
        let inner = self.tape.inner.borrow();
        let ids = inner.node(self.id).map(|node| node.inputs.clone()).unwrap_or_default();
        ids.iter().map(|&id| Var { tape: self.tape, id }).collect()
    }

    /// The stochastic sites that the value depends on.
    pub fn ancestors(self) -> SetId {
        self.tape.inner.borrow().node(self.id).map_or(SetId::EMPTY, |node| node.ancestors)
    }

    /// The line of the user's source that recorded it.
    pub fn location(self) -> Option<&'static Location<'static>> {
        self.tape.inner.borrow().node(self.id).map(|node| node.location)
    }

    /// The value, plate axes first, for host code that branches on it.
    ///
    /// The operations recorded afterwards may depend on what was read, so the tape makes them dependent on all
    /// stochastic sites that the value depends on. Use [`Var::peek`] if nothing that is recorded depends on the value.
    ///
    /// # Errors
    /// The first error recorded on the tape.
    #[track_caller]
    pub fn value(self) -> TapeResult<Tensor<F>> {
        let value = self.peek()?;
        let inner = &mut *self.tape.inner.borrow_mut();
        let ancestors = inner.nodes[self.id.index()].ancestors;
        if ancestors != SetId::EMPTY {
            inner.control = inner.sets.union(inner.control, ancestors);
            inner.branches.push(HostRead {
                id: self.id,
                recorded_before: inner.nodes.len(),
                location: Location::caller(),
            });
        }
        Ok(value)
    }

    /// The value as a scalar, for host code that branches on it; see [`Var::value`].
    ///
    /// # Errors
    /// The first error recorded on the tape, or a value that is not a scalar.
    #[track_caller]
    pub fn item(self) -> TapeResult<F> {
        let at = Location::caller();
        let value = self.value()?;
        value.item().map_err(|_| TapeError::NotScalar {
            what: "item()",
            shape: self.shape(),
            plates: self.plates_in_words(),
            at,
        })
    }

    /// The value, plate axes first, for logging and plotting. Operations recorded afterwards must not depend on it,
    /// except through noise.
    ///
    /// The tape does not know what the value is used for. A recording that continues after this call therefore cannot
    /// be compiled.
    ///
    /// # Errors
    /// The first error recorded on the tape.
    #[track_caller]
    pub fn peek(self) -> TapeResult<Tensor<F>> {
        let value = self.inspect()?;
        if self.tape.inner.borrow().depends_on_shards(self.id) {
            return Err(Tape::<F>::unknown_on_a_shard("a value read by host code", Location::caller()));
        }
        self.tape.note_peek(self.id, Location::caller());
        Ok(value)
    }

    /// The value, plate axes first, for a check that can only lead to an error. It must not be used for anything else,
    /// unless [`Primitive::holds`](crate::Primitive::holds) repeats the check in each run of a program.
    ///
    /// # Errors
    /// The first error recorded on the tape.
    #[track_caller]
    pub fn inspect(self) -> TapeResult<Tensor<F>> {
        self.tape.check()?;
        let inner = self.tape.inner.borrow();
        match inner.node(self.id) {
            Some(node) => Ok(node.value.clone()),
            None => Err(TapeError::Foreign { what: "a variable".into(), at: Location::caller() }),
        }
    }

    pub(crate) fn plates_in_words(self) -> String {
        let plates = self.plates();
        if plates.is_empty() { String::new() } else { format!(", plates {}", self.tape.plate_names(&plates)) }
    }

    #[track_caller]
    pub(crate) fn apply(self, op: Op) -> Self {
        Var { tape: self.tape, id: self.tape.apply(op, &[self.id], Location::caller()) }
    }

    #[track_caller]
    pub(crate) fn apply_with(self, op: Op, others: &[Self]) -> Self {
        let location = Location::caller();
        let mut inputs = Inputs::new();
        inputs.push(self.id);
        for other in others {
            if !std::ptr::eq(self.tape, other.tape) {
                return self.tape.fail(TapeError::Foreign { what: "a variable".into(), at: location });
            }
            inputs.push(other.id);
        }
        Var { tape: self.tape, id: self.tape.apply(op, &inputs, location) }
    }
}

/// Conversion into a variable: from a variable, or from a value that becomes a constant on the given tape.
pub trait IntoVar<'t, F: Real> {
    /// The variable.
    fn into_var(self, tape: &'t Tape<F>) -> Var<'t, F>;
}

impl<'t, F: Real> IntoVar<'t, F> for Var<'t, F> {
    fn into_var(self, _tape: &'t Tape<F>) -> Var<'t, F> {
        self
    }
}

impl<'t, F: Real> IntoVar<'t, F> for f64 {
    #[track_caller]
    fn into_var(self, tape: &'t Tape<F>) -> Var<'t, F> {
        tape.constant(IntoTensor::<F>::into_tensor(self))
    }
}
