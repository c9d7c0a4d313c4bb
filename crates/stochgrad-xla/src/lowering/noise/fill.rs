//! Consecutive random values of a key.

use crate::lowering::axes::integers;
use crate::lowering::builder::{Builder, Value};
use crate::lowering::noise::chacha::{BLOCK, blocks};
use crate::lowering::noise::kind::{box_muller, folded_unit, joined, open_unit, unfold};
use crate::lowering::types::{Element, TensorType};
use stochgrad_tensor::Shape;
use stochgrad_tensor::random::{Fill, ROW};

/// The number of a random value.
#[derive(Clone, Copy)]
pub enum Start<'b> {
    /// It is the same in each run.
    Fixed(u64),
    /// It depends on arguments: an unsigned integer of 64 bits.
    Computed(Value<'b>),
}

/// The number of words of a value.
fn words_of(element: Element) -> usize {
    element.bits() / 32
}

/// `count` consecutive random values of a key of eight words, from the number `start` on.
pub fn fill<'b>(
    builder: &'b Builder,
    key: Value<'b>,
    element: Element,
    kind: Fill,
    start: Start<'b>,
    count: usize,
) -> Value<'b> {
    if count == 0 {
        return builder.float(element, 0.0).broadcast(&Shape::from([0]), &[]);
    }
    let whole = BLOCK / words_of(element);
    match start {
        Start::Fixed(start) => {
            let skipped = (start % whole as u64) as usize;
            let first = builder.integer(Element::U64, (start / whole as u64) as i64);
            values(builder, key, element, kind, first, skipped + count).slice(0, skipped, count)
        }
        Start::Computed(start) => {
            let all = values(builder, key, element, kind, start / whole as i64, whole - 1 + count);
            let attributes = format!("slice_sizes = {}", integers([count]));
            let kind = TensorType::new(element, [count]);
            builder.op("stablehlo.dynamic_slice", &[all, start % whole as i64], &attributes, kind)
        }
    }
}

/// The values of as many whole blocks as `count` values need, from a block on.
fn values<'b>(
    builder: &'b Builder,
    key: Value<'b>,
    element: Element,
    kind: Fill,
    first: Value<'b>,
    count: usize,
) -> Value<'b> {
    let whole = BLOCK / words_of(element);
    let number = count.div_ceil(whole);
    let numbers = builder.iota(TensorType::new(Element::U64, [number]), 0) + first;
    let words = joined(blocks(builder, key, numbers), element);
    let flat = Shape::from([number * whole]);
    if kind != Fill::Normal {
        let values = match kind {
            Fill::Uniform | Fill::Mirrored => open_unit(words, element, kind == Fill::Mirrored),
            _ => unfold(kind, folded_unit(words, element)),
        };
        return values.transpose(&[1, 0]).reshape(&flat).barrier();
    }
    let uniform = open_unit(words, element, false);
    let [radius, angle] = [0, 1].map(|first| uniform.strided_slice(0, first, whole / 2, 2));
    let pair = Shape::from([whole / 2, 1, number]);
    let [one, other] = box_muller(radius, angle).map(|values| values.reshape(&pair));
    one.concat(&[other], 1).transpose(&[2, 0, 1]).reshape(&flat).barrier()
}

/// Eight uniform values in (0, 1) for each element, for samplers that need several: slot `i` of the result has the
/// shape of `elements`, which are unsigned integers of 64 bits. See [`Key::rows`](stochgrad_tensor::random::Key::rows).
pub fn rows<'b>(builder: &'b Builder, key: Value<'b>, element: Element, elements: Value<'b>) -> [Value<'b>; ROW] {
    let shape = elements.shape();
    let words = blocks(builder, key, elements.reshape(&Shape::from([shape.numel()])));
    let uniform = open_unit(joined(words, element), element, false);
    std::array::from_fn(|slot| uniform.slice(0, slot, 1).reshape(&shape))
}
