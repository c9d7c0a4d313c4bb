//! The lower tail of the difference of two Poisson variates with large rates.
//!
//! The probabilities are a smooth function of the count, which changes little from one count to the next. Their sum is
//! therefore an integral with the first terms of the Euler-Maclaurin formula.

use super::quadrature::{legendre, log_1p_minus_linear};
use super::saddle_point::half_log_two_pi;

/// From this sum of the rates on, the terms of the Euler-Maclaurin formula that are left out are below 1e-11.
pub(super) const LARGE_VARIANCE: f64 = 1e6;

/// The exponent at which the integrand is cut off.
const CUTOFF: f64 = 42.0;

/// m ((1 + w) ln(1 + w) - w) with m w = e, without cancellation: the deviance of m + e from m.
fn deviance_by_difference(m: f64, e: f64) -> f64 {
    let w = e / m;
    if w.abs() > 0.2 {
        return if m + e > 0.0 { (m + e) * ((m + e) / m).ln() - e } else { m };
    }
    m * ((1.0 + w) * log_1p_minus_linear(w) + w * w)
}

/// ln P(X = k) as a function of a real k, and its derivative, for a sum of
/// the rates of at least [`LARGE_VARIANCE`] and probabilities that are not negligible: the leading terms of Debye's
/// expansion, in the form of deviances of the two counts from their rates.
pub(super) fn log_density(k: f64, up: f64, down: f64) -> (f64, f64) {
    let radius = k.hypot(2.0 * up.sqrt() * down.sqrt());
    // The likeliest counts with the difference k are p and p - k, with p (p - k) = up * down; p = up + e.
    let excess = k - (up - down);
    let e = if 2.0 * up > k { 2.0 * excess * (up / (2.0 * up - k + radius)) } else { 0.5 * (radius + k) - up };
    let other = if k >= 0.0 || down > up { -down * (e / (up + e)) } else { e - excess };
    let share = k / radius;
    let square = share * share;
    let first = (3.0 - 5.0 * square) / (24.0 * radius);
    let second = (81.0 + square * (385.0 * square - 462.0)) / (1152.0 * radius * radius);
    let deviances = deviance_by_difference(up, e) + deviance_by_difference(down, other);
    (-deviances - half_log_two_pi(radius) + (first + second).ln_1p(), -(e / up).ln_1p() - 0.5 * share / radius)
}

/// From here on, the terms of Debye's expansion that are left out are below 1e-18.
const LARGE_RADIUS: f64 = 1e6;

/// ln P(X = k), or `None` where Debye's expansion is not precise or the probability is negligible: there its logarithm
/// is the difference of terms that do not cancel.
pub(super) fn large_log_pmf(k: f64, up: f64, down: f64) -> Option<f64> {
    if up + down < LARGE_VARIANCE || k.hypot(2.0 * up.sqrt() * down.sqrt()) < LARGE_RADIUS {
        return None;
    }
    let (log, _) = log_density(k, up, down);
    if log > -800.0 { Some(log) } else { None }
}

/// P(X <= k) for a count k that is not above the mean by more than a little. At most 40 panels are integrated.
pub(super) fn large_lower_tail(k: f64, up: f64, down: f64) -> f64 {
    let end = k + 0.5;
    let (height, slope) = log_density(end, up, down);
    // Also where a rate has overflowed.
    if height.is_nan() || height <= -800.0 {
        return 0.0;
    }
    let variance = up + down;
    let fallen = slope.max(0.0);
    let width = CUTOFF / (fallen + fallen.hypot((2.0 * CUTOFF / variance).sqrt()));
    let fall = |s: f64| height - log_density(end - s, up, down).0;
    let (mut at, mut sum) = (0.0, 0.0);
    for _ in 0..40 {
        sum += legendre(at, at + width, |s| (-fall(s)).exp());
        at += width;
        if fall(at) >= CUTOFF {
            break;
        }
    }
    // The logarithmic slope of the probabilities at the end gives the derivatives.
    let corrections = slope * (-1.0 / 24.0 + slope * slope * (7.0 / 5760.0));
    (height.exp() * (sum + corrections)).clamp(0.0, 1.0)
}
