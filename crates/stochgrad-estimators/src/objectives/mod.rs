//! Objectives: costs that are bounds on the evidence, with a choice of gradient estimators.

mod double_reparameterization;
mod evidence_bound;
mod held;
#[cfg(test)]
mod tests;

pub use evidence_bound::{EvidenceBound, Prior};
