//! Checks for your own distribution. Call them from its tests; each panics with a message that states what failed.
//!
//! | your distribution | check | what it compares |
//! |---|---|---|
//! | continuous numbers | [`DistributionCheck::assert_distribution`] | everything below that the distribution offers |
//! | | [`DistributionCheck::assert_moments`] | total, mean, variance, entropy and mode with a quadrature of the density |
//! | | [`DistributionCheck::assert_score`] | derivatives of the log-density with central differences |
//! | | [`DistributionCheck::assert_cdf`] | the distribution function with the density, both tails and their logarithms with it, the inverses with them |
//! | | [`DistributionCheck::assert_draws`] | 100,000 draws with the moments and the distribution function |
//! | | [`DistributionCheck::assert_path`] | derivatives along sample paths with those of the quadrature |
//! | | [`DistributionCheck::assert_weak`] | the weak derivative with that of the quadrature |
//! | | [`assert_finite`] | no NaN at extreme parameters |
//! | | [`assert_nothing_at`] | −∞ with zero derivatives outside the support |
//! | counts, categories, one-hot vectors | [`check_draws`] | 100,000 draws with the probabilities, the moments and the distribution function |
//! | | [`check_weak_derivative`], [`check_stochastic_derivative`] | the alternatives, weighted by the probabilities, with exact derivatives |
//! | finite support | [`check_enumeration`] | the probabilities of the enumerated values with 1 and with the log-probabilities |
//! | any | [`check_score`] | derivatives of a log-probability with central differences |
//! | | [`check_family`] | that a graph can store the distribution and bind it again |
//!
//! All noise has fixed seeds, so that a check either always passes or always fails. Statistical checks allow four
//! standard errors. The whole distribution is one call:
//!
//! ```
//! use stochgrad_distributions::Normal;
//! use stochgrad_distributions::testing::{Build, DistributionCheck, Domain};
//!
//! const BUILD: Build = |parameters| Box::new(Normal::new(parameters[0], parameters[1]));
//!
//! let check = DistributionCheck::new(BUILD, &[0.3, 1.7], Domain::Line(-20.0, 20.0));
//! // At these values the log-density and the distribution function are compared; the last number is a seed.
//! check.assert_distribution(&[-1.2, 0.1, 2.5], 5);
//! ```
//!
//! The joint checks of `stochgrad-check` continue from here: the exact oracle compares gradient methods on models with
//! your distribution.

mod continuous;
mod discrete;
#[cfg(test)]
mod estimators;
mod extremes;
#[cfg(test)]
mod internal;
mod quadrature;
mod samples;

pub use continuous::DistributionCheck;
pub use discrete::{
    check_draws, check_enumeration, check_family, check_score, check_stochastic_derivative, check_weak_derivative,
};
pub use extremes::{assert_finite, assert_nothing_at};
pub use quadrature::Domain;
pub use samples::{Build, assert_close};

#[cfg(test)]
pub(crate) use discrete::{COSTS, SIDES, States, check_weak_arguments};
#[cfg(test)]
pub(crate) use estimators::{check_estimators, check_moments, vector};
#[cfg(test)]
pub(crate) use internal::{Evaluated, Fixed, capabilities, check_description, check_uniform, tangent, with_gradient};
#[cfg(test)]
pub(crate) use samples::{leaves, on_samples, variance};
