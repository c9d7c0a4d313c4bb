//! Convolutions of images with channels last.
//!
//! The results of a convolution are products of *patches*, the elements that a result reads, with the weights. Patches
//! are gathered in blocks that stay in the second-level cache, and each block is multiplied by the kernels for matrix
//! products. The patches of all results are never in memory at once.
//!
//! The adjoint with respect to the input, which is the transposed convolution, is split into phases: the results whose
//! positions leave the same remainder when they are divided by the stride. In each phase it is a convolution of stride
//! 1 with some of the taps, so that nothing is added up in memory. If the result has few channels, the products of all
//! taps are computed first and added up in the cache.
//!
//! If a result reads few elements, as for images with one channel, they are not gathered but read where they are.
//!
//! The sizes of blocks do not depend on the number of threads, and neither do the orders of all sums.

mod adjoint;
mod blocks;
mod forward;
mod geometry;
mod narrow;
mod patches;
mod phases;
mod problem;
mod runs;
#[cfg(test)]
mod tests;
mod weights;

pub use adjoint::convolve_adjoint;
pub use forward::convolve;
pub use geometry::Convolution;
pub use weights::convolve_weights;
