//! Probability distributions with the derivatives that stochastic gradients need.
//!
//! A distribution here can do more than give a log-probability and draw a sample. It says how its samples depend on its
//! parameters ([`Reparameterized`]), which states it has ([`FiniteSupport`]), what the derivative of its distribution is
//! ([`WeakDerivative`], [`StochasticDerivative`]), and how it is relaxed ([`Relaxed`]). Gradient methods demand these as
//! traits; a distribution in another crate implements the same ones.
//!
//! ```
//! use stochgrad_distributions::{Distribution, KlDivergence, Normal};
//! use stochgrad_tape::Tape;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tape = Tape::<f64>::new();
//! let location = tape.parameter([0.5, -1.0]);
//! let q = Normal::new(location, 1.0);
//! let prior = Normal::new(location * 0.0, 1.0);
//! let divergence = q.kl_to(&prior);
//! let [gradient] = tape.backward(divergence, [location])?;
//! assert_eq!(gradient.as_slice(), &[0.5, -1.0]);
//! # Ok(())
//! # }
//! ```
//!
//! Randomness comes from a [`NoiseSource`], by address. This crate knows no gradient method and no graph.

mod bernoulli;
mod beta;
mod bijector;
mod binomial;
mod boundary;
mod categorical;
mod categories;
mod cauchy;
mod chi2;
mod continuous_bernoulli;
mod delta;
mod dirichlet;
#[cfg(test)]
mod discrete_checks;
mod discrete_uniform;
mod distribution;
#[cfg(test)]
mod distribution_checks;
mod divergences;
mod domain;
mod empirical;
#[cfg(test)]
mod ends_of_intervals;
mod error;
mod exponential;
mod family;
mod gamma;
mod geometric;
mod gumbel;
mod half_cauchy;
mod half_normal;
mod implicit;
mod independent;
mod inverse_gamma;
mod inverse_gaussian;
mod kumaraswamy;
mod laplace;
mod lkj;
mod local;
mod log_normal;
mod logistic;
mod low_rank_multivariate_normal;
mod maxwell;
mod mixture;
mod mixture_same_family;
mod monte_carlo;
mod multinomial;
mod multivariate_normal;
mod negative_binomial;
mod noise;
mod normal;
mod one_hot_categorical;
mod pareto;
mod poisson;
mod prelude;
mod probability;
mod quadratic_variance;
mod rate_or_scale;
mod rayleigh;
mod relaxed_bernoulli;
mod relaxed_one_hot_categorical;
mod scheme_noise;
mod skellam;
mod student_t;
mod transformed;
mod truncated_normal;
mod underflow;
mod uniform;
mod von_mises;
pub mod weak;
mod weak_path;
mod weibull;
mod wishart;
mod wrapper;

pub use bernoulli::Bernoulli;
pub use beta::Beta;
pub use bijector::Bijector;
pub use binomial::Binomial;
pub use categorical::Categorical;
pub use cauchy::Cauchy;
pub use chi2::Chi2;
pub use continuous_bernoulli::ContinuousBernoulli;
pub use delta::Delta;
pub use dirichlet::Dirichlet;
pub use discrete_uniform::DiscreteUniform;
pub use distribution::{
    Alternatives, Capabilities, ClosedFormEntropy, CumulativeDistribution, Distribution, Family, FiniteSupport,
    IndependentBits, IndependentCategories, IntegerSupport, KlDivergence, Live, Parameter, Parameters,
    QuantileFunction, RecordedAlternatives, Relaxed, Reparameterized, ScoreDifferentiable, Side, StochasticDerivative,
    Support, Tempered, WeakDerivative, WeaklyReparameterized,
};
pub use domain::{check_parameter, common_shape, finite, positive, whole};
pub use empirical::Empirical;
pub use error::{DistributionError, DistributionResult};
pub use exponential::Exponential;
pub use gamma::Gamma;
pub use geometric::Geometric;
pub use gumbel::Gumbel;
pub use half_cauchy::HalfCauchy;
pub use half_normal::HalfNormal;
pub use implicit::implicit_path;
pub use independent::Independent;
pub use inverse_gamma::InverseGamma;
pub use inverse_gaussian::InverseGaussian;
pub use kumaraswamy::Kumaraswamy;
pub use laplace::Laplace;
pub use lkj::Lkj;
pub use log_normal::LogNormal;
pub use logistic::Logistic;
pub use low_rank_multivariate_normal::LowRankMultivariateNormal;
pub use maxwell::Maxwell;
pub use mixture::Mixture;
pub use mixture_same_family::MixtureSameFamily;
pub use monte_carlo::{MonteCarloKl, monte_carlo_kl};
pub use multinomial::Multinomial;
pub use multivariate_normal::MultivariateNormal;
pub use negative_binomial::NegativeBinomial;
pub use noise::{Draw, KeyedNoise, NoiseKey, NoiseSource, quantile};
pub use normal::Normal;
pub use one_hot_categorical::OneHotCategorical;
pub use pareto::Pareto;
pub use poisson::Poisson;
pub use quadratic_variance::QuadraticVariance;
pub use rayleigh::Rayleigh;
pub use relaxed_bernoulli::RelaxedBernoulli;
pub use relaxed_one_hot_categorical::RelaxedOneHotCategorical;
pub use scheme_noise::SchemeUniform;
pub use skellam::Skellam;
pub use stochgrad_tape::{NoiseLayout, NoiseSeed};
pub use student_t::StudentT;
pub use transformed::TransformedDistribution;
pub use truncated_normal::TruncatedNormal;
pub use uniform::Uniform;
pub use von_mises::VonMises;
pub use weak_path::{WeakNoise, WeakPath};
pub use weibull::Weibull;
pub use wishart::Wishart;

// For the macro `family!`, which writes code in other crates.
#[doc(hidden)]
pub use stochgrad_tape::{Id, IdMap, Tape, Var};
#[doc(hidden)]
pub use stochgrad_tensor::Real;
