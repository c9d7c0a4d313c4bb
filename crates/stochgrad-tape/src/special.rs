//! Special functions as operations: each function, its derivatives, and how it is computed, in one table.
//!
//! The scalar code is that of [`stochgrad_tensor::special`], which states domains and error bounds; outside its domain a
//! function is NaN. Single precision is computed in double precision and rounded.
//!
//! Derivatives are written in variables and may be taken again, with one limit. The derivatives of the incomplete gamma and
//! beta functions, of the distribution functions of Student's t and of von Mises by their *shape* are computed numerically
//! and exist once: asking for their derivative by the shape again is an error, and not a zero.
//!
//! ```
//! use stochgrad_tape::{Tape, TapeResult, special};
//!
//! # fn main() -> TapeResult<()> {
//! let tape = Tape::<f64>::new();
//! let (shape, x) = (tape.parameter(2.0), tape.parameter(1.5));
//! let p = special::gamma_p(shape, x);
//! let [by_shape, by_x] = tape.backward(p, [shape, x])?;
//! assert!((by_x.item().unwrap() - 1.5 * (-1.5_f64).exp()).abs() < 1e-14);
//! assert!(by_shape.item().unwrap() < 0.0);
//! # Ok(())
//! # }
//! ```

use crate::{Op, TapeError, Var};
use std::f64::consts::{FRAC_2_SQRT_PI, PI};
use std::panic::Location;
use stochgrad_tensor::elementwise::apply;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::special as scalar;
use stochgrad_tensor::{Pool, Real, Tensor};

/// How a probability is given to [`Special::BinomialLogPmf`] and its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scale {
    /// As itself.
    Natural,
    /// By its log-odds, or a rate by its logarithm.
    Log,
}

/// A special function. Operands are named in the order in which they are given.
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
    /// The x whose logarithm of the distribution function is the operand.
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
    /// The z < 0 at which it is.
    GumbelLevelLeft,
    /// ln B(a, b).
    LogBeta,
    /// The regularised lower incomplete gamma function P(a, x).
    GammaP,
    /// The regularised upper incomplete gamma function Q(a, x).
    GammaQ,
    /// The derivative of P(a, x) by a.
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
    /// The derivative of the regularised incomplete beta function by a, of a, b, x and y = 1 − x.
    BetaIncByFirst,
    /// The x with I_x(a, b) = p, of a, b and p.
    BetaIncInverse,
    /// e^−|x| I_n(x) for this order n.
    BesselIe(u32),
    /// ln(e^−x I_n(x)), of n and x.
    LogBesselIe,
    /// The distribution function of the von Mises law around 0, of the angle and the concentration.
    VonMisesCdf,
    /// Its derivative by the concentration.
    VonMisesCdfByConcentration,
    /// The inverse of the distribution function of the von Mises law around 0, of the probability and the concentration.
    VonMisesIcdf,
    /// The inverse of the distribution function of the inverse Gaussian law, of the probability, the location and the concentration.
    InverseGaussianIcdf,
    /// ln P(a < Z < b) of a standard normal Z, of a and b.
    NormalLogMass,
    /// ln of P(a < Z < b) over the standard normal density at a.
    NormalLogMassOverDensity,
    /// The distribution function of the standard normal law between two bounds, of the argument and the bounds.
    TruncatedNormalCdf,
    /// Its inverse, of the probability and the bounds.
    TruncatedNormalIcdf,
    /// The mean of the standard normal law between two bounds.
    TruncatedNormalMean,
    /// The variance of the standard normal law between two bounds.
    TruncatedNormalVariance,
    /// The y with ln(1 + e^y) = x.
    SoftplusInverse,
    /// The count that is not exceeded with a probability, of the probability and the rate.
    PoissonIcdf,
    /// The number of successes that is not exceeded with a probability, of the probability, the number of trials and the probability of success.
    BinomialIcdf,
    /// The number of failures that is not exceeded with a probability, of the probability, the number of successes and the probability of success.
    NegativeBinomialIcdf,
    /// The distribution function of the difference of two Poisson numbers, of the difference and the rates.
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
}

/// One derivative of a function is not implemented.
fn unknown<'t, F: Real>(what: &str, at: Var<'t, F>) -> Option<Var<'t, F>> {
    let message = format!(
        "expected derivatives of {what} of first order, came a request for the second; use a method of order 1, or \
         `stop_gradient` on the shape parameter"
    );
    Some(at.tape().fail(TapeError::Other { message, at: Location::caller() }))
}

/// x^(a−1) e^−x / Γ(a): the derivative of P(a, x) by x.
fn gamma_density<'t, F: Real>(a: Var<'t, F>, x: Var<'t, F>) -> Var<'t, F> {
    (log_gamma_kernel(a, x) - x.ln()).exp()
}

/// x^(a−1) (1−x)^(b−1) / B(a, b): the derivative of the incomplete beta function by x.
fn beta_density<'t, F: Real>(a: Var<'t, F>, b: Var<'t, F>, x: Var<'t, F>, y: Var<'t, F>) -> Var<'t, F> {
    (log_beta_kernel(a, b, x, y) - x.ln() - y.ln()).exp()
}

/// A derivative by x, along the smaller one of x and y = 1 − x, whose own derivatives have all their digits.
fn along<'t, F: Real>(inputs: &[Var<'t, F>], by_x: Var<'t, F>, by: usize) -> Var<'t, F> {
    let smaller = inputs[2].le(inputs[3]);
    if by == 2 { by_x * smaller } else { -(by_x * (1.0 - smaller)) }
}

/// e^(κ (cos x − 1)) / (2π e^−κ I₀(κ))
fn von_mises_density<'t, F: Real>(x: Var<'t, F>, concentration: Var<'t, F>) -> Var<'t, F> {
    let drop = (x * 0.5).sin().square() * 2.0;
    (-drop * concentration).exp() / bessel_ie(concentration, 0) * (0.5 / PI)
}

/// The standard normal density.
fn normal_density<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    (x.square() * -0.5).exp() * (1.0 / (2.0 * PI).sqrt())
}

/// `count / by` with 0/0 = 0, in the derivative too.
fn share<'t, F: Real>(count: Var<'t, F>, by: Var<'t, F>) -> Var<'t, F> {
    let tape = count.tape();
    count.select(count / count.select(by, tape.constant(1.0)), tape.constant(0.0))
}

/// The standard normal density at the lower bound over the mass between two bounds.
fn hazard<'t, F: Real>(low: Var<'t, F>, high: Var<'t, F>) -> Var<'t, F> {
    (-special(Special::NormalLogMassOverDensity, &[low, high])).exp()
}

/// The derivative of the inverse Gaussian x with a fixed probability by the probability, the location or the concentration.
fn inverse_gaussian_path<'t, F: Real>(
    location: Var<'t, F>,
    concentration: Var<'t, F>,
    x: Var<'t, F>,
    by: usize,
) -> Var<'t, F> {
    if by == 0 {
        let excess = ((x - location) / location).square() / x;
        let log_square = x.ln() * 3.0 + (2.0 * PI).ln() - concentration.ln() + concentration * excess;
        return (log_square * 0.5).exp();
    }
    // With Mills' ratio M at w, which the exponentials of the distribution function reduce to.
    let w = (concentration / x).sqrt() * (x / location + 1.0);
    let mills = (normal_log_mills(w) + 0.5 * (2.0 * PI).ln()).exp();
    let spread = (x / concentration).sqrt() * x * mills * 2.0;
    if by == 1 { spread * concentration / location.square() } else { x / concentration - spread / location }
}

impl Special {
    /// Whether the result is a count: a jump by every operand.
    pub(crate) fn is_count(self) -> bool {
        matches!(
            self,
            Special::PoissonIcdf | Special::BinomialIcdf | Special::NegativeBinomialIcdf | Special::SkellamIcdf
        )
    }

    pub(crate) fn evaluate<F: Real>(self, pool: &Pool<F>, inputs: &[Tensor<F>]) -> Tensor<F> {
        let one = |f: fn(f64) -> f64| apply(pool, [&inputs[0]], |[x]| f(x));
        let two = |f: fn(f64, f64) -> f64| apply(pool, [&inputs[0], &inputs[1]], |[a, b]| f(a, b));
        let three =
            |f: fn(f64, f64, f64) -> f64| apply(pool, [&inputs[0], &inputs[1], &inputs[2]], |[a, b, c]| f(a, b, c));
        let four = |f: fn(f64, f64, f64, f64) -> f64| {
            apply(pool, [&inputs[0], &inputs[1], &inputs[2], &inputs[3]], |[a, b, c, d]| f(a, b, c, d))
        };
        match self {
            Special::Erfc => one(scalar::erfc),
            Special::ErfInv => one(scalar::erf_inv),
            Special::NormalCdf => one(scalar::normal_cdf),
            Special::NormalLogCdf => one(scalar::normal_log_cdf),
            Special::NormalIcdf => one(scalar::normal_icdf),
            Special::NormalIcdfOfLog => one(scalar::normal_icdf_of_log),
            Special::NormalLogMills => one(scalar::normal_log_mills),
            Special::Log1mexp => one(scalar::log1mexp),
            Special::LogSinhc(order) => apply(pool, [&inputs[0]], |[x]| scalar::log_sinhc(order, x)),
            Special::Atan => one(f64::atan),
            Special::Acot => one(|x| 1.0_f64.atan2(x)),
            Special::GumbelLevelRight => one(|x| scalar::gumbel_level(x).0),
            Special::GumbelLevelLeft => one(|x| scalar::gumbel_level(x).1),
            Special::LogBeta => two(scalar::log_beta),
            Special::GammaP => two(scalar::gamma_p),
            Special::GammaQ => two(scalar::gamma_q),
            Special::GammaPByShape => two(scalar::gamma_p_derivative_a),
            Special::GammaPInverse => two(scalar::gamma_p_inverse),
            Special::GammaQInverse => two(scalar::gamma_q_inverse),
            Special::DigammaMinusLog => one(scalar::digamma_minus_log),
            Special::VonMisesGap => one(scalar::von_mises_gap),
            Special::BetaInc => four(scalar::beta_inc_pair),
            Special::BetaIncByFirst => four(|a, b, x, y| scalar::beta_inc_derivatives(a, b, x, y).0),
            Special::BetaIncInverse => three(|a, b, p| scalar::beta_inc_inverse(a, b, p).0),
            Special::BesselIe(n) => apply(pool, [&inputs[0]], |[x]| scalar::bessel_ie(n, x)),
            Special::LogBesselIe => two(scalar::log_bessel_ie),
            Special::VonMisesCdf => two(scalar::von_mises_cdf),
            Special::VonMisesCdfByConcentration => two(scalar::von_mises_cdf_derivative),
            Special::VonMisesIcdf => two(scalar::von_mises_icdf),
            Special::InverseGaussianIcdf => three(scalar::inverse_gaussian_icdf),
            Special::NormalLogMass => two(scalar::normal_log_mass),
            Special::NormalLogMassOverDensity => two(scalar::normal_log_mass_over_density),
            Special::TruncatedNormalCdf => three(scalar::truncated_normal_cdf),
            Special::TruncatedNormalIcdf => three(scalar::truncated_normal_icdf),
            Special::TruncatedNormalMean => two(|a, b| scalar::truncated_normal_moments(a, b).0),
            Special::TruncatedNormalVariance => two(|a, b| scalar::truncated_normal_moments(a, b).1),
            Special::SoftplusInverse => one(|x| x + (-(-x).exp_m1()).ln()),
            Special::PoissonIcdf => two(scalar::poisson_icdf),
            Special::BinomialIcdf => three(scalar::binomial_icdf),
            Special::NegativeBinomialIcdf => three(scalar::negative_binomial_icdf),
            Special::SkellamCdf => three(scalar::skellam_cdf),
            Special::SkellamIcdf => three(scalar::skellam_icdf),
            Special::NegativeBinomialLogPmf(Scale::Natural) => three(scalar::negative_binomial_log_pmf),
            Special::NegativeBinomialLogPmf(Scale::Log) => three(scalar::negative_binomial_log_pmf_by_logit),
            Special::LogGammaKernel => two(scalar::log_gamma_kernel),
            Special::LogBetaKernel => four(scalar::log_beta_kernel),
            Special::PoissonLogPmf(Scale::Natural) => two(scalar::poisson_log_pmf),
            Special::PoissonLogPmf(Scale::Log) => two(|k, log| scalar::poisson_log_pmf(k, log.exp())),
            Special::BinomialLogPmf(Scale::Natural) => three(scalar::binomial_log_pmf),
            Special::BinomialLogPmf(Scale::Log) => three(scalar::binomial_log_pmf_by_logit),
        }
    }

    /// The derivative by one operand; `None` where the operand is a count without one.
    pub(crate) fn derivative<'t, F: Real>(
        self,
        inputs: &[Var<'t, F>],
        output: Var<'t, F>,
        by: usize,
    ) -> Option<Var<'t, F>> {
        let x = inputs[0];
        let y = *inputs.get(1).unwrap_or(&x);
        Some(match (self, by) {
            (Special::Erfc, _) => (-x.square()).exp() * -FRAC_2_SQRT_PI,
            (Special::ErfInv, _) => output.square().exp() * (1.0 / FRAC_2_SQRT_PI),
            (Special::NormalCdf, _) => normal_density(x),
            (Special::NormalLogCdf, _) => (x.square() * -0.5 - output - 0.5 * (2.0 * PI).ln()).exp(),
            (Special::NormalIcdf, _) => (output.square() * 0.5).exp() * (2.0 * PI).sqrt(),
            (Special::NormalIcdfOfLog, _) => (x + output.square() * 0.5 + 0.5 * (2.0 * PI).ln()).exp(),
            (Special::NormalLogMills, _) => x - (-output - 0.5 * (2.0 * PI).ln()).exp(),
            (Special::Log1mexp, _) => -(-x).expm1().recip(),
            (Special::LogSinhc(order), _) => special(Special::LogSinhc(order + 1), &[x]),
            (Special::Atan, _) => (-log1p_square(x)).exp(),
            (Special::Acot, _) => -(-log1p_square(x)).exp(),
            (Special::GumbelLevelRight | Special::GumbelLevelLeft, _) => -(-output).expm1().recip(),
            (Special::LogBeta, by) => inputs[by].digamma() - (x + y).digamma(),
            (Special::GammaP, 0) => special(Special::GammaPByShape, &[x, y]),
            (Special::GammaP, _) => gamma_density(x, y),
            (Special::GammaQ, 0) => -special(Special::GammaPByShape, &[x, y]),
            (Special::GammaQ, _) => -gamma_density(x, y),
            (Special::GammaPByShape, 0) => return unknown("the incomplete gamma function by its shape", x),
            (Special::GammaPByShape, _) => gamma_density(x, y) * (y.ln() - x.digamma()),
            (Special::DigammaMinusLog, _) => x.polygamma(1) - x.recip(),
            // With g = 1 − I₁/I₀: 1 − (I₁/I₀)/κ − (I₁/I₀)² = 2g − g² − (1 − g)/κ, and its negative for g.
            (Special::VonMisesGap, _) => (1.0 - output) / x - output * (2.0 - output),
            (Special::GammaQInverse, 1) => -gamma_density(x, output).recip(),
            (Special::GammaPInverse | Special::GammaQInverse, 0) => {
                -special(Special::GammaPByShape, &[x, output]) / gamma_density(x, output)
            }
            (Special::GammaPInverse | Special::GammaQInverse, _) => gamma_density(x, output).recip(),
            (Special::BetaInc, 0) => special(Special::BetaIncByFirst, inputs),
            // I_x(a, b) = 1 − I_y(b, a)
            (Special::BetaInc, 1) => -special(Special::BetaIncByFirst, &[y, x, inputs[3], inputs[2]]),
            (Special::BetaInc, by) => along(inputs, beta_density(x, y, inputs[2], inputs[3]), by),
            (Special::BetaIncByFirst, by @ 2..) => {
                let log_ratio = inputs[2].ln() - x.digamma() + (x + y).digamma();
                along(inputs, beta_density(x, y, inputs[2], inputs[3]) * log_ratio, by)
            }
            (Special::BetaIncByFirst, 0 | 1) => return unknown("the incomplete beta function by its shapes", x),
            (Special::BetaIncInverse, by) => {
                let rest = 1.0 - output;
                let density = beta_density(x, y, output, rest);
                match by {
                    0 => -special(Special::BetaIncByFirst, &[x, y, output, rest]) / density,
                    1 => special(Special::BetaIncByFirst, &[y, x, rest, output]) / density,
                    _ => density.recip(),
                }
            }
            (Special::BesselIe(0), _) => special(Special::BesselIe(1), &[x]) - x.sign() * output,
            (Special::BesselIe(n), _) => {
                let neighbours = special(Special::BesselIe(n - 1), &[x]) + special(Special::BesselIe(n + 1), &[x]);
                neighbours * 0.5 - x.sign() * output
            }
            // The order is a count: no derivative.
            (Special::LogBesselIe, 0) => return None,
            (Special::LogBesselIe, _) => {
                // I_n' / I_n = I_(n+1) / I_n + n / x
                (special(Special::LogBesselIe, &[x + 1.0, y]) - output).exp() + x / y - 1.0
            }
            (Special::VonMisesCdf, 0) => von_mises_density(x, y),
            (Special::VonMisesCdf, _) => special(Special::VonMisesCdfByConcentration, &[x, y]),
            (Special::VonMisesCdfByConcentration, 0) => {
                let ratio = bessel_ie(y, 1) / bessel_ie(y, 0);
                von_mises_density(x, y) * (x.cos() - ratio)
            }
            (Special::VonMisesCdfByConcentration, _) => {
                return unknown("the von Mises distribution function by its concentration", x);
            }
            (Special::VonMisesIcdf, 0) => von_mises_density(output, y).recip(),
            (Special::VonMisesIcdf, _) => {
                -special(Special::VonMisesCdfByConcentration, &[output, y]) / von_mises_density(output, y)
            }
            (Special::InverseGaussianIcdf, by) => inverse_gaussian_path(y, inputs[2], output, by),
            (Special::NormalLogMass, 0) => -hazard(x, y),
            (Special::NormalLogMass, _) => hazard(-y, -x),
            (Special::NormalLogMassOverDensity, 0) => x - hazard(x, y),
            (Special::NormalLogMassOverDensity, _) => hazard(-y, -x),
            (Special::TruncatedNormalCdf, by) => {
                let (low, high) = (y, inputs[2]);
                match by {
                    0 => ((x.square() + (2.0 * PI).ln()) * -0.5 - special(Special::NormalLogMass, &[low, high])).exp(),
                    1 => hazard(low, high) * (output - 1.0),
                    _ => -(hazard(-high, -low) * output),
                }
            }
            (Special::TruncatedNormalIcdf, by) => {
                let (low, high) = (y, inputs[2]);
                // The standard normal density at a bound over that at the result.
                let over = |bound: Var<'t, F>| ((output - bound) * (output + bound) * 0.5).exp();
                match by {
                    0 => ((output.square() + (2.0 * PI).ln()) * 0.5 + special(Special::NormalLogMass, &[low, high]))
                        .exp(),
                    1 => over(low) * (1.0 - x),
                    _ => over(high) * x,
                }
            }
            // The mean of any function moves with a bound by the hazard there times the difference of its mean and its value there.
            (Special::TruncatedNormalMean, 0) => hazard(x, y) * (output - x),
            (Special::TruncatedNormalMean, _) => hazard(-y, -x) * (y - output),
            (Special::TruncatedNormalVariance, by) => {
                let distance = (inputs[by] - special(Special::TruncatedNormalMean, &[x, y])).square();
                if by == 0 { hazard(x, y) * (output - distance) } else { hazard(-y, -x) * (distance - output) }
            }
            (Special::SoftplusInverse, _) => -(-x).expm1().recip(),
            (
                Special::PoissonIcdf | Special::BinomialIcdf | Special::NegativeBinomialIcdf | Special::SkellamIcdf,
                _,
            ) => {
                return None;
            }
            (Special::SkellamCdf, 0) => return None,
            // The probability moves from each value to the next, at rate 1.
            (Special::SkellamCdf, 1) => -skellam_log_pmf(x.floor(), y, inputs[2]).exp(),
            (Special::SkellamCdf, _) => skellam_log_pmf(x.floor() + 1.0, y, inputs[2]).exp(),
            (Special::NegativeBinomialLogPmf(_), 0) => return None,
            (Special::NegativeBinomialLogPmf(scale), 1) => {
                let log_p = match scale {
                    Scale::Natural => inputs[2].ln(),
                    Scale::Log => inputs[2].log_sigmoid(),
                };
                (x + y).digamma() - y.digamma() + log_p
            }
            (Special::NegativeBinomialLogPmf(Scale::Natural), _) => y / inputs[2] - share(x, 1.0 - inputs[2]),
            (Special::NegativeBinomialLogPmf(Scale::Log), _) => y * (-inputs[2]).sigmoid() - x * inputs[2].sigmoid(),
            (Special::LogGammaKernel, 0) => y.ln() - x.digamma(),
            (Special::LogGammaKernel, _) => x / y - 1.0,
            (Special::LogBetaKernel, by @ (0 | 1)) => inputs[by + 2].ln() - inputs[by].digamma() + (x + y).digamma(),
            (Special::LogBetaKernel, by) => inputs[by - 2] / inputs[by],
            (Special::PoissonLogPmf(Scale::Natural), 1) => share(x, y) - 1.0,
            (Special::PoissonLogPmf(Scale::Log), 1) => x - y.exp(),
            (Special::PoissonLogPmf(Scale::Natural), _) => y.ln() - (x + 1.0).digamma(),
            (Special::PoissonLogPmf(Scale::Log), _) => y - (x + 1.0).digamma(),
            (Special::BinomialLogPmf(Scale::Natural), 2) => share(x, inputs[2]) - share(y - x, 1.0 - inputs[2]),
            (Special::BinomialLogPmf(Scale::Log), 2) => x - y * inputs[2].sigmoid(),
            (Special::BinomialLogPmf(_), _) => return None,
        })
    }
}

#[track_caller]
fn special<'t, F: Real>(function: Special, inputs: &[Var<'t, F>]) -> Var<'t, F> {
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
    /// ln(P(Z > x) e^(x²/2)) for a standard normal Z: the upper tail without its fall.
    normal_log_mills(x) => Special::NormalLogMills;
    /// ln(1 − e^x) for x ≤ 0.
    log1mexp(x) => Special::Log1mexp;
    /// ln(sinh x / x), and 0 at 0.
    log_sinhc(x) => Special::LogSinhc(0);
    /// The angle whose tangent is x.
    atan(x) => Special::Atan;
    /// The angle in (0, π) whose cotangent is x: π/2 − atan(x), accurate far out.
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
    /// The regularised incomplete beta function I_x(a, b), where y = 1 − x is given besides, for its digits near x = 1: x and y must
    /// both be variables of what they depend on, since derivatives go along the smaller one.
    beta_inc_pair(a, b, x, y) => Special::BetaInc;
    /// The x with I_x(a, b) = p.
    beta_inc_inverse(a, b, p) => Special::BetaIncInverse;
    /// ln(e^−x I_n(x)) for whole n ≥ 0 and x ≥ 0. No derivative by n.
    log_bessel_ie(n, x) => Special::LogBesselIe;
    /// The distribution function of a von Mises angle in [−π, π] around 0.
    von_mises_cdf(x, concentration) => Special::VonMisesCdf;
    /// The angle that a von Mises angle around 0 does not exceed with probability p.
    von_mises_icdf(p, concentration) => Special::VonMisesIcdf;
    /// The number that an inverse Gaussian number does not exceed with probability p.
    inverse_gaussian_icdf(p, location, concentration) => Special::InverseGaussianIcdf;
    /// ln P(low < Z < high) for a standard normal Z.
    normal_log_mass(low, high) => Special::NormalLogMass;
    /// ln of P(low < Z < high) over the standard normal density at `low`.
    normal_log_mass_over_density(low, high) => Special::NormalLogMassOverDensity;
    /// The distribution function of the standard normal law between two bounds.
    truncated_normal_cdf(z, low, high) => Special::TruncatedNormalCdf;
    /// The inverse of the distribution function of the standard normal law between two bounds.
    truncated_normal_icdf(p, low, high) => Special::TruncatedNormalIcdf;
    /// The mean of the standard normal law between two bounds.
    truncated_normal_mean(low, high) => Special::TruncatedNormalMean;
    /// The variance of the standard normal law between two bounds.
    truncated_normal_variance(low, high) => Special::TruncatedNormalVariance;
    /// The smallest count that a Poisson number does not exceed with probability p. No derivatives.
    poisson_icdf(p, rate) => Special::PoissonIcdf;
    /// The smallest count that a binomial number does not exceed with probability p. No derivatives.
    binomial_icdf(p, trials, probability) => Special::BinomialIcdf;
    /// The smallest count that a negative binomial number of failures does not exceed with probability p. No derivatives.
    negative_binomial_icdf(p, successes, probability) => Special::NegativeBinomialIcdf;
    /// The probability that the difference of two Poisson numbers is at most k. No derivative by k.
    skellam_cdf(k, rate_up, rate_down) => Special::SkellamCdf;
    /// The smallest whole number that the difference of two Poisson numbers does not exceed with probability p. No derivatives.
    skellam_icdf(p, rate_up, rate_down) => Special::SkellamIcdf;
    /// The y with ln(1 + e^y) = x, for x > 0.
    softplus_inverse(x) => Special::SoftplusInverse;
    /// The log-probability of k failures before the r-th success, where each trial succeeds with probability p. No derivative by k.
    negative_binomial_log_pmf(k, r, p) => Special::NegativeBinomialLogPmf(Scale::Natural);
    /// The log-probability of k failures before the r-th success, by the log-odds. No derivative by k.
    negative_binomial_log_pmf_by_logit(k, r, logit) => Special::NegativeBinomialLogPmf(Scale::Log);
    /// ln of x^a e^−x / Γ(a) for positive a and x: x times the density of the gamma law, accurate where a is large.
    log_gamma_kernel(a, x) => Special::LogGammaKernel;
    /// ln of x^a y^b / B(a, b) for y = 1 − x, which is an operand of its own: x y times the density of the beta law.
    log_beta_kernel(a, b, x, y) => Special::LogBetaKernel;
    /// The log-probability of the count k under a Poisson law with this rate; accurate for counts up to 10¹⁵.
    poisson_log_pmf(k, rate) => Special::PoissonLogPmf(Scale::Natural);
    /// The log-probability of the count k under a Poisson law, by the logarithm of its rate.
    poisson_log_pmf_by_log(k, log_rate) => Special::PoissonLogPmf(Scale::Log);
    /// The log-probability of k successes in n trials of probability p; accurate for counts up to 10¹⁵. No derivative by k and n.
    binomial_log_pmf(k, n, p) => Special::BinomialLogPmf(Scale::Natural);
    /// The log-probability of k successes in n trials, by the log-odds. No derivative by k and n.
    binomial_log_pmf_by_logit(k, n, logit) => Special::BinomialLogPmf(Scale::Log);
}

/// ln(1 + x²), without overflow.
#[track_caller]
pub fn log1p_square<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    x.map(Map::Log1pSquare)
}

/// The log-probability of the difference k of two Poisson numbers with these rates. No derivative by k.
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
