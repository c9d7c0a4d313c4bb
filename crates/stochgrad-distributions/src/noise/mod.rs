//! Where randomness comes from.
//!
//! A draw does not ask for the next random value of a sequence. It asks a [`NoiseSource`] for the noise at an address:
//! the name of the node, the purpose, and the member of the plates. A new node therefore changes the noise of no other
//! node, a counterfactual replay gets the noise of the primal run, and the exact oracle can give every possible outcome
//! in turn.

mod draw;
mod folded;
mod key;
mod keyed;
mod quantile;
mod scheme;
mod scheme_uniform;
mod source;

pub use draw::Draw;
pub(crate) use folded::FoldedNoise;
pub use key::NoiseKey;
pub use keyed::KeyedNoise;
pub use quantile::quantile;
pub use scheme_uniform::SchemeUniform;
pub use source::NoiseSource;
