//! The quantile function of the inverse Gaussian distribution.

use super::logistic::{log_add_exp, log1mexp};
use super::normal::{normal_log_cdf, normal_log_mills};
use super::quadrature::legendre;
use super::root::rising_root;
use std::f64::consts::PI;

/// ln P(X <= x) and ln P(X > x) for an inverse Gaussian variate X.
fn log_parts(x: f64, location: f64, concentration: f64) -> (f64, f64) {
    let root = (concentration / x).sqrt();
    let (v, w) = (root * (x / location - 1.0), root * (x / location + 1.0));
    // e^(2 lambda / mu) P(Z > w), where 2 lambda / mu - w^2 / 2 = -v^2 / 2.
    let fall = -0.5 * v * v;
    let (near, far) = (normal_log_mills(v), normal_log_mills(w));
    // The difference far - near, or the integral of its derivative where the difference would cancel.
    let drop = if root < 0.25 {
        legendre(0.0, 2.0 * root, |s| v + s - (-normal_log_mills(v + s) - 0.5 * (2.0 * PI).ln()).exp())
    } else {
        far - near
    };
    (log_add_exp(normal_log_cdf(v), far + fall), near + fall + log1mexp(drop))
}

/// The x with P(X <= x) = p for an inverse Gaussian variate X with mean `location` and the given concentration.
///
/// Domain: 0 <= p <= 1, positive finite location and concentration; anything else gives NaN. The ends give 0 and
/// infinity. The relative error is below 1e-12.
///
/// Method: Newton's method on the logarithm of the smaller tail as a function of ln x, in a bracket.
///
/// ```
/// # use stochgrad_tensor::special::inverse_gaussian_icdf;
/// // P(X <= 1) = P(Z <= 0) + e^4 P(Z > 2 sqrt 2) of a distribution with mean 1 and concentration 2.
/// assert!((inverse_gaussian_icdf(0.6276978381552527, 1.0, 2.0) - 1.0).abs() < 1e-12);
/// ```
pub fn inverse_gaussian_icdf(p: f64, location: f64, concentration: f64) -> f64 {
    quantile(p, 1.0 - p, location, concentration)
}

/// The x with P(X > x) = q for an inverse Gaussian variate X with mean `location` and the given concentration.
///
/// Domain and error are those of [`inverse_gaussian_icdf`], also for probabilities below the rounding of 1.
///
/// ```
/// # use stochgrad_tensor::special::{inverse_gaussian_complement_icdf, inverse_gaussian_icdf};
/// let (x, y) = (inverse_gaussian_icdf(0.25, 1.0, 2.0), inverse_gaussian_complement_icdf(0.75, 1.0, 2.0));
/// assert!((x - y).abs() < 1e-12);
/// ```
pub fn inverse_gaussian_complement_icdf(q: f64, location: f64, concentration: f64) -> f64 {
    quantile(1.0 - q, q, location, concentration)
}

/// The x with P(X <= x) = p and P(X > x) = q, by the smaller one of them.
fn quantile(p: f64, q: f64, location: f64, concentration: f64) -> f64 {
    let positive = |x: f64| x > 0.0 && x < f64::INFINITY;
    if !(p >= 0.0 && q >= 0.0 && positive(location) && positive(concentration)) {
        return f64::NAN;
    }
    if p == 0.0 || q == 0.0 {
        return if p == 0.0 { 0.0 } else { f64::INFINITY };
    }
    let (m, l) = (location.ln(), concentration.ln());
    // The density decays as e^(-l / 2x) towards 0, and as e^(-l x / 2 m^2) towards infinity.
    let bracket = [m.min(l) - 10.0, m.max(2.0 * m - l) + 10.0];
    let spread = (0.5 * (m - l)).exp().min(1.0);
    let normal = if p <= 0.5 { super::normal_icdf(p) } else { -super::normal_icdf(q) };
    let guess = m + spread * normal;
    let log_x = rising_root(bracket, guess, |log_x| {
        let x = log_x.exp();
        let (lower, upper) = log_parts(x, location, concentration);
        let excess = (x - location) / location;
        let log_density = 0.5 * (l - log_x - (2.0 * PI).ln() - concentration * excess * excess / x);
        if p <= 0.5 {
            (lower - p.ln(), (log_density - lower).exp())
        } else {
            (q.ln() - upper, (log_density - upper).exp())
        }
    });
    log_x.exp()
}

#[cfg(test)]
mod tests {
    use super::super::assertions::assert_relative;
    use super::*;

    #[test]
    fn the_quantile_has_its_probability() {
        for (location, concentration) in [(1.3, 2.4), (2.0, 0.7), (1e-6, 1.0), (1.0, 1e6), (1e6, 1.0), (1e3, 1e-3)] {
            for p in [1e-200, 1e-12, 0.03, 0.5, 0.8, 0.999, 1.0 - 1e-12] {
                let x = inverse_gaussian_icdf(p, location, concentration);
                let (lower, upper) = log_parts(x, location, concentration);
                let what = format!("{p:e}, {location:e}, {concentration:e}: {x:e}");
                let (got, expected) = if p <= 0.5 { (lower, p.ln()) } else { (upper, (-p).ln_1p()) };
                // The rounding of x matters if the distribution is narrow.
                let bound = 1e-12 + 1e-14 * f64::sqrt(concentration / location);
                assert_relative(&what, got, expected, bound);
            }
        }
        assert_eq!((inverse_gaussian_icdf(0.0, 1.0, 1.0), inverse_gaussian_icdf(1.0, 1.0, 1.0)), (0.0, f64::INFINITY));
        for q in [1e-300, 1e-100, 1e-20, 0.01, 0.4] {
            let x = inverse_gaussian_complement_icdf(q, 1.3, 2.4);
            assert_relative(&format!("{q:e}"), log_parts(x, 1.3, 2.4).1, f64::ln(q), 1e-12);
        }
        assert_eq!(inverse_gaussian_complement_icdf(0.0, 1.0, 1.0), f64::INFINITY);
        assert!(inverse_gaussian_complement_icdf(-1e-9, 1.0, 1.0).is_nan());
        assert!(inverse_gaussian_icdf(0.5, -1.0, 1.0).is_nan() && inverse_gaussian_icdf(1.5, 1.0, 1.0).is_nan());
    }
}
