//! Differences of ln Γ and of its derivatives, without cancellation.

use super::digamma_minus_log::scaled_slope;
use super::gamma::{digamma_minus_log, lgamma, polygamma, stirling_difference, stirling_error, stirling_slope};
use super::numeric::{apart, inside, is_infinite, is_positive, single};
use super::quadrature::legendre_unit;
use crate::lowering::builder::Value;
use std::f64::consts::PI;

/// Whether neither is more than three times as large as the other.
fn near<'b>(a: Value<'b>, b: Value<'b>) -> Value<'b> {
    a.max(b).le(a.min(b) * 3.0)
}

/// ln Γ(x + d) − ln Γ(x) for d ≥ 0.
pub(super) fn log_gamma_shift<'b>(x: Value<'b>, d: Value<'b>) -> Value<'b> {
    single("log_gamma_shift", [x, d], |[start, d]| {
        let (mut x, mut below) = (start, start.fill(0.0));
        for _ in 0..10 {
            let low = x.lt(10.0);
            let ratio = d / x;
            let log = is_infinite(ratio).select((x + d).ln() - x.ln(), ratio.log1p());
            below = below - low.select(log, 0.0);
            x = x + low.select(start.fill(1.0), 0.0);
        }
        let growth = (x - 0.5) * (d / x).log1p() + d * (x + d).ln() - d;
        growth + stirling_difference(x, d) + below
    })
}

/// The difference of the derivative of this order of ln Γ.
pub(crate) fn log_gamma_difference<'b>(order: u32, from: Value<'b>, to: Value<'b>) -> Value<'b> {
    single(&format!("log_gamma_difference_{order}"), [from, to], |[from, to]| {
        let d = to - from;
        let (low, high) = (from.min(to), from.max(to));
        let size = d.abs();
        let rise = match order {
            0 => log_gamma_shift(low, size),
            1 => digamma_shift(low, high, size),
            _ => {
                let close = size * legendre_unit(low, |u| polygamma(order, low + u * size));
                let (above, below) = (polygamma(order - 1, high), polygamma(order - 1, low));
                // Where both overflow, the one at the smaller argument is the larger one.
                let apart = is_infinite(above).select(-below, above - below);
                near(low, high).select(close, apart)
            }
        };
        let value = d.equal(0.0).select(0.0, d.gt(0.0).select(rise, -rise));
        inside(is_positive(from) & is_positive(to), value)
    })
}

fn digamma_shift<'b>(low: Value<'b>, high: Value<'b>, d: Value<'b>) -> Value<'b> {
    // ψ(x) = ψ(x + 1) − 1 / x
    let small = low.lt(1.0);
    let before = small.select(apart(d / high) / low, 0.0);
    let [low, high] = [low, high].map(|x| small.select(x + 1.0, x));
    let close = d * legendre_unit(low, |u| polygamma(1, low + u * d));
    let apart = (d / low).log1p() + (digamma_minus_log(high) - digamma_minus_log(low));
    before + near(low, high).select(close, apart)
}

/// f(x + 2h) − 2 f(x + h) + f(x) for the derivative f of this order of ln Γ.
pub(crate) fn log_gamma_second_difference<'b>(order: u32, x: Value<'b>, h: Value<'b>) -> Value<'b> {
    single(&format!("log_gamma_second_difference_{order}"), [x, h], |[own, h]| {
        let small = if order == 0 { own.lt(1.0) } else { own.fill_truth(false) };
        let share = h / (own + h);
        // ln(x (x + 2h) / (x + h)²); for large h the ratio itself is needed.
        let direct = own.ln() + (own + h * 2.0).ln() - (own + h).ln() * 2.0;
        let logs = small.select(share.lt(0.9).select((-share * share).log1p(), direct), 0.0);
        let x = small.select(own + 1.0, own);
        let middle = x + h;
        let curvature = |at: Value<'b>| polygamma(order + 1, at);
        let close = h * h * legendre_unit(x, |u| (1.0 - u) * (curvature(middle + u * h) + curvature(middle - u * h)));
        let apart = log_gamma_difference(order, middle, x + h * 2.0) - log_gamma_difference(order, x, middle);
        let value = h.le(x * 2.0).select(close, apart) - logs;
        let valid = is_positive(own) & h.ge(0.0) & h.lt(f64::INFINITY);
        inside(valid, h.equal(0.0).select(0.0, value))
    })
}

/// The Bregman divergence of ln Γ(x) − x ln x + x.
pub(crate) fn stirling_divergence<'b>(a: Value<'b>, b: Value<'b>) -> Value<'b> {
    single("stirling_divergence", [a, b], |[a, b]| {
        let d = b - a;
        let close = legendre_unit(a, |u| {
            let at = a + u * d;
            let share = d / at;
            (1.0 - u) * scaled_slope(at) * share * share
        });
        let large = {
            let logs = (b / a).ln() - d / a;
            logs * -0.5 + (stirling_error(b) - stirling_error(a)) - d * stirling_slope(a)
        };
        let slope = d * digamma_minus_log(a);
        let small = log_gamma_difference(0, a, b) - (b * b.ln() - a * a.ln()) + d - slope;
        let mixed = stirling_part(b) - stirling_part(a) - slope;
        let apart = (a.ge(10.0) & b.ge(10.0)).select(large, (a.lt(10.0) & b.lt(10.0)).select(small, mixed));
        inside(is_positive(a) & is_positive(b), near(a, b).select(close, apart))
    })
}

/// ln Γ(x) − x ln x + x, up to a constant.
fn stirling_part(x: Value<'_>) -> Value<'_> {
    let far = stirling_error(x) - (x * (0.5 / PI)).ln() * 0.5;
    x.lt(10.0).select(lgamma(x) - x * x.ln() + x, far)
}

/// The difference of ψ(x) − ln x.
pub(crate) fn digamma_minus_log_difference<'b>(from: Value<'b>, to: Value<'b>) -> Value<'b> {
    single("digamma_minus_log_difference", [from, to], |[from, to]| {
        let d = to - from;
        // S'' = scaled / x², where x² may be outside the range of f64.
        let close = d / from
            * legendre_unit(from, |u| {
                let at = from + u * d;
                scaled_slope(at) * apart(from / at) / at
            });
        let apart = digamma_minus_log(to) - digamma_minus_log(from);
        inside(is_positive(from) & is_positive(to), near(from, to).select(close, apart))
    })
}
