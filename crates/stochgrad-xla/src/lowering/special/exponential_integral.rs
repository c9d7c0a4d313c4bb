//! The exponential integral E₁ without its exponential decay, and its derivatives.

use super::numeric::{apart, inside, single};
use super::quadrature::exponential_tail;
use crate::lowering::builder::Value;

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// Below this argument, the power series is used.
const SMALL: f64 = 1.0;

/// The integral of e^−t / (x + t)^(n + 1) over t > 0, of this order n.
pub(crate) fn scaled_exponential_integral(order: u32, x: Value<'_>) -> Value<'_> {
    single(&format!("scaled_exponential_integral_{order}"), [x], |[x]| {
        let large = exponential_tail(f64::from(order), x.max(SMALL).min(f64::MAX));
        let near = x.min(SMALL);
        // x^n times the result: from order to order by parts.
        let small = (1..=order).fold(near.exp() * series(near), |below, k| (1.0 - near * below) / f64::from(k));
        let scaled = x.lt(SMALL).select(small, large);
        let value = (0..order).fold(scaled, |value, _| apart(value / x));
        let ends = x.equal(0.0).select(x.fill(f64::INFINITY), x.equal(f64::INFINITY).select(0.0, value));
        inside(x.ge(0.0), ends)
    })
}

/// E₁(x) for x below 1.
fn series(x: Value<'_>) -> Value<'_> {
    let sum = (1..20).rev().fold(x.fill(0.0), |sum, k| {
        let k = f64::from(k);
        x / k * (1.0 / k - sum)
    });
    sum - EULER - x.ln()
}
