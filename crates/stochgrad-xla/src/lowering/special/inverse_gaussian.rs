//! The quantile function of the inverse Gaussian distribution.

use super::logistic::{log_add_exp, log1mexp};
use super::normal::{HALF_LOG_TAU, normal_icdf, normal_log_cdf, normal_log_mills};
use super::numeric::{function, inside, is_positive, single, where_any};
use super::quadrature::legendre;
use super::root::rising_root;
use crate::lowering::builder::Value;

/// The logarithms of P(X ≤ x) and of P(X > x).
fn log_parts<'b>(x: Value<'b>, location: Value<'b>, concentration: Value<'b>) -> [Value<'b>; 2] {
    function("inverse_gaussian_log_parts", [x, location, concentration], |[x, location, concentration]| {
        let root = (concentration / x).sqrt();
        let (v, w) = (root * (x / location - 1.0), root * (x / location + 1.0));
        // e^(2 lambda / mu) P(Z > w), where 2 lambda / mu − w² / 2 = −v² / 2.
        let fall = v * v * -0.5;
        let (near, far) = (normal_log_mills(v), normal_log_mills(w));
        // The difference far − near, or the integral of its derivative where the difference would cancel.
        let close = root.lt(0.25);
        let [by_integral] = where_any(close, || {
            [legendre(root.fill(0.0), root * 2.0, |s| v + s - (-normal_log_mills(v + s) - HALF_LOG_TAU).exp())]
        });
        let drop = close.select(by_integral, far - near);
        [log_add_exp(normal_log_cdf(v), far + fall), near + fall + log1mexp(drop)]
    })
}

/// The x with P(X ≤ x) = p.
pub(crate) fn inverse_gaussian_icdf<'b>(p: Value<'b>, location: Value<'b>, concentration: Value<'b>) -> Value<'b> {
    quantile(p, 1.0 - p, location, concentration)
}

/// The x with P(X > x) = q.
pub(crate) fn inverse_gaussian_complement_icdf<'b>(
    q: Value<'b>,
    location: Value<'b>,
    concentration: Value<'b>,
) -> Value<'b> {
    quantile(1.0 - q, q, location, concentration)
}

/// The x with P(X ≤ x) = p and P(X > x) = q, by the smaller one of them.
fn quantile<'b>(p: Value<'b>, q: Value<'b>, location: Value<'b>, concentration: Value<'b>) -> Value<'b> {
    single("inverse_gaussian_quantile", [p, q, location, concentration], |[p, q, location, concentration]| {
        let valid = p.ge(0.0) & q.ge(0.0) & is_positive(location) & is_positive(concentration);
        let ends = p.equal(0.0) | q.equal(0.0);
        let (m, l) = (location.ln(), concentration.ln());
        // The density decays as e^(−l / 2x) towards 0, and as e^(−l x / 2 m²) towards infinity.
        let bracket = [m.min(l) - 10.0, m.max(m * 2.0 - l) + 10.0];
        let spread = ((m - l) * 0.5).exp().min(1.0);
        let below = p.le(0.5);
        let normal = normal_icdf(below.select(p, q));
        let guess = m + spread * below.select(normal, -normal);
        let target = below.select(p, q).ln();
        let log_x = rising_root(valid & !ends, bracket, guess, |log_x| {
            let x = log_x.exp();
            let [lower, upper] = log_parts(x, location, concentration);
            let excess = (x - location) / location;
            let log_density = (l - log_x - 2.0 * HALF_LOG_TAU - concentration * excess * excess / x) * 0.5;
            let reached = below.select(lower, upper);
            [below.select(reached - target, target - reached), (log_density - reached).exp()]
        });
        inside(valid, p.equal(0.0).select(0.0, q.equal(0.0).select(f64::INFINITY, log_x.exp())))
    })
}
