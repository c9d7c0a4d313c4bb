//! The derivatives of the regularised incomplete beta function with respect to its shapes.

use super::beta::Part;
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
    // For large n, a form that is accurate where D is close to 1, or one where it is close to e^-s.
    let log_d = |s: f64| {
        if n < 1e3 {
            (far + near * (-s).exp()).ln()
        } else if near <= 0.5 {
            (near * (-s).exp_m1()).ln_1p()
        } else if s < 30.0 {
            (far * s.exp_m1()).ln_1p() - s
        } else {
            (far + near * (-s).exp()).ln()
        }
    };
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
    // The panels grow by a quarter, which takes 3200 of them from the smallest width to the largest s.
    for _ in 0..4000 {
        if s >= last {
            break;
        }
        let panel = width + 0.25 * s;
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

/// dI_x(a, b)/da for y = 1 - x, both inside (0, 1), as a factor of e^log_kernel, where log_kernel is that of
/// [`log_beta_kernel`].
pub(super) fn by_first_over_kernel(a: f64, b: f64, x: f64, y: f64) -> f64 {
    // Below this shape the result does not depend on it, but 1 / a would overflow.
    let (a, b) = (a.max(1e-290), b.max(1e-290));
    let log_x = if y < 0.5 { (-y).ln_1p() } else { x.ln() };
    let excess = log_x - mean_log(a, b);
    // On one of the two sides of x, ln t minus its mean has a constant sign.
    if excess <= 0.0 { moment([x, y], a, a + b, excess, 1.0) } else { -moment([y, x], b, a + b, excess, 0.0) }
}

/// dI_x(a, b)/da, for y = 1 - x, both inside (0, 1).
pub(super) fn by_first(a: f64, b: f64, x: f64, y: f64) -> f64 {
    log_beta_kernel(a, b, x, y).exp() * by_first_over_kernel(a, b, x, y)
}

/// The derivatives of [`log_beta_inc`](super::log_beta_inc) with respect to a and b.
///
/// Domain: finite a > 0 and b > 0, x and y = 1 - x in [0, 1]; anything else gives NaN. At x = 0 the first one is -inf,
/// at y = 0 both are 0. Relative error below 1e-9, also where the probability underflows.
///
/// ```
/// # use stochgrad_tensor::special::log_beta_inc_derivatives;
/// // ln I_x(a, 1) = a ln x
/// let (by_a, _) = log_beta_inc_derivatives(900.0, 1.0, 0.01, 0.99);
/// assert!((by_a / 0.01_f64.ln() - 1.0).abs() < 1e-9);
/// ```
pub fn log_beta_inc_derivatives(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    if !(in_domain(a, b) && (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y)) {
        return (f64::NAN, f64::NAN);
    }
    if y == 0.0 {
        return (0.0, 0.0);
    }
    if x == 0.0 {
        return (f64::NEG_INFINITY, -mean_log(b, a));
    }
    let scale = Part::of(a, b, x, y).kernel_over(true, || log_beta_kernel(a, b, x, y));
    (scale * by_first_over_kernel(a, b, x, y), -scale * by_first_over_kernel(b, a, y, x))
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
    fn misuse_is_nan() {
        assert!(beta_inc_derivatives(0.0, 1.0, 0.5, 0.5).0.is_nan());
        assert!(beta_inc_derivatives(1.0, 1.0, 1.5, -0.5).1.is_nan());
        assert_eq!(beta_inc_derivatives(1.0, 2.0, 0.0, 1.0), (0.0, 0.0));
    }
}
