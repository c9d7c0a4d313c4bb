//! Sums and differences in log space, and the logistic function.

use super::numeric::inside;
use crate::lowering::builder::Value;
use std::f64::consts::LN_2;

/// ln(1 − e^x) for x ≤ 0.
pub(crate) fn log1mexp(x: Value<'_>) -> Value<'_> {
    inside(x.le(0.0), x.gt(-LN_2).select((-x.expm1()).ln(), (-x.exp()).log1p()))
}

/// ln(e^a + e^b).
pub(super) fn log_add_exp<'b>(a: Value<'b>, b: Value<'b>) -> Value<'b> {
    let (high, low) = (a.max(b), a.min(b));
    high.abs().equal(f64::INFINITY).select(high, high + (low - high).exp().log1p())
}

/// ln(1 + e^x).
pub(super) fn softplus(x: Value<'_>) -> Value<'_> {
    x.max(0.0) + (-x.abs()).exp().log1p()
}

/// The y with ln(1 + e^y) = x.
pub(crate) fn softplus_inverse(x: Value<'_>) -> Value<'_> {
    x + (-(-x).expm1()).ln()
}

/// 1 / (1 + e^−x).
pub(super) fn sigmoid(x: Value<'_>) -> Value<'_> {
    let small = (-x.abs()).exp();
    x.ge(0.0).select(x.fill(1.0), small) / (small + 1.0)
}

/// ln(1 / (1 + e^−x)).
pub(super) fn log_sigmoid(x: Value<'_>) -> Value<'_> {
    -softplus(-x)
}
