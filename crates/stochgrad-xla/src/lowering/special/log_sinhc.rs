//! ln(sinh x / x) and its derivatives.

use super::numeric::{polynomial, single};
use crate::lowering::builder::Value;
use stochgrad_tensor::special::tables::LOG_SINHC;

/// Below this size, the power series is used.
const SMALL: f64 = 1.5;

/// The derivative of this order of ln(sinh x / x); NaN for orders above 100, as on the CPU.
pub(crate) fn log_sinhc(order: u32, x: Value<'_>) -> Value<'_> {
    if order > 100 {
        return x.fill(f64::NAN);
    }
    single(&format!("log_sinhc_{order}"), [x], |[x]| x.abs().lt(SMALL).select(series(order, x), closed(order, x)))
}

fn series(order: u32, x: Value<'_>) -> Value<'_> {
    // The coefficients of x^(2k − order) that are left after differentiation, lowest power first.
    let left = (1_u32..31).zip(&LOG_SINHC).filter(|(k, _)| 2 * k >= order);
    let (powers, coefficients): (Vec<u32>, Vec<f64>) = left
        .map(|(k, &coefficient)| {
            let falling: f64 = (0..order).map(|i| f64::from(2 * k - i)).product();
            (2 * k - order, coefficient * falling)
        })
        .unzip();
    let lowest = powers.first().copied().unwrap_or(0);
    (0..lowest).fold(polynomial(&coefficients, x * x), |product, _| product * x)
}

fn closed(order: u32, x: Value<'_>) -> Value<'_> {
    let size = x.abs();
    let double = size * 2.0;
    if order == 0 {
        return size + (-(-double).exp()).log1p() - double.ln();
    }
    // Derivatives of ln sinh are polynomials in c = coth: c' = 1 − c² = −1 / sinh².
    let excess = 2.0 / double.expm1();
    let (coth, slope) = (excess + 1.0, -excess * (excess + 2.0));
    let mut coefficients = vec![0.0, 1.0];
    let mut value = coth;
    for step in 1..order {
        let derivative: Vec<f64> = (1..coefficients.len()).map(|i| i as f64 * coefficients[i]).collect();
        if step + 1 == order {
            value = polynomial(&derivative, coth) * slope;
        }
        // The product of the derivative with 1 − c².
        coefficients = vec![0.0; derivative.len() + 2];
        for (i, &c) in derivative.iter().enumerate() {
            coefficients[i] += c;
            coefficients[i + 2] -= c;
        }
    }
    let factorial: f64 = (1..order).map(f64::from).product();
    let factorial = if order % 2 == 1 { factorial } else { -factorial };
    let of_log = factorial / (1..order).fold(size, |power, _| power * size);
    let result = value - of_log;
    if order % 2 == 1 { x.lt(0.0).select(-result, result) } else { result }
}
