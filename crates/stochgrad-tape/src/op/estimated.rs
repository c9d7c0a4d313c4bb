//! The limit of estimated derivatives to the first order.

use crate::error::TapeError;
use crate::var::Var;
use std::panic::Location;
use stochgrad_tensor::Real;

/// The error for a derivative of an adjoint that an estimate got.
///
/// The derivative of a gradient $\hat y'(\theta)\, g(y(\theta))$ has the term $\hat y' g'(y)\, y'$. The rule for the
/// second factor $y'$ would take the same $\hat y'$ again, and the mean of its square is not $(y')^2$.
pub(super) fn second_derivative_of_estimate<'t, F: Real>(adjoint: Var<'t, F>) -> Option<Var<'t, F>> {
    let message = "expected first derivatives of a value with an estimated derivative, got a request for the second, \
                   which would multiply an estimate with itself and be biased; record the value without the estimate \
                   for higher derivatives"
        .into();
    let at = adjoint.location().unwrap_or(Location::caller());
    Some(adjoint.tape.fail(TapeError::Other { message, at }))
}
