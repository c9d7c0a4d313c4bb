//! The inverse of the regularised incomplete beta function.

use super::beta::Part;
use super::gamma::digamma;
use super::incomplete_gamma::{gamma_p_inverse, gamma_q_inverse};
use super::log_beta::log_beta;
use super::logistic::sigmoid;
use super::root::rising_root;
use super::saddle_point::log_beta_kernel;

/// From this ratio of the shapes on, and this size of the larger one, the limit is exact to rounding.
const UNRELATED: f64 = 1e20;

/// The x with I_x(a, b) = p, and 1 - x: the quantile function of Beta(a, b).
///
/// Domain: finite a > 0 and b > 0, 0 <= p <= 1; anything else gives NaN. I at the result agrees with p to a relative
/// error below 1e-11; for p > 1/2 this holds for 1 - I and 1 - p. Either part of the result may underflow to 0.
///
/// Method: Newton's method on the logit scale for the logarithm of the smaller probability, kept inside a bracket: at
/// most 200 evaluations. Where x or 1 - x is too small for a second term of the power series, the first one is inverted.
///
/// ```
/// # use stochgrad_tensor::special::beta_inc_inverse;
/// assert!((beta_inc_inverse(2.0, 1.0, 0.25).0 - 0.5).abs() < 1e-14);
/// ```
pub fn beta_inc_inverse(a: f64, b: f64, p: f64) -> (f64, f64) {
    beta_inc_inverse_of(a, b, p, 1.0 - p)
}

/// As [`beta_inc_inverse`], with q = 1 - p passed separately: the quantile of the survival function for a small q.
///
/// ```
/// # use stochgrad_tensor::special::beta_inc_inverse_of;
/// // 1 - I_x(2, 1) = 1 - x^2
/// let (_, y) = beta_inc_inverse_of(2.0, 1.0, 1.0, 1e-30);
/// assert!((y / 5e-31 - 1.0).abs() < 1e-13);
/// ```
pub fn beta_inc_inverse_of(a: f64, b: f64, p: f64, q: f64) -> (f64, f64) {
    let in_domain = |shape: f64| shape > 0.0 && shape < f64::INFINITY;
    if !(in_domain(a) && in_domain(b) && (0.0..=1.0).contains(&p) && (0.0..=1.0).contains(&q)) {
        return (f64::NAN, f64::NAN);
    }
    if p == 0.0 {
        return (0.0, 1.0);
    }
    if q == 0.0 {
        return (1.0, 0.0);
    }
    // Products of shapes must not overflow. Two such shapes leave a single value, which depends on their ratio only.
    let scale = if a.max(b) > 1e300 && a.min(b) > 1e200 { 1e-20 } else { 1.0 };
    let (a, b) = ((a * scale).min(1e305), (b * scale).min(1e305));
    if a.max(b) < 1e-200 {
        // All mass is at the ends: b / (a + b) at 0, and a / (a + b) at 1.
        return if p / q <= b / a { (0.0, 1.0) } else { (1.0, 0.0) };
    }
    let (log_p, log_q) = if p < q { (p.ln(), (-p).ln_1p()) } else { ((-q).ln_1p(), q.ln()) };
    let log_beta = log_beta(a, b);
    // ln x in the limit of small x, and ln y in that of small y.
    let (log_x, log_y) = ((log_p + a.ln() + log_beta) / a, (log_q + b.ln() + log_beta) / b);
    if log_x + b.max(1.0).ln() < -40.0 {
        return (log_x.exp(), 1.0);
    }
    if log_y + a.max(1.0).ln() < -40.0 {
        return (1.0, log_y.exp());
    }
    // Where one shape is beyond any relation to the other, the variate is a gamma variate of the smaller shape over the
    // larger one: 1 - x rounds to 1, and the search would lose its power.
    let of_gamma = |shape: f64, below: f64, above: f64| {
        if below < above { gamma_p_inverse(shape, below) } else { gamma_q_inverse(shape, above) }
    };
    if b > UNRELATED * a.max(1.0) {
        let x = of_gamma(a, p, q) / b;
        return (x, 1.0 - x);
    }
    if a > UNRELATED * b.max(1.0) {
        let y = of_gamma(b, q, p) / a;
        return (1.0 - y, y);
    }
    let upper = q < p;
    // The logarithm of the smaller probability minus the target, as an increasing function of the logit, and its slope.
    let miss = |x: f64, y: f64| {
        let part = Part::of(a, b, x, y);
        let log = part.log_of(!upper);
        let slope = part.kernel_over(!upper, || log_beta_kernel(a, b, x, y));
        (if upper { log_q - log } else { log - log_p }, slope)
    };
    let guess = (digamma(a) - digamma(b)).clamp(-700.0, 700.0);
    let logit = rising_root([-745.0, 745.0], guess, |s| miss(sigmoid(s), sigmoid(-s)));
    let (x, y) = (sigmoid(logit), sigmoid(-logit));
    if x == 0.0 || y == 0.0 {
        return (x, y);
    }
    // A last step at the rounded values, since the logit may have more rounding error than the smaller of them.
    let (value, slope) = miss(x, y);
    let step = value / slope;
    if step.is_nan() || step.abs() > 1e-6 {
        return (x, y);
    }
    if x <= y {
        let x = x * (1.0 - step * y);
        (x, 1.0 - x)
    } else {
        let y = y * (1.0 + step * x);
        (1.0 - y, y)
    }
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{POSITIVE, PROBABILITIES, assert_relative};
    use super::super::beta_inc_pair;
    use super::*;

    /// Gamma quantiles over the larger shape; those of shape 1/2 are squares of normal quantiles, from mpmath.
    #[test]
    fn one_shape_far_beyond_the_other() {
        for b in [1e25, 5e299] {
            let (_, y) = beta_inc_inverse_of(b, 0.5, 1e-300, 1.0 - 1e-300);
            assert_relative("1e-300", y * b, 686.936315611197, 1e-12);
            let (x, _) = beta_inc_inverse(0.5, b, 0.5);
            assert_relative("median", x * b, 0.5 * 0.454936423119573, 1e-12);
        }
    }

    #[test]
    fn inverse_inverts() {
        for a in [1e-3, 0.5, 1.0, 3.0, 80.0, 1e6] {
            for b in [1e-3, 0.5, 2.0, 50.0, 1e5] {
                for p in [1e-200, 1e-10, 0.1, 0.5, 0.9, 1.0 - 1e-12] {
                    let (x, y) = beta_inc_inverse(a, b, p);
                    assert!((x + y - 1.0).abs() < 1e-15, "{x} and {y}");
                    if x < 1e-300 || y < 1e-300 {
                        continue;
                    }
                    let what = format!("a = {a}, b = {b}, p = {p}");
                    if p > 0.5 {
                        // The rounding of the smaller part is amplified by the shape.
                        assert_relative(&what, beta_inc_pair(b, a, y, x), 1.0 - p, 1e-8);
                    } else {
                        assert_relative(&what, beta_inc_pair(a, b, x, y), p, 1e-8);
                    }
                }
            }
        }
        assert_eq!(beta_inc_inverse(2.0, 3.0, 0.0), (0.0, 1.0));
        assert_eq!(beta_inc_inverse(2.0, 3.0, 1.0), (1.0, 0.0));
    }

    #[test]
    fn never_nan_inside_the_domain_and_nan_outside() {
        for a in POSITIVE {
            for b in POSITIVE {
                for p in PROBABILITIES {
                    let (x, y) = beta_inc_inverse(a, b, p);
                    assert!((x + y - 1.0).abs() < 1e-15, "a = {a:e}, b = {b:e}, p = {p:e}: {x:e}, {y:e}");
                }
            }
        }
        assert!(beta_inc_inverse(1.0, -1.0, 0.5).0.is_nan());
        assert!(beta_inc_inverse(1.0, 1.0, f64::NAN).0.is_nan());
    }
}
