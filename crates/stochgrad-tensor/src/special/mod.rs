//! Scalar special functions of `f64` arguments, for distributions and their samplers.
//!
//! Each function states its domain. Outside the domain, and for a NaN argument, the result is NaN; inside the domain it
//! is never NaN. Error bounds were measured against mpmath at 60 digits; the test `golden` compares with a table of its
//! values. A relative error is relative to the result unless stated otherwise. In single precision the functions are
//! evaluated in double precision and rounded, so that the relative error is below 6e-8 for arguments in single
//! precision.
//!
//! Every loop has a fixed bound. Where a parameter is beyond the range in which a distribution differs from its limit,
//! the result is the limiting value.

#[cfg(test)]
mod assertions;
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
mod quadrature;
mod rare_successes;
mod root;
mod saddle_point;
mod shape_levels;
mod skellam_tail;
mod student_t;
pub mod tables;
mod truncated_normal;
mod von_mises;

pub use bessel::{bessel_ie, log_bessel_ie};
pub use beta::{beta_inc, beta_inc_pair, log_beta_inc, log_beta_inc_slope};
pub use beta_derivative::{beta_inc_derivatives, log_beta_inc_derivatives};
pub use beta_inverse::{beta_inc_inverse, beta_inc_inverse_of};
pub use binomial_entropy::{binomial_entropy, binomial_entropy_by_logit};
pub use count_quantiles::{
    binomial_icdf, negative_binomial_icdf, negative_binomial_quantiles, poisson_icdf, skellam_icdf,
};
pub use count_survival_quantiles::{negative_binomial_inverse_survival, poisson_inverse_survival};
pub use counts::{
    binomial_cdf, binomial_log_pmf, binomial_log_pmf_by_logit, binomial_log_pmf_of, binomial_log_pmf_of_logit,
    geometric_cdf, geometric_log_pmf, negative_binomial_cdf, negative_binomial_log_pmf,
    negative_binomial_log_pmf_by_logit, negative_binomial_log_pmf_of, negative_binomial_log_pmf_of_logit, poisson_cdf,
    poisson_log_pmf, skellam_cdf, skellam_log_pmf,
};
pub use deviance::{binary_deviance, deviance, deviance_by_log, log_ratio};
pub use digamma_minus_log::digamma_minus_log_derivative;
pub use erf::{erf, erf_inv, erfc};
pub use exponential_integral::scaled_exponential_integral;
pub use gamma::{digamma, digamma_minus_log, lgamma, polygamma, trigamma};
pub use gamma_difference::{
    digamma_minus_log_difference, log_gamma_difference, log_gamma_second_difference, stirling_divergence,
};
pub use gamma_sample::{
    gamma_log_sample_derivative, gamma_log_sample_second_derivative, gamma_p_derivative_a, gamma_sample_derivative,
    log_gamma_p_derivative_a, log_gamma_q_derivative_a,
};
pub use gumbel_level::gumbel_level;
pub(crate) use incomplete_gamma::{LARGE_SHAPE, SMALL_ARGUMENT};
pub use incomplete_gamma::{
    gamma_p, gamma_p_inverse, gamma_q, gamma_q_inverse, log_gamma_p, log_gamma_p_slope, log_gamma_q, log_gamma_q_slope,
};
pub use inverse_gaussian::{inverse_gaussian_complement_icdf, inverse_gaussian_icdf};
pub use log_beta::log_beta;
pub use log_sinhc::log_sinhc;
pub use log_sinhc_divergence::log_sinhc_divergence;
pub use logistic::{log_add_exp, log_sigmoid, log_sum_exp, log1mexp, logit, sigmoid, softplus};
pub use normal::{normal_cdf, normal_icdf, normal_icdf_of_log, normal_log_cdf, normal_log_mills};
pub(crate) use quadrature::LEGENDRE;
pub use rare_successes::{
    negative_binomial_cdf_by_logit, negative_binomial_icdf_by_logit, negative_binomial_inverse_survival_by_logit,
    negative_binomial_quantiles_by_logit,
};
pub use saddle_point::{log_beta_kernel, log_gamma_kernel};
pub use shape_levels::{ShapeDerivative, beta_shape_derivative, gamma_shape_derivative};
pub use student_t::{
    student_t_cdf, student_t_cdf_derivative, student_t_icdf, student_t_log_cdf, student_t_log_cdf_derivative,
    student_t_log_cdf_slope, student_t_log_height,
};
pub(crate) use truncated_normal::TruncatedQuantile;
pub use truncated_normal::{
    normal_hazard_at_edge, normal_log_mass, normal_log_mass_over_density, normal_log_scaled_mass, truncated_normal_cdf,
    truncated_normal_excess, truncated_normal_icdf, truncated_normal_moments,
};
pub(crate) use von_mises::VonMisesPath;
pub use von_mises::{
    von_mises_cdf, von_mises_cdf_derivative, von_mises_gap, von_mises_icdf, von_mises_log_cdf,
    von_mises_log_cdf_derivative, von_mises_log_cdf_slope, von_mises_sample_derivative,
};
