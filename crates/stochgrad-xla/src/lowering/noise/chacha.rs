//! The words of the ChaCha8 stream, by arithmetic of 32-bit integers.

use crate::lowering::builder::{Builder, Value};
use crate::lowering::literal::Elements;
use crate::lowering::types::{Element, TensorType};
use stochgrad_tensor::Shape;

/// The number of words of a block.
pub const BLOCK: usize = 16;

/// The number of blocks from which on each word of the state is a value of its own. Fewer blocks are faster as four
/// rows of four words.
const MANY: usize = 4096;

/// The first row of the state.
const FIRST: [i64; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The blocks of a stream with some numbers: their 16 words, `[word, block]`. The key has eight words, and the numbers
/// are 64-bit integers.
pub fn blocks<'b>(builder: &'b Builder, key: Value<'b>, numbers: Value<'b>) -> Value<'b> {
    let many = numbers.shape().numel() >= MANY;
    let name = if many { "chacha8 words" } else { "chacha8 rows" };
    let body = |x: &[Value<'b>]| vec![if many { by_words(x[0], x[1]) } else { by_rows(x[0], x[1]) }];
    builder.call(name, &[key, numbers], body)[0]
}

fn rotated<'b>(x: Value<'b>, turn: i64) -> Value<'b> {
    (x << turn) | (x >> (32 - turn))
}

fn quarter_round<'b>([a, b, c, d]: [Value<'b>; 4]) -> [Value<'b>; 4] {
    let a = a + b;
    let d = rotated(d ^ a, 16);
    let c = c + d;
    let b = rotated(b ^ c, 12);
    let a = a + b;
    let d = rotated(d ^ a, 8);
    let c = c + d;
    let b = rotated(b ^ c, 7);
    [a, b, c, d]
}

/// The lower and the upper words of the numbers of blocks.
fn counters<'b>(numbers: Value<'b>) -> [Value<'b>; 2] {
    [numbers.convert(Element::U32), (numbers >> 32_i64).convert(Element::U32)]
}

/// Four double rounds.
fn rounds<'b>(state: &[Value<'b>], double_round: impl FnOnce(&[Value<'b>]) -> Vec<Value<'b>>) -> Vec<Value<'b>> {
    let builder = state[0].builder;
    let carry: Vec<Value<'b>> =
        std::iter::once(builder.integer(Element::I32, 0)).chain(state.iter().copied()).collect();
    let done = builder.while_loop(
        &carry,
        |carry| carry[0].lt(4_i64),
        |carry| {
            let next = double_round(&carry[1..]);
            std::iter::once(carry[0] + 1_i64).chain(next).collect()
        },
    );
    done[1..].iter().zip(state).map(|(&x, &start)| x + start).collect()
}

/// The state as four rows of four words for each block.
fn by_rows<'b>(key: Value<'b>, numbers: Value<'b>) -> Value<'b> {
    let builder = key.builder;
    let count = numbers.shape()[0];
    let (row, wide) = (Shape::from([1, count]), Shape::from([4, count]));
    let first = builder.constant(Elements::Integers(&FIRST), &TensorType::new(Element::U32, [4]));
    let [low, high] = counters(numbers).map(|word| word.reshape(&row));
    let none = low.fill_integer(Element::U32, 0);
    let start = [
        first.broadcast(&wide, &[0]),
        key.slice(0, 0, 4).broadcast(&wide, &[0]),
        key.slice(0, 4, 4).broadcast(&wide, &[0]),
        low.concat(&[high, none, none], 0),
    ];
    let turned = |x: Value<'b>, by: usize| x.slice(0, by, 4 - by).concat(&[x.slice(0, 0, by)], 0);
    let words = rounds(&start, |x| {
        let [a, b, c, d] = quarter_round([x[0], x[1], x[2], x[3]]);
        let [a, b, c, d] = quarter_round([a, turned(b, 1), turned(c, 2), turned(d, 3)]);
        vec![a, turned(b, 3), turned(c, 2), turned(d, 1)]
    });
    words[0].concat(&words[1..], 0)
}

/// The state as 16 words for each block.
fn by_words<'b>(key: Value<'b>, numbers: Value<'b>) -> Value<'b> {
    let builder = key.builder;
    let shape = numbers.shape();
    let mut start: Vec<Value<'b>> =
        FIRST.iter().map(|&word| builder.integer(Element::U32, word).broadcast(&shape, &[])).collect();
    start.extend((0..8).map(|word| key.slice(0, word, 1).reshape(&Shape::scalar()).broadcast(&shape, &[])));
    start.extend(counters(numbers));
    start.extend([0; 2].map(|_| numbers.fill_integer(Element::U32, 0)));
    let words = rounds(&start, |x| {
        let mut state = x.to_vec();
        let columns = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]];
        let diagonals = [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];
        for places in columns.into_iter().chain(diagonals) {
            let next = quarter_round(places.map(|place| state[place]));
            places.into_iter().zip(next).for_each(|(place, word)| state[place] = word);
        }
        state
    });
    let row = Shape::from([1, shape[0]]);
    let rows: Vec<Value<'b>> = words.iter().map(|word| word.reshape(&row)).collect();
    rows[0].concat(&rows[1..], 0)
}
