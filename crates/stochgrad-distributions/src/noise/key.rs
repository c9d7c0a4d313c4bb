//! Addresses of noise.

use stochgrad_tensor::random::address_hash;

/// The address of noise: a node and the purpose of the noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoiseKey {
    address: u128,
}

impl NoiseKey {
    /// The address of the noise of a node, given by its name, and by its index if several nodes share the name.
    pub fn new(name: &str, index: Option<u64>) -> Self {
        NoiseKey { address: address_hash(name, index.as_slice()) }
    }

    /// The address of independent noise of the same node for another purpose.
    pub fn purpose(self, purpose: &str) -> Self {
        NoiseKey { address: address_hash(purpose, &[self.address as u64, (self.address >> 64) as u64]) }
    }

    /// The address as a number.
    pub fn address(self) -> u128 {
        self.address
    }
}
