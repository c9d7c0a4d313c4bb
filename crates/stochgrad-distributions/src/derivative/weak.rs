//! Two general rules for weak derivatives, and the code that implementations share.
//!
//! Let $h$ be the logarithm of a density that falls on both sides of its mode, and $E$ a standard exponential sample.
//!
//! * **Location families.** With $p(m)$ the density at the mode, the derivative with respect to the location is $p(m)$
//!   times the difference of the two distributions whose members are the points right and left of the mode where $h$
//!   has fallen by $E$: the right part has the survival function $p(x)/p(m)$ and the left part has the distribution
//!   function $p(x)/p(m)$. One $E$ serves both.
//! * **Scale families around 0** (Khinchine 1938). The derivative with respect to the scale $\sigma$ is $1/\sigma$
//!   times the difference of the distribution of $Y$, with density $-y\,p'(y)$, and the distribution itself. Given the
//!   sample $x$, the coupled $Y$ is the point farther out, on the same side, where $h$ has fallen by $E$ from $h(x)$:
//!   one replay.
//!
//! Both rules need a single function: the distance from the mode at which the density has fallen by a given factor.

use crate::distribution::Alternatives;
use crate::error::DistributionResult;
use crate::noise::Draw;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape};

/// The weak derivative with respect to the location of a distribution with a single mode, as recorded operations.
///
/// `density_at_mode` is its constant. `level` maps a standard exponential sample `E` to the points right and left of
/// the mode where the logarithm of the density is `E` below its highest value.
///
/// # Errors
/// If the noise source cannot provide the noise.
pub fn location_derivative<'t, F: Real>(
    tape: &'t Tape<F>,
    draw: &Draw<'_, F>,
    event: &Shape,
    density_at_mode: Var<'t, F>,
    level: impl FnOnce(Var<'t, F>) -> (Var<'t, F>, Var<'t, F>),
) -> DistributionResult<Alternatives<'t, F>> {
    let (right, left) = level(draw.purpose("level").record_exponential(tape, event)?);
    Ok(Alternatives { values: vec![right, left], weights: vec![density_at_mode, -density_at_mode] })
}

/// The weak derivative with respect to the scale of a distribution whose density falls on both sides of 0 (or of its
/// location), as recorded operations.
///
/// `outward` maps a standard exponential sample `E` to the point farther out than the sample, on the same side, where
/// the logarithm of the density is `E` below that at the sample.
///
/// # Errors
/// If the noise source cannot provide the noise.
pub fn scale_derivative<'t, F: Real>(
    tape: &'t Tape<F>,
    draw: &Draw<'_, F>,
    event: &Shape,
    scale: Var<'t, F>,
    outward: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
) -> DistributionResult<Alternatives<'t, F>> {
    let farther = outward(draw.purpose("outward").record_exponential(tape, event)?);
    Ok(Alternatives { values: vec![farther], weights: vec![scale.recip()] })
}

/// Writes [`sample`](crate::Distribution::sample) for a distribution whose
/// samples are its path.
macro_rules! drawn_by_path {
    () => {
        fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
            Ok(self.rsample(draw)?.stop_gradient())
        }
    };
}

/// Writes [`sample`](crate::Distribution::sample) for a distribution of counts
/// that is drawn by inversion: a function of recorded noise of a kind, or, where noise is not recorded (the exact oracle
/// splits it instead), what the method `inverted` of the distribution gives.
macro_rules! drawn_by_quantile {
    ($fill:expr, $quantile:expr) => {
        fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
            let tape = self.tape()?;
            if !draw.records_noise(tape) {
                return Ok(draw.record(tape, self.inverted(draw)?));
            }
            let quantile: fn(&Self, Var<'t, F>) -> Var<'t, F> = $quantile;
            Ok(quantile(self, draw.record_noise(tape, $fill, &self.event_shape())?).stop_gradient())
        }
    };
}

pub(crate) use {drawn_by_path, drawn_by_quantile};
