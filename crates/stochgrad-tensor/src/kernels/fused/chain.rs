use std::ops::Range;

use crate::kernels::fold::BLOCK;
use crate::kernels::fused::access::Access;
use crate::kernels::fused::step::{RowReduction, Step};
use crate::kernels::fused::view::View;
use crate::kernels::zip::Zip;
use crate::parallel::{ARITHMETIC, TRANSCENDENTAL};
use crate::real::Real;
use crate::storage::shape::Shape;

/// Element-wise functions of operands that broadcast to one shape, and reductions of rows.
#[derive(Clone, Debug)]
pub struct Chain<F> {
    pub(super) len: usize,
    /// Elements of a row, if rows are reduced.
    pub(super) row: usize,
    /// Elements of a block, where rows are not longer than that.
    pub(super) block: usize,
    pub(super) inputs: Vec<Access>,
    pub(super) steps: Vec<Step<F>>,
    pub(super) reductions: Vec<RowReduction<F>>,
    pub(super) registers: usize,
    pub(super) threshold: usize,
}

impl<F: Real> Chain<F> {
    /// A chain over `shape`. Each operand has the rank of `shape`, and on each axis its size or 1; steps know it by its
    /// first input. A pair counts as one step. With reductions, `row` is the number of elements of a row, a product of
    /// sizes of trailing axes; `registers` is how many the steps use.
    ///
    /// # Panics
    /// If the shape is empty, an operand does not broadcast to it, or rows longer than [`BLOCK`] are reduced by
    /// anything but sums, products and extrema.
    pub fn new(
        shape: &Shape,
        operands: &[View],
        steps: Vec<Step<F>>,
        reductions: Vec<RowReduction<F>>,
        row: usize,
        mut registers: usize,
    ) -> Self {
        let len = shape.numel();
        assert!(len > 0, "a chain over the empty shape {shape}");
        let inner = shape.last().copied().unwrap_or(1);
        let row = if reductions.is_empty() { 0 } else { row };
        assert!(row == 0 || len.is_multiple_of(row), "rows of {row} in a chain over shape {shape}");
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
            Step::Zip { op, .. } => *op == Zip::Pow,
            Step::Pair { .. } | Step::Select { .. } => false,
            Step::Noise { .. } => true,
        });
        let pairs = steps.iter().filter(|step| matches!(step, Step::Pair { .. })).count();
        let weight = (steps.len() + pairs).clamp(1, 4);
        let threshold = if costly { TRANSCENDENTAL } else { ARITHMETIC } / weight;
        Chain { len, row, block, inputs, steps, reductions, registers, threshold }
    }

    /// How many passes over a block it makes.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The elements of each result of a reduction.
    pub fn rows(&self) -> usize {
        self.len.checked_div(self.row).unwrap_or(0)
    }

    /// The number of partial results that a run needs for each reduction; 0 where rows fit a block.
    pub fn partials(&self) -> usize {
        if self.row > BLOCK { self.blocks() } else { 0 }
    }

    #[inline]
    pub(super) fn blocks(&self) -> usize {
        if self.row > BLOCK { self.len / self.row * self.row.div_ceil(BLOCK) } else { self.len.div_ceil(self.block) }
    }

    /// The elements of a block.
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

    /// The results of one reduction that the blocks before this one write.
    #[inline]
    pub(super) fn reduced_before(&self, block: usize) -> usize {
        match self.row {
            0 => 0,
            row if row > BLOCK => block,
            row => (block * self.block).min(self.len) / row,
        }
    }
}
