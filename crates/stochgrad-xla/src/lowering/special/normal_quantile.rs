//! The quantile function of the standard normal distribution.

use super::numeric::{polynomial, single, with_sign};
use crate::lowering::builder::Value;
use stochgrad_tensor::special::tables::{NORMAL_QUANTILE_CENTRAL, NORMAL_QUANTILE_MIDDLE, NORMAL_QUANTILE_TAIL};

/// The quotient of two polynomials, highest power first.
fn quotient<'b>((above, below): &([f64; 8], [f64; 8]), x: Value<'b>) -> Value<'b> {
    let lowest_first = |coefficients: &[f64; 8]| coefficients.iter().rev().copied().collect::<Vec<_>>();
    polynomial(&lowest_first(above), x) / polynomial(&lowest_first(below), x)
}

/// The quantile from `centred` = p − 1/2 and `tail` = min(p, 1 − p).
pub(super) fn standard_quantile<'b>(centred: Value<'b>, tail: Value<'b>) -> Value<'b> {
    single("standard_quantile", [centred, tail], |[centred, tail]| {
        let near = centred * quotient(&NORMAL_QUANTILE_CENTRAL, 0.180625 - centred * centred);
        let root = (-tail.ln()).sqrt();
        let middle = quotient(&NORMAL_QUANTILE_MIDDLE, root - 1.6);
        let far = quotient(&NORMAL_QUANTILE_TAIL, root - 5.0);
        let outer = tail.equal(0.0).select(f64::INFINITY, root.le(5.0).select(middle, far));
        centred.abs().le(0.425).select(near, with_sign(outer, centred))
    })
}
