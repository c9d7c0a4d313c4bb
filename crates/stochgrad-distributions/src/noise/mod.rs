//! Where randomness comes from: keyed, addressed, and replaceable.
//!
//! A draw never asks "the next random number". It asks a [`NoiseSource`] for the number that belongs to an address (the
//! name of the node and the purpose) and a member. Adding a node changes no other's noise, a counterfactual replay sees
//! the noise of the primal run, and an exact oracle can hand out every possible outcome in turn.

mod draw;
mod key;
mod keyed;
mod quantile;
mod scheme;
mod scheme_uniform;
mod source;

pub use draw::Draw;
pub use key::NoiseKey;
pub use keyed::KeyedNoise;
pub use quantile::quantile;
pub use scheme_uniform::SchemeUniform;
pub use source::NoiseSource;
