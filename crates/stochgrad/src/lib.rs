//! Stochastic automatic differentiation: gradients of expectations, with a gradient method per random node.
//!
//! A model draws random samples; `stochgrad` records it as a stochastic computation graph and estimates the derivatives of its
//! expected cost. Every stochastic node carries its own gradient method, and swapping that method is one argument.
//!
//! ```
//! use stochgrad::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let method = ScoreFunction::new().samples(8).baseline(LeaveOneOut);
//! let tape = Tape::<f64>::new();
//! let graph = Graph::new(&tape, Seed::new(7));
//! let logits = graph.param("logits", [0.0, 1.0])?;
//! let b = graph.sample("b", &Bernoulli::from_logits(logits), &method)?;
//! graph.cost("loss", (b - 0.499).square().sum())?;
//! let gradients = graph.backward()?;
//! println!("d/dlogits ≈ {:?}, {}", gradients.get("logits")?, gradients.guarantee("logits")?);
//! # assert_eq!(gradients.get("logits")?.shape()[..], [2]);
//! # Ok(())
//! # }
//! ```
//!
//! Each module is a crate of its own, which can be used without the others above it.

#[doc(inline)]
pub use stochgrad_check as check;
#[doc(inline)]
pub use stochgrad_distributions as distributions;
#[doc(inline)]
pub use stochgrad_estimators as estimators;
#[doc(inline)]
pub use stochgrad_graph as graph;
#[doc(inline)]
pub use stochgrad_nn as nn;
#[doc(inline)]
pub use stochgrad_tape as tape;
#[doc(inline)]
pub use stochgrad_tensor as tensor;

pub mod prelude;

/// The code of the book, as tests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../../docs/plates.md")]
    mod plates {}
}
