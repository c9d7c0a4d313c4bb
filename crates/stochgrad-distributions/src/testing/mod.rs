//! What the tests of the distributions share.

pub(crate) mod discrete_checks;
pub(crate) mod distribution_checks;
mod ends_of_intervals;
