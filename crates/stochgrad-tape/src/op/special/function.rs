//! The list of special functions.

/// The scale of a probability or a rate, in [`Special::BinomialLogPmf`] and similar functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scale {
    /// The probability or the rate itself.
    Natural,
    /// The log-odds of a probability, or the logarithm of a rate.
    Log,
}

/// A distribution of counts, in [`Special::CountDraw`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counts {
    /// The Poisson distribution, of the rate.
    Poisson,
    /// The binomial distribution, of the number of trials and the probability of success.
    Binomial,
    /// The number of failures in the negative binomial distribution, of the number of successes and the probability of
    /// success or its log-odds.
    NegativeBinomial(Scale),
}

/// A part of the [weak derivative](stochgrad_tensor::special::gamma_shape_derivative) of a distribution with respect to
/// a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShapePart {
    /// The point of the positive part.
    Positive,
    /// The point of the negative part.
    Negative,
    /// The constant.
    Constant,
}

/// A special function. The operands are listed in their order.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Special {
    /// The complementary error function of x.
    Erfc,
    /// The inverse of the error function.
    ErfInv,
    /// The standard normal distribution function of x.
    NormalCdf,
    /// Its logarithm.
    NormalLogCdf,
    /// Its inverse.
    NormalIcdf,
    /// The inverse of `NormalLogCdf`.
    NormalIcdfOfLog,
    /// ln(P(Z > x) e^(x²/2)) for a standard normal Z.
    NormalLogMills,
    /// ln(1 − e^x) for x ≤ 0.
    Log1mexp,
    /// The derivative of this order of ln(sinh x / x).
    LogSinhc(u32),
    /// The integral of e^−t / (x + t)^(n + 1) over t > 0, of this order n: for order 0, e^x E₁(x).
    ScaledExponentialIntegral(u32),
    /// The angle whose tangent is x.
    Atan,
    /// The angle in (0, π) whose cotangent is x.
    Acot,
    /// The z > 0 at which the logarithm of the standard Gumbel density is x below its highest value.
    GumbelLevelRight,
    /// The z < 0 at which it is x below its highest value.
    GumbelLevelLeft,
    /// ln B(a, b).
    LogBeta,
    /// The regularised lower incomplete gamma function P(a, x).
    GammaP,
    /// The regularised upper incomplete gamma function Q(a, x).
    GammaQ,
    /// The derivative of P(a, x) with respect to a.
    GammaPByShape,
    /// ln P(a, x).
    LogGammaP,
    /// ln Q(a, x).
    LogGammaQ,
    /// The derivative of ln P(a, x) with respect to x.
    LogGammaPByArgument,
    /// The derivative of ln Q(a, x) with respect to x.
    LogGammaQByArgument,
    /// The derivative of ln P(a, x) with respect to a.
    LogGammaPByShape,
    /// The derivative of ln Q(a, x) with respect to a.
    LogGammaQByShape,
    /// The derivative of ln x with respect to a at a constant P(a, x), of a and ln x.
    GammaVariateByShape,
    /// The second derivative of ln x with respect to a at a constant P(a, x), of a and ln x. It has no derivative of its
    /// own: a request for one is an error.
    GammaVariateByShapeTwice,
    /// A part of the weak derivative of the gamma distribution with respect to its shape a, of a and the share of the
    /// part beyond its point. The points are logarithms. It has no derivative.
    GammaShapePart(ShapePart),
    /// A part of the weak derivative of the beta distribution with respect to its first shape, of both shapes and the
    /// share of the part beyond its point. The points are log-odds. It has no derivative.
    BetaShapePart(ShapePart),
    /// The x with P(a, x) = p, of a and p.
    GammaPInverse,
    /// The x with Q(a, x) = q, of a and q.
    GammaQInverse,
    /// The derivative of this order of ψ(x) − ln x.
    DigammaMinusLog(u32),
    /// The difference of ψ(x) − ln x between a and b, of a and b.
    DigammaMinusLogDifference,
    /// The difference of the derivative of this order of ln Γ between a and b, of a and b.
    LogGammaDifference(u32),
    /// f(x + 2h) − 2 f(x + h) + f(x), where f is the derivative of this order of ln Γ, of x and h.
    LogGammaSecondDifference(u32),
    /// The Bregman divergence of ln Γ(x) − x ln x + x from a to b, of a and b.
    StirlingDivergence,
    /// 1 − I₁(κ) / I₀(κ).
    VonMisesGap,
    /// The regularised incomplete beta function, of a, b, x and y = 1 − x.
    BetaInc,
    /// The derivative of the regularised incomplete beta function with respect to a, of a, b, x and y = 1 − x.
    BetaIncByFirst,
    /// The logarithm of the regularised incomplete beta function, of a, b, x and y = 1 − x.
    LogBetaInc,
    /// Its derivative with respect to a.
    LogBetaIncByFirst,
    /// Its derivative with respect to b.
    LogBetaIncBySecond,
    /// Its derivative with respect to x.
    LogBetaIncByArgument,
    /// The x with I_x(a, b) = p, of a, b and p.
    BetaIncInverse,
    /// The x with 1 − I_x(a, b) = q, of a, b and q.
    BetaIncComplementInverse,
    /// The distribution function of Student's t distribution, of the argument and the degrees of freedom.
    StudentTCdf,
    /// Its logarithm.
    StudentTLogCdf,
    /// Its derivative with respect to the degrees of freedom.
    StudentTCdfByDegrees,
    /// The derivative of its logarithm with respect to the argument.
    StudentTLogCdfByArgument,
    /// The derivative of its logarithm with respect to the degrees of freedom.
    StudentTLogCdfByDegrees,
    /// Its inverse, of the probability and the degrees of freedom.
    StudentTIcdf,
    /// The derivative of this order of the logarithm of the density of Student's t distribution at 0, with respect to
    /// the degrees of freedom.
    StudentTLogHeight(u32),
    /// e^−|x| I_n(x) for this order n.
    BesselIe(u32),
    /// ln(e^−x I_n(x)), of n and x.
    LogBesselIe,
    /// x ln(x / m) − x + m, of x and m.
    Deviance(Scale),
    /// The divergence of two trials with the success probabilities p and q, of p and q.
    BinaryDeviance,
    /// ln(x / y), of x and y.
    LogRatio,
    /// The Bregman divergence of ln(sinh x / x) from a to b.
    LogSinhcDivergence,
    /// The distribution function of the von Mises distribution around 0, of the angle and the concentration.
    VonMisesCdf,
    /// Its derivative with respect to the concentration.
    VonMisesCdfByConcentration,
    /// The logarithm of the distribution function of the von Mises distribution around 0.
    VonMisesLogCdf,
    /// Its derivative with respect to the angle.
    VonMisesLogCdfByArgument,
    /// Its derivative with respect to the concentration.
    VonMisesLogCdfByConcentration,
    /// The derivative of an angle with respect to the concentration at a constant distribution function, of the angle
    /// and the concentration. It has no derivative of its own.
    VonMisesVariateByConcentration,
    /// The inverse of the distribution function of the von Mises distribution around 0, of the probability and the
    /// concentration.
    VonMisesIcdf,
    /// The inverse of the distribution function of the inverse Gaussian distribution, of the probability, the location
    /// and the concentration.
    InverseGaussianIcdf,
    /// The inverse of the survival function of the inverse Gaussian distribution, of the same operands.
    InverseGaussianComplementIcdf,
    /// ln P(a < Z < b) of a standard normal Z, of a and b.
    NormalLogMass,
    /// ln of P(a < Z < b) over the standard normal density at a.
    NormalLogMassOverDensity,
    /// ln of P(a < Z < b) over the standard normal density at the bound nearer to 0, or at 0 if it lies between them.
    /// The derivative treats the point of this density as a constant.
    NormalLogScaledMass,
    /// The same value, with the derivative that takes into account that the bound nearer to 0 moves.
    NormalLogMassAtEdge,
    /// The standard normal density at the lower bound over the mass between two bounds, less the lower bound where that
    /// is positive.
    NormalHazardAtEdge,
    /// The distribution function of the standard normal distribution between two bounds, of the argument and the
    /// bounds.
    TruncatedNormalCdf,
    /// Its inverse, of the probability and the bounds.
    TruncatedNormalIcdf,
    /// The mean of the standard normal distribution between two bounds.
    TruncatedNormalMean,
    /// Its distance from the lower bound.
    TruncatedNormalExcess,
    /// The variance of the standard normal distribution between two bounds.
    TruncatedNormalVariance,
    /// The y with ln(1 + e^y) = x.
    SoftplusInverse,
    /// The quantile of the Poisson distribution, of the probability and the rate.
    PoissonIcdf,
    /// The quantile of the binomial distribution, of the probability, the number of trials and the probability of
    /// success.
    BinomialIcdf,
    /// The quantile of the number of failures in the negative binomial distribution, of the probability, the number of
    /// successes and the probability of success.
    NegativeBinomialIcdf(Scale),
    /// The quantile of the survival function of the Poisson distribution, of the probability and the rate.
    PoissonInverseSurvival,
    /// The quantile of the survival function of the number of failures in the negative binomial distribution, of the
    /// probability, the number of successes and the probability of success.
    NegativeBinomialInverseSurvival(Scale),
    /// A count drawn by inversion, of folded noise and the operands of the quantile.
    CountDraw(Counts),
    /// The distribution function of the difference of two Poisson variates, of the difference and the rates.
    SkellamCdf,
    /// Its inverse, of the probability and the rates.
    SkellamIcdf,
    /// The log-probability of a number of failures, of the number, the number of successes, and the probability.
    NegativeBinomialLogPmf(Scale),
    /// ln of x^a e^−x / Γ(a), of a and x.
    LogGammaKernel,
    /// ln of x^a y^b / B(a, b), of a, b, x and y = 1 − x.
    LogBetaKernel,
    /// The log-probability of a count, of the count and the rate.
    PoissonLogPmf(Scale),
    /// The log-probability of a number of successes, of the number, the number of trials, and the probability.
    BinomialLogPmf(Scale),
    /// The entropy of the number of successes, of the number of trials and the probability.
    BinomialEntropy(Scale),
    /// Its derivative with respect to the log-odds.
    BinomialEntropySlope(Scale),
}
