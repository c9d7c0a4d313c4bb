//! The contributions of a gradient method to the surrogate besides its gradient function.

use std::sync::Arc;
use stochgrad_tape::{Plates, Var};
use stochgrad_tensor::{Real, Tensor};

/// A scalar of value zero whose derivative is part of the gradient: for estimates that are computed otherwise, by
/// replays for example.
#[derive(Clone, Debug)]
pub struct GradientTerm<'t, F: Real> {
    /// The scalar, for each combination of members of the node's plates.
    pub value: Var<'t, F>,
    /// Plates whose members are summed and not averaged, because the cost depends on them jointly.
    pub summed: Plates,
}

/// A function that is applied to the values of some recorded variables after the step.
pub type Apply<F> = Arc<dyn Fn(&[Tensor<F>]) + Send + Sync>;

/// A change of a method's state, made when the user calls [`Gradients::advance`](crate::Gradients::advance). A compiled
/// graph repeats it for each of its runs, so everything that varies must be among the inputs.
pub struct Update<'t, F: Real> {
    /// The recorded values from which the new state is computed.
    pub inputs: Vec<Var<'t, F>>,
    /// Called with the values of the inputs.
    pub apply: Apply<F>,
}

/// A loss for the parameters of the method itself. It does not affect the gradient of the model.
pub struct AuxiliaryLoss<'t, F: Real> {
    /// The loss: a scalar without plates.
    pub loss: Var<'t, F>,
    /// The method's own parameters.
    pub parameters: Vec<Var<'t, F>>,
    /// Called with the gradients when the user calls [`Gradients::advance`](crate::Gradients::advance).
    pub apply: Apply<F>,
}

/// The contributions of a method besides its gradient function. All are empty by default.
pub struct Terms<'t, F: Real> {
    /// Control variates, of value zero and mean zero.
    pub control_variates: Vec<Var<'t, F>>,
    /// Gradient terms, which are valid to order 1.
    pub gradient_terms: Vec<GradientTerm<'t, F>>,
    /// Losses for the method's own parameters.
    pub auxiliary: Vec<AuxiliaryLoss<'t, F>>,
    /// Changes of the method's state, made when the user calls [`Gradients::advance`](crate::Gradients::advance).
    pub updates: Vec<Update<'t, F>>,
}

impl<F: Real> Default for Terms<'_, F> {
    fn default() -> Self {
        Terms { control_variates: Vec::new(), gradient_terms: Vec::new(), auxiliary: Vec::new(), updates: Vec::new() }
    }
}
