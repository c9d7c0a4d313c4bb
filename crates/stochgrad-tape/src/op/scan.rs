//! Products and linear recurrences along an event axis, with their derivative rules.
//!
//! The recurrence $y_i = a_i y_{i-1} + b_i$ is closed under differentiation. With $\bar y$ the adjoint of its result,
//!
//! $$\bar b_i = \bar y_i + a_{i+1} \bar b_{i+1}, \qquad \bar a_i = \bar b_i\, y_{i-1},$$
//!
//! so the adjoint of the terms is a recurrence in the other direction. Products of all elements before another one are
//! recurrences without terms, and need no division. Derivatives of products are therefore right where elements are 0.

use crate::adjoint::Adjoints;
use crate::node::Node;
use crate::op::broadcast::{full, unbroadcast};
use crate::op::fault::Fault;
use crate::op::{Axes, Op};
use crate::plate::Plates;
use crate::tape::Inner;
use crate::var::Var;
use smallvec::smallvec;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::{Pool, Real, Shape, Tensor, reduce};

impl<F: Real> Inner<F> {
    pub(crate) fn linear_recurrence(
        &self,
        pool: &Pool<F>,
        operands: [&Node<F>; 2],
        axis: usize,
        reverse: bool,
    ) -> Result<(Tensor<F>, Plates), Fault> {
        let event = self.broadcast(&operands)?;
        if axis >= event.len() {
            let problem = format!("expected an event axis below {}, got axis {axis}", event.len());
            return Err(self.operand(operands[1], problem));
        }
        let aligned = self.align(&operands);
        let whole = self.full_shape(&aligned.plates, &event);
        let at = axis + aligned.plates.len();
        let [coefficients, terms] = [0, 1].map(|operand| reduce::expand(pool, &aligned.values[operand], &whole));
        let value = reduce::linear_recurrence(pool, &coefficients, &terms, at, reverse);
        [coefficients, terms].into_iter().for_each(|operand| pool.recycle(operand));
        Ok((value, aligned.plates))
    }
}

/// The elements moved by one position along an event axis, to the right or to the left, with 0 where none moves to.
fn moved<F: Real>(x: Var<'_, F>, axis: usize, right: bool) -> Var<'_, F> {
    let size = x.shape()[axis];
    let Some(len) = size.checked_sub(1) else { return x };
    let start = usize::from(!right);
    x.apply(Op::Slice { axis, start, len }).apply(Op::PadInto { axis, start: 1 - start, full: size })
}

/// The adjoints of the coefficients and the terms of a recurrence.
pub(crate) fn recurrence_rule<'t, F: Real>(
    [coefficients, terms]: [Var<'t, F>; 2],
    output: Var<'t, F>,
    g: Var<'t, F>,
    axis: usize,
    reverse: bool,
    wanted: &[bool],
) -> Adjoints<'t, F> {
    let (plates, event) = (output.plates(), output.shape());
    let back = Op::LinearRecurrence { axis, reverse: !reverse };
    let by_terms = moved(full(coefficients, output), axis, reverse).apply_with(back, &[g]);
    let by_coefficients = || by_terms * moved(output, axis, !reverse);
    smallvec![
        wanted[0].then(|| unbroadcast(by_coefficients(), &plates, &event, coefficients)),
        wanted[1].then(|| unbroadcast(by_terms, &plates, &event, terms))
    ]
}

/// For each element, the product of all elements before it along an event axis, or of all after it with `reverse`.
fn exclusive_product<F: Real>(x: Var<'_, F>, axis: usize, reverse: bool) -> Var<'_, F> {
    let event = x.shape();
    let size = event[axis];
    if size == 0 {
        return x;
    }
    let along: Shape = (axis..event.len()).map(|at| if at == axis { size } else { 1 }).collect();
    let first = if reverse { size - 1 } else { 0 };
    let start = x.tape.constant(Tensor::from_fn(along, |at| if at == first { F::ONE } else { F::ZERO }));
    moved(x, axis, !reverse).apply_with(Op::LinearRecurrence { axis, reverse }, &[start])
}

/// For each element, the product of all others along some event axes.
pub(crate) fn product_of_others<'t, F: Real>(x: Var<'t, F>, axes: &Axes) -> Var<'t, F> {
    let event = x.shape();
    let order: Axes = (0..event.len()).filter(|axis| !axes.contains(axis)).chain(axes.iter().copied()).collect();
    let in_order = order.windows(2).all(|pair| pair[0] < pair[1]);
    let sorted: Shape = order.iter().map(|&axis| event[axis]).collect();
    let kept = event.len() - axes.len();
    let rows: Shape = sorted[..kept].iter().copied().chain([sorted[kept..].iter().product()]).collect();
    let last = if in_order { x } else { x.apply(Op::Transpose(order.clone())) };
    let last = last.reshape(rows);
    let others = exclusive_product(last, kept, false) * exclusive_product(last, kept, true);
    let others = others.reshape(sorted);
    if in_order {
        return others;
    }
    let mut inverse: Axes = order.clone();
    order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
    others.apply(Op::Transpose(inverse))
}

/// The adjoint of $x$ for $y_i = \ln \sum_{j \le i} e^{x_j}$:
///
/// $$\bar x_j = e^{x_j - y_j} s_j, \qquad s_j = \bar y_j + e^{y_j - y_{j+1}} s_{j+1}.$$
///
/// No exponent is positive. Where y is −∞, the bound makes the weights 0 instead of NaN.
pub(crate) fn log_cumulative_sum_exp_rule<'t, F: Real>(
    x: Var<'t, F>,
    output: Var<'t, F>,
    g: Var<'t, F>,
    axis: usize,
) -> Var<'t, F> {
    let size = x.shape()[axis];
    let Some(len) = size.checked_sub(1) else { return g };
    let bounded = output.map(Map::MaxScalar(-1e30));
    let [here, next] = [(output, 0), (bounded, 1)].map(|(y, start)| y.apply(Op::Slice { axis, start, len }));
    let kept = (here - next).exp().apply(Op::PadInto { axis, start: 0, full: size });
    let summed = kept.apply_with(Op::LinearRecurrence { axis, reverse: true }, &[g]);
    (x - bounded).exp() * summed
}

impl<'t, F: Real> Var<'t, F> {
    /// The product of all elements.
    ///
    /// $$y = \prod_j x_j, \qquad \frac{\partial y}{\partial x_i} = \prod_{j \ne i} x_j.$$
    ///
    /// The derivatives are computed from products of the elements before and after each one, without division, so that
    /// they are right where elements are 0. Without event axes, the result is the value itself.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter([2.0, 0.0, 5.0]);
    /// let [slope] = tape.backward(x.prod(), [x])?;
    /// assert_eq!(slope.to_vec(), [0.0, 10.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn prod(self) -> Self {
        self.apply(Op::Reduce(reduce::Reduce::Product, (0..self.shape().len()).collect()))
    }

    /// The product along one event axis, which it removes; 1 if the axis is empty. See [`prod`](Self::prod).
    #[track_caller]
    pub fn prod_axis(self, axis: isize) -> Self {
        self.along("prod_axis", axis, &[], |at| Op::Reduce(reduce::Reduce::Product, Axes::from_slice(&[at])))
    }

    /// The running product along an event axis,
    ///
    /// $$y_i = \prod_{j \le i} x_j,$$
    ///
    /// with derivatives that are right where elements are 0.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter([2.0, 0.0, 5.0]);
    /// assert_eq!(x.cumprod(0).peek()?.to_vec(), [2.0, 0.0, 0.0]);
    /// let [slope] = tape.backward(x.cumprod(0).sum(), [x])?;
    /// assert_eq!(slope.to_vec(), [1.0, 2.0 + 2.0 * 5.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn cumprod(self, axis: isize) -> Self {
        let Some(axis) = self.event_axis(axis) else { return self.no_axis("cumprod", axis) };
        let size = self.shape()[axis];
        if size == 0 {
            return self;
        }
        let first = self.apply(Op::Slice { axis, start: 0, len: 1 });
        let first = first.apply(Op::PadInto { axis, start: 0, full: size });
        self.apply_with(Op::LinearRecurrence { axis, reverse: false }, &[first])
    }

    /// The logarithm of the running sum of exponentials along an event axis, without overflow,
    ///
    /// $$y_i = \ln \sum_{j \le i} e^{x_j}.$$
    ///
    /// As for [`logsumexp`](Self::logsumexp), elements that are −∞ add nothing and have the derivative 0, and the
    /// result is −∞ as long as all elements are.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.constant([f64::NEG_INFINITY, 1000.0, 1000.0]);
    /// let expected = [f64::NEG_INFINITY, 1000.0, 1000.0 + 2.0_f64.ln()];
    /// assert_eq!(x.logcumsumexp(0).peek()?.to_vec(), expected);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn logcumsumexp(self, axis: isize) -> Self {
        self.along("logcumsumexp", axis, &[], Op::LogCumulativeSumExp)
    }
}
