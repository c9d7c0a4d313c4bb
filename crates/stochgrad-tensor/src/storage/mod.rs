//! Storage of values: tensors, their shapes, and pooled buffers.

mod approximate_equality;
pub(crate) mod buffer;
mod display;
pub(crate) mod memory;
#[cfg(feature = "ndarray")]
mod ndarray_conversions;
pub(crate) mod pool;
#[cfg(feature = "serde")]
mod serialization;
pub(crate) mod shape;
pub(crate) mod tensor;
