//! The functions that record special functions of variables.

use super::function::{Scale, Special};
use crate::op::Op;
use crate::var::Var;
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;

#[track_caller]
pub(super) fn special<'t, F: Real>(function: Special, inputs: &[Var<'t, F>]) -> Var<'t, F> {
    inputs[0].apply_with(Op::Special(function), &inputs[1..])
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
    /// The x with P(a, x) = p.
    gamma_p_inverse(a, p) => Special::GammaPInverse;
    /// The x with Q(a, x) = q.
    gamma_q_inverse(a, q) => Special::GammaQInverse;
    /// ψ(x) − ln x for x > 0, without cancellation where x is large.
    digamma_minus_log(x) => Special::DigammaMinusLog;
    /// 1 − I₁(κ)/I₀(κ) for κ > 0, without cancellation where κ is large.
    von_mises_gap(concentration) => Special::VonMisesGap;
    /// The regularised incomplete beta function I_x(a, b), with y = 1 − x as an additional operand for accuracy near x
    /// = 1. Derivatives flow through the smaller of x and y, so neither of them may be detached.
    beta_inc_pair(a, b, x, y) => Special::BetaInc;
    /// The x with I_x(a, b) = p.
    beta_inc_inverse(a, b, p) => Special::BetaIncInverse;
    /// ln(e^−x I_n(x)) for integers n ≥ 0 and for x ≥ 0. A derivative with respect to n is an error.
    log_bessel_ie(n, x) => Special::LogBesselIe;
    /// The distribution function of a von Mises angle in [−π, π] around 0.
    von_mises_cdf(x, concentration) => Special::VonMisesCdf;
    /// The quantile of the von Mises distribution around 0.
    von_mises_icdf(p, concentration) => Special::VonMisesIcdf;
    /// The quantile of the inverse Gaussian distribution.
    inverse_gaussian_icdf(p, location, concentration) => Special::InverseGaussianIcdf;
    /// ln P(low < Z < high) for a standard normal Z.
    normal_log_mass(low, high) => Special::NormalLogMass;
    /// ln of P(low < Z < high) over the standard normal density at `low`.
    normal_log_mass_over_density(low, high) => Special::NormalLogMassOverDensity;
    /// The distribution function of the standard normal distribution between two bounds.
    truncated_normal_cdf(z, low, high) => Special::TruncatedNormalCdf;
    /// The inverse of the distribution function of the standard normal distribution between two bounds.
    truncated_normal_icdf(p, low, high) => Special::TruncatedNormalIcdf;
    /// The mean of the standard normal distribution between two bounds.
    truncated_normal_mean(low, high) => Special::TruncatedNormalMean;
    /// The variance of the standard normal distribution between two bounds.
    truncated_normal_variance(low, high) => Special::TruncatedNormalVariance;
    /// The quantile of the Poisson distribution. It jumps, so no derivative flows.
    poisson_icdf(p, rate) => Special::PoissonIcdf;
    /// The quantile of the binomial distribution. It jumps, so no derivative flows.
    binomial_icdf(p, trials, probability) => Special::BinomialIcdf;
    /// The quantile of the number of failures in the negative binomial distribution. It jumps, so no derivative flows.
    negative_binomial_icdf(p, successes, probability) => Special::NegativeBinomialIcdf;
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
    let (tape, whole) = (k.tape(), k.equal(k.floor()));
    let k = whole.select(k, tape.constant(0.0));
    let (up, down) = (rate_up.sqrt(), rate_down.sqrt());
    let log = k * (up.ln() - down.ln()) - (up - down).square() + log_bessel_ie(k.abs(), up * down * 2.0);
    whole.select(log, tape.constant(f64::NEG_INFINITY))
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
