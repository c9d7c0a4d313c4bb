//! Differences of ln gamma and of its derivatives, without cancellation.

use super::digamma_minus_log::scaled_slope;
use super::gamma::{
    digamma_minus_log, lgamma, polygamma, stirling_difference, stirling_error, stirling_slope, trigamma,
};
use super::quadrature::legendre;
use std::f64::consts::PI;

fn positive(x: f64) -> bool {
    x > 0.0 && x < f64::INFINITY
}

/// Whether an integral from one to the other is far enough from the pole at 0 for the quadrature.
fn near(a: f64, b: f64) -> bool {
    a.max(b) <= 3.0 * a.min(b)
}

/// ln gamma(x + d) - ln gamma(x) for x > 0 and d >= 0, with an error relative to d.
pub(super) fn log_gamma_shift(mut x: f64, d: f64) -> f64 {
    let mut below = 0.0;
    // The divisions by the factors of the recurrence, at most ten.
    while x < 10.0 {
        let ratio = d / x;
        below -= if ratio.is_finite() { ratio.ln_1p() } else { (x + d).ln() - x.ln() };
        x += 1.0;
    }
    let growth = (x - 0.5) * (d / x).ln_1p() + d * (x + d).ln() - d;
    growth + stirling_difference(x, d) + below
}

/// The difference of the derivative of the given order of ln gamma between two points: its value at `to` minus that at
/// `from`. Order 0 is ln gamma itself, order 1 digamma.
///
/// Domain: positive finite points; anything else gives NaN. The error is below 1e-14 relative to |to - from| times the
/// largest slope between the points (relative to the result for orders above 0, since the slopes have one sign).
///
/// ```
/// # use stochgrad_tensor::special::{digamma, log_gamma_difference};
/// let step = log_gamma_difference(0, 1e8, 1e8 + 1.0);
/// assert!((step - 1e8_f64.ln()).abs() < 1e-14 * step);
/// ```
pub fn log_gamma_difference(order: u32, from: f64, to: f64) -> f64 {
    if !(positive(from) && positive(to)) {
        return f64::NAN;
    }
    let d = to - from;
    if d == 0.0 {
        return 0.0;
    }
    let (low, high) = if from < to { (from, to) } else { (to, from) };
    let rise = match order {
        0 => log_gamma_shift(low, d.abs()),
        1 => digamma_shift(low, high, d.abs()),
        _ if near(low, high) => d.abs() * legendre(0.0, 1.0, |u| polygamma(order, low + u * d.abs())),
        _ => {
            let (above, below) = (polygamma(order - 1, high), polygamma(order - 1, low));
            // Where both overflow, the one at the smaller argument is the larger one.
            if above.is_infinite() { -below } else { above - below }
        }
    };
    if d > 0.0 { rise } else { -rise }
}

/// psi(high) - psi(low), where d is the difference of the arguments.
fn digamma_shift(low: f64, high: f64, d: f64) -> f64 {
    if low < 1.0 {
        // psi(x) = psi(x + 1) - 1 / x
        d / low / high + digamma_shift(low + 1.0, high + 1.0, d)
    } else if near(low, high) {
        d * legendre(0.0, 1.0, |u| trigamma(low + u * d))
    } else {
        (d / low).ln_1p() + (digamma_minus_log(high) - digamma_minus_log(low))
    }
}

/// The second difference f(x + 2h) - 2 f(x + h) + f(x), where f is the derivative of the given order of ln gamma. Order
/// 0 is ln gamma itself, and positive. With x = 1 and h = 1/k, it is the logarithm of the second moment over the squared
/// mean of a Weibull variate of shape k.
///
/// Domain: x > 0 and h >= 0, both finite; anything else gives NaN. Relative error below 1e-13.
///
/// ```
/// # use stochgrad_tensor::special::log_gamma_second_difference;
/// // pi^2 / 6 h^2 for small h
/// assert!((log_gamma_second_difference(0, 1.0, 1e-8) / 1.6449340668e-16 - 1.0).abs() < 1e-7);
/// ```
pub fn log_gamma_second_difference(order: u32, x: f64, h: f64) -> f64 {
    if !(positive(x) && (0.0..f64::INFINITY).contains(&h)) {
        return f64::NAN;
    }
    if h == 0.0 {
        return 0.0;
    }
    if order == 0 && x < 1.0 {
        let share = h / (x + h);
        // ln(x (x + 2h) / (x + h)^2); for large h the ratio itself is needed.
        let logs =
            if share < 0.9 { (-share * share).ln_1p() } else { x.ln() + (x + 2.0 * h).ln() - 2.0 * (x + h).ln() };
        return log_gamma_second_difference(0, x + 1.0, h) - logs;
    }
    if h <= 2.0 * x {
        let curvature = |at: f64| polygamma(order + 1, at);
        let middle = x + h;
        return h * h * legendre(0.0, 1.0, |u| (1.0 - u) * (curvature(middle + u * h) + curvature(middle - u * h)));
    }
    log_gamma_difference(order, x + h, x + 2.0 * h) - log_gamma_difference(order, x, x + h)
}

/// S(b) - S(a) - (b - a) S'(a), where S(x) = ln gamma(x) - x ln x + x: the Bregman divergence of the convex function S.
/// It is what is left of the divergence of two gamma distributions if their means are equal, and
/// `deviance(b, a)` less than the Bregman divergence of ln gamma.
///
/// Domain: positive finite a and b; anything else gives NaN. The result is not negative; relative error below 1e-13,
/// also where b is close to a.
///
/// ```
/// # use stochgrad_tensor::special::stirling_divergence;
/// // (b / a - 1)^2 / 4 for large values that are close to each other
/// assert!((stirling_divergence(1e12, 1.001e12) / 2.5e-7 - 1.0).abs() < 1e-2);
/// ```
pub fn stirling_divergence(a: f64, b: f64) -> f64 {
    if !(positive(a) && positive(b)) {
        return f64::NAN;
    }
    let d = b - a;
    if near(a, b) {
        let integrand = |u: f64| {
            let at = a + u * d;
            let share = d / at;
            (1.0 - u) * scaled_slope(at) * share * share
        };
        return legendre(0.0, 1.0, integrand);
    }
    if a >= 10.0 && b >= 10.0 {
        let logs = (b / a).ln() - d / a;
        return -0.5 * logs + (stirling_error(b) - stirling_error(a)) - d * stirling_slope(a);
    }
    if a < 10.0 && b < 10.0 {
        let logs = b * b.ln() - a * a.ln();
        return log_gamma_difference(0, a, b) - logs + d - d * digamma_minus_log(a);
    }
    stirling_part(b) - stirling_part(a) - d * digamma_minus_log(a)
}

/// ln gamma(x) - x ln x + x
fn stirling_part(x: f64) -> f64 {
    if x < 10.0 { lgamma(x) - x * x.ln() + x } else { stirling_error(x) - 0.5 * (x / (2.0 * PI)).ln() }
}

/// The difference of digamma(x) - ln x between two points: its value at `to` minus that at `from`.
///
/// Domain: positive finite points; anything else gives NaN. Relative error below 1e-13, also for close points.
pub fn digamma_minus_log_difference(from: f64, to: f64) -> f64 {
    if !(positive(from) && positive(to)) {
        return f64::NAN;
    }
    let d = to - from;
    if near(from, to) {
        // S'' = scaled / x^2, where x^2 may be outside the range of f64.
        return d / from
            * legendre(0.0, 1.0, |u| scaled_slope(from + u * d) * (from / (from + u * d)) / (from + u * d));
    }
    digamma_minus_log(to) - digamma_minus_log(from)
}
