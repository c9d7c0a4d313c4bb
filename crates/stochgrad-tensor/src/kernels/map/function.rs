/// What guards put for infinities, in either precision.
pub const GUARD: f64 = 1e30;

/// An elementwise function of one operand. NaN goes to NaN unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Map {
    /// −x
    Neg,
    /// e^x
    Exp,
    /// The natural logarithm.
    Ln,
    /// The natural logarithm of x ≥ 0, with a slope that stays finite at 0: multiplied by 0 it is 0.
    LnHeld,
    /// ln(1 + x)
    Log1p,
    /// e^x − 1
    Expm1,
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
    /// x where x > 0, else slope · x.
    LeakyRelu(f64),
    /// The error function.
    Erf,
    /// ln |Γ(x)|
    Lgamma,
    /// The n-th derivative of digamma; 0 is digamma itself.
    Polygamma(u32),
    /// The largest integer not above x.
    Floor,
    /// The smallest integer not below x.
    Ceil,
    /// The nearest integer; halves go away from 0.
    Round,
    /// 1 where x > 0, else 0; 0 for NaN.
    Step,
    /// 1 where x > 0, else the slope: the derivative of [`Map::LeakyRelu`]. The slope for NaN.
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
    /// x brought into [low, high].
    Clamp(f64, f64),
    /// 1 where low ≤ x ≤ high, else 0; 0 for NaN.
    Within(f64, f64),
    /// x held between −bound and bound, which no finite value in use reaches. Unlike that of [`Clamp`](Map::Clamp), the
    /// slope is 1 everywhere: an infinity that is held has the slope of what it stands for, such as a score.
    Guard(f64),
    /// −∞ where x is below −½ [`GUARD`], else x. The slope is 1 everywhere: it gives back the −∞ for which a guard has
    /// put a number.
    Unguard,
    /// 1 where x is NaN, else 0.
    IsNan,
    /// 1 everywhere.
    OnesLike,
    /// 0 everywhere.
    ZerosLike,
}

impl Map {
    /// Whether it is a guard against infinities, whose ends no value in use reaches, or takes one back.
    pub fn is_guard(self) -> bool {
        match self {
            Map::Clamp(low, high) => low <= -GUARD && high >= GUARD,
            Map::Guard(_) | Map::Unguard => true,
            _ => false,
        }
    }

    /// Whether it costs several times what arithmetic does.
    pub fn is_transcendental(self) -> bool {
        match self {
            Map::Exp
            | Map::Ln
            | Map::LnHeld
            | Map::Log1p
            | Map::Expm1
            | Map::Sin
            | Map::Cos
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
