//! Special functions in StableHLO.
//!
//! The functions are those of [`stochgrad_tensor::special`], which documents domains and errors: the same series and
//! the same coefficients, in double precision, on tensors of any shape. Branches are choices between values that are
//! all computed, and loops are bounded `while` loops over the whole tensor, which end when all elements are finished. A
//! result for an element does not depend on the other elements. Engines treat numbers below the range of normal numbers
//! as 0.

mod arc_tangent;
mod bessel;
mod beta;
mod beta_derivative;
mod beta_inverse;
mod binomial_entropy;
mod count_quantiles;
mod count_survival_quantiles;
mod counts;
mod deviance;
mod digamma_minus_log;
mod erf;
mod exponential_integral;
mod gamma;
mod gamma_difference;
mod gamma_sample;
mod gumbel_level;
mod incomplete_gamma;
mod inverse_gaussian;
mod log_beta;
mod log_sinhc;
mod log_sinhc_divergence;
mod logistic;
mod normal;
mod normal_quantile;
mod numeric;
mod quadrature;
mod rare_successes;
mod root;
mod saddle_point;
mod shape_levels;
mod skellam_tail;
mod student_t;
#[cfg(test)]
mod tests;
mod truncated_normal;
mod von_mises;

use crate::lowering::builder::{Builder, Value};
use crate::lowering::types::Element;
use stochgrad_tape::Special;
use stochgrad_tape::special::{Counts, Scale, ShapePart};
use stochgrad_tensor::map::Map;

/// The values of a special function. The operands have the same element type, and the same shape or no axes. `None` if
/// the function has no lowering.
///
/// # Panics
/// If there are fewer operands than the function has.
pub(crate) fn lower<'b>(_: &'b Builder, function: Special, operands: &[Value<'b>]) -> Option<Value<'b>> {
    if let Some(value) = in_any_precision(function, operands) {
        return Some(value);
    }
    let own: Vec<Value<'b>> = operands.iter().map(|operand| operand.convert(Element::F64)).collect();
    let value = in_double(function, &own)?;
    Some(value.convert(operands[0].element()))
}

/// The values of `Map::Erf`, `Map::Lgamma` and `Map::Polygamma`. `None` for other functions.
pub(crate) fn map<'b>(_: &'b Builder, function: Map, x: Value<'b>) -> Option<Value<'b>> {
    let own = x.convert(Element::F64);
    let value = match function {
        Map::Erf => erf::erf(own),
        Map::Lgamma => gamma::lgamma(own),
        Map::Polygamma(order) => gamma::polygamma(order, own),
        _ => return None,
    };
    Some(value.convert(x.element()))
}

/// The uniform value of folded noise.
fn unfolded(noise: Value<'_>) -> Value<'_> {
    noise.lt(0.0).select(noise + 1.0, noise)
}

/// A part of a weak derivative: the points of the positive and of the negative part, and the constant.
fn part_of([positive, negative, constant]: [Value<'_>; 3], part: ShapePart) -> Value<'_> {
    match part {
        ShapePart::Positive => positive,
        ShapePart::Negative => negative,
        ShapePart::Constant => constant,
    }
}

/// The functions whose formulas lose a few units at most, in any precision.
fn in_any_precision<'b>(function: Special, x: &[Value<'b>]) -> Option<Value<'b>> {
    match (function, x) {
        (Special::Log1mexp, &[x]) => Some(logistic::log1mexp(x)),
        (Special::Deviance(Scale::Log), &[x, m]) => Some(deviance::deviance_by_log(x, m)),
        _ => None,
    }
}

fn in_double<'b>(function: Special, x: &[Value<'b>]) -> Option<Value<'b>> {
    let x = numeric::aligned::<4>(std::array::from_fn(|index| x.get(index).copied().unwrap_or(x[0])));
    let [first, second, third, fourth] = x;
    let value = match function {
        Special::Erfc => erf::erfc(first),
        Special::ErfInv => erf::erf_inv(first),
        Special::NormalCdf => normal::normal_cdf(first),
        Special::NormalLogCdf => normal::normal_log_cdf(first),
        Special::NormalIcdf => normal::normal_icdf(first),
        Special::NormalIcdfOfLog => normal::normal_icdf_of_log(first),
        Special::NormalLogMills => normal::normal_log_mills(first),
        Special::LogSinhc(order) => log_sinhc::log_sinhc(order, first),
        Special::ScaledExponentialIntegral(order) => exponential_integral::scaled_exponential_integral(order, first),
        Special::Atan => arc_tangent::atan(first),
        Special::Acot => arc_tangent::acot(first),
        Special::GumbelLevelRight => gumbel_level::gumbel_level(true, first),
        Special::GumbelLevelLeft => gumbel_level::gumbel_level(false, first),
        Special::LogBeta => log_beta::log_beta(first, second),
        Special::GammaP => incomplete_gamma::gamma_p(first, second),
        Special::GammaQ => incomplete_gamma::gamma_q(first, second),
        Special::GammaPByShape => gamma_sample::gamma_p_derivative_a(first, second),
        Special::LogGammaP => incomplete_gamma::log_gamma_p(first, second),
        Special::LogGammaQ => incomplete_gamma::log_gamma_q(first, second),
        Special::LogGammaPByArgument => incomplete_gamma::log_gamma_p_slope(first, second),
        Special::LogGammaQByArgument => incomplete_gamma::log_gamma_q_slope(first, second),
        Special::LogGammaPByShape => gamma_sample::log_gamma_p_derivative_a(first, second),
        Special::LogGammaQByShape => gamma_sample::log_gamma_q_derivative_a(first, second),
        Special::GammaVariateByShape => gamma_sample::gamma_log_sample_derivative(first, second),
        Special::GammaVariateByShapeTwice => gamma_sample::gamma_log_sample_second_derivative(first, second),
        Special::GammaShapePart(part) => part_of(shape_levels::gamma_shape_derivative(first, second), part),
        Special::BetaShapePart(part) => part_of(shape_levels::beta_shape_derivative(first, second, third), part),
        Special::GammaPInverse => incomplete_gamma::gamma_p_inverse(first, second),
        Special::GammaQInverse => incomplete_gamma::gamma_q_inverse(first, second),
        Special::DigammaMinusLog(order) => digamma_minus_log::digamma_minus_log_derivative(order, first),
        Special::DigammaMinusLogDifference => gamma_difference::digamma_minus_log_difference(first, second),
        Special::LogGammaDifference(order) => gamma_difference::log_gamma_difference(order, first, second),
        Special::LogGammaSecondDifference(order) => gamma_difference::log_gamma_second_difference(order, first, second),
        Special::StirlingDivergence => gamma_difference::stirling_divergence(first, second),
        Special::VonMisesGap => von_mises::von_mises_gap(first),
        Special::BetaInc => beta::beta_inc_pair(first, second, third, fourth),
        Special::BetaIncByFirst => beta_derivative::beta_inc_by_first(first, second, third, fourth),
        Special::LogBetaInc => beta::log_beta_inc(first, second, third, fourth),
        Special::LogBetaIncByFirst => beta_derivative::log_beta_inc_by_first(first, second, third, fourth),
        Special::LogBetaIncBySecond => beta_derivative::log_beta_inc_by_second(first, second, third, fourth),
        Special::LogBetaIncByArgument => beta::log_beta_inc_slope(first, second, third, fourth),
        Special::BetaIncInverse => beta_inverse::beta_inc_inverse_of(first, second, third, 1.0 - third),
        Special::BetaIncComplementInverse => beta_inverse::beta_inc_inverse_of(first, second, 1.0 - third, third),
        Special::StudentTCdf => student_t::student_t_cdf(first, second),
        Special::StudentTLogCdf => student_t::student_t_log_cdf(first, second),
        Special::StudentTCdfByDegrees => student_t::student_t_cdf_derivative(first, second),
        Special::StudentTLogCdfByArgument => student_t::student_t_log_cdf_slope(first, second),
        Special::StudentTLogCdfByDegrees => student_t::student_t_log_cdf_derivative(first, second),
        Special::StudentTIcdf => student_t::student_t_icdf(first, second),
        Special::StudentTLogHeight(order) => student_t::student_t_log_height(order, first),
        Special::BesselIe(order) => bessel::bessel_ie(order, first),
        Special::LogBesselIe => bessel::log_bessel_ie(first, second),
        Special::Deviance(Scale::Natural) => deviance::deviance(first, second),
        Special::BinaryDeviance => deviance::binary_deviance(first, second),
        Special::LogRatio => deviance::log_ratio(first, second),
        Special::LogSinhcDivergence => log_sinhc_divergence::log_sinhc_divergence(first, second),
        Special::VonMisesCdf => von_mises::von_mises_cdf(first, second),
        Special::VonMisesCdfByConcentration => von_mises::von_mises_cdf_derivative(first, second),
        Special::VonMisesLogCdf => von_mises::von_mises_log_cdf(first, second),
        Special::VonMisesLogCdfByArgument => von_mises::von_mises_log_cdf_slope(first, second),
        Special::VonMisesLogCdfByConcentration => von_mises::von_mises_log_cdf_derivative(first, second),
        Special::VonMisesVariateByConcentration => von_mises::von_mises_sample_derivative(first, second),
        Special::VonMisesIcdf => von_mises::von_mises_icdf(first, second),
        Special::InverseGaussianIcdf => inverse_gaussian::inverse_gaussian_icdf(first, second, third),
        Special::InverseGaussianComplementIcdf => {
            inverse_gaussian::inverse_gaussian_complement_icdf(first, second, third)
        }
        Special::NormalLogMass => truncated_normal::normal_log_mass(first, second),
        Special::NormalLogMassOverDensity => truncated_normal::normal_log_mass_over_density(first, second),
        Special::NormalLogScaledMass | Special::NormalLogMassAtEdge => {
            truncated_normal::normal_log_scaled_mass(first, second)
        }
        Special::NormalHazardAtEdge => truncated_normal::normal_hazard_at_edge(first, second),
        Special::TruncatedNormalCdf => truncated_normal::truncated_normal_cdf(first, second, third),
        Special::TruncatedNormalIcdf => truncated_normal::truncated_normal_icdf(first, second, third),
        Special::TruncatedNormalMean => truncated_normal::truncated_normal_moments(first, second)[0],
        Special::TruncatedNormalExcess => truncated_normal::truncated_normal_excess(first, second),
        Special::TruncatedNormalVariance => truncated_normal::truncated_normal_moments(first, second)[1],
        Special::SoftplusInverse => logistic::softplus_inverse(first),
        Special::PoissonIcdf => count_quantiles::poisson_icdf(first, second),
        Special::BinomialIcdf => count_quantiles::binomial_icdf(first, second, third),
        Special::NegativeBinomialIcdf(Scale::Natural) => count_quantiles::negative_binomial_icdf(first, second, third),
        Special::NegativeBinomialIcdf(Scale::Log) => {
            rare_successes::negative_binomial_icdf_by_logit(first, second, third)
        }
        Special::PoissonInverseSurvival => count_survival_quantiles::poisson_inverse_survival(first, second),
        Special::NegativeBinomialInverseSurvival(Scale::Natural) => {
            count_survival_quantiles::negative_binomial_inverse_survival(first, second, third)
        }
        Special::NegativeBinomialInverseSurvival(Scale::Log) => {
            rare_successes::negative_binomial_inverse_survival_by_logit(first, second, third)
        }
        Special::CountDraw(Counts::Poisson) => count_quantiles::poisson_icdf(unfolded(first), second),
        Special::CountDraw(Counts::Binomial) => count_quantiles::binomial_icdf(unfolded(first), second, third),
        Special::CountDraw(Counts::NegativeBinomial(Scale::Natural)) => {
            count_quantiles::negative_binomial_icdf(unfolded(first), second, third)
        }
        Special::CountDraw(Counts::NegativeBinomial(Scale::Log)) => {
            rare_successes::negative_binomial_icdf_by_logit(unfolded(first), second, third)
        }
        Special::SkellamCdf => counts::skellam_cdf(first, second, third),
        Special::SkellamIcdf => count_quantiles::skellam_icdf(first, second, third),
        Special::NegativeBinomialLogPmf(Scale::Natural) => counts::negative_binomial_log_pmf(first, second, third),
        Special::NegativeBinomialLogPmf(Scale::Log) => counts::negative_binomial_log_pmf_by_logit(first, second, third),
        Special::LogGammaKernel => saddle_point::log_gamma_kernel(first, second),
        Special::LogBetaKernel => saddle_point::log_beta_kernel(first, second, third, fourth),
        Special::PoissonLogPmf(Scale::Natural) => counts::poisson_log_pmf(first, second),
        Special::PoissonLogPmf(Scale::Log) => counts::poisson_log_pmf(first, second.exp()),
        Special::BinomialLogPmf(Scale::Natural) => counts::binomial_log_pmf(first, second, third),
        Special::BinomialLogPmf(Scale::Log) => counts::binomial_log_pmf_by_logit(first, second, third),
        Special::BinomialEntropy(Scale::Natural) => binomial_entropy::binomial_entropy(first, second)[0],
        Special::BinomialEntropy(Scale::Log) => binomial_entropy::binomial_entropy_by_logit(first, second)[0],
        Special::BinomialEntropySlope(Scale::Natural) => binomial_entropy::binomial_entropy(first, second)[1],
        Special::BinomialEntropySlope(Scale::Log) => binomial_entropy::binomial_entropy_by_logit(first, second)[1],
        // `Special` may get functions; each needs a series above.
        _ => return None,
    };
    Some(value)
}
