//! Scalar special functions of `f64` arguments, for distributions and their samplers.
//!
//! Each function states its domain. Outside the domain, and for a NaN argument, the result is NaN; inside the domain it
//! is never NaN. Error bounds were measured against mpmath at 40 digits. A relative error is relative to the result
//! unless stated otherwise.

#[cfg(test)]
mod assertions;
mod bessel;
mod beta;
mod beta_derivative;
mod binomial_entropy;
mod count_quantiles;
mod counts;
mod erf;
mod gamma;
mod gamma_sample;
mod gumbel_level;
mod incomplete_gamma;
mod inverse_gaussian;
mod log_sinhc;
mod logistic;
mod normal;
mod normal_quantile;
mod quadrature;
mod root;
mod saddle_point;
mod shape_levels;
mod truncated_normal;
mod von_mises;

pub use bessel::{bessel_ie, log_bessel_ie};
pub use beta::{beta_inc, beta_inc_pair, log_beta};
pub use beta_derivative::{beta_inc_derivatives, beta_inc_inverse};
pub use binomial_entropy::{binomial_entropy, binomial_entropy_by_logit};
pub use count_quantiles::{binomial_icdf, negative_binomial_icdf, poisson_icdf, skellam_icdf};
pub use counts::{
    binomial_cdf, binomial_log_pmf, binomial_log_pmf_by_logit, geometric_cdf, geometric_log_pmf, negative_binomial_cdf,
    negative_binomial_log_pmf, negative_binomial_log_pmf_by_logit, poisson_cdf, poisson_log_pmf, skellam_cdf,
    skellam_log_pmf,
};
pub use erf::{erf, erf_inv, erfc};
pub use gamma::{digamma, digamma_minus_log, lgamma, polygamma, trigamma};
pub use gamma_sample::{gamma_log_sample_derivative, gamma_p_derivative_a, gamma_sample_derivative};
pub use gumbel_level::gumbel_level;
pub(crate) use incomplete_gamma::{LARGE_SHAPE, SMALL_ARGUMENT};
pub use incomplete_gamma::{gamma_p, gamma_p_inverse, gamma_q, gamma_q_inverse};
pub use inverse_gaussian::inverse_gaussian_icdf;
pub use log_sinhc::log_sinhc;
pub use logistic::{log_add_exp, log_sigmoid, log_sum_exp, log1mexp, logit, sigmoid, softplus};
pub use normal::{normal_cdf, normal_icdf, normal_icdf_of_log, normal_log_cdf, normal_log_mills};
pub(crate) use quadrature::LEGENDRE;
pub use saddle_point::{log_beta_kernel, log_gamma_kernel};
pub use shape_levels::{ShapeDerivative, beta_shape_derivative, gamma_shape_derivative};
pub(crate) use truncated_normal::TruncatedQuantile;
pub use truncated_normal::{
    normal_log_mass, normal_log_mass_over_density, normal_log_scaled_mass, truncated_normal_cdf, truncated_normal_icdf,
    truncated_normal_moments,
};
pub(crate) use von_mises::VonMisesPath;
pub use von_mises::{von_mises_cdf, von_mises_cdf_derivative, von_mises_gap, von_mises_icdf};
