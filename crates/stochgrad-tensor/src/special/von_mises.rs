//! The distribution function of the von Mises distribution, and its derivative with respect to the concentration.

use super::bessel::bessel_ie;
use super::normal::normal_icdf;
use super::quadrature::legendre;
use super::root::rising_root;
use std::f64::consts::PI;

/// The integral of e^(kappa (cos t - cos from)) f(t) over `from` <= t <= `to`, both in [0, pi].
fn integral(kappa: f64, from: f64, to: f64, f: impl Fn(f64) -> f64) -> f64 {
    let width = 2.0_f64.min(6.0 / (1.0 + kappa).sqrt());
    // cos t - cos from = -2 sin((t + from) / 2) sin((t - from) / 2), without cancellation.
    let drop = |t: f64| 2.0 * kappa * (0.5 * (t + from)).sin() * (0.5 * (t - from)).sin();
    let (mut at, mut sum) = (from, 0.0);
    while at < to && drop(at) < 45.0 {
        let end = (at + width).min(to);
        sum += legendre(at, end, |t| (-drop(t)).exp() * f(t));
        at = end;
    }
    sum
}

fn in_domain(x: f64, kappa: f64) -> bool {
    x.abs() <= PI && (0.0..f64::INFINITY).contains(&kappa)
}

/// e^(kappa cos x) / (2 pi I_0(kappa))
fn density(x: f64, kappa: f64) -> f64 {
    (-2.0 * kappa * (0.5 * x).sin().powi(2)).exp() / (2.0 * PI * bessel_ie(0, kappa))
}

/// P(X <= x) for a von Mises angle X in [-pi, pi] with mean 0 and concentration `kappa`.
///
/// Domain: -pi <= x <= pi, finite kappa >= 0; anything else gives NaN. Relative error of the smaller of the two tails
/// below 1e-12 for kappa up to 1e8 (Gauss-Legendre panels).
///
/// ```
/// # use stochgrad_tensor::special::von_mises_cdf;
/// assert!((von_mises_cdf(0.0, 3.0) - 0.5).abs() < 1e-15);
/// ```
pub fn von_mises_cdf(x: f64, kappa: f64) -> f64 {
    if !in_domain(x, kappa) {
        return f64::NAN;
    }
    let tail = density(x, kappa) * integral(kappa, x.abs(), PI, |_| 1.0);
    if x <= 0.0 { tail } else { 1.0 - tail }
}

/// The x with P(X <= x) = p for a von Mises angle X in [-pi, pi] with mean 0: the inverse of [`von_mises_cdf`].
///
/// Domain: 0 <= p <= 1, finite kappa >= 0; anything else gives NaN. Error below 1e-12 (Newton's method on the
/// logarithm, in a bracket).
pub fn von_mises_icdf(p: f64, kappa: f64) -> f64 {
    if !((0.0..=1.0).contains(&p) && (0.0..f64::INFINITY).contains(&kappa)) {
        return f64::NAN;
    }
    let tail = p.min(1.0 - p);
    if tail == 0.0 {
        return if p == 0.0 { -PI } else { PI };
    }
    let guess = (normal_icdf(tail) / kappa.max(0.1).sqrt()).max(PI * (2.0 * tail - 1.0));
    let x = rising_root([-PI, 0.0], guess, |x| {
        let reached = von_mises_cdf(x, kappa);
        (reached.ln() - tail.ln(), density(x, kappa) / reached)
    });
    if p <= 0.5 { x } else { -x }
}

/// 1 - cos t
fn gap(t: f64) -> f64 {
    2.0 * (0.5 * t).sin().powi(2)
}

/// 1 - I_1(kappa) / I_0(kappa): the mean of 1 - cos X, and the circular variance of the von Mises distribution.
///
/// Domain: finite kappa >= 0; anything else gives NaN. Relative error below 1e-13, also where the difference would have
/// no correct digits.
pub fn von_mises_gap(kappa: f64) -> f64 {
    if (0.0..f64::INFINITY).contains(&kappa) {
        integral(kappa, 0.0, PI, gap) / integral(kappa, 0.0, PI, |_| 1.0)
    } else {
        f64::NAN
    }
}

/// The derivative of a von Mises sample with mean 0 with respect to the concentration, at a constant value of the
/// distribution function. What depends on the concentration only is computed once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VonMisesPath {
    pub(crate) kappa: f64,
    mean_gap: f64,
}

impl VonMisesPath {
    pub(crate) fn new(kappa: f64) -> Self {
        VonMisesPath { kappa, mean_gap: von_mises_gap(kappa) }
    }

    /// The derivative at an angle in [-pi, pi]: -(dF/dkappa) / p. Where the density underflows, it is 0.
    pub(crate) fn at(&self, x: f64) -> f64 {
        if !in_domain(x, self.kappa) {
            return f64::NAN;
        }
        let (angle, kappa) = (x.abs(), self.kappa);
        let above = |t: f64| self.mean_gap - gap(t);
        // The integral of E cos t - cos t over the tail, or minus the integral from the centre to x, over the density.
        let size = if gap(angle) >= self.mean_gap {
            -integral(kappa, angle, PI, above)
        } else {
            (2.0 * kappa * (0.5 * angle).sin().powi(2)).exp() * integral(kappa, 0.0, angle, above)
        };
        let size = if size.is_finite() { size } else { 0.0 };
        if x <= 0.0 { size } else { -size }
    }
}

/// The derivative of [`von_mises_cdf`] with respect to the concentration.
///
/// Domain: that of [`von_mises_cdf`]. Relative error below 1e-11, since the integrand has a constant sign.
pub fn von_mises_cdf_derivative(x: f64, kappa: f64) -> f64 {
    if !in_domain(x, kappa) {
        return f64::NAN;
    }
    let mean_gap = von_mises_gap(kappa);
    let angle = x.abs();
    // The integral of (cos t - E cos t) p(t) over the tail, or minus the integral from the centre to x.
    let tail = if gap(angle) >= mean_gap {
        density(x, kappa) * integral(kappa, angle, PI, |t| mean_gap - gap(t))
    } else {
        -density(0.0, kappa) * integral(kappa, 0.0, angle, |t| mean_gap - gap(t))
    };
    if x <= 0.0 { tail } else { -tail }
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{assert_near, assert_relative};
    use super::*;

    #[test]
    fn the_inverse_undoes_the_distribution_function() {
        for kappa in [0.0, 1e-8, 0.3, 2.0, 40.0, 500.0, 1e6] {
            for p in [1e-30, 1e-6, 0.1, 0.4999, 0.5, 0.6, 0.999] {
                let x = von_mises_icdf(p, kappa);
                let (got, expected) =
                    if p <= 0.5 { (von_mises_cdf(x, kappa), p) } else { (von_mises_cdf(-x, kappa), 1.0 - p) };
                // Near -pi the rounding of the angle changes the small tail.
                let rounding = 3e-15 * density(x, kappa) / expected;
                assert_relative(&format!("{p:e}, {kappa}"), got, expected, 1e-12 + rounding);
            }
        }
        assert_eq!((von_mises_icdf(0.0, 1.0), von_mises_icdf(1.0, 1.0)), (-PI, PI));
        assert!(von_mises_icdf(1.5, 1.0).is_nan() && von_mises_icdf(0.5, -1.0).is_nan());
    }

    /// x, kappa, P(X <= x), its derivative with respect to kappa, from mpmath at 40 digits.
    const GOLDEN: [(f64, f64, f64, f64); 16] = [
        (-3.0, 0.0, 0.022535170724313994, -0.02245994685189598),
        (1.0, 0.1, 0.6727115506246601, 0.13703808872300285),
        (-1.0, 1.0, 0.20564469256531653, -0.12171649338589095),
        (2.5, 1.0, 0.9682095163056197, 0.04372997763663576),
        (-0.3, 5.0, 0.25804549900481843, -0.02239371512388817),
        (-2.0, 5.0, 0.00018948144964329425, -0.00028859107298696314),
        (0.7, 20.0, 0.9988407227569395, 0.00029775261931055263),
        (-1.5, 50.0, 3.734995877232888e-22, -3.5079060610010847e-22),
        (-0.1, 50.0, 0.24039668356440694, -0.0022049232782336073),
        (0.05, 1000.0, 0.9430354095568544, 9.041489331700902e-05),
        (-0.2, 1000.0, 1.3663888873225004e-10, -2.788953683357212e-12),
        (-0.5, 1000.0, 1.7917438606926742e-55, -2.202296418297794e-56),
        (-0.001, 1000000.0, 0.1586552942599301, -1.209853925059429e-07),
        (0.002, 1000000.0, 0.9772498365570624, 5.3991027253080874e-08),
        (-0.005, 1000000.0, 2.8666024453609455e-07, -3.7169037878216224e-12),
        (-0.0001, 100000000.0, 0.1586552543347416, -1.2098536256203508e-09),
    ];

    #[test]
    fn known_values() {
        for (x, kappa, probability, derivative) in GOLDEN {
            let what = format!("x = {x}, kappa = {kappa}");
            assert_relative(&what, von_mises_cdf(x, kappa), probability, 1e-12);
            assert_near(&what, von_mises_cdf_derivative(x, kappa), derivative, 1e-12);
            assert_relative(&what, von_mises_cdf_derivative(x, kappa), derivative, 1e-10);
        }
    }

    #[test]
    fn the_path_is_the_quotient_of_its_definition() {
        for (x, kappa, _, derivative) in GOLDEN {
            let path = VonMisesPath::new(kappa).at(x);
            assert_relative(&format!("x = {x}, kappa = {kappa}"), path, -derivative / density(x, kappa), 1e-10);
        }
    }

    #[test]
    fn ends_and_misuse() {
        assert_eq!((von_mises_cdf(-PI, 2.0), von_mises_cdf(PI, 2.0)), (0.0, 1.0));
        assert!((von_mises_gap(2.0) - (1.0 - bessel_ie(1, 2.0) / bessel_ie(0, 2.0))).abs() < 1e-14);
        assert!((von_mises_gap(1e10) / 0.5e-10 - 1.0).abs() < 1e-9 && von_mises_gap(-1.0).is_nan());
        assert!(von_mises_cdf(4.0, 1.0).is_nan() && von_mises_cdf(0.0, -1.0).is_nan());
        assert!((von_mises_cdf(1.0, 0.0) - (0.5 + 0.5 / PI)).abs() < 1e-15);
    }
}
