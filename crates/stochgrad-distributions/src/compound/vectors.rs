//! Positions along the last axis.

use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The position of the last element of the last axis.
pub(crate) fn last_of<F: Real>(x: Var<'_, F>) -> usize {
    x.shape().last().copied().unwrap_or(1).saturating_sub(1)
}
