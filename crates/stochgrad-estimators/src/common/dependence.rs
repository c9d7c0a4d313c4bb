//! Whether derivatives flow from a value to a trainable parameter.

pub use stochgrad_graph::is_differentiable;
