//! Divergences between two distributions.

mod monte_carlo;
mod pairs;

pub use monte_carlo::{MonteCarloKl, monte_carlo_kl};

#[cfg(test)]
mod impossible_outcomes;
#[cfg(test)]
mod nearly_equal;
