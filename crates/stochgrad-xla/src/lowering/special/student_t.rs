//! The distribution function of Student's t distribution, its logarithm and its inverse.

use super::beta::Part;
use super::beta_derivative::by_first_over_kernel;
use super::erf::{erf, erfc};
use super::gamma_difference::{log_gamma_difference, log_gamma_shift};
use super::log_beta::log_beta;
use super::logistic::log1mexp;
use super::normal::{HALF_LOG_TAU, normal_icdf, normal_log_cdf, normal_log_mills};
use super::numeric::{function, inside, is_positive, is_probability, iterate, polynomial, single, with_sign};
use super::quadrature::{legendre, log_1p_minus_linear};
use super::root::evaluated_root;
use super::saddle_point::log_beta_kernel;
use crate::lowering::builder::Value;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI};
use stochgrad_tensor::special::tables::STUDENT_T_HEIGHT;

/// From these degrees of freedom on, the derivative with respect to them is an integral of its own.
const LARGE: f64 = 10.0;

/// Derivatives at degrees of freedom below this value are those at it.
const SMALLEST: f64 = 1e-280;

/// nu / (nu + t²) and t² / (nu + t²), for t ≥ 0.
fn shares<'b>(t: Value<'b>, nu: Value<'b>) -> [Value<'b>; 2] {
    let square = t * t;
    let ratio = t / nu.sqrt();
    let direct = square.lt(f64::INFINITY) & (square / nu).lt(f64::INFINITY) & square.gt(1e-290);
    let odds = direct.select(square / nu, ratio * ratio);
    let against = 1.0 / odds;
    let small = odds.le(1.0);
    [
        small.select(1.0 / (odds + 1.0), against / (against + 1.0)),
        small.select(odds / (odds + 1.0), 1.0 / (against + 1.0)),
    ]
}

/// Whether the normal distribution has the same values up to rounding, at t.
fn is_normal<'b>(t: Value<'b>, nu: Value<'b>) -> Value<'b> {
    nu.gt(1e17) & (t * t).le(nu.sqrt() * 3e-9)
}

/// The logarithm of the density at t.
fn log_density<'b>(t: Value<'b>, nu: Value<'b>) -> Value<'b> {
    let ratio = (t / nu.sqrt()).abs();
    let growth = ratio.lt(1e150).select((ratio * ratio).log1p(), ratio.ln() * 2.0);
    log_height(nu) - (nu + 1.0) * 0.5 * growth
}

/// The derivative of this order of the logarithm of the density at 0, with respect to the degrees of freedom.
pub(crate) fn student_t_log_height(order: u32, nu: Value<'_>) -> Value<'_> {
    single(&format!("student_t_log_height_{order}"), [nu], |[nu]| {
        let inverse = 1.0 / nu;
        let coefficients: Vec<f64> = STUDENT_T_HEIGHT
            .iter()
            .enumerate()
            .map(|(k, &c)| {
                // The factor of the derivative of nu^−(2k + 1).
                let power = f64::from(2 * k as u32 + 1);
                c * (0..order).map(|i| -(power + f64::from(i))).product::<f64>()
            })
            .collect();
        let sum = polynomial(&coefficients, inverse * inverse) * inverse;
        let far = (0..order).fold(sum, |value, _| value * inverse);
        let half = nu * 0.5;
        let (far, near) = if order == 0 {
            (far - HALF_LOG_TAU, log_gamma_shift(half, half.fill(0.5)) - (nu * PI).ln() * 0.5)
        } else {
            // The difference of digammas, and 1 / nu, where the former is 2 / nu for small nu.
            let factorial: f64 = (1..order).map(f64::from).product();
            let sign = if order % 2 == 1 { 1.0 } else { -1.0 };
            let power = (0..order).fold(nu.fill(0.5 * factorial * sign), |power, _| power * inverse);
            (far, log_gamma_difference(order, half, half + 0.5) * 0.5_f64.powi(order as i32) - power)
        };
        inside(is_positive(nu), nu.ge(20.0 + 5.0 * f64::from(order)).select(far, near))
    })
}

fn log_height(nu: Value<'_>) -> Value<'_> {
    student_t_log_height(0, nu)
}

/// For t ≥ 0: the logarithms of P(T > t) and of P(0 < T < t).
fn log_parts<'b>(t: Value<'b>, nu: Value<'b>) -> [Value<'b>; 2] {
    function("student_t_log_parts", [t, nu], |[t, nu]| {
        let normal = [normal_log_cdf(-t), (erf(t * FRAC_1_SQRT_2) * 0.5).ln()];
        let [x, y] = shares(t, nu);
        // The leading term of the series in x; the next one is below the rounding error.
        let half = nu * 0.5;
        let log_x = t.lt(f64::INFINITY).select(nu.ln() - t.ln() * 2.0, f64::NEG_INFINITY);
        let tail = (half * log_x - log_beta(half, half.fill(0.5)) - half.ln()).min(0.0);
        let far = [tail - LN_2, log1mexp(tail) - LN_2];
        let near = [t.fill(-LN_2), log_height(nu) + t.ln()];
        let part = Part::of(half, half.fill(0.5), x, y);
        let middle = [part.log_of(t.fill_truth(true)) - LN_2, part.log_of(t.fill_truth(false)) - LN_2];
        std::array::from_fn(|i| {
            let value = x.lt(1e-290).select(far[i], y.lt(1e-290).select(near[i], middle[i]));
            is_normal(t, nu).select(normal[i], value)
        })
    })
}

fn in_domain<'b>(t: Value<'b>, nu: Value<'b>) -> Value<'b> {
    !t.is_nan() & is_positive(nu)
}

/// P(T ≤ t).
pub(crate) fn student_t_cdf<'b>(t: Value<'b>, nu: Value<'b>) -> Value<'b> {
    single("student_t_cdf", [t, nu], |[t, nu]| {
        let size = t.abs();
        let normal = is_normal(t, nu);
        let [tail, centre] = log_parts(size, nu).map(Value::exp);
        let tail = normal.select(erfc(size * FRAC_1_SQRT_2) * 0.5, tail);
        let centre = normal.select(erf(size * FRAC_1_SQRT_2) * 0.5, centre);
        // The larger of the two loses no digits where it is added to 1/2.
        let small = tail.lt(0.25);
        let below = small.select(tail, 0.5 - centre);
        let above = small.select(1.0 - tail, centre + 0.5);
        inside(in_domain(t, nu), t.le(0.0).select(below, above))
    })
}

/// ln P(T ≤ t).
pub(crate) fn student_t_log_cdf<'b>(t: Value<'b>, nu: Value<'b>) -> Value<'b> {
    single("student_t_log_cdf", [t, nu], |[t, nu]| {
        let [tail, centre] = log_parts(t.abs(), nu);
        let below = tail.lt(-1.0).select(tail, (centre.exp() * -2.0).log1p() - LN_2);
        inside(in_domain(t, nu), t.le(0.0).select(below, (-tail.exp()).log1p()))
    })
}

/// The t with P(T ≤ t) = p.
pub(crate) fn student_t_icdf<'b>(p: Value<'b>, nu: Value<'b>) -> Value<'b> {
    single("student_t_icdf", [p, nu], |[p, nu]| {
        let valid = is_probability(p) & is_positive(nu);
        let (centre, tail) = ((p - 0.5).abs(), p.min(1.0 - p));
        let ends = centre.equal(0.0) | tail.equal(0.0);
        let far = tail.lt(0.25);
        let size = quantile(far, centre, tail, nu, valid & !ends);
        let value = tail.equal(0.0).select(f64::INFINITY, centre.equal(0.0).select(0.0, size));
        inside(valid, with_sign(value, p - 0.5))
    })
}

/// The logarithm of t times the density.
fn log_slope<'b>(t: Value<'b>, nu: Value<'b>) -> Value<'b> {
    t.ln() + log_density(t, nu)
}

/// The t > 0 with P(T > t) = tail where `far`, and with P(0 < T < t) = centre elsewhere.
fn quantile<'b>(far: Value<'b>, centre: Value<'b>, tail: Value<'b>, nu: Value<'b>, wanted: Value<'b>) -> Value<'b> {
    let half = nu * 0.5;
    // x^(nu/2) / (nu/2 B(nu/2, 1/2)) is a lower bound of twice the tail, and its limit for small x.
    let log_x = (((tail * 2.0).ln() + log_beta(half, half.fill(0.5)) + half.ln()) / half).min(0.0);
    let at_limit = far & log_x.lt(-40.0);
    // The tails are heavier than those of the normal distribution.
    let normal = -normal_icdf(tail);
    let power = (nu * (-log_x).expm1()).sqrt();
    let far_guess = power.max(normal).ln();
    let far_end = ((nu.ln() - log_x) * 0.5).max(normal.ln()) + 40.0;
    // The density is at most its height.
    let log_centre = centre.ln();
    let near_guess = log_centre - log_height(nu);
    let near_end = near_guess.max(nu.ln() * 0.5) + 40.0 + 2.0 / nu;
    let guess = far.select(far_guess, near_guess);
    let target = far.select(tail.ln(), log_centre);
    let miss = |t: Value<'b>| {
        let [tail, centre] = log_parts(t, nu);
        let reached = far.select(tail, centre);
        [far.select(target - reached, reached - target), (log_slope(t, nu) - reached).exp()]
    };
    let bracket = [guess - 1e-6, far.select(far_end, near_end)];
    let [log_t, value, slope] = evaluated_root(wanted & !at_limit, bracket, guess, |log_t| miss(log_t.exp()));
    let t = log_t.exp();
    // A last step of Newton's method at the rounded value, since the logarithm of t may have more rounding error than
    // t.
    let step = value / slope;
    let fine = step.abs().lt(1e-6) & t.gt(0.0) & t.lt(f64::INFINITY);
    let root = fine.select(t * (1.0 - step), t);
    at_limit.select(((nu.ln() - log_x) * 0.5).exp(), root)
}

/// The derivative of P(T ≤ t) with respect to the degrees of freedom.
pub(crate) fn student_t_cdf_derivative<'b>(t: Value<'b>, nu: Value<'b>) -> Value<'b> {
    single("student_t_cdf_derivative", [t, nu], |[t, nu]| {
        let [log_scale, factor] = tail_derivative(t.abs(), nu);
        // Where the scale underflows, the factor may be infinite.
        let scale = log_scale.exp();
        let tail = scale.equal(0.0).select(0.0, scale * factor);
        inside(in_domain(t, nu), t.le(0.0).select(tail, -tail))
    })
}

/// The derivative of ln P(T ≤ t) with respect to the degrees of freedom.
pub(crate) fn student_t_log_cdf_derivative<'b>(t: Value<'b>, nu: Value<'b>) -> Value<'b> {
    single("student_t_log_cdf_derivative", [t, nu], |[t, own]| {
        let (size, nu) = (t.abs(), own.max(SMALLEST));
        let [log_scale, factor] = tail_derivative(size, nu);
        let ratio = (log_scale - student_t_log_cdf(t, nu)).exp();
        // The scale is t times the density: no difference of large logarithms.
        let scale = log_scale.lt(-100.0).select(size * hazard(size, nu), ratio);
        let value = t.gt(0.0).select(-ratio * factor, scale * factor);
        inside(in_domain(t, own), factor.equal(0.0).select(0.0, value))
    })
}

/// The derivative of ln P(T ≤ t) with respect to t.
pub(crate) fn student_t_log_cdf_slope<'b>(t: Value<'b>, nu: Value<'b>) -> Value<'b> {
    single("student_t_log_cdf_slope", [t, nu], |[t, nu]| {
        let above = (log_density(t, nu) - student_t_log_cdf(t, nu)).exp();
        inside(in_domain(t, nu), t.gt(0.0).select(above, hazard(t.abs(), nu)))
    })
}

/// The density over P(T > t), for t ≥ 0.
fn hazard<'b>(t: Value<'b>, nu: Value<'b>) -> Value<'b> {
    single("student_t_hazard", [t, nu], |[t, nu]| {
        let normal = (-normal_log_mills(t) - HALF_LOG_TAU).exp();
        let [x, y] = shares(t, nu);
        let half = nu * 0.5;
        let b = half.fill(0.5);
        let kernel = log_beta_kernel(half, b, x, y);
        let middle = 2.0 / t * Part::of(half, b, x, y).kernel_over(t.fill_truth(true), kernel);
        let near = log_height(nu).exp() * 2.0;
        let value = x.lt(1e-290).select(nu / t, y.lt(1e-290).select(near, middle));
        t.equal(f64::INFINITY).select(0.0, is_normal(t, nu).select(normal, value))
    })
}

/// The derivative of P(T > t) with respect to nu for t ≥ 0, as e^log_scale times a factor.
fn tail_derivative<'b>(t: Value<'b>, nu: Value<'b>) -> [Value<'b>; 2] {
    function("student_t_tail_derivative", [t, nu], |[t, nu]| {
        let ends = t.equal(0.0) | t.equal(f64::INFINITY);
        let by_integral = nu.ge(LARGE);
        let far = large_tail_derivative(t, nu, by_integral & !ends & t.gt(0.0));
        let nu = nu.max(SMALLEST);
        let [x, y] = shares(t, nu);
        let nowhere = ends | (y.lt(1e-290) & !by_integral);
        let x = x.max(f64::MIN_POSITIVE);
        let half = nu * 0.5;
        let b = half.fill(0.5);
        // The change of the shape, and the change of x, whose derivative with respect to nu is x y / nu.
        let ordinary = nowhere | by_integral;
        let [x, y] = [x, y].map(|share| ordinary.select(0.5, share));
        let near = [log_beta_kernel(half, b, x, y), by_first_over_kernel(half, b, x, y) * 0.25 + 0.5 / nu];
        std::array::from_fn(|i| nowhere.select(0.0, by_integral.select(far[i], near[i])))
    })
}

/// The integral of the derivative of the log-density with respect to nu, over the side where it has no sign change.
fn large_tail_derivative<'b>(t: Value<'b>, nu: Value<'b>, wanted: Value<'b>) -> [Value<'b>; 2] {
    let height = student_t_log_height(1, nu);
    let slope = |s: Value<'b>| {
        let w = s / nu * s;
        let rest = w / (w + 1.0);
        height - log_1p_minus_linear(w) * 0.5 - w * rest * 0.5 + rest * 0.5 / nu
    };
    let drop = |from: Value<'b>, s: Value<'b>| {
        let growth = (s - from) / (nu + from * from) * (s + from);
        (nu + 1.0) * 0.5 * growth.log1p()
    };
    let zero = t.fill(0.0);
    let central = -legendre(zero, t, |s| (-drop(zero, s)).exp() * slope(s));
    // With s = t e^u, over an interval where the integrand falls by e^−45.
    let fall = |u: Value<'b>| drop(t, t * u.exp()) - u;
    let start = (1.0 / (t * t + 1.0)).min(1e-3);
    let open = |end: Value<'b>| fall(end).le(45.0);
    let [end] = iterate(200, wanted & open(start), [start], |_, [end]| {
        let next = end * 1.3;
        ([next], open(next))
    });
    let panel = end * 0.25;
    let [outer] = super::numeric::repeat(4, [zero], |k, [sum]| {
        let k = k.convert(crate::lowering::types::Element::F64);
        let part = legendre(k * panel, (k + 1.0) * panel, |u| {
            let s = t * u.exp();
            (u - drop(t, s)).exp() * slope(s)
        });
        [sum + part]
    });
    let inner = slope(t).ge(0.0);
    [inner.select(log_height(nu), log_slope(t, nu)), inner.select(central, outer)]
}
