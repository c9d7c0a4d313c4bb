//! Quadrature, and the tails of the gamma and beta distributions.

use super::numeric::{entry, function, hypot, polynomial, repeat, table};
use crate::lowering::builder::{Builder, Value};
use stochgrad_tensor::special::tables::GAUSS_LEGENDRE;

/// The value of the exponent at which an integrand is cut off.
const CUTOFF: f64 = 40.0;

/// The number of nodes.
const NODES: usize = 2 * GAUSS_LEGENDRE.len();

/// The nodes on [−1, 1] and their weights.
fn nodes(builder: &Builder) -> [Value<'_>; 2] {
    let pairs: Vec<(f64, f64)> = GAUSS_LEGENDRE.iter().flat_map(|&(x, w)| [(-x, w), (x, w)]).collect();
    let (places, weights): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    [table(builder, &places), table(builder, &weights)]
}

/// The integral of a function over an interval, by the 32-point rule.
pub(super) fn legendre<'b>(from: Value<'b>, to: Value<'b>, f: impl FnOnce(Value<'b>) -> Value<'b>) -> Value<'b> {
    let (half, middle) = ((to - from) * 0.5, (to + from) * 0.5);
    let [places, weights] = nodes(from.builder);
    let [sum] = repeat(NODES, [half.fill(0.0)], |index, [sum]| {
        let (place, weight) = (entry(places, index), entry(weights, index));
        [sum + weight * f(middle + half * place)]
    });
    half * sum
}

/// The integral of a function over [0, 1], in the shape of `like`.
pub(super) fn legendre_unit<'b>(like: Value<'b>, f: impl FnOnce(Value<'b>) -> Value<'b>) -> Value<'b> {
    legendre(like.fill(0.0), like.fill(1.0), f)
}

/// e^u − 1 − u.
pub(super) fn exp_minus_linear(u: Value<'_>) -> Value<'_> {
    let series = (3..14).rev().fold(u.fill(1.0), |sum, k| sum * u * (1.0 / f64::from(k)) + 1.0);
    u.abs().gt(0.2).select(u.expm1() - u, u * u * 0.5 * series)
}

/// ln(1 + w) − w.
pub(super) fn log_1p_minus_linear(w: Value<'_>) -> Value<'_> {
    let v = w / (w + 2.0);
    let square = v * v;
    let coefficients: Vec<f64> = (1..12).map(|k| 1.0 / f64::from(2 * k + 1)).collect();
    let near = v * 2.0 * (square * polynomial(&coefficients, square)) - w * v;
    w.abs().gt(0.2).select(w.log1p() - w, near)
}

/// Integrates exp(−f(s)), s exp(−f(s)) and further powers of s over s > 0, for a convex, increasing f with f(0) = 0.
fn integrate<'b, const N: usize>(
    f: impl Fn(Value<'b>) -> Value<'b>,
    derivative: impl Fn(Value<'b>) -> Value<'b>,
    slope: Value<'b>,
    curvature: Value<'b>,
) -> [Value<'b>; N] {
    // On a convex function, Newton's method approaches the root from the right after its first step.
    let spread = curvature.max(f64::MIN_POSITIVE).sqrt() * (2.0 * CUTOFF).sqrt();
    let start = 2.0 * CUTOFF / (slope + hypot(slope, spread));
    let [end] = repeat(4, [start], |_, [end]| [end - (f(end) - CUTOFF) / derivative(end)]);
    let half = end * 0.5;
    let [places, weights] = nodes(end.builder);
    let moments = repeat(NODES, [half.fill(0.0); N], |index, moments| {
        let s = half * (entry(places, index) + 1.0);
        let mut value = entry(weights, index) * (-f(s)).exp();
        std::array::from_fn(|power| {
            if power > 0 {
                value = s * value;
            }
            moments[power] + value
        })
    });
    moments.map(|moment| moment * half)
}

/// The tail integrals of the gamma distribution with shape a beyond x, or below it: its mass and the mean distance from
/// ln x, each over x^a e^−x, and as many further moments of the distance as are asked for.
pub(super) fn gamma_tail<'b, const N: usize>(a: Value<'b>, x: Value<'b>, upper: Value<'b>) -> [Value<'b>; N] {
    let key = if N > 2 { "gamma_tail_moments" } else { "gamma_tail" };
    function(key, [a, x, upper], |[a, x, upper]| {
        let sign = upper.select(x.fill(1.0), -1.0);
        let slope = sign * (x - a);
        integrate(|s| slope * s + x * exp_minus_linear(sign * s), |s| slope + x * sign * (sign * s).expm1(), slope, x)
    })
}

/// The integral of exp(−x (e^u − 1) − n u) over u > 0, for x ≥ 1.
pub(super) fn exponential_tail(n: f64, x: Value<'_>) -> Value<'_> {
    let [mass] = integrate(|u| x * u.expm1() + u * n, |u| x * u.exp() + n, x + n, x);
    mass
}

/// The integral of t^(a−1) (1 − t)^(b−1) over t < x, divided by x^a y^b.
pub(super) fn beta_lower_tail<'b>(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> Value<'b> {
    let [mass, _]: [Value<'b>; 2] = function("beta_lower_tail", [a, b, x, y], |[a, b, x, y]| {
        let n = a + b;
        // a y − b x, from the smaller of x and y.
        let first = x.le(y);
        let slope = first.select(a - n * x, n * y - b);
        let share = first.select(x, y);
        // Two forms of the same function. Each subtracts quantities of the order of the smaller of x and y.
        let cumulant = |s: Value<'b>| {
            let s = first.select(-s, s);
            log_1p_minus_linear(share * s.expm1()) + share * exp_minus_linear(s)
        };
        integrate(
            |s| slope * s + n * cumulant(s),
            |s| slope - n * x * y * (-s).expm1() / (y + x * (-s).exp()),
            slope,
            n * x * y,
        )
    });
    mass
}
