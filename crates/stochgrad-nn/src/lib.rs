//! Parameters, layers, optimisers, data sets and checkpoints for `stochgrad`.
//!
//! - [`data`]: an embedded set of handwritten digits, MNIST files, resumable minibatches, Bernoulli pixels.
//! - [`checkpoint`]: named tensors in a safetensors file that is written atomically.
//!
//! ```
//! use stochgrad_nn::data::{Digits, Minibatches, rows};
//!
//! let (train, test) = Digits::embedded().split_at(1500)?;
//! let pixels = train.intensities::<f32>()?;
//! let minibatches = Minibatches::new(train.len(), 50, 7)?;
//! for batch in &minibatches.epoch(0) {
//!     assert_eq!(rows(&pixels, batch)?.shape()[..], [50, 64]);
//! }
//! assert_eq!(test.len(), 297);
//! # Ok::<(), stochgrad_nn::NnError>(())
//! ```

pub mod checkpoint;
pub mod data;
mod error;

pub use checkpoint::{Checkpoint, CheckpointTensor};
pub use error::{NnError, NnResult};
