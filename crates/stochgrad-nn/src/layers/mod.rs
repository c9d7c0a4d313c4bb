//! Layers: functions of their input and of named parameters.
//!
//! The constructor of a layer adds its parameters and keeps their names and sizes. [`Layer::forward`] uses the values
//! that the parameters have at that time.

mod activation;
mod layer;
mod linear;
mod mlp;

pub use activation::Activation;
pub use layer::Layer;
pub use linear::Linear;
pub use mlp::Mlp;
