//! What can go wrong on a tape.

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
        "{what} needs one number, came event shape {shape}{plates} ({at}); reduce it first, with sum(), mean() or mean_over(plate)"
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
    /// Something that a layer above the tape found wrong while it recorded operations.
    #[error("{message} ({at})")]
    Other {
        /// What was expected, what came, what to try.
        message: String,
        /// Where it was asked for.
        at: &'static Location<'static>,
    },
}
