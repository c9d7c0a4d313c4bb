//! The functions that record special functions of variables.

use super::function::{Counts, Scale, Special};
use crate::op::Op;
use crate::var::Var;
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;

#[track_caller]
pub(super) fn special<'t, F: Real>(function: Special, inputs: &[Var<'t, F>]) -> Var<'t, F> {
    inputs[0].apply_with(Op::Special(function), &inputs[1..])
}

/// Records a special function of its operands, which broadcast.
///
/// ```
/// use stochgrad_tape::{Special, Tape, special};
///
/// let tape = Tape::<f64>::new();
/// let slope = special::record(Special::GammaPByShape, &[tape.constant(1.0), tape.constant(1.0)]);
/// assert!(slope.item()? < 0.0);
/// # Ok::<(), stochgrad_tape::TapeError>(())
/// ```
///
/// # Panics
/// If there are no operands.
#[track_caller]
pub fn record<'t, F: Real>(function: Special, operands: &[Var<'t, F>]) -> Var<'t, F> {
    special(function, operands)
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident($($operand:ident),+) => $special:expr;)*) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name<'t, F: Real>($($operand: Var<'t, F>),+) -> Var<'t, F> {
            special($special, &[$($operand),+])
        }
    )*};
}

functions! {
    /// The complementary error function.
    erfc(x) => Special::Erfc;
    /// The inverse of the error function, on [−1, 1].
    erf_inv(x) => Special::ErfInv;
    /// The standard normal distribution function.
    normal_cdf(x) => Special::NormalCdf;
    /// The logarithm of the standard normal distribution function, accurate far in the lower tail.
    normal_log_cdf(x) => Special::NormalLogCdf;
    /// The inverse of the standard normal distribution function, on [0, 1].
    normal_icdf(p) => Special::NormalIcdf;
    /// The inverse of [`normal_log_cdf`], for the logarithm of a probability.
    normal_icdf_of_log(log_p) => Special::NormalIcdfOfLog;
    /// ln(P(Z > x) e^(x²/2)) for a standard normal Z: the logarithm of the upper tail without its Gaussian decay.
    normal_log_mills(x) => Special::NormalLogMills;
    /// ln(1 − e^x) for x ≤ 0.
    log1mexp(x) => Special::Log1mexp;
    /// ln(sinh x / x), and 0 at 0.
    log_sinhc(x) => Special::LogSinhc(0);
    /// e^x E₁(x) for x ≥ 0, with the exponential integral E₁: about −ln x near 0, and 1/x far from it.
    scaled_exponential_integral(x) => Special::ScaledExponentialIntegral(0);
    /// The angle whose tangent is x.
    atan(x) => Special::Atan;
    /// The angle in (0, π) whose cotangent is x: π/2 − atan(x), accurate for large x.
    acot(x) => Special::Acot;
    /// The z > 0 at which the logarithm of the standard Gumbel density is `drop` below its highest value.
    gumbel_level_right(drop) => Special::GumbelLevelRight;
    /// The z < 0 at which the logarithm of the standard Gumbel density is `drop` below its highest value.
    gumbel_level_left(drop) => Special::GumbelLevelLeft;
    /// ln B(a, b) for positive a and b.
    log_beta(a, b) => Special::LogBeta;
    /// The regularised lower incomplete gamma function P(a, x).
    gamma_p(a, x) => Special::GammaP;
    /// The regularised upper incomplete gamma function Q(a, x).
    gamma_q(a, x) => Special::GammaQ;
    /// ln P(a, x), finite also where P underflows.
    log_gamma_p(a, x) => Special::LogGammaP;
    /// ln Q(a, x), finite also where Q underflows.
    log_gamma_q(a, x) => Special::LogGammaQ;
    /// The x with P(a, x) = p.
    gamma_p_inverse(a, p) => Special::GammaPInverse;
    /// The x with Q(a, x) = q.
    gamma_q_inverse(a, q) => Special::GammaQInverse;
    /// ψ(x) − ln x for x > 0, without cancellation where x is large.
    digamma_minus_log(x) => Special::DigammaMinusLog(0);
    /// The difference of ψ(x) − ln x between two points, its value at `to` minus that at `from`, without cancellation.
    digamma_minus_log_difference(from, to) => Special::DigammaMinusLogDifference;
    /// ln Γ(to) − ln Γ(from) for positive numbers, without cancellation where they are nearly equal.
    log_gamma_difference(from, to) => Special::LogGammaDifference(0);
    /// ψ(to) − ψ(from) for positive numbers, without cancellation where they are nearly equal.
    digamma_difference(from, to) => Special::LogGammaDifference(1);
    /// ln Γ(x + 2h) − 2 ln Γ(x + h) + ln Γ(x) for x > 0 and h ≥ 0, without cancellation for small h. At x = 1 and h =
    /// 1/k it is the logarithm of the second moment over the squared mean of a Weibull variate of shape k.
    log_gamma_second_difference(x, h) => Special::LogGammaSecondDifference(0);
    /// S(b) − S(a) − (b − a) S′(a) with the convex function S(x) = ln Γ(x) − x ln x + x, for positive a and b, without
    /// cancellation where they are nearly equal. It is the divergence from a gamma distribution of concentration a to
    /// one of concentration b with the same mean. The sum of this and b ln(b/a) + a − b is the Bregman divergence of ln
    /// Γ, ln Γ(b) − ln Γ(a) − (b − a) ψ(a).
    stirling_divergence(a, b) => Special::StirlingDivergence;
    /// 1 − I₁(κ)/I₀(κ) for κ > 0, without cancellation where κ is large.
    von_mises_gap(concentration) => Special::VonMisesGap;
    /// The regularised incomplete beta function I_x(a, b), with y = 1 − x as an additional operand for accuracy near x
    /// = 1. Derivatives flow through the smaller of x and y, so neither of them may be detached.
    beta_inc_pair(a, b, x, y) => Special::BetaInc;
    /// ln I_x(a, b), finite also where the probability underflows, with y = 1 − x as in [`beta_inc_pair`]. The logarithm
    /// of the complement is `log_beta_inc(b, a, y, x)`.
    log_beta_inc(a, b, x, y) => Special::LogBetaInc;
    /// The x with I_x(a, b) = p.
    beta_inc_inverse(a, b, p) => Special::BetaIncInverse;
    /// The x with 1 − I_x(a, b) = q, accurate for small q.
    beta_inc_complement_inverse(a, b, q) => Special::BetaIncComplementInverse;
    /// The distribution function of Student's t distribution. The survival function is its value at −t.
    student_t_cdf(t, degrees_of_freedom) => Special::StudentTCdf;
    /// The logarithm of the distribution function of Student's t distribution, accurate far in the lower tail.
    student_t_log_cdf(t, degrees_of_freedom) => Special::StudentTLogCdf;
    /// The quantile of Student's t distribution. That of the survival function is minus this value.
    student_t_icdf(p, degrees_of_freedom) => Special::StudentTIcdf;
    /// The logarithm of the density of Student's t distribution at 0, which tends to −ln(2π)/2 for many degrees of
    /// freedom.
    student_t_log_height(degrees_of_freedom) => Special::StudentTLogHeight(0);
    /// ln(e^−x I_n(x)) for integers n ≥ 0 and for x ≥ 0. A derivative with respect to n is an error.
    log_bessel_ie(n, x) => Special::LogBesselIe;
    /// x ln(x / m) − x + m for numbers that are not negative, without cancellation where they are nearly equal: the
    /// divergence of Poisson distributions with these rates. It is infinite at m = 0 < x. Its derivatives are finite at
    /// 0, where a logarithm counts as −1500, and the derivative of the logarithm of m as that at the smallest normal
    /// number.
    deviance(x, m) => Special::Deviance(Scale::Natural);
    /// [`deviance`] of eˣ and eᵐ, also where they underflow, and for −∞. Its derivatives are finite at −∞, which counts
    /// as −10³⁰ there.
    deviance_by_log(x, m) => Special::Deviance(Scale::Log);
    /// p ln(p / q) + (1 − p) ln((1 − p) / (1 − q)), without cancellation where p and q are nearly equal: the divergence
    /// of trials with these probabilities. It is infinite where an outcome is possible with p alone; its derivatives
    /// are finite there, as those of [`deviance`].
    binary_deviance(p, q) => Special::BinaryDeviance;
    /// ln(x / y) for positive numbers, without cancellation where they are nearly equal; 0 where both are 0.
    log_ratio(x, y) => Special::LogRatio;
    /// f(b) − f(a) − (b − a) f′(a) for f(x) = ln(sinh x / x), without cancellation where a and b are nearly equal.
    log_sinhc_divergence(a, b) => Special::LogSinhcDivergence;
    /// The distribution function of a von Mises angle in [−π, π] around 0.
    von_mises_cdf(x, concentration) => Special::VonMisesCdf;
    /// The logarithm of the distribution function of a von Mises angle in [−π, π] around 0. The logarithm of the survival
    /// function is its value at −x.
    von_mises_log_cdf(x, concentration) => Special::VonMisesLogCdf;
    /// The quantile of the von Mises distribution around 0.
    von_mises_icdf(p, concentration) => Special::VonMisesIcdf;
    /// The quantile of the inverse Gaussian distribution.
    inverse_gaussian_icdf(p, location, concentration) => Special::InverseGaussianIcdf;
    /// The inverse of the survival function of the inverse Gaussian distribution.
    inverse_gaussian_complement_icdf(q, location, concentration) => Special::InverseGaussianComplementIcdf;
    /// ln P(low < Z < high) for a standard normal Z.
    normal_log_mass(low, high) => Special::NormalLogMass;
    /// ln of P(low < Z < high) over the standard normal density at `low`.
    normal_log_mass_over_density(low, high) => Special::NormalLogMassOverDensity;
    /// ln of P(low < Z < high) over the standard normal density at the bound nearer to 0, or at 0 for bounds on both
    /// sides of it. Its derivatives have all digits far from 0, too.
    normal_log_mass_at_edge(low, high) => Special::NormalLogMassAtEdge;
    /// The standard normal density at `low` over P(low < Z < high), less `low` where that is positive.
    normal_hazard_at_edge(low, high) => Special::NormalHazardAtEdge;
    /// The distribution function of the standard normal distribution between two bounds.
    truncated_normal_cdf(z, low, high) => Special::TruncatedNormalCdf;
    /// The inverse of the distribution function of the standard normal distribution between two bounds.
    truncated_normal_icdf(p, low, high) => Special::TruncatedNormalIcdf;
    /// The mean of the standard normal distribution between two bounds.
    truncated_normal_mean(low, high) => Special::TruncatedNormalMean;
    /// The distance of this mean from the lower bound, without cancellation far from 0.
    truncated_normal_excess(low, high) => Special::TruncatedNormalExcess;
    /// The variance of the standard normal distribution between two bounds.
    truncated_normal_variance(low, high) => Special::TruncatedNormalVariance;
    /// The quantile of the Poisson distribution. It jumps, so no derivative flows.
    poisson_icdf(p, rate) => Special::PoissonIcdf;
    /// The quantile of the binomial distribution. It jumps, so no derivative flows.
    binomial_icdf(p, trials, probability) => Special::BinomialIcdf;
    /// The quantile of the number of failures in the negative binomial distribution. It jumps, so no derivative flows.
    negative_binomial_icdf(p, successes, probability) => Special::NegativeBinomialIcdf(Scale::Natural);
    /// As `negative_binomial_icdf`, given the log-odds of a success.
    negative_binomial_icdf_by_logit(p, successes, logit) => Special::NegativeBinomialIcdf(Scale::Log);
    /// The quantile of the survival function of the Poisson distribution. It jumps, so no derivative flows.
    poisson_inverse_survival(p, rate) => Special::PoissonInverseSurvival;
    /// The quantile of the survival function of the number of failures in the negative binomial distribution. It jumps,
    /// so no derivative flows.
    negative_binomial_inverse_survival(p, successes, probability) =>
        Special::NegativeBinomialInverseSurvival(Scale::Natural);
    /// As `negative_binomial_inverse_survival`, given the log-odds of a success.
    negative_binomial_inverse_survival_by_logit(p, successes, logit) =>
        Special::NegativeBinomialInverseSurvival(Scale::Log);
    /// A Poisson count from folded noise: the quantile at the uniform value of the noise, precise in both tails. No
    /// derivative flows.
    poisson_draw(noise, rate) => Special::CountDraw(Counts::Poisson);
    /// A binomial count from folded noise: the quantile at the uniform value of the noise. No derivative flows.
    binomial_draw(noise, trials, probability) => Special::CountDraw(Counts::Binomial);
    /// A negative binomial count from folded noise: the quantile at the uniform value of the noise. No derivative flows.
    negative_binomial_draw(noise, successes, probability) =>
        Special::CountDraw(Counts::NegativeBinomial(Scale::Natural));
    /// As `negative_binomial_draw`, given the log-odds of a success.
    negative_binomial_draw_by_logit(noise, successes, logit) =>
        Special::CountDraw(Counts::NegativeBinomial(Scale::Log));
    /// The probability that the difference of two Poisson variates is at most k. A derivative with respect to k is an
    /// error.
    skellam_cdf(k, rate_up, rate_down) => Special::SkellamCdf;
    /// The quantile of the difference of two Poisson variates. It jumps, so no derivative flows.
    skellam_icdf(p, rate_up, rate_down) => Special::SkellamIcdf;
    /// The y with ln(1 + e^y) = x, for x > 0.
    softplus_inverse(x) => Special::SoftplusInverse;
    /// The log-probability of k failures before the r-th success, where each trial succeeds with probability p. A
    /// derivative with respect to k is an error.
    negative_binomial_log_pmf(k, r, p) => Special::NegativeBinomialLogPmf(Scale::Natural);
    /// The log-probability of k failures before the r-th success, given the log-odds of a success. A derivative with
    /// respect to k is an error.
    negative_binomial_log_pmf_by_logit(k, r, logit) => Special::NegativeBinomialLogPmf(Scale::Log);
    /// ln of x^a e^−x / Γ(a) for positive a and x: x times the density of the gamma distribution, accurate where a is
    /// large.
    log_gamma_kernel(a, x) => Special::LogGammaKernel;
    /// ln of x^a y^b / B(a, b), where y = 1 − x is a separate operand: x y times the density of the beta distribution.
    log_beta_kernel(a, b, x, y) => Special::LogBetaKernel;
    /// The log-probability of the count k under a Poisson distribution with this rate; accurate for counts up to 10¹⁵.
    poisson_log_pmf(k, rate) => Special::PoissonLogPmf(Scale::Natural);
    /// The log-probability of the count k under a Poisson distribution, given the logarithm of its rate.
    poisson_log_pmf_by_log(k, log_rate) => Special::PoissonLogPmf(Scale::Log);
    /// The log-probability of k successes in n trials of probability p; accurate for counts up to 10¹⁵. A derivative
    /// with respect to k or n is an error.
    binomial_log_pmf(k, n, p) => Special::BinomialLogPmf(Scale::Natural);
    /// The entropy of the number of successes in n trials of probability p. The second derivative with respect to p is
    /// an error, and so is a derivative with respect to n.
    binomial_entropy(n, p) => Special::BinomialEntropy(Scale::Natural);
    /// The entropy of the number of successes in n trials, given the log-odds. The second derivative with respect to
    /// the log-odds is an error, and so is a derivative with respect to n.
    binomial_entropy_by_logit(n, logit) => Special::BinomialEntropy(Scale::Log);
    /// The log-probability of k successes in n trials, given the log-odds. A derivative with respect to k or n is an
    /// error.
    binomial_log_pmf_by_logit(k, n, logit) => Special::BinomialLogPmf(Scale::Log);
}

/// ln(1 + x²), without overflow.
#[track_caller]
pub fn log1p_square<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    x.map(Map::Log1pSquare)
}

/// ln(1 + (x / y)²) for y > 0, without overflow of the square. Its derivatives are finite also where x is infinite.
///
/// ```
/// use stochgrad_tape::{Tape, special::log1p_square_ratio};
///
/// # fn main() -> Result<(), stochgrad_tape::TapeError> {
/// let tape = Tape::<f64>::new();
/// let (x, y) = (tape.parameter([2.0, f64::INFINITY]), tape.parameter(2.0));
/// let growth = log1p_square_ratio(x, y);
/// assert_eq!(growth.peek()?.to_vec(), [2.0_f64.ln(), f64::INFINITY]);
/// let [by_x, by_y] = tape.backward(growth.sum(), [x, y])?;
/// assert_eq!((by_x.to_vec(), by_y.to_vec()), (vec![0.5, 0.0], vec![-1.5]));
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn log1p_square_ratio<'t, F: Real>(x: Var<'t, F>, y: Var<'t, F>) -> Var<'t, F> {
    x.zip(Zip::Log1pSquareRatio, y)
}

/// The logarithm of the density of the standard normal distribution between two bounds, at a z between them. It is
/// accurate also for bounds in the tails.
#[track_caller]
pub fn truncated_normal_log_density<'t, F: Real>(z: Var<'t, F>, low: Var<'t, F>, high: Var<'t, F>) -> Var<'t, F> {
    // The density relative to that at the bound nearer to 0 has no large logarithm. The result does not depend on which
    // point is used, so the point has no derivative.
    let edge = (low.relu() - (-high).relu()).held();
    (z - edge) * (z + edge) * -0.5 - special(Special::NormalLogScaledMass, &[low, high])
}

/// The log-probability of the difference k of two Poisson variates with these rates. A derivative with respect to k is
/// an error.
#[track_caller]
pub fn skellam_log_pmf<'t, F: Real>(k: Var<'t, F>, rate_up: Var<'t, F>, rate_down: Var<'t, F>) -> Var<'t, F> {
    let (tape, given) = (k.tape(), k);
    let whole = k.equal(k.floor()) * k.abs().lt(tape.constant(f64::INFINITY));
    let k = whole.select(k, tape.constant(0.0));
    let (up, down) = (rate_up.sqrt(), rate_down.sqrt());
    let log = k * (up.ln() - down.ln()) - (up - down).square() + log_bessel_ie(k.abs(), up * down * 2.0);
    // The terms of numbers that are improbably large overflow to both infinities.
    let improbable = log.held().map(Map::IsNan) * (1.0 - (up + down).held().map(Map::IsNan));
    let log = improbable.select(tape.constant(f64::NEG_INFINITY), log);
    // NaN stays NaN.
    whole.select(log, given.map(Map::MinScalar(f64::NEG_INFINITY)))
}

/// The logarithm of the density of Student's t distribution.
#[track_caller]
pub fn student_t_log_density<'t, F: Real>(t: Var<'t, F>, degrees_of_freedom: Var<'t, F>) -> Var<'t, F> {
    let growth = log1p_square(t / degrees_of_freedom.sqrt());
    student_t_log_height(degrees_of_freedom) - growth * (degrees_of_freedom + 1.0) * 0.5
}

/// The regularised incomplete beta function I_x(a, b).
#[track_caller]
pub fn beta_inc<'t, F: Real>(a: Var<'t, F>, b: Var<'t, F>, x: Var<'t, F>) -> Var<'t, F> {
    beta_inc_pair(a, b, x, 1.0 - x)
}

/// e^−|x| I_n(x), the scaled modified Bessel function of the first kind.
#[track_caller]
pub fn bessel_ie<F: Real>(x: Var<'_, F>, order: u32) -> Var<'_, F> {
    special(Special::BesselIe(order), &[x])
}

/// The derivative of the given order of ln(sinh x / x); order 1 is Langevin's function coth x − 1/x.
#[track_caller]
pub fn log_sinhc_derivative<F: Real>(x: Var<'_, F>, order: u32) -> Var<'_, F> {
    special(Special::LogSinhc(order), &[x])
}
