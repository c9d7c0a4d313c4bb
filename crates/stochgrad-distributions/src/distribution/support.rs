//! The values that a distribution can take.

/// The values that a distribution can take, for one independent element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Support {
    /// 0 and 1.
    Bits,
    /// `0, 1, …, n − 1`.
    Categories(usize),
    /// Vectors with a single 1.
    OneHot(usize),
    /// `0, 1, 2, …`, perhaps up to a number that depends on the parameters.
    Counts,
    /// Vectors of counts, whose total depends on the parameters.
    CountVectors(usize),
    /// The whole numbers, perhaps between bounds that depend on the parameters.
    Integers,
    /// The real line.
    Real,
    /// The positive numbers.
    Positive,
    /// The numbers between 0 and 1.
    UnitInterval,
    /// An interval that depends on the parameters.
    Interval,
    /// Angles in radians, whole turns apart being the same.
    Angles,
    /// Vectors of this length.
    Vectors(usize),
    /// Vectors of positive numbers whose sum is 1.
    Simplex(usize),
    /// Symmetric positive definite matrices of this size.
    PositiveDefinite(usize),
    /// Lower Cholesky factors of correlation matrices of this size.
    CorrelationFactors(usize),
    /// Given values.
    Values,
}
