//! Parameters, layers, optimisers, data sets and checkpoints for `stochgrad`.
//!
//! - [`Parameters`]: the named tensors of a model, trainable ones and buffers.
//! - [`Record`]: the handle with which a model is recorded. [`Step`]: a model that is recorded and compiled when it is
//!   needed, for training, evaluation and prediction on [`Inputs`].
//! - [`layers`]: layers, which contain names and sizes only, with the trait [`Layer`]; [`Sequential`] applies several.
//!   [`Initialization`] draws their initial values, and [`pytorch`] reads and writes files of PyTorch.
//! - [`Sgd`], [`Adam`], [`AdamW`], [`RmsProp`]: optimisers, with the trait [`UpdateRule`] for other ones, and with a
//!   [`Schedule`] of the learning rate. [`Clip`] limits gradients, and [`Average`] averages the parameters of past
//!   steps.
//! - [`CostDifferences`]: gradients of a whole model from its costs alone.
//! - [`TrainingState`]: saves a training run in one file and resumes it bit for bit. [`Checkpoint`] is the file: named
//!   tensors in the safetensors format. [`write_atomically`] replaces any file as a whole, as checkpoints do.
//! - [`TrainingDevice`]: where the steps of a training run, if not in the engine of this library.
//! - [`data`]: an embedded set of handwritten digits, MNIST files, resumable minibatches, and binarised pixels.
//!
//! This crate contains no gradient methods and no distributions; [`BayesianLinear`] is given a method. The
//! documentation of [`Step`] has a complete example.

pub mod checkpoint;
mod clipping;
mod cost_differences;
mod cost_scale;
pub mod data;
mod error;
mod initialization;
mod inputs;
pub mod layers;
mod mode;
pub mod optimizers;
mod parameters;
pub mod pytorch;
mod record;
mod step;
#[cfg(test)]
mod testing;
mod training_device;
mod training_state;

pub use checkpoint::{Checkpoint, CheckpointTensor, remove_unfinished, write_atomically};
pub use clipping::{Clip, Clipped};
pub use cost_differences::CostDifferences;
pub use error::{NnError, NnResult};
pub use initialization::Initialization;
pub use inputs::Inputs;
pub use layers::{
    Activation, AvgPool1d, AvgPool2d, BatchNorm, BayesianLinear, Conv1d, Conv2d, ConvKernel, ConvTranspose1d,
    ConvTranspose2d, Dropout, Embedding, Flatten, GroupNorm, Gru, GruCell, KeptUnits, Layer, LayerNorm, Linear, Lstm,
    LstmCell, MaxPool1d, MaxPool2d, Mlp, MultiHeadAttention, Residual, Sequential, WeightNoise,
};
pub use mode::Mode;
pub use optimizers::{
    Adam, AdamW, Average, Optimizer, OptimizerState, RmsProp, Schedule, Sgd, UpdateRule, check_gradients,
};
pub use parameters::{NamePattern, Parameters, Scope};
pub use record::Record;
pub use step::{Costs, Outputs, Step};
pub use stochgrad_tensor::convolution::Convolution;
pub use stochgrad_tensor::pooling::Pooling;
pub use training_device::{StepsMade, TrainingDevice, TrainingPrograms};
pub use training_state::TrainingState;
