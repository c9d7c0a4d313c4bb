//! A tensor as outer, reduced and inner axes, and the loops over them.

use rayon::prelude::*;

use crate::kernels::fold::{Fold, LANES, NARROW, fold_columns, fold_narrow, fold_row, fold_short_rows};
use crate::parallel::{ARITHMETIC, PIECE, fill, threads_for};
use crate::real::Real;

/// The number of columns that are reduced together.
const COLUMNS: usize = 256;

/// The number of rows that are folded into one partial result, before it is combined with the others.
const STRETCH: usize = 256;

/// A view of a tensor as `[outer, size, inner]`, whose middle axis is reduced.
pub(crate) struct Group<'a, F> {
    pub(crate) threads: usize,
    pub(crate) x: &'a [F],
    pub(crate) dims: [usize; 3],
}

impl<F: Real> Group<'_, F> {
    /// Folds the middle axis.
    pub(crate) fn fold(&self, op: Fold<F>, out: &mut [F]) {
        let [_, size, inner] = self.dims;
        let threads = threads_for(self.threads, self.x.len(), ARITHMETIC);
        if size == 0 {
            out.fill(op.start());
        } else if inner == 1 && size < LANES {
            fill(threads, out, PIECE.div_ceil(size), |start, out| {
                fold_short_rows(op, size, &self.x[start * size..(start + out.len()) * size], out);
            });
        } else if inner == 1 {
            self.rows(threads, out, |threads, row| fold_row(threads, op, row));
        } else {
            self.columns(threads, op, out);
        }
    }

    /// Writes `out[i] = row(threads, row i)`. The threads are distributed over the rows; a single row gets all of them.
    pub(crate) fn rows(&self, threads: usize, out: &mut [F], row: impl Fn(usize, &[F]) -> F + Sync) {
        let [_, size, _] = self.dims;
        let within = if out.len() == 1 { threads } else { 1 };
        fill(threads, out, PIECE.div_ceil(size), |start, out| {
            let rows = self.x[start * size..].chunks_exact(size);
            for (out, x) in out.iter_mut().zip(rows) {
                *out = row(within, x);
            }
        });
    }

    /// Folds the rows of the middle axis, column by column. The rows are divided into stretches, whose partial results
    /// are then folded; this keeps rounding errors small.
    fn columns(&self, threads: usize, op: Fold<F>, out: &mut [F]) {
        let [_, size, inner] = self.dims;
        let start = op.start();
        if threads <= 1 && (1..=NARROW).contains(&inner) && size <= STRETCH {
            return fold_narrow(op, self.x, size, inner, out);
        }
        for_blocks(threads, out, inner, |outer, column, out| {
            let rows = |first: usize| &self.x[(outer * size + first) * inner + column..];
            out.fill(start);
            let mut partial = [start; COLUMNS];
            let partial = &mut partial[..out.len()];
            for first in (0..size).step_by(STRETCH) {
                fold_columns(op, rows(first), inner, STRETCH.min(size - first), partial);
                for (out, sum) in out.iter_mut().zip(partial.iter_mut()) {
                    *out = op.combine(*out, *sum);
                    *sum = start;
                }
            }
        });
    }
}

/// Calls `work(outer, column, block)` on blocks of at most [`COLUMNS`] columns of the rows of `out`.
pub(crate) fn for_blocks<F: Real>(
    threads: usize,
    out: &mut [F],
    inner: usize,
    work: impl Fn(usize, usize, &mut [F]) + Sync,
) {
    if inner == 0 {
        return;
    }
    if threads <= 1 {
        for (outer, row) in out.chunks_exact_mut(inner).enumerate() {
            for (block, out) in row.chunks_mut(COLUMNS).enumerate() {
                work(outer, block * COLUMNS, out);
            }
        }
        return;
    }
    out.par_chunks_mut(inner).enumerate().for_each(|(outer, row)| {
        row.par_chunks_mut(COLUMNS).enumerate().for_each(|(block, out)| work(outer, block * COLUMNS, out));
    });
}
