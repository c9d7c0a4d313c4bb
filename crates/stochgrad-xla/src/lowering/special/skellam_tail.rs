//! The lower tail of the difference of two Poisson variates with large rates.

use super::numeric::{function, hypot, iterate};
use super::quadrature::{legendre, log_1p_minus_linear};
use super::saddle_point::half_log_two_pi;
use crate::lowering::builder::Value;

/// From this sum of the rates on, the tail is an integral.
pub(super) const LARGE_VARIANCE: f64 = 1e6;

/// The exponent at which the integrand is cut off.
const CUTOFF: f64 = 42.0;

/// From here on, the terms of Debye's expansion that are left out are below 1e-18.
const LARGE_RADIUS: f64 = 1e6;

/// The deviance of m + e from m.
fn deviance_by_difference<'b>(m: Value<'b>, e: Value<'b>) -> Value<'b> {
    let w = e / m;
    let sum = m + e;
    let far = sum.gt(0.0).select(sum * (sum / m).ln() - e, m);
    w.abs().gt(0.2).select(far, m * ((w + 1.0) * log_1p_minus_linear(w) + w * w))
}

/// ln P(X = k) as a function of a real k, and its derivative, for a large variance.
pub(super) fn log_density<'b>(k: Value<'b>, up: Value<'b>, down: Value<'b>) -> [Value<'b>; 2] {
    function("skellam_log_density", [k, up, down], |[k, up, down]| {
        let radius = hypot(k, up.sqrt() * down.sqrt() * 2.0);
        // The likeliest counts with the difference k are p and p − k, with p (p − k) = up · down; p = up + e.
        let excess = k - (up - down);
        let near = excess * 2.0 * (up / (up * 2.0 - k + radius));
        let e = (up * 2.0).gt(k).select(near, (radius + k) * 0.5 - up);
        let other = (k.ge(0.0) | down.gt(up)).select(-down * (e / (up + e)), e - excess);
        let share = k / radius;
        let square = share * share;
        let first = (3.0 - square * 5.0) / (radius * 24.0);
        let second = (square * (square * 385.0 - 462.0) + 81.0) / (radius * radius * 1152.0);
        let deviances = deviance_by_difference(up, e) + deviance_by_difference(down, other);
        let log = -deviances - half_log_two_pi(radius) + (first + second).log1p();
        [log, -(e / up).log1p() - share * 0.5 / radius]
    })
}

/// Where Debye's expansion is precise and the probability not negligible, and ln P(X = k).
pub(super) fn large_log_pmf<'b>(k: Value<'b>, up: Value<'b>, down: Value<'b>) -> (Value<'b>, Value<'b>) {
    let log = log_density(k, up, down)[0];
    let radius = hypot(k, up.sqrt() * down.sqrt() * 2.0);
    ((up + down).ge(LARGE_VARIANCE) & radius.ge(LARGE_RADIUS) & log.gt(-800.0), log)
}

/// P(X ≤ k) for a count k that is not above the mean by more than a little.
pub(super) fn large_lower_tail<'b>(k: Value<'b>, up: Value<'b>, down: Value<'b>) -> Value<'b> {
    let end = k + 0.5;
    let [height, slope] = log_density(end, up, down);
    let possible = height.gt(-800.0);
    let fallen = slope.max(0.0);
    let width = CUTOFF / (fallen + hypot(fallen, (2.0 * CUTOFF / (up + down)).sqrt()));
    let fall = |s: Value<'b>| height - log_density(end - s, up, down)[0];
    let zero = k.fill(0.0);
    let [_, sum] = iterate(40, possible, [zero, zero], |_, [at, sum]| {
        let next = at + width;
        let part = legendre(at, next, |s| (-fall(s)).exp());
        ([next, sum + part], fall(next).lt(CUTOFF))
    });
    // The logarithmic slope of the probabilities at the end gives the derivatives.
    let corrections = slope * (slope * slope * (7.0 / 5760.0) - 1.0 / 24.0);
    possible.select((height.exp() * (sum + corrections)).max(0.0).min(1.0), 0.0)
}
