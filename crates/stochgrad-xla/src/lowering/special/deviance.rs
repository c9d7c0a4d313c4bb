//! Deviances, without the cancellation of their terms.

use super::numeric::{inside, is_infinite, is_normal, single};
use super::saddle_point::deviance_from;
use crate::lowering::builder::Value;

/// x ln(x / m) − x + m.
pub(crate) fn deviance<'b>(x: Value<'b>, m: Value<'b>) -> Value<'b> {
    between(x, m, x - m)
}

fn between<'b>(x: Value<'b>, m: Value<'b>, difference: Value<'b>) -> Value<'b> {
    single("deviance_between", [x, m, difference], |[x, m, difference]| {
        let apart = m.equal(0.0) | (is_infinite(m) & x.lt(f64::INFINITY));
        let value = apart.select(f64::INFINITY, deviance_from(x, m, difference));
        inside(x.ge(0.0) & m.ge(0.0), x.equal(0.0).select(m, value))
    })
}

/// The deviance of e^x from e^m.
pub(crate) fn deviance_by_log<'b>(x: Value<'b>, m: Value<'b>) -> Value<'b> {
    single("deviance_by_log", [x, m], |[x, m]| {
        let shift = m - x;
        // In two factors, since e^x may overflow where the deviance does not.
        let half = (x * 0.5).exp();
        let (own, other) = (half * half, m.exp());
        let near = {
            let factor = (3..=17).rev().fold(x.fill(1.0), |factor, n| shift / f64::from(n) * factor + 1.0);
            shift * shift * 0.5 * factor
        };
        // The shift may be infinite where the exponential is 0.
        let above = own.equal(0.0).select(other, other - own * (shift + 1.0));
        let above = (own.equal(f64::INFINITY) & shift.lt(f64::INFINITY)).select(f64::INFINITY, above);
        let below = shift.expm1() - shift;
        let is_near = shift.abs().lt(1.0);
        let value = (is_near | shift.le(0.0)).select(half * (half * is_near.select(near, below)), above);
        let value = (m.equal(f64::NEG_INFINITY) & !x.is_nan()).select(f64::INFINITY, value);
        x.equal(f64::NEG_INFINITY).select(other, value)
    })
}

/// The divergence of two trials with the success probabilities p and q.
pub(crate) fn binary_deviance<'b>(p: Value<'b>, q: Value<'b>) -> Value<'b> {
    between(p, q, p - q) + between(1.0 - p, 1.0 - q, q - p)
}

/// ln(x / y).
pub(crate) fn log_ratio<'b>(x: Value<'b>, y: Value<'b>) -> Value<'b> {
    single("log_ratio", [x, y], |[x, y]| {
        let difference = x - y;
        let ratio = x / y;
        let apart = (is_normal(ratio) & ratio.gt(0.0) & y.gt(0.0)).select(ratio.ln(), x.ln() - y.ln());
        let value = difference.abs().lt(y * 0.5).select((difference / y).log1p(), apart);
        (x.equal(y) & x.ge(0.0)).select(0.0, value)
    })
}
