//! Divergences between two distributions.

mod monte_carlo;
mod pairs;

pub use monte_carlo::{MonteCarloKl, monte_carlo_kl};
