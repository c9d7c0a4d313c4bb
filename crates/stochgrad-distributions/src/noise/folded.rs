//! Uniform samples for quantiles that need both tails.

use crate::error::DistributionResult;
use crate::noise::draw::Draw;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::{Real, Shape};

/// Recorded uniform samples for quantiles that need both tails.
pub(crate) struct FoldedNoise<'t, F: Real> {
    /// 1 where the sample is in the lower half, and 0 elsewhere.
    pub(crate) lower: Var<'t, F>,
    /// The sample in the lower half, and 1 minus the sample elsewhere.
    pub(crate) tail: Var<'t, F>,
    /// The logarithm of the sample.
    pub(crate) log_probability: Var<'t, F>,
}

impl<'t, F: Real> FoldedNoise<'t, F> {
    pub(crate) fn record(draw: &Draw<'_, F>, tape: &'t Tape<F>, event: &Shape) -> DistributionResult<Self> {
        let noise = draw.record_noise(tape, Fill::Folded, event)?;
        let zero = tape.constant(0.0);
        let lower = noise.gt(zero);
        let tail = noise.abs();
        let log_probability = lower.select(tail.ln(), noise.minimum(zero).log1p());
        Ok(FoldedNoise { lower, tail, log_probability })
    }
}
