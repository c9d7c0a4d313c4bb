//! Values that host code has read.

use crate::id::{HostRead, Id};
use crate::tape::Tape;
use std::panic::Location;
use stochgrad_tensor::Real;

impl<F: Real> Tape<F> {
    pub(crate) fn note_peek(&self, id: Id, location: &'static Location<'static>) {
        let inner = &mut *self.inner.borrow_mut();
        let recorded_before = inner.nodes.len();
        let location = inner.located.unwrap_or(location);
        let again = inner.peeks.last().is_some_and(|last| last.id == id && last.recorded_before == recorded_before);
        if !again {
            inner.peeks.push(HostRead { id, recorded_before, location });
        }
    }

    /// Declares that the operations recorded from now on depend on something that host code changes from run to run,
    /// such as its own noise. A program cannot repeat them, so [`compile`](Tape::compile) returns an error.
    #[track_caller]
    pub fn note_host_work(&self) {
        self.note_peek(Id::POISON, Location::caller());
    }

    /// The values that host code has read so far with [`Var::value`](crate::Var::value) or
    /// [`Var::item`](crate::Var::item).
    pub fn host_reads(&self) -> Vec<HostRead> {
        self.inner.borrow().branches.clone()
    }
}
