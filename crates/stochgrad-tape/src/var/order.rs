//! Smallest elements, and the order of the elements along an event axis.

use crate::op::{Axes, Op};
use crate::var::Var;
use stochgrad_tensor::Real;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::sort::Order;

/// The smallest elements, and elements in order.
///
/// In all orders, NaN counts as larger than +∞, −0 equals 0, and of equal elements the one at the first position comes
/// first. Sorted values have kinks where elements are equal; their derivative moves each adjoint to the position that
/// the element came from. Positions have no derivative.
impl<'t, F: Real> Var<'t, F> {
    /// The smallest element along an event axis, which it removes. The axis must not be empty. Elements that are equally
    /// small share the derivative.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter([[3.0, 1.0], [2.0, 2.0]]);
    /// assert_eq!(x.min_axis(1).peek()?.to_vec(), [1.0, 2.0]);
    /// let [slope] = tape.backward(x.min_axis(1).sum(), [x])?;
    /// assert_eq!(slope.to_vec(), [0.0, 1.0, 0.5, 0.5]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn min_axis(self, axis: isize) -> Self {
        self.along("min_axis", axis, &[], |at| Op::Reduce(Reduce::Min, Axes::from_slice(&[at])))
    }

    /// The smallest of all elements. See [`min_axis`](Self::min_axis).
    #[track_caller]
    pub fn min(self) -> Self {
        self.apply(Op::Reduce(Reduce::Min, (0..self.shape().len()).collect()))
    }

    /// The position of the smallest element along an event axis, which it removes. It is the first of equal elements;
    /// NaN is an error, as for [`argmax`](Self::argmax).
    #[track_caller]
    pub fn argmin(self, axis: isize) -> Self {
        match self.event_axis(axis) {
            Some(at) => (-self).apply(Op::Argmax(at)),
            None => self.no_axis("argmin", axis),
        }
    }

    /// The elements along an event axis in order, and the positions that they come from.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::sort::Order;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter([2.0, 3.0, 1.0]);
    /// let (values, positions) = x.sort(0, Order::Descending);
    /// assert_eq!(values.peek()?.to_vec(), [3.0, 2.0, 1.0]);
    /// assert_eq!(positions.peek()?.to_vec(), [1.0, 0.0, 2.0]);
    /// let [slope] = tape.backward((values * tape.constant([1.0, 10.0, 100.0])).sum(), [x])?;
    /// assert_eq!(slope.to_vec(), [10.0, 1.0, 100.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn sort(self, axis: isize, order: Order) -> (Self, Self) {
        match self.event_axis(axis) {
            Some(at) => self.first_in_order(at, order, self.shape()[at]),
            None => {
                let failed = self.no_axis("sort", axis);
                (failed, failed)
            }
        }
    }

    /// The positions that bring the elements along an event axis into order.
    #[track_caller]
    pub fn argsort(self, axis: isize, order: Order) -> Self {
        let Some(at) = self.event_axis(axis) else { return self.no_axis("argsort", axis) };
        self.apply(Op::Argsort { axis: at, order, count: self.shape()[at] })
    }

    /// The `count` largest elements along an event axis, from the largest on, and their positions. For the smallest
    /// elements, take the largest of the negated value. A `count` above the size of the axis is recorded as an error.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let (values, positions) = tape.constant([2.0, 5.0, 1.0, 5.0]).topk(0, 3);
    /// assert_eq!(values.peek()?.to_vec(), [5.0, 5.0, 2.0]);
    /// assert_eq!(positions.peek()?.to_vec(), [1.0, 3.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn topk(self, axis: isize, count: usize) -> (Self, Self) {
        match self.event_axis(axis) {
            Some(at) => self.first_in_order(at, Order::Descending, count),
            None => {
                let failed = self.no_axis("topk", axis);
                (failed, failed)
            }
        }
    }

    #[track_caller]
    fn first_in_order(self, axis: usize, order: Order, count: usize) -> (Self, Self) {
        let positions = self.apply(Op::Argsort { axis, order, count });
        (self.apply_with(Op::Ordered(axis), &[positions]), positions)
    }
}
