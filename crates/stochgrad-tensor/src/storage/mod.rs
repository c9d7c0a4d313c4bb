//! What holds values: tensors, their shapes, and buffers that are reused.

mod approximate_equality;
pub(crate) mod buffer;
mod display;
pub(crate) mod pool;
pub(crate) mod shape;
pub(crate) mod tensor;
