//! Dense tensors, pooled buffers, numerical kernels and keyed random fills.
//!
//! This is the lowest crate of `stochgrad`. It computes values and contains no derivatives (see `stochgrad-tape`), no
//! probability distributions (see `stochgrad-distributions`), and no plates or nodes. Its random module fills buffers
//! with uniform values and standard normal samples only.
//!
//! # Main types
//!
//! - [`Real`]: the element types, `f32` and `f64`. The trait is sealed.
//! - [`Shape`] and [`Tensor`]: a dense row-major array behind a shared buffer. A clone only increments a reference
//!   count.
//! - [`Pool`]: recycles buffers, so that a loop with fixed shapes allocates only during its first pass.
//! - Kernels, free functions grouped by kind: [`map`] (one operand), [`zip`] (two operands, with broadcasting),
//!   [`reduce`], [`matmul`], [`linalg`], [`layout`] (transpose, slice, gather …).
//! - [`fused::Chain`]: a sequence of element-wise functions, evaluated block by block. [`pair`] evaluates two of them
//!   in one pass.
//! - [`random::Key`]: counter-based noise. Element `i` of a fill depends only on the key and on `i`.
//! - [`sampling_scheme::SamplingScheme`]: how several members share and order their noise, with the points of
//!   [`sobol`].
//! - [`descent`]: steps of optimisers.
//! - [`special`]: scalar special functions.
//! - [`message_as_debug!`]: errors whose debug output is their message, as a failed program prints it.
//! - [`instantiated!`]: generic functions that the programs that call them do not compile again.
//!
//! Every kernel gives the same bits on any number of threads. Kernels assert their preconditions, which the `# Panics`
//! section lists. Check the shapes of a user's input before calling them, for example with [`Shape::broadcast`].
//!
//! Tensors implement the traits of the `approx` crate, so that tests can write `assert_relative_eq!(a, b)`.
//!
//! With the feature `ndarray`, tensors are views of the crate of this name ([`Tensor`] lists the conversions), and with
//! the feature `serde`, tensors and shapes are serialized.
//!
//! # Example
//!
//! ```
//! use stochgrad_tensor::map::{map, Map};
//! use stochgrad_tensor::matmul::matmul;
//! use stochgrad_tensor::reduce::{reduce, Reduce};
//! use stochgrad_tensor::{Pool, Tensor};
//!
//! let pool = Pool::new();
//! let weights = Tensor::from([[1.0, -1.0], [0.5, 2.0]]);
//! let inputs = Tensor::from([[2.0, 4.0]]);
//! let hidden = map(&pool, Map::Relu, &matmul(&pool, &inputs, false, &weights, false));
//! assert_eq!(hidden, Tensor::from([[4.0, 6.0]]));
//! assert_eq!(reduce(&pool, Reduce::Sum, &hidden, &[1], false).to_vec(), [10.0]);
//! # Ok::<(), stochgrad_tensor::TensorError>(())
//! ```

mod error;
mod error_message;
mod instantiated;
mod kernels;
mod parallel;
pub mod random;
mod real;
mod sampling;
mod simd;
pub mod special;
mod storage;
#[cfg(test)]
mod testing;

pub use error::{TensorError, TensorResult};
pub use error_message::write_message;
pub use kernels::gamma_paths::gamma_log_sample_derivatives;
pub use kernels::log1mexp::log1mexp;
pub use kernels::truncated_quantiles::truncated_normal_quantiles;
pub use kernels::von_mises_paths::von_mises_sample_derivatives;
pub use kernels::{
    convolution, descent, elementwise, fused, layout, linalg, map, matmul, pair, pooling, reduce, sort, zip,
};
pub use real::Real;
pub use sampling::{sampling_scheme, sobol};
pub use storage::memory::{ASSUMED_MEMORY, machine_memory};
pub use storage::pool::{Pool, PoolStatistics};
pub use storage::shape::Shape;
pub use storage::tensor::Tensor;
