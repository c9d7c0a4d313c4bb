//! What the values of a tape take.

/// Tapes that hold less than this do not ask for the memory of the machine.
pub(crate) const SMALL: usize = 1 << 26;

/// What the values of a tape take, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// The buffers of the recorded values.
    pub(crate) live: usize,
    /// Up to here nothing need be looked up.
    pub(crate) unchecked: usize,
    /// What was set; the memory of the machine if nothing was.
    pub(crate) limit: Option<usize>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Memory { live: 0, unchecked: SMALL, limit: None }
    }
}
