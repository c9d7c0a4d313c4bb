//! Layers: functions of their input and of named parameters.
//!
//! A layer adds its parameters once, keeps their names and sizes, and computes with whatever values they have when it
//! is applied to a graph.

mod activation;
mod linear;
mod mlp;

pub use activation::Activation;
pub use linear::Linear;
pub use mlp::Mlp;
