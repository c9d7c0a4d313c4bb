//! Antithetic pairs of bits: one from a uniform variate, the other from its complement.

use stochgrad_distributions::{DistributionResult, Draw};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::{Real, Shape};

/// The bits $b = 1[u \ge 1 - p]$ and $\tilde b = 1[1 - u \ge 1 - p]$ for uniform variates $u$ of the draw. The
/// probabilities $p$ have the shape `event`.
///
/// # Errors
/// Those of the noise source.
pub fn antithetic_bits<'t, F: Real>(
    tape: &'t Tape<F>,
    draw: &Draw<'_, F>,
    probabilities: Var<'t, F>,
    event: &Shape,
) -> DistributionResult<[Var<'t, F>; 2]> {
    if draw.records_noise(tape) {
        let p = probabilities.stop_gradient();
        let noise = |fill: Fill| draw.record_noise(tape, fill, event);
        return Ok([noise(Fill::Mirrored)?.lt(p), noise(Fill::Uniform)?.lt(p)]);
    }
    // Both bits change where the uniform passes p or 1 − p: three cells.
    let p = draw.parameter(probabilities, event)?;
    let p = |element: usize| p.as_slice()[element].to_f64();
    let cells = draw.invert(event, &|element, cell| match cell {
        0 => p(element).min(1.0 - p(element)),
        1 => p(element).max(1.0 - p(element)),
        _ => 1.0,
    })?;
    let bits = |above: &dyn Fn(usize) -> u64, up: bool| {
        let bit = |element: usize| (cells.as_slice()[element].to_f64() as u64 >= above(element)) == up;
        let values = (0..cells.len()).map(|element| F::from_usize(usize::from(bit(element)))).collect::<Vec<_>>();
        draw.record(tape, stochgrad_tensor::Tensor::from_fn(cells.shape().clone(), |i| values[i]))
    };
    let likely = |element: usize| p(element) >= 0.5;
    Ok([
        bits(&|element| if likely(element) { 1 } else { 2 }, true),
        bits(&|element| if likely(element) { 2 } else { 1 }, false),
    ])
}
