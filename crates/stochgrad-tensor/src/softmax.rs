use crate::fold::{Fold, fold_row};
use crate::parallel::{PIECE, TRANSCENDENTAL, fill, threads_for};
use crate::reduce::{Group, shift_of};
use crate::simd::dispatch;
use crate::{Pool, Real, Shape, Tensor};

/// e^x / Σ e^x along an axis. Logits of −∞ give 0, also where all of them are −∞; +∞ and NaN give NaN.
///
/// # Panics
/// If there is no such axis.
pub fn softmax<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize) -> Tensor<F> {
    normalize(pool, x, axis, false)
}

/// x − ln Σ e^x along an axis. Logits of −∞ give −∞, also where all of them are −∞; +∞ and NaN give NaN.
///
/// # Panics
/// If there is no such axis.
pub fn log_softmax<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize) -> Tensor<F> {
    normalize(pool, x, axis, true)
}

fn normalize<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, log: bool) -> Tensor<F> {
    let (outer, size, inner) = x.shape().around(axis);
    let mut out = pool.take(x.shape().clone());
    if out.is_empty() {
        return out;
    }
    let x = x.as_slice();
    let threads = threads_for(pool.threads(), x.len(), TRANSCENDENTAL);
    if inner == 1 {
        let piece = PIECE.div_ceil(size) * size;
        fill(threads, out.make_mut(), piece, |start, out| {
            let rows = x[start..].chunks_exact(size);
            for (out, x) in out.chunks_exact_mut(size).zip(rows) {
                normalize_row(out, x, log);
            }
        });
        return out;
    }
    let group = Group { threads: pool.threads(), x, dims: [outer, size, inner] };
    let mut shifts = pool.take(Shape::from([outer, inner]));
    group.fold(Fold::Max, shifts.make_mut());
    let mut sums = pool.full(Shape::from([outer, inner]), F::ZERO);
    let (shift_rows, sum_rows) = (shifts.make_mut(), sums.make_mut());
    for (row, out) in out.make_mut().chunks_exact_mut(size * inner).enumerate() {
        let x = &x[row * size * inner..];
        let shifts = &mut shift_rows[row * inner..(row + 1) * inner];
        let sums = &mut sum_rows[row * inner..(row + 1) * inner];
        for shift in shifts.iter_mut() {
            *shift = shift_of(*shift);
        }
        for (out, x) in out.chunks_exact_mut(inner).zip(x.chunks_exact(inner)) {
            let columns = x.iter().zip(shifts.iter()).zip(sums.iter_mut());
            for (out, ((&x, &shift), sum)) in out.iter_mut().zip(columns) {
                let centred = x - shift;
                let mass = centred.exp();
                *sum += mass;
                *out = if log { centred } else { mass };
            }
        }
        for sum in sums.iter_mut() {
            *sum = normalizer(*sum, log);
        }
        for out in out.chunks_exact_mut(inner) {
            for (out, &sum) in out.iter_mut().zip(sums.iter()) {
                *out = if log { *out - sum } else { *out / sum };
            }
        }
    }
    pool.recycle(shifts);
    pool.recycle(sums);
    out
}

fn normalize_row<F: Real>(out: &mut [F], x: &[F], log: bool) {
    let shift = shift_of(fold_row(1, Fold::Max, x));
    if log {
        let sum = normalizer(fold_row(1, Fold::ExpSum(shift), x), true);
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x - shift - sum;
        }
    } else {
        exp_of(out, x, shift);
        let sum = normalizer(fold_row(1, Fold::Sum, out), false);
        for out in out {
            *out /= sum;
        }
    }
}

dispatch! {
    /// exp(x − shift)
    fn exp_of<F: Real>(out: &mut [F], x: &[F], shift: F) = exp_of_body;
}

#[inline(always)]
fn exp_of_body<const FMA: bool, F: Real>(out: &mut [F], x: &[F], shift: F) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = (x - shift).exp_fast::<FMA>();
    }
}

/// What normalises a row of total mass `sum`: the sum, or its logarithm; neutral where there is no mass.
fn normalizer<F: Real>(sum: F, log: bool) -> F {
    match (sum == F::ZERO, log) {
        (false, true) => sum.ln(),
        (false, false) => sum,
        (true, true) => F::ZERO,
        (true, false) => F::ONE,
    }
}
