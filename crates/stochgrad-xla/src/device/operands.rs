//! The small operands that the host sends with each run: numbers of 64 bits as pairs of words, and schedules.

use crate::lowering::builder::Value;
use crate::lowering::types::Element;
use stochgrad_graph::Seed;
use stochgrad_tensor::Shape;

/// The words of a number, the lower one first.
pub(super) fn words_of(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

/// The words of a seed and its step.
pub(super) fn seed_words(seed: Seed) -> [u32; 4] {
    let ([a, b], [c, d]) = (words_of(seed.seed), words_of(seed.step));
    [a, b, c, d]
}

/// The element at a position of a vector, without axes.
pub(super) fn element_at<'b>(vector: Value<'b>, position: usize) -> Value<'b> {
    vector.slice(0, position, 1).reshape(&Shape::scalar())
}

/// The number whose words start at a position of a vector of words.
pub(super) fn number_at<'b>(words: Value<'b>, position: usize) -> Value<'b> {
    let [low, high] = [0, 1].map(|word| element_at(words, position + word).convert(Element::U64));
    low | (high << 32_i64)
}

/// The words of a number, the lower one first.
pub(super) fn words<'b>(number: Value<'b>) -> Value<'b> {
    let one = Shape::from([1]);
    let [low, high] = [number, number >> 32_i64].map(|half| half.convert(Element::U32).reshape(&one));
    low.concat(&[high], 0)
}
