//! Lowering of compiled graphs to StableHLO.
//!
//! [`stablehlo`] writes the module of a program, from the [listing](stochgrad_tape::Listing) of its operations. Each
//! family of operations has a file; the [builder] writes the text.

pub mod axes;
pub mod builder;
mod check;
pub mod context;
pub mod contraction;
pub mod convolution;
mod described;
pub mod elementwise;
pub mod index;
pub mod literal;
pub mod map;
mod module;
pub mod noise;
mod operation;
mod options;
pub mod order;
pub mod plates;
pub mod pooling;
mod recorded;
pub mod reduction;
mod refusal;
pub mod requirement;
pub mod scan;
pub mod special;
pub mod types;
pub mod zip;

pub use check::Check;
pub use module::{Argument, Module, ResultKind, record, record_replacing, stablehlo, stablehlo_with};
pub use options::{Options, Precision};
pub use recorded::{ArgumentKind, Recorded};
