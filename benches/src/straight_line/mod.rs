//! Net a's forward and backward pass, written by hand: the bound that the engine is held against.
//!
//! No tape and no graph: a fixed sequence of matrix products and fused loops over buffers that are allocated once. What
//! is computed is what `stochgrad` computes for the same step, Adam left out: noise is drawn, and the loss and all
//! gradients come out.

mod dense;
mod elementwise;
mod product;
mod program;

pub use program::{Estimator, Program};
