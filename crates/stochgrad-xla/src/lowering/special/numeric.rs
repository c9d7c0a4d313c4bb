//! The building blocks of series: functions, bounded loops and polynomials.

use crate::lowering::builder::{Builder, Value};
use crate::lowering::literal::Elements;
use crate::lowering::types::{Element, TensorType};

/// A private function of the module, in double precision. Arguments without axes are repeated to the shape of the
/// others, so that one function serves for all combinations.
pub(super) fn function<'b, const N: usize, const M: usize>(
    key: &str,
    arguments: [Value<'b>; N],
    body: impl FnOnce([Value<'b>; N]) -> [Value<'b>; M],
) -> [Value<'b>; M] {
    let builder = arguments[0].builder;
    let arguments = aligned(arguments);
    let results = builder.call(key, &arguments, |own| {
        let shape = own[0].shape();
        body(std::array::from_fn(|index| own[index])).map(|result| widened(result, &shape)).to_vec()
    });
    std::array::from_fn(|index| results[index])
}

/// A private function of the module with one result.
pub(super) fn single<'b, const N: usize>(
    key: &str,
    arguments: [Value<'b>; N],
    body: impl FnOnce([Value<'b>; N]) -> Value<'b>,
) -> Value<'b> {
    let [result] = function(key, arguments, |own| [body(own)]);
    result
}

/// Values in their common shape; those without axes are repeated.
pub(super) fn aligned<'b, const N: usize>(values: [Value<'b>; N]) -> [Value<'b>; N] {
    let shape = values.iter().map(|value| value.shape()).max_by_key(|shape| shape.rank()).unwrap_or_default();
    values.map(|value| widened(value, &shape))
}

fn widened<'b>(value: Value<'b>, shape: &stochgrad_tensor::Shape) -> Value<'b> {
    if value.shape().rank() == 0 { value.broadcast(shape, &[]) } else { value }
}

/// Repeats `body` for the elements that are `active`, at most `limit` times. It gets the number of the repetition, from
/// 0, and the state, and returns the next state and which elements go on. NaN in a condition must end the loop.
/// Finished elements keep their state, so that they do not depend on the others.
pub(super) fn iterate<'b, const N: usize>(
    limit: usize,
    active: Value<'b>,
    state: [Value<'b>; N],
    body: impl FnOnce(Value<'b>, [Value<'b>; N]) -> ([Value<'b>; N], Value<'b>),
) -> [Value<'b>; N] {
    let builder = active.builder;
    let shape = active.shape();
    let mut carry = vec![builder.float(Element::F64, 0.0), active];
    carry.extend(state.map(|value| widened(value, &shape)));
    let end = builder.while_loop(
        &carry,
        |carry| carry[0].lt(limit as f64) & carry[1].any(),
        |carry| {
            let own = std::array::from_fn(|index| carry[index + 2]);
            let (next, goes_on) = body(carry[0], own);
            let mut all = vec![carry[0] + 1.0, carry[1] & goes_on];
            all.extend(next.into_iter().zip(own).map(|(next, own)| carry[1].select(next, own)));
            all
        },
    );
    std::array::from_fn(|index| end[index + 2])
}

/// Repeats `body` a number of times for all elements.
pub(super) fn repeat<'b, const N: usize>(
    count: usize,
    state: [Value<'b>; N],
    body: impl FnOnce(Value<'b>, [Value<'b>; N]) -> [Value<'b>; N],
) -> [Value<'b>; N] {
    let builder = state[0].builder;
    let mut carry = vec![builder.integer(Element::I64, 0)];
    carry.extend(aligned(state));
    let end = builder.while_loop(
        &carry,
        |carry| carry[0].lt(count as i64),
        |carry| {
            let shape = carry[1].shape();
            let next = body(carry[0], std::array::from_fn(|index| carry[index + 1]));
            std::iter::once(carry[0] + 1_i64).chain(next.map(|value| widened(value, &shape))).collect()
        },
    );
    std::array::from_fn(|index| end[index + 1])
}

/// What `compute` returns, which is computed only if it is needed for an element; otherwise zeros.
pub(super) fn where_any<'b, const N: usize>(
    needed: Value<'b>,
    compute: impl FnOnce() -> [Value<'b>; N],
) -> [Value<'b>; N] {
    let builder = needed.builder;
    let shape = needed.shape();
    let results = builder.branch(
        needed.any(),
        || compute().map(|value| widened(value, &shape)).to_vec(),
        || vec![builder.float(Element::F64, 0.0).broadcast(&shape, &[]); N],
    );
    std::array::from_fn(|index| results[index])
}

/// A table in double precision.
pub(super) fn table<'b>(builder: &'b Builder, entries: &[f64]) -> Value<'b> {
    builder.constant(Elements::Floats(entries), &TensorType::new(Element::F64, [entries.len()]))
}

/// The entry of a table at an integer without axes.
pub(super) fn entry<'b>(table: Value<'b>, index: Value<'b>) -> Value<'b> {
    let one = TensorType::new(table.element(), [1]);
    let part = table.builder.op("stablehlo.dynamic_slice", &[table, index], "slice_sizes = array<i64: 1>", one);
    part.reshape(&stochgrad_tensor::Shape::scalar())
}

/// The polynomial with these coefficients, lowest power first.
pub(super) fn polynomial<'b>(coefficients: &[f64], x: Value<'b>) -> Value<'b> {
    match coefficients {
        [] => x.fill(0.0),
        [rest @ .., last] => rest.iter().rev().fold(x.fill(*last), |sum, &coefficient| sum * x + coefficient),
    }
}

/// Where `valid` holds `value`, else NaN.
pub(super) fn inside<'b>(valid: Value<'b>, value: Value<'b>) -> Value<'b> {
    valid.select(value, f64::NAN)
}

/// The same value of at least 0, for further divisions: compilers replace `x / y / z` by `x / (y z)`, whose divisor may
/// be out of range.
pub(super) fn apart(x: Value<'_>) -> Value<'_> {
    x.max(0.0)
}

/// Whether a value is positive and finite.
pub(super) fn is_positive(x: Value<'_>) -> Value<'_> {
    x.gt(0.0) & x.lt(f64::INFINITY)
}

/// Whether a value is at least 0 and finite.
pub(super) fn is_natural(x: Value<'_>) -> Value<'_> {
    x.ge(0.0) & x.lt(f64::INFINITY)
}

/// Whether a value is in [0, 1].
pub(super) fn is_probability(p: Value<'_>) -> Value<'_> {
    p.ge(0.0) & p.le(1.0)
}

/// Whether a value is a finite integer of at least 0.
pub(super) fn is_count(k: Value<'_>) -> Value<'_> {
    is_natural(k) & k.equal(k.floor())
}

/// Whether a value is neither 0, nor below the range of normal numbers, nor infinite, nor NaN.
pub(super) fn is_normal(x: Value<'_>) -> Value<'_> {
    x.abs().ge(f64::MIN_POSITIVE) & x.abs().lt(f64::INFINITY)
}

/// Whether a value is infinite.
pub(super) fn is_infinite(x: Value<'_>) -> Value<'_> {
    x.abs().equal(f64::INFINITY)
}

/// √(a² + b²) without overflow.
pub(super) fn hypot<'b>(a: Value<'b>, b: Value<'b>) -> Value<'b> {
    let (a, b) = (a.abs(), b.abs());
    let (high, low) = (a.max(b), a.min(b));
    let ratio = (low / high).min(1.0);
    let ordinary = high.gt(0.0) & high.lt(f64::INFINITY);
    ordinary.select(high * (ratio * ratio + 1.0).sqrt(), high)
}

/// The size of one value with the sign of another, where 0 counts as positive.
pub(super) fn with_sign<'b>(size: Value<'b>, sign: Value<'b>) -> Value<'b> {
    sign.lt(0.0).select(-size, size)
}

impl<'b> Value<'b> {
    /// Whether two truth values are the same.
    pub(super) fn same_truth(self, other: Value<'b>) -> Value<'b> {
        !(self ^ other)
    }
}
