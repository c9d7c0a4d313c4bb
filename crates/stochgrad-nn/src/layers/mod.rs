//! Layers: functions of their input and of named parameters.
//!
//! The constructor of a layer adds its parameters and keeps their names and sizes. [`Layer::forward`] uses the values
//! that the parameters have at that time.
//!
//! | layers | purpose |
//! |---|---|
//! | [`Linear`], [`Mlp`], [`Embedding`] | affine maps, several with an activation between them, and rows of a table |
//! | [`BayesianLinear`] | an affine map with normal distributions in place of weights |
//! | [`Conv1d`], [`Conv2d`], [`ConvTranspose1d`], [`ConvTranspose2d`] | convolutions of signals and images |
//! | [`MaxPool1d`], [`MaxPool2d`], [`AvgPool1d`], [`AvgPool2d`], [`Flatten`] | windows, and all axes in one |
//! | [`Gru`], [`Lstm`] and their cells, [`MultiHeadAttention`] | sequences |
//! | [`LayerNorm`], [`GroupNorm`], [`BatchNorm`], [`Dropout`] | normalisation and regularisation |
//! | [`Activation`], [`KeptUnits`], [`Sequential`], [`Residual`] | functions of each element, and layers of layers |
//!
//! The last event axis has the channels, features or inputs. Images have the event axes `[.., height, width,
//! channels]`, and sequences `[.., steps, features]`. Layers apply to each member of any plates by itself, except for
//! [`BatchNorm`].
//!
//! A layer of your own implements [`Layer`]. The [`Record`](crate::Record) that it gets says whether the model is
//! recorded for training, and keeps state from step to step in buffers
//! ([`Record::set_buffer`](crate::Record::set_buffer)).

mod activation;
mod attention;
mod bayesian_linear;
#[cfg(test)]
mod check;
mod convolution;
mod dropout;
mod embedding;
mod input;
mod kept_fraction;
mod kept_units;
mod layer;
mod linear;
mod mlp;
mod norm;
mod recurrent;
mod residual;
mod sequential;

pub use activation::Activation;
pub use attention::MultiHeadAttention;
pub use bayesian_linear::{BayesianLinear, WeightNoise};
pub use convolution::{
    AvgPool, AvgPool1d, AvgPool2d, Conv, Conv1d, Conv2d, ConvKernel, ConvTranspose, ConvTranspose1d, ConvTranspose2d,
    Flatten, MaxPool, MaxPool1d, MaxPool2d,
};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use kept_units::KeptUnits;
pub use layer::Layer;
pub use linear::Linear;
pub use mlp::Mlp;
pub use norm::{BatchNorm, GroupNorm, LayerNorm, NormSizes};
pub use recurrent::{Gru, GruCell, Lstm, LstmCell};
pub use residual::Residual;
pub use sequential::{Sequential, SequentialBuilder};
