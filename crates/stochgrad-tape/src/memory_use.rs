//! The memory that the values of a tape take.

/// Below this number of bytes, a tape does not read the memory of the machine.
pub(crate) const SMALL: usize = 1 << 26;

/// The memory that the values of a tape take, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// The buffers of the recorded values.
    pub(crate) live: usize,
    /// Up to this number of bytes, no limit has to be looked up.
    pub(crate) unchecked: usize,
    /// The limit that was set, or the memory of the machine.
    pub(crate) limit: Option<usize>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Memory { live: 0, unchecked: SMALL, limit: None }
    }
}
