//! Operations on the axes of values.

use crate::lowering::builder::Value;
use crate::lowering::types::{Element, TensorType};
use stochgrad_tensor::Shape;

/// The associative operations of reductions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// The sum.
    Sum,
    /// The product.
    Product,
    /// The largest element; NaN if one is NaN.
    Max,
    /// The largest element, where NaN may be passed over.
    MaxOfNumbers,
    /// The smallest element; NaN if one is NaN.
    Min,
    /// Whether all truth values hold.
    All,
    /// Whether any truth value holds.
    Any,
}

impl Fold {
    /// The combination of two elements.
    fn combine<'b>(self, [a, b]: [Value<'b>; 2]) -> Value<'b> {
        let op = match self {
            Fold::Sum => "stablehlo.add",
            Fold::Product => "stablehlo.multiply",
            Fold::Max if a.element().is_float() => return a.max(b),
            Fold::Min if a.element().is_float() => return a.min(b),
            Fold::Max | Fold::MaxOfNumbers => "stablehlo.maximum",
            Fold::Min => "stablehlo.minimum",
            Fold::All => "stablehlo.and",
            Fold::Any => "stablehlo.or",
        };
        a.builder.op(op, &[a, b], "", a.kind())
    }

    /// The result for no elements.
    pub(crate) fn identity<'b>(self, like: Value<'b>) -> Value<'b> {
        let (builder, element) = (like.builder, like.element());
        match self {
            Fold::All | Fold::Any => builder.truth(self == Fold::All),
            Fold::Sum | Fold::Product if !element.is_float() => {
                builder.integer(element, i64::from(self == Fold::Product))
            }
            Fold::Sum => builder.float(element, 0.0),
            Fold::Product => builder.float(element, 1.0),
            Fold::Max | Fold::MaxOfNumbers | Fold::Min if element.is_float() => {
                builder.float(element, if self == Fold::Min { f64::INFINITY } else { f64::NEG_INFINITY })
            }
            Fold::Max | Fold::MaxOfNumbers | Fold::Min => {
                let bits = element.bits();
                let (least, most) = match element {
                    Element::I32 | Element::I64 => (-1_i64 << (bits - 1), !(-1_i64 << (bits - 1))),
                    _ => (0, -1),
                };
                builder.integer(element, if self == Fold::Min { most } else { least })
            }
        }
    }

    /// The text of the region that combines two elements.
    pub(crate) fn region(self, like: Value<'_>) -> String {
        let scalar = TensorType::scalar(like.element());
        like.builder.region(&[scalar.clone(), scalar], |x| vec![self.combine([x[0], x[1]])]).0
    }
}

/// A list of integers as an attribute.
pub(crate) fn integers(values: impl IntoIterator<Item = usize>) -> String {
    let list: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if list.is_empty() { "array<i64>".into() } else { format!("array<i64: {}>", list.join(", ")) }
}

impl<'b> Value<'b> {
    /// Repeats the value in a shape. `axes` are the positions of its axes in the shape, in increasing order; axes of
    /// size 1 are repeated.
    pub fn broadcast(self, shape: &Shape, axes: &[usize]) -> Value<'b> {
        let own = self.shape();
        assert_eq!(own.rank(), axes.len(), "expected a position for each axis");
        if own == *shape {
            return self;
        }
        let attributes = format!("broadcast_dimensions = {}", integers(axes.iter().copied()));
        self.builder.op(
            "stablehlo.broadcast_in_dim",
            &[self],
            &attributes,
            TensorType::new(self.element(), shape.clone()),
        )
    }

    /// Repeats the value in a shape whose last axes are those of the value.
    pub fn broadcast_right(self, shape: &Shape) -> Value<'b> {
        let lead = shape.rank() - self.shape().rank();
        self.broadcast(shape, &(lead..shape.rank()).collect::<Vec<_>>())
    }

    /// The same elements in another shape.
    pub fn reshape(self, shape: &Shape) -> Value<'b> {
        if self.shape() == *shape {
            return self;
        }
        assert_eq!(self.shape().numel(), shape.numel(), "expected a shape with as many elements");
        self.builder.op("stablehlo.reshape", &[self], "", TensorType::new(self.element(), shape.clone()))
    }

    /// The axes in another order: axis `i` of the result is axis `order[i]`.
    pub fn transpose(self, order: &[usize]) -> Value<'b> {
        if order.is_sorted() {
            return self;
        }
        let own = self.shape();
        let shape: Shape = order.iter().map(|&axis| own[axis]).collect();
        let attributes = format!("permutation = {}", integers(order.iter().copied()));
        self.builder.op("stablehlo.transpose", &[self], &attributes, TensorType::new(self.element(), shape))
    }

    /// A range along an axis.
    pub fn slice(self, axis: usize, start: usize, len: usize) -> Value<'b> {
        self.strided_slice(axis, start, len, 1)
    }

    /// `len` elements along an axis, from `start` on with a distance of `stride`.
    pub fn strided_slice(self, axis: usize, start: usize, len: usize, stride: usize) -> Value<'b> {
        let own = self.shape();
        if len == own[axis] && stride == 1 {
            return self;
        }
        let limit = if len == 0 { start } else { start + (len - 1) * stride + 1 };
        let list = |at: usize, other: &dyn Fn(usize) -> usize| {
            integers((0..own.rank()).map(|other_axis| if other_axis == axis { at } else { other(other_axis) }))
        };
        let attributes = format!(
            "start_indices = {}, limit_indices = {}, strides = {}",
            list(start, &|_| 0),
            list(limit, &|axis| own[axis]),
            list(stride, &|_| 1)
        );
        self.builder.op(
            "stablehlo.slice",
            &[self],
            &attributes,
            TensorType::new(self.element(), own.with_size(axis, len)),
        )
    }

    /// The value with `before` and `after` copies of a scalar around it along an axis.
    pub fn pad(self, axis: usize, before: usize, after: usize, with: Value<'b>) -> Value<'b> {
        let own = self.shape();
        if before == 0 && after == 0 {
            return self;
        }
        let at = |size: usize| integers((0..own.rank()).map(|other| if other == axis { size } else { 0 }));
        let attributes = format!(
            "edge_padding_low = {}, edge_padding_high = {}, interior_padding = {}",
            at(before),
            at(after),
            at(0)
        );
        let kind = TensorType::new(self.element(), own.with_size(axis, own[axis] + before + after));
        self.builder.op("stablehlo.pad", &[self, with], &attributes, kind)
    }

    /// The value in the opposite order along an axis.
    pub fn reverse(self, axis: usize) -> Value<'b> {
        self.builder.op("stablehlo.reverse", &[self], &format!("dimensions = {}", integers([axis])), self.kind())
    }

    /// This value and others, one after the other along an axis.
    pub fn concat(self, others: &[Value<'b>], axis: usize) -> Value<'b> {
        let all: Vec<Value<'b>> = std::iter::once(self).chain(others.iter().copied()).collect();
        if let [one] = all[..] {
            return one;
        }
        let size = all.iter().map(|value| value.shape()[axis]).sum();
        let kind = TensorType::new(self.element(), self.shape().with_size(axis, size));
        self.builder.op("stablehlo.concatenate", &all, &format!("dimension = {axis} : i64"), kind)
    }

    /// A reduction over some axes, which are removed.
    pub fn reduce(self, fold: Fold, axes: &[usize]) -> Value<'b> {
        if axes.is_empty() {
            return self;
        }
        let region = fold.region(self);
        let own = self.shape();
        let shape: Shape = (0..own.rank()).filter(|axis| !axes.contains(axis)).map(|axis| own[axis]).collect();
        let attributes = format!("dimensions = {}", integers(axes.iter().copied()));
        let kind = TensorType::new(self.element(), shape);
        let operands = [self, fold.identity(self)];
        self.builder.with_regions("stablehlo.reduce", &operands, &attributes, &[kind], &[region]).swap_remove(0)
    }

    /// The values of all devices that run the program together, combined element by element.
    pub fn over_devices(self, fold: Fold) -> Value<'b> {
        let region = fold.region(self);
        // Without a list of groups, all devices are one.
        let attributes = "replica_groups = dense<> : tensor<0x0xi64>";
        self.builder.with_regions("stablehlo.all_reduce", &[self], attributes, &[self.kind()], &[region]).swap_remove(0)
    }

    /// Whether any truth value holds.
    pub fn any(self) -> Value<'b> {
        self.reduce(Fold::Any, &(0..self.shape().rank()).collect::<Vec<_>>())
    }

    /// Whether all truth values hold.
    pub fn all(self) -> Value<'b> {
        self.reduce(Fold::All, &(0..self.shape().rank()).collect::<Vec<_>>())
    }
}
