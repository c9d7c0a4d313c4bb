//! Reduction of rows to single values, in an order that depends only on their length.

use crate::real::Real;
use crate::simd::dispatch;

/// The number of independent accumulators in a tight loop.
pub(crate) const LANES: usize = 16;

/// Longer rows are split in the middle. This keeps rounding errors small, and allows a split over threads.
pub(crate) const BLOCK: usize = 1024;

/// Rows of at least this length may be split over threads.
const PARALLEL: usize = 131_072;

/// The position at which a row that is longer than a block is split: a multiple of the block length.
pub(crate) fn middle(len: usize) -> usize {
    len.div_ceil(2).next_multiple_of(BLOCK).min(len - 1)
}

/// Reduces a row, in an order that depends only on its length.
pub(crate) fn fold_row<F: Real>(threads: usize, op: Fold<F>, x: &[F]) -> F {
    if x.len() <= BLOCK {
        return fold_block(op, x);
    }
    let (left, right) = x.split_at(middle(x.len()));
    let (left, right) = if threads > 1 && x.len() >= PARALLEL {
        rayon::join(|| fold_row(threads, op, left), || fold_row(threads, op, right))
    } else {
        (fold_row(1, op, left), fold_row(1, op, right))
    };
    op.combine(left, right)
}

/// Reduces consecutive rows of length `row` on the calling thread. Each result has the bits of [`fold_row`].
#[inline]
pub(crate) fn fold_rows<F: Real>(op: Fold<F>, row: usize, x: &[F], out: &mut [F]) {
    if row < LANES {
        fold_short_rows(op, row, x, out);
    } else if row <= BLOCK {
        fold_blocks(op, row, x, out);
    } else {
        out.iter_mut().zip(x.chunks_exact(row)).for_each(|(out, row)| *out = fold_row(1, op, row));
    }
}

/// The operation along a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fold<F> {
    Sum,
    Product,
    Max,
    Min,
    /// Σ exp(x − shift)
    ExpSum(F),
}

impl<F: Real> Fold<F> {
    #[inline(always)]
    pub(crate) fn combine(self, a: F, b: F) -> F {
        match self {
            Fold::Sum | Fold::ExpSum(_) => a + b,
            Fold::Product => a * b,
            Fold::Max => larger(a, b),
            Fold::Min => smaller(a, b),
        }
    }

    /// The neutral element.
    pub(crate) fn start(self) -> F {
        match self {
            Fold::Sum | Fold::ExpSum(_) => F::ZERO,
            Fold::Product => F::ONE,
            Fold::Max => F::NEG_INFINITY,
            Fold::Min => F::INFINITY,
        }
    }
}

#[inline(always)]
pub(crate) fn larger<F: Real>(a: F, b: F) -> F {
    if (b > a) | b.is_nan() { b } else { a }
}

#[inline(always)]
pub(crate) fn smaller<F: Real>(a: F, b: F) -> F {
    if (b < a) | b.is_nan() { b } else { a }
}

/// The shift that is subtracted before exponentiating: the maximum, or 0 if that is infinite or NaN.
pub(crate) fn shift_of<F: Real>(maximum: F) -> F {
    if maximum.is_finite() { maximum } else { F::ZERO }
}

dispatch! {
    fn fold_block<F: Real>(op: Fold<F>, x: &[F]) -> F = block_body;
}

dispatch! {
    /// Reduces rows of at least [`LANES`] and at most [`BLOCK`] elements.
    fn fold_blocks<F: Real>(op: Fold<F>, row: usize, x: &[F], out: &mut [F]) = blocks_body;
}

#[inline(always)]
fn blocks_body<const FMA: bool, F: Real>(op: Fold<F>, row: usize, x: &[F], out: &mut [F]) {
    match (op, row) {
        (Fold::Sum, LANES) => {
            let (x, rest) = x.as_chunks::<LANES>().0.as_chunks::<4>();
            let (out, last) = out.as_chunks_mut::<4>();
            for (out, x) in out.iter_mut().zip(x) {
                *out = sums_of_four(x);
            }
            each_block(
                rest,
                last,
                #[inline(always)]
                |x| lanes(x, F::ZERO, |x| x, |a, b| a + b),
            );
        }
        (Fold::Max, LANES) => each_block(
            x.as_chunks::<LANES>().0,
            out,
            #[inline(always)]
            |x| lanes(x, F::NEG_INFINITY, |x| x, larger),
        ),
        _ => {
            for (out, x) in out.iter_mut().zip(x.chunks_exact(row)) {
                *out = block_body::<FMA, F>(op, x);
            }
        }
    }
}

#[inline(always)]
fn each_block<F: Real>(x: &[[F; LANES]], out: &mut [F], fold: impl Fn(&[F]) -> F) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out = fold(x));
}

/// The sums of four rows of [`LANES`] elements, with the bits of [`lanes`]. As a part of a longer loop, it would be
/// compiled for many rows at a time, whose elements would have to be gathered.
#[inline(never)]
fn sums_of_four<F: Real>(x: &[[F; LANES]; 4]) -> [F; 4] {
    let [a, b, c, d] = [quarter(&x[0]), quarter(&x[1]), quarter(&x[2]), quarter(&x[3])];
    let even = [a[0] + a[2], b[0] + b[2], c[0] + c[2], d[0] + d[2]];
    let odd = [a[1] + a[3], b[1] + b[3], c[1] + c[3], d[1] + d[3]];
    [even[0] + odd[0], even[1] + odd[1], even[2] + odd[2], even[3] + odd[3]]
}

/// The first two steps of the sum of a row.
#[inline(always)]
fn quarter<F: Real>(x: &[F; LANES]) -> [F; LANES / 4] {
    let mut half = [F::ZERO; LANES / 2];
    for (lane, sum) in half.iter_mut().enumerate() {
        *sum = (F::ZERO + x[lane]) + (F::ZERO + x[lane + LANES / 2]);
    }
    let mut quarter = [F::ZERO; LANES / 4];
    for (lane, sum) in quarter.iter_mut().enumerate() {
        *sum = half[lane] + half[lane + LANES / 4];
    }
    quarter
}

#[inline(always)]
fn block_body<const FMA: bool, F: Real>(op: Fold<F>, x: &[F]) -> F {
    match op {
        Fold::Sum => lanes(x, F::ZERO, |x| x, |a, b| a + b),
        Fold::Product => lanes(x, F::ONE, |x| x, |a, b| a * b),
        Fold::Max => lanes(x, F::NEG_INFINITY, |x| x, larger),
        Fold::Min => lanes(x, F::INFINITY, |x| x, smaller),
        Fold::ExpSum(shift) => lanes(
            x,
            F::ZERO,
            #[inline(always)]
            |x| (x - shift).exp_fast::<FMA>(),
            |a, b| a + b,
        ),
    }
}

#[inline(always)]
fn lanes<F: Real>(x: &[F], start: F, map: impl Fn(F) -> F, combine: impl Fn(F, F) -> F) -> F {
    let mut total = start;
    let (lanes, rest) = x.as_chunks::<LANES>();
    if !lanes.is_empty() {
        let mut sums = [start; LANES];
        for lane in lanes {
            for (sum, &x) in sums.iter_mut().zip(lane) {
                *sum = combine(*sum, map(x));
            }
        }
        let mut width = LANES / 2;
        while width > 0 {
            for lane in 0..width {
                sums[lane] = combine(sums[lane], sums[lane + width]);
            }
            width /= 2;
        }
        total = sums[0];
    }
    for &x in rest {
        total = combine(total, map(x));
    }
    total
}

dispatch! {
    /// Reduces rows that are shorter than [`LANES`].
    pub(crate) fn fold_short_rows<F: Real>(op: Fold<F>, row: usize, x: &[F], out: &mut [F]) = short_rows_body;
}

#[inline(always)]
fn short_rows_body<const FMA: bool, F: Real>(op: Fold<F>, row: usize, x: &[F], out: &mut [F]) {
    match op {
        Fold::Sum | Fold::ExpSum(_) => short_rows(row, x, out, F::ZERO, |a, b| a + b),
        Fold::Product => short_rows(row, x, out, F::ONE, |a, b| a * b),
        Fold::Max => short_rows(row, x, out, F::NEG_INFINITY, larger),
        Fold::Min => short_rows(row, x, out, F::INFINITY, smaller),
    }
}

#[inline(always)]
fn short_rows<F: Real>(row: usize, x: &[F], out: &mut [F], start: F, combine: impl Fn(F, F) -> F) {
    match row {
        2 => rows_of::<F, 2>(x, out, start, combine),
        3 => rows_of::<F, 3>(x, out, start, combine),
        4 => rows_of::<F, 4>(x, out, start, combine),
        8 => rows_of::<F, 8>(x, out, start, combine),
        10 => rows_of::<F, 10>(x, out, start, combine),
        _ => {
            for (out, row) in out.iter_mut().zip(x.chunks_exact(row)) {
                *out = row.iter().fold(start, |sum, &x| combine(sum, x));
            }
        }
    }
}

#[inline(always)]
fn rows_of<F: Real, const N: usize>(x: &[F], out: &mut [F], start: F, combine: impl Fn(F, F) -> F) {
    for (out, row) in out.iter_mut().zip(x.as_chunks::<N>().0) {
        *out = row.iter().fold(start, |sum, &x| combine(sum, x));
    }
}

/// The largest number of columns for [`fold_narrow`].
pub(crate) const NARROW: usize = 64;

dispatch! {
    /// Folds the `size` rows of each group, column by column, for at most [`NARROW`] columns: one group after the other,
    /// with the bits of [`fold_columns`] on each.
    pub(crate) fn fold_narrow<F: Real>(op: Fold<F>, x: &[F], size: usize, inner: usize, out: &mut [F]) = narrow_body;
}

#[inline(always)]
fn narrow_body<const FMA: bool, F: Real>(op: Fold<F>, x: &[F], size: usize, inner: usize, out: &mut [F]) {
    let start = op.start();
    for (out, x) in out.chunks_exact_mut(inner).zip(x.chunks_exact(size * inner)) {
        let mut partial = [start; NARROW];
        let partial = &mut partial[..inner];
        columns_body::<FMA, F>(op, x, inner, size, partial);
        for (out, &sum) in out.iter_mut().zip(partial.iter()) {
            *out = op.combine(start, sum);
        }
    }
}

dispatch! {
    /// Combines the elements of rows, which begin `stride` elements after one another, with a row of partial results:
    /// four rows at a time, in pairs.
    pub(crate) fn fold_columns<F: Real>(op: Fold<F>, x: &[F], stride: usize, rows: usize, partial: &mut [F]) =
        columns_body;
}

#[inline(always)]
fn columns_body<const FMA: bool, F: Real>(op: Fold<F>, x: &[F], stride: usize, rows: usize, partial: &mut [F]) {
    match op {
        Fold::Sum | Fold::ExpSum(_) => columns(x, stride, rows, partial, |a, b| a + b),
        Fold::Product => columns(x, stride, rows, partial, |a, b| a * b),
        Fold::Max => columns(x, stride, rows, partial, larger),
        Fold::Min => columns(x, stride, rows, partial, smaller),
    }
}

#[inline(always)]
fn columns<F: Real>(x: &[F], stride: usize, rows: usize, partial: &mut [F], combine: impl Fn(F, F) -> F + Copy) {
    let len = partial.len();
    let whole = rows / 4 * 4;
    for first in (0..whole).step_by(4) {
        four([0, 1, 2, 3].map(|next| &x[(first + next) * stride..][..len]), partial, combine);
    }
    for index in whole..rows {
        for (sum, &x) in partial.iter_mut().zip(&x[index * stride..][..len]) {
            *sum = combine(*sum, x);
        }
    }
}

#[inline(always)]
fn four<F: Real>([a, b, c, d]: [&[F]; 4], partial: &mut [F], combine: impl Fn(F, F) -> F) {
    let near = a.iter().zip(b);
    let far = c.iter().zip(d);
    for (sum, ((&a, &b), (&c, &d))) in partial.iter_mut().zip(near.zip(far)) {
        *sum = combine(*sum, combine(combine(a, b), combine(c, d)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ordinary values, with a few that are not: −0 at the start, infinities and NaN in some rows.
    fn values<F: Real>(len: usize) -> Vec<F> {
        let value = |i: usize| match i {
            0..40 => F::from_f64(-0.0),
            100 => F::INFINITY,
            101 => F::NEG_INFINITY,
            150 => F::NAN,
            _ => F::from_f64((i as f64 * 0.7).sin() * 10.0),
        };
        (0..len).map(value).collect()
    }

    fn bits<F: Real>(x: &[F]) -> Vec<u64> {
        x.iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_f64().to_bits() }).collect()
    }

    fn check<F: Real>() {
        for count in [1, 3, 4, 7, 20] {
            let x = values::<F>(count * LANES);
            for op in [Fold::Sum, Fold::Max, Fold::Min, Fold::Product] {
                let mut rows = vec![F::ZERO; count];
                fold_rows(op, LANES, &x, &mut rows);
                let expected: Vec<F> = x.chunks_exact(LANES).map(|row| fold_row(1, op, row)).collect();
                assert_eq!(bits(&rows), bits(&expected), "{op:?} of {count} rows");
            }
        }
        for [outer, size, inner] in [[3, 16, 16], [2, 7, 5], [4, 1, NARROW], [1, 200, 3]] {
            let x = values::<F>(outer * size * inner);
            for op in [Fold::Sum, Fold::Max, Fold::Min, Fold::Product] {
                let mut narrow = vec![F::ONE; outer * inner];
                fold_narrow(op, &x, size, inner, &mut narrow);
                let by_group = x.chunks_exact(size * inner).flat_map(|group| {
                    let mut partial = vec![op.start(); inner];
                    fold_columns(op, group, inner, size, &mut partial);
                    partial.into_iter().map(|sum| op.combine(op.start(), sum)).collect::<Vec<F>>()
                });
                let expected: Vec<F> = by_group.collect();
                assert_eq!(bits(&narrow), bits(&expected), "{op:?} of [{outer}, {size}, {inner}]");
            }
        }
    }

    #[test]
    fn many_rows_and_many_groups_have_the_bits_of_each() {
        check::<f32>();
        check::<f64>();
    }
}
