//! Groups of operations that are computed in one pass over memory.

use crate::op::{Op, PlateReduction};
use crate::plate::Plates;
use stochgrad_tensor::Shape;
use stochgrad_tensor::reduce::Reduce;

/// Element-wise operations of one shape, and reductions of their rows.
pub(super) struct Group {
    pub(super) members: Vec<usize>,
    pub(super) reductions: Vec<(usize, Reduce)>,
    pub(super) shape: Shape,
    pub(super) plates: Plates,
    pub(super) event_rank: usize,
    /// The number of elements of a row that is reduced, or 0 if none is.
    pub(super) row: usize,
}

impl Group {
    pub(super) fn contains(&self, value: usize) -> bool {
        self.members.binary_search(&value).is_ok()
    }
}

/// The row-wise form of a reduction over the trailing axes.
pub(super) fn row_reduction(op: &Op) -> Option<Reduce> {
    Some(match op {
        Op::Reduce(reduce, _) => *reduce,
        Op::SumOut(..) | Op::PlateReduce(_, PlateReduction::Sum | PlateReduction::Mean) => Reduce::Sum,
        Op::PlateReduce(_, PlateReduction::LogSumExp) => Reduce::LogSumExp,
        _ => return None,
    })
}
