//! Positions on a tape.

use smallvec::SmallVec;
use std::panic::Location;

/// The position of a value on its tape.
///
/// A position is used again after [`Tape::truncate`](crate::Tape::truncate). The stamp tells the values apart that had
/// the position one after the other, and those of different tapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    pub(crate) position: u32,
    pub(crate) stamp: u32,
}

impl Id {
    /// The result of an operation that failed. Operations on it return it again, without another error.
    pub(crate) const POISON: Id = Id { position: u32::MAX, stamp: 0 };

    /// The position as an index.
    pub fn index(self) -> usize {
        self.position as usize
    }
}

pub(crate) type Inputs = SmallVec<[Id; 3]>;

/// A value that host code read. Operations that are recorded afterwards may depend on it.
#[derive(Clone, Copy, Debug)]
pub struct HostRead {
    /// The value that was read.
    pub id: Id,
    /// The number of nodes on the tape at that time. Nodes from there on may depend on the value.
    pub recorded_before: usize,
    /// The line that read it.
    pub location: &'static Location<'static>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_takes_eight_bytes() {
        assert_eq!(size_of::<Id>(), 8);
    }
}
