//! Stable forms of expressions such as x^a e^−x, by deviances instead of differences of large logarithms.

use super::gamma::{lgamma, stirling_error};
use super::log_beta::log_beta;
use super::normal::HALF_LOG_TAU;
use super::numeric::{is_normal, polynomial, single};
use crate::lowering::builder::Value;
use std::f64::consts::PI;

/// ln(2πx) / 2, also where 2πx overflows.
pub(super) fn half_log_two_pi(x: Value<'_>) -> Value<'_> {
    x.lt(1e300).select((x * (2.0 * PI)).ln() * 0.5, x.ln() * 0.5 + HALF_LOG_TAU)
}

/// The deviance x ln(x / m) + m − x, for positive x and m.
pub(super) fn deviance<'b>(x: Value<'b>, m: Value<'b>) -> Value<'b> {
    deviance_from(x, m, x - m)
}

/// [`deviance`] with the difference x − m.
pub(super) fn deviance_from<'b>(x: Value<'b>, m: Value<'b>, difference: Value<'b>) -> Value<'b> {
    single("deviance_from", [x, m, difference], |[x, m, difference]| {
        let ratio = x / m;
        // The ratio may be outside the range of f64 although its logarithm is inside.
        let log_ratio = is_normal(ratio).select(ratio.ln(), x.ln() - m.ln());
        let far = x * log_ratio - difference;
        // Both sides are halved, since x + m may overflow.
        let v = (difference * 0.5) / (x * 0.5 + m * 0.5);
        let square = v * v;
        // |v| ≤ 0.1, so that ten terms suffice.
        let coefficients: Vec<f64> = (1..=10).map(|j| 2.0 / f64::from(2 * j + 1)).collect();
        let near = difference * v + v * x * square * polynomial(&coefficients, square);
        difference.abs().ge(x * 0.1 + m * 0.1).select(far, near)
    })
}

/// ln of x^a e^−x / Γ(a).
pub(crate) fn log_gamma_kernel<'b>(a: Value<'b>, x: Value<'b>) -> Value<'b> {
    single("log_gamma_kernel", [a, x], |[a, x]| {
        let near = a * x.ln() - x - lgamma(a);
        let far = (a * (0.5 / PI)).ln() * 0.5 - stirling_error(a) - deviance(a, x);
        x.equal(f64::INFINITY).select(f64::NEG_INFINITY, a.lt(10.0).select(near, far))
    })
}

/// ln of x^a y^b / B(a, b) with y = 1 − x.
pub(crate) fn log_beta_kernel<'b>(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> Value<'b> {
    single("log_beta_kernel", [a, b, x, y], |[a, b, x, y]| {
        let n = a + b;
        let (share, rest) = (n * x, n * y);
        let log = |x: Value<'b>, y: Value<'b>| x.le(y).select(x.ln(), (-y).log1p());
        let small = a * log(x, y) + b * log(y, x) - log_beta(a, b);
        let corrections = stirling_error(n) - stirling_error(a) - stirling_error(b);
        // From the smaller of x and y: the larger one has rounded it away where it is close to 1.
        let excess = x.le(y).select(a - share, rest - b);
        let deviances = deviance_from(a, share, excess) + deviance_from(b, rest, -excess);
        let large = (a * (b / n) * (0.5 / PI)).ln() * 0.5 + corrections - deviances;
        (share.min(rest).gt(1e-290) & a.min(b).gt(1e-250)).select(large, small)
    })
}
