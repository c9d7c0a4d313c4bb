//! Roots of increasing functions.

use super::numeric::iterate;
use crate::lowering::builder::Value;

/// The root of an increasing function, given with its derivative, by Newton's method in a bracket, for the elements
/// that are `wanted`.
pub(super) fn rising_root<'b>(
    wanted: Value<'b>,
    bracket: [Value<'b>; 2],
    guess: Value<'b>,
    f: impl FnOnce(Value<'b>) -> [Value<'b>; 2],
) -> Value<'b> {
    rising_root_within(2.0 * f64::EPSILON, wanted, bracket, guess, f)
}

/// As [`rising_root`], with the value and the derivative at the root, which a last repetition computes: a function that
/// occurs once takes half the time to compile.
pub(super) fn evaluated_root<'b>(
    wanted: Value<'b>,
    bracket: [Value<'b>; 2],
    guess: Value<'b>,
    f: impl FnOnce(Value<'b>) -> [Value<'b>; 2],
) -> [Value<'b>; 3] {
    root(2.0 * f64::EPSILON, true, wanted, bracket, guess, f)
}

/// As [`rising_root`], where a step of Newton's method below this relative size is the last one.
pub(super) fn rising_root_within<'b>(
    precision: f64,
    wanted: Value<'b>,
    bracket: [Value<'b>; 2],
    guess: Value<'b>,
    f: impl FnOnce(Value<'b>) -> [Value<'b>; 2],
) -> Value<'b> {
    root(precision, false, wanted, bracket, guess, f)[0]
}

fn root<'b>(
    precision: f64,
    evaluated: bool,
    wanted: Value<'b>,
    [low, high]: [Value<'b>; 2],
    guess: Value<'b>,
    f: impl FnOnce(Value<'b>) -> [Value<'b>; 2],
) -> [Value<'b>; 3] {
    let middle = |low: Value<'b>, high: Value<'b>| (low + high) * 0.5;
    let start = (guess.gt(low) & guess.lt(high)).select(guess, middle(low, high));
    let limit = 200 + usize::from(evaluated);
    let state = [start, low, high, start, start, start.fill_truth(false)];
    let [x, _, _, value, slope, _] = iterate(limit, wanted, state, |_, [x, low, high, _, _, found]| {
        let [value, slope] = f(x);
        let above = value.gt(0.0);
        let (below, beyond) = (above.select(low, x), above.select(x, high));
        let newton = x - value / slope;
        // A small step of Newton's method may leave the bracket by a rounding error.
        let small = (newton - x).abs().le(x.abs() * precision);
        let inside = newton.gt(below) & newton.lt(beyond);
        let next = inside.select(newton, middle(below, beyond));
        let step = (next - x).abs();
        let goes_on = !small & step.gt(next.abs() * (2.0 * f64::EPSILON));
        let last = small.select(newton.max(below).min(beyond), next);
        let exact = value.equal(0.0);
        let next = (exact | found).select(x, last);
        let done = !goes_on | exact;
        let open = if evaluated { !found } else { !done };
        ([next, below, beyond, value, slope, found | done], open)
    });
    [x, value, slope]
}
