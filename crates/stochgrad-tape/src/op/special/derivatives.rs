//! The derivatives of the functions, in variables.

use super::function::{Scale, Special};
use super::recording::{
    bessel_ie, log_beta_kernel, log_gamma_kernel, log_ratio, log1p_square, normal_log_mills, skellam_log_pmf, special,
    student_t_log_density, truncated_normal_log_density, von_mises_gap,
};
use crate::error::TapeError;
use crate::var::Var;
use smallvec::{SmallVec, smallvec};
use std::f64::consts::{FRAC_2_SQRT_PI, PI};
use std::panic::Location;
use stochgrad_tensor::Real;
use stochgrad_tensor::map::{GUARD, Map};

/// The error for a second derivative that is not implemented.
fn second_order<'t, F: Real>(function: &str, operand: &str, output: Var<'t, F>) -> Option<Var<'t, F>> {
    let message = format!(
        "expected derivatives of {function} with respect to {operand} of first order, got a request for the second; \
         use a method of order 1, or `stop_gradient` on {operand}"
    );
    refuse(message, output)
}

/// The derivative of [`Special::GammaVariateByShape`], the velocity v, with respect to ln z. With the density q of ln z,
/// q v is minus the derivative of P(a, z) with respect to a, so that it is (ψ(a) − ln z) − (a − z) v.
fn gamma_velocity_slope<'t, F: Real>(a: Var<'t, F>, log: Var<'t, F>, velocity: Var<'t, F>) -> Var<'t, F> {
    a.digamma() - log - (a - log.exp()) * velocity
}

/// Minus the second derivative of P(a, z) with respect to a, over the density of ln z: the acceleration of ln z at a
/// constant P(a, z), and what its velocity contributes.
fn gamma_curvature<'t, F: Real>(a: Var<'t, F>, z: Var<'t, F>) -> Var<'t, F> {
    let log = z.ln();
    let velocity = special(Special::GammaVariateByShape, &[a, log]);
    let acceleration = special(Special::GammaVariateByShapeTwice, &[a, log]);
    acceleration + velocity * ((log - a.digamma()) * 2.0 + (a - z) * velocity)
}

/// The error for a derivative with respect to a count.
fn count<'t, F: Real>(operand: &str, function: &str, output: Var<'t, F>) -> Option<Var<'t, F>> {
    let message = format!(
        "expected {operand} of {function} to need no derivative, since it is a count, got a request for one; use \
         `stop_gradient` on it, or a gradient method that does not differentiate the cost along it"
    );
    refuse(message, output)
}

/// The error for a derivative whose order is beyond the range of its type.
pub(crate) fn order_too_high<F: Real>(output: Var<'_, F>) -> Option<Var<'_, F>> {
    let message = format!(
        "expected a derivative of an order below {}, got a request for the next one; use `stop_gradient`",
        u32::MAX
    );
    refuse(message, output)
}

fn refuse<F: Real>(message: String, output: Var<'_, F>) -> Option<Var<'_, F>> {
    let at = output.location().unwrap_or(Location::caller());
    Some(output.tape().fail(TapeError::Other { message, at }))
}

/// x^(a−1) e^−x / Γ(a): the derivative of P(a, x) with respect to x.
fn gamma_density<'t, F: Real>(a: Var<'t, F>, x: Var<'t, F>) -> Var<'t, F> {
    (log_gamma_kernel(a, x) - x.ln()).exp()
}

/// x^(a−1) (1−x)^(b−1) / B(a, b): the derivative of the incomplete beta function with respect to
/// x.
fn beta_density<'t, F: Real>(a: Var<'t, F>, b: Var<'t, F>, x: Var<'t, F>, y: Var<'t, F>) -> Var<'t, F> {
    (log_beta_kernel(a, b, x, y) - x.ln() - y.ln()).exp()
}

/// The derivative of the beta log-density with respect to the first or the second shape.
fn beta_score<'t, F: Real>(inputs: &[Var<'t, F>], shape: usize) -> Var<'t, F> {
    inputs[shape + 2].ln() - inputs[shape].digamma() + (inputs[0] + inputs[1]).digamma()
}

/// A derivative with respect to x, through the smaller of x and y = 1 − x, whose own derivatives are accurate.
fn along<'t, F: Real>(inputs: &[Var<'t, F>], by_x: Var<'t, F>, by: usize) -> Var<'t, F> {
    let smaller = inputs[2].le(inputs[3]);
    if by == 2 { by_x * smaller } else { -(by_x * (1.0 - smaller)) }
}

/// e^(κ (cos x − 1)) / (2π e^−κ I₀(κ))
fn von_mises_density<'t, F: Real>(x: Var<'t, F>, concentration: Var<'t, F>) -> Var<'t, F> {
    let drop = (x * 0.5).sin().square() * 2.0;
    (-drop * concentration).exp() / bessel_ie(concentration, 0) * (0.5 / PI)
}

/// The derivative of the von Mises log-density with respect to the concentration: cos x − I₁/I₀.
fn von_mises_score<'t, F: Real>(x: Var<'t, F>, concentration: Var<'t, F>) -> Var<'t, F> {
    von_mises_gap(concentration) - (x * 0.5).sin().square() * 2.0
}

/// The derivative of the log-density of Student's t distribution with respect to the degrees of freedom.
fn student_t_score<'t, F: Real>(t: Var<'t, F>, nu: Var<'t, F>) -> Var<'t, F> {
    let ratio = t / nu.sqrt();
    // 1 / (1 + t²/ν), without overflow.
    let centre = (-log1p_square(ratio)).exp();
    let rest = 1.0 - centre;
    special(Special::StudentTLogHeight(1), &[nu]) - (log1p_square(ratio) - rest) * 0.5 + rest / nu * 0.5
}

/// The standard normal density.
fn normal_density<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    (x.square() * -0.5).exp() * (1.0 / (2.0 * PI).sqrt())
}

/// `count / by` with 0/0 = 0, also in the derivative.
fn share<'t, F: Real>(count: Var<'t, F>, by: Var<'t, F>) -> Var<'t, F> {
    let tape = count.tape();
    count.select(count / count.select(by, tape.constant(1.0)), tape.constant(0.0))
}

/// A count, or a finite one in place of one outside the domain, where the log-probability is −∞.
fn possible_count<F: Real>(count: Var<'_, F>) -> Var<'_, F> {
    count.clamp(0.0, GUARD)
}

/// Above the logarithm of the quotient of any positive numbers.
const STEEPEST: f64 = 1500.0;

/// A number of at least 0, increased by a shift that is too small to change any number other than 0, so that functions
/// of it have finite derivatives at 0.
fn above_zero<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    x + if F::from_f64(1e-300) > F::ZERO { 1e-300 } else { 1e-37 }
}

/// The standard normal density at the lower bound over the mass between two bounds.
fn hazard<'t, F: Real>(low: Var<'t, F>, high: Var<'t, F>) -> Var<'t, F> {
    (-special(Special::NormalLogMassOverDensity, &[low, high])).exp()
}

/// The derivative of the quantile x of the inverse Gaussian distribution with respect to the probability, the location
/// or the concentration.
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

/// The derivative of a binomial log-probability with respect to a logit that all counts share: their distance from a
/// number m of trials, and m less the mean, which has as few digits to lose as the balance of both tails.
fn binomial_score_by_common_logit<'t, F: Real>(
    count: Var<'t, F>,
    trials: Var<'t, F>,
    logit: Var<'t, F>,
) -> [Var<'t, F>; 2] {
    let (p, q) = (logit.sigmoid(), (-logit).sigmoid());
    // Both terms are right for any m, so that its own derivative does not matter.
    let middle = (trials * p).held().round();
    [count - middle, middle * q - (trials - middle) * p]
}

impl Special {
    /// The terms of the derivative with respect to one operand; `None` where the result jumps, so that no derivative
    /// flows. A derivative with respect to a count is recorded as an error.
    ///
    /// Each term is summed to the operand by itself. A term that all elements share is thus multiplied by their number
    /// instead of added to each of them.
    pub(crate) fn derivative_terms<'t, F: Real>(
        self,
        inputs: &[Var<'t, F>],
        output: Var<'t, F>,
        by: usize,
    ) -> Option<SmallVec<[Var<'t, F>; 2]>> {
        if let (Special::BinomialLogPmf(Scale::Log), 2, &[count, trials, logit]) = (self, by, inputs)
            && [trials, logit].iter().all(|var| var.plates().is_empty() && var.shape().numel() == 1)
        {
            return Some(binomial_score_by_common_logit(count, trials, logit).into());
        }
        Some(smallvec![self.derivative(inputs, output, by)?])
    }

    fn derivative<'t, F: Real>(self, inputs: &[Var<'t, F>], output: Var<'t, F>, by: usize) -> Option<Var<'t, F>> {
        let x = inputs[0];
        let y = *inputs.get(1).unwrap_or(&x);
        Some(match (self, by) {
            (Special::Erfc, _) => (-x.square()).exp() * -FRAC_2_SQRT_PI,
            (Special::ErfInv, _) => output.square().exp() * (1.0 / FRAC_2_SQRT_PI),
            (Special::NormalCdf, _) => normal_density(x),
            // The density over the probability, as a ratio without its exponential decay.
            (Special::NormalLogCdf, _) => (-normal_log_mills(-x) - 0.5 * (2.0 * PI).ln()).exp(),
            (Special::NormalIcdf, _) => (output.square() * 0.5).exp() * (2.0 * PI).sqrt(),
            (Special::NormalIcdfOfLog, _) => (x + output.square() * 0.5 + 0.5 * (2.0 * PI).ln()).exp(),
            (Special::NormalLogMills, _) => x - (-output - 0.5 * (2.0 * PI).ln()).exp(),
            (Special::Log1mexp, _) => -(-x).expm1().recip(),
            (Special::LogSinhc(order), _) => match order.checked_add(1) {
                Some(next) => special(Special::LogSinhc(next), &[x]),
                None => return order_too_high(output),
            },
            (Special::ScaledExponentialIntegral(order), _) => match order.checked_add(1) {
                Some(next) => special(Special::ScaledExponentialIntegral(next), &[x]) * -f64::from(next),
                None => return order_too_high(output),
            },
            (Special::Atan, _) => (-log1p_square(x)).exp(),
            (Special::Acot, _) => -(-log1p_square(x)).exp(),
            (Special::GumbelLevelRight | Special::GumbelLevelLeft, _) => -(-output).expm1().recip(),
            (Special::LogBeta, by) => inputs[by].digamma() - (x + y).digamma(),
            (Special::GammaP, 0) => special(Special::GammaPByShape, &[x, y]),
            (Special::GammaP, _) => gamma_density(x, y),
            (Special::GammaQ, 0) => -special(Special::GammaPByShape, &[x, y]),
            (Special::GammaQ, _) => -gamma_density(x, y),
            (Special::GammaPByShape, 0) => {
                let inside = y.gt(y * 0.0) * y.lt(y.tape().constant(f64::INFINITY));
                let argument = inside.select(y, y.tape().constant(1.0));
                inside * -(special(Special::LogGammaKernel, &[x, argument]).exp() * gamma_curvature(x, argument))
            }
            (Special::GammaVariateByShape, 0) => {
                special(Special::GammaVariateByShapeTwice, inputs) - output * gamma_velocity_slope(x, y, output)
            }
            (Special::GammaVariateByShape, _) => gamma_velocity_slope(x, y, output),
            (Special::GammaVariateByShapeTwice, _) => {
                let message = "expected derivatives of gamma variates, or of the incomplete gamma function with respect to \
                               its shape, of order 1 or 2, got a request for the third; use a method of order 2, or \
                               `stop_gradient` on the shape";
                return refuse(message.into(), output);
            }
            (Special::GammaPByShape, _) => gamma_density(x, y) * (y.ln() - x.digamma()),
            (Special::DigammaMinusLog(order), _) => match order.checked_add(1) {
                Some(next) => special(Special::DigammaMinusLog(next), &[x]),
                None => return order_too_high(output),
            },
            (Special::DigammaMinusLogDifference, 0) => -special(Special::DigammaMinusLog(1), &[x]),
            (Special::DigammaMinusLogDifference, _) => special(Special::DigammaMinusLog(1), &[y]),
            (Special::LogGammaDifference(order), 0) => -inputs[0].polygamma(order),
            (Special::LogGammaDifference(order), _) => inputs[1].polygamma(order),
            (Special::LogGammaSecondDifference(order), by) => {
                let Some(next) = order.checked_add(1) else { return order_too_high(output) };
                if by == 0 {
                    special(Special::LogGammaSecondDifference(next), inputs)
                } else {
                    special(Special::LogGammaDifference(next), &[x + y, x + y * 2.0]) * 2.0
                }
            }
            (Special::StirlingDivergence, 0) => (x - y) * special(Special::DigammaMinusLog(1), &[x]),
            (Special::StirlingDivergence, _) => special(Special::DigammaMinusLogDifference, inputs),
            // With g = 1 − I₁/I₀: 1 − (I₁/I₀)/κ − (I₁/I₀)² = 2g − g² − (1 − g)/κ, and its negative for g.
            (Special::VonMisesGap, _) => (1.0 - output) / x - output * (2.0 - output),
            (Special::LogGammaP, 0) => special(Special::LogGammaPByShape, inputs),
            (Special::LogGammaP, _) => special(Special::LogGammaPByArgument, inputs),
            (Special::LogGammaQ, 0) => special(Special::LogGammaQByShape, inputs),
            (Special::LogGammaQ, _) => special(Special::LogGammaQByArgument, inputs),
            // The derivative u of the logarithm of a probability is ± p / P with the density p, so that its derivative
            // is u times the difference of the logarithmic derivatives of p and P.
            (Special::LogGammaPByArgument, 0) => {
                output * (y.ln() - x.digamma() - special(Special::LogGammaPByShape, inputs))
            }
            (Special::LogGammaQByArgument, 0) => {
                output * (y.ln() - x.digamma() - special(Special::LogGammaQByShape, inputs))
            }
            (Special::LogGammaPByArgument | Special::LogGammaQByArgument, _) => output * ((x - 1.0) / y - 1.0 - output),
            (Special::LogGammaPByShape, 0) => {
                let over_density = special(Special::LogGammaPByArgument, inputs) * y;
                -(over_density * gamma_curvature(x, y)) - output.square()
            }
            (Special::LogGammaQByShape, 0) => {
                let over_density = special(Special::LogGammaQByArgument, inputs) * y;
                -(over_density * gamma_curvature(x, y)) - output.square()
            }
            (Special::LogGammaPByShape, _) => {
                special(Special::LogGammaPByArgument, inputs) * (y.ln() - x.digamma() - output)
            }
            (Special::LogGammaQByShape, _) => {
                special(Special::LogGammaQByArgument, inputs) * (y.ln() - x.digamma() - output)
            }
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
            (Special::BetaIncByFirst, 0 | 1) => {
                return second_order("the incomplete beta function", "its shapes", output);
            }
            (Special::LogBetaInc, 0) => special(Special::LogBetaIncByFirst, inputs),
            (Special::LogBetaInc, 1) => special(Special::LogBetaIncBySecond, inputs),
            (Special::LogBetaInc, by) => along(inputs, special(Special::LogBetaIncByArgument, inputs), by),
            (Special::LogBetaIncByArgument, 0 | 1) => {
                let shape = if by == 0 { Special::LogBetaIncByFirst } else { Special::LogBetaIncBySecond };
                output * (beta_score(inputs, by) - special(shape, inputs))
            }
            (Special::LogBetaIncByArgument, by) => {
                let slope = (x - 1.0) / inputs[2] - (y - 1.0) / inputs[3];
                along(inputs, output * (slope - output), by)
            }
            (Special::LogBetaIncByFirst | Special::LogBetaIncBySecond, 0 | 1) => {
                return second_order("the logarithm of the incomplete beta function", "its shapes", output);
            }
            (Special::LogBetaIncByFirst | Special::LogBetaIncBySecond, by) => {
                let shape = usize::from(self == Special::LogBetaIncBySecond);
                let slope = special(Special::LogBetaIncByArgument, inputs);
                along(inputs, slope * (beta_score(inputs, shape) - output), by)
            }
            (Special::BetaIncComplementInverse, 2) => -beta_density(x, y, output, 1.0 - output).recip(),
            (Special::StudentTCdf, 0) => student_t_log_density(x, y).exp(),
            (Special::StudentTCdf, _) => special(Special::StudentTCdfByDegrees, inputs),
            (Special::StudentTLogCdf, 0) => special(Special::StudentTLogCdfByArgument, inputs),
            (Special::StudentTLogCdf, _) => special(Special::StudentTLogCdfByDegrees, inputs),
            (Special::StudentTCdfByDegrees, 0) => student_t_log_density(x, y).exp() * student_t_score(x, y),
            (Special::StudentTLogCdfByArgument, 0) => {
                // (nu + 1) t / (nu + t²), without overflow
                let ratio = x / y.sqrt();
                let fall = ratio * (-log1p_square(ratio)).exp() * (y + 1.0) / y.sqrt();
                -output * (fall + output)
            }
            (Special::StudentTLogCdfByArgument, _) => {
                output * (student_t_score(x, y) - special(Special::StudentTLogCdfByDegrees, inputs))
            }
            (Special::StudentTLogCdfByDegrees, 0) => {
                special(Special::StudentTLogCdfByArgument, inputs) * (student_t_score(x, y) - output)
            }
            (Special::StudentTCdfByDegrees | Special::StudentTLogCdfByDegrees, _) => {
                return second_order("the distribution function of Student's t", "its degrees of freedom", output);
            }
            (Special::StudentTIcdf, 0) => (-student_t_log_density(output, y)).exp(),
            (Special::StudentTIcdf, _) => {
                -special(Special::StudentTCdfByDegrees, &[output, y]) * (-student_t_log_density(output, y)).exp()
            }
            (Special::StudentTLogHeight(order), _) => match order.checked_add(1) {
                Some(next) => special(Special::StudentTLogHeight(next), &[x]),
                None => return order_too_high(output),
            },
            (Special::BetaIncInverse | Special::BetaIncComplementInverse, by) => {
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
            (Special::LogBesselIe, 0) => return count("the order", "the Bessel function", output),
            (Special::LogBesselIe, _) => {
                // I_n' / I_n = I_(n+1) / I_n + n / x
                (special(Special::LogBesselIe, &[x + 1.0, y]) - output).exp() + x / y - 1.0
            }
            (Special::Deviance(Scale::Natural), 0) => log_ratio(x, y).map(Map::Guard(STEEPEST)),
            (Special::Deviance(Scale::Natural), _) => (y - x) / y.map(Map::MaxScalar(F::MIN_POSITIVE.to_f64())),
            (Special::Deviance(Scale::Log), 0) => x.exp() * (x.map(Map::Guard(GUARD)) - y.map(Map::Guard(GUARD))),
            (Special::Deviance(Scale::Log), _) => y.exp() - x.exp(),
            (Special::BinaryDeviance, 0) => {
                let complements = log_ratio(above_zero(1.0 - x), above_zero(1.0 - y));
                log_ratio(above_zero(x), above_zero(y)) - complements
            }
            (Special::BinaryDeviance, _) => (y - x) / (above_zero(y) * above_zero(1.0 - y)),
            (Special::LogSinhcDivergence, 0) => (x - y) * special(Special::LogSinhc(2), &[x]),
            (Special::LogSinhcDivergence, _) => {
                special(Special::LogSinhc(1), &[y]) - special(Special::LogSinhc(1), &[x])
            }
            (Special::LogRatio, 0) => above_zero(x).recip(),
            (Special::LogRatio, _) => -above_zero(y).recip(),
            (Special::VonMisesCdf, 0) => von_mises_density(x, y),
            (Special::VonMisesCdf, _) => special(Special::VonMisesCdfByConcentration, &[x, y]),
            (Special::VonMisesCdfByConcentration, 0) => von_mises_density(x, y) * von_mises_score(x, y),
            (Special::VonMisesLogCdf, 0) => special(Special::VonMisesLogCdfByArgument, inputs),
            (Special::VonMisesLogCdf, _) => special(Special::VonMisesLogCdfByConcentration, inputs),
            (Special::VonMisesLogCdfByArgument, 0) => -output * (y * x.sin() + output),
            (Special::VonMisesLogCdfByArgument, _) => {
                output * (von_mises_score(x, y) - special(Special::VonMisesLogCdfByConcentration, inputs))
            }
            (Special::VonMisesLogCdfByConcentration, 0) => {
                special(Special::VonMisesLogCdfByArgument, inputs) * (von_mises_score(x, y) - output)
            }
            (Special::VonMisesCdfByConcentration | Special::VonMisesLogCdfByConcentration, _) => {
                return second_order("the von Mises distribution function", "its concentration", output);
            }
            (Special::VonMisesIcdf, 0) => von_mises_density(output, y).recip(),
            (Special::VonMisesIcdf, _) => {
                -special(Special::VonMisesCdfByConcentration, &[output, y]) / von_mises_density(output, y)
            }
            (Special::InverseGaussianIcdf, by) => inverse_gaussian_path(y, inputs[2], output, by),
            (Special::InverseGaussianComplementIcdf, 0) => -inverse_gaussian_path(y, inputs[2], output, 0),
            (Special::InverseGaussianComplementIcdf, by) => inverse_gaussian_path(y, inputs[2], output, by),
            (Special::NormalLogMass | Special::NormalLogScaledMass, 0) => -hazard(x, y),
            (Special::NormalLogMass | Special::NormalLogScaledMass, _) => hazard(-y, -x),
            (Special::NormalLogMassAtEdge, 0) => -special(Special::NormalHazardAtEdge, &[x, y]),
            (Special::NormalLogMassAtEdge, _) => special(Special::NormalHazardAtEdge, &[-y, -x]),
            // The hazard h is the output plus the positive part of the bound a, and its derivative h (h − a).
            (Special::NormalHazardAtEdge, 0) => {
                let positive = x.tape().constant(0.0).lt(x);
                (output + x.relu()) * (output + (-x).relu()) - positive
            }
            (Special::NormalHazardAtEdge, _) => -(output + x.relu()) * hazard(-y, -x),
            // x minus the hazard there, which by parts is minus the mean distance and the hazard at the other bound.
            (Special::NormalLogMassOverDensity, 0) => {
                -(special(Special::TruncatedNormalExcess, &[x, y]) + hazard(-y, -x))
            }
            (Special::NormalLogMassOverDensity, _) => hazard(-y, -x),
            (Special::TruncatedNormalCdf, by) => {
                let (low, high) = (y, inputs[2]);
                match by {
                    0 => truncated_normal_log_density(x, low, high).exp(),
                    1 => hazard(low, high) * (output - 1.0),
                    _ => -(hazard(-high, -low) * output),
                }
            }
            (Special::TruncatedNormalIcdf, by) => {
                let (low, high) = (y, inputs[2]);
                // The standard normal density at a bound over that at the result.
                let over = |bound: Var<'t, F>| ((output - bound) * (output + bound) * 0.5).exp();
                match by {
                    0 => (-truncated_normal_log_density(output, low, high)).exp(),
                    1 => over(low) * (1.0 - x),
                    _ => over(high) * x,
                }
            }
            // The derivative of the mean of any function with respect to a bound is the hazard at the bound times the
            // difference of the mean and the value at the bound.
            (Special::TruncatedNormalExcess, 0) => hazard(x, y) * output - 1.0,
            (Special::TruncatedNormalExcess, _) => hazard(-y, -x) * (y - x - output),
            (Special::TruncatedNormalMean, 0) => hazard(x, y) * (output - x),
            (Special::TruncatedNormalMean, _) => hazard(-y, -x) * (y - output),
            (Special::TruncatedNormalVariance, by) => {
                let distance = (inputs[by] - special(Special::TruncatedNormalMean, &[x, y])).square();
                if by == 0 { hazard(x, y) * (output - distance) } else { hazard(-y, -x) * (distance - output) }
            }
            (Special::SoftplusInverse, _) => -(-x).expm1().recip(),
            (
                Special::PoissonIcdf
                | Special::BinomialIcdf
                | Special::NegativeBinomialIcdf(_)
                | Special::CountDraw(_)
                | Special::VonMisesVariateByConcentration
                | Special::GammaShapePart(_)
                | Special::BetaShapePart(_)
                | Special::SkellamIcdf
                | Special::PoissonInverseSurvival
                | Special::NegativeBinomialInverseSurvival(_),
                _,
            ) => {
                return None;
            }
            (Special::SkellamCdf, 0) => {
                return count("the difference", "the distribution function of the Skellam distribution", output);
            }
            // Probability flows from each value to the next one, at rate 1.
            (Special::SkellamCdf, 1) => -skellam_log_pmf(x.floor(), y, inputs[2]).exp(),
            (Special::SkellamCdf, _) => skellam_log_pmf(x.floor() + 1.0, y, inputs[2]).exp(),
            (Special::NegativeBinomialLogPmf(_), 0) => {
                return count("the number of failures", "the negative binomial log-probability", output);
            }
            (Special::NegativeBinomialLogPmf(scale), 1) => {
                let log_p = match scale {
                    Scale::Natural => inputs[2].ln(),
                    Scale::Log => inputs[2].log_sigmoid(),
                };
                (possible_count(x) + y).digamma() - y.digamma() + log_p
            }
            (Special::NegativeBinomialLogPmf(Scale::Natural), _) => y / inputs[2] - share(x, 1.0 - inputs[2]),
            (Special::NegativeBinomialLogPmf(Scale::Log), _) => y * (-inputs[2]).sigmoid() - x * inputs[2].sigmoid(),
            (Special::LogGammaKernel, 0) => y.ln() - x.digamma(),
            (Special::LogGammaKernel, _) => x / y - 1.0,
            (Special::LogBetaKernel, by @ (0 | 1)) => inputs[by + 2].ln() - inputs[by].digamma() + (x + y).digamma(),
            (Special::LogBetaKernel, by) => inputs[by - 2] / inputs[by],
            (Special::PoissonLogPmf(Scale::Natural), 1) => share(x, y) - 1.0,
            (Special::PoissonLogPmf(Scale::Log), 1) => x - y.exp(),
            (Special::PoissonLogPmf(Scale::Natural), _) => y.ln() - (possible_count(x) + 1.0).digamma(),
            (Special::PoissonLogPmf(Scale::Log), _) => y - (possible_count(x) + 1.0).digamma(),
            (Special::BinomialLogPmf(Scale::Natural), 2) => share(x, inputs[2]) - share(y - x, 1.0 - inputs[2]),
            // The balance of both tails, which has digits left where one of the probabilities is close to 1.
            (Special::BinomialLogPmf(Scale::Log), 2) => {
                // An infinite count is impossible. Times a probability of 0 it would be NaN.
                let count = x.clamp(0.0, F::MAX.to_f64());
                count * (-inputs[2]).sigmoid() - (y - count) * inputs[2].sigmoid()
            }
            (Special::BinomialLogPmf(_), by) => {
                let operand = if by == 0 { "the number of successes" } else { "the number of trials" };
                return count(operand, "the binomial log-probability", output);
            }
            (Special::BinomialEntropy(_) | Special::BinomialEntropySlope(_), 0) => {
                return count("the number of trials", "the binomial entropy", output);
            }
            (Special::BinomialEntropy(Scale::Log), _) => special(Special::BinomialEntropySlope(Scale::Log), inputs),
            (Special::BinomialEntropy(Scale::Natural), _) => {
                // At the ends of [0, 1] it is infinite, unless there are no trials.
                let log_odds = y.ln() - (-y).log1p();
                let slope = special(Special::BinomialEntropySlope(Scale::Natural), inputs) / (y * (1.0 - y));
                (y * (1.0 - y)).select(slope, x.select(-log_odds, x))
            }
            (Special::BinomialEntropySlope(_), _) => {
                return second_order("the binomial entropy", "its probability", output);
            }
        })
    }
}
