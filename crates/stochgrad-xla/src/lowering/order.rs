//! Positions of largest elements, and of elements in order.

use crate::lowering::axes::Fold;
use crate::lowering::builder::Value;
use crate::lowering::context::{Context, Operand, Target};
use crate::lowering::types::{Element, TensorType};
use stochgrad_tensor::sort::Order;

/// See [`stochgrad_tape::Op::Argmax`]. `axis` counts plates.
pub fn argmax<'b>(context: &Context<'b>, x: &Operand<'b>, axis: usize, target: &Target<'_>) -> Value<'b> {
    let x = x.value;
    let shape = x.shape();
    context.check(!x.is_nan(), target, "expected values that can be ordered, got NaN");
    let largest = x.reduce(Fold::Max, &[axis]).restored(&shape, &[axis]);
    let places = context.builder.iota(TensorType::new(Element::I32, shape.clone()), axis);
    let first = x.equal(largest).select(places, places.fill_integer(Element::I32, shape[axis] as i64 - 1));
    first.reduce(Fold::Min, &[axis]).convert(x.element())
}

/// See [`stochgrad_tape::Op::Argsort`]. `axis` counts plates.
pub fn argsort<'b>(context: &Context<'b>, x: &Operand<'b>, axis: usize, order: Order, count: usize) -> Value<'b> {
    let x = x.value;
    let builder = context.builder;
    let places = TensorType::new(Element::I32, x.shape());
    let positions = builder.iota(places.clone(), axis);
    if x.shape().numel() == 0 {
        return positions.convert(x.element()).slice(axis, 0, count);
    }
    let (element, place) = (TensorType::scalar(x.element()), TensorType::scalar(Element::I32));
    let (comparator, _) = builder.region(&[element.clone(), element, place.clone(), place], |pair| {
        let [a, b] = [pair[0], pair[1]];
        // NaN is larger than all others.
        vec![match order {
            Order::Ascending => a.lt(b) | (b.is_nan() & !a.is_nan()),
            Order::Descending => a.gt(b) | (a.is_nan() & !b.is_nan()),
        }]
    });
    let attributes = format!("dimension = {axis} : i64, is_stable = true");
    let sorted =
        builder.with_regions("stablehlo.sort", &[x, positions], &attributes, &[x.kind(), places], &[comparator]);
    sorted[1].slice(axis, 0, count).convert(x.element())
}
