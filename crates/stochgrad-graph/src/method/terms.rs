//! What a gradient method contributes to the surrogate besides its gradient function.

use std::sync::Arc;
use stochgrad_tape::{Plates, Var};
use stochgrad_tensor::{Real, Tensor};

/// A scalar of value zero whose derivative is part of the gradient.
#[derive(Clone, Debug)]
pub struct GradientTerm<'t, F: Real> {
    /// The scalar, one for each combination of members of the node's plates.
    pub value: Var<'t, F>,
    /// Plates whose members are summed and not averaged, because the cost saw them jointly.
    pub summed: Plates,
}

/// What is done with some values once the step is over.
pub type Apply<F> = Arc<dyn Fn(&[Tensor<F>]) + Send + Sync>;

/// A change of a method's state, made when the user calls [`Gradients::advance`](crate::Gradients::advance). A compiled
/// graph makes it after each of its runs, so all that varies must come in by the inputs.
pub struct Update<'t, F: Real> {
    /// The values that the change is made of.
    pub inputs: Vec<Var<'t, F>>,
    /// Receives their values.
    pub apply: Apply<F>,
}

/// A loss for the parameters of the method itself; never mixed into the model's gradient.
pub struct AuxiliaryLoss<'t, F: Real> {
    /// One number.
    pub loss: Var<'t, F>,
    /// The method's own parameters.
    pub parameters: Vec<Var<'t, F>>,
    /// Receives the gradients when the user calls [`Gradients::advance`](crate::Gradients::advance).
    pub apply: Apply<F>,
}

/// What a method contributes besides its gradient function.
pub struct Terms<'t, F: Real> {
    /// Control variates: value zero, mean zero.
    pub control_variates: Vec<Var<'t, F>>,
    /// Gradient terms; order 1.
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
