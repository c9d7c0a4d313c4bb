//! Functions from tensors to tensors: maps, binary functions with broadcasting, reductions, matrix products and moves
//! of elements.
//!
//! Every kernel gives the same bits on any number of threads.

pub(crate) mod broadcast;
pub mod descent;
pub(crate) mod elementary;
pub mod elementwise;
pub(crate) mod fold;
pub mod fused;
pub mod layout;
pub mod linalg;
pub mod map;
pub mod matmul;
pub mod pair;
pub mod reduce;
pub(crate) mod truncated_quantiles;
pub mod zip;
