//! The list of functions of two elements.

/// An elementwise function of two operands. Comparisons give 1 or 0; with a NaN they give 0, except [`Zip::NotEqual`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zip {
    /// a + b
    Add,
    /// a − b
    Sub,
    /// a − b, followed by [`Map::Unguard`](crate::kernels::map::Map::Unguard).
    SubUnguarded,
    /// a · b
    Mul,
    /// a · b for a in [0, 1], else −∞: the part of the log-probability of a bit a that depends on it, given log-odds b.
    /// The derivatives are those of the product.
    MulBit,
    /// a · b for a count a = 0, 1, …, else −∞. The derivatives are those of the product.
    MulCount,
    /// a · b + (1 − a) · (1 − b) for a in [0, 1], else 0: the probability of a bit a that is 1 with probability b. The
    /// derivatives are those of the sum.
    ChanceOfBit,
    /// a / b
    Div,
    /// a^b
    Pow,
    /// The larger of the two; NaN if one of them is NaN.
    Maximum,
    /// The smaller of the two; NaN if one of them is NaN.
    Minimum,
    /// ln(e^a + e^b), without overflow; NaN if one of them is NaN.
    LogAddExp,
    /// ln(1 + (a / b)²) for b > 0, without overflow of the square.
    Log1pSquareRatio,
    /// 2a / (a² + b²): the derivative of [`Zip::Log1pSquareRatio`] with respect to a.
    Log1pSquareRatioByFirst,
    /// −2a² / (b · (a² + b²)): the derivative of [`Zip::Log1pSquareRatio`] with respect to b. It is −2 / b if a is
    /// infinite.
    Log1pSquareRatioBySecond,
    /// a > b
    Greater,
    /// a ≥ b
    GreaterEqual,
    /// a < b
    Less,
    /// a ≤ b
    LessEqual,
    /// a = b
    Equal,
    /// a ≠ b
    NotEqual,
    /// 1 if a > b, ½ if they are equal, else 0; 0 with a NaN. This is the derivative of the larger one with respect to
    /// a.
    Share,
    /// a · b, and 0 if b is 0 for any a: a member times its weight.
    Weigh,
    /// 0 if b is 0 and a is infinite or NaN, else 1: whether a member with weight b is kept.
    Keep,
    /// 0 if b is 0 and a is infinite or NaN, else a.
    Hold,
}

impl Zip {
    /// Whether the function costs several times as much as arithmetic.
    pub fn is_transcendental(self) -> bool {
        matches!(self, Zip::Pow | Zip::LogAddExp | Zip::Log1pSquareRatio)
    }
}
