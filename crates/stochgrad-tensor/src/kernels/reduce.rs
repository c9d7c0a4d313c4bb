//! Reductions, broadcasts and scans along axes.
//!
//! Every sum has a fixed order that depends on the shape only, never on the number of threads.

use smallvec::SmallVec;

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::fold::{Fold, LANES, fold_four, fold_row, fold_short_rows, larger, smaller};
use crate::kernels::softmax::{SHORT, log_sum_exp_short_rows};
use crate::kernels::zip::fill_rows;
use crate::parallel::{ARITHMETIC, PIECE, TRANSCENDENTAL, fill, threads_for};
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

pub use crate::kernels::softmax::{log_softmax, softmax};

/// Columns that are reduced together.
const COLUMNS: usize = 256;

/// Rows whose partial result is folded before it joins the rest.
const STRETCH: usize = 256;

/// How elements along axes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduce {
    /// The sum; 0 of nothing.
    Sum,
    /// The largest; −∞ of nothing, NaN if one is NaN.
    Max,
    /// The smallest; +∞ of nothing, NaN if one is NaN.
    Min,
    /// ln Σ e^x, without overflow; −∞ of nothing and of −∞ alone.
    LogSumExp,
    /// The product; 1 of nothing.
    Product,
}

impl Reduce {
    /// Whether the results for two halves make that for the whole.
    pub fn joins(self) -> bool {
        self != Reduce::LogSumExp
    }

    /// The result for a whole from those of its halves, where [`joins`](Self::joins) says that this is all it takes.
    pub(crate) fn combine<F: Real>(self, a: F, b: F) -> F {
        match self {
            Reduce::Sum => a + b,
            Reduce::Max => larger(a, b),
            Reduce::Min => smaller(a, b),
            Reduce::Product => a * b,
            Reduce::LogSumExp => {
                let shift = shift_of(larger(a, b));
                shift + ((a - shift).exp() + (b - shift).exp()).ln()
            }
        }
    }
}

/// Reduces the given axes; with `keep` they stay, with size 1. Without axes, this is `x` itself.
///
/// # Panics
/// If an axis is outside the tensor.
pub fn reduce<F: Real>(pool: &Pool<F>, op: Reduce, x: &Tensor<F>, axes: &[usize], keep: bool) -> Tensor<F> {
    let shape = x.shape();
    let mut gone: SmallVec<[bool; 8]> = SmallVec::from_elem(false, shape.rank());
    for &axis in axes {
        assert!(axis < shape.rank(), "cannot reduce axis {axis} of a tensor of shape {shape}");
        gone[axis] = true;
    }
    let out_shape: Shape = shape
        .iter()
        .zip(&gone)
        .filter(|&(_, &gone)| keep || !gone)
        .map(|(&size, &gone)| if gone { 1 } else { size })
        .collect();

    let mut current: Option<Tensor<F>> = None;
    let mut inner = 1;
    let mut axis = shape.rank();
    while axis > 0 {
        axis -= 1;
        if !gone[axis] {
            inner *= shape[axis];
            continue;
        }
        let mut size = shape[axis];
        while axis > 0 && (gone[axis - 1] || shape[axis - 1] == 1) {
            axis -= 1;
            size *= shape[axis];
        }
        if size == 1 {
            continue;
        }
        let outer = shape[..axis].iter().product();
        let mut out = pool.take(Shape::from([outer, inner]));
        let source = current.as_ref().unwrap_or(x).as_slice();
        reduce_group(pool, op, source, [outer, size, inner], out.make_mut());
        if let Some(spent) = current.replace(out) {
            pool.recycle(spent);
        }
    }
    current.unwrap_or_else(|| x.clone()).with_shape(out_shape)
}

/// Reduces the middle axis of `[outer, size, inner]`.
fn reduce_group<F: Real>(pool: &Pool<F>, op: Reduce, x: &[F], dims: [usize; 3], out: &mut [F]) {
    let group = Group { threads: pool.threads(), x, dims };
    match op {
        Reduce::Sum => group.fold(Fold::Sum, out),
        Reduce::Product => group.fold(Fold::Product, out),
        Reduce::Max => group.fold(Fold::Max, out),
        Reduce::Min => group.fold(Fold::Min, out),
        Reduce::LogSumExp => log_sum_exp(pool, &group, out),
    }
}

/// Reduces a row, on the calling thread: the bits that [`reduce`] gives along a last axis.
pub fn reduce_row<F: Real>(op: Reduce, x: &[F]) -> F {
    match op {
        Reduce::Sum => fold_row(1, Fold::Sum, x),
        Reduce::Product => fold_row(1, Fold::Product, x),
        Reduce::Max => fold_row(1, Fold::Max, x),
        Reduce::Min => fold_row(1, Fold::Min, x),
        Reduce::LogSumExp if x.is_empty() => F::NEG_INFINITY,
        Reduce::LogSumExp => log_sum_exp_row(1, x),
    }
}

/// Reduces consecutive rows of a length, on the calling thread: the bits of [`reduce_row`] for each of them.
///
/// # Panics
/// If the rows are empty, or there are not as many as results.
pub fn reduce_rows<F: Real>(op: Reduce, row: usize, x: &[F], out: &mut [F]) {
    assert_eq!(x.len(), row * out.len(), "rows of {row} elements");
    let fold = match op {
        Reduce::Sum => Fold::Sum,
        Reduce::Product => Fold::Product,
        Reduce::Max => Fold::Max,
        Reduce::Min => Fold::Min,
        Reduce::LogSumExp if row <= SHORT => return log_sum_exp_short_rows(row, x, out),
        Reduce::LogSumExp => {
            return out.iter_mut().zip(x.chunks_exact(row)).for_each(|(out, row)| *out = log_sum_exp_row(1, row));
        }
    };
    if row < LANES {
        fold_short_rows(fold, row, x, out);
    } else {
        out.iter_mut().zip(x.chunks_exact(row)).for_each(|(out, row)| *out = fold_row(1, fold, row));
    }
}

fn log_sum_exp_row<F: Real>(threads: usize, x: &[F]) -> F {
    let shift = shift_of(fold_row(threads, Fold::Max, x));
    shift + fold_row(threads, Fold::ExpSum(shift), x).ln()
}

/// What to subtract before exponentiating: the maximum, or 0 where that is infinite or NaN.
pub(crate) fn shift_of<F: Real>(maximum: F) -> F {
    if maximum.is_finite() { maximum } else { F::ZERO }
}

/// A tensor seen as `[outer, size, inner]`, whose middle axis is reduced.
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

    /// `out[i] = row(threads, row i)`; the threads go to the rows, or into the row where there is one.
    fn rows(&self, threads: usize, out: &mut [F], row: impl Fn(usize, &[F]) -> F + Sync) {
        let [_, size, _] = self.dims;
        let within = if out.len() == 1 { threads } else { 1 };
        fill(threads, out, PIECE.div_ceil(size), |start, out| {
            let rows = self.x[start * size..].chunks_exact(size);
            for (out, x) in out.iter_mut().zip(rows) {
                *out = row(within, x);
            }
        });
    }

    /// Folds the rows of the middle axis, column by column, in stretches whose partial results are then folded: that
    /// keeps rounding errors small.
    fn columns(&self, threads: usize, op: Fold<F>, out: &mut [F]) {
        let [_, size, inner] = self.dims;
        let start = op.start();
        for_blocks(threads, out, inner, |outer, column, out| {
            let length = out.len();
            let row = |index: usize| {
                let begin = (outer * size + index) * inner + column;
                &self.x[begin..begin + length]
            };
            let mut partial = [start; COLUMNS];
            let partial = &mut partial[..length];
            out.fill(start);
            for first in (0..size).step_by(STRETCH) {
                let end = size.min(first + STRETCH);
                let whole = first + (end - first) / 4 * 4;
                for index in (first..whole).step_by(4) {
                    fold_four(op, [0, 1, 2, 3].map(|next| row(index + next)), partial);
                }
                for index in whole..end {
                    for (sum, &x) in partial.iter_mut().zip(row(index)) {
                        *sum = op.combine(*sum, x);
                    }
                }
                for (out, sum) in out.iter_mut().zip(partial.iter_mut()) {
                    *out = op.combine(*out, *sum);
                    *sum = start;
                }
            }
        });
    }
}

/// Calls `work(outer, column, block)` on blocks of at most [`COLUMNS`] columns of the rows of `out`.
fn for_blocks<F: Real>(threads: usize, out: &mut [F], inner: usize, work: impl Fn(usize, usize, &mut [F]) + Sync) {
    use rayon::prelude::*;
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

fn log_sum_exp<F: Real>(pool: &Pool<F>, group: &Group<'_, F>, out: &mut [F]) {
    let [outer, size, inner] = group.dims;
    if size == 0 {
        out.fill(F::NEG_INFINITY);
        return;
    }
    let threads = threads_for(pool.threads(), group.x.len(), TRANSCENDENTAL);
    if inner == 1 && size <= SHORT {
        fill(threads, out, PIECE.div_ceil(size), |start, out| {
            log_sum_exp_short_rows(size, &group.x[start * size..(start + out.len()) * size], out);
        });
        return;
    }
    if inner == 1 {
        group.rows(threads, out, log_sum_exp_row);
        return;
    }
    let mut shifts = pool.take(Shape::from([outer, inner]));
    group.fold(Fold::Max, shifts.make_mut());
    for shift in shifts.make_mut() {
        *shift = shift_of(*shift);
    }
    let shift_rows = shifts.as_slice();
    for_blocks(threads, out, inner, |outer, column, out| {
        let shifts = &shift_rows[outer * inner + column..];
        out.fill(F::ZERO);
        for index in 0..size {
            let row = &group.x[(outer * size + index) * inner + column..];
            add_exp(out, row, shifts);
        }
        for (out, &shift) in out.iter_mut().zip(shifts) {
            *out = shift + out.ln();
        }
    });
    pool.recycle(shifts);
}

dispatch! {
    /// Adds exp(x − shift), column by column.
    fn add_exp<F: Real>(out: &mut [F], x: &[F], shifts: &[F]) = add_exp_body;
}

#[inline(always)]
fn add_exp_body<const FMA: bool, F: Real>(out: &mut [F], x: &[F], shifts: &[F]) {
    for (out, (&x, &shift)) in out.iter_mut().zip(x.iter().zip(shifts)) {
        *out += (x - shift).exp_fast::<FMA>();
    }
}

/// Sums away what broadcasting from `shape` to the shape of `x` has added: the adjoint of [`expand`].
///
/// # Panics
/// If `shape` does not broadcast to the shape of `x`.
pub fn sum_to<F: Real>(pool: &Pool<F>, x: &Tensor<F>, shape: &Shape) -> Tensor<F> {
    if x.shape() == shape {
        return x.clone();
    }
    assert_expands(shape, x.shape());
    let lead = x.rank() - shape.rank();
    let axes: SmallVec<[usize; 8]> =
        (0..x.rank()).filter(|&axis| axis < lead || (shape[axis - lead] == 1 && x.shape()[axis] != 1)).collect();
    reduce(pool, Reduce::Sum, x, &axes, true).with_shape(shape.clone())
}

/// Broadcasts to `shape`, in memory.
///
/// # Panics
/// If the shape of `x` does not broadcast to `shape`.
pub fn expand<F: Real>(pool: &Pool<F>, x: &Tensor<F>, shape: &Shape) -> Tensor<F> {
    if x.shape() == shape {
        return x.clone();
    }
    assert_expands(x.shape(), shape);
    let mut out = pool.take(shape.clone());
    if out.is_empty() {
        return out;
    }
    let plan = BroadcastIter::new(shape, [x.shape()]);
    let threads = threads_for(pool.threads(), out.len(), ARITHMETIC);
    let x = x.as_slice();
    fill_rows(threads, &plan, out.make_mut(), |out, [at]| {
        if plan.steps == [0] {
            out.fill(x[at]);
        } else {
            out.copy_from_slice(&x[at..at + out.len()]);
        }
    });
    out
}

fn assert_expands(small: &Shape, large: &Shape) {
    assert!(Shape::broadcast(small, large).as_ref() == Some(large), "shape {small} does not broadcast to {large}");
}

/// The index of the largest element along an axis, which goes away: the first of equal ones, or the first NaN.
///
/// # Panics
/// If there is no such axis, or its size is 0.
pub fn argmax<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize) -> Tensor<F> {
    let (_, size, inner) = x.shape().around(axis);
    assert!(size > 0, "argmax over axis {axis} of shape {}", x.shape());
    let mut out = pool.take(x.shape().without(axis));
    if out.is_empty() {
        return out;
    }
    let x = x.as_slice();
    for (row, out) in out.make_mut().chunks_exact_mut(inner).enumerate() {
        let x = &x[row * size * inner..(row + 1) * size * inner];
        for (column, out) in out.iter_mut().enumerate() {
            let mut best = 0;
            let mut largest = x[column];
            for index in 1..size {
                let value = x[index * inner + column];
                if value > largest || (value.is_nan() && !largest.is_nan()) {
                    best = index;
                    largest = value;
                }
            }
            *out = F::from_usize(best);
        }
    }
    out
}

/// Running sums along an axis: from its beginning, or from its end with `reverse`.
///
/// # Panics
/// If there is no such axis.
pub fn cumsum<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, reverse: bool) -> Tensor<F> {
    let (_, size, inner) = x.shape().around(axis);
    let mut out = pool.take(x.shape().clone());
    if out.is_empty() {
        return out;
    }
    let x = x.as_slice();
    for (row, out) in out.make_mut().chunks_exact_mut(size * inner).enumerate() {
        out.copy_from_slice(&x[row * size * inner..(row + 1) * size * inner]);
        for step in 1..size {
            let (from, to) = if reverse { (size - step, size - step - 1) } else { (step - 1, step) };
            for column in 0..inner {
                let previous = out[from * inner + column];
                out[to * inner + column] += previous;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{broadcast_at, index_of, same_bits, scrambled, shape_and_part, shapes, tensor_of};

    const INF: f64 = f64::INFINITY;

    /// Reduces by index arithmetic, in plain order.
    fn naive(op: Reduce, x: &Tensor<f64>, gone: &[bool]) -> Tensor<f64> {
        let start = match op {
            Reduce::Sum => 0.0,
            Reduce::Product => 1.0,
            Reduce::Min => INF,
            Reduce::Max | Reduce::LogSumExp => -INF,
        };
        let kept: Shape = x.shape().iter().zip(gone).map(|(&size, &gone)| if gone { 1 } else { size }).collect();
        let mut out = Tensor::full(kept.clone(), start);
        for flat in 0..x.len() {
            let value = x.as_slice()[flat];
            let to = index_of(x.shape(), flat)
                .iter()
                .zip(kept.iter())
                .fold(0, |to, (&i, &size)| to * size + if size == 1 { 0 } else { i });
            let out = &mut out.make_mut()[to];
            *out = match op {
                Reduce::Sum => *out + value,
                Reduce::Product => *out * value,
                Reduce::Max => out.max(value),
                Reduce::Min => out.min(value),
                Reduce::LogSumExp => (out.exp() + value.exp()).ln(),
            };
        }
        out
    }

    fn close(a: &Tensor<f64>, b: &Tensor<f64>) -> bool {
        a.max_abs_difference(b).is_some_and(|largest| largest < 1e-9)
    }

    proptest! {
        #[test]
        fn reductions_agree_with_index_arithmetic(
            shape in shapes(),
            bits in any::<[bool; 5]>(),
            keep in any::<bool>(),
        ) {
            let pool = Pool::new();
            let x = scrambled(&shape).map(|x| x * 0.4);
            let gone = &bits[..shape.len()];
            let axes: Vec<usize> = (0..shape.len()).filter(|&axis| gone[axis]).collect();
            for op in [Reduce::Sum, Reduce::Max, Reduce::Min, Reduce::LogSumExp, Reduce::Product] {
                let found = reduce(&pool, op, &x, &axes, keep);
                let expected = naive(op, &x, gone);
                if keep {
                    prop_assert_eq!(found.shape(), expected.shape());
                } else {
                    prop_assert_eq!(found.rank(), shape.len() - axes.len());
                }
                prop_assert!(close(&found.with_shape(expected.shape()), &expected), "{:?}", op);
            }
        }

        #[test]
        fn expand_agrees_with_index_arithmetic((shape, part) in shape_and_part()) {
            let x = scrambled(&part);
            let expected = tensor_of(&shape, |index| broadcast_at(&x, index));
            prop_assert_eq!(expand(&Pool::new(), &x, &shape.as_slice().into()), expected);
        }

        #[test]
        fn sum_to_is_the_adjoint_of_expand((shape, part) in shape_and_part()) {
            let pool = Pool::new();
            let (x, y) = (scrambled(&part), scrambled(&shape).map(|x| x.cos()));
            let dot = |a: &Tensor<f64>, b: &Tensor<f64>| -> f64 {
                a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum()
            };
            let expanded = expand(&pool, &x, y.shape());
            let summed = sum_to(&pool, &y, x.shape());
            prop_assert_eq!(summed.shape(), x.shape());
            prop_assert!((dot(&expanded, &y) - dot(&x, &summed)).abs() < 1e-9);
        }

        #[test]
        fn softmax_and_log_softmax_agree_with_their_definitions(shape in shapes(), axis in 0..5_usize) {
            prop_assume!(axis < shape.len());
            let pool = Pool::new();
            let x = scrambled(&shape);
            let normalizer = reduce(&pool, Reduce::LogSumExp, &x, &[axis], true);
            let expected = tensor_of(&shape, |index| broadcast_at(&x, index) - broadcast_at(&normalizer, index));
            prop_assert!(close(&log_softmax(&pool, &x, axis), &expected));
            prop_assert!(close(&softmax(&pool, &x, axis), &expected.map(f64::exp)));
        }

        #[test]
        fn cumsum_and_argmax_agree_with_index_arithmetic(shape in shapes(), axis in 0..5_usize) {
            prop_assume!(axis < shape.len());
            let pool = Pool::new();
            let x = scrambled(&shape);
            let at = |index: &[usize], i: usize| {
                let mut index = index.to_vec();
                index[axis] = i;
                x.get(&index).unwrap()
            };
            let forward = tensor_of(&shape, |index| (0..=index[axis]).map(|i| at(index, i)).sum());
            let backward = tensor_of(&shape, |index| (index[axis]..shape[axis]).map(|i| at(index, i)).sum());
            prop_assert!(close(&cumsum(&pool, &x, axis, false), &forward));
            prop_assert!(close(&cumsum(&pool, &x, axis, true), &backward));
            if shape[axis] > 0 {
                let best = argmax(&pool, &x, axis);
                let largest = reduce(&pool, Reduce::Max, &x, &[axis], false);
                for flat in 0..best.len() {
                    let mut index = index_of(best.shape(), flat);
                    index.insert(axis, 0);
                    let chosen = best.as_slice()[flat] as usize;
                    prop_assert_eq!(at(&index, chosen), largest.as_slice()[flat]);
                }
            }
        }
    }

    #[test]
    fn nothing_reduces_to_the_neutral_element() {
        let pool = Pool::<f64>::new();
        for shape in [[2, 0, 3], [0, 2, 3]] {
            let x = Tensor::zeros(shape);
            for (op, neutral) in [
                (Reduce::Sum, 0.0),
                (Reduce::Product, 1.0),
                (Reduce::Max, -INF),
                (Reduce::Min, INF),
                (Reduce::LogSumExp, -INF),
            ] {
                assert_eq!(reduce(&pool, op, &x, &[0, 1], false), Tensor::full([3], neutral));
                assert_eq!(reduce(&pool, op, &x, &[0, 1, 2], false), Tensor::scalar(neutral));
            }
        }
    }

    #[test]
    fn log_sum_exp_survives_its_edges() {
        let pool = Pool::new();
        let rows = [
            ([-INF, -INF], -INF),
            ([-INF, 2.0], 2.0),
            ([1000.0, 1000.0], 1000.0 + 2.0_f64.ln()),
            ([-1000.0, -1000.0], -1000.0 + 2.0_f64.ln()),
            ([INF, 0.0], INF),
            ([INF, -INF], INF),
        ];
        for (row, expected) in rows {
            let by_row = reduce(&pool, Reduce::LogSumExp, &Tensor::from([row, row]), &[1], false);
            let columns = [[row[0]; 3], [row[1]; 3]];
            let by_column = reduce(&pool, Reduce::LogSumExp, &Tensor::from(columns), &[0], false);
            assert_eq!(by_row, Tensor::full([2], expected));
            assert_eq!(by_column, Tensor::full([3], expected));
        }
        let x = Tensor::from([[f64::NAN, 1.0], [0.0, 1.0]]);
        for op in [Reduce::LogSumExp, Reduce::Max, Reduce::Min, Reduce::Sum] {
            for axis in [0, 1] {
                let reduced = reduce(&pool, op, &x, &[axis], false).to_vec();
                assert!(reduced[0].is_nan() && reduced[1].is_finite(), "{op:?}");
            }
        }
    }

    #[test]
    fn softmax_survives_its_edges() {
        let pool = Pool::new();
        let x = Tensor::from([[-INF, 0.0, 0.0], [1e4, -1e4, -INF], [-INF, -INF, -INF]]);
        let probabilities = Tensor::from([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
        let half = -std::f64::consts::LN_2;
        let logs = Tensor::from([[-INF, half, half], [0.0, -2e4, -INF], [-INF, -INF, -INF]]);
        assert_eq!(softmax(&pool, &x, 1), probabilities);
        assert_eq!(log_softmax(&pool, &x, 1), logs);
        let turn = |x: &Tensor<f64>| crate::kernels::layout::transpose(&pool, x, &[1, 0]);
        assert_eq!(softmax(&pool, &turn(&x), 0), turn(&probabilities));
        assert_eq!(log_softmax(&pool, &turn(&x), 0), turn(&logs));
        assert!(softmax(&pool, &Tensor::from([f64::NAN, 0.0]), 0).to_vec()[1].is_nan());
    }

    #[test]
    fn argmax_takes_the_first_of_equals_and_the_first_nan() {
        let pool = Pool::new();
        let nan = f64::NAN;
        let x = Tensor::from([[1.0, 3.0, 3.0], [2.0, nan, nan], [-INF, -INF, -INF]]);
        assert_eq!(argmax(&pool, &x, 1).to_vec(), [1.0, 1.0, 0.0]);
    }

    #[test]
    fn long_sums_in_single_precision_stay_accurate() {
        let pool = Pool::new();
        const N: usize = 1 << 20;
        let expected = f64::from(0.1_f32) * N as f64;
        let row = Tensor::<f32>::full([N], 0.1);
        let sum = reduce(&pool, Reduce::Sum, &row, &[0], false).to_vec()[0];
        assert_relative_eq!(f64::from(sum), expected, max_relative = 1e-6);
        let columns = Tensor::<f32>::full([N, 3], 0.1);
        let sum = reduce(&pool, Reduce::Sum, &columns, &[0], false).to_vec()[1];
        assert_relative_eq!(f64::from(sum), expected, max_relative = 1e-4);
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let cases: [(&[usize], &[usize]); 6] = [
            (&[300_000], &[0]),
            (&[500, 401], &[1]),
            (&[500, 401], &[0]),
            (&[40, 30, 101], &[0, 2]),
            (&[40, 30, 101], &[1]),
            (&[3, 100_001], &[0, 1]),
        ];
        let (one, three) = (Pool::new(), Pool::with_threads(3));
        for (shape, axes) in cases {
            let x = scrambled(shape).map(|x| x * 0.2);
            for op in [Reduce::Sum, Reduce::Max, Reduce::LogSumExp, Reduce::Product] {
                let single = reduce(&one, op, &x, axes, false);
                assert!(same_bits(&single, &reduce(&three, op, &x, axes, false)), "{op:?} {axes:?}");
            }
            assert!(same_bits(&softmax(&one, &x, axes[0]), &softmax(&three, &x, axes[0])));
        }
    }

    #[test]
    fn scratch_goes_back_to_the_pool() {
        let pool = Pool::new();
        let x = scrambled(&[4, 5, 6]);
        let run = || {
            for axis in 0..3 {
                pool.recycle(reduce(&pool, Reduce::LogSumExp, &x, &[axis], false));
                pool.recycle(softmax(&pool, &x, axis));
            }
            pool.recycle(reduce(&pool, Reduce::Sum, &x, &[0, 2], true));
        };
        run();
        let before = pool.statistics();
        run();
        let after = pool.statistics();
        assert_eq!(after.held_bytes, before.held_bytes);
        assert_eq!(after.taken - before.taken, after.reused - before.reused);
    }
}
