//! The address of some noise.

use stochgrad_tensor::random::address_hash;

/// The address of some noise: a node, and what the noise is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoiseKey {
    address: u128,
}

impl NoiseKey {
    /// The noise of a node: its name, and its index if several nodes share the name.
    pub fn new(name: &str, index: Option<u64>) -> Self {
        NoiseKey { address: address_hash(name, index.as_slice()) }
    }

    /// Independent noise of the same node for another purpose.
    pub fn purpose(self, purpose: &str) -> Self {
        NoiseKey { address: address_hash(purpose, &[self.address as u64, (self.address >> 64) as u64]) }
    }

    /// The address as a number.
    pub fn address(self) -> u128 {
        self.address
    }
}
