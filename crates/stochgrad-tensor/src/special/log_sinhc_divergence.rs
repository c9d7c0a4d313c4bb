//! The Bregman divergence of ln(sinh x / x), of which the divergence of continuous Bernoulli distributions consists.

use super::log_sinhc::log_sinhc;
use super::quadrature::legendre;

/// f(b) - f(a) - (b - a) f'(a) for f(x) = ln(sinh x / x).
///
/// Domain: finite a and b; anything else gives NaN. The result is not negative. Relative error below 1e-12, also where b
/// is close to a.
///
/// ```
/// # use stochgrad_tensor::special::log_sinhc_divergence;
/// // f''(0) = 1/3
/// assert!((log_sinhc_divergence(0.0, 1e-6) / 1e-12 - 1.0 / 6.0).abs() < 1e-12);
/// ```
pub fn log_sinhc_divergence(a: f64, b: f64) -> f64 {
    if !(a.is_finite() && b.is_finite()) {
        return f64::NAN;
    }
    let d = b - a;
    if d.abs() <= 1.0 {
        return d * d * legendre(0.0, 1.0, |u| (1.0 - u) * log_sinhc(2, a + u * d));
    }
    log_sinhc(0, b) - log_sinhc(0, a) - d * log_sinhc(1, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// a, b and the value, from mpmath at 60 digits.
    const KNOWN: [(f64, f64, f64); 10] = [
        (0.5, 0.5005, 3.966191841927719e-08),
        (0.0, 1e-09, 1.666666666666667e-19),
        (3.0, 3.0000001, 5.057338160367476e-16),
        (-2.0, -1.999, 8.700446706954175e-08),
        (40.0, 40.5, 7.74800014428467e-05),
        (500.0, 499.9, 2.0002667066739774e-08),
        (0.25, 3.0, 0.9671461964578382),
        (-5.0, 4.0, 6.423670669204678),
        (0.001, -0.001, 6.666666222222265e-07),
        (20.0, 2.0, 1.3840996461681592),
    ];

    #[test]
    fn divergences_have_known_values() {
        for (a, b, expected) in KNOWN {
            let got = log_sinhc_divergence(a, b);
            assert!((got - expected).abs() <= 1e-12 * expected, "{a}, {b}: {got:e}, expected {expected:e}");
        }
        assert!(log_sinhc_divergence(1.0, 1.0) == 0.0 && log_sinhc_divergence(f64::INFINITY, 1.0).is_nan());
    }
}
