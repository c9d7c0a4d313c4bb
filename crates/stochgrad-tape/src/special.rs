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
    /// ln(1 − e^x) for x ≤ 0.
    Log1mexp,
    /// The angle whose tangent is x.
    Atan,
    /// The angle in (0, π) whose cotangent is x.
    Acot,
    /// ln(1 + x²).
    Log1pSquare,
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
    /// The regularised incomplete beta function, of a, b and x.
    BetaInc,
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
fn beta_density<'t, F: Real>(a: Var<'t, F>, b: Var<'t, F>, x: Var<'t, F>) -> Var<'t, F> {
    let y = 1.0 - x;
    (log_beta_kernel(a, b, x, y) - x.ln() - y.ln()).exp()
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

impl Special {
    pub(crate) fn evaluate<F: Real>(self, pool: &Pool<F>, inputs: &[Tensor<F>]) -> Tensor<F> {
        let one = |f: fn(f64) -> f64| apply(pool, [&inputs[0]], |[x]| f(x));
        let two = |f: fn(f64, f64) -> f64| apply(pool, [&inputs[0], &inputs[1]], |[a, b]| f(a, b));
        let three =
            |f: fn(f64, f64, f64) -> f64| apply(pool, [&inputs[0], &inputs[1], &inputs[2]], |[a, b, c]| f(a, b, c));
        match self {
            Special::Erfc => one(scalar::erfc),
            Special::ErfInv => one(scalar::erf_inv),
            Special::NormalCdf => one(scalar::normal_cdf),
            Special::NormalLogCdf => one(scalar::normal_log_cdf),
            Special::NormalIcdf => one(scalar::normal_icdf),
            Special::Log1mexp => one(scalar::log1mexp),
            Special::Atan => one(f64::atan),
            Special::Acot => one(|x| 1.0_f64.atan2(x)),
            Special::Log1pSquare => one(|x| if x.abs() < 1e100 { (x * x).ln_1p() } else { 2.0 * x.abs().ln() }),
            Special::GumbelLevelRight => one(|x| scalar::gumbel_level(x).0),
            Special::GumbelLevelLeft => one(|x| scalar::gumbel_level(x).1),
            Special::LogBeta => two(scalar::log_beta),
            Special::GammaP => two(scalar::gamma_p),
            Special::GammaQ => two(scalar::gamma_q),
            Special::GammaPByShape => two(scalar::gamma_p_derivative_a),
            Special::GammaPInverse => two(scalar::gamma_p_inverse),
            Special::BetaInc => three(scalar::beta_inc),
            Special::LogGammaKernel => two(scalar::log_gamma_kernel),
            Special::LogBetaKernel => apply(pool, [&inputs[0], &inputs[1], &inputs[2], &inputs[3]], |[a, b, x, y]| {
                scalar::log_beta_kernel(a, b, x, y)
            }),
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
            (Special::Log1mexp, _) => -(-x).expm1().recip(),
            (Special::Atan, _) => (-special(Special::Log1pSquare, &[x])).exp(),
            (Special::Acot, _) => -(-special(Special::Log1pSquare, &[x])).exp(),
            // 2x/(1 + x²), without the overflow of the square.
            (Special::Log1pSquare, _) => {
                let far = x.abs() - 1e8;
                let one = x.tape().constant(1.0);
                let (near, beyond) = (far.step().select(one, x), far.step().select(x, one));
                far.step().select(beyond.recip() * 2.0, near * 2.0 / (near.square() + 1.0))
            }
            (Special::GumbelLevelRight | Special::GumbelLevelLeft, _) => -(-output).expm1().recip(),
            (Special::LogBeta, by) => inputs[by].digamma() - (x + y).digamma(),
            (Special::GammaP, 0) => special(Special::GammaPByShape, &[x, y]),
            (Special::GammaP, _) => gamma_density(x, y),
            (Special::GammaQ, 0) => -special(Special::GammaPByShape, &[x, y]),
            (Special::GammaQ, _) => -gamma_density(x, y),
            (Special::GammaPByShape, 0) => return unknown("the incomplete gamma function by its shape", x),
            (Special::GammaPByShape, _) => gamma_density(x, y) * (y.ln() - x.digamma()),
            (Special::GammaPInverse, 0) => -special(Special::GammaPByShape, &[x, output]) / gamma_density(x, output),
            (Special::GammaPInverse, _) => gamma_density(x, output).recip(),
            (Special::BetaInc, _) => beta_density(x, y, inputs[2]),
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
    /// ln(1 − e^x) for x ≤ 0.
    log1mexp(x) => Special::Log1mexp;
    /// The angle whose tangent is x.
    atan(x) => Special::Atan;
    /// The angle in (0, π) whose cotangent is x: π/2 − atan(x), accurate far out.
    acot(x) => Special::Acot;
    /// ln(1 + x²), without overflow.
    log1p_square(x) => Special::Log1pSquare;
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
    /// The regularised incomplete beta function I_x(a, b).
    beta_inc(a, b, x) => Special::BetaInc;
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
