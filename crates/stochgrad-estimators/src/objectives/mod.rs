//! Objectives: costs whose value is a bound on the evidence, and whose gradient may be estimated in several ways.

mod double_reparameterization;
mod evidence_bound;
mod held;
#[cfg(test)]
mod tests;

pub use evidence_bound::{EvidenceBound, Prior};
