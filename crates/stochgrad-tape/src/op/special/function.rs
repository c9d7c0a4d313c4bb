//! The list of special functions.

/// The scale of a probability or a rate, in [`Special::BinomialLogPmf`] and similar functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scale {
    /// The probability or the rate itself.
    Natural,
    /// The log-odds of a probability, or the logarithm of a rate.
    Log,
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
    /// The x with P(a, x) = p, of a and p.
    GammaPInverse,
    /// The x with Q(a, x) = q, of a and q.
    GammaQInverse,
    /// ψ(x) − ln x.
    DigammaMinusLog,
    /// 1 − I₁(κ) / I₀(κ).
    VonMisesGap,
    /// The regularised incomplete beta function, of a, b, x and y = 1 − x.
    BetaInc,
    /// The derivative of the regularised incomplete beta function with respect to a, of a, b, x and y = 1 − x.
    BetaIncByFirst,
    /// The x with I_x(a, b) = p, of a, b and p.
    BetaIncInverse,
    /// e^−|x| I_n(x) for this order n.
    BesselIe(u32),
    /// ln(e^−x I_n(x)), of n and x.
    LogBesselIe,
    /// The distribution function of the von Mises distribution around 0, of the angle and the concentration.
    VonMisesCdf,
    /// Its derivative with respect to the concentration.
    VonMisesCdfByConcentration,
    /// The inverse of the distribution function of the von Mises distribution around 0, of the probability and the
    /// concentration.
    VonMisesIcdf,
    /// The inverse of the distribution function of the inverse Gaussian distribution, of the probability, the location
    /// and the concentration.
    InverseGaussianIcdf,
    /// ln P(a < Z < b) of a standard normal Z, of a and b.
    NormalLogMass,
    /// ln of P(a < Z < b) over the standard normal density at a.
    NormalLogMassOverDensity,
    /// ln of P(a < Z < b) over the standard normal density at the bound nearer to 0, or at 0 if it lies between them.
    /// The derivative treats the point of this density as a constant.
    NormalLogScaledMass,
    /// The distribution function of the standard normal distribution between two bounds, of the argument and the
    /// bounds.
    TruncatedNormalCdf,
    /// Its inverse, of the probability and the bounds.
    TruncatedNormalIcdf,
    /// The mean of the standard normal distribution between two bounds.
    TruncatedNormalMean,
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
    NegativeBinomialIcdf,
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
