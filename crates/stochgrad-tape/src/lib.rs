//! A tape of tensor operations with reverse-mode derivatives of any order.
//!
//! A [`Tape`] records operations as data while it evaluates them; a [`Var`] is a small `Copy` handle to one recorded
//! value. Expressions read as mathematics, literals mix in, and every derivative rule is itself written in `Var`s, so
//! the gradient of a gradient needs no second implementation.
//!
//! ```
//! use stochgrad_tape::Tape;
//!
//! # fn main() -> Result<(), stochgrad_tape::TapeError> {
//! let tape = Tape::<f64>::new();
//! let x = tape.parameter([1.0, 2.0, 3.0]);
//! let y = (x.square() * 0.5 + x.sin()).sum();
//! let [dy] = tape.grad(y, [x])?; // on the tape: can be differentiated again
//! let [ddy] = tape.backward(dy.sum(), [x])?; // a plain tensor
//! assert!((ddy.as_slice()[0] - (1.0 - 1.0_f64.sin())).abs() < 1e-12);
//! # Ok(())
//! # }
//! ```
//!
//! * [`Op`] lists the operations, [`Smoothness`] says how a value may be differentiated through each of them.
//! * A [`Plate`] is a named axis of independent members (a minibatch, a set of samples). A `Var` has its plate axes on
//!   the left, aligned by identity, and its event axes on the right, broadcast by the usual rule.
//! * The tape tracks which stochastic sites a value descends from ([`SiteId`]), including through host code that read
//!   a value; it can re-record any part of itself with other inputs ([`IdMap`]).
//! * A [`Program`] is a recording made ready to run again with other inputs and other noise, without recording.
//! * Operations on unusable operands record an error and return a poisoned `Var`; the next fallible call returns it.
//!
//! This crate knows no distribution, no gradient method and no cost.

mod adjoint;
mod backward;
mod error;
mod host;
mod host_source;
mod id;
mod mask;
mod memory;
mod memory_use;
mod node;
mod noise;
mod noise_source;
mod op;
mod operators;
mod origin;
mod origin_search;
mod plate;
mod plate_set;
mod primitive;
mod program;
mod replay;
mod sensitivity;
mod sets;
mod tape;
mod var;

pub use error::{TapeError, TapeResult};
pub use host_source::HostSource;
pub use id::{HostRead, Id};
pub use noise::NoiseLayout;
pub use noise_source::{Fill, NoiseScheme, NoiseSeed};
pub use op::special::{self, Special};
pub use op::{Axes, Degree, DetachReason, Op, PlateReduction, Smoothness};
pub use operators::Number;
pub use origin::{Origin, not_finite_in_words};
pub use plate::{Plate, PlateKind, Plates, Weights};
pub use plate_set::PlateSet;
pub use primitive::{Primitive, PrimitiveInputs};
pub use program::Program;
pub use replay::{IdMap, Visit};
pub use sets::{SetId, SiteId};
pub use tape::{IntoTensor, Tape, Workspace};
pub use var::{IntoVar, Var};
