//! Tapes for training loops.

use crate::tape::Tape;
use stochgrad_tensor::Real;

/// A tape that is cleared for each step of a training loop, and whose buffers are reused.
///
/// ```
/// use stochgrad_tape::Workspace;
///
/// let mut workspace = Workspace::<f32>::new();
/// for step in 0..3 {
///     let tape = workspace.tape();
///     let x = tape.parameter(step as f64);
///     assert_eq!(tape.len(), 1);
///     let _ = x.exp();
/// }
/// ```
#[derive(Debug, Default)]
pub struct Workspace<F: Real> {
    tape: Tape<F>,
}

impl<F: Real> Workspace<F> {
    /// A workspace whose kernels run on the calling thread.
    pub fn new() -> Self {
        Self::default()
    }

    /// A workspace whose kernels may use several threads.
    pub fn with_threads(threads: usize) -> Self {
        Workspace { tape: Tape::with_threads(threads) }
    }

    /// Sets the number of bytes that the values of a recording may take; see [`Tape::set_memory_limit`].
    pub fn set_memory_limit(&mut self, bytes: usize) {
        self.tape.set_memory_limit(bytes);
    }

    /// Clears the tape, and returns it.
    pub fn tape(&mut self) -> &Tape<F> {
        self.tape.clear();
        &self.tape
    }
}
