//! Derivatives of the incomplete gamma functions with respect to the shape.

use super::gamma::{digamma, digamma_minus_log};
use super::incomplete_gamma::{LARGE_SHAPE, Part, SMALL_ARGUMENT, lower_series};
use super::numeric::{inside, is_positive, single, where_any};
use super::quadrature::gamma_tail;
use super::saddle_point::log_gamma_kernel;
use crate::lowering::builder::Value;

/// ψ(a) − ln z, without cancellation for large a.
fn digamma_minus_log_of<'b>(a: Value<'b>, z: Value<'b>, log_z: Value<'b>) -> Value<'b> {
    let ratio = (z - a) / a;
    let log_ratio = ratio.abs().lt(0.5).select(ratio.log1p(), log_z - a.ln());
    a.lt(10.0).select(digamma(a) - log_z, digamma_minus_log(a) - log_ratio)
}

/// The derivative of ln z with respect to a at a constant P(a, z), for positive z.
pub(super) fn log_derivative<'b>(a: Value<'b>, z: Value<'b>, log_z: Value<'b>) -> Value<'b> {
    single("gamma_log_derivative", [a, z, log_z], |[a, z, log_z]| {
        let upper = z.gt(a.max(SMALL_ARGUMENT));
        let by_tail = upper | a.ge(LARGE_SHAPE);
        let [tail] = where_any(by_tail, || {
            let [mass, moment] = gamma_tail(a, z, upper);
            let gap = digamma_minus_log_of(a, z, log_z) * mass;
            [upper.select(moment - gap, gap + moment)]
        });
        // ψ(a) = ψ(1 + a) − 1/a. The 1/a is factored out, which keeps the digits for small a.
        let [sum, derivative] = lower_series(a, z, !by_tail & z.ge(0.0));
        by_tail.select(tail, ((digamma(a + 1.0) - log_z) * sum + derivative) / a)
    })
}

/// Below this shape the results do not depend on it, but 1 / a would overflow.
fn held(a: Value<'_>) -> Value<'_> {
    a.max(1e-290)
}

/// Where the operands are in the domain, and the value at both ends of x.
fn framed<'b>(a: Value<'b>, x: Value<'b>, [at_zero, at_infinity]: [f64; 2], value: Value<'b>) -> Value<'b> {
    let value = x.equal(0.0).select(at_zero, x.equal(f64::INFINITY).select(at_infinity, value));
    inside(is_positive(a) & x.ge(0.0), value)
}

/// The derivative of ln z with respect to a at a constant P(a, z), as a function of a and ln z.
pub(crate) fn gamma_log_sample_derivative<'b>(a: Value<'b>, log_z: Value<'b>) -> Value<'b> {
    single("gamma_log_sample_derivative", [a, log_z], |[a, log_z]| {
        let z = log_z.exp();
        let value = z.equal(f64::INFINITY).select(0.0, log_derivative(a, z, log_z));
        inside(is_positive(a) & !log_z.is_nan(), value)
    })
}

/// The derivative of P(a, x) with respect to a.
pub(crate) fn gamma_p_derivative_a<'b>(a: Value<'b>, x: Value<'b>) -> Value<'b> {
    single("gamma_p_derivative_a", [a, x], |[own, x]| {
        let a = held(own);
        let value = -log_derivative(a, x, x.ln()) * log_gamma_kernel(a, x).exp();
        framed(own, x, [0.0, 0.0], value)
    })
}

/// The derivative of ln P(a, x) with respect to a.
pub(crate) fn log_gamma_p_derivative_a<'b>(a: Value<'b>, x: Value<'b>) -> Value<'b> {
    single("log_gamma_p_derivative_a", [a, x], |[own, x]| {
        let a = held(own);
        let value = -log_derivative(a, x, x.ln()) / Part::of(a, x).over_density(x.fill_truth(true), a, x);
        framed(own, x, [f64::NEG_INFINITY, 0.0], value)
    })
}

/// The derivative of ln Q(a, x) with respect to a.
pub(crate) fn log_gamma_q_derivative_a<'b>(a: Value<'b>, x: Value<'b>) -> Value<'b> {
    single("log_gamma_q_derivative_a", [a, x], |[own, x]| {
        let a = held(own);
        let value = log_derivative(a, x, x.ln()) / Part::of(a, x).over_density(x.fill_truth(false), a, x);
        framed(own, x, [0.0, f64::INFINITY], value)
    })
}
