//! Values held inside an open range, with the derivatives that they have without it.

use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// `x`, or the nearer one of two numbers where it is not between them, with the derivatives of `x`.
pub(crate) fn held_between<F: Real>(x: Var<'_, F>, low: f64, high: f64) -> Var<'_, F> {
    x.held().clamp(low, high).straight_through(x)
}
