//! Counter-based noise: element `i` of a fill depends only on the key and on `i`.
//!
//! A [`Key`] is a ChaCha8 key. Its stream is word for word that of [`rand_chacha::ChaCha8Rng`], with random access.

mod address;
pub mod attempts;
mod chacha;
mod fill;
mod key;
pub(crate) mod kind;

pub use address::address_hash;
pub use fill::{ROW, box_muller, in_pieces, noise};
pub use key::Key;
pub use kind::{Fill, unfold};
