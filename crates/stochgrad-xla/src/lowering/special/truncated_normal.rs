//! The standard normal distribution between two bounds.

use super::erf::{erf, erfc};
use super::normal::{HALF_LOG_TAU, normal_cdf, normal_icdf_of_log, normal_log_cdf};
use super::normal_quantile::standard_quantile;
use super::numeric::{function, inside, is_probability, single};
use super::quadrature::legendre;
use crate::lowering::builder::Value;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Bounds are close together if their distance is at most this.
const CLOSE: f64 = 4.0;

/// The exponent at which an integrand is cut off.
const CUTOFF: f64 = 40.0;

/// The integral of e^(−start s − s²/2) g(s) over s from 0 to a width.
fn integral<'b>(start: Value<'b>, width: Value<'b>, g: impl FnOnce(Value<'b>) -> Value<'b>) -> Value<'b> {
    // The root of the quadratic equation without cancellation.
    let end = width.min(2.0 * CUTOFF / ((start * start + 2.0 * CUTOFF).sqrt() + start));
    legendre(start.fill(0.0), end, |s| (-s * (start + s * 0.5)).exp() * g(s))
}

/// The integrals of the powers 0 and 1.
fn moments<'b>(start: Value<'b>, width: Value<'b>) -> [Value<'b>; 2] {
    function("truncated_normal_integrals", [start, width], |[start, width]| {
        [integral(start, width, |s| s.fill(1.0)), integral(start, width, |s| s)]
    })
}

/// The mass between the bounds over the density at the bound nearer to 0, or at 0 between them, and that point.
fn scaled_mass<'b>(low: Value<'b>, high: Value<'b>) -> [Value<'b>; 2] {
    function("normal_scaled_mass", [low, high], |[low, high]| {
        let (right, left) = (low.ge(0.0), high.le(0.0));
        let start = right.select(low, left.select(-high, 0.0));
        let across = (erf(high * FRAC_1_SQRT_2) - erf(low * FRAC_1_SQRT_2)) * (0.5 * PI).sqrt();
        let edge = right.select(low, left.select(high, 0.0));
        [(right | left).select(moments(start, high - low)[0], across), edge]
    })
}

/// (a² − b²) / 2.
fn half_square_difference<'b>(a: Value<'b>, b: Value<'b>) -> Value<'b> {
    (a - b) * 0.5 * (a + b)
}

/// ln P(low < Z < high).
pub(crate) fn normal_log_mass<'b>(low: Value<'b>, high: Value<'b>) -> Value<'b> {
    single("normal_log_mass", [low, high], |[low, high]| {
        let outside = normal_cdf(low) + normal_cdf(-high);
        let [mass, edge] = scaled_mass(low, high);
        let far = mass.ln() - edge * edge * 0.5 - HALF_LOG_TAU;
        inside(low.lt(high), outside.lt(0.5).select((-outside).log1p(), far))
    })
}

/// ln of the mass over the density at the edge.
pub(crate) fn normal_log_scaled_mass<'b>(low: Value<'b>, high: Value<'b>) -> Value<'b> {
    inside(low.lt(high), scaled_mass(low, high)[0].ln())
}

/// ln of the mass over the density at the lower bound.
pub(crate) fn normal_log_mass_over_density<'b>(low: Value<'b>, high: Value<'b>) -> Value<'b> {
    let [mass, edge] = scaled_mass(low, high);
    inside(low.lt(high), mass.ln() + half_square_difference(low, edge))
}

/// The density at the lower bound over the mass, less the lower bound where that is positive.
pub(crate) fn normal_hazard_at_edge<'b>(low: Value<'b>, high: Value<'b>) -> Value<'b> {
    single("normal_hazard_at_edge", [low, high], |[low, high]| {
        let plain = (-normal_log_mass_over_density(low, high)).exp();
        // With I, the integral of e^(−low s − s²/2), this is (1 − low I) / I, and the numerator is an integral by
        // parts.
        let width = high - low;
        let beyond = (-width * (low + width * 0.5)).exp();
        let [mass, mean] = moments(low, width);
        (low.lt(high) & low.gt(0.0)).select((beyond + mean) / mass, plain)
    })
}

/// P(Z ≤ z) between two bounds.
pub(crate) fn truncated_normal_cdf<'b>(z: Value<'b>, low: Value<'b>, high: Value<'b>) -> Value<'b> {
    single("truncated_normal_cdf", [z, low, high], |[z, low, high]| {
        let ([part, at], [mass, edge]) = (scaled_mass(low, z), scaled_mass(low, high));
        let value = (part / mass * half_square_difference(edge, at).exp()).min(1.0);
        let value = z.le(low).select(0.0, z.ge(high).select(1.0, value));
        inside(!z.is_nan() & low.lt(high), value)
    })
}

/// The z with P(Z ≤ z) = u between two bounds.
pub(crate) fn truncated_normal_icdf<'b>(u: Value<'b>, low: Value<'b>, high: Value<'b>) -> Value<'b> {
    single("truncated_normal_icdf", [u, low, high], |[u, low, high]| {
        let (right, left) = (low.gt(0.0), high.lt(0.0));
        let share = right.select(1.0 - u, u);
        let (far, near) = (right.select(-high, low), right.select(-low, high));
        let tail = lower_quantile(share, normal_log_cdf(far), normal_log_cdf(near));
        let tail = right.select(-tail, tail);
        // The probability minus one half near the middle, else that of the tail on its side: neither cancels.
        let [from, to] = [low, high].map(|bound| erf(bound * FRAC_1_SQRT_2) * 0.5);
        let (below, above) = (normal_cdf(low), normal_cdf(-high));
        let rest = 1.0 - u;
        let centred = from * rest + to * u;
        let lower = below * rest + (1.0 - above) * u;
        let upper = above * u + (1.0 - below) * rest;
        let across = standard_quantile(centred, centred.lt(0.0).select(lower, upper));
        let z = (right | left).select(tail, across).max(low).min(high);
        inside(is_probability(u) & low.lt(high), z)
    })
}

/// The quantile between two bounds that are not positive, given the logarithms of the distribution function at them.
fn lower_quantile<'b>(u: Value<'b>, far: Value<'b>, near: Value<'b>) -> Value<'b> {
    // The probability divided by that of the near bound: u + (1 − u) e^(far − near).
    let share = u + (1.0 - u) * (far - near).exp();
    let close = ((1.0 - u) * (far - near).expm1()).log1p();
    normal_icdf_of_log((near + share.lt(0.5).select(share.ln(), close)).min(0.0))
}

/// The distance of the mean from the lower bound.
pub(crate) fn truncated_normal_excess<'b>(low: Value<'b>, high: Value<'b>) -> Value<'b> {
    single("truncated_normal_excess", [low, high], |[low, high]| {
        let width = high - low;
        let near = low.ge(0.0) | (low.gt(-4.0) & width.le(CLOSE));
        let [mass, mean] = moments(low, width);
        let far = truncated_normal_moments(low, high)[0] - low;
        inside(low.lt(high), near.select(mean / mass, far))
    })
}

/// The mean and the variance between two bounds.
pub(crate) fn truncated_normal_moments<'b>(low: Value<'b>, high: Value<'b>) -> [Value<'b>; 2] {
    function("truncated_normal_moments", [low, high], |[low, high]| {
        let width = high - low;
        let from_low = low.ge(0.0) | (width.le(CLOSE) & high.ge(-low));
        let from_high = high.le(0.0) | width.le(CLOSE);
        let start = from_low.select(low, -high);
        let [mass, first] = moments(start, width);
        let distance = first / mass;
        let spread = integral(start, width, |s| (s - distance) * (s - distance)) / mass;
        let total = (erfc(low * FRAC_1_SQRT_2) - erfc(high * FRAC_1_SQRT_2)) * 0.5;
        let share = |z: Value<'b>| z.abs().lt(40.0).select((z * z * -0.5 - HALF_LOG_TAU).exp() / total, 0.0);
        let (at_low, at_high) = (share(low), share(high));
        let weighted = |z: Value<'b>, share: Value<'b>| share.equal(0.0).select(0.0, z * share);
        let mean = at_low - at_high;
        let variance = weighted(low, at_low) + 1.0 - weighted(high, at_high) - mean * mean;
        let means = from_low.select(low + distance, from_high.select(high - distance, mean));
        let variances = (from_low | from_high).select(spread, variance);
        [means, variances].map(|value| inside(low.lt(high), value))
    })
}
