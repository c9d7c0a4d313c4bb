//! Handles to recorded values, and the operations on them.

use crate::error::{TapeError, TapeResult};
use crate::node::{HostRead, Id};
use crate::op::{Axes, DetachReason, Op, PlateReduction};
use crate::plate::{Plate, Plates, Weights, merge};
use crate::sets::SetId;
use crate::tape::IntoTensor;
use crate::tape::Tape;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Shape, Tensor};

/// A small `Copy` handle to a value on a tape.
///
/// A value has plate axes on the left and event axes on the right. Operations on several values align their plates by
/// identity and broadcast their event axes; operations on axes mean event axes, counted from the left, or from the right
/// if negative.
pub struct Var<'t, F: Real> {
    pub(crate) tape: &'t Tape<F>,
    pub(crate) id: Id,
}

impl<F: Real> Clone for Var<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Real> Copy for Var<'_, F> {}

impl<F: Real> std::fmt::Debug for Var<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.peek() {
            Ok(value) => write!(f, "%{} = {value:?}", self.id.0),
            Err(error) => write!(f, "%{} ({error})", self.id.0),
        }
    }
}

macro_rules! maps {
    ($($(#[$doc:meta])* $name:ident => $map:expr;)*) => {
        $($(#[$doc])* #[track_caller] pub fn $name(self) -> Self { self.map($map) })*
    };
}

macro_rules! zips {
    ($($(#[$doc:meta])* $name:ident => $zip:expr;)*) => {
        $($(#[$doc])* #[track_caller] pub fn $name(self, other: Self) -> Self { self.zip($zip, other) })*
    };
}

/// Functions of each element.
impl<'t, F: Real> Var<'t, F> {
    /// Applies a function to each element.
    #[track_caller]
    pub fn map(self, map: Map) -> Self {
        self.apply(Op::Map(map))
    }

    /// Applies a function to pairs of elements.
    #[track_caller]
    pub fn zip(self, zip: Zip, other: Self) -> Self {
        self.apply_with(Op::Zip(zip), &[other])
    }

    maps! {
        /// `exp(x)`.
        exp => Map::Exp;
        /// The natural logarithm.
        ln => Map::Ln;
        /// `ln(1 + x)`, exact for small `x`.
        log1p => Map::Log1p;
        /// `exp(x) − 1`, exact for small `x`.
        expm1 => Map::Expm1;
        /// The square root.
        sqrt => Map::Sqrt;
        /// `x²`.
        square => Map::Square;
        /// `1 / x`.
        recip => Map::Recip;
        /// `|x|`; the derivative at 0 is taken to be 0.
        abs => Map::Abs;
        /// −1, 0 or 1.
        sign => Map::Sign;
        /// The sine.
        sin => Map::Sin;
        /// The cosine.
        cos => Map::Cos;
        /// The hyperbolic tangent.
        tanh => Map::Tanh;
        /// `1 / (1 + exp(−x))`, without overflow.
        sigmoid => Map::Sigmoid;
        /// `ln(1 + exp(x))`, without overflow.
        softplus => Map::Softplus;
        /// `max(x, 0)`.
        relu => Map::Relu;
        /// The error function.
        erf => Map::Erf;
        /// The logarithm of the gamma function.
        lgamma => Map::Lgamma;
        /// The derivative of `lgamma`.
        digamma => Map::Polygamma(0);
        /// The largest integer not above `x`.
        floor => Map::Floor;
        /// The smallest integer not below `x`.
        ceil => Map::Ceil;
        /// The nearest integer.
        round => Map::Round;
        /// 1 where `x > 0`, else 0.
        step => Map::Step;
    }

    zips! {
        /// `xʸ` for `x ≥ 0`.
        pow => Zip::Pow;
        /// The larger of the two. Where they tie, each has half of the derivative.
        maximum => Zip::Maximum;
        /// The smaller of the two. Where they tie, each has half of the derivative.
        minimum => Zip::Minimum;
        /// 1 where the first is greater, else 0.
        gt => Zip::Greater;
        /// 1 where the first is greater or equal, else 0.
        ge => Zip::GreaterEqual;
        /// 1 where the first is less, else 0.
        lt => Zip::Less;
        /// 1 where the first is less or equal, else 0.
        le => Zip::LessEqual;
        /// 1 where both are equal, else 0.
        equal => Zip::Equal;
        /// 1 where both differ, else 0.
        not_equal => Zip::NotEqual;
    }

    /// The `order`-th derivative of `digamma`.
    #[track_caller]
    pub fn polygamma(self, order: u32) -> Self {
        self.map(Map::Polygamma(order))
    }

    /// `x` where it is positive, else `slope · x`.
    #[track_caller]
    pub fn leaky_relu(self, slope: f64) -> Self {
        self.map(Map::LeakyRelu(slope))
    }

    /// `x` to a constant power.
    #[track_caller]
    pub fn powf(self, exponent: f64) -> Self {
        self.map(Map::PowScalar(exponent))
    }

    /// `x` held between two constants.
    #[track_caller]
    pub fn clamp(self, low: f64, high: f64) -> Self {
        self.map(Map::Clamp(low, high))
    }

    /// The logarithm of the sigmoid, without overflow.
    #[track_caller]
    pub fn log_sigmoid(self) -> Self {
        -(-self).softplus()
    }

    /// `yes` where this value is not 0, else `no`.
    #[track_caller]
    pub fn select(self, yes: Self, no: Self) -> Self {
        self.apply_with(Op::Select, &[yes, no])
    }
}

/// Reductions and functions along event axes.
impl<'t, F: Real> Var<'t, F> {
    fn axes_all(self) -> Axes {
        (0..self.shape().len()).collect()
    }

    /// The position of an event axis, counted from the left; `None` if there is no such axis.
    fn event_axis(self, axis: isize) -> Option<usize> {
        let rank = self.shape().len();
        let at = if axis < 0 { rank.checked_sub(axis.unsigned_abs())? } else { axis.unsigned_abs() };
        (at < rank).then_some(at)
    }

    /// Applies an operation along an event axis.
    #[track_caller]
    fn along(self, what: &str, axis: isize, others: &[Self], op: impl FnOnce(usize) -> Op) -> Self {
        match self.event_axis(axis) {
            Some(at) => self.apply_with(op(at), others),
            None => self.no_axis(what, axis),
        }
    }

    /// The error of an axis that there is not.
    #[track_caller]
    fn no_axis(self, what: &str, axis: isize) -> Self {
        let rank = self.shape().len();
        let known = match rank {
            0 => "no axis, since there are no event axes".into(),
            _ => format!("an event axis from 0 to {}, or from -{rank} to -1", rank - 1),
        };
        self.refuse(what, format!("expected {known}, got axis {axis}"))
    }

    /// Records that an operation cannot take this operand.
    #[track_caller]
    fn refuse(self, what: &str, problem: String) -> Self {
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

    /// The largest element along an event axis, which it removes. The axis must have elements.
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

    /// Draws from the categories along the last event axis, whose probabilities (or positive multiples of them) this holds:
    /// by inversion of uniform numbers, one for each draw, whose shape is that of the result.
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

/// Products of matrices, and shapes.
impl<'t, F: Real> Var<'t, F> {
    /// The product of matrices in the last two event axes. A first operand with one event axis is a row vector, a second
    /// one a column vector; the axis is removed again. Leading axes broadcast.
    #[track_caller]
    pub fn matmul(self, other: Self) -> Self {
        let plain = Op::Matmul { transpose_left: false, transpose_right: false };
        if self.is_poisoned() || other.is_poisoned() {
            return self.apply_with(plain, &[other]);
        }
        let (left, right) = (self.shape(), other.shape());
        if right.len() == 1 {
            let column = other.reshape([right[0], 1]);
            let product = self.matmul(column);
            let shape = product.shape();
            return product.reshape(&shape[..shape.len().saturating_sub(1)]);
        }
        if left.len() == 1 && (right.len() > 2 || !other.plates().is_empty()) {
            let product = self.reshape([1, left[0]]).apply_with(plain, &[other]);
            let shape = product.shape();
            let kept: Shape =
                shape.iter().enumerate().filter(|(axis, _)| axis + 2 != shape.len()).map(|(_, &size)| size).collect();
            return product.reshape(kept);
        }
        self.apply_with(plain, &[other])
    }

    /// The same elements in another event shape.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Self {
        self.apply(Op::Reshape(shape.into()))
    }

    /// Event axes in another order.
    #[track_caller]
    pub fn permute(self, order: &[usize]) -> Self {
        self.apply(Op::Transpose(Axes::from_slice(order)))
    }

    /// The last two event axes exchanged.
    #[track_caller]
    pub fn transpose(self) -> Self {
        let rank = self.shape().len();
        let mut order: Axes = (0..rank).collect();
        if rank >= 2 {
            order.swap(rank - 2, rank - 1);
        }
        self.apply(Op::Transpose(order))
    }

    /// A range of positions along an event axis.
    #[track_caller]
    pub fn slice(self, axis: isize, range: std::ops::Range<usize>) -> Self {
        let Some(len) = range.end.checked_sub(range.start) else {
            return self.refuse("slice", format!("expected a range that does not end before it starts, got {range:?}"));
        };
        self.along("slice", axis, &[], |axis| Op::Slice { axis, start: range.start, len })
    }

    /// One position along an event axis, which it removes.
    #[track_caller]
    pub fn index(self, axis: isize, position: usize) -> Self {
        let Some(at) = self.event_axis(axis) else { return self.no_axis("index", axis) };
        let one = self.slice(axis, position..position.saturating_add(1));
        let kept: Shape =
            one.shape().iter().enumerate().filter(|(axis, _)| *axis != at).map(|(_, &size)| size).collect();
        one.reshape(kept)
    }

    /// Chosen positions along an event axis.
    #[track_caller]
    pub fn index_select(self, axis: isize, indices: &[usize]) -> Self {
        self.along("index_select", axis, &[], |at| Op::IndexSelect(at, Arc::from(indices)))
    }

    /// Elements at the whole positions that `index` holds, along an event axis; `index` has the same event rank.
    #[track_caller]
    pub fn gather(self, axis: isize, index: Self) -> Self {
        self.along("gather", axis, &[index], Op::Gather)
    }

    /// A new last axis with a 1 at the position that each element names: whole numbers below `classes`.
    #[track_caller]
    pub fn one_hot(self, classes: usize) -> Self {
        self.apply(Op::OneHot(classes))
    }

    /// A new event axis of size 1 before the given axis.
    #[track_caller]
    pub fn unsqueeze(self, axis: isize) -> Self {
        let shape = self.shape();
        let at = if axis < 0 { (shape.len() + 1).checked_sub(axis.unsigned_abs()) } else { Some(axis.unsigned_abs()) };
        let Some(at) = at.filter(|&at| at <= shape.len()) else {
            let rank = shape.len();
            let problem = format!("expected a place from 0 to {rank}, or from -{} to -1, got axis {axis}", rank + 1);
            return self.refuse("unsqueeze", problem);
        };
        let wide: Shape = shape[..at].iter().chain([&1]).chain(&shape[at..]).copied().collect();
        self.reshape(wide)
    }

    /// Repeated along event axes to the given event shape.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Self {
        self.apply(Op::Expand(Plates::new(), shape.into()))
    }

    /// Repeated along the plates that it lacks.
    #[track_caller]
    pub fn expand_plates(self, plates: &[Plate]) -> Self {
        let mut sorted = Plates::new();
        merge(&mut sorted, plates);
        self.with_plates_checked(plates, Op::Expand(sorted, self.shape()))
    }

    /// Values one after the other along an event axis.
    ///
    /// An empty list is an error, as are shapes that differ elsewhere.
    #[track_caller]
    pub fn concat(vars: &[Self], axis: isize) -> TapeResult<Self> {
        match vars {
            [] => Err(TapeError::Other {
                message: "concat: expected at least one value, got none".into(),
                at: Location::caller(),
            }),
            [first, rest @ ..] => Ok(first.along("concat", axis, rest, Op::Concat)),
        }
    }

    /// Values of one shape along a new first event axis.
    ///
    /// # Errors
    /// For an empty list.
    #[track_caller]
    pub fn stack(vars: &[Self]) -> TapeResult<Self> {
        let mut rows = Vec::with_capacity(vars.len());
        for var in vars {
            rows.push(var.unsqueeze(0));
        }
        Self::concat(&rows, 0)
    }
}

/// Control of derivatives.
impl<'t, F: Real> Var<'t, F> {
    /// The same value, through which no gradient flows.
    #[track_caller]
    pub fn stop_gradient(self) -> Self {
        self.apply(Op::Detach(DetachReason::Stopped))
    }

    /// The same value as a draw from a distribution: unlike [`stop_gradient`](Self::stop_gradient), which hides a dependence, this says that the
    /// distribution's gradient method accounts for it.
    #[track_caller]
    pub fn drawn(self) -> Self {
        self.apply(Op::Detach(DetachReason::Sampled))
    }

    /// The same value, through which no gradient flows. [`stop_gradient`](Self::stop_gradient) hides a dependence, so that sample-path
    /// derivatives along it are refused; this is for those who account for what is missing: objectives whose gradients have other terms
    /// in its place, or that say what they leave out.
    #[track_caller]
    pub fn held(self) -> Self {
        self.apply(Op::Detach(DetachReason::Detached))
    }

    /// `exp(l − stop(l))`: one, with the derivative of `l`. Multiplying a cost with the box of the log-probability of its
    /// samples makes every derivative of the product an estimate of the derivative of the expectation.
    #[track_caller]
    pub fn magic_box(self) -> Self {
        self.apply(Op::MagicBox)
    }

    /// `w / stop(w)`: one, with the derivatives of `w` relative to its value, at every order. It is the new weight of a particle that was drawn in
    /// proportion to its weight `w`: an average with the new weights estimates the derivatives of the average with the old ones. Given the logarithm of
    /// a weight, [`magic_box`](Self::magic_box) is the same.
    ///
    /// [`stop_gradient`](Self::stop_gradient) in the denominator hides a dependence, and is refused on the path of a sample. Here nothing is
    /// missing, *as long as the selection of the particles is what the weight accounts for*: the value that was selected must depend on `w` through the probability of
    /// the selection only. A weight of zero is never selected, and gives NaN.
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

/// Plates.
impl<'t, F: Real> Var<'t, F> {
    #[track_caller]
    fn with_plates_checked(self, plates: &[Plate], op: Op) -> Self {
        match self.tape.own_plates(plates, Location::caller()) {
            Ok(()) => self.apply(op),
            Err(error) => self.tape.fail(error),
        }
    }

    /// The plain sum over the members of a plate.
    #[track_caller]
    pub fn sum_over(self, plate: Plate) -> Self {
        self.with_plates_checked(&[plate], Op::PlateReduce(plate, PlateReduction::Sum))
    }

    /// The average over the members of a plate, by its weights if it was given any: the estimate of an expectation for a
    /// plate of samples. A plate that a graph sums is averaged here all the same.
    #[track_caller]
    pub fn mean_over(self, plate: Plate) -> Self {
        match self.tape.weights(plate) {
            Weights::Given { id, .. } => {
                let weights = Var { tape: self.tape, id };
                self.apply_with(Op::PlateReduce(plate, PlateReduction::Weighted), &[weights])
            }
            _ => self.with_plates_checked(&[plate], Op::PlateReduce(plate, PlateReduction::Mean)),
        }
    }

    /// The sum of the members times the given weights. A member of weight 0 that is infinite or NaN is taken away: it adds 0 to the sum
    /// and to the derivatives with respect to the member and its weight. The derivative with respect to the weight of any other member is the member.
    #[track_caller]
    pub fn weighted_sum_over(self, plate: Plate, weights: Self) -> Self {
        if let Err(error) = self.tape.own_plates(&[plate], Location::caller()) {
            return self.tape.fail(error);
        }
        self.apply_with(Op::PlateReduce(plate, PlateReduction::Weighted), &[weights])
    }

    /// The logarithm of the average of the exponentials over the members of a plate, by its weights. A member of weight 0 that is infinite or
    /// NaN is taken away, as in [`weighted_sum_over`](Self::weighted_sum_over).
    #[track_caller]
    pub fn log_mean_exp_over(self, plate: Plate) -> Self {
        let log_sum = Op::PlateReduce(plate, PlateReduction::LogSumExp);
        let Weights::Given { id, differentiable } = self.tape.weights(plate) else {
            let size = self.tape.plate_size(plate) as f64;
            return self.with_plates_checked(&[plate], log_sum) - size.ln();
        };
        let weights = Var { tape: self.tape, id };
        let log_average = (self.zip(Zip::Hold, weights) + weights.ln()).apply(log_sum);
        if !differentiable {
            return log_average;
        }
        // The derivative of ln w is infinite at 0, where that of the average is not: the exponentials are taken relative to the average.
        let level = log_average.map(Map::MaxScalar(-1e30)).held();
        (self - level).exp().weighted_sum_over(plate, weights).ln() + level
    }

    /// One member of a plate.
    #[track_caller]
    pub fn member(self, plate: Plate, index: usize) -> Self {
        self.with_plates_checked(&[plate], Op::PlateMember(plate, index))
    }

    /// A plate axis as first event axis.
    #[track_caller]
    pub fn plate_to_event(self, plate: Plate) -> Self {
        self.with_plates_checked(&[plate], Op::PlateToEvent(plate))
    }

    /// The first event axis as the axis of a plate of the same size.
    #[track_caller]
    pub fn event_to_plate(self, plate: Plate) -> Self {
        self.with_plates_checked(&[plate], Op::EventToPlate(plate))
    }
}

/// What is recorded.
impl<'t, F: Real> Var<'t, F> {
    /// The tape.
    pub fn tape(self) -> &'t Tape<F> {
        self.tape
    }

    /// The position on the tape.
    pub fn id(self) -> Id {
        self.id
    }

    pub(crate) fn is_poisoned(self) -> bool {
        self.id == Id::POISON
    }

    /// The event shape; empty for a poisoned variable.
    pub fn shape(self) -> Shape {
        let inner = self.tape.inner.borrow();
        inner.nodes.get(self.id.index()).map(|node| node.event()).unwrap_or_default()
    }

    /// The plates that the value carries.
    pub fn plates(self) -> Plates {
        let inner = self.tape.inner.borrow();
        inner.nodes.get(self.id.index()).map(|node| node.plates.clone()).unwrap_or_default()
    }

    /// The operation; `None` for a poisoned variable.
    pub fn op(self) -> Option<Op> {
        self.tape.inner.borrow().nodes.get(self.id.index()).map(|node| node.op.clone())
    }

    /// The operands.
    pub fn inputs(self) -> Vec<Self> {
        let inner = self.tape.inner.borrow();
        let ids = inner.nodes.get(self.id.index()).map(|node| node.inputs.clone()).unwrap_or_default();
        ids.iter().map(|&id| Var { tape: self.tape, id }).collect()
    }

    /// The stochastic sites that the value descends from.
    pub fn ancestors(self) -> SetId {
        self.tape.inner.borrow().nodes.get(self.id.index()).map_or(SetId::EMPTY, |node| node.ancestors)
    }

    /// The place in the source that recorded it.
    pub fn location(self) -> Option<&'static Location<'static>> {
        self.tape.inner.borrow().nodes.get(self.id.index()).map(|node| node.location)
    }

    /// The value, plate axes first. Whatever is recorded after this may have been decided by the value: it becomes a
    /// descendant of the value's stochastic ancestors. Use [`Var::peek`] to look without that consequence.
    ///
    /// # Errors
    /// The first error recorded on the tape.
    #[track_caller]
    pub fn value(self) -> TapeResult<Tensor<F>> {
        let value = self.peek()?;
        let inner = &mut *self.tape.inner.borrow_mut();
        let ancestors = inner.nodes[self.id.index()].ancestors;
        if ancestors != SetId::EMPTY {
            inner.control = inner.sets.union(inner.control, ancestors);
            inner.branches.push(HostRead {
                id: self.id,
                recorded_before: inner.nodes.len(),
                location: Location::caller(),
            });
        }
        Ok(value)
    }

    /// The value as one number, with the consequence of [`Var::value`].
    ///
    /// # Errors
    /// The first error recorded on the tape, or if the value is not one number.
    #[track_caller]
    pub fn item(self) -> TapeResult<F> {
        let at = Location::caller();
        let value = self.value()?;
        value.item().map_err(|_| TapeError::NotScalar {
            what: "item()",
            shape: self.shape(),
            plates: self.plates_in_words(),
            at,
        })
    }

    /// The value, plate axes first, for a log line or a drawing: what is recorded afterwards must not depend on it by more
    /// than its noise. A recording that goes on after a look cannot be compiled, since nobody knows what was done with it.
    ///
    /// # Errors
    /// The first error recorded on the tape.
    #[track_caller]
    pub fn peek(self) -> TapeResult<Tensor<F>> {
        let value = self.inspect()?;
        self.tape.note_peek(self.id, Location::caller());
        Ok(value)
    }

    /// The value, plate axes first, for a check whose only outcome is an error: nothing else may be made of it, unless
    /// [`Primitive::holds`](crate::Primitive::holds) checks it again in each run of a program.
    ///
    /// # Errors
    /// The first error recorded on the tape.
    #[track_caller]
    pub fn inspect(self) -> TapeResult<Tensor<F>> {
        self.tape.check()?;
        let inner = self.tape.inner.borrow();
        match inner.nodes.get(self.id.index()) {
            Some(node) => Ok(node.value.clone()),
            None => Err(TapeError::Foreign { what: "a variable".into(), at: Location::caller() }),
        }
    }

    pub(crate) fn plates_in_words(self) -> String {
        let plates = self.plates();
        if plates.is_empty() { String::new() } else { format!(", plates {}", self.tape.plate_names(&plates)) }
    }

    #[track_caller]
    pub(crate) fn apply(self, op: Op) -> Self {
        Var { tape: self.tape, id: self.tape.apply(op, &[self.id], Location::caller()) }
    }

    #[track_caller]
    pub(crate) fn apply_with(self, op: Op, others: &[Self]) -> Self {
        let location = Location::caller();
        let mut inputs = crate::node::Inputs::new();
        inputs.push(self.id);
        for other in others {
            if !std::ptr::eq(self.tape, other.tape) {
                return self.tape.fail(TapeError::Foreign { what: "a variable".into(), at: location });
            }
            inputs.push(other.id);
        }
        Var { tape: self.tape, id: self.tape.apply(op, &inputs, location) }
    }
}

/// What can stand where a variable is expected: a variable, or a value that becomes a constant on the given tape.
pub trait IntoVar<'t, F: Real> {
    /// The variable.
    fn into_var(self, tape: &'t Tape<F>) -> Var<'t, F>;
}

impl<'t, F: Real> IntoVar<'t, F> for Var<'t, F> {
    fn into_var(self, _tape: &'t Tape<F>) -> Var<'t, F> {
        self
    }
}

impl<'t, F: Real> IntoVar<'t, F> for f64 {
    #[track_caller]
    fn into_var(self, tape: &'t Tape<F>) -> Var<'t, F> {
        tape.constant(IntoTensor::<F>::into_tensor(self))
    }
}
