//! The errors of this crate.

use std::panic::Location;

/// The result of functions of this crate.
pub type XlaResult<T> = Result<T, XlaError>;

/// An error of lowering a graph, of a plugin, or of a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XlaError {
    /// An operation has no lowering.
    #[error("expected operations that can be lowered to StableHLO, got {operation}, recorded at {at}: {reason}")]
    NoLowering {
        /// The operation, in words.
        operation: String,
        /// The line that recorded it.
        at: &'static Location<'static>,
        /// Why there is none, and what to try.
        reason: String,
    },
}
