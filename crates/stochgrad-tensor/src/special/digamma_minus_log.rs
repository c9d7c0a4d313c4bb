//! Derivatives of digamma(x) - ln x, which do not cancel for large x.

use super::gamma::{EULER_MACLAURIN, digamma_minus_log, lgamma};

/// The derivative of the given order of [`digamma_minus_log`]; order 0 is the function itself. Order k >= 1 is
/// polygamma(k, x) minus the derivative of that order of ln x, and (-1)^(k+1) times something positive.
///
/// Domain: x > 0; anything else gives NaN. Relative error below 1e-14 for orders up to 20, growing with the order
/// (Euler-Maclaurin summation of the differences of Hurwitz's zeta function from its integral). The number of terms is
/// at most 50, for any order.
///
/// ```
/// # use stochgrad_tensor::special::digamma_minus_log_derivative;
/// // 1 / (2 x^2) for large x, where trigamma(x) - 1 / x would have no correct digit.
/// assert!((digamma_minus_log_derivative(1, 1e20) / 5e-41 - 1.0).abs() < 1e-14);
/// ```
pub fn digamma_minus_log_derivative(order: u32, x: f64) -> f64 {
    if order == 0 {
        return digamma_minus_log(x);
    }
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let sign = if order % 2 == 1 { 1.0 } else { -1.0 };
    if x == f64::INFINITY {
        return sign * 0.0;
    }
    let k = f64::from(order);
    let scaled = scaled_excess(k + 1.0, x);
    let magnitude = if order <= 150 {
        (1..=order).fold(scaled / x, |product, j| product * (f64::from(j) / x))
    } else {
        (lgamma(k + 1.0) - (k + 1.0) * x.ln() + scaled.ln()).exp()
    };
    sign * magnitude
}

/// x^2 times the first derivative of [`digamma_minus_log`], between 1/2 (for large x) and 1 (for small x).
pub(super) fn scaled_slope(x: f64) -> f64 {
    scaled_excess(2.0, x)
}

/// x^s (zeta(s, x) - x^(1-s) / (s-1)): the sum of (x / y)^s over y = x, x + 1, ..., minus the integral.
fn scaled_excess(s: f64, x: f64) -> f64 {
    let power = |y: f64| {
        let ratio = x / y;
        if s == 2.0 { ratio * ratio } else { ratio.powf(s) }
    };
    let (mut sum, mut y) = (0.0, x);
    while y < s + 10.0 {
        // A term minus the integral over the interval that starts there.
        let share =
            if s == 2.0 { 1.0 / (1.0 + y) } else { 1.0 + y / (s - 1.0) * (-(s - 1.0) * y.recip().ln_1p()).exp_m1() };
        let term = power(y) * share;
        sum += term;
        if term < 1e-18 * sum {
            return sum;
        }
        y += 1.0;
    }
    let square = 1.0 / (y * y);
    let mut factor = s / y;
    let mut correction = 0.0;
    for (k, coefficient) in EULER_MACLAURIN.iter().enumerate() {
        correction += coefficient * factor;
        let j = 2.0 * k as f64 + 1.0;
        factor *= (s + j) * (s + j + 1.0) * square;
    }
    sum + power(y) * (0.5 + correction)
}
