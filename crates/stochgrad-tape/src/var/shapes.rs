//! Products of matrices, and changes of shape.

use crate::error::{TapeError, TapeResult};
use crate::op::{Axes, Op};
use crate::plate::{Plate, Plates, merge};
use crate::var::Var;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_tensor::{Real, Shape};

/// Products of matrices, and shapes.
impl<'t, F: Real> Var<'t, F> {
    /// The product of matrices in the last two event axes. A first operand with one event axis is a row vector, a
    /// second one a column vector; the axis is removed again. Leading axes broadcast.
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

    /// The value with its last two event axes exchanged.
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

    /// The elements at the positions given by `index`, along an event axis. `index` has the same event rank, and
    /// contains integers.
    #[track_caller]
    pub fn gather(self, axis: isize, index: Self) -> Self {
        self.along("gather", axis, &[index], Op::Gather)
    }

    /// One-hot vectors along a new last axis. The elements must be integers in `0..classes`.
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
            let problem = format!("expected a position from 0 to {rank}, or from -{} to -1, got axis {axis}", rank + 1);
            return self.refuse("unsqueeze", problem);
        };
        let wide: Shape = shape[..at].iter().chain([&1]).chain(&shape[at..]).copied().collect();
        self.reshape(wide)
    }

    /// The value repeated along event axes to the given event shape.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Self {
        self.apply(Op::Expand(Plates::new(), shape.into()))
    }

    /// The value repeated along the plates that it lacks.
    #[track_caller]
    pub fn expand_plates(self, plates: &[Plate]) -> Self {
        let mut sorted = Plates::new();
        merge(&mut sorted, plates);
        self.with_plates_checked(plates, Op::Expand(sorted, self.shape()))
    }

    /// Concatenates values along an event axis.
    ///
    /// # Errors
    /// For an empty list. Shapes that differ on other axes are recorded as an error.
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

    /// Stacks values of one shape along a new first event axis.
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
