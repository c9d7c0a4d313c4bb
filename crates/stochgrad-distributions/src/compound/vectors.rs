//! The last axes of values.

use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

/// The position of the last element of the last axis.
pub(crate) fn last_of<F: Real>(x: Var<'_, F>) -> usize {
    x.shape().last().copied().unwrap_or(1).saturating_sub(1)
}

/// The event shape with other sizes in place of the last `count` ones, which `of` computes from the last one.
pub(crate) fn resized(shape: &Shape, count: usize, of: impl Fn(usize) -> Vec<usize>) -> Shape {
    let Some(&last) = shape.last() else { return shape.clone() };
    shape.iter().take(shape.len().saturating_sub(count)).copied().chain(of(last)).collect()
}
