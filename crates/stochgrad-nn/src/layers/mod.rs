//! Layers: functions of their input and of named parameters.
//!
//! The constructor of a layer adds its parameters and keeps their names and sizes. `forward` uses the values that the
//! parameters have at that time.

mod activation;
mod linear;
mod mlp;

pub use activation::Activation;
pub use linear::Linear;
pub use mlp::Mlp;
