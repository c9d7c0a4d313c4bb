//! Quantiles of the standard normal distribution between two bounds, vectorised.
//!
//! Everything that depends only on the bounds is computed once for a row of probabilities between the same bounds. In
//! single precision the rest is a vector loop without branches. It evaluates the rational functions of PPND7 (Wichura,
//! "Algorithm AS241: The percentage points of the normal distribution", Applied Statistics 37, 1988), whose
//! coefficients are copied from the paper and whose relative error is about 1e-7. The probabilities of both tails are
//! passed separately, so that neither is computed as 1 minus the other.

use std::f64::consts::FRAC_1_SQRT_2;

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::zip::fill_rows;
use crate::parallel::{TRANSCENDENTAL, threads_for};
use crate::real::Real;
use crate::simd::dispatch;
use crate::special::{TruncatedQuantile, erf, normal_cdf, normal_log_mass};
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The least mass between the bounds for which single precision is accurate enough.
const LEAST_MASS: f64 = 1e-28;

/// The quantiles of probabilities `u` of the standard normal distribution between two bounds, with broadcasting. Each
/// is [`truncated_normal_icdf`](crate::special::truncated_normal_icdf).
///
/// The error in single precision is below 4e-7 · max(1, |result|).
///
/// # Panics
/// If the shapes do not broadcast.
///
/// ```
/// use stochgrad_tensor::{Pool, Tensor, truncated_normal_quantiles};
///
/// let u = Tensor::<f32>::from([0.25, 0.5, 0.75]);
/// let z = truncated_normal_quantiles(&Pool::new(), &u, &Tensor::scalar(-1.0), &Tensor::scalar(1.0));
/// assert!(z.as_slice()[1].abs() < 1e-7 && (z.as_slice()[0] + z.as_slice()[2]).abs() < 1e-6);
/// ```
pub fn truncated_normal_quantiles<F: Real>(
    pool: &Pool<F>,
    u: &Tensor<F>,
    low: &Tensor<F>,
    high: &Tensor<F>,
) -> Tensor<F> {
    let inputs = [u, low, high];
    let shape = inputs.iter().fold(Shape::scalar(), |shape, input| {
        Shape::broadcast(&shape, input.shape())
            .unwrap_or_else(|| panic!("shapes {shape} and {} do not broadcast", input.shape()))
    });
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    let iter = BroadcastIter::new(&out.shape().clone(), inputs.map(Tensor::shape));
    let steps = iter.steps;
    let [u, low, high] = inputs.map(Tensor::as_slice);
    fill_rows(threads_for(pool.threads(), out.len(), TRANSCENDENTAL / 4), &iter, out.make_mut(), |row, at| {
        let between = |i: usize| (low[at[1] + i * steps[1]].to_f64(), high[at[2] + i * steps[2]].to_f64());
        let still = steps == [1, 0, 0];
        match SingleQuantile::new(between(0)).filter(|_| still && F::EPSILON.to_f64() > 1e-10) {
            Some(quantile) => single_slice(&quantile, &u[at[0]..at[0] + row.len()], row),
            None => {
                let of_row = TruncatedQuantile::new(between(0));
                for (i, out) in row.iter_mut().enumerate() {
                    let own = if still { of_row } else { TruncatedQuantile::new(between(i)) };
                    *out = F::from_f64(own.at(u[at[0] + i * steps[0]].to_f64()));
                }
            }
        }
    });
    out
}

/// The quantile function between two bounds, in single precision.
struct SingleQuantile {
    low: f64,
    high: f64,
    /// The distribution function minus ½ at the lower bound, and its increase from there to the upper bound.
    centre: (f64, f64),
    below: f64,
    above: f64,
    mass: f64,
}

impl SingleQuantile {
    /// `None` if single precision is not accurate enough.
    fn new((low, high): (f64, f64)) -> Option<Self> {
        let mass = normal_log_mass(low, high).exp();
        let centre = [low, high].map(|bound| 0.5 * erf(bound * FRAC_1_SQRT_2));
        (mass > LEAST_MASS).then(|| SingleQuantile {
            low,
            high,
            centre: (centre[0], centre[1] - centre[0]),
            below: normal_cdf(low),
            above: normal_cdf(-high),
            mass,
        })
    }
}

dispatch! {
    /// The quantiles of probabilities.
    fn single_slice<F: Real>(quantile: &SingleQuantile, u: &[F], out: &mut [F]) = single_body;
}

#[inline(always)]
fn single_body<const FMA: bool, F: Real>(quantile: &SingleQuantile, u: &[F], out: &mut [F]) {
    let constant = F::from_f64;
    let (low, high) = (constant(quantile.low), constant(quantile.high));
    let (centre, slope) = (constant(quantile.centre.0), constant(quantile.centre.1));
    let (below, above, mass) = (constant(quantile.below), constant(quantile.above), constant(quantile.mass));
    for (out, &u) in out.iter_mut().zip(u) {
        let centred = u.multiply_add::<FMA>(slope, centre);
        let (left, right) = (u.multiply_add::<FMA>(mass, below), (F::ONE - u).multiply_add::<FMA>(mass, above));
        let upper = right < left;
        let tail = if upper { right } else { left };
        let inner = inner_quantile::<FMA, F>(centred);
        let outer = outer_quantile::<FMA, F>(tail);
        let outer = if upper { outer } else { -outer };
        let z = if centred.abs() <= constant(0.425) { inner } else { outer };
        let z = if z < low { low } else { z };
        let z = if z > high { high } else { z };
        *out = if (u >= F::ZERO) & (u <= F::ONE) { z } else { F::NAN };
    }
}

/// The standard normal quantile of ½ + `centred`, for |centred| ≤ 0.425.
#[inline(always)]
fn inner_quantile<const FMA: bool, F: Real>(centred: F) -> F {
    let r = (-centred).multiply_add::<FMA>(centred, F::from_f64(0.180625));
    let above = polynomial::<FMA, F, 4>([59.109374720, 159.29113202, 50.434271938, 3.3871327179], r);
    centred * above / polynomial::<FMA, F, 4>([67.187563600, 78.757757664, 17.895169469, 1.0], r)
}

/// The x > 0 that a standard normal sample exceeds with this small probability.
#[inline(always)]
fn outer_quantile<const FMA: bool, F: Real>(tail: F) -> F {
    let root = (-tail.ln_fast::<FMA>()).sqrt();
    let far = root > F::from_f64(5.0);
    let r = root - F::from_f64(if far { 5.0 } else { 1.6 });
    let choose = |distant: f64, near: f64| F::from_f64(if far { distant } else { near });
    let above = choose(0.017337203997, 0.17023821103)
        .multiply_add::<FMA>(r, choose(0.42868294337, 1.3067284816))
        .multiply_add::<FMA>(r, choose(3.0812263860, 2.7568153900))
        .multiply_add::<FMA>(r, choose(6.6579051150, 1.4234372777));
    let below = choose(0.012258202635, 0.12021132975)
        .multiply_add::<FMA>(r, choose(0.24197894225, 0.73700164250))
        .multiply_add::<FMA>(r, F::ONE);
    above / below
}

/// The polynomial with these coefficients, highest power first.
#[inline(always)]
fn polynomial<const FMA: bool, F: Real, const N: usize>(terms: [f64; N], x: F) -> F {
    terms.iter().skip(1).fold(F::from_f64(terms[0]), |sum, &term| sum.multiply_add::<FMA>(x, F::from_f64(term)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::special::truncated_normal_icdf;

    const BOUNDS: [(f64, f64); 12] = [
        (-1.0, 2.5),
        (-0.9, 1.5),
        (-1e10, 1e10),
        (0.5, 1e10),
        (-1e10, -0.1),
        (0.3, 0.301),
        (2.0, 2.5),
        (8.0, 9.0),
        (-11.0, -10.0),
        (-8.0, 7.0),
        (40.0, 41.0),
        (-1e-3, 1e-3),
    ];

    #[test]
    fn single_precision_keeps_its_bound() {
        let mut worst = 0.0_f64;
        // Evenly spaced probabilities, and some towards both ends.
        let u: Vec<f32> = (1..4000)
            .map(|i| i as f32 / 4000.0)
            .chain((1..24).map(|k| 0.5_f32.powi(k)))
            .chain((1..24).map(|k| 1.0 - 0.5_f32.powi(k)))
            .collect();
        let u = Tensor::<f32>::from(u.as_slice());
        for (low, high) in BOUNDS {
            let (low, high) = (low as f32, high as f32);
            let z = truncated_normal_quantiles(&Pool::new(), &u, &Tensor::scalar(low), &Tensor::scalar(high));
            for (&u, &z) in u.as_slice().iter().zip(z.as_slice()) {
                let exact = truncated_normal_icdf(u.into(), low.into(), high.into());
                let error = (f64::from(z) - exact).abs() / exact.abs().max(1.0);
                assert!(error < 4e-7 && low <= z && z <= high, "{u} between {low} and {high}: {z}, expected {exact}");
                worst = worst.max(error);
            }
        }
        println!("worst error {worst:.1e}");
    }

    #[test]
    fn double_precision_and_varying_bounds_agree_with_the_scalar_function() {
        let u = Tensor::<f64>::from_fn([3, 50], |i| (i % 50) as f64 / 50.0 + 0.01);
        let (low, high) = (Tensor::from([[-1.0], [40.0], [2.0]]), Tensor::from([[2.5], [41.0], [1.0]]));
        let z = truncated_normal_quantiles(&Pool::with_threads(2), &u, &low, &high);
        for (i, (&u, &z)) in u.as_slice().iter().zip(z.as_slice()).enumerate() {
            let expected = truncated_normal_icdf(u, low.as_slice()[i / 50], high.as_slice()[i / 50]);
            assert!(z == expected || (z.is_nan() && expected.is_nan()), "{z}, expected {expected}");
        }
        let low = Tensor::from_fn([50], |i| i as f64 / 50.0);
        let z = truncated_normal_quantiles(&Pool::new(), &Tensor::scalar(0.25), &low, &Tensor::scalar(3.0));
        for (&low, &z) in low.as_slice().iter().zip(z.as_slice()) {
            assert_eq!(z, truncated_normal_icdf(0.25, low, 3.0));
        }
    }

    #[test]
    fn arguments_outside_of_0_and_1_give_nan() {
        let u = Tensor::<f32>::from([-0.5, 1.5, f32::NAN]);
        let z = truncated_normal_quantiles(&Pool::new(), &u, &Tensor::scalar(-1.0), &Tensor::scalar(1.0));
        assert!(z.as_slice().iter().all(|z| z.is_nan()));
        let bound = Tensor::scalar(1.0);
        assert!(truncated_normal_quantiles(&Pool::<f32>::new(), &Tensor::zeros([0]), &bound, &bound).is_empty());
    }
}
