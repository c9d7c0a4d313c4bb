//! The distribution function of Student's t distribution, its logarithm and its inverse.
//!
//! With x = nu / (nu + t²) and y = 1 - x, P(T > |t|) is I_x(nu/2, 1/2) / 2, and P(|T| < |t|) is I_y(1/2, nu/2).

use super::beta::Part;
use super::beta_derivative::by_first_over_kernel;
use super::erf::{erf, erfc};
use super::gamma_difference::{log_gamma_difference, log_gamma_shift};
use super::log_beta::log_beta;
use super::normal::{normal_icdf, normal_log_cdf, normal_log_mills};
use super::quadrature::{legendre, log_1p_minus_linear};
use super::root::rising_root;
use super::saddle_point::log_beta_kernel;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI};

/// From these degrees of freedom on, the derivative with respect to them is an integral of its own.
const LARGE: f64 = 10.0;

/// Derivatives at degrees of freedom below this value are those at it: they depend on their logarithm only, and 1 / nu
/// would overflow.
const SMALLEST: f64 = 1e-280;

fn in_domain(nu: f64) -> bool {
    nu > 0.0 && nu < f64::INFINITY
}

/// nu / (nu + t²) and t² / (nu + t²), each with a small relative error, for t >= 0.
fn shares(t: f64, nu: f64) -> (f64, f64) {
    let square = t * t;
    let odds = if square < f64::INFINITY && square / nu < f64::INFINITY && square > 1e-290 {
        square / nu
    } else {
        let ratio = t / nu.sqrt();
        ratio * ratio
    };
    if odds <= 1.0 {
        (1.0 / (1.0 + odds), odds / (1.0 + odds))
    } else {
        let against = 1.0 / odds;
        (against / (1.0 + against), 1.0 / (1.0 + against))
    }
}

/// Whether the normal distribution has the same values up to rounding, at t.
fn is_normal(t: f64, nu: f64) -> bool {
    nu > 1e17 && t * t <= 3e-9 * nu.sqrt()
}

/// The logarithm of the density at t.
fn log_density(t: f64, nu: f64) -> f64 {
    let ratio = t / nu.sqrt();
    let growth = if ratio.abs() < 1e150 { (ratio * ratio).ln_1p() } else { 2.0 * ratio.abs().ln() };
    log_height(nu) - 0.5 * (nu + 1.0) * growth
}

/// The coefficients of ln gamma(z + 1/2) - ln gamma(z) - ln(z) / 2 in powers of 1 / (2z), from the odd power 1 on; used
/// for 2z of at least 20, more for higher orders.
pub const HEIGHT: [f64; 8] = [
    -0.25,
    0.041666666666666664,
    -0.05,
    0.15178571428571427,
    -0.8611111111111112,
    7.8522727272727275,
    -105.01923076923077,
    1936.6020833333333,
];

/// The derivative of the given order of the logarithm of the density at 0, with respect to the degrees of freedom; order
/// 0 is the logarithm itself. It tends to -ln(2 pi) / 2, and its derivatives to 0, without cancellation.
///
/// Domain: nu > 0, finite; anything else gives NaN. Error below 1e-14 * max(1, |result|) for order 0; relative error
/// below 1e-12 for orders up to 6.
///
/// ```
/// # use stochgrad_tensor::special::student_t_log_height;
/// assert!((student_t_log_height(0, 1.0) + std::f64::consts::PI.ln()).abs() < 1e-14);
/// assert!((student_t_log_height(1, 1e10) / 2.5e-21 - 1.0).abs() < 1e-9);
/// ```
pub fn student_t_log_height(order: u32, nu: f64) -> f64 {
    if !in_domain(nu) {
        return f64::NAN;
    }
    if nu >= 20.0 + 5.0 * f64::from(order) {
        let inverse = 1.0 / nu;
        let square = inverse * inverse;
        let sum = HEIGHT.iter().enumerate().rev().fold(0.0, |sum, (k, &c)| {
            // The factor of the derivative of nu^-(2k + 1).
            let power = f64::from(2 * k as u32 + 1);
            let falling: f64 = (0..order).map(|i| -(power + f64::from(i))).product();
            sum * square + c * falling
        });
        let height = (0..order).fold(sum * inverse, |value, _| value * inverse);
        return if order == 0 { height - 0.5 * (2.0 * PI).ln() } else { height };
    }
    let half = 0.5 * nu;
    if order == 0 {
        return log_gamma_shift(half, 0.5) - 0.5 * (PI * nu).ln();
    }
    // The difference of digammas, and 1 / nu, where the former is 2 / nu for small nu.
    let factorial: f64 = (1..order).map(f64::from).product();
    let log_slope = 0.5 * factorial * nu.powi(-(order as i32)) * if order % 2 == 1 { 1.0 } else { -1.0 };
    0.5_f64.powi(order as i32) * log_gamma_difference(order, half, half + 0.5) - log_slope
}

/// The logarithm of the density at 0.
fn log_height(nu: f64) -> f64 {
    student_t_log_height(0, nu)
}

/// For t >= 0: the logarithms of P(T > t) and of P(0 < T < t).
fn log_parts(t: f64, nu: f64) -> (f64, f64) {
    if is_normal(t, nu) {
        return (normal_log_cdf(-t), (0.5 * erf(t * FRAC_1_SQRT_2)).ln());
    }
    let (x, y) = shares(t, nu);
    if x < 1e-290 {
        // The leading term of the series in x; the next one is below the rounding error.
        let log_x = if t < f64::INFINITY { nu.ln() - 2.0 * t.ln() } else { f64::NEG_INFINITY };
        let tail = (0.5 * nu * log_x - log_beta(0.5 * nu, 0.5) - (0.5 * nu).ln()).min(0.0);
        return (tail - LN_2, super::log1mexp(tail) - LN_2);
    }
    if y < 1e-290 {
        return (-LN_2, log_height(nu) + t.ln());
    }
    let part = Part::of(0.5 * nu, 0.5, x, y);
    (part.log_of(true) - LN_2, part.log_of(false) - LN_2)
}

/// P(T <= t) for Student's t distribution with `nu` degrees of freedom. The upper tail is the value at -t.
///
/// Domain: nu > 0, finite, and all t including both infinities; anything else gives NaN. Relative error of the smaller
/// tail below 2e-14 + 1e-15 |ln of the tail|, for all degrees of freedom: beyond 1e17 the limit is the normal
/// distribution where t is small enough. At most 500 terms are summed.
///
/// ```
/// # use stochgrad_tensor::special::student_t_cdf;
/// assert!((student_t_cdf(-1.0, 1.0) - 0.25).abs() < 1e-15);
/// assert!((student_t_cdf(-2.0, 1e14) / 0.0227501319481792 - 1.0).abs() < 1e-13);
/// ```
pub fn student_t_cdf(t: f64, nu: f64) -> f64 {
    if t.is_nan() || !in_domain(nu) {
        return f64::NAN;
    }
    let (tail, centre) = if is_normal(t, nu) {
        (0.5 * erfc(t.abs() * FRAC_1_SQRT_2), 0.5 * erf(t.abs() * FRAC_1_SQRT_2))
    } else {
        let (tail, centre) = log_parts(t.abs(), nu);
        (tail.exp(), centre.exp())
    };
    // The larger of the two loses no digits where it is added to 1/2.
    if t <= 0.0 {
        if tail < 0.25 { tail } else { 0.5 - centre }
    } else if tail < 0.25 {
        1.0 - tail
    } else {
        0.5 + centre
    }
}

/// ln of [`student_t_cdf`].
///
/// Domain: that of [`student_t_cdf`]; t = -inf gives -inf. The error is below 3e-14 * max(|result|, 1) for t <= 0 and
/// relative to the result for t > 0, also where the probability underflows.
///
/// ```
/// # use stochgrad_tensor::special::student_t_log_cdf;
/// // P(T <= t) is about 1 / (pi |t|) with one degree of freedom.
/// assert!((student_t_log_cdf(-1e300, 1.0) + (1e300_f64.ln() + std::f64::consts::PI.ln())).abs() < 1e-12);
/// ```
pub fn student_t_log_cdf(t: f64, nu: f64) -> f64 {
    if t.is_nan() || !in_domain(nu) {
        return f64::NAN;
    }
    let (tail, centre) = log_parts(t.abs(), nu);
    if t <= 0.0 { if tail < -1.0 { tail } else { (-2.0 * centre.exp()).ln_1p() - LN_2 } } else { (-tail.exp()).ln_1p() }
}

/// The t with P(T <= t) = p: the inverse of [`student_t_cdf`]. The quantile of the survival function is minus this
/// value.
///
/// Domain: 0 <= p <= 1 and nu > 0, finite; anything else gives NaN. The ends give both infinities, and so does a
/// quantile beyond the range of f64. Relative error below 1e-13 + 4e-16 |ln p| / nu, also next to the median and in both tails (Newton's
/// method on logarithms in a bracket, at most 200 steps).
///
/// ```
/// # use stochgrad_tensor::special::student_t_icdf;
/// assert!((student_t_icdf(0.75, 1.0) - 1.0).abs() < 1e-14);
/// assert!((student_t_icdf(1e-17, 1e4) / -8.50934916203638 - 1.0).abs() < 1e-13);
/// ```
pub fn student_t_icdf(p: f64, nu: f64) -> f64 {
    if !((0.0..=1.0).contains(&p) && in_domain(nu)) {
        return f64::NAN;
    }
    let (centre, tail, nu) = ((p - 0.5).abs(), p.min(1.0 - p), nu.max(SMALLEST));
    if centre == 0.0 {
        return 0.0;
    }
    if tail == 0.0 {
        return f64::INFINITY.copysign(p - 0.5);
    }
    let size = if tail < 0.25 { far_quantile(tail, nu) } else { central_quantile(centre, nu) };
    size.copysign(p - 0.5)
}

/// Half of x^(nu/2) y^(1/2) / B(nu/2, 1/2) as a logarithm: that of t times the density, and of minus the derivative of
/// the tail with respect to ln t.
fn log_slope(t: f64, nu: f64) -> f64 {
    t.ln() + log_density(t, nu)
}

/// The t > 0 with P(T > t) = tail, for a tail below 1/4.
fn far_quantile(tail: f64, nu: f64) -> f64 {
    let half = 0.5 * nu;
    // x^(nu/2) / (nu/2 B(nu/2, 1/2)) is a lower bound of twice the tail, and its limit for small x.
    let log_x = (((2.0 * tail).ln() + log_beta(half, 0.5) + half.ln()) / half).min(0.0);
    if log_x < -40.0 {
        return (0.5 * (nu.ln() - log_x)).exp();
    }
    // The tails are heavier than those of the normal distribution.
    let normal = -normal_icdf(tail);
    let power = (nu * (-log_x).exp_m1()).sqrt();
    let guess = power.max(normal).ln();
    let log_tail = tail.ln();
    let bracket = [guess - 1e-6, (0.5 * (nu.ln() - log_x)).max(normal.ln()) + 40.0];
    let log_t = rising_root(bracket, guess, |log_t| {
        let t = log_t.exp();
        let reached = log_parts(t, nu).0;
        (log_tail - reached, (log_slope(t, nu) - reached).exp())
    });
    corrected(log_t.exp(), |t| {
        let reached = log_parts(t, nu).0;
        (log_tail - reached) / (log_slope(t, nu) - reached).exp()
    })
}

/// The t > 0 with P(0 < T < t) = centre, for a centre up to 1/4.
fn central_quantile(centre: f64, nu: f64) -> f64 {
    let log_centre = centre.ln();
    // The density is at most its height.
    let guess = log_centre - log_height(nu);
    let log_t = rising_root([guess - 1e-6, guess.max(0.5 * nu.ln()) + 40.0 + 2.0 / nu], guess, |log_t| {
        let t = log_t.exp();
        let reached = log_parts(t, nu).1;
        (reached - log_centre, (log_slope(t, nu) - reached).exp())
    });
    corrected(log_t.exp(), |t| {
        let reached = log_parts(t, nu).1;
        (reached - log_centre) / (log_slope(t, nu) - reached).exp()
    })
}

/// A last step of Newton's method at the rounded value, since the logarithm of t may have more rounding error than t.
fn corrected(t: f64, step: impl Fn(f64) -> f64) -> f64 {
    if t == 0.0 || t == f64::INFINITY {
        return t;
    }
    let step = step(t);
    if step.abs() < 1e-6 { t * (1.0 - step) } else { t }
}

/// The derivative of [`student_t_cdf`] with respect to the degrees of freedom.
///
/// Domain: that of [`student_t_cdf`]. Relative error below 1e-9. It is an odd function of t.
///
/// ```
/// # use stochgrad_tensor::special::student_t_cdf_derivative;
/// assert!((student_t_cdf_derivative(-2.0, 3.0) + 0.015_255_481_525_655).abs() < 1e-14);
/// ```
pub fn student_t_cdf_derivative(t: f64, nu: f64) -> f64 {
    if t.is_nan() || !in_domain(nu) {
        return f64::NAN;
    }
    let (log_scale, factor) = tail_derivative(t.abs(), nu);
    // Where the scale underflows, the factor may be infinite.
    let scale = log_scale.exp();
    let tail = if scale == 0.0 { 0.0 } else { scale * factor };
    if t <= 0.0 { tail } else { -tail }
}

/// The derivative of [`student_t_log_cdf`] with respect to the degrees of freedom.
///
/// Domain: that of [`student_t_cdf`]. Relative error below 1e-9, also where the probability underflows.
pub fn student_t_log_cdf_derivative(t: f64, nu: f64) -> f64 {
    if t.is_nan() || !in_domain(nu) {
        return f64::NAN;
    }
    let (size, nu) = (t.abs(), nu.max(SMALLEST));
    let (log_scale, factor) = tail_derivative(size, nu);
    if factor == 0.0 {
        return 0.0;
    }
    if t > 0.0 {
        return -(log_scale - student_t_log_cdf(t, nu)).exp() * factor;
    }
    let scale = if log_scale < -100.0 {
        // The scale is t times the density: no difference of large logarithms.
        size * hazard(size, nu)
    } else {
        (log_scale - student_t_log_cdf(t, nu)).exp()
    };
    scale * factor
}

/// The derivative of [`student_t_log_cdf`] with respect to t: the density over the probability.
///
/// Domain: that of [`student_t_cdf`]. Relative error below 1e-12, also where the probability underflows; 0 at both
/// infinities.
///
/// ```
/// # use stochgrad_tensor::special::student_t_log_cdf_slope;
/// // The tail is a power far from 0.
/// assert!((student_t_log_cdf_slope(-1e200, 3.0) / 3e-200 - 1.0).abs() < 1e-14);
/// ```
pub fn student_t_log_cdf_slope(t: f64, nu: f64) -> f64 {
    if t.is_nan() || !in_domain(nu) {
        f64::NAN
    } else if t > 0.0 {
        (log_density(t, nu) - student_t_log_cdf(t, nu)).exp()
    } else {
        hazard(-t, nu)
    }
}

/// The density over P(T > t), for t >= 0.
fn hazard(t: f64, nu: f64) -> f64 {
    if t == f64::INFINITY {
        return 0.0;
    }
    if is_normal(t, nu) {
        return (-normal_log_mills(t) - 0.5 * (2.0 * PI).ln()).exp();
    }
    let (x, y) = shares(t, nu);
    if x < 1e-290 {
        return nu / t;
    }
    if y < 1e-290 {
        return 2.0 * log_height(nu).exp();
    }
    let half = 0.5 * nu;
    2.0 / t * Part::of(half, 0.5, x, y).kernel_over(true, || log_beta_kernel(half, 0.5, x, y))
}

/// The derivative of P(T > t) with respect to nu for t >= 0, as e^log_scale times a factor.
fn tail_derivative(t: f64, nu: f64) -> (f64, f64) {
    if t == 0.0 || t == f64::INFINITY {
        return (0.0, 0.0);
    }
    if nu >= LARGE {
        return large_tail_derivative(t, nu);
    }
    let nu = nu.max(SMALLEST);
    let (x, y) = shares(t, nu);
    if y < 1e-290 {
        return (0.0, 0.0);
    }
    let x = x.max(f64::MIN_POSITIVE);
    let half = 0.5 * nu;
    // The change of the shape, and the change of x, whose derivative with respect to nu is x y / nu.
    (log_beta_kernel(half, 0.5, x, y), 0.25 * by_first_over_kernel(half, 0.5, x, y) + 0.5 / nu)
}

/// The derivative of the log-density at s with respect to nu is, with w = s²/nu,
/// c' - (ln(1 + w) - w) / 2 - w² / (2 (1 + w)) + w / (2 nu (1 + w)). It has one sign change for s > 0, so that the
/// integral over one of the sides has none.
fn large_tail_derivative(t: f64, nu: f64) -> (f64, f64) {
    let height = student_t_log_height(1, nu);
    let slope = |s: f64| {
        let w = s / nu * s;
        let rest = w / (1.0 + w);
        height - 0.5 * log_1p_minus_linear(w) - 0.5 * w * rest + 0.5 * rest / nu
    };
    let drop = |from: f64, s: f64| {
        let growth = (s - from) / (nu + from * from) * (s + from);
        0.5 * (nu + 1.0) * growth.ln_1p()
    };
    if slope(t) >= 0.0 {
        let sum = legendre(0.0, t, |s| (-drop(0.0, s)).exp() * slope(s));
        return (log_height(nu), -sum);
    }
    // With s = t e^u, over an interval where the integrand falls by e^-45.
    let fall = |u: f64| drop(t, t * u.exp()) - u;
    let mut end = 1e-3_f64.min(1.0 / (1.0 + t * t));
    for _ in 0..200 {
        if fall(end) > 45.0 {
            break;
        }
        end *= 1.3;
    }
    let panel = 0.25 * end;
    let panels = [0.0, 1.0, 2.0, 3.0].map(|k| {
        legendre(k * panel, (k + 1.0) * panel, |u| {
            let s = t * u.exp();
            (u - drop(t, s)).exp() * slope(s)
        })
    });
    (log_slope(t, nu), panels.iter().sum())
}
