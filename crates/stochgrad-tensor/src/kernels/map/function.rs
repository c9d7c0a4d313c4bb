//! The list of functions of one element.

/// The finite value that guards substitute for an infinity, in both precisions.
pub const GUARD: f64 = 1e30;

/// An elementwise function of one operand. The result for NaN is NaN unless stated otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Map {
    /// −x
    Neg,
    /// e^x
    Exp,
    /// e^x for x clamped to [low, high]. The derivative is the result everywhere, so that the logarithm of the result has
    /// the derivative of x.
    ExpWithin(f64, f64),
    /// The natural logarithm.
    Ln,
    /// The natural logarithm of x ≥ 0 whose derivative counts as finite at 0, so that its product with 0 is 0.
    LnHeld,
    /// ln(1 + x)
    Log1p,
    /// e^x − 1
    Expm1,
    /// e^x − x, which is ∞ at both infinities.
    ExpExcess,
    /// The square root.
    Sqrt,
    /// x²
    Square,
    /// 1 / x
    Recip,
    /// |x|
    Abs,
    /// −1, 0 or 1.
    Sign,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
    /// The versed sine 1 − cos x, to the last digits also for small x; ∞ for an infinite x, which is no angle.
    Versine,
    /// sin x, and 0 for an infinite x: the derivative of [`Map::Versine`].
    VersineSlope,
    /// The hyperbolic tangent.
    Tanh,
    /// 1 / (1 + e^−x)
    Sigmoid,
    /// ln(1 + e^x)
    Softplus,
    /// ln(1 + x²), without overflow.
    Log1pSquare,
    /// 2x / (1 + x²): the derivative of [`Map::Log1pSquare`].
    Log1pSquareSlope,
    /// max(x, 0)
    Relu,
    /// x if x > 0, else slope · x.
    LeakyRelu(f64),
    /// The error function.
    Erf,
    /// ln |Γ(x)|
    Lgamma,
    /// The n-th derivative of the digamma function; n = 0 is the function itself.
    Polygamma(u32),
    /// The largest integer ≤ x.
    Floor,
    /// The smallest integer ≥ x.
    Ceil,
    /// The nearest integer; halves are rounded away from 0.
    Round,
    /// 1 if x > 0, else 0; 0 for NaN.
    Step,
    /// 1 if x > 0, else the slope; the slope for NaN. This is the derivative of [`Map::LeakyRelu`].
    LeakyStep(f64),
    /// x + c
    AddScalar(f64),
    /// x · c
    MulScalar(f64),
    /// c − x
    RsubScalar(f64),
    /// c / x
    RdivScalar(f64),
    /// x^c
    PowScalar(f64),
    /// max(x, c)
    MaxScalar(f64),
    /// min(x, c)
    MinScalar(f64),
    /// x clamped to [low, high].
    Clamp(f64, f64),
    /// 1 if low ≤ x ≤ high, else 0; 0 for NaN.
    Within(f64, f64),
    /// 1 if x < low or x > high, else 0; 0 for NaN.
    Outside(f64, f64),
    /// x clamped to [−bound, bound], for a bound that no finite value in use reaches. Unlike for [`Clamp`](Map::Clamp),
    /// the derivative is 1 everywhere: a clamped infinity keeps the derivative of the value that it replaces, such as a
    /// score.
    Guard(f64),
    /// −∞ if x is below −½ [`GUARD`], else x. It restores the −∞ that a guard has replaced. The derivative is 1
    /// everywhere.
    Unguard,
    /// 1 if x is NaN, else 0.
    IsNan,
    /// 1 everywhere.
    OnesLike,
    /// 0 everywhere.
    ZerosLike,
}

impl Map {
    /// Whether the function is a guard against infinities, with bounds that no value in use reaches, or undoes one.
    pub fn is_guard(self) -> bool {
        match self {
            Map::Clamp(low, high) => low <= -GUARD && high >= GUARD,
            Map::Guard(_) | Map::Unguard => true,
            _ => false,
        }
    }

    /// Whether the function costs several times as much as arithmetic.
    pub fn is_transcendental(self) -> bool {
        match self {
            Map::Exp
            | Map::ExpWithin(..)
            | Map::Ln
            | Map::LnHeld
            | Map::Log1p
            | Map::Expm1
            | Map::ExpExcess
            | Map::Sin
            | Map::Cos
            | Map::Versine
            | Map::VersineSlope
            | Map::Tanh
            | Map::Sigmoid
            | Map::Softplus
            | Map::Log1pSquare
            | Map::Erf
            | Map::Lgamma
            | Map::Polygamma(_) => true,
            Map::PowScalar(exponent) => ![-1.0, 0.0, 1.0, 2.0, 3.0].contains(&exponent),
            _ => false,
        }
    }
}
