//! The logarithm of the beta function.

use super::gamma::{lgamma, stirling_error};
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

#[cfg(test)]
mod tests {
    use super::super::assertions::{POSITIVE, assert_near};
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

    #[test]
    fn log_beta_matches_mpmath() {
        for (a, b, expected) in LOG_BETA {
            assert_near(&format!("log_beta({a}, {b})"), log_beta(a, b), expected, 3e-15);
            assert_eq!(log_beta(a, b), log_beta(b, a));
        }
    }

    #[test]
    fn never_nan_inside_the_domain() {
        for a in POSITIVE {
            for b in POSITIVE {
                assert!(!log_beta(a, b).is_nan(), "a = {a:e}, b = {b:e}");
            }
        }
        assert!(
            log_beta(0.0, 1.0).is_nan() && log_beta(1.0, f64::INFINITY).is_nan() && log_beta(f64::NAN, 1.0).is_nan()
        );
    }
}
