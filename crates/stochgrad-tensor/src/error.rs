use crate::storage::shape::Shape;

/// What can go wrong when a tensor is built or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The number of elements does not fit the shape.
    #[error("shape {shape} needs {expected} element(s), got {found}; pass a shape whose product is {found}")]
    ShapeMismatch {
        /// The shape that was asked for.
        shape: Shape,
        /// How many elements it needs.
        expected: usize,
        /// How many elements came.
        found: usize,
    },
    /// A single number was asked of a tensor that does not hold exactly one.
    #[error(
        "expected a tensor with exactly one element, but its shape is {shape}; reduce it first, or read it with `to_vec`"
    )]
    NotScalar {
        /// The tensor's shape.
        shape: Shape,
    },
    /// The rows of a nested list differ in length.
    #[error("every row must be as long as row 0, which has {expected} element(s), but row {row} has {found}")]
    Ragged {
        /// The first row of another length.
        row: usize,
        /// The length of row 0.
        expected: usize,
        /// The length of that row.
        found: usize,
    },
}

/// The result of a fallible tensor operation.
pub type TensorResult<T> = Result<T, TensorError>;
