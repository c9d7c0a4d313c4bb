//! Quadrature for the tails of the gamma and beta distributions, and for derivatives of the former.
//!
//! With t = x e^u the two parts of the gamma integral, divided by x^a e^-x, are integrals of exp(-f(u)) over u < 0 and
//! u > 0, where f(u) = (x - a) u + x (e^u - 1 - u) is convex and f(0) = 0. On one side (u < 0 where x <= a, otherwise
//! u > 0) the integrand decreases monotonically from 1. A fixed Gauss-Legendre rule on the interval where f is below a
//! cutoff therefore reaches the rounding error, for every a that is not small. The beta distribution is treated in the
//! same way, on the logit scale.

/// The positive nodes of the 32-point Gauss-Legendre rule on [-1, 1], and their weights (Abramowitz & Stegun, table
/// 25.4).
pub const LEGENDRE: [(f64, f64); 16] = [
    (0.9972638618494816, 0.007018610009470096),
    (0.9856115115452684, 0.01627439473090567),
    (0.9647622555875064, 0.02539206530926206),
    (0.9349060759377397, 0.03427386291302143),
    (0.8963211557660521, 0.04283589802222668),
    (0.84936761373257, 0.050998059262376175),
    (0.7944837959679424, 0.058684093478535544),
    (0.7321821187402897, 0.06582222277636185),
    (0.6630442669302152, 0.0723457941088485),
    (0.5877157572407623, 0.07819389578707031),
    (0.5068999089322294, 0.08331192422694675),
    (0.42135127613063533, 0.08765209300440381),
    (0.33186860228212767, 0.09117387869576389),
    (0.23928736225213706, 0.09384439908080457),
    (0.1444719615827965, 0.09563872007927486),
    (0.04830766568773832, 0.0965400885147278),
];

/// The value of f at which the integrand is cut off: e^-40 is far below the rounding error of the sum.
const CUTOFF: f64 = 40.0;

/// The integral of a function over an interval, by the 32-point rule.
pub(super) fn legendre(from: f64, to: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (half, middle) = (0.5 * (to - from), 0.5 * (to + from));
    let sum: f64 =
        LEGENDRE.iter().map(|&(node, weight)| weight * (f(middle - half * node) + f(middle + half * node))).sum();
    half * sum
}

/// The side of x over which the gamma density is integrated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// From 0 to x, for x <= a.
    Lower,
    /// From x to infinity, for x >= a.
    Upper,
}

/// The integrals of exp(-f), of |u| exp(-f) and of u² exp(-f) over one side.
#[derive(Clone, Copy)]
pub(super) struct TailIntegrals {
    pub(super) mass: f64,
    pub(super) moment: f64,
    pub(super) second: f64,
}

/// e^u - 1 - u, with a small relative error near 0.
fn exp_minus_linear(u: f64) -> f64 {
    if u.abs() > 0.2 {
        return u.exp_m1() - u;
    }
    let mut sum = 1.0;
    for k in (3..14).rev() {
        sum = 1.0 + sum * u / f64::from(k);
    }
    0.5 * u * u * sum
}

/// ln(1 + w) - w, with a small relative error near 0.
pub(super) fn log_1p_minus_linear(w: f64) -> f64 {
    if w.abs() > 0.2 {
        return w.ln_1p() - w;
    }
    let v = w / (2.0 + w);
    let square = v * v;
    let mut sum = 0.0;
    for k in (1..12).rev() {
        sum = square * (sum + 1.0 / f64::from(2 * k + 1));
    }
    2.0 * v * sum - w * v
}

/// Integrates exp(-f(s)), s exp(-f(s)) and s² exp(-f(s)) over s > 0, for a convex, increasing f with f(0) = 0.
///
/// `derivative` is the first derivative of f, and `curvature` approximates its second derivative near 0.
fn integrate(f: impl Fn(f64) -> f64, derivative: impl Fn(f64) -> f64, curvature: f64) -> TailIntegrals {
    // On a convex function, Newton's method approaches the root from the right after its first step.
    let slope = derivative(0.0);
    let mut end = 2.0 * CUTOFF / (slope + slope.hypot((2.0 * CUTOFF).sqrt() * curvature.max(f64::MIN_POSITIVE).sqrt()));
    for _ in 0..4 {
        end -= (f(end) - CUTOFF) / derivative(end);
    }

    let half = 0.5 * end;
    let mut mass = 0.0;
    let mut moment = 0.0;
    let mut second = 0.0;
    for (node, weight) in LEGENDRE {
        for s in [half * (1.0 - node), half * (1.0 + node)] {
            let value = weight * (-f(s)).exp();
            mass += value;
            moment += s * value;
            second += s * s * value;
        }
    }
    TailIntegrals { mass: mass * half, moment: moment * half, second: second * half }
}

/// The tail integrals of the gamma distribution with shape a, on the given side of x.
pub(super) fn gamma_tail(a: f64, x: f64, side: Side) -> TailIntegrals {
    let sign = match side {
        Side::Lower => -1.0,
        Side::Upper => 1.0,
    };
    let slope = sign * (x - a);
    integrate(|s| slope * s + x * exp_minus_linear(sign * s), |s| slope + x * sign * (sign * s).exp_m1(), x)
}

/// The integral of exp(-x (e^u - 1) - n u) over u > 0, for x >= 1.
pub(super) fn exponential_tail(n: f64, x: f64) -> f64 {
    integrate(|u| x * u.exp_m1() + n * u, |u| x * u.exp() + n, x).mass
}

/// The integral of t^(a-1) (1 - t)^(b-1) over t < x, divided by x^a y^b; y = 1 - x, x <= a / (a + b), and neither a nor
/// b small.
///
/// With s = logit(x) - logit(t) the exponent is f(s) = (a y - b x) s + (a + b) (ln(1 + x (e^-s - 1)) + x s).
pub(super) fn beta_lower_tail(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    // a y - b x, from the smaller of x and y.
    let slope = if x <= y { a - n * x } else { n * y - b };
    // Two forms of the same function. Each subtracts quantities of the order of the smaller of x and y.
    let cumulant = |s: f64| {
        let (share, s) = if x <= y { (x, -s) } else { (y, s) };
        log_1p_minus_linear(share * s.exp_m1()) + share * exp_minus_linear(s)
    };
    integrate(|s| slope * s + n * cumulant(s), |s| slope - n * x * y * (-s).exp_m1() / (y + x * (-s).exp()), n * x * y)
        .mass
}
