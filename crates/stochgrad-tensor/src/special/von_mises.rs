//! The distribution function of the von Mises distribution, and its derivative with respect to the concentration.

use super::bessel::log_bessel_ie;
use super::normal::normal_icdf;
use super::quadrature::legendre;
use super::root::rising_root;
use std::f64::consts::PI;

/// The angle pi in single precision, which is above pi. Angles up to this value count as pi.
const SINGLE_PI: f64 = 3.141_592_741_012_573_2;

/// The exponent at which an integrand is cut off.
const CUTOFF: f64 = 45.0;

/// What the constant pi is below pi.
const PI_REST: f64 = 1.224_646_799_147_353_2e-16;

/// The length of the interval from x to pi.
fn to_pi(x: f64) -> f64 {
    (PI - x) + PI_REST
}

/// The integral of e^-(kappa fall) f(fall) with fall = cos(from) - cos(t), over an interval of t of this length that
/// starts at `from`, inside [0, pi]. At most 60 panels.
fn integral(kappa: f64, from: f64, length: f64, f: impl Fn(f64) -> f64) -> f64 {
    // cos(from) - cos(t) = 2 sin(from + v / 2) sin(v / 2) for v = t - from, without cancellation.
    let fall = |v: f64| 2.0 * (from + 0.5 * v).sin() * (0.5 * v).sin();
    // Half of the interval over which a parabola with this slope and the largest curvature falls by the cutoff.
    let slope = kappa * from.sin();
    let width = 2.0_f64.min(CUTOFF / (slope + slope.hypot((2.0 * CUTOFF * kappa).sqrt())));
    let (mut at, mut sum) = (0.0, 0.0);
    for _ in 0..60 {
        if at >= length || kappa * fall(at) >= CUTOFF {
            break;
        }
        let end = (at + width).min(length);
        sum += legendre(at, end, |v| {
            let fall = fall(v);
            (-kappa * fall).exp() * f(fall)
        });
        at = end;
    }
    sum
}

fn is_concentration(kappa: f64) -> bool {
    (0.0..f64::INFINITY).contains(&kappa)
}

/// ln of e^(kappa cos x) / (2 pi I_0(kappa))
fn log_density(x: f64, kappa: f64) -> f64 {
    let sine = (0.5 * x).sin();
    -2.0 * (kappa * sine * sine) - (2.0 * PI).ln() - log_bessel_ie(0.0, kappa)
}

/// ln P(X > |x|) for |x| <= pi.
fn log_tail(x: f64, kappa: f64) -> f64 {
    log_density(x, kappa) + integral(kappa, x.abs(), to_pi(x.abs()), |_| 1.0).ln()
}

/// P(X <= x) for a von Mises angle X in [-pi, pi] with mean 0 and concentration `kappa`.
///
/// Domain: all x, where the probability is 0 up to -pi and 1 from pi on, and finite kappa >= 0; anything else gives NaN.
/// Relative error of the smaller of the two tails below 2e-14 + 1e-15 |ln of the tail|, for all concentrations
/// (Gauss-Legendre panels, at most 60).
///
/// ```
/// # use stochgrad_tensor::special::von_mises_cdf;
/// assert!((von_mises_cdf(0.0, 3.0) - 0.5).abs() < 1e-15);
/// ```
pub fn von_mises_cdf(x: f64, kappa: f64) -> f64 {
    if x.is_nan() || !is_concentration(kappa) {
        return f64::NAN;
    }
    if x.abs() >= PI {
        return if x < 0.0 { 0.0 } else { 1.0 };
    }
    let tail = log_tail(x, kappa).exp();
    if x <= 0.0 { tail } else { 1.0 - tail }
}

/// ln of [`von_mises_cdf`]; the logarithm of the survival function is its value at -x.
///
/// Domain: that of [`von_mises_cdf`]; -inf up to -pi, and 0 from pi on. The error is below 3e-14 * max(|result|, 1) for
/// x < 0, and relative to the result for x > 0.
///
/// ```
/// # use stochgrad_tensor::special::von_mises_log_cdf;
/// assert!((von_mises_log_cdf(0.0, 3.0) + 2_f64.ln()).abs() < 1e-15);
/// ```
pub fn von_mises_log_cdf(x: f64, kappa: f64) -> f64 {
    if x.is_nan() || !is_concentration(kappa) {
        f64::NAN
    } else if x.abs() >= PI {
        if x < 0.0 { f64::NEG_INFINITY } else { 0.0 }
    } else if x <= 0.0 {
        log_tail(x, kappa)
    } else {
        (-log_tail(x, kappa).exp()).ln_1p()
    }
}

/// The x with P(X <= x) = p for a von Mises angle X in [-pi, pi] with mean 0: the inverse of [`von_mises_cdf`]. The
/// quantile of the survival function is minus this value.
///
/// Domain: 0 <= p <= 1, finite kappa >= 0; anything else gives NaN. Error below 1e-12, relative to the result for large
/// concentrations (Newton's method on the logarithm, in a bracket, at most 200 steps).
pub fn von_mises_icdf(p: f64, kappa: f64) -> f64 {
    if !((0.0..=1.0).contains(&p) && is_concentration(kappa)) {
        return f64::NAN;
    }
    let tail = p.min(1.0 - p);
    if tail == 0.0 {
        return if p == 0.0 { -PI } else { PI };
    }
    if tail == 0.5 {
        return 0.0;
    }
    let guess = (normal_icdf(tail) / kappa.max(0.1).sqrt()).max(PI * (2.0 * tail - 1.0));
    let x = rising_root([-PI, 0.0], guess, |x| {
        let reached = log_tail(x, kappa);
        (reached - tail.ln(), (log_density(x, kappa) - reached).exp())
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
    if (1e6..f64::INFINITY).contains(&kappa) {
        // The asymptotic series; the integrals would underflow at last.
        let inverse = 1.0 / kappa;
        0.5 * inverse * (1.0 + 0.25 * inverse * (1.0 + inverse))
    } else if is_concentration(kappa) {
        integral(kappa, 0.0, PI, |gap| gap) / integral(kappa, 0.0, PI, |_| 1.0)
    } else {
        f64::NAN
    }
}

/// The derivative of P(X > x) with respect to the concentration over the density at x, for 0 <= x <= pi.
fn tail_derivative_over_density(x: f64, kappa: f64, mean_gap: f64) -> f64 {
    if kappa > 1e150 && gap(x) < 1e4 * mean_gap {
        // The limit, that of a normal variate with variance 1 / kappa; the integrals would underflow.
        return -0.5 * x / kappa;
    }
    if gap(x) >= mean_gap {
        // E(1 - cos X) - (1 - cos t), which has a constant sign on this side.
        let start = mean_gap - gap(x);
        integral(kappa, x, to_pi(x), |fall| start - fall)
    } else {
        let sine = (0.5 * x).sin();
        -(2.0 * (kappa * sine * sine)).exp() * integral(kappa, 0.0, x, |fall| mean_gap - fall)
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
        if !(x.abs() <= SINGLE_PI && is_concentration(self.kappa)) {
            return f64::NAN;
        }
        if x.abs() >= PI {
            return 0.0;
        }
        let size = -tail_derivative_over_density(x.abs(), self.kappa, self.mean_gap);
        let size = if size.is_finite() { size } else { 0.0 };
        if x <= 0.0 { size } else { -size }
    }
}

/// The derivative of a von Mises sample with mean 0 with respect to the concentration, at a constant value of the
/// distribution function: minus the derivative of the distribution function, over the density.
///
/// Domain: that of [`von_mises_cdf`]. Samples outside [-pi, pi] count as the nearest end. Relative error below 1e-10;
/// where the density underflows, it is 0.
///
/// ```
/// # use stochgrad_tensor::special::von_mises_sample_derivative;
/// assert!(von_mises_sample_derivative(-1.0, 2.0) > 0.0); // a larger concentration moves samples to the mean
/// assert_eq!(von_mises_sample_derivative(1.0, 2.0), -von_mises_sample_derivative(-1.0, 2.0));
/// ```
pub fn von_mises_sample_derivative(x: f64, kappa: f64) -> f64 {
    VonMisesPath::new(kappa).at(x.clamp(-PI, PI))
}

/// The derivative of [`von_mises_cdf`] with respect to the concentration.
///
/// Domain: that of [`von_mises_cdf`]; 0 outside (-pi, pi). Relative error below 1e-10, since the integrand has a
/// constant sign.
pub fn von_mises_cdf_derivative(x: f64, kappa: f64) -> f64 {
    if x.is_nan() || !is_concentration(kappa) {
        return f64::NAN;
    }
    if x.abs() >= PI {
        return 0.0;
    }
    let tail = log_density(x, kappa).exp() * tail_derivative_over_density(x.abs(), kappa, von_mises_gap(kappa));
    if x <= 0.0 { tail } else { -tail }
}

/// The derivative of [`von_mises_log_cdf`] with respect to the concentration.
///
/// Domain and error: those of [`von_mises_cdf_derivative`], also where the probability underflows.
pub fn von_mises_log_cdf_derivative(x: f64, kappa: f64) -> f64 {
    let slope = von_mises_log_cdf_slope(x, kappa);
    if slope.is_nan() || x.abs() >= PI {
        return if slope.is_nan() { slope } else { 0.0 };
    }
    let tail = slope * tail_derivative_over_density(x.abs(), kappa, von_mises_gap(kappa));
    if x <= 0.0 { tail } else { -tail }
}

/// The derivative of [`von_mises_log_cdf`] with respect to x: the density over the probability.
///
/// Domain: that of [`von_mises_cdf`]; +inf up to -pi, and 0 beyond pi. Relative error below 1e-12, also where the
/// probability underflows.
pub fn von_mises_log_cdf_slope(x: f64, kappa: f64) -> f64 {
    if x.is_nan() || !is_concentration(kappa) {
        f64::NAN
    } else if x.abs() >= PI {
        if x < 0.0 { f64::INFINITY } else { 0.0 }
    } else if x <= 0.0 {
        1.0 / integral(kappa, -x, to_pi(-x), |_| 1.0)
    } else {
        (log_density(x, kappa) - von_mises_log_cdf(x, kappa)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{assert_near, assert_relative};
    use super::*;

    fn density(x: f64, kappa: f64) -> f64 {
        log_density(x, kappa).exp()
    }

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
        let ratio = (log_bessel_ie(1.0, 2.0) - log_bessel_ie(0.0, 2.0)).exp();
        assert!((von_mises_gap(2.0) - (1.0 - ratio)).abs() < 1e-14);
        assert!((von_mises_gap(1e10) / 0.5e-10 - 1.0).abs() < 1e-9 && von_mises_gap(-1.0).is_nan());
        assert!(von_mises_cdf(f64::NAN, 1.0).is_nan() && von_mises_cdf(0.0, -1.0).is_nan());
        // Angles of single precision are above pi.
        for x in [f64::from(std::f32::consts::PI), 3.2, f64::INFINITY] {
            assert_eq!((von_mises_cdf(x, 1.0), von_mises_cdf(-x, 1.0)), (1.0, 0.0));
            assert_eq!((von_mises_cdf_derivative(x, 1.0), von_mises_log_cdf(x, 1.0)), (0.0, 0.0));
        }
        assert_eq!(VonMisesPath::new(1.0).at(f64::from(std::f32::consts::PI)), 0.0);
        assert!((von_mises_cdf(1.0, 0.0) - (0.5 + 0.5 / PI)).abs() < 1e-15);
    }
}
