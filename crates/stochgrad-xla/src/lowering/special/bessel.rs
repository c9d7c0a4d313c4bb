//! Modified Bessel functions of the first kind, scaled so that they do not overflow.

use super::gamma::lgamma;
use super::normal::HALF_LOG_TAU;
use super::numeric::{hypot, inside, is_count, is_natural, iterate, polynomial, single};
use crate::lowering::builder::Value;
use std::f64::consts::{LN_2, LN_10, PI};
use stochgrad_tensor::special::tables::DEBYE;

/// From this order on, the uniform expansion for large orders is used.
const LARGE_ORDER: f64 = 60.0;

/// Below this argument, and where it is small for the order, the power series is used.
const SMALL_ARGUMENT: f64 = 30.0;

/// Above this argument, Hankel's expansion is used.
const LARGE_ARGUMENT: f64 = 4000.0;

/// e^−|x| I_n(x).
pub(crate) fn bessel_ie(n: u32, x: Value<'_>) -> Value<'_> {
    let size = log_bessel_ie(x.fill(f64::from(n)), x.abs()).exp();
    if n % 2 == 1 { x.lt(0.0).select(-size, size) } else { size }
}

/// ln(e^−x I_n(x)).
pub(crate) fn log_bessel_ie<'b>(n: Value<'b>, x: Value<'b>) -> Value<'b> {
    single("log_bessel_ie", [n, x], |[n, x]| {
        let valid = is_natural(x) & is_count(n);
        let ordinary = valid & x.gt(0.0);
        let large = n.ge(LARGE_ORDER);
        let small = x.le((n * n * 0.125).max(SMALL_ARGUMENT)) & !large;
        let middle = x.le(LARGE_ARGUMENT) & !large & !small;
        let by_series = power_series(n, x, ordinary & small);
        let by_circle = circle(n, x, ordinary & middle).ln();
        let far = hankel_expansion(n, x).ln() - (x.ln() * 0.5 + HALF_LOG_TAU);
        let value = large.select(uniform_expansion(n, x), small.select(by_series, middle.select(by_circle, far)));
        let at_zero = n.equal(0.0).select(x.fill(0.0), f64::NEG_INFINITY);
        inside(valid, x.equal(0.0).select(at_zero, value))
    })
}

/// The power series, whose terms are positive.
fn power_series<'b>(n: Value<'b>, x: Value<'b>, wanted: Value<'b>) -> Value<'b> {
    let square = x * x * 0.25;
    let (zero, one) = (x.fill(0.0), x.fill(1.0));
    let [_, sum, scale] = iterate(999, wanted, [one, one, zero], |k, [term, sum, scale]| {
        let k = k + 1.0;
        let term = term * (square / (k * (n + k)));
        let sum = sum + term;
        let large = sum.gt(1e200);
        let goes_on = term.gt(sum * 1e-17);
        let shrunk = |value: Value<'b>| large.select(value * 1e-200, value);
        ([shrunk(term), shrunk(sum), large.select(scale + 200.0 * LN_10, scale)], goes_on)
    });
    let power = n.equal(0.0).select(0.0, n * (x.ln() - LN_2) - lgamma(n + 1.0));
    power - x + scale + sum.ln()
}

/// The trapezoidal rule for the integral over half a circle.
fn circle<'b>(n: Value<'b>, x: Value<'b>, wanted: Value<'b>) -> Value<'b> {
    let count = ((n + (x * 90.0).sqrt()) * 0.5).ceil() + 8.0;
    let step = PI / count;
    let at = |t: Value<'b>| {
        let sine = (t * 0.5).sin();
        (x * -2.0 * (sine * sine)).exp() * (n * t).cos()
    };
    let first = (at(x.fill(0.0)) + at(x.fill(PI))) * 0.5;
    // At most (60 + √(90 · 4000)) / 2 + 9 nodes.
    let [sum] = iterate(340, wanted, [first], |k, [sum]| ([sum + at((k + 1.0) * step)], (k + 2.0).lt(count)));
    sum / count
}

/// √(2πx) e^−x I_n(x) for large x.
fn hankel_expansion<'b>(n: Value<'b>, x: Value<'b>) -> Value<'b> {
    let (mut term, mut sum) = (x.fill(1.0), x.fill(1.0));
    let mut open = x.fill_truth(true);
    for k in 1..30 {
        let odd = f64::from(2 * k - 1);
        let next = -term * (n * n * 4.0 - odd * odd) / (x * f64::from(8 * k));
        let grows = if k > 1 { next.abs().ge(term.abs()) } else { x.fill_truth(false) };
        open = open & !grows;
        term = open.select(next, term);
        sum = open.select(sum + next, sum);
    }
    sum
}

/// The uniform expansion for large orders.
fn uniform_expansion<'b>(n: Value<'b>, x: Value<'b>) -> Value<'b> {
    let z = x / n;
    let root = hypot(z, z.fill(1.0));
    let p = 1.0 / root;
    let square = p * p;
    let ratio = p / n;
    let sum =
        DEBYE.iter().rev().fold(z.fill(0.0), |sum, coefficients| (sum + polynomial(coefficients, square)) * ratio);
    // n (root + ln(z / (1 + root))) − x, where root − z = 1 / (root + z) avoids cancellation.
    // Engines flush a quotient below the range of normal numbers to 0.
    let log = z.lt(1e-290).select(x.ln() - n.ln() - LN_2, (z / (root + 1.0)).ln());
    let eta = 1.0 / (root + z) + log;
    n * eta - (n * root * (2.0 * PI)).ln() * 0.5 + sum.log1p()
}
