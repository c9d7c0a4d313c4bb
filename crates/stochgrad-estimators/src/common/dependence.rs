//! Whether derivatives flow from a value to a trainable parameter.

pub(crate) use stochgrad_graph::is_differentiable;
