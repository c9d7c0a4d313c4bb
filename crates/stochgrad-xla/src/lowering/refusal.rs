//! Operations without a lowering.

use crate::error::XlaError;
use stochgrad_tape::{ListedValue, Listing};
use stochgrad_tensor::Real;

/// Why there is no lowering of an operation that was added later.
pub(crate) const UNKNOWN: &str = "this version of the crate does not know it; run the graph on the CPU";

/// The error for an operation without a lowering.
pub(crate) fn refused<F: Real>(listing: &Listing<'_, F>, listed: &ListedValue<'_, F>, reason: &str) -> XlaError {
    XlaError::NoLowering { operation: listing.name(listed), at: listed.location, reason: reason.into() }
}
