//! Softmax and its logarithm along an axis.

use crate::kernels::broadcast::repeat;
use crate::kernels::fold::{BLOCK, Fold, fold_row, shift_of};
use crate::kernels::reduce::group::Group;
use crate::kernels::reduce::short_rows::{SHORT, ShortRows, exp_of};
use crate::parallel::{PIECE, TRANSCENDENTAL, fill, threads_for};
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// e^x / Σ e^x along an axis. Logits of −∞ give 0, even if all of them are −∞; +∞ and NaN give NaN.
///
/// # Panics
/// If there is no such axis.
pub fn softmax<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize) -> Tensor<F> {
    normalize(pool, x, axis, false)
}

/// x − ln Σ e^x along an axis. Logits of −∞ give −∞, even if all of them are −∞; +∞ and NaN give NaN.
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
            if size <= SHORT {
                return normalize_short_rows(size, &x[start..start + out.len()], out, log);
            }
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
    fn normalize_short_rows<F: Real>(size: usize, x: &[F], out: &mut [F], log: bool) = short_rows_body;
}

#[inline(always)]
fn short_rows_body<const FMA: bool, F: Real>(size: usize, x: &[F], out: &mut [F], log: bool) {
    let mut work = ShortRows::<F, BLOCK>::new();
    let block = BLOCK / size * size;
    for (x, out) in x.chunks(block).zip(out.chunks_mut(block)) {
        work.exponentiate::<FMA>(size, x);
        let (len, rows) = (x.len(), x.len() / size);
        for sum in &mut work.sums[..rows] {
            *sum = normalizer(*sum, log);
        }
        repeat(size, &work.sums[..rows], &mut work.spread[..len]);
        if log {
            for (out, (&x, &sum)) in out.iter_mut().zip(work.centred.iter().zip(&work.spread)) {
                *out = x - sum;
            }
        } else {
            for (out, (&mass, &sum)) in out.iter_mut().zip(work.masses.iter().zip(&work.spread)) {
                *out = mass / sum;
            }
        }
    }
}

/// The normaliser of a row with total mass `sum`: the sum, or its logarithm. It is neutral if there is no mass.
fn normalizer<F: Real>(sum: F, log: bool) -> F {
    match (sum == F::ZERO, log) {
        (false, true) => sum.ln(),
        (false, false) => sum,
        (true, true) => F::ZERO,
        (true, false) => F::ONE,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::reduce::{Reduce, reduce, reduce_row};
    use crate::testing::{broadcast_at, scrambled, shapes, tensor_of};

    const INF: f64 = f64::INFINITY;

    /// Rows of ordinary values, and some that are all −∞, or contain +∞ or NaN.
    fn rows<F: Real>(size: usize) -> Tensor<F> {
        let count = 2 * BLOCK / size + 3;
        Tensor::from_fn([count, size], |i| match (i / size % 7, i % size) {
            (3, _) | (4, 1) => F::NEG_INFINITY,
            (5, 0) => F::INFINITY,
            (6, 1) => F::NAN,
            _ => F::from_f64((i as f64 * 0.7).sin() * 30.0),
        })
    }

    fn same<F: Real>(a: &[F], b: &[F]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || a.is_nan() && b.is_nan())
    }

    fn check<F: Real>(size: usize) {
        let (pool, x) = (Pool::new(), rows::<F>(size));
        for log in [false, true] {
            let mut one_by_one = Tensor::zeros(x.shape().clone());
            for (out, x) in one_by_one.make_mut().chunks_exact_mut(size).zip(x.as_slice().chunks_exact(size)) {
                normalize_row(out, x, log);
            }
            assert!(same(normalize(&pool, &x, 1, log).as_slice(), one_by_one.as_slice()), "{size} {log}");
        }
        let one_by_one: Vec<F> =
            x.as_slice().chunks_exact(size).map(|row| reduce_row(Reduce::LogSumExp, row)).collect();
        assert!(same(reduce(&pool, Reduce::LogSumExp, &x, &[1], false).as_slice(), &one_by_one), "{size}");
    }

    #[test]
    fn short_rows_have_the_same_bits_together_and_alone() {
        for size in [1, 2, 3, 5, 10, 15, 16, 17, 33, SHORT, SHORT + 1] {
            check::<f32>(size);
            check::<f64>(size);
        }
    }

    fn close(a: &Tensor<f64>, b: &Tensor<f64>) -> bool {
        a.max_abs_difference(b).is_some_and(|largest| largest < 1e-9)
    }

    proptest! {
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
    }

    #[test]
    fn softmax_handles_infinities_and_nan() {
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
}
