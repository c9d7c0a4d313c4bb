//! What a recorded graph implies for its derivatives: which node is credited with which cost, along which paths, and
//! with which guarantee.
//!
//! [`Analysis`] holds the facts, which do not change once they are found. What is computed from them on the way and
//! remembered is in [`boxes`] (for the surrogate) and [`credit`] (for gradient methods).

pub(crate) mod boxes;
pub(crate) mod credit;
mod crossings;
mod degrees;
pub(crate) mod facts;
pub(crate) mod finite;
pub(crate) mod hidden_outcomes;
pub(crate) mod ledger;
mod lost_jumps;
mod mixing;
mod paths;
pub(crate) mod recording;
mod scheme_members;
pub(crate) mod sums;
mod weighted_sets;
