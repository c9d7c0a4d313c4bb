//! Reductions and functions along event axes.

use crate::error::TapeError;
use crate::op::{Axes, Op};
use crate::var::Var;
use std::panic::Location;
use stochgrad_tensor::Real;
use stochgrad_tensor::reduce::Reduce;

/// Reductions and functions along event axes.
impl<'t, F: Real> Var<'t, F> {
    fn axes_all(self) -> Axes {
        (0..self.shape().len()).collect()
    }

    /// The position of an event axis, counted from the left; `None` if there is no such axis.
    pub(crate) fn event_axis(self, axis: isize) -> Option<usize> {
        let rank = self.shape().len();
        let at = if axis < 0 { rank.checked_sub(axis.unsigned_abs())? } else { axis.unsigned_abs() };
        (at < rank).then_some(at)
    }

    /// Applies an operation along an event axis.
    #[track_caller]
    pub(crate) fn along(self, what: &str, axis: isize, others: &[Self], op: impl FnOnce(usize) -> Op) -> Self {
        match self.event_axis(axis) {
            Some(at) => self.apply_with(op(at), others),
            None => self.no_axis(what, axis),
        }
    }

    /// Records the error for an axis that does not exist.
    #[track_caller]
    pub(crate) fn no_axis(self, what: &str, axis: isize) -> Self {
        let rank = self.shape().len();
        let known = match rank {
            0 => "no axis, since there are no event axes".into(),
            _ => format!("an event axis from 0 to {}, or from -{rank} to -1", rank - 1),
        };
        self.refuse(what, format!("expected {known}, got axis {axis}"))
    }

    /// Records that an operation cannot take this operand.
    #[track_caller]
    pub(crate) fn refuse(self, what: &str, problem: String) -> Self {
        if self.is_poisoned() {
            return self;
        }
        self.tape.fail(TapeError::Operand {
            op: what.into(),
            problem,
            shape: self.shape(),
            plates: self.plates_in_words(),
            at: Location::caller(),
        })
    }

    /// The sum over all event axes.
    #[track_caller]
    pub fn sum(self) -> Self {
        self.apply(Op::Reduce(Reduce::Sum, self.axes_all()))
    }

    /// The sum along one event axis, which it removes.
    #[track_caller]
    pub fn sum_axis(self, axis: isize) -> Self {
        self.along("sum_axis", axis, &[], |at| Op::Reduce(Reduce::Sum, Axes::from_slice(&[at])))
    }

    /// The sum over the last `count` event axes.
    #[track_caller]
    pub fn sum_last(self, count: usize) -> Self {
        let rank = self.shape().len();
        self.apply(Op::Reduce(Reduce::Sum, (rank.saturating_sub(count)..rank).collect()))
    }

    /// The average over all event axes.
    #[track_caller]
    pub fn mean(self) -> Self {
        let count = self.shape().numel();
        self.sum() * (1.0 / count as f64)
    }

    /// The average along one event axis, which it removes.
    #[track_caller]
    pub fn mean_axis(self, axis: isize) -> Self {
        let Some(at) = self.event_axis(axis) else { return self.no_axis("mean_axis", axis) };
        let count = self.shape()[at];
        self.sum_axis(axis) * (1.0 / count as f64)
    }

    /// The largest element along an event axis, which it removes. The axis must not be empty.
    #[track_caller]
    pub fn max_axis(self, axis: isize) -> Self {
        self.along("max_axis", axis, &[], |at| Op::Reduce(Reduce::Max, Axes::from_slice(&[at])))
    }

    /// The largest of all elements.
    #[track_caller]
    pub fn max(self) -> Self {
        self.apply(Op::Reduce(Reduce::Max, self.axes_all()))
    }

    /// `ln Σ exp(x)` along an event axis, which it removes.
    #[track_caller]
    pub fn logsumexp(self, axis: isize) -> Self {
        self.along("logsumexp", axis, &[], |at| Op::Reduce(Reduce::LogSumExp, Axes::from_slice(&[at])))
    }

    /// Softmax along an event axis.
    #[track_caller]
    pub fn softmax(self, axis: isize) -> Self {
        self.along("softmax", axis, &[], Op::Softmax)
    }

    /// The logarithm of the softmax along an event axis.
    #[track_caller]
    pub fn log_softmax(self, axis: isize) -> Self {
        self.along("log_softmax", axis, &[], Op::LogSoftmax)
    }

    /// The running sum along an event axis.
    #[track_caller]
    pub fn cumsum(self, axis: isize) -> Self {
        self.along("cumsum", axis, &[], |axis| Op::CumulativeSum { axis, reverse: false })
    }

    /// Sums from each position to the end of an event axis, where everything after a position is multiplied by its
    /// factor: $y_i = x_i + a_i\, y_{i+1}$. With factors of γ, these are discounted returns. Values and factors
    /// broadcast.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let returns = tape.constant([1.0, 2.0, 4.0]).discounted_sum(0, tape.constant([0.5; 3]));
    /// assert_eq!(returns.value()?.as_slice(), &[3.0, 4.0, 4.0]);
    /// # Ok::<(), stochgrad_tape::TapeError>(())
    /// ```
    #[track_caller]
    pub fn discounted_sum(self, axis: isize, factors: Self) -> Self {
        factors.along("discounted_sum", axis, &[self], |axis| Op::LinearRecurrence { axis, reverse: true })
    }

    /// Draws categories by inversion. The last event axis of this value holds the probabilities of the categories, or
    /// positive multiples of them. `uniforms` holds a uniform value for each draw, and has the shape of the result; a
    /// negative one is the distance to 1, as in folded noise.
    #[track_caller]
    pub fn categories(self, uniforms: Self) -> Self {
        self.apply_with(Op::Categories, &[uniforms])
    }

    /// The position of the largest element along an event axis, which it removes.
    #[track_caller]
    pub fn argmax(self, axis: isize) -> Self {
        self.along("argmax", axis, &[], Op::Argmax)
    }
}
