//! The contributions of a gradient method to the surrogate besides its gradient function.

use stochgrad_tape::{Plates, Slot, Var};
use stochgrad_tensor::Real;

/// A scalar of value zero whose derivative is part of the gradient: for estimates that are computed otherwise, by
/// replays for example.
#[derive(Clone, Debug)]
pub struct GradientTerm<'t, F: Real> {
    /// The scalar, for each combination of members of the node's plates.
    pub value: Var<'t, F>,
    /// Plates whose members are summed and not averaged, because the cost depends on them jointly.
    pub summed: Plates,
}

/// The next value of a slot, which it gets when the user calls [`Gradients::advance`](crate::Gradients::advance).
///
/// All slots are read as they were at the start of the step, in whatever order the nodes write them.
#[derive(Clone, Debug)]
pub struct Update<'t, F: Real> {
    /// The slot.
    pub slot: Slot,
    /// The value, of the shape of the slot and without plates.
    pub value: Var<'t, F>,
    /// Whether several nodes may write the slot, since all of them write the same value: the step of a schedule, for
    /// example. Otherwise, a second update of a slot is an error.
    pub is_shared: bool,
}

impl<'t, F: Real> Update<'t, F> {
    /// The next value of a slot that only one node writes.
    pub fn new(slot: &Slot, value: Var<'t, F>) -> Self {
        Update { slot: slot.clone(), value, is_shared: false }
    }
}

/// Records the updates for the gradients with respect to the method's own parameters.
pub type LearningRule<'t, F> = Box<dyn Fn(&[Var<'t, F>]) -> Vec<Update<'t, F>> + 't>;

/// A loss for the parameters of the method itself. It does not affect the gradient of the model.
pub struct AuxiliaryLoss<'t, F: Real> {
    /// The loss: a scalar without plates.
    pub loss: Var<'t, F>,
    /// The method's own parameters.
    pub parameters: Vec<Var<'t, F>>,
    /// Records the updates of the slots of these parameters. It is called once, with the gradients of the loss in the
    /// order of the parameters, when the step is recorded or compiled.
    pub rule: LearningRule<'t, F>,
}

/// The contributions of a method besides its gradient function. All are empty by default.
pub struct Terms<'t, F: Real> {
    /// Control variates, of value zero and mean zero.
    pub control_variates: Vec<Var<'t, F>>,
    /// Gradient terms. They are valid to order 1, unless the method records them as functions of the parameters.
    pub gradient_terms: Vec<GradientTerm<'t, F>>,
    /// Losses for the method's own parameters.
    pub auxiliary: Vec<AuxiliaryLoss<'t, F>>,
    /// The next values of the method's slots.
    pub updates: Vec<Update<'t, F>>,
}

impl<F: Real> Default for Terms<'_, F> {
    fn default() -> Self {
        Terms { control_variates: Vec::new(), gradient_terms: Vec::new(), auxiliary: Vec::new(), updates: Vec::new() }
    }
}
