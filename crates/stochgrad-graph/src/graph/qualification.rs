//! What objectives say of the derivatives of the costs that they record.
//!
//! An objective may leave a part of a derivative out, or estimate it in another way, by holding values on the way. The
//! recorded operations do not show whether that is right, so the objective says it.

use crate::guarantee::Guarantee;
use stochgrad_tape::{SiteId, Var};
use stochgrad_tensor::Real;

/// What holds for derivatives with respect to the parameters upstream of some values.
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
