//! The beta function and the regularised incomplete beta function.

use super::gamma::{lgamma, stirling_error};
use super::incomplete_gamma::LARGE_SHAPE;
use super::quadrature::beta_lower_tail;
use super::saddle_point::log_beta_kernel;
use std::f64::consts::PI;

/// The logarithm of the beta function, ln B(a, b), with B(a, b) = gamma(a) gamma(b) / gamma(a + b).
///
/// Domain: a > 0 and b > 0, both finite; anything else gives NaN. Error below 3e-15 * max(1, |result|) for arguments up
/// to 1e15, including arguments of very different size (Stirling remainders, as in DiDonato & Morris, "Algorithm 708",
/// 1992).
pub fn log_beta(a: f64, b: f64) -> f64 {
    if !(a > 0.0 && b > 0.0 && a < f64::INFINITY && b < f64::INFINITY) {
        return f64::NAN;
    }
    let (small, large) = if a <= b { (a, b) } else { (b, a) };
    let ratio = small / large;
    if large < 10.0 {
        lgamma(small) + lgamma(large) - lgamma(small + large)
    } else if small < 10.0 {
        let corrections = stirling_error(large) - stirling_error(small + large);
        let powers = (large - 0.5 + small) * ratio.ln_1p() + small * (large.ln() - 1.0);
        lgamma(small) + corrections - powers
    } else {
        let corrections = stirling_error(small) + stirling_error(large) - stirling_error(small + large);
        let log_share = -(large / small).ln_1p();
        0.5 * (2.0 * PI).ln() - 0.5 * large.ln() + (small - 0.5) * log_share - large * ratio.ln_1p() + corrections
    }
}

/// The regularised incomplete beta function I_x(a, b), the distribution function of Beta(a, b).
///
/// Domain: finite a > 0 and b > 0, 0 <= x <= 1; anything else gives NaN. Relative error below 2e-12 on the smaller of I
/// and 1 - I for a, b in [1e-3, 1e6], down to 1e-300. If 1 - x is tiny, the rounding error of x dominates; pass 1 - x
/// separately to [`beta_inc_pair`] in this case.
///
/// Method: quadrature on the logit scale if both a and b are at least 30, otherwise the continued fraction of NIST
/// DLMF 8.17.22, whose cost grows with the square root of max(a, b); the prefactor in Loader's form.
///
/// ```
/// # use stochgrad_tensor::special::beta_inc;
/// assert!((beta_inc(2.0, 1.0, 0.5) - 0.25).abs() < 1e-15);
/// ```
pub fn beta_inc(a: f64, b: f64, x: f64) -> f64 {
    if !(a > 0.0 && b > 0.0 && a < f64::INFINITY && b < f64::INFINITY && (0.0..=1.0).contains(&x)) {
        return f64::NAN;
    }
    beta_inc_pair(a, b, x, 1.0 - x)
}

/// I_x(a, b) with y = 1 - x passed separately, for callers that know y more accurately than by subtraction.
///
/// Domain: finite positive a and b, x and y in [0, 1]; elsewhere the result is not specified. Error as for
/// [`beta_inc`].
pub fn beta_inc_pair(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x == 0.0 {
        return 0.0;
    }
    if y == 0.0 {
        return 1.0;
    }
    let kernel = log_beta_kernel(a, b, x, y).exp();
    let probability = if a.min(b) >= LARGE_SHAPE {
        if a * y >= b * x { kernel * beta_lower_tail(a, b, x, y) } else { 1.0 - kernel * beta_lower_tail(b, a, y, x) }
    } else {
        by_continued_fraction(a, b, x, y, kernel)
    };
    probability.clamp(0.0, 1.0)
}

/// I_x(a, b) from its continued fraction; `kernel` is x^a y^b / B(a, b).
fn by_continued_fraction(a: f64, b: f64, x: f64, y: f64, kernel: f64) -> f64 {
    if x * (a + b + 2.0) < a + 1.0 {
        kernel * continued_fraction(a, b, x) / a
    } else {
        let complement = kernel * continued_fraction(b, a, y) / b;
        // With small b, this part may still be the smaller one. The other fraction converges, although slowly, unless x
        // is close to 1.
        if complement > 0.75 && y > 1e-4 { kernel * continued_fraction(a, b, x) / a } else { 1.0 - complement }
    }
}

/// The continued fraction of a I_x(a, b) B(a, b) / (x^a (1 - x)^b), by the modified Lentz method.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    let limit = (200.0 + 20.0 * a.max(b).sqrt() + 100.0 / (1.0 - x).sqrt()).min(1e6);
    let mut m = 1.0;
    while m < limit {
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let change = d * c;
        fraction *= change;
        if (change - 1.0).abs() <= f64::EPSILON {
            break;
        }
        m += 1.0;
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{POSITIVE, PROBABILITIES, assert_near, assert_relative};
    use super::*;

    /// a, b, ln B(a, b), from mpmath at 40 digits.
    const LOG_BETA: [(f64, f64, f64); 10] = [
        (0.001, 0.001, 7.600900817008347),
        (0.001, 1000000.0, 6.893363375325389),
        (0.5, 0.5, 1.1447298858494002),
        (1.0, 7.0, -1.9459101490553132),
        (3.0, 9.99, -6.48949614955547),
        (9.99, 10.0, -13.729038816824689),
        (10.0, 10.0, -13.736229227036555),
        (12.0, 1000000000.0, -231.17688226348304),
        (2.0, 1000000000000000.0, -69.07755278982137),
        (1000000.0, 1000000.0, -1386300.003362921),
    ];

    /// a, b, x, I_x(a, b), 1 - I_x(a, b), from mpmath at 40 digits.
    const BETA_INC: [(f64, f64, f64, f64, f64); 16] = [
        (0.001, 0.001, 0.3, 0.49957696213967645, 0.5004230378603235),
        (0.001, 5.0, 1e-08, 0.9837946833201496, 0.016205316679850323),
        (0.02, 40.0, 0.01, 0.9857546840324108, 0.014245315967589114),
        (0.5, 0.5, 0.7, 0.6309898804344546, 0.3690101195655454),
        (1.0, 1.0, 0.3, 0.3, 0.7),
        (2.0, 3.0, 0.4, 0.5248, 0.47519999999999996),
        (5.0, 0.01, 0.88, 0.004783154915843448, 0.9952168450841565),
        (20.0, 0.3, 0.5, 6.13095583157747e-08, 0.9999999386904417),
        (29.0, 31.0, 0.6, 0.9655674792048524, 0.034432520795147616),
        (30.0, 30.0, 0.2, 1.2752139235819434e-07, 0.9999998724786077),
        (30.0, 30.0, 0.5, 0.5, 0.5),
        (31.0, 400.0, 0.15, 0.9999997412827544, 2.5871724560293117e-07),
        (1000.0, 1000.0, 0.51, 0.8144473405684886, 0.18555265943151145),
        (800.0, 200000.0, 0.003, 9.110655602159898e-15, 0.9999999999999909),
        (1000000.0, 1000000.0, 0.4985, 1.1044804636424807e-05, 0.9999889551953636),
        (823194.9031390646, 1011.843130931805, 0.9987358319394423, 0.17160758755134992, 0.8283924124486501),
    ];

    #[test]
    fn log_beta_matches_mpmath() {
        for (a, b, expected) in LOG_BETA {
            assert_near(&format!("log_beta({a}, {b})"), log_beta(a, b), expected, 3e-15);
            assert_eq!(log_beta(a, b), log_beta(b, a));
        }
    }

    #[test]
    fn beta_inc_matches_mpmath() {
        for (a, b, x, value, complement) in BETA_INC {
            let bound = |part: f64| if part <= 0.5 { 2e-12 } else { 1e-13 };
            assert_relative(&format!("I at {a}, {b}, {x}"), beta_inc(a, b, x), value, bound(value));
            let swapped = beta_inc_pair(b, a, 1.0 - x, x);
            // If 1 - x is rounded, so is the argument of the complement.
            let slack = if x >= 0.5 { 0.0 } else { 1e-12 };
            assert_relative(&format!("1 - I at {a}, {b}, {x}"), swapped, complement, bound(complement) + slack);
        }
    }

    #[test]
    fn methods_agree_where_they_meet() {
        let (below, above) = (LARGE_SHAPE.next_down(), LARGE_SHAPE);
        for (other, x) in [(30.0, 0.3), (45.0, 0.39), (45.0, 0.41), (1e4, 2e-3), (1e4, 4e-3)] {
            assert_relative(&format!("a at {other}, {x}"), beta_inc(below, other, x), beta_inc(above, other, x), 1e-12);
            assert_relative(&format!("b at {other}, {x}"), beta_inc(other, below, x), beta_inc(other, above, x), 1e-12);
        }
    }

    #[test]
    fn edges_and_domain_are_as_documented() {
        assert_eq!((beta_inc(2.0, 3.0, 0.0), beta_inc(2.0, 3.0, 1.0)), (0.0, 1.0));
        for (a, b, x) in [
            (0.0, 1.0, 0.5),
            (1.0, -1.0, 0.5),
            (f64::INFINITY, 1.0, 0.5),
            (1.0, 1.0, 1.5),
            (1.0, 1.0, -0.5),
            (1.0, 1.0, f64::NAN),
        ] {
            assert!(beta_inc(a, b, x).is_nan(), "a = {a}, b = {b}, x = {x}");
        }
        assert!(
            log_beta(0.0, 1.0).is_nan() && log_beta(1.0, f64::INFINITY).is_nan() && log_beta(f64::NAN, 1.0).is_nan()
        );
    }

    #[test]
    fn never_nan_inside_the_domain() {
        for a in POSITIVE {
            for b in POSITIVE {
                assert!(!log_beta(a, b).is_nan(), "a = {a:e}, b = {b:e}");
                // For larger shapes the continued fraction would take minutes.
                if a.max(b) < 1e9 {
                    for x in PROBABILITIES {
                        let value = beta_inc(a, b, x);
                        assert!((0.0..=1.0).contains(&value), "a = {a:e}, b = {b:e}, x = {x:e}: {value:e}");
                    }
                }
            }
        }
    }
}
