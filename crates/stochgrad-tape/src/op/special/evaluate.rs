//! Evaluation of the functions, element by element.

use super::function::{Counts, Scale, ShapePart, Special};
use stochgrad_tensor::elementwise::apply;
use stochgrad_tensor::special as scalar;
use stochgrad_tensor::{Pool, Real, Tensor, log1mexp, truncated_normal_quantiles};

/// The uniform value of folded noise: in double precision it keeps the digits of both tails of single precision.
fn unfolded(noise: f64) -> f64 {
    if noise < 0.0 { 1.0 + noise } else { noise }
}

/// A part of a weak derivative.
fn part_of(derivative: scalar::ShapeDerivative, part: ShapePart) -> f64 {
    match part {
        ShapePart::Positive => derivative.positive,
        ShapePart::Negative => derivative.negative,
        ShapePart::Constant => derivative.constant,
    }
}

/// A function of the first operand and two parameters. `prepare` gets the parameters: once, if all elements share them.
fn prepared<F: Real, G: Fn(f64) -> f64 + Sync>(
    pool: &Pool<F>,
    inputs: &[Tensor<F>],
    prepare: impl Fn(f64, f64) -> G + Sync,
) -> Tensor<F> {
    let [x, a, b] = [&inputs[0], &inputs[1], &inputs[2]];
    match (a.as_slice(), b.as_slice()) {
        (&[first], &[second]) if a.shape().len().max(b.shape().len()) <= x.shape().len() => {
            let function = prepare(first.to_f64(), second.to_f64());
            apply(pool, [x], |[x]| function(x))
        }
        _ => apply(pool, [x, a, b], |[x, a, b]| prepare(a, b)(x)),
    }
}

/// A quantile function, as a function of folded noise.
fn drawn(quantile: impl Fn(f64) -> f64 + Sync) -> impl Fn(f64) -> f64 + Sync {
    move |noise| quantile(unfolded(noise))
}

impl Special {
    /// The values of the function for operands that broadcast to a common shape.
    ///
    /// # Panics
    /// If there are fewer operands than the function has, or their shapes do not broadcast.
    pub fn evaluate<F: Real>(self, pool: &Pool<F>, inputs: &[Tensor<F>]) -> Tensor<F> {
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
            Special::Log1mexp => log1mexp(pool, &inputs[0]),
            Special::LogSinhc(order) => apply(pool, [&inputs[0]], |[x]| scalar::log_sinhc(order, x)),
            Special::ScaledExponentialIntegral(order) => {
                apply(pool, [&inputs[0]], |[x]| scalar::scaled_exponential_integral(order, x))
            }
            Special::Atan => one(f64::atan),
            Special::Acot => one(|x| 1.0_f64.atan2(x)),
            Special::GumbelLevelRight => one(|x| scalar::gumbel_level(x).0),
            Special::GumbelLevelLeft => one(|x| scalar::gumbel_level(x).1),
            Special::LogBeta => two(scalar::log_beta),
            Special::GammaP => two(scalar::gamma_p),
            Special::GammaQ => two(scalar::gamma_q),
            Special::GammaPByShape => two(scalar::gamma_p_derivative_a),
            Special::LogGammaP => two(scalar::log_gamma_p),
            Special::LogGammaQ => two(scalar::log_gamma_q),
            Special::LogGammaPByArgument => two(scalar::log_gamma_p_slope),
            Special::LogGammaQByArgument => two(scalar::log_gamma_q_slope),
            Special::LogGammaPByShape => two(scalar::log_gamma_p_derivative_a),
            Special::LogGammaQByShape => two(scalar::log_gamma_q_derivative_a),
            Special::GammaVariateByShape => two(scalar::gamma_log_sample_derivative),
            Special::GammaVariateByShapeTwice => two(scalar::gamma_log_sample_second_derivative),
            Special::GammaShapePart(part) => apply(pool, [&inputs[0], &inputs[1]], |[a, share]| {
                part_of(scalar::gamma_shape_derivative(a, share), part)
            }),
            Special::BetaShapePart(part) => apply(pool, [&inputs[0], &inputs[1], &inputs[2]], |[a, b, share]| {
                part_of(scalar::beta_shape_derivative(a, b, share), part)
            }),
            Special::GammaPInverse => two(scalar::gamma_p_inverse),
            Special::GammaQInverse => two(scalar::gamma_q_inverse),
            Special::DigammaMinusLog(0) => one(scalar::digamma_minus_log),
            Special::DigammaMinusLog(order) => {
                apply(pool, [&inputs[0]], |[x]| scalar::digamma_minus_log_derivative(order, x))
            }
            Special::DigammaMinusLogDifference => two(scalar::digamma_minus_log_difference),
            Special::LogGammaDifference(order) => {
                apply(pool, [&inputs[0], &inputs[1]], |[a, b]| scalar::log_gamma_difference(order, a, b))
            }
            Special::LogGammaSecondDifference(order) => {
                apply(pool, [&inputs[0], &inputs[1]], |[x, h]| scalar::log_gamma_second_difference(order, x, h))
            }
            Special::StirlingDivergence => two(scalar::stirling_divergence),
            Special::VonMisesGap => one(scalar::von_mises_gap),
            Special::BetaInc => four(scalar::beta_inc_pair),
            Special::BetaIncByFirst => four(|a, b, x, y| scalar::beta_inc_derivatives(a, b, x, y).0),
            Special::BetaIncInverse => three(|a, b, p| scalar::beta_inc_inverse(a, b, p).0),
            Special::LogBetaInc => four(scalar::log_beta_inc),
            Special::LogBetaIncByFirst => four(|a, b, x, y| scalar::log_beta_inc_derivatives(a, b, x, y).0),
            Special::LogBetaIncBySecond => four(|a, b, x, y| scalar::log_beta_inc_derivatives(a, b, x, y).1),
            Special::LogBetaIncByArgument => four(scalar::log_beta_inc_slope),
            Special::BetaIncComplementInverse => three(|a, b, q| scalar::beta_inc_inverse_of(a, b, 1.0 - q, q).0),
            Special::StudentTCdf => two(scalar::student_t_cdf),
            Special::StudentTLogCdf => two(scalar::student_t_log_cdf),
            Special::StudentTCdfByDegrees => two(scalar::student_t_cdf_derivative),
            Special::StudentTLogCdfByDegrees => two(scalar::student_t_log_cdf_derivative),
            Special::StudentTLogCdfByArgument => two(scalar::student_t_log_cdf_slope),
            Special::StudentTIcdf => two(scalar::student_t_icdf),
            Special::StudentTLogHeight(order) => {
                apply(pool, [&inputs[0]], |[nu]| scalar::student_t_log_height(order, nu))
            }
            Special::BesselIe(n) => apply(pool, [&inputs[0]], |[x]| scalar::bessel_ie(n, x)),
            Special::LogBesselIe => two(scalar::log_bessel_ie),
            Special::Deviance(Scale::Natural) => two(scalar::deviance),
            Special::Deviance(Scale::Log) => two(scalar::deviance_by_log),
            Special::BinaryDeviance => two(scalar::binary_deviance),
            Special::LogSinhcDivergence => two(scalar::log_sinhc_divergence),
            Special::LogRatio => two(scalar::log_ratio),
            Special::VonMisesCdf => two(scalar::von_mises_cdf),
            Special::VonMisesCdfByConcentration => two(scalar::von_mises_cdf_derivative),
            Special::VonMisesLogCdf => two(scalar::von_mises_log_cdf),
            Special::VonMisesLogCdfByArgument => two(scalar::von_mises_log_cdf_slope),
            Special::VonMisesLogCdfByConcentration => two(scalar::von_mises_log_cdf_derivative),
            Special::VonMisesVariateByConcentration => two(scalar::von_mises_sample_derivative),
            Special::VonMisesIcdf => two(scalar::von_mises_icdf),
            Special::InverseGaussianIcdf => three(scalar::inverse_gaussian_icdf),
            Special::InverseGaussianComplementIcdf => three(scalar::inverse_gaussian_complement_icdf),
            Special::NormalLogMass => two(scalar::normal_log_mass),
            Special::NormalLogMassOverDensity => two(scalar::normal_log_mass_over_density),
            Special::NormalLogScaledMass | Special::NormalLogMassAtEdge => two(scalar::normal_log_scaled_mass),
            Special::NormalHazardAtEdge => two(scalar::normal_hazard_at_edge),
            Special::TruncatedNormalCdf => three(scalar::truncated_normal_cdf),
            Special::TruncatedNormalIcdf => truncated_normal_quantiles(pool, &inputs[0], &inputs[1], &inputs[2]),
            Special::TruncatedNormalMean => two(|a, b| scalar::truncated_normal_moments(a, b).0),
            Special::TruncatedNormalExcess => two(scalar::truncated_normal_excess),
            Special::TruncatedNormalVariance => two(|a, b| scalar::truncated_normal_moments(a, b).1),
            Special::SoftplusInverse => one(|x| x + (-(-x).exp_m1()).ln()),
            Special::PoissonIcdf => two(scalar::poisson_icdf),
            Special::BinomialIcdf => three(scalar::binomial_icdf),
            Special::NegativeBinomialIcdf(Scale::Natural) => three(scalar::negative_binomial_icdf),
            Special::NegativeBinomialIcdf(Scale::Log) => three(scalar::negative_binomial_icdf_by_logit),
            Special::PoissonInverseSurvival => two(scalar::poisson_inverse_survival),
            Special::NegativeBinomialInverseSurvival(Scale::Natural) => {
                three(scalar::negative_binomial_inverse_survival)
            }
            Special::NegativeBinomialInverseSurvival(Scale::Log) => {
                three(scalar::negative_binomial_inverse_survival_by_logit)
            }
            Special::CountDraw(Counts::Poisson) => two(|noise, rate| scalar::poisson_icdf(unfolded(noise), rate)),
            Special::CountDraw(Counts::Binomial) => three(|noise, n, p| scalar::binomial_icdf(unfolded(noise), n, p)),
            Special::CountDraw(Counts::NegativeBinomial(Scale::Natural)) => {
                prepared(pool, inputs, |r, p| drawn(scalar::negative_binomial_quantiles(r, p)))
            }
            Special::CountDraw(Counts::NegativeBinomial(Scale::Log)) => {
                prepared(pool, inputs, |r, logit| drawn(scalar::negative_binomial_quantiles_by_logit(r, logit)))
            }
            Special::SkellamCdf => three(scalar::skellam_cdf),
            Special::SkellamIcdf => three(scalar::skellam_icdf),
            Special::NegativeBinomialLogPmf(Scale::Natural) => {
                prepared(pool, inputs, scalar::negative_binomial_log_pmf_of)
            }
            Special::NegativeBinomialLogPmf(Scale::Log) => {
                prepared(pool, inputs, scalar::negative_binomial_log_pmf_of_logit)
            }
            Special::LogGammaKernel => two(scalar::log_gamma_kernel),
            Special::LogBetaKernel => four(scalar::log_beta_kernel),
            Special::PoissonLogPmf(Scale::Natural) => two(scalar::poisson_log_pmf),
            Special::PoissonLogPmf(Scale::Log) => two(|k, log| scalar::poisson_log_pmf(k, log.exp())),
            Special::BinomialEntropy(Scale::Natural) => two(|n, p| scalar::binomial_entropy(n, p).0),
            Special::BinomialEntropy(Scale::Log) => two(|n, logit| scalar::binomial_entropy_by_logit(n, logit).0),
            Special::BinomialEntropySlope(Scale::Natural) => two(|n, p| scalar::binomial_entropy(n, p).1),
            Special::BinomialEntropySlope(Scale::Log) => two(|n, logit| scalar::binomial_entropy_by_logit(n, logit).1),
            Special::BinomialLogPmf(Scale::Natural) => prepared(pool, inputs, scalar::binomial_log_pmf_of),
            Special::BinomialLogPmf(Scale::Log) => prepared(pool, inputs, scalar::binomial_log_pmf_of_logit),
        }
    }
}
