//! The distribution function of the standard normal distribution, its logarithm and its inverse.

use super::erf::erfc;
use super::normal_quantile::standard_quantile;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI};

/// The standard normal distribution function, P(Z <= x).
///
/// Domain: all reals and both infinities. Relative error below 1e-15 * (1 + x^2), due to the rounding of x / sqrt(2).
/// The result underflows to 0 below x = -38.6. Computed from [`erfc`].
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// ln of [`normal_cdf`], which is finite where the probability underflows.
///
/// Domain: all reals and both infinities; -inf at -inf. Relative error below 2e-15 for x < 0, and below 1e-15 * (1 +
/// x^2) for x > 0, where the result is about -P(Z > x). For x < -14 the function uses the asymptotic series of the
/// Mills ratio (Abramowitz & Stegun 26.2.12).
///
/// ```
/// # use stochgrad_tensor::special::normal_log_cdf;
/// assert!((normal_log_cdf(-40.0) + 804.6084420137538).abs() < 1e-10);
/// ```
pub fn normal_log_cdf(x: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if x < -14.0 {
        -0.5 * x * x + log_mills_far(-x)
    } else if x < -1.0 {
        erfc(-x * FRAC_1_SQRT_2).ln() - LN_2
    } else {
        (-0.5 * erfc(x * FRAC_1_SQRT_2)).ln_1p()
    }
}

/// ln(P(Z > x) e^(x²/2)) for x > 14, by the asymptotic series.
fn log_mills_far(x: f64) -> f64 {
    let inverse = 1.0 / (x * x);
    let mut term = 1.0;
    let mut series = 0.0;
    for k in 1..12 {
        term *= -f64::from(2 * k - 1) * inverse;
        series += term;
    }
    series.ln_1p() - x.ln() - 0.5 * (2.0 * PI).ln()
}

/// ln(P(Z > x) e^(x²/2)): the upper tail of the standard normal distribution without its exponential decay. It is the
/// logarithm of the Mills ratio minus ln(2 pi) / 2.
///
/// Domain: all reals and +inf, which gives -inf; for x below -1e154 the result overflows. Error below 1e-13 * max(1,
/// |result|).
pub fn normal_log_mills(x: f64) -> f64 {
    if x > 14.0 { log_mills_far(x) } else { normal_log_cdf(-x) + 0.5 * x * x }
}

/// The inverse of [`normal_log_cdf`]: the x with ln P(Z <= x) = `log_p`.
///
/// Domain: log_p <= 0; 0 gives +inf, -inf gives -inf, and anything else gives NaN. Relative error below 1e-14 for
/// probabilities up to 1/2; above, the rounding of `log_p` dominates. Method: Newton's method on the logarithm, which
/// is concave.
pub fn normal_icdf_of_log(log_p: f64) -> f64 {
    if log_p.is_nan() || log_p > 0.0 {
        return f64::NAN;
    }
    if log_p > -700.0 {
        return if log_p > -LN_2 { -normal_icdf(-log_p.exp_m1()) } else { normal_icdf(log_p.exp()) };
    }
    if log_p == f64::NEG_INFINITY {
        return log_p;
    }
    let mut x = -(-2.0 * log_p - (-2.0 * log_p).ln() - (2.0 * PI).ln()).sqrt();
    for _ in 0..20 {
        // The derivative of the logarithm is the density divided by the probability: 1 / (sqrt(2 pi) e^mills).
        let mills = log_mills_far(-x);
        let step = (-0.5 * x * x + mills - log_p) * (mills + 0.5 * (2.0 * PI).ln()).exp();
        x -= step;
        if step.abs() <= 2.0 * f64::EPSILON * x.abs() {
            break;
        }
    }
    x
}

/// The inverse of [`normal_cdf`]: the x with P(Z <= x) = p.
///
/// Domain: 0 <= p <= 1; the ends give -inf and +inf, and anything else gives NaN. Relative error below 2e-15
/// (Wichura, "Algorithm AS241: The percentage points of the normal distribution", Applied Statistics 37, 1988).
pub fn normal_icdf(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    standard_quantile(p - 0.5, p.min(1.0 - p))
}

#[cfg(test)]
mod tests {
    use super::super::assertions::assert_relative;
    use super::*;

    /// x, the distribution function at x, its logarithm, from mpmath at 40 digits.
    const CDF: [(f64, f64, f64); 12] = [
        (-37.0, 5.725571222524577e-300, -689.0305855768906),
        (-20.0, 2.7536241186062337e-89, -203.91715537109727),
        (-14.1, 1.8988485212291758e-45, -102.97508152373534),
        (-13.9, 3.167068268130779e-44, -100.16093776832581),
        (-6.0, 9.86587645037698e-10, -20.736768949974707),
        (-1.1, 0.13566606094638264, -1.997558846986297),
        (-0.9, 0.18406012534675947, -1.6924928065613383),
        (-1e-08, 0.4999999960105772, -0.693147188538791),
        (0.0, 0.5, -std::f64::consts::LN_2),
        (0.5, 0.6914624612740131, -0.3689464152886564),
        (3.0, 0.9986501019683699, -0.0013508099647481938),
        (8.0, 0.9999999999999993, -6.220960574271786e-16),
    ];

    /// x, ln of the distribution function where it underflows, from mpmath at 40 digits.
    const FAR_LOG_CDF: [(f64, f64); 4] = [
        (-40.0, -804.6084420137538),
        (-100.0, -5005.524208694205),
        (-10000.0, -50000010.12927891),
        (-100000000.0, -5000000000000019.0),
    ];

    #[test]
    fn logarithms_of_tails() {
        // From mpmath at 40 digits.
        for (x, expected) in [
            (-3.0, 4.498649190035252),
            (0.0, -LN_2),
            (2.0, -1.7831843336820319),
            (13.9, -3.5559377683258053),
            (14.1, -3.57008152373535),
            (1e3, -7.82669481218431),
            (1e9, -21.642204370151084),
        ] {
            assert!(
                (normal_log_mills(x) - expected).abs() < 1e-13 * f64::abs(expected).max(1.0),
                "{x}: {}",
                normal_log_mills(x)
            );
        }
        for x in [-1e8, -1e4, -100.0, -40.0, -37.2, -20.0, -3.0, -0.5, 0.0, 0.7, 2.0] {
            assert_relative(&format!("{x}"), normal_icdf_of_log(normal_log_cdf(x)) + 1.0, x + 1.0, 1e-13);
        }
        assert_eq!(normal_icdf_of_log(0.0), f64::INFINITY);
        assert_eq!(normal_icdf_of_log(f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(normal_icdf_of_log(0.1).is_nan());
    }

    /// p, the quantile, from mpmath at 40 digits.
    const QUANTILE: [(f64, f64); 14] = [
        (1e-300, -37.0470962993612),
        (1e-40, -13.31092137142517),
        (1e-12, -7.034483825301132),
        (1.3e-11, -6.667611456510741),
        (0.001, -3.0902323061678136),
        (0.0749, -1.4402382675279637),
        (0.0751, -1.43882539275254),
        (0.3, -0.5244005127080408),
        (0.499999, -2.5066282745665593e-06),
        (0.7, 0.5244005127080407),
        (0.93, 1.475791028179171),
        (0.975, 1.9599639845400538),
        (0.9999999, 5.199337582290661),
        (0.9999999999999999, 8.209536151601387),
    ];

    #[test]
    fn distribution_function_matches_mpmath() {
        for (x, value, log) in CDF {
            let rounding = 1e-15 * (1.0 + x * x);
            assert_relative(&format!("normal_cdf({x})"), normal_cdf(x), value, rounding);
            let bound = if x > 0.0 { rounding } else { 2e-15 };
            assert_relative(&format!("normal_log_cdf({x})"), normal_log_cdf(x), log, bound);
        }
        for (x, log) in FAR_LOG_CDF {
            assert_relative(&format!("normal_log_cdf({x})"), normal_log_cdf(x), log, 2e-15);
        }
    }

    #[test]
    fn quantile_matches_mpmath() {
        for (p, expected) in QUANTILE {
            assert_relative(&format!("normal_icdf({p})"), normal_icdf(p), expected, 2e-15);
        }
    }

    #[test]
    fn edges_take_their_limits() {
        let inf = f64::INFINITY;
        assert_eq!((normal_cdf(-inf), normal_cdf(inf)), (0.0, 1.0));
        assert_eq!((normal_log_cdf(-inf), normal_log_cdf(inf)), (-inf, 0.0));
        assert_eq!((normal_icdf(0.0), normal_icdf(0.5), normal_icdf(1.0)), (-inf, 0.0, inf));
        assert!(normal_icdf(-0.1).is_nan() && normal_icdf(1.1).is_nan() && normal_icdf(f64::NAN).is_nan());
        assert!(normal_cdf(f64::NAN).is_nan() && normal_log_cdf(f64::NAN).is_nan());
    }
}
