//! Values that differ from their operands in their derivatives only.

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

    /// The same value as a draw from a distribution: unlike [`stop_gradient`](Self::stop_gradient), which hides a
    /// dependence, this says that the distribution's gradient method accounts for it.
    #[track_caller]
    pub fn drawn(self) -> Self {
        self.apply(Op::Detach(DetachReason::Sampled))
    }

    /// The same value, through which no gradient flows. [`stop_gradient`](Self::stop_gradient) hides a dependence, so
    /// that sample-path derivatives along it are refused; this is for those who account for what is missing: objectives
    /// whose gradients have other terms in its place, or that say what they leave out.
    #[track_caller]
    pub fn held(self) -> Self {
        self.apply(Op::Detach(DetachReason::Detached))
    }

    /// `exp(l − stop(l))`: one, with the derivative of `l`. Multiplying a cost with the box of the log-probability of
    /// its samples makes every derivative of the product an estimate of the derivative of the expectation.
    #[track_caller]
    pub fn magic_box(self) -> Self {
        self.apply(Op::MagicBox)
    }

    /// `w / stop(w)`: one, with the derivatives of `w` relative to its value, at every order. It is the new weight of a
    /// particle that was drawn in proportion to its weight `w`: an average with the new weights estimates the
    /// derivatives of the average with the old ones. Given the logarithm of a weight, [`magic_box`](Self::magic_box) is
    /// the same.
    ///
    /// [`stop_gradient`](Self::stop_gradient) in the denominator hides a dependence, and is refused on the path of a
    /// sample. Here nothing is missing, *as long as the selection of the particles is what the weight accounts for*:
    /// the value that was selected must depend on `w` through the probability of the selection only. A weight of zero
    /// is never selected, and gives NaN.
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
