//! A tape of tensor operations with reverse-mode derivatives of any order.
//!
//! A [`Tape`] evaluates operations and records them as data. A [`Var`] is a small `Copy` handle to one recorded value,
//! with the usual operators and literals. Every derivative rule is itself written in `Var`s, so gradients can be
//! differentiated again.
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
//! * [`Op`] lists the operations. [`Smoothness`] states whether a value can be differentiated through each of them.
//! * A [`Plate`] is a named axis of members that are treated alike (a minibatch, a set of samples). The axes of a `Var`
//!   are its plates, which are aligned by identity, followed by its event axes, which broadcast by the usual rule.
//! * The tape tracks the stochastic sites ([`SiteId`]) that each value depends on, also where host code read a value.
//!   It can record any part of itself again with other inputs ([`IdMap`]).
//! * A [`Program`] is a compiled recording. It runs again with other inputs and other noise, without recording. Two
//!   [`Snapshot`]s show whether host code would record the same again.
//! * An operation on unsuitable operands records an error and returns a poisoned `Var`. The next call that returns a
//!   `Result` returns this error.
//!
//! This crate contains no distributions, no gradient methods and no costs.

mod adjoint;
mod attempt;
mod backward;
mod communicator;
pub mod descent;
mod description;
mod error;
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
mod requirement;
mod sampler;
mod sensitivity;
mod sets;
mod side_records;
mod slice_adjoints;
mod slot;
mod snapshot;
mod tape;
mod thread_ranks;
mod var;

pub use attempt::{Attempt, DrawKey, draw_element, draw_elements};
pub use communicator::{CommunicationError, Communicator, SingleRank, agree};
pub use description::{Description, RecordedAttempt, RecordedProposal, Refusal};
pub use error::{TapeError, TapeResult};
pub use id::{HostRead, Id};
pub use noise::NoiseLayout;
pub use noise_source::{NoiseScheme, NoiseSeed};
pub use op::special::{self, Special};
pub use op::{Axes, Degree, DetachReason, Estimated, ImageSize, Op, PlateReduction, ShardReduction, Smoothness};
pub use operators::Number;
pub use origin::{Origin, not_finite_in_words};
pub use plate::{Plate, PlateKind, Plates, Weights};
pub use plate_set::PlateSet;
pub use primitive::{Primitive, PrimitiveInputs};
pub use program::Program;
pub use program::listing::{ListedPlate, ListedRequirement, ListedValue, Listing, ValueOrigin};
pub use program::shards::Shards;
pub use replay::{IdMap, Visit};
pub use requirement::{Condition, Requirement, Violation};
pub use sampler::Sampler;
pub use sets::{SetId, SiteId};
pub use side_records::SideRecords;
pub use slot::Slot;
pub use snapshot::{Difference, Snapshot};
pub use tape::{IntoTensor, Tape, Workspace};
pub use thread_ranks::ThreadRank;
pub use var::{IntoVar, Var};
