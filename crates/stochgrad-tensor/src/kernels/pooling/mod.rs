//! Reductions over windows of images with channels last.

mod geometry;
mod maximum;
mod sum;
mod windows;

pub use geometry::Pooling;
pub use maximum::{max_pool, max_pool_positions};
pub use sum::{sum_pool, sum_pool_adjoint};
