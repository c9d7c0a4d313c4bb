//! Errors of tensors.

use crate::storage::shape::Shape;

/// An error from building or reading a tensor.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The number of elements is not that of the shape.
    #[error(
        "expected {expected} element(s) for shape {shape}, got {found}; pass a shape with {found} element(s) in total"
    )]
    ShapeMismatch {
        /// The requested shape.
        shape: Shape,
        /// The number of elements of that shape.
        expected: usize,
        /// The number of elements that were passed.
        found: usize,
    },
    /// The tensor would take more memory than allowed.
    #[error(
        "expected a tensor of at most {limit} bytes, got shape {shape}, which takes {bytes} bytes; use smaller sizes"
    )]
    TooLarge {
        /// The requested shape.
        shape: Shape,
        /// The number of bytes of that shape, or the largest one if there are more.
        bytes: usize,
        /// The largest number of bytes allowed.
        limit: usize,
    },
    /// The tensor does not have exactly one element.
    #[error("expected a tensor with exactly one element, got shape {shape}; reduce it first, or read it with `to_vec`")]
    NotScalar {
        /// The shape of the tensor.
        shape: Shape,
    },
    /// The rows of a nested list differ in length.
    #[error(
        "expected {expected} element(s) in every row, as in row 0, got {found} in row {row}; make all rows equally long"
    )]
    Ragged {
        /// The first row with another length.
        row: usize,
        /// The length of row 0.
        expected: usize,
        /// The length of that row.
        found: usize,
    },
    /// The tensor has another number of axes than an array of a fixed number of axes.
    #[cfg(feature = "ndarray")]
    #[error(
        "expected a tensor with {expected} axes, got shape {shape}; reshape it, or convert it to an array with any \
         number of axes"
    )]
    RankMismatch {
        /// The number of axes of the array.
        expected: usize,
        /// The shape of the tensor.
        shape: Shape,
    },
}

crate::message_as_debug!(TensorError);

/// The result of a fallible tensor operation.
pub type TensorResult<T> = Result<T, TensorError>;
