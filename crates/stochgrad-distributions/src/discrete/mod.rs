//! Distributions of bits, categories, counts and given values.

pub(crate) mod bernoulli;
pub(crate) mod beta_binomial;
pub(crate) mod binomial;
pub(crate) mod categorical;
pub(crate) mod delta;
pub(crate) mod discrete_uniform;
pub(crate) mod empirical;
#[cfg(test)]
mod ends_of_intervals;
pub(crate) mod entropy_of_counts;
pub(crate) mod geometric;
pub(crate) mod hypergeometric;
pub(crate) mod negative_binomial;
pub(crate) mod one_hot_categorical;
pub(crate) mod ordered_logistic;
#[cfg(test)]
mod outside_the_support;
pub(crate) mod poisson;
pub(crate) mod quadratic_variance;
pub(crate) mod skellam;
pub(crate) mod summed;
pub(crate) mod tails;
pub(crate) mod zeta;
pub(crate) mod zipf;

pub use bernoulli::Bernoulli;
pub use beta_binomial::BetaBinomial;
pub use binomial::Binomial;
pub use categorical::Categorical;
pub use delta::Delta;
pub use discrete_uniform::DiscreteUniform;
pub use empirical::Empirical;
pub use geometric::Geometric;
pub use hypergeometric::Hypergeometric;
pub use negative_binomial::NegativeBinomial;
pub use one_hot_categorical::OneHotCategorical;
pub use ordered_logistic::OrderedLogistic;
pub use poisson::Poisson;
pub use skellam::Skellam;
pub use zeta::Zeta;
pub use zipf::Zipf;
