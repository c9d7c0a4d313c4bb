//! What holds values: tensors, their shapes, and buffers that are reused.

pub(crate) mod buffer;
mod display;
pub(crate) mod pool;
pub(crate) mod shape;
pub(crate) mod tensor;
