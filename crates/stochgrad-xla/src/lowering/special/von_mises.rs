//! The distribution function of the von Mises distribution, and its derivative with respect to the concentration.

use super::bessel::log_bessel_ie;
use super::normal::normal_icdf;
use super::numeric::{hypot, inside, is_natural, is_probability, iterate, single};
use super::quadrature::legendre;
use super::root::rising_root;
use crate::lowering::builder::Value;
use std::f64::consts::PI;

/// The exponent at which an integrand is cut off.
const CUTOFF: f64 = 45.0;

/// π minus the nearest number of double precision.
const PI_REST: f64 = 1.224_646_799_147_353_2e-16;

fn to_pi(x: Value<'_>) -> Value<'_> {
    (PI - x) + PI_REST
}

/// The integral of e^(κ (cos t − cos from)) f(cos from − cos t) over t from `from` on, over a length.
fn integral<'b>(
    kappa: Value<'b>,
    from: Value<'b>,
    length: Value<'b>,
    f: impl FnOnce(Value<'b>) -> Value<'b>,
) -> Value<'b> {
    // cos(from) − cos(t) = 2 sin(from + v / 2) sin(v / 2) for v = t − from, without cancellation.
    let fall = |v: Value<'b>| (from + v * 0.5).sin() * (v * 0.5).sin() * 2.0;
    // Half of the interval over which a parabola with this slope and the largest curvature falls by the cutoff.
    let slope = kappa * from.sin();
    let width = (CUTOFF / (slope + hypot(slope, (kappa * (2.0 * CUTOFF)).sqrt()))).min(2.0);
    let open = |at: Value<'b>| at.lt(length) & (kappa * fall(at)).lt(CUTOFF);
    let zero = kappa.fill(0.0);
    let [_, sum] = iterate(60, open(zero), [zero, zero], |_, [at, sum]| {
        let end = (at + width).min(length);
        let part = legendre(at, end, |v| {
            let fall = fall(v);
            (-kappa * fall).exp() * f(fall)
        });
        ([end, sum + part], open(end))
    });
    sum
}

fn mass<'b>(kappa: Value<'b>, from: Value<'b>, length: Value<'b>) -> Value<'b> {
    single("von_mises_mass", [kappa, from, length], |[kappa, from, length]| {
        integral(kappa, from, length, |fall| fall.fill(1.0))
    })
}

fn log_density<'b>(x: Value<'b>, kappa: Value<'b>) -> Value<'b> {
    let sine = (x * 0.5).sin();
    kappa * sine * sine * -2.0 - (2.0 * PI).ln() - log_bessel_ie(kappa.fill(0.0), kappa)
}

/// ln P(X > |x|).
fn log_tail<'b>(x: Value<'b>, kappa: Value<'b>) -> Value<'b> {
    single("von_mises_log_tail", [x, kappa], |[x, kappa]| {
        let size = x.abs();
        log_density(x, kappa) + mass(kappa, size, to_pi(size)).ln()
    })
}

fn in_domain<'b>(x: Value<'b>, kappa: Value<'b>) -> Value<'b> {
    !x.is_nan() & is_natural(kappa)
}

fn outside(x: Value<'_>) -> Value<'_> {
    x.abs().ge(PI)
}

/// P(X ≤ x).
pub(crate) fn von_mises_cdf<'b>(x: Value<'b>, kappa: Value<'b>) -> Value<'b> {
    single("von_mises_cdf", [x, kappa], |[x, kappa]| {
        let tail = log_tail(x, kappa).exp();
        let value = x.le(0.0).select(tail, 1.0 - tail);
        let end = x.lt(0.0).select(x.fill(0.0), 1.0);
        inside(in_domain(x, kappa), outside(x).select(end, value))
    })
}

/// ln P(X ≤ x).
pub(crate) fn von_mises_log_cdf<'b>(x: Value<'b>, kappa: Value<'b>) -> Value<'b> {
    single("von_mises_log_cdf", [x, kappa], |[x, kappa]| {
        let tail = log_tail(x, kappa);
        let value = x.le(0.0).select(tail, (-tail.exp()).log1p());
        let end = x.lt(0.0).select(x.fill(f64::NEG_INFINITY), 0.0);
        inside(in_domain(x, kappa), outside(x).select(end, value))
    })
}

/// The x with P(X ≤ x) = p.
pub(crate) fn von_mises_icdf<'b>(p: Value<'b>, kappa: Value<'b>) -> Value<'b> {
    single("von_mises_icdf", [p, kappa], |[p, kappa]| {
        let valid = is_probability(p) & is_natural(kappa);
        let tail = p.min(1.0 - p);
        let ends = tail.equal(0.0) | tail.equal(0.5);
        let guess = (normal_icdf(tail) / kappa.max(0.1).sqrt()).max((tail * 2.0 - 1.0) * PI);
        let bracket = [p.fill(-PI), p.fill(0.0)];
        let log = tail.ln();
        let x = rising_root(valid & !ends, bracket, guess, |x| {
            let reached = log_tail(x, kappa);
            [reached - log, (log_density(x, kappa) - reached).exp()]
        });
        let x = tail.equal(0.0).select(-PI, tail.equal(0.5).select(0.0, x));
        inside(valid, p.le(0.5).select(x, -x))
    })
}

/// 1 − cos t.
fn gap(t: Value<'_>) -> Value<'_> {
    let sine = (t * 0.5).sin();
    sine * sine * 2.0
}

/// 1 − I₁(κ) / I₀(κ).
pub(crate) fn von_mises_gap(kappa: Value<'_>) -> Value<'_> {
    single("von_mises_gap", [kappa], |[kappa]| {
        let inverse = 1.0 / kappa;
        // The asymptotic series; the integrals would underflow at last.
        let far = inverse * 0.5 * ((inverse * (inverse + 1.0)) * 0.25 + 1.0);
        let (zero, pi) = (kappa.fill(0.0), kappa.fill(PI));
        let near = integral(kappa, zero, pi, |gap| gap) / mass(kappa, zero, pi);
        inside(is_natural(kappa), kappa.ge(1e6).select(far, near))
    })
}

/// The derivative of P(X > x) with respect to the concentration over the density at x, for 0 ≤ x ≤ π.
fn tail_derivative_over_density<'b>(x: Value<'b>, kappa: Value<'b>) -> Value<'b> {
    single("von_mises_tail_derivative", [x, kappa], |[x, kappa]| {
        let mean = von_mises_gap(kappa);
        let own = gap(x);
        // The limit, that of a normal variate with variance 1 / κ; the integrals would underflow.
        let limit = kappa.gt(1e150) & own.lt(mean * 1e4);
        let beyond = own.ge(mean);
        let (from, length) = (beyond.select(x, 0.0), beyond.select(to_pi(x), x));
        // The distance from the mean has a constant sign on each side.
        let start = beyond.select(mean - own, mean);
        let integral = integral(kappa, from, length, |fall| start - fall);
        let sine = (x * 0.5).sin();
        let below = -(kappa * sine * sine * 2.0).exp() * integral;
        limit.select(x / kappa * -0.5, beyond.select(integral, below))
    })
}

/// The derivative of [`von_mises_cdf`] with respect to the concentration.
pub(crate) fn von_mises_cdf_derivative<'b>(x: Value<'b>, kappa: Value<'b>) -> Value<'b> {
    single("von_mises_cdf_derivative", [x, kappa], |[x, kappa]| {
        let tail = log_density(x, kappa).exp() * tail_derivative_over_density(x.abs(), kappa);
        let value = x.le(0.0).select(tail, -tail);
        inside(in_domain(x, kappa), outside(x).select(0.0, value))
    })
}

/// The derivative of [`von_mises_log_cdf`] with respect to the concentration.
pub(crate) fn von_mises_log_cdf_derivative<'b>(x: Value<'b>, kappa: Value<'b>) -> Value<'b> {
    single("von_mises_log_cdf_derivative", [x, kappa], |[x, kappa]| {
        let tail = von_mises_log_cdf_slope(x, kappa) * tail_derivative_over_density(x.abs(), kappa);
        let value = x.le(0.0).select(tail, -tail);
        inside(in_domain(x, kappa), outside(x).select(0.0, value))
    })
}

/// The derivative of [`von_mises_log_cdf`] with respect to x.
pub(crate) fn von_mises_log_cdf_slope<'b>(x: Value<'b>, kappa: Value<'b>) -> Value<'b> {
    single("von_mises_log_cdf_slope", [x, kappa], |[x, kappa]| {
        let size = x.abs();
        let below = 1.0 / mass(kappa, size, to_pi(size));
        let above = (log_density(x, kappa) - von_mises_log_cdf(x, kappa)).exp();
        let value = x.le(0.0).select(below, above);
        let end = x.lt(0.0).select(x.fill(f64::INFINITY), 0.0);
        inside(in_domain(x, kappa), outside(x).select(end, value))
    })
}

/// The derivative of an angle with respect to the concentration, at a constant value of the distribution function.
pub(crate) fn von_mises_sample_derivative<'b>(x: Value<'b>, kappa: Value<'b>) -> Value<'b> {
    single("von_mises_sample_derivative", [x, kappa], |[x, kappa]| {
        let size = -tail_derivative_over_density(x.abs(), kappa);
        // Where the density underflows, it is 0.
        let size = (size.is_finite() & !outside(x)).select(size, 0.0);
        inside(in_domain(x, kappa), x.le(0.0).select(size, -size))
    })
}
