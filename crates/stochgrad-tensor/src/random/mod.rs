//! Counter-based random numbers: element `i` of a fill depends on the key and on `i`, on nothing else.
//!
//! A [`Key`] is a ChaCha8 key. Its stream is that of [`rand_chacha::ChaCha8Rng`], word for word, with random access.

mod address;
mod chacha;
mod fill;
mod key;

pub use address::address_hash;
pub use fill::{normal, uniform};
pub use key::Key;
