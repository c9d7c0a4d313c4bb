//! Positions on a tape.

use smallvec::SmallVec;
use std::panic::Location;

/// The position of a value on its tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub(crate) u32);

impl Id {
    /// The result of an operation that failed: everything computed from it fails quietly.
    pub(crate) const POISON: Id = Id(u32::MAX);

    /// The position as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

pub(crate) type Inputs = SmallVec<[Id; 3]>;

/// A value that host code looked at, which makes what is recorded afterwards depend on it.
#[derive(Clone, Copy, Debug)]
pub struct HostRead {
    /// The value that was read.
    pub id: Id,
    /// How many nodes the tape had at that time: everything from there on may depend on the value.
    pub recorded_before: usize,
    /// The line that read it.
    pub location: &'static Location<'static>,
}
