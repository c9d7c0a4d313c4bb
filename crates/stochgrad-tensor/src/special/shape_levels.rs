//! Weak derivatives with respect to the shapes of the gamma and beta distributions.
//!
//! The derivative of the log-density with respect to a shape changes its sign once, from minus to plus. At that point
//! the derivative of the distribution function, which is negative, has its minimum -c. The derivative of the density is
//! therefore c times the difference of two densities, one on either side of the point. The quantiles of the two
//! distributions at the share v, counted from the outside, are the points where the derivative of the distribution
//! function is -c v.

use super::beta_derivative::{by_first, mean_log};
use super::gamma::{digamma, lgamma};
use super::gamma_sample::log_derivative;
use super::logistic::{log_sigmoid, sigmoid};
use super::root::rising_root_within;
use super::saddle_point::{log_beta_kernel, log_gamma_kernel};

/// The constant of a weak derivative, and one sample of each of its two parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShapeDerivative {
    /// The factor of the difference of the two parts.
    pub constant: f64,
    /// A sample of the positive part, which has the larger values.
    pub positive: f64,
    /// A sample of the negative part, with the same share of its distribution on the outer side.
    pub negative: f64,
}

/// The two points at which a function is v times its maximum. `log` gives the logarithm of the function and its slope,
/// `peak` is the position of the maximum, and `curvature` is minus the second derivative of the logarithm there.
///
/// The square root of the decrease of the logarithm is nearly linear on either side of the peak, so that Newton's
/// method on it takes three or four steps.
fn levels(v: f64, peak: f64, [lowest, highest]: [f64; 2], curvature: f64, log: impl Fn(f64) -> (f64, f64)) -> [f64; 2] {
    let (top, target) = (log(peak).0, (-2.0 * v.ln()).sqrt());
    let root = |s: f64| {
        let (value, slope) = log(s);
        let root = (2.0 * (top - value)).max(0.0).sqrt();
        (root, slope.abs() / root)
    };
    let reach = target / curvature.sqrt();
    let below = rising_root_within(1e-8, [lowest, peak], peak - reach, |s| {
        let (root, slope) = root(s);
        (target - root, slope)
    });
    let above = rising_root_within(1e-8, [peak, highest], peak + reach, |s| {
        let (root, slope) = root(s);
        (root - target, slope)
    });
    [below, above]
}

/// The weak derivative of the distribution Gamma(a, rate 1) with respect to a: its constant, and the logarithm of a
/// sample of each part, with the share 0 < v < 1 of the part on its outer side.
///
/// Domain: finite a > 0, 0 < v < 1; anything else gives NaN. The error of the logarithms is below 1e-7, that of a root
/// near a maximum; the constant has a relative error below 1e-12.
///
/// ```
/// # use stochgrad_tensor::special::gamma_shape_derivative;
/// assert!((gamma_shape_derivative(2.3, 0.5).constant - 0.28839).abs() < 1e-5);
/// ```
pub fn gamma_shape_derivative(a: f64, v: f64) -> ShapeDerivative {
    if !(a > 0.0 && a < f64::INFINITY && v > 0.0 && v < 1.0) {
        return ShapeDerivative { constant: f64::NAN, positive: f64::NAN, negative: f64::NAN };
    }
    // x times the density, and minus the derivative of the distribution function, at x = e^s.
    let log_kernel = |s: f64| if a < 10.0 { a * s - s.exp() - lgamma(a) } else { log_gamma_kernel(a, s.exp()) };
    let log_fall = |s: f64| log_derivative(a, s.exp(), s).ln() + log_kernel(s);
    let peak = digamma(a);
    let constant = log_fall(peak).exp();
    let curvature = log_kernel(peak).exp() / constant;
    let ends = [peak - 60.0 * (1.0 + 1.0 / a), (a + 20.0 * a.sqrt() + 200.0).ln()];
    let [negative, positive] = levels(v, peak, ends, curvature, |s| {
        let fall = log_fall(s);
        (fall, (peak - s) * (log_kernel(s) - fall).exp())
    });
    ShapeDerivative { constant, positive, negative }
}

/// The weak derivative of the distribution Beta(a, b) with respect to a: its constant, and the log-odds of a sample of
/// each part, with the share 0 < v < 1 of the part on its outer side. The derivative with respect to b is that of
/// Beta(b, a), for 1 minus the sample.
///
/// Domain: finite a > 0 and b > 0, 0 < v < 1; anything else gives NaN. The log-odds are limited to ±700. Errors as for
/// [`gamma_shape_derivative`].
///
/// ```
/// # use stochgrad_tensor::special::beta_shape_derivative;
/// assert!((beta_shape_derivative(2.3, 1.4, 0.5).constant - 0.18097).abs() < 1e-5);
/// ```
pub fn beta_shape_derivative(a: f64, b: f64, v: f64) -> ShapeDerivative {
    let positive = |x: f64| x > 0.0 && x < f64::INFINITY;
    if !(positive(a) && positive(b) && v > 0.0 && v < 1.0) {
        return ShapeDerivative { constant: f64::NAN, positive: f64::NAN, negative: f64::NAN };
    }
    let mean = mean_log(a, b);
    let log_kernel = |l: f64| log_beta_kernel(a, b, sigmoid(l), sigmoid(-l));
    let log_fall = |l: f64| (-by_first(a, b, sigmoid(l), sigmoid(-l))).ln();
    let ends = [-700.0, 700.0];
    // The log-odds of the value whose logarithm is the mean logarithm.
    let peak = (if mean > -36.0 { mean - (-mean.exp_m1()).ln() } else { mean }).clamp(-699.0, 699.0);
    let constant = log_fall(peak).exp();
    let curvature = (log_kernel(peak) + log_sigmoid(-peak)).exp() / constant;
    let [negative, positive] = levels(v, peak, ends, curvature, |l| {
        let fall = log_fall(l);
        (fall, (mean - log_sigmoid(l)) * (log_kernel(l) - fall).exp())
    });
    ShapeDerivative { constant, positive, negative }
}

#[cfg(test)]
mod tests {
    use super::super::{beta_inc_derivatives, gamma_p_derivative_a};
    use super::*;

    #[test]
    fn both_parts_have_their_levels() {
        for v in [1e-12, 1e-3, 0.4, 0.99, 1.0 - 1e-9] {
            for a in [1e-3, 0.3, 2.3, 29.0, 1e3, 1e6] {
                let found = gamma_shape_derivative(a, v);
                assert!(found.negative < digamma(a) && digamma(a) < found.positive, "{a}: {found:?}");
                for s in [found.negative, found.positive] {
                    if s > -700.0 {
                        let share = -gamma_p_derivative_a(a, s.exp()) / found.constant;
                        assert!((share - v).abs() < 1e-9 * v.max(1e-3), "a = {a}, v = {v}: {share}, {found:?}");
                    }
                }
            }
            for (a, b) in [(2.3, 1.4), (0.1, 0.2), (1e-3, 5.0), (40.0, 0.5), (1e4, 3e3)] {
                let found = beta_shape_derivative(a, b, v);
                assert!(found.negative < found.positive, "{a}, {b}: {found:?}");
                for l in [found.negative, found.positive] {
                    if l.abs() < 690.0 {
                        let share = -beta_inc_derivatives(a, b, sigmoid(l), sigmoid(-l)).0 / found.constant;
                        assert!((share - v).abs() < 1e-8 * v.max(1e-3), "{a}, {b}, v = {v}: {share}, {found:?}");
                    }
                }
            }
        }
        assert!(
            gamma_shape_derivative(-1.0, 0.5).constant.is_nan()
                && beta_shape_derivative(1.0, 1.0, 0.0).positive.is_nan()
        );
    }
}
