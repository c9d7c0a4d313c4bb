//! ln(1 − e^x), vectorised.

use std::f64::consts::LN_2;

use crate::parallel::{PIECE, TRANSCENDENTAL, fill, threads_for};
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// ln(1 − e^x) of each element, for log-probabilities x ≤ 0. It is −∞ at 0, and NaN for x > 0.
///
/// The error is below 8 units in the last place, as that of
/// [`special::log1mexp`](crate::special::log1mexp), whose two formulas it evaluates without a branch.
///
/// ```
/// use stochgrad_tensor::{Pool, Tensor, log1mexp};
///
/// let x = Tensor::<f64>::from([-0.5, 0.0]);
/// let result = log1mexp(&Pool::new(), &x);
/// assert!((result.as_slice()[0] - (1.0 - (-0.5_f64).exp()).ln()).abs() < 1e-15);
/// assert_eq!(result.as_slice()[1], f64::NEG_INFINITY);
/// ```
pub fn log1mexp<F: Real>(pool: &Pool<F>, x: &Tensor<F>) -> Tensor<F> {
    let mut out = pool.take(x.shape().clone());
    let x = x.as_slice();
    let threads = threads_for(pool.threads(), x.len(), TRANSCENDENTAL);
    fill(threads, out.make_mut(), PIECE, |start, out| log1mexp_slice(&x[start..start + out.len()], out));
    out
}

dispatch! {
    fn log1mexp_slice<F: Real>(x: &[F], out: &mut [F]) = log1mexp_body;
}

#[inline(always)]
fn log1mexp_body<const FMA: bool, F: Real>(x: &[F], out: &mut [F]) {
    let border = F::from_f64(-LN_2);
    for (out, &x) in out.iter_mut().zip(x) {
        let near = (F::ZERO - x.exp_m1_fast::<FMA>()).ln_fast::<FMA>();
        let far = (-x.exp_fast::<FMA>()).ln_1p_fast::<FMA>();
        *out = if x > border { near } else { far };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::special;

    /// The largest error in units in the last place, against the scalar function in double precision.
    fn worst<F: Real>(points: impl Iterator<Item = f64>) -> f64 {
        let x: Vec<F> = points.map(F::from_f64).collect();
        let result = log1mexp(&Pool::new(), &Tensor::from(x.clone()));
        let error = |(x, got): (&F, &F)| {
            let exact = special::log1mexp(x.to_f64());
            // Below the smallest normal value, the distance between values no longer decreases.
            let unit = (exact.abs() * F::EPSILON.to_f64()).max(F::MIN_POSITIVE.to_f64() * F::EPSILON.to_f64());
            (got.to_f64() - exact).abs() / unit
        };
        x.iter().zip(result.as_slice()).map(error).fold(0.0, f64::max)
    }

    /// Arguments from 1e-30 to 80, on both sides of the border between the formulas.
    fn points() -> impl Iterator<Item = f64> {
        let spread = (0..20_000).map(|i| -(10.0_f64.powf(-30.0 + 31.9 * f64::from(i) / 20_000.0)));
        spread.chain((0..20_000).map(|i| -LN_2 * (1.0 + (f64::from(i) - 10_000.0) * 1e-6)))
    }

    #[test]
    fn the_errors_are_within_the_bound() {
        let (single, double) = (worst::<f32>(points()), worst::<f64>(points()));
        assert!(single < 8.0 && double < 8.0, "{single} and {double} units");
    }

    #[test]
    fn the_ends_of_the_domain() {
        fn ends<F: Real>() {
            let x = [0.0, -0.0, f64::NEG_INFINITY, 0.5, f64::INFINITY, f64::NAN].map(F::from_f64);
            let result: Vec<f64> =
                log1mexp(&Pool::new(), &Tensor::from(x.to_vec())).as_slice().iter().map(|x| x.to_f64()).collect();
            assert_eq!(result[..2], [f64::NEG_INFINITY; 2]);
            assert_eq!(result[2], 0.0);
            assert!(result[3..].iter().all(|x| x.is_nan()), "{result:?}");
        }
        ends::<f32>();
        ends::<f64>();
    }

    #[test]
    fn threads_do_not_change_the_bits() {
        let x = Tensor::<f32>::from_fn([100_000], |i| -(i as f32) * 1e-4);
        let bits = |threads| {
            let result = log1mexp(&Pool::with_threads(threads), &x);
            result.as_slice().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(bits(1), bits(8));
    }
}
