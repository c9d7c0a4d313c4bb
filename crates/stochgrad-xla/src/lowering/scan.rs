//! Running sums and recurrences along an axis.

use crate::lowering::axes::integers;
use crate::lowering::builder::Value;
use crate::lowering::types::{Element, TensorType};
use crate::lowering::zip::log_add_exp;
use stochgrad_tensor::Shape;

/// The longest axis along which a recurrence is written out step by step.
const UNROLLED: usize = 16;

/// The value moved by some positions along an axis, with a constant where none moves to.
fn moved(x: Value<'_>, axis: usize, by: usize, reverse: bool, fill: f64) -> Value<'_> {
    let len = x.shape()[axis] - by;
    let fill = x.builder.float(x.element(), fill);
    let kept = x.slice(axis, if reverse { by } else { 0 }, len);
    if reverse { kept.pad(axis, 0, by, fill) } else { kept.pad(axis, by, 0, fill) }
}

/// All prefixes along an axis, combined by an associative function: in a number of passes that grows as the logarithm
/// of the size.
fn prefixes<'b>(
    x: Value<'b>,
    axis: usize,
    reverse: bool,
    neutral: f64,
    combine: impl Fn(Value<'b>, Value<'b>) -> Value<'b>,
) -> Value<'b> {
    let (size, mut all, mut step) = (x.shape()[axis], x, 1);
    while step < size {
        all = combine(all, moved(all, axis, step, reverse, neutral));
        step *= 2;
    }
    all
}

/// The running sum along an axis.
pub fn cumulative_sum(x: Value<'_>, axis: usize, reverse: bool) -> Value<'_> {
    prefixes(x, axis, reverse, 0.0, |own, before| own + before)
}

/// The logarithm of the running sum of exponentials along an axis.
pub fn log_cumulative_sum_exp(x: Value<'_>, axis: usize) -> Value<'_> {
    prefixes(x, axis, false, f64::NEG_INFINITY, log_add_exp)
}

/// The recurrence yᵢ = aᵢ yᵢ₋₁ + bᵢ along an axis, or from its end with `reverse`. The first element is its term.
///
/// The steps are taken one after the other: products of several coefficients could overflow where the recurrence does
/// not.
pub fn linear_recurrence<'b>(a: Value<'b>, b: Value<'b>, axis: usize, reverse: bool) -> Value<'b> {
    let shape = b.shape();
    let size = shape[axis];
    if shape.numel() == 0 || size == 1 {
        return b;
    }
    let place = |step: usize| if reverse { size - 1 - step } else { step };
    if size <= UNROLLED {
        let mut parts = vec![b.slice(axis, place(0), 1)];
        for step in 1..size {
            let at = place(step);
            parts.push(a.slice(axis, at, 1) * parts[step - 1] + b.slice(axis, at, 1));
        }
        if reverse {
            parts.reverse();
        }
        return parts[0].concat(&parts[1..], axis);
    }
    let builder = b.builder;
    let int = |value: usize| builder.integer(Element::I32, value as i64);
    let first = b.slice(axis, place(0), 1);
    let carried = builder.while_loop(
        &[int(1), first, a, b, b],
        |carry| carry[0].lt(size as i64),
        |carry| {
            let (step, last, a, b, all) = (carry[0], carry[1], carry[2], carry[3], carry[4]);
            let at = if reverse { int(size - 1) - step } else { step };
            let next = dynamic_slice(a, axis, at) * last + dynamic_slice(b, axis, at);
            vec![step + 1_i64, next, a, b, with_slice(all, next, axis, at)]
        },
    );
    carried[4]
}

fn starts<'b>(x: Value<'b>, axis: usize, at: Value<'b>) -> Vec<Value<'b>> {
    let zero = x.builder.integer(Element::I32, 0);
    (0..x.shape().rank()).map(|other| if other == axis { at } else { zero }).collect()
}

/// The element at a computed position along an axis, which is kept with size 1.
pub(crate) fn dynamic_slice<'b>(x: Value<'b>, axis: usize, at: Value<'b>) -> Value<'b> {
    let shape: Shape = x.shape().with_size(axis, 1);
    let attributes = format!("slice_sizes = {}", integers(shape.iter().copied()));
    let operands: Vec<Value<'b>> = std::iter::once(x).chain(starts(x, axis, at)).collect();
    x.builder.op("stablehlo.dynamic_slice", &operands, &attributes, TensorType::new(x.element(), shape))
}

/// The value with another element at a computed position along an axis.
fn with_slice<'b>(x: Value<'b>, part: Value<'b>, axis: usize, at: Value<'b>) -> Value<'b> {
    let operands: Vec<Value<'b>> = [x, part].into_iter().chain(starts(x, axis, at)).collect();
    x.builder.op("stablehlo.dynamic_update_slice", &operands, "", x.kind())
}
