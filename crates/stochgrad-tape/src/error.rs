//! What can go wrong on a tape.

use crate::origin::Origin;
use std::panic::Location;
use stochgrad_tensor::Shape;

/// The result of a fallible tape operation.
pub type TapeResult<T> = Result<T, TapeError>;

/// An error recorded by an operation, with the place in the user's source that asked for it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TapeError {
    /// Two operands whose event shapes do not broadcast.
    #[error(
        "{op}: event shapes {left} and {right} do not broadcast{plates} ({at}); reshape one of them, or check which axes are plates"
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
        /// Where it was asked for.
        at: &'static Location<'static>,
    },
    /// An operand that the operation cannot take.
    #[error("{op}: {problem}, the operand has event shape {shape}{plates} ({at})")]
    Operand {
        /// The operation.
        op: String,
        /// What was expected and what came.
        problem: String,
        /// Event shape of the operand.
        shape: Shape,
        /// The plates of the operand, in words; empty if there are none.
        plates: String,
        /// Where it was asked for.
        at: &'static Location<'static>,
    },
    /// A derivative was asked of something that is not one number.
    #[error(
        "{what} needs one number, got event shape {shape}{plates} ({at}); reduce it first, with sum(), mean() or mean_over(plate)"
    )]
    NotScalar {
        /// What was asked for.
        what: &'static str,
        /// The event shape that came.
        shape: Shape,
        /// The plates of the operand, in words.
        plates: String,
        /// Where it was asked for.
        at: &'static Location<'static>,
    },
    /// A variable or plate of another tape, or of this tape before it was cleared.
    #[error("{what} belongs to another tape, or to this tape before it was cleared ({at}); make it anew on this tape")]
    Foreign {
        /// What was passed.
        what: String,
        /// Where it was asked for.
        at: &'static Location<'static>,
    },
    /// A recording that a program cannot repeat.
    #[error(
        "cannot compile: host code looked at a value, or drew samples of its own, at {look}, and what was recorded afterwards, such as \
         {after} at {after_at}, may have been made of it ({at}); record each step afresh, or use draws and methods that are \
         recorded operations"
    )]
    NotRepeatable {
        /// Where host code looked.
        look: &'static Location<'static>,
        /// The first operation that was recorded afterwards.
        after: String,
        /// Where it was recorded.
        after_at: &'static Location<'static>,
        /// Where the program was asked for.
        at: &'static Location<'static>,
    },
    /// A result that has no room in memory.
    #[error(
        "{op}: the result needs {elements} elements{plates}, which are {bytes} bytes beside the {live} that the tape holds, and the limit is {limit} \
         ({at}); use fewer samples or states, let nodes share a plate of samples, take a method that draws one value, make the batch smaller, or \
         raise the limit with set_memory_limit(bytes)"
    )]
    Memory {
        /// The operation.
        op: String,
        /// How many elements the result has.
        elements: usize,
        /// The plates that it lies on, with their sizes, in words; empty if there are none.
        plates: String,
        /// The bytes of the result.
        bytes: usize,
        /// The bytes of the values on the tape.
        live: usize,
        /// The limit.
        limit: usize,
        /// Where it was asked for.
        at: &'static Location<'static>,
    },
    /// An output of a program that must be finite and is not.
    #[error("output {output} of a program is {value} at position {position}{}", .origin.as_ref().map_or(String::new(), |origin| format!(": {origin}")))]
    NotFinite {
        /// The output.
        output: usize,
        /// NaN, ∞ or −∞.
        value: &'static str,
        /// The first position, counted through all axes.
        position: usize,
        /// The first operation that produced it.
        origin: Option<Box<Origin>>,
    },
    /// Something that a layer above the tape found wrong while it recorded operations.
    #[error("{message} ({at})")]
    Other {
        /// What was expected, what came, what to try.
        message: String,
        /// Where it was asked for.
        at: &'static Location<'static>,
    },
}
