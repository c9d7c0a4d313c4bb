//! The errors of a tape.

use crate::communicator::CommunicationError;
use crate::origin::Origin;
use std::panic::Location;
use stochgrad_tensor::Shape;

/// The result of a fallible tape operation.
pub type TapeResult<T> = Result<T, TapeError>;

/// An error of an operation, with the line of the user's source that called it.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TapeError {
    /// Two operands whose event shapes do not broadcast.
    #[error(
        "{op}: event shapes {left} and {right} do not broadcast{plates} ({at}); reshape one of them, or check which \
         axes are plates"
    )]
    Shapes {
        /// The operation.
        op: String,
        /// Event shape of the first operand.
        left: Shape,
        /// Event shape of the second operand.
        right: Shape,
        /// The plates of the operands, in words; empty if there are none.
        plates: String,
        /// The line that called it.
        at: &'static Location<'static>,
    },
    /// An operand that does not fit the operation.
    #[error("{op}: {problem}, the operand has event shape {shape}{plates} ({at})")]
    Operand {
        /// The operation.
        op: String,
        /// What was expected, and what the operation got.
        problem: String,
        /// Event shape of the operand.
        shape: Shape,
        /// The plates of the operand, in words; empty if there are none.
        plates: String,
        /// The line that called it.
        at: &'static Location<'static>,
    },
    /// A derivative of a value that is not a scalar.
    #[error(
        "{what}: expected a scalar, got event shape {shape}{plates} ({at}); reduce it first, with sum(), mean() or \
         mean_over(plate)"
    )]
    NotScalar {
        /// The function that was called.
        what: &'static str,
        /// The event shape of the value.
        shape: Shape,
        /// The plates of the operand, in words.
        plates: String,
        /// The line that called it.
        at: &'static Location<'static>,
    },
    /// A variable or plate of another tape, or of this tape before it was cleared.
    #[error(
        "{what} belongs to another tape, or to this tape before it was cleared ({at}); create it again on this tape"
    )]
    Foreign {
        /// What belongs to another tape.
        what: String,
        /// The line that called it.
        at: &'static Location<'static>,
    },
    /// A recording that a program cannot repeat, since host code read a value on the way.
    #[error(
        "cannot compile: host code read a value, or drew its own samples, at {look}, and the operations recorded \
         afterwards, such as {after} at {after_at}, may depend on it ({at}); record each step afresh, or use draws and \
         methods that are recorded operations"
    )]
    NotRepeatable {
        /// The line where host code read a value.
        look: &'static Location<'static>,
        /// The first operation that was recorded afterwards.
        after: String,
        /// The line that recorded it.
        after_at: &'static Location<'static>,
        /// The line that called `compile`.
        at: &'static Location<'static>,
    },
    /// A result that would exceed the memory limit.
    #[error(
        "{op}{shapes}: the result needs {elements} elements{plates}, which are {bytes} bytes in addition to the {live} \
         bytes on the tape, and the limit is {limit} ({at}); use fewer samples or states, let nodes share a plate of \
         samples, use a method that draws one value, use a smaller batch, or raise the limit with \
         set_memory_limit(bytes)"
    )]
    Memory {
        /// The operation.
        op: String,
        /// The event shapes of its operands, or its own if it has none, in words.
        shapes: String,
        /// The number of elements of the result.
        elements: usize,
        /// The plates of the result with their sizes, in words; empty if there are none.
        plates: String,
        /// The number of bytes of the result.
        bytes: usize,
        /// The number of bytes of the values on the tape.
        live: usize,
        /// The limit.
        limit: usize,
        /// The line that called it.
        at: &'static Location<'static>,
    },
    /// An output of a program that is NaN or infinite, although it was required to be finite.
    #[error(
        "output {output} of a program is {value} at position {position}{}",
        .origin.as_ref().map_or(String::new(), |origin| format!(": {origin}"))
    )]
    NotFinite {
        /// The output.
        output: usize,
        /// NaN, ∞ or −∞.
        value: &'static str,
        /// The first such position, counted through all axes.
        position: usize,
        /// The first operation that produced it.
        origin: Option<Box<Origin>>,
    },
    /// A value that does not meet its requirement in a run of a program; see [`Var::require`](crate::Var::require).
    #[error("{owner}: {name} must be {expected}, got {found} at position {position} ({at}); {hint}")]
    Requirement {
        /// The number of the requirement on the tape that was compiled.
        number: usize,
        /// What the value belongs to.
        owner: &'static str,
        /// The name of the value.
        name: &'static str,
        /// The condition in words.
        expected: &'static str,
        /// The first value for which it does not hold.
        found: f64,
        /// Its position, counted through all axes.
        position: usize,
        /// What to try.
        hint: &'static str,
        /// The line that recorded the value.
        at: &'static Location<'static>,
    },
    /// An error of the communication between the ranks that hold the shards of a plate.
    #[error(transparent)]
    Communication(#[from] CommunicationError),
    /// Any other error, from the tape or from code that records operations on it.
    #[error("{message} ({at})")]
    Other {
        /// What was expected, what it got, and what to try.
        message: String,
        /// The line that called it.
        at: &'static Location<'static>,
    },
}

stochgrad_tensor::message_as_debug!(TapeError);
