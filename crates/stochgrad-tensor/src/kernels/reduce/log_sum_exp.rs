//! The logarithm of a sum of exponentials along an axis.

use crate::kernels::fold::BLOCK;
use crate::kernels::fold::{Fold, fold_row, shift_of};
use crate::kernels::reduce::group::{Group, for_blocks};
use crate::kernels::reduce::short_rows::{SHORT, ShortRows};
use crate::parallel::{PIECE, TRANSCENDENTAL, fill, threads_for};
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;

/// Writes ln Σ e^x of the middle axis.
pub(crate) fn log_sum_exp<F: Real>(pool: &Pool<F>, group: &Group<'_, F>, out: &mut [F]) {
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
        add_logs(out, shifts);
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

pub(crate) fn log_sum_exp_row<F: Real>(threads: usize, x: &[F]) -> F {
    let shift = shift_of(fold_row(threads, Fold::Max, x));
    let mut result = [fold_row(threads, Fold::ExpSum(shift), x)];
    add_logs(&mut result, &[shift]);
    result[0]
}

dispatch! {
    /// Replaces each sum by its logarithm plus the shift.
    fn add_logs<F: Real>(sums: &mut [F], shifts: &[F]) = add_logs_body;
}

#[inline(always)]
fn add_logs_body<const FMA: bool, F: Real>(sums: &mut [F], shifts: &[F]) {
    for (sum, &shift) in sums.iter_mut().zip(shifts) {
        *sum = shift + sum.ln_fast::<FMA>();
    }
}

dispatch! {
    /// ln Σ e^x of each row of at most [`SHORT`] elements.
    pub(crate) fn log_sum_exp_short_rows<F: Real>(size: usize, x: &[F], out: &mut [F]) = short_rows_body;
}

#[inline(always)]
fn short_rows_body<const FMA: bool, F: Real>(size: usize, x: &[F], out: &mut [F]) {
    // Chains reduce one block after the other.
    if x.len() <= BLOCK { by_pieces::<FMA, F, 256>(size, x, out) } else { by_pieces::<FMA, F, BLOCK>(size, x, out) }
}

/// The results, computed for up to `N` elements at a time.
#[inline(always)]
fn by_pieces<const FMA: bool, F: Real, const N: usize>(size: usize, x: &[F], out: &mut [F]) {
    let mut work = ShortRows::<F, N>::new();
    let together = N / size;
    for (x, out) in x.chunks(together * size).zip(out.chunks_mut(together)) {
        work.exponentiate::<FMA>(size, x);
        for (out, (&shift, &sum)) in out.iter_mut().zip(work.shifts.iter().zip(&work.sums)) {
            *out = shift + sum.ln_fast::<FMA>();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::kernels::reduce::{Reduce, reduce};
    use crate::storage::pool::Pool;
    use crate::storage::tensor::Tensor;

    const INF: f64 = f64::INFINITY;

    #[test]
    fn log_sum_exp_handles_infinities_and_nan() {
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
}
