//! What a recorded graph implies for its derivatives: who is credited with what, by which paths, and with which
//! guarantee.

mod credit;
mod degrees;
pub(crate) mod finite;
mod hidden_outcomes;
pub(crate) mod impossible;
pub(crate) mod ledger;
pub(crate) mod mixing;
pub(crate) mod paths;
pub(crate) mod reduction;
pub(crate) mod sums;
mod weighted_sets;
