//! Weak derivatives with respect to the shapes of the gamma and beta distributions.

use super::beta_derivative::{by_first_over_kernel, mean_log};
use super::gamma::{digamma, lgamma};
use super::gamma_sample::log_derivative;
use super::logistic::{log_sigmoid, sigmoid};
use super::numeric::{function, inside, is_positive};
use super::root::rising_root_within;
use super::saddle_point::{log_beta_kernel, log_gamma_kernel};
use crate::lowering::builder::Value;

/// The points below and above `peak` at which a function with its maximum there has fallen by −ln v.
fn levels<'b>(
    wanted: Value<'b>,
    v: Value<'b>,
    peak: Value<'b>,
    [lowest, highest]: [Value<'b>; 2],
    [top, curvature]: [Value<'b>; 2],
    log: impl Fn(Value<'b>) -> [Value<'b>; 2],
) -> [Value<'b>; 2] {
    let target = (v.ln() * -2.0).sqrt();
    let reach = target / curvature.sqrt();
    [true, false].map(|below| {
        let (bracket, guess) = if below { ([lowest, peak], peak - reach) } else { ([peak, highest], peak + reach) };
        rising_root_within(1e-8, wanted, bracket, guess, |s| {
            let [value, slope] = log(s);
            let root = ((top - value) * 2.0).max(0.0).sqrt();
            [if below { target - root } else { root - target }, slope.abs() / root]
        })
    })
}

/// The points of the positive and of the negative part, as logarithms, and the constant, of the shape and a share.
pub(crate) fn gamma_shape_derivative<'b>(a: Value<'b>, v: Value<'b>) -> [Value<'b>; 3] {
    function("gamma_shape_derivative", [a, v], |[a, v]| {
        let valid = is_positive(a) & v.gt(0.0) & v.lt(1.0);
        // x times the density, and minus the derivative of the distribution function, at x = e^s.
        let log_kernel = |s: Value<'b>| {
            let x = s.exp();
            a.lt(10.0).select(a * s - x - lgamma(a), log_gamma_kernel(a, x))
        };
        let log_fall = |s: Value<'b>| log_derivative(a, s.exp(), s).ln() + log_kernel(s);
        let peak = digamma(a);
        let top = log_fall(peak);
        let constant = top.exp();
        let curvature = log_kernel(peak).exp() / constant;
        let ends = [peak - (1.0 / a + 1.0) * 60.0, (a + a.sqrt() * 20.0 + 200.0).ln()];
        let [negative, positive] = levels(valid, v, peak, ends, [top, curvature], |s| {
            let fall = log_fall(s);
            [fall, (peak - s) * (log_kernel(s) - fall).exp()]
        });
        [positive, negative, constant].map(|value| inside(valid, value))
    })
}

/// The points of the positive and of the negative part, as log-odds, and the constant, of both shapes and a share.
pub(crate) fn beta_shape_derivative<'b>(a: Value<'b>, b: Value<'b>, v: Value<'b>) -> [Value<'b>; 3] {
    function("beta_shape_derivative", [a, b, v], |[a, b, v]| {
        let valid = is_positive(a) & is_positive(b) & v.gt(0.0) & v.lt(1.0);
        let mean = mean_log(a, b);
        let log_kernel = |l: Value<'b>| log_beta_kernel(a, b, sigmoid(l), sigmoid(-l));
        let log_fall = |l: Value<'b>| {
            let (x, y) = (sigmoid(l), sigmoid(-l));
            (-(log_beta_kernel(a, b, x, y).exp() * by_first_over_kernel(a, b, x, y))).ln()
        };
        let ends = [v.fill(-700.0), v.fill(700.0)];
        // The log-odds of the value whose logarithm is the mean logarithm.
        let odds = mean - (-mean.expm1()).ln();
        let peak = mean.gt(-36.0).select(odds, mean).max(-699.0).min(699.0);
        let top = log_fall(peak);
        let constant = top.exp();
        let curvature = (log_kernel(peak) + log_sigmoid(-peak)).exp() / constant;
        let [negative, positive] = levels(valid, v, peak, ends, [top, curvature], |l| {
            let fall = log_fall(l);
            [fall, (mean - log_sigmoid(l)) * (log_kernel(l) - fall).exp()]
        });
        [positive, negative, constant].map(|value| inside(valid, value))
    })
}
