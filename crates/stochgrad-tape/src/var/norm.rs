//! Norms over event axes.

use crate::op::broadcast::restored;
use crate::op::{Axes, Op};
use crate::var::Var;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::{Real, Shape};

/// Norms. Where all elements are 0, the derivatives of every order are taken to be 0.
impl<'t, F: Real> Var<'t, F> {
    /// The Euclidean norm of all elements,
    ///
    /// $$\lVert x \rVert = \sqrt{\sum_i x_i^2}.$$
    ///
    /// Neither large nor small elements overflow or underflow when they are squared. The norm has a kink at 0.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// assert_eq!(tape.constant([3.0, 4.0]).norm().item()?, 5.0);
    /// let x = tape.parameter([[0.0, -2.0], [0.0, 0.0]]);
    /// let [slope] = tape.backward(x.norm_axis(1).sum(), [x])?;
    /// assert_eq!(slope.to_vec(), [0.0, -1.0, 0.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn norm(self) -> Self {
        self.norm_over(2.0, (0..self.shape().len()).collect())
    }

    /// The Euclidean norm along one event axis, which it removes. See [`norm`](Self::norm).
    #[track_caller]
    pub fn norm_axis(self, axis: isize) -> Self {
        match self.event_axis(axis) {
            Some(at) => self.norm_over(2.0, Axes::from_slice(&[at])),
            None => self.no_axis("norm_axis", axis),
        }
    }

    /// The norm of order p ≥ 1 along one event axis, which it removes,
    ///
    /// $$\lVert x \rVert_p = \Bigl(\sum_i |x_i|^p\Bigr)^{1/p}, \qquad \lVert x \rVert_\infty = \max_i |x_i|.$$
    ///
    /// Elements that attain the maximum share its derivative. For an order that is not an integer, the infinite
    /// derivatives of |x|ᵖ at 0 are taken to be 0.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.constant([3.0, -4.0, 0.0]);
    /// assert_eq!(x.norm_of_order(1.0, 0).item()?, 7.0);
    /// assert_eq!(x.norm_of_order(f64::INFINITY, 0).item()?, 4.0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn norm_of_order(self, order: f64, axis: isize) -> Self {
        let Some(at) = self.event_axis(axis) else { return self.no_axis("norm_of_order", axis) };
        if order.is_nan() || order < 1.0 {
            return self.refuse("norm_of_order", format!("expected an order of at least 1, got {order}"));
        }
        self.norm_over(order, Axes::from_slice(&[at]))
    }

    #[track_caller]
    fn norm_over(self, order: f64, axes: Axes) -> Self {
        let event = self.shape();
        let sum = Op::Reduce(Reduce::Sum, axes.clone());
        if order == 1.0 || axes.is_empty() || axes.iter().any(|&axis| event[axis] == 0) {
            return self.abs().apply(sum);
        }
        let largest = self.abs().apply(Op::Reduce(Reduce::Max, axes.clone()));
        if order.is_infinite() {
            return largest;
        }
        // The norm does not depend on the scale, so that the scale needs no derivative.
        let one = self.tape.filled(Shape::scalar(), F::ONE);
        let ordinary = largest.map(Map::Within(F::MIN_POSITIVE.to_f64(), F::MAX.to_f64()));
        let scale = ordinary.select(largest, one).held();
        let scaled = self / scale.reshape(restored(&scale.shape(), &axes));
        let powers = match order {
            2.0 => scaled.square(),
            order if order % 2.0 == 0.0 => scaled.powf(order),
            order if order.fract() == 0.0 => scaled.abs().powf(order),
            order => {
                let size = scaled.abs();
                let is_zero = size.equal(self.tape.filled(Shape::scalar(), F::ZERO)).held();
                (size + is_zero).powf(order) - is_zero
            }
        };
        let total = powers.apply(sum);
        // The root of 1 in place of 0 has a finite slope, and the derivatives of the rectifier are 0 at 0.
        let is_zero = total.equal(self.tape.filled(Shape::scalar(), F::ZERO)).held();
        let total = total + is_zero;
        let root = if order == 2.0 { total.sqrt() } else { total.powf(1.0 / order) };
        (root - is_zero).relu() * scale
    }
}
