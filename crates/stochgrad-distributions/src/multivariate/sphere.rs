//! What the distributions on the unit sphere share. Directions and values are divided by their length, so that their
//! length has no effect and no derivative.

use crate::distribution::{Boundary, check_parameter, finite};
use crate::error::{DistributionError, DistributionResult};
use crate::noise::Draw;
use stochgrad_tape::{Condition, Var};
use stochgrad_tensor::{Real, Shape};

/// The largest distance of the length of a value from 1. Beyond it the log-density is −∞.
const TOLERANCE: f64 = 1e-3;

/// Vectors along the last axis, divided by their length.
pub(crate) fn unit<F: Real>(vector: Var<'_, F>) -> Var<'_, F> {
    vector / vector.norm_axis(-1).unsqueeze(-1)
}

/// The first coordinate vector.
fn first<'t, F: Real>(like: Var<'t, F>) -> Var<'t, F> {
    let n = like.shape().last().copied().unwrap_or(0);
    like.tape().constant_from_fn([n], |at| F::from_usize(usize::from(at == 0)))
}

/// Checks that vectors have at least two coordinates, and a direction.
pub(crate) fn check_direction<F: Real>(
    distribution: &'static str,
    parameter: &'static str,
    var: Var<'_, F>,
) -> DistributionResult<()> {
    let shape = var.shape();
    if shape.last().copied().unwrap_or(0) < 2 {
        let problem =
            format!("expected at least two coordinates along the last axis of {parameter}, got shape {shape}");
        return Err(DistributionError::Unsupported { distribution, problem });
    }
    finite(distribution, parameter, var)?;
    let hint = "the length of the vector has no effect, but a vector of zeros has no direction";
    let expected = "a vector of positive, finite length";
    check_parameter(distribution, parameter, var.norm_axis(-1), expected, hint, Condition::POSITIVE)
}

/// A log-density at values divided by their length, and −∞ with zero derivatives where the length is not 1 to within
/// the tolerance.
pub(crate) fn on_sphere<'t, F: Real>(value: Var<'t, F>, density: impl FnOnce(Var<'t, F>) -> Var<'t, F>) -> Var<'t, F> {
    let excess = (value.norm_axis(-1) - 1.0).abs();
    let off = Boundary::Included.outside(TOLERANCE - excess);
    let on = off.unsqueeze(-1).select(first(value), value);
    off.select(value.tape().constant(f64::NEG_INFINITY), density(unit(on)))
}

/// Points of the sphere at an angle from a direction, of length 1, in a uniform direction away from it. `cosine` and
/// `sine` are those of the angle.
///
/// A point around the first axis, or around its opposite, is reflected. Of the two, that which is farther from the
/// direction is taken, so that the reflection is a smooth function of the direction.
pub(crate) fn around<'t, F: Real>(
    direction: Var<'t, F>,
    [cosine, sine]: [Var<'t, F>; 2],
    draw: &Draw<'_, F>,
    event: &Shape,
) -> DistributionResult<Var<'t, F>> {
    let (tape, pole) = (direction.tape(), first(direction));
    let noise = draw.purpose("direction").record_normal(tape, event)? * (1.0 - pole);
    let leading = direction.slice(-1, 0..1);
    let sign = leading.held().ge(tape.constant(0.0)) * 2.0 - 1.0;
    let local = unit(noise) * sine.unsqueeze(-1) - pole * (sign * cosine.unsqueeze(-1));
    // The normal vector of the mirror has the squared length 2 (1 + |leading|).
    let normal = direction + pole * sign;
    let along = (normal * local).sum_axis(-1).unsqueeze(-1);
    Ok(local - normal * (along / (sign * leading + 1.0)))
}

/// The squared distance of unit vectors along the last axis.
pub(crate) fn square_distance<'t, F: Real>(a: Var<'t, F>, b: Var<'t, F>) -> Var<'t, F> {
    (a - b).square().sum_axis(-1)
}

/// A function of ln((1 + c) / 2), where c is the cosine of the angle between unit vectors: accurate in the direction
/// itself, and −∞ with zero derivatives opposite to it, where the logarithm is −∞.
pub(crate) fn by_log_half_cosine<'t, F: Real>(
    [direction, value]: [Var<'t, F>; 2],
    density: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
) -> Var<'t, F> {
    let tape = value.tape();
    let (from, toward) = (square_distance(value, direction), square_distance(value, -direction));
    let near = from.held().le(tape.constant(2.0));
    let opposite = toward.held().le(tape.constant(0.0));
    let close = (near.select(from, tape.constant(0.0)) * -0.25).log1p();
    let far = ((near + opposite).select(tape.constant(4.0), toward) * 0.25).ln();
    opposite.select(tape.constant(f64::NEG_INFINITY), density(near.select(close, far)))
}
