//! Derivatives of the incomplete gamma functions with respect to the shape.

use super::gamma::{digamma, digamma_minus_log, trigamma};
use super::incomplete_gamma::{LARGE_SHAPE, Part, SMALL_ARGUMENT, lower_series};
use super::numeric::{function, inside, is_positive, iterate, single, where_any};
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

/// The sum of t_n = x^n / ((a + 1) … (a + n)), minus its first derivative with respect to a, its second derivative, and
/// its derivative with respect to ln x.
fn lower_series_twice<'b>(a: Value<'b>, x: Value<'b>, wanted: Value<'b>) -> [Value<'b>; 4] {
    function("lower_series_twice", [a, x, wanted], |[a, x, wanted]| {
        let (zero, one) = (x.fill(0.0), x.fill(1.0));
        let start = [one, zero, zero, one, zero, zero, zero];
        let [_, _, _, sum, first, second, slope] =
            iterate(1001, wanted, start, |k, [term, harmonic, squares, sum, first, second, slope]| {
                let n = k + 1.0;
                let inverse = 1.0 / (a + n);
                let term = term * x * inverse;
                let harmonic = harmonic + inverse;
                let squares = squares + inverse * inverse;
                let twice = harmonic * harmonic + squares;
                let (second, slope) = (second + term * twice, slope + term * n);
                let goes_on = (term * (twice + n)).gt(second.min(slope) * 1e-17);
                ([term, harmonic, squares, sum + term, first + term * harmonic, second, slope], goes_on)
            });
        [sum, first, second, slope]
    })
}

/// The second derivative of ln z with respect to a at a constant P(a, z), as a function of a and ln z.
pub(crate) fn gamma_log_sample_second_derivative<'b>(a: Value<'b>, log_z: Value<'b>) -> Value<'b> {
    single("gamma_log_sample_second_derivative", [a, log_z], |[a, log_z]| {
        let z = log_z.exp();
        let upper = z.gt(a.max(SMALL_ARGUMENT));
        let by_tail = upper | a.ge(LARGE_SHAPE);
        let [tail] = where_any(by_tail, || {
            let [mass, moment, second] = gamma_tail(a, z, upper);
            let gap = digamma_minus_log_of(a, z, log_z);
            let sign = upper.select(z.fill(1.0), -1.0);
            let velocity = moment - sign * gap * mass;
            [sign * (second - (trigamma(a) + gap * gap) * mass + sign * (z - a) * velocity * velocity)]
        });
        let [sum, first, second, slope] = lower_series_twice(a, z, !by_tail & z.ge(0.0));
        let gap = digamma(a + 1.0) - log_z;
        let (velocity, square) = (gap * sum + first, gap * (gap * sum + first * 2.0));
        let fixed = (trigamma(a + 1.0) * sum - second) - gap * first * 2.0;
        let series = (fixed + (slope * square - velocity * 2.0 - (a - z) * first * first) / a) / a;
        let value = by_tail.select(tail, series);
        let value = log_z.equal(f64::NEG_INFINITY).select(f64::NEG_INFINITY, value);
        inside(is_positive(a) & !log_z.is_nan(), z.equal(f64::INFINITY).select(0.0, value))
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
