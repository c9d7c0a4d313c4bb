//! Storage of values: tensors, their shapes, and pooled buffers.

mod approximate_equality;
pub(crate) mod buffer;
mod display;
pub(crate) mod memory;
pub(crate) mod pool;
pub(crate) mod shape;
pub(crate) mod tensor;
