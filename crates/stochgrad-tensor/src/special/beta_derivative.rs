//! The derivatives of the regularised incomplete beta function with respect to its shapes, and its inverse.

use super::beta::beta_inc_pair;
use super::gamma::{digamma, digamma_minus_log};
use super::quadrature::legendre;
use super::saddle_point::log_beta_kernel;

/// The integrand is negligible once its exponent has fallen by this much.
const CUTOFF: f64 = 45.0;

fn in_domain(a: f64, b: f64) -> bool {
    a > 0.0 && b > 0.0 && a < f64::INFINITY && b < f64::INFINITY
}

/// The integral over s > 0 of exp(-c s) D^-n (level - slope s - ln D), where D = far + near e^-s and near + far = 1.
///
/// The singularities of the integrand are at a distance of pi from the real axis, so panels of bounded width reach the
/// rounding error. Beyond s = ln(near / far) + 40 the integrand is an exponential times a linear function, and the rest
/// of the integral has a closed form.
fn moment([near, far]: [f64; 2], c: f64, n: f64, level: f64, slope: f64) -> f64 {
    let log_d = |s: f64| (far + near * (-s).exp()).ln();
    let exponent = |s: f64| c * s + n * log_d(s);
    let integrand = |s: f64| {
        let log_d = log_d(s);
        (-(c * s + n * log_d)).exp() * (level - slope * s - log_d)
    };
    let start = (c - n * near).abs();
    let spread = (n * near * far).sqrt();
    let width = 6.0_f64.min(12.0 / (start + spread + 1e-300));
    let last = (near / far).ln().max(0.0) + 40.0;
    let (mut s, mut sum, mut lowest) = (0.0, 0.0, 0.0_f64);
    while s < last {
        let panel = width * (1.0 + (s / width) * 0.25);
        let end = (s + panel.min(6.0)).min(last);
        sum += legendre(s, end, integrand);
        s = end;
        lowest = lowest.min(exponent(s));
        if exponent(s) - lowest > CUTOFF && c - n * near * (-s).exp() / (far + near * (-s).exp()) > 0.0 {
            return sum;
        }
    }
    // Beyond this point, ln D is constant.
    let rest = (-exponent(s)).exp();
    sum + rest * ((level - slope * s - log_d(s)) / c - slope / (c * c))
}

/// The mean of ln t under the beta distribution, digamma(a) - digamma(a + b), without cancellation for large a.
pub(super) fn mean_log(a: f64, b: f64) -> f64 {
    if a < 10.0 {
        digamma(a) - digamma(a + b)
    } else {
        digamma_minus_log(a) - digamma_minus_log(a + b) - (b / a).ln_1p()
    }
}

/// dI_x(a, b)/da, for y = 1 - x, both inside (0, 1).
pub(super) fn by_first(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let log_x = if y < 0.5 { (-y).ln_1p() } else { x.ln() };
    let excess = log_x - mean_log(a, b);
    let kernel = log_beta_kernel(a, b, x, y).exp();
    // On one of the two sides of x, ln t minus its mean has a constant sign.
    if excess <= 0.0 {
        kernel * moment([x, y], a, a + b, excess, 1.0)
    } else {
        -kernel * moment([y, x], b, a + b, excess, 0.0)
    }
}

/// The derivatives of the regularised incomplete beta function I_x(a, b) with respect to a and b. y = 1 - x is passed
/// separately, for callers that know it more accurately than by subtraction.
///
/// Domain: finite a > 0 and b > 0, 0 <= x <= 1; anything else gives NaN. Error below 1e-12 * max(1, |result|) for a, b
/// in [1e-3, 1e6]; the relative error in both tails is below 1e-9.
///
/// Method: the derivative with respect to a is the integral of (ln t - E ln t) p(t) over t < x, or minus that over t >
/// x. It is computed by Gauss-Legendre panels on the logit scale, on the side where the integrand has a constant sign.
///
/// ```
/// # use stochgrad_tensor::special::beta_inc_derivatives;
/// // I_x(a, 1) = x^a
/// let (by_a, _) = beta_inc_derivatives(2.0, 1.0, 0.5, 0.5);
/// assert!((by_a - 0.25 * 0.5_f64.ln()).abs() < 1e-14);
/// ```
pub fn beta_inc_derivatives(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    if !(in_domain(a, b) && (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y)) {
        return (f64::NAN, f64::NAN);
    }
    if x == 0.0 || y == 0.0 {
        return (0.0, 0.0);
    }
    (by_first(a, b, x, y), -by_first(b, a, y, x))
}

/// The x with I_x(a, b) = p, and 1 - x: the quantile function of Beta(a, b).
///
/// Domain: finite a > 0 and b > 0, 0 <= p <= 1; anything else gives NaN. I at the result agrees with p to a relative
/// error below 1e-11; for p > 1/2 this holds for 1 - I and 1 - p. For small shapes either part of the result may
/// underflow to 0.
///
/// Method: Newton's method on the logit scale for the logarithm of the smaller probability, kept inside a bracket.
///
/// ```
/// # use stochgrad_tensor::special::beta_inc_inverse;
/// assert!((beta_inc_inverse(2.0, 1.0, 0.25).0 - 0.5).abs() < 1e-14);
/// ```
pub fn beta_inc_inverse(a: f64, b: f64, p: f64) -> (f64, f64) {
    if !(in_domain(a, b) && (0.0..=1.0).contains(&p)) {
        return (f64::NAN, f64::NAN);
    }
    if p == 0.0 || p == 1.0 {
        return (p, 1.0 - p);
    }
    let parts = |s: f64| (super::sigmoid(s), super::sigmoid(-s));
    let upper = p > 0.5;
    let target = if upper { (-p).ln_1p() } else { p.ln() };
    // The logarithm of the smaller probability minus the target, as an increasing function of s.
    let miss = |s: f64| {
        let (x, y) = parts(s);
        if upper { target - beta_inc_pair(b, a, y, x).ln() } else { beta_inc_pair(a, b, x, y).ln() - target }
    };
    let (mut low, mut high) = (-745.0, 745.0);
    if miss(low) >= 0.0 {
        return parts(low);
    }
    if miss(high) <= 0.0 {
        return parts(high);
    }
    let mut s = (digamma(a) - digamma(b)).clamp(-700.0, 700.0);
    for _ in 0..200 {
        let (x, y) = parts(s);
        let part = if upper { beta_inc_pair(b, a, y, x) } else { beta_inc_pair(a, b, x, y) };
        let miss = if upper { target - part.ln() } else { part.ln() - target };
        if miss == 0.0 {
            break;
        }
        if miss > 0.0 {
            high = s
        } else {
            low = s
        }
        // If both have underflowed, the step is a bisection.
        let slope = log_beta_kernel(a, b, x, y).exp() / part;
        let newton = s - miss / slope;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let step = (next - s).abs();
        s = next;
        if step <= 4.0 * f64::EPSILON * (1.0 + s.abs()) {
            break;
        }
    }
    parts(s)
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{assert_near, assert_relative};
    use super::*;

    /// a, b, x, dI/da, dI/db, from mpmath at 40 digits.
    const GOLDEN: [(f64, f64, f64, f64, f64); 17] = [
        (2.0, 3.0, 0.3, -0.2460937277467235, 0.1295450609648719),
        (0.5, 0.5, 0.9, -0.2768155243583512, 0.5926200221433794),
        (0.001, 0.001, 0.5, -250.00041018403215, 250.00041018403215),
        (0.001, 2.0, 1e-20, -43.068020297684264, 0.0006163300824191173),
        (0.001, 2.0, 0.7, -0.05676169733574275, 9.44023970341044e-05),
        (5.0, 0.001, 0.9, -0.0001373851127112739, 0.5910009615457558),
        (5.0, 0.001, 0.9999999, -0.00021821413133965296, 13.84055671865588),
        (0.1, 40.0, 0.01, -0.7451035328033679, 0.0016284926925489126),
        (40.0, 0.1, 0.99, -0.0016284926925489121, 0.7451035328033675),
        (30.0, 70.0, 0.25, -0.03534338618079541, 0.013334886354546976),
        (30.0, 70.0, 0.6, -4.432904685624027e-10, 3.564027259478354e-10),
        (1000.0, 3.0, 0.99, -2.173771617643642e-05, 0.003924611662097534),
        (1000.0, 3.0, 0.9, -9.22641444263118e-44, 3.2967165361201626e-42),
        (1000000.0, 1000000.0, 0.5001, -0.0002710066532649506, 0.00027106086001212244),
        (1000000.0, 2.0, 0.999999, -3.678796251217262e-07, 0.27619601730111715),
        (2.0, 1000000.0, 1e-05, -0.0009882787371740798, 4.539790949640653e-09),
        (100000.0, 1000.0, 0.985, -1.8745495240980866e-48, 1.5084225250640068e-46),
    ];

    #[test]
    fn derivatives_are_known_values() {
        for (a, b, x, by_a, by_b) in GOLDEN {
            let got = beta_inc_derivatives(a, b, x, 1.0 - x);
            assert_relative(&format!("by a at {a}, {b}, {x}"), got.0, by_a, 2e-10);
            assert_relative(&format!("by b at {a}, {b}, {x}"), got.1, by_b, 2e-10);
            assert_near(&format!("by a at {a}, {b}, {x}"), got.0, by_a, 1e-12);
        }
    }

    #[test]
    fn inverse_inverts() {
        for a in [1e-3, 0.5, 1.0, 3.0, 80.0, 1e6] {
            for b in [1e-3, 0.5, 2.0, 50.0, 1e5] {
                for p in [1e-200, 1e-10, 0.1, 0.5, 0.9, 1.0 - 1e-12] {
                    let (x, y) = beta_inc_inverse(a, b, p);
                    assert!((x + y - 1.0).abs() < 1e-15, "{x} and {y}");
                    if x < 1e-300 || y < 1e-300 {
                        continue;
                    }
                    let what = format!("a = {a}, b = {b}, p = {p}");
                    if p > 0.5 {
                        // The rounding of the smaller part is amplified by the shape.
                        assert_relative(&what, beta_inc_pair(b, a, y, x), 1.0 - p, 1e-8);
                    } else {
                        assert_relative(&what, beta_inc_pair(a, b, x, y), p, 1e-8);
                    }
                }
            }
        }
        assert_eq!(beta_inc_inverse(2.0, 3.0, 0.0), (0.0, 1.0));
        assert_eq!(beta_inc_inverse(2.0, 3.0, 1.0), (1.0, 0.0));
    }

    #[test]
    fn misuse_is_nan() {
        assert!(beta_inc_derivatives(0.0, 1.0, 0.5, 0.5).0.is_nan());
        assert!(beta_inc_derivatives(1.0, 1.0, 1.5, -0.5).1.is_nan());
        assert!(beta_inc_inverse(1.0, -1.0, 0.5).0.is_nan());
        assert!(beta_inc_inverse(1.0, 1.0, f64::NAN).0.is_nan());
        assert_eq!(beta_inc_derivatives(1.0, 2.0, 0.0, 1.0), (0.0, 0.0));
    }
}
