//! The arc sine, without branches.

use crate::real::Real;

/// (asin(x) − x) / x³ in x² for |x| ≤ ½ is the quotient of these polynomials, highest power first: the coefficients of
/// `asin` in FreeBSD's msun. The relative error is below 2e-18.
const ABOVE: [f64; 6] = [
    3.479_331_075_960_212e-5,
    7.915_349_942_898_145e-4,
    -4.005_553_450_067_941e-2,
    2.012_125_321_348_629_3e-1,
    -3.255_658_186_224_009e-1,
    1.666_666_666_666_666_6e-1,
];
const BELOW: [f64; 5] =
    [7.703_815_055_590_194e-2, -6.882_839_716_054_533e-1, 2.020_945_760_233_505_7, -2.403_394_911_734_414, 1.0];

#[inline(always)]
fn polynomial<const FMA: bool, F: Real, const N: usize>(terms: [f64; N], x: F) -> F {
    terms.iter().skip(1).fold(F::from_f64(terms[0]), |sum, &term| sum.multiply_add::<FMA>(x, F::from_f64(term)))
}

/// The arc sine of `root`, for 0 ≤ root ≤ 1.
///
/// From ½ on it is ½ π − 2 asin √(½ (1 − root)).
#[inline(always)]
pub(super) fn arc_sine<const FMA: bool, F: Real>(root: F) -> F {
    let half = F::from_f64(0.5);
    let far = root > half;
    let square = if far { half * (F::ONE - root) } else { root * root };
    let x = if far { square.sqrt() } else { root };
    let quotient = polynomial::<FMA, F, 6>(ABOVE, square) / polynomial::<FMA, F, 5>(BELOW, square);
    let small = (x * square).multiply_add::<FMA>(quotient, x);
    if far { F::from_f64(std::f64::consts::FRAC_PI_2) - (small + small) } else { small }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<F: Real>() {
        for i in 0..=1000 {
            let x = F::from_f64(f64::from(i) / 1000.0);
            let exact = x.to_f64().asin();
            for found in [arc_sine::<true, F>(x), arc_sine::<false, F>(x)] {
                let error = (found.to_f64() - exact).abs();
                assert!(error <= 4.0 * F::EPSILON.to_f64() * exact, "asin {x}: {found} where {exact} is exact");
            }
        }
    }

    #[test]
    fn values_are_accurate() {
        check::<f32>();
        check::<f64>();
    }
}
