//! Compiled graphs on accelerators.
//!
//! The crate lowers compiled graphs to StableHLO, and runs them by PJRT plugins, the engines behind JAX.

mod error;
pub mod lowering;
pub mod pjrt;

pub use error::{XlaError, XlaResult};
