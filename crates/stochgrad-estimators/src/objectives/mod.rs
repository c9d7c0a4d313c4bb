//! Objectives: costs that are bounds on the evidence, with a choice of gradient estimators.

mod double_reparameterization;
mod evidence_bound;
pub(crate) mod held;
mod proposals;
#[cfg(test)]
mod tests;
mod thermodynamic;
#[cfg(test)]
mod two_bits;
mod wake_sleep;

pub use evidence_bound::{EvidenceBound, Prior};
pub use thermodynamic::ThermodynamicObjective;
pub use wake_sleep::WakeSleep;
