//! The forward and backward pass of net a, written by hand. It bounds the speed that the engine can reach.
//!
//! It uses no tape and no graph, but a fixed sequence of matrix products and fused loops over buffers that are
//! allocated once. It computes what `stochgrad` computes for the same step, except for the update by Adam: it draws the
//! noise, and returns the loss and all gradients.

mod dense;
mod elementwise;
mod product;
mod program;

pub use program::{Estimator, Program};
