//! What objectives state about the derivatives of the costs that they record.
//!
//! An objective may leave out a part of a derivative, or estimate it in another way, by detaching values. The recorded
//! operations do not show whether that is correct, so the objective has to state it.

use crate::guarantee::Guarantee;
use stochgrad_tape::{SiteId, Var};
use stochgrad_tensor::Real;

/// The guarantee for derivatives with respect to the parameters upstream of some values, and the reason.
pub(crate) struct Qualification<'t, F: Real> {
    pub(crate) through: Vec<Var<'t, F>>,
    pub(crate) guarantee: Guarantee,
    pub(crate) because: String,
}

/// A node whose samples must pass gradients.
pub(crate) struct OpenPath {
    pub(crate) site: SiteId,
    pub(crate) because: String,
}
