//! Reductions over axes, and what is normalised by them.

use crate::lowering::axes::Fold;
use crate::lowering::builder::Value;
use stochgrad_tensor::reduce::Reduce;

/// A reduction over some axes, which are removed. Without axes it is the value itself.
pub fn reduce<'b>(how: Reduce, x: Value<'b>, axes: &[usize]) -> Value<'b> {
    match how {
        _ if axes.is_empty() => x,
        Reduce::Sum => x.reduce(Fold::Sum, axes),
        Reduce::Product => x.reduce(Fold::Product, axes),
        Reduce::Max => x.reduce(Fold::Max, axes),
        Reduce::Min => x.reduce(Fold::Min, axes),
        Reduce::LogSumExp => {
            let shift = shift(x, axes);
            let masses = (x - shift.restored(&x.shape(), axes)).exp();
            shift + masses.reduce(Fold::Sum, axes).ln()
        }
    }
}

/// What is subtracted before exponentiating: the maximum, or 0 if that is infinite or NaN. A NaN that is passed over
/// makes the sum of the exponentials NaN.
fn shift<'b>(x: Value<'b>, axes: &[usize]) -> Value<'b> {
    let largest = x.reduce(Fold::MaxOfNumbers, axes);
    largest.is_finite().select(largest, 0.0)
}

/// e^x / Σ e^x along an axis. If all elements are −∞, the result is 0.
pub fn softmax(x: Value<'_>, axis: usize) -> Value<'_> {
    let (shape, axes) = (x.shape(), [axis]);
    let masses = (x - shift(x, &axes).restored(&shape, &axes)).exp();
    let sum = masses.reduce(Fold::Sum, &axes);
    masses / sum.equal(0.0).select(1.0, sum).restored(&shape, &axes)
}

/// The logarithm of the softmax along an axis. If all elements are −∞, the result is −∞.
pub fn log_softmax(x: Value<'_>, axis: usize) -> Value<'_> {
    let (shape, axes) = (x.shape(), [axis]);
    let centred = x - shift(x, &axes).restored(&shape, &axes);
    let sum = centred.exp().reduce(Fold::Sum, &axes);
    centred - sum.equal(0.0).select(0.0, sum.ln()).restored(&shape, &axes)
}
