//! Derivatives of ψ(x) − ln x, which do not cancel for large x.

use super::gamma::{digamma_minus_log, falling_powers, scaled_sum};
use super::numeric::{inside, single};
use crate::lowering::builder::Value;

/// The derivative of this order of ψ(x) − ln x.
pub(crate) fn digamma_minus_log_derivative(order: u32, x: Value<'_>) -> Value<'_> {
    if order == 0 {
        return digamma_minus_log(x);
    }
    single(&format!("digamma_minus_log_derivative_{order}"), [x], |[x]| {
        let sign = if order % 2 == 1 { 1.0 } else { -1.0 };
        let scaled = scaled_excess(order + 1, x);
        // Up to an order of 150, the division by x comes first.
        let start = if order <= 150 { scaled / x } else { scaled };
        let value = falling_powers(order, start, x, 1) * sign;
        inside(x.gt(0.0), x.equal(f64::INFINITY).select(0.0, value))
    })
}

/// x² times the derivative of ψ(x) − ln x.
pub(super) fn scaled_slope(x: Value<'_>) -> Value<'_> {
    single("scaled_slope", [x], |[x]| scaled_excess(2, x))
}

fn scaled_excess<'b>(s: u32, x: Value<'b>) -> Value<'b> {
    // A term minus the integral over the interval that starts there.
    let share = |y: Value<'b>| {
        if s == 2 {
            return 1.0 / (y + 1.0);
        }
        let power = f64::from(s - 1);
        y / power * ((1.0 / y).log1p() * -power).expm1() + 1.0
    };
    scaled_sum(s, x, |y| Some(share(y)), |_, _, correction| correction + 0.5)
}
