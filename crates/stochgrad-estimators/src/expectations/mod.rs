//! Functions of expectations, $g(\mathbb E X)$, and sums over infinitely many or expensive levels.
//!
//! A graph differentiates $\mathbb E[C]$. The expectation of $g(\bar X)$, with an average $\bar X$ over samples, is not
//! $g(\mathbb E X)$. The estimators of this folder are unbiased, or state their bias in the guarantee.

pub(crate) mod accept_reject;
pub(crate) mod allocation;
pub(crate) mod antithetic_difference;
pub(crate) mod independent_members;
pub(crate) mod level_statistics;
pub(crate) mod levels;
pub(crate) mod mean_series;
pub(crate) mod multilevel;
pub(crate) mod plug_in;
pub(crate) mod polynomial;
pub(crate) mod products;
pub(crate) mod telescope;
#[cfg(test)]
mod testing;
