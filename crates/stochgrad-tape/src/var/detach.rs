//! Operations that change derivatives only.

use crate::op::{DetachReason, Op};
use crate::var::Var;
use stochgrad_tensor::Real;

/// Control of derivatives.
impl<'t, F: Real> Var<'t, F> {
    /// The same value, through which no gradient flows.
    #[track_caller]
    pub fn stop_gradient(self) -> Self {
        self.apply(Op::Detach(DetachReason::Stopped))
    }

    /// The same value without a gradient, marked as a sample of a distribution. Unlike
    /// [`stop_gradient`](Self::stop_gradient), which hides a dependence, this states that the gradient method of the
    /// distribution accounts for it.
    #[track_caller]
    pub fn drawn(self) -> Self {
        self.apply(Op::Detach(DetachReason::Sampled))
    }

    /// The same value without a gradient, for callers that account for the missing derivative: objectives whose
    /// gradients have another term in its place, or whose documentation states that it is left out. After
    /// [`stop_gradient`](Self::stop_gradient), by contrast, sample-path derivatives are an error, since a dependence
    /// may be hidden.
    #[track_caller]
    pub fn held(self) -> Self {
        self.apply(Op::Detach(DetachReason::Detached))
    }

    /// `exp(l − stop(l))`: the value 1 with the derivative of `l`. If a cost is multiplied by the magic box of the
    /// log-probability of its samples, every derivative of the product estimates the derivative of the expectation.
    #[track_caller]
    pub fn magic_box(self) -> Self {
        self.apply(Op::MagicBox)
    }

    /// `w / stop(w)`: the value 1 with the derivatives of `w` relative to its value, at every order. Use it as the new
    /// weight of a particle that was drawn with probability proportional to its weight `w`: an average with the new
    /// weights then estimates the derivatives of the average with the old ones. If the logarithm of a weight is given,
    /// [`magic_box`](Self::magic_box) of the logarithm is the same.
    ///
    /// A [`stop_gradient`](Self::stop_gradient) in the denominator would hide a dependence, and would be an error on a
    /// sample path. Here no dependence is missing, *as long as the weight accounts for the selection of the particles*:
    /// the value that was selected must depend on `w` only through the probability of the selection. A weight of 0 is
    /// never selected, and gives NaN.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let weight = tape.parameter(0.25);
    /// let new = weight.weight_after_selection();
    /// assert_eq!(new.item()?, 1.0);
    /// let [slope] = tape.backward(new * 3.0, [weight])?;
    /// assert_eq!(slope.item(), Ok(3.0 / 0.25));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn weight_after_selection(self) -> Self {
        self / self.held()
    }

    /// This value with the derivative of `soft`, which has the same event shape.
    #[track_caller]
    pub fn straight_through(self, soft: Self) -> Self {
        self.apply_with(Op::StraightThrough, &[soft])
    }
}
