//! Functions from tensors to tensors: maps, binary functions with broadcasting, reductions, matrix products and moves
//! of elements.
//!
//! Every kernel gives the same bits on any number of threads.

pub(crate) mod broadcast;
pub mod convolution;
pub mod descent;
pub(crate) mod elementary;
pub mod elementwise;
pub(crate) mod fold;
pub mod fused;
pub(crate) mod gamma_paths;
pub mod layout;
pub mod linalg;
pub(crate) mod log1mexp;
pub mod map;
pub mod matmul;
pub mod pair;
pub mod pooling;
pub mod reduce;
pub mod sort;
pub(crate) mod truncated_quantiles;
pub(crate) mod von_mises_paths;
pub mod zip;
