//! What a tape holds besides operations.

use crate::tape::Tape;
use stochgrad_tensor::Real;

/// The numbers of plates, of stochastic sites, of values that host code has read, and of requirements. If they are equal before and after
/// some recording outside of stochastic nodes, then the recording consists of operations only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SideRecords {
    /// The number of plates.
    pub plates: usize,
    /// The number of stochastic sites.
    pub sites: usize,
    /// The number of reads on which host code may have branched.
    pub branches: usize,
    /// The number of other reads, and of notes of host work.
    pub reads: usize,
    /// The number of requirements.
    pub requirements: usize,
}

impl<F: Real> Tape<F> {
    /// What the tape holds besides operations.
    pub fn side_records(&self) -> SideRecords {
        let inner = self.inner.borrow();
        SideRecords {
            plates: inner.plates.len(),
            sites: inner.sites as usize,
            branches: inner.branches.len(),
            reads: inner.peeks.len(),
            requirements: inner.requirements.len(),
        }
    }
}
