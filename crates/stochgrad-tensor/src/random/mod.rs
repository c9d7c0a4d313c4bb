//! Counter-based noise: element `i` of a fill depends only on the key and on `i`.
//!
//! A [`Key`] is a ChaCha8 key. Its stream is word for word that of [`rand_chacha::ChaCha8Rng`], with random access.

mod address;
mod chacha;
mod fill;
mod key;

pub use address::address_hash;
pub use fill::{normal, uniform};
pub use key::Key;
