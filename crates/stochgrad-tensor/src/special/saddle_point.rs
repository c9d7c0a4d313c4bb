//! Stable forms of expressions such as x^a e^-x, by deviances instead of differences of large logarithms.
//!
//! Source: Loader, "Fast and accurate computation of binomial probabilities", 2000.

use super::gamma::{lgamma, stirling_error};
use super::log_beta::log_beta;
use std::f64::consts::PI;

/// ln(2 pi x) / 2, also where 2 pi x overflows.
pub(super) fn half_log_two_pi(x: f64) -> f64 {
    if x < 1e300 { 0.5 * (2.0 * PI * x).ln() } else { 0.5 * ((2.0 * PI).ln() + x.ln()) }
}

/// The deviance x ln(x / m) + m - x of a count x from its mean m, both positive, without cancellation near x = m.
pub(super) fn deviance(x: f64, m: f64) -> f64 {
    deviance_from(x, m, x - m)
}

/// [`deviance`] of x from m with their difference x - m, which the caller may know better than x and m show.
pub(super) fn deviance_from(x: f64, m: f64, difference: f64) -> f64 {
    if difference.abs() >= 0.1 * x + 0.1 * m {
        let ratio = x / m;
        // The ratio may be outside the range of f64 although its logarithm is inside.
        let log_ratio = if ratio.is_normal() { ratio.ln() } else { x.ln() - m.ln() };
        return x * log_ratio - difference;
    }
    // Both sides are halved, since x + m may overflow.
    let v = (0.5 * difference) / (0.5 * x + 0.5 * m);
    let square = v * v;
    let mut sum = difference * v;
    let mut power = 2.0 * v * x;
    for j in 1..40 {
        power *= square;
        let next = sum + power / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// ln of x^a e^-x / gamma(a): x times the density of the gamma distribution with shape a and rate 1.
///
/// Domain: positive finite a and positive x, which may be infinite, where the result is -inf; elsewhere it is
/// unspecified. Error below 1e-14 * max(1, |result|), since no logarithms of factorials are subtracted.
pub fn log_gamma_kernel(a: f64, x: f64) -> f64 {
    if x == f64::INFINITY {
        return f64::NEG_INFINITY;
    }
    if a < 10.0 { a * x.ln() - x - lgamma(a) } else { 0.5 * (a / (2.0 * PI)).ln() - stirling_error(a) - deviance(a, x) }
}

/// ln of x^a y^b / B(a, b) with y = 1 - x: x y times the density of the beta distribution. The caller passes y
/// separately to avoid rounding; the smaller of x and y is taken to be exact.
///
/// Domain: positive finite a, b, x and y; elsewhere the result is unspecified. Error below 1e-14 * max(1, |result|).
pub fn log_beta_kernel(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    let (share, rest) = (n * x, n * y);
    if !(share.min(rest) > 1e-290 && a.min(b) > 1e-250) {
        let log = |x: f64, y: f64| if x <= y { x.ln() } else { (-y).ln_1p() };
        return a * log(x, y) + b * log(y, x) - log_beta(a, b);
    }
    let corrections = stirling_error(n) - stirling_error(a) - stirling_error(b);
    // a - n x = n y - b, from the smaller of x and y: the larger one has rounded it away where it is close to 1.
    let excess = if x <= y { a - share } else { rest - b };
    let deviances = deviance_from(a, share, excess) + deviance_from(b, rest, -excess);
    0.5 * (a * (b / n) / (2.0 * PI)).ln() + corrections - deviances
}
