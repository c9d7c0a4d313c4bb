//! What a run of a program checks.

use std::panic::Location;

/// A condition that a run checks.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// The requirement of this number, see [`ListedRequirement`](stochgrad_tape::ListedRequirement).
    Requirement(usize),
    /// The elements of the output of this number are neither NaN nor infinite.
    Finite(usize),
    /// The operand of an operation is in its domain.
    Operand {
        /// The line that recorded the operation.
        at: &'static Location<'static>,
        /// What was expected, and what to try.
        message: String,
    },
}
