//! A chain: element-wise functions and row reductions that run in one pass over memory.

use std::ops::Range;

use crate::kernels::fold::BLOCK;
use crate::kernels::fused::access::Access;
use crate::kernels::fused::step::{RowReduction, Step};
use crate::kernels::fused::view::View;
use crate::kernels::map::Map;
use crate::parallel::{ARITHMETIC, TRANSCENDENTAL};
use crate::real::Real;
use crate::storage::shape::Shape;

/// Element-wise functions of operands that broadcast to one shape, and reductions of rows.
#[derive(Clone, Debug)]
pub struct Chain<F> {
    pub(super) len: usize,
    /// The length of a row, or 0 if no rows are reduced.
    pub(super) row: usize,
    /// The length of a block, for rows that are not longer than [`BLOCK`](super::BLOCK).
    pub(super) block: usize,
    pub(super) inputs: Vec<Access>,
    pub(super) steps: Vec<Step<F>>,
    pub(super) reductions: Vec<RowReduction<F>>,
    pub(super) registers: usize,
    /// Whether a step is a mask that is 0 in most blocks.
    pub(super) masks: bool,
    pub(super) threshold: usize,
}

impl<F: Real> Chain<F> {
    /// A chain over `shape`.
    ///
    /// On each axis an operand has the size of `shape` or 1. Steps refer to an operand by the index of its first input.
    /// If there are reductions, `row` is the number of elements of a row, which must be a product of trailing sizes.
    /// `registers` is the number of registers that the steps use.
    ///
    /// # Panics
    /// If the shape is empty, an operand does not broadcast to it, or a reduction whose parts cannot be joined (see
    /// [`Reduce::joins`](crate::kernels::reduce::Reduce::joins)) has rows longer than [`BLOCK`](super::BLOCK).
    pub fn new(
        shape: &Shape,
        operands: &[View],
        steps: Vec<Step<F>>,
        reductions: Vec<RowReduction<F>>,
        row: usize,
        mut registers: usize,
    ) -> Self {
        let len = shape.numel();
        assert!(len > 0, "expected a nonempty shape for a chain, got {shape}");
        let inner = shape.last().copied().unwrap_or(1);
        let row = if reductions.is_empty() { 0 } else { row };
        assert!(row == 0 || len.is_multiple_of(row), "rows of {row} elements do not divide shape {shape} of a chain");
        assert!(
            row <= BLOCK || reductions.iter().all(|reduction| reduction.op.joins()),
            "rows of {row} elements cannot be reduced in pieces"
        );
        let unit = if row > 0 { row } else { inner };
        let block = if unit <= BLOCK { BLOCK / unit * unit } else { BLOCK };
        let mut inputs = Vec::with_capacity(operands.len());
        for view in operands {
            let access = Access::new(shape, view, row, block, registers as u16);
            registers += usize::from(matches!(access, Access::Copied { .. } | Access::Stacked { .. }));
            inputs.push(access);
            inputs.extend(std::iter::repeat_n(Access::Part, view.inputs() - 1));
        }
        let costly = steps.iter().any(|step| match step {
            Step::Map { op, .. } => op.is_transcendental(),
            Step::Zip { op, .. } => op.is_transcendental(),
            Step::Pair { .. } | Step::Select { .. } => false,
            Step::Noise { .. } => true,
        });
        let masks = steps.iter().any(|step| matches!(step, Step::Map { op: Map::Outside(..), .. }));
        let pairs = steps.iter().filter(|step| matches!(step, Step::Pair { .. })).count();
        let weight = (steps.len() + pairs).clamp(1, 4);
        let threshold = if costly { TRANSCENDENTAL } else { ARITHMETIC } / weight;
        Chain { len, row, block, inputs, steps, reductions, registers, masks, threshold }
    }

    /// The number of passes over a block.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The number of elements of each result of a reduction.
    pub fn rows(&self) -> usize {
        self.len.checked_div(self.row).unwrap_or(0)
    }

    /// The number of partial results that a run needs for each reduction; 0 if a row fits into a block.
    pub fn partials(&self) -> usize {
        if self.row > BLOCK { self.blocks() } else { 0 }
    }

    #[inline]
    pub(super) fn blocks(&self) -> usize {
        if self.row > BLOCK { self.len / self.row * self.row.div_ceil(BLOCK) } else { self.len.div_ceil(self.block) }
    }

    /// The range of elements of a block.
    #[inline]
    pub(super) fn span(&self, block: usize) -> Range<usize> {
        if self.row > BLOCK {
            let pieces = self.row.div_ceil(BLOCK);
            let (row, piece) = (block / pieces, block % pieces);
            let start = row * self.row + piece * BLOCK;
            start..(start + BLOCK).min((row + 1) * self.row)
        } else {
            let start = block * self.block;
            start..(start + self.block).min(self.len)
        }
    }

    /// The number of results of one reduction that are written by the blocks before this one.
    #[inline]
    pub(super) fn reduced_before(&self, block: usize) -> usize {
        match self.row {
            0 => 0,
            row if row > BLOCK => block,
            row => (block * self.block).min(self.len) / row,
        }
    }
}
