//! ln(sinh x / x) and its derivatives: the cumulants of a uniform number on [-1, 1].

use std::f64::consts::PI;

/// Below this the power series is used.
const SMALL: f64 = 1.5;

/// The Riemann zeta function at an even number 2 k.
fn zeta_even(k: u32) -> f64 {
    match k {
        1 => PI.powi(2) / 6.0,
        2 => PI.powi(4) / 90.0,
        3 => PI.powi(6) / 945.0,
        4 => PI.powi(8) / 9450.0,
        5 => PI.powi(10) / 93555.0,
        _ => 1.0 + (2..24).map(|j| f64::from(j).powi(-2 * k as i32)).sum::<f64>(),
    }
}

/// The derivative of the given order of ln(sinh x / x); order 0 is the function itself, order 1 Langevin's function coth x - 1/x.
///
/// Domain: all reals; infinities only at orders 0 and 1. Error below 1e-13 * max(1, |result|) for orders up to 4, and growing with the order.
///
/// Method: for |x| < 1.5 the series with the values of the zeta function at even numbers, otherwise the closed form.
///
/// ```
/// # use stochgrad_tensor::special::log_sinhc;
/// assert!((log_sinhc(0, 2.0) - (2f64.sinh() / 2.0).ln()).abs() < 1e-15);
/// ```
pub fn log_sinhc(order: u32, x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if x.abs() < SMALL { series(order, x) } else { closed(order, x) }
}

/// The sum over k of (-1)^(k+1) zeta(2k) / (k pi^2k) x^2k, differentiated term by term.
fn series(order: u32, x: f64) -> f64 {
    let mut sum = 0.0;
    for k in (1..40_u32).rev() {
        let power = 2 * k;
        if power < order {
            continue;
        }
        let falling: f64 = (0..order).map(|i| f64::from(power - i)).product();
        let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
        let scale = (x / PI).powi((power - order) as i32) / PI.powi(order as i32);
        sum += sign * zeta_even(k) / f64::from(k) * falling * scale;
    }
    sum
}

fn closed(order: u32, x: f64) -> f64 {
    let size = x.abs();
    if order == 0 {
        return size + (-(-2.0 * size).exp()).ln_1p() - (2.0 * size).ln();
    }
    // Derivatives of ln sinh are polynomials in c = coth: c' = 1 - c² = -1 / sinh².
    let excess = 2.0 / (2.0 * size).exp_m1();
    let (coth, slope) = (1.0 + excess, -excess * (2.0 + excess));
    let mut polynomial = vec![0.0, 1.0];
    let mut value = coth;
    for step in 1..order {
        let derivative: Vec<f64> = (1..polynomial.len()).map(|i| i as f64 * polynomial[i]).collect();
        let at = derivative.iter().rev().fold(0.0, |sum, &c| sum * coth + c);
        value = at * slope;
        if step + 1 < order {
            // The product of the derivative with 1 - c².
            let mut next = vec![0.0; derivative.len() + 2];
            for (i, &c) in derivative.iter().enumerate() {
                next[i] += c;
                next[i + 2] -= c;
            }
            polynomial = next;
        }
    }
    let factorial: f64 = (1..order).map(f64::from).product();
    let of_log = if order % 2 == 1 { factorial } else { -factorial } / size.powi(order as i32);
    let result = value - of_log;
    if x < 0.0 && order % 2 == 1 { -result } else { result }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // order, x, value, from mpmath at 40 digits
        let golden = [
            (0, 1e-08, 1.666666666666666731e-17),
            (0, 0.3, 0.01495525541967112138),
            (0, 1.4, 0.3076430388143654333),
            (0, 1.6, 0.3952329178414602828),
            (0, -2.0, 0.5952201920542228206),
            (0, 10.0, 7.004267724384855382),
            (0, -40.0, 35.61797336532611839),
            (0, 400.0, 393.3153882723320727),
            (0, 1000000.0, 999985.4913422614758),
            (1, 1e-08, 3.333333333333333381e-9),
            (1, 0.3, 0.09940509698840825249),
            (1, 1.4, 0.415208992174182144),
            (1, 1.6, 0.4599887361557778114),
            (1, -2.0, -0.5373147207275480959),
            (1, 10.0, 0.9000000041223072534),
            (1, -40.0, -0.975),
            (1, 400.0, 0.9975),
            (1, 1000000.0, 0.999999),
            (2, 1e-08, 0.3333333333333333267),
            (2, 0.3, 0.3274179801033367741),
            (2, 1.4, 0.2344457897117254221),
            (2, 1.6, 0.2134244424150879945),
            (2, -2.0, 0.1739781701619289007),
            (2, 10.0, 0.009999991755385476259),
            (2, -40.0, 0.000625),
            (3, 1e-08, -1.333333333333333361e-9),
            (3, 0.3, -0.03887841086012574263),
            (3, 1.4, -0.1059279117867117263),
            (3, 1.6, -0.103760031959694416),
            (3, -2.0, 0.09228287362464818959),
            (3, 10.0, -0.001999983510770884544),
            (3, -40.0, 0.00003125),
            (4, 1e-08, -0.1333333333333333333),
            (4, 0.3, -0.1222570457558884049),
            (4, 1.4, 0.002560248425117545531),
            (4, 1.6, 0.01832488775992974626),
            (4, -2.0, 0.0362367689761437792),
            (4, 10.0, 0.0005999670215414971937),
            (4, -40.0, 2.34375e-6),
        ];
        for (order, x, expected) in golden {
            let got = log_sinhc(order, x);
            assert!((got - expected).abs() <= 1e-13 * f64::abs(expected).max(1.0), "order {order} at {x}: {got}");
        }
        assert!(log_sinhc(0, f64::NAN).is_nan());
        assert_eq!(log_sinhc(1, f64::INFINITY), 1.0);
    }
}
