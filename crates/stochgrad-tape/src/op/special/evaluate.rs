//! Evaluation of the functions, element by element.

use super::function::{Scale, Special};
use stochgrad_tensor::elementwise::apply;
use stochgrad_tensor::special as scalar;
use stochgrad_tensor::{Pool, Real, Tensor, log1mexp, truncated_normal_quantiles};

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
            Special::NormalLogScaledMass => two(scalar::normal_log_scaled_mass),
            Special::TruncatedNormalCdf => three(scalar::truncated_normal_cdf),
            Special::TruncatedNormalIcdf => truncated_normal_quantiles(pool, &inputs[0], &inputs[1], &inputs[2]),
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
            Special::BinomialEntropy(Scale::Natural) => two(|n, p| scalar::binomial_entropy(n, p).0),
            Special::BinomialEntropy(Scale::Log) => two(|n, logit| scalar::binomial_entropy_by_logit(n, logit).0),
            Special::BinomialEntropySlope(Scale::Natural) => two(|n, p| scalar::binomial_entropy(n, p).1),
            Special::BinomialEntropySlope(Scale::Log) => two(|n, logit| scalar::binomial_entropy_by_logit(n, logit).1),
            Special::BinomialLogPmf(Scale::Natural) => three(scalar::binomial_log_pmf),
            Special::BinomialLogPmf(Scale::Log) => three(scalar::binomial_log_pmf_by_logit),
        }
    }
}
