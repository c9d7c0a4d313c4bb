//! Parameters, layers, optimisers, data sets and checkpoints for `stochgrad`.
//!
//! - [`Parameters`]: the named tensors of a model, trainable ones and buffers. [`Parameters::on`] puts them on a graph.
//! - [`Linear`], [`Mlp`], [`Activation`], [`Initialization`]: layers, which contain names and sizes only.
//! - [`Sgd`], [`Adam`]: optimisers, with the trait [`Optimizer`] for other ones, which can keep their memory in
//!   [`Slots`]. [`clip_by_global_norm`] and [`clip_by_value`] limit gradients.
//! - [`TrainingState`]: saves a training run in one file and resumes it bit for bit. [`Checkpoint`] is the file: named
//!   tensors in the safetensors format, written atomically.
//! - [`data`]: an embedded set of handwritten digits, MNIST files, resumable minibatches, and binarised pixels.
//!
//! This crate contains no gradient methods and no distributions.
//!
//! ```
//! use stochgrad_graph::{Graph, Seed};
//! use stochgrad_nn::data::{Digits, Minibatches, rows};
//! use stochgrad_nn::{Activation, Adam, Mlp, Optimizer, Parameters, clip_by_global_norm};
//! use stochgrad_tape::Workspace;
//!
//! let (train, test) = Digits::embedded().split_at(1500)?;
//! assert_eq!(test.len(), 297);
//! let pixels = train.intensities::<f32>()?;
//! let minibatches = Minibatches::new(train.len(), 50, 7)?;
//!
//! let seed = Seed::new(7);
//! let mut parameters = Parameters::new();
//! let encoder = Mlp::new(&mut parameters, "encoder", &[64, 32, 8], Activation::LeakyRelu(0.1), seed)?;
//! let decoder = Mlp::new(&mut parameters, "decoder", &[8, 32, 64], Activation::LeakyRelu(0.1), seed)?;
//! let mut adam = Adam::new(1e-2);
//!
//! let mut workspace = Workspace::new();
//! let mut losses = Vec::new();
//! for (step, batch) in minibatches.steps_from(0).take(30).enumerate() {
//!     let graph = Graph::new(workspace.tape(), seed.step(step));
//!     let model = parameters.on(&graph);
//!     let x = graph.data("batch", rows(&pixels, &batch)?)?;
//!     let code = encoder.forward(&model, x)?;
//!     let error = decoder.forward(&model, code)? - x;
//!     graph.cost("squared error", error.square().sum())?;
//!     let mut gradients = graph.backward()?;
//!     clip_by_global_norm(&mut gradients, 10.0)?;
//!     adam.step(&mut parameters, &gradients)?;
//!     losses.push(gradients.total());
//! }
//! assert!(losses[losses.len() - 1] < 0.5 * losses[0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod checkpoint;
mod clipping;
pub mod data;
mod error;
mod initialization;
pub mod layers;
pub mod optimizers;
mod parameters;
#[cfg(test)]
mod testing;
mod training_state;

pub use checkpoint::{Checkpoint, CheckpointTensor};
pub use clipping::{clip_by_global_norm, clip_by_value};
pub use error::{NnError, NnResult};
pub use initialization::Initialization;
pub use layers::{Activation, Linear, Mlp};
pub use optimizers::{Adam, Optimizer, OptimizerState, Sgd, Slots, check_gradients};
pub use parameters::{Bound, Parameters, Scope};
pub use training_state::TrainingState;
