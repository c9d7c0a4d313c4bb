//! Functions of one element.

use crate::lowering::builder::Value;
use stochgrad_tensor::map::{GUARD, Map};

/// A function of each element, or `None` for special functions.
pub fn map<'b>(map: Map, x: Value<'b>) -> Option<Value<'b>> {
    let one_if = |condition: Value<'b>| condition.choose(x.element(), 1.0, 0.0);
    Some(match map {
        Map::Neg => -x,
        Map::Exp => x.exp(),
        Map::ExpWithin(low, high) => x.max(low).min(high).exp(),
        Map::Ln | Map::LnHeld => x.ln(),
        Map::Log1p => x.log1p(),
        Map::Expm1 => x.expm1(),
        // The difference of infinities would be NaN.
        Map::ExpExcess => x.equal(f64::INFINITY).select(f64::INFINITY, x.exp() - x),
        Map::Sqrt => x.sqrt(),
        Map::Square => x.square(),
        Map::Recip => 1.0 / x,
        Map::Abs => x.abs(),
        Map::Sign => x.sign(),
        Map::Sin => x.sin(),
        Map::Cos => x.cos(),
        Map::Versine => x.abs().equal(f64::INFINITY).select(f64::INFINITY, (x * 0.5).sin().square() * 2.0),
        Map::VersineSlope => x.abs().equal(f64::INFINITY).select(0.0, x.sin()),
        Map::Tanh => x.tanh(),
        // Some versions expand the operation `logistic` by the hyperbolic tangent, which loses the digits of small
        // results.
        Map::Sigmoid => 1.0 / ((-x).exp() + 1.0),
        Map::Softplus => x.max(0.0) + (-x.abs()).exp().log1p(),
        Map::Log1pSquare => log1p_square(x),
        Map::Log1pSquareSlope => log1p_square_slope(x),
        Map::Relu => x.max(0.0),
        Map::LeakyRelu(slope) => x * x.gt(0.0).choose(x.element(), 1.0, slope),
        Map::Erf | Map::Lgamma | Map::Polygamma(_) => return None,
        Map::Floor => x.floor(),
        Map::Ceil => x.ceil(),
        Map::Round => x.round(),
        Map::Step => one_if(x.gt(0.0)),
        Map::LeakyStep(slope) => x.gt(0.0).choose(x.element(), 1.0, slope),
        Map::AddScalar(c) => x + c,
        Map::MulScalar(c) => x * c,
        Map::RsubScalar(c) => c - x,
        Map::RdivScalar(c) => c / x,
        Map::PowScalar(exponent) => power(x, exponent),
        Map::MaxScalar(c) => x.max(c),
        Map::MinScalar(c) => x.min(c),
        Map::Clamp(low, high) => x.max(low).min(high),
        Map::Guard(bound) => x.max(-bound).min(bound),
        Map::Within(low, high) => one_if(x.ge(low) & x.le(high)),
        Map::Outside(low, high) => one_if(x.lt(low) | x.gt(high)),
        Map::Unguard => unguarded(x),
        Map::IsNan => one_if(x.is_nan()),
        Map::OnesLike => x.fill(1.0),
        Map::ZerosLike => x.fill(0.0),
    })
}

/// −∞ if x is a value that a guard has substituted for it, else x.
pub(crate) fn unguarded(x: Value<'_>) -> Value<'_> {
    x.lt(-0.5 * GUARD).select(f64::NEG_INFINITY, x)
}

/// ln(1 + x²), without overflow.
pub(crate) fn log1p_square(x: Value<'_>) -> Value<'_> {
    // Beyond this value the 1 is lost in rounding, and for larger ones the square overflows.
    let far = x.abs().gt(1e9);
    far.select(x.abs().ln() * 2.0, far.select(0.0, x).square().log1p())
}

/// 2x / (1 + x²), without overflow.
pub(crate) fn log1p_square_slope(x: Value<'_>) -> Value<'_> {
    2.0 / (x + 1.0 / x)
}

/// x^exponent; the common exponents have cheaper forms.
fn power(x: Value<'_>, exponent: f64) -> Value<'_> {
    match exponent {
        0.0 => x.fill(1.0),
        1.0 => x,
        2.0 => x * x,
        3.0 => x * x * x,
        -1.0 => 1.0 / x,
        _ => x.pow(exponent),
    }
}
