//! The steps of a loop.

/// The number of steps of a loop, and whether compiled graphs keep or recompute what happens in them.
///
/// A number is enough where the values of all steps may be kept for the backward pass:
///
/// ```
/// use stochgrad_graph::Steps;
///
/// assert_eq!(Steps::from(100), Steps::new(100));
/// assert_ne!(Steps::new(100), Steps::new(100).recomputed());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Steps {
    pub(crate) count: usize,
    pub(crate) recomputed: bool,
}

impl Steps {
    /// A number of steps, whose values are kept for the backward pass.
    pub fn new(count: usize) -> Self {
        Steps { count, recomputed: false }
    }

    /// Compiled graphs compute the inner values of each step again in the backward pass. The results are the same bit
    /// for bit. Memory grows with the number of steps only by what they carry, return and cost, and by their nodes'
    /// log-probabilities; the time grows by one more forward pass. Inside a loop that is recomputed itself, this has no
    /// effect.
    pub fn recomputed(self) -> Self {
        Steps { recomputed: true, ..self }
    }
}

impl From<usize> for Steps {
    fn from(count: usize) -> Self {
        Steps::new(count)
    }
}
