//! The regularised incomplete gamma functions and their inverses.

use super::gamma::{lgamma, lgamma_1p};
use super::logistic::log1mexp;
use super::normal::normal_icdf;
use super::quadrature::{Side, gamma_tail};
use super::saddle_point::log_gamma_kernel;

/// For shapes of at least this value the lower part is computed by quadrature, since the power series needs too many
/// terms.
pub(crate) const LARGE_SHAPE: f64 = 30.0;

/// The lower part is computed directly for x up to this value, or up to a if that is larger; beyond it, the upper part
/// is.
pub(crate) const SMALL_ARGUMENT: f64 = 1.5;

fn in_domain(a: f64, x: f64) -> bool {
    a > 0.0 && a < f64::INFINITY && x >= 0.0
}

/// ln gamma(1 + a), with a small relative error for small a.
fn lgamma_1p_any(a: f64) -> f64 {
    if a <= 0.5 { lgamma_1p(a) } else { lgamma(1.0 + a) }
}

/// The sum of x^n / ((a + 1) ... (a + n)) over n >= 0, and minus its derivative with respect to a. All terms of both
/// are positive.
pub(super) fn lower_series(a: f64, x: f64) -> (f64, f64) {
    let mut term = 1.0;
    let mut harmonic = 0.0;
    let mut sum = 1.0;
    let mut derivative = 0.0;
    let mut n = 1.0;
    loop {
        term *= x / (a + n);
        harmonic += 1.0 / (a + n);
        sum += term;
        derivative += term * harmonic;
        if term * (1.0 + harmonic) <= 1e-17 * derivative || n > 1000.0 {
            return (sum, derivative);
        }
        n += 1.0;
    }
}

/// One of the parts P(a, x) and Q(a, x), as e^log_kernel times a factor. It is at most about 0.95, so that the other
/// part follows from it.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// Whether it is P.
    lower: bool,
    log_kernel: f64,
    factor: f64,
    /// The part over x times the density, where the method gives it; otherwise NaN.
    over_density: f64,
}

impl Part {
    pub(super) fn of(a: f64, x: f64) -> Part {
        if x == 0.0 || x == f64::INFINITY {
            return Part { lower: x == 0.0, log_kernel: 0.0, factor: 0.0, over_density: f64::NAN };
        }
        let upper = x > a.max(SMALL_ARGUMENT);
        if upper || a >= LARGE_SHAPE {
            let mass = gamma_tail(a, x, if upper { Side::Upper } else { Side::Lower }).mass;
            return Part { lower: !upper, log_kernel: log_gamma_kernel(a, x), factor: mass, over_density: mass };
        }
        let log_power = a * x.ln() - lgamma_1p_any(a);
        if a < 0.5 && log_power > -0.1 {
            let factor = small_shape_upper(a, x, log_power);
            return Part { lower: false, log_kernel: 0.0, factor, over_density: f64::NAN };
        }
        let series = lower_series(a, x).0;
        Part { lower: true, log_kernel: log_power - x, factor: series, over_density: series / a }
    }

    /// P or Q.
    fn value_of(self, lower: bool) -> f64 {
        let value = (self.log_kernel.exp() * self.factor).clamp(0.0, 1.0);
        if self.lower == lower { value } else { 1.0 - value }
    }

    /// ln P or ln Q.
    fn log_of(self, lower: bool) -> f64 {
        let log = (self.log_kernel + self.factor.ln()).min(0.0);
        if self.lower == lower { log } else { log1mexp(log) }
    }

    /// P or Q over x times the density, where all of them may underflow.
    pub(super) fn over_density(self, lower: bool, a: f64, x: f64) -> f64 {
        if self.lower == lower && !self.over_density.is_nan() {
            self.over_density
        } else {
            (self.log_of(lower) - log_gamma_kernel(a, x)).exp()
        }
    }
}

/// Q(a, x) for a < 1/2 and x <= 1.5, where 1 - P would cancel; `log_power` is ln(x^a / gamma(1 + a)).
fn small_shape_upper(a: f64, x: f64, log_power: f64) -> f64 {
    let mut power = 1.0;
    let mut sum = 0.0;
    for k in 1..30 {
        let n = f64::from(k);
        power *= -x / n;
        sum += power / (a + n);
    }
    -log_power.exp_m1() - log_power.exp() * a * sum
}

/// The lower regularised incomplete gamma function P(a, x), the distribution function of Gamma(a, rate 1).
///
/// Domain: finite a > 0 and x >= 0, including infinity; anything else gives NaN. The smaller of P and Q has a relative
/// error below 2e-14 + 1e-15 |ln of it| for a up to 1e6, and below 1e-12 for a up to 1e8, as long as it is a normal float.
///
/// Method: power series for a < 30 and x <= max(a, 1.5) (Abramowitz & Stegun 6.5.29); otherwise Gauss-Legendre
/// quadrature of the smaller part on a logarithmic scale, with the prefactor in Loader's form.
///
/// ```
/// # use stochgrad_tensor::special::gamma_p;
/// assert!((gamma_p(1.0, 2.0) - (1.0 - (-2f64).exp())).abs() < 1e-15);
/// ```
pub fn gamma_p(a: f64, x: f64) -> f64 {
    if in_domain(a, x) { Part::of(a, x).value_of(true) } else { f64::NAN }
}

/// The upper regularised incomplete gamma function Q(a, x) = 1 - P(a, x), the survival function of Gamma(a, rate 1).
///
/// Domain, error and method: see [`gamma_p`].
pub fn gamma_q(a: f64, x: f64) -> f64 {
    if in_domain(a, x) { Part::of(a, x).value_of(false) } else { f64::NAN }
}

/// ln P(a, x), which is finite also where P underflows.
///
/// Domain: that of [`gamma_p`]; x = 0 gives -inf. Error below 3e-14 * max(|result|, 1) where the result is below -0.1,
/// and relative to the result above.
///
/// ```
/// # use stochgrad_tensor::special::log_gamma_p;
/// // P(a, x) is x^a / gamma(1 + a) for small x.
/// assert!((log_gamma_p(2.0, 1e-200) - (2.0 * 1e-200_f64.ln() - 2.0_f64.ln())).abs() < 1e-12);
/// ```
pub fn log_gamma_p(a: f64, x: f64) -> f64 {
    if in_domain(a, x) { Part::of(a, x).log_of(true) } else { f64::NAN }
}

/// ln Q(a, x), which is finite also where Q underflows.
///
/// Domain: that of [`gamma_q`]; x = +inf gives -inf. Error as for [`log_gamma_p`].
///
/// ```
/// # use stochgrad_tensor::special::log_gamma_q;
/// assert_eq!(log_gamma_q(1.0, 5000.0), -5000.0);
/// ```
pub fn log_gamma_q(a: f64, x: f64) -> f64 {
    if in_domain(a, x) { Part::of(a, x).log_of(false) } else { f64::NAN }
}

/// The derivative of ln P(a, x) with respect to x: the density over P.
///
/// Domain: finite a > 0 and x >= 0; anything else gives NaN. At x = 0 it is +inf, at x = +inf it is 0. Relative error
/// below 1e-13, also where P underflows.
pub fn log_gamma_p_slope(a: f64, x: f64) -> f64 {
    if !in_domain(a, x) {
        f64::NAN
    } else if x == 0.0 || x == f64::INFINITY {
        if x == 0.0 { f64::INFINITY } else { 0.0 }
    } else {
        1.0 / Part::of(a, x).over_density(true, a, x) / x
    }
}

/// The derivative of ln Q(a, x) with respect to x: minus the density over Q.
///
/// Domain: finite a > 0 and x >= 0; anything else gives NaN. At x = +inf it is -1, the limit; at x = 0 minus the
/// density. Relative error below 1e-13, also where Q underflows.
pub fn log_gamma_q_slope(a: f64, x: f64) -> f64 {
    if !in_domain(a, x) {
        f64::NAN
    } else if x == f64::INFINITY {
        -1.0
    } else if x == 0.0 {
        if a > 1.0 {
            -0.0
        } else if a == 1.0 {
            -1.0
        } else {
            f64::NEG_INFINITY
        }
    } else {
        -1.0 / Part::of(a, x).over_density(false, a, x) / x
    }
}

/// The x with P(a, x) = p: the quantile function of Gamma(a, rate 1).
///
/// Domain: finite a > 0 and 0 <= p <= 1; p = 1 gives +inf; anything else gives NaN. For a in [1e-3, 1e5], P(a, result)
/// agrees with p to a relative error of 1e-11 (for p > 1/2, Q agrees with 1 - p), mostly due to the rounding of the
/// result. For small a the result may underflow to 0.
///
/// Method: Newton's method on ln P or ln Q as functions of ln x. Both are concave (and ln Q is convex in x for a < 1),
/// so the iteration cannot diverge.
pub fn gamma_p_inverse(a: f64, p: f64) -> f64 {
    inverse(a, p, 1.0 - p)
}

/// The x with Q(a, x) = q: the counterpart of [`gamma_p_inverse`] for the upper part.
///
/// Domain: finite a > 0 and 0 <= q <= 1; q = 0 gives +inf; anything else gives NaN. Error as for [`gamma_p_inverse`].
pub fn gamma_q_inverse(a: f64, q: f64) -> f64 {
    inverse(a, 1.0 - q, q)
}

/// The x with P(a, x) = p and Q(a, x) = q, computed from the smaller of the two.
fn inverse(a: f64, p: f64, q: f64) -> f64 {
    if !(in_domain(a, 0.0) && (0.0..=1.0).contains(&p) && (0.0..=1.0).contains(&q)) {
        return f64::NAN;
    }
    if p == 0.0 {
        return 0.0;
    }
    if q == 0.0 {
        return f64::INFINITY;
    }
    let log_p = if q < 0.5 { (-q).ln_1p() } else { p.ln() };
    // P(a, x) <= x^a / gamma(1 + a), with equality in the limit of small x.
    let lower_bound = (log_p + lgamma_1p_any(a)) / a;
    if lower_bound < -38.0 {
        return lower_bound.exp();
    }
    let upper = q < 0.5;
    let normal = if upper { -normal_icdf(q) } else { normal_icdf(p) };
    let mut log_x = if a < 1.0 { lower_bound } else { lower_bound.max(wilson_hilferty(a, normal)) };
    let target = if upper { q.ln() } else { log_p };
    for _ in 0..100 {
        let x = log_x.exp();
        let part = Part::of(a, x);
        let size = (part.log_of(!upper) - target) * part.over_density(!upper, a, x);
        let step = if upper { size } else { -size };
        if !step.is_finite() {
            break;
        }
        // For a < 1, ln Q is convex in x, and Newton's step is taken in x, from the left.
        let step = if upper && a < 1.0 { step.ln_1p() } else { step };
        log_x = (log_x + step).max(lower_bound);
        if step.abs() <= 1e-15 * (1.0 + log_x.abs()) {
            break;
        }
    }
    log_x.exp()
}

/// ln of Wilson and Hilferty's approximation to the gamma quantile from that of the standard normal distribution, -inf
/// where it fails.
fn wilson_hilferty(a: f64, normal: f64) -> f64 {
    let spread = 1.0 / (9.0 * a);
    let root = 1.0 - spread + normal * spread.sqrt();
    if root > 0.0 { a.ln() + 3.0 * root.ln() } else { f64::NEG_INFINITY }
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{POSITIVE, PROBABILITIES, assert_relative};
    use super::*;

    /// a, x, P(a, x), Q(a, x), from mpmath at 40 digits.
    const GOLDEN: [(f64, f64, f64, f64); 36] = [
        (0.001, 1e-300, 0.5014761980108866, 0.4985238019891134),
        (0.001, 1e-10, 0.9778006565986258, 0.022199343401374194),
        (0.001, 0.0001, 0.9914031196674433, 0.008596880332556643),
        (0.001, 0.5, 0.9994399333435292, 0.0005600666564707498),
        (0.001, 1.4, 0.9998836319652082, 0.00011636803479172012),
        (0.001, 1.6, 0.9999135721936899, 8.642780631002338e-05),
        (0.001, 20.0, 0.9999999999999013, 9.87117309790269e-14),
        (0.1, 0.3, 0.9083579897300342, 0.09164201026996573),
        (0.4999, 1.2, 0.8786963486949795, 0.12130365130502055),
        (0.5, 1.4999, 0.9167252039625159, 0.08327479603748415),
        (0.5, 3.0, 0.9856941215645704, 0.01430587843542964),
        (1.0, 1e-09, 9.999999995e-10, 0.999999999),
        (1.0, 2.0, 0.8646647167633873, 0.1353352832366127),
        (2.5, 0.1, 0.0008861387888124426, 0.9991138612111875),
        (2.5, 2.4, 0.559227031913337, 0.440772968086663),
        (2.5, 2.6, 0.6080371084003663, 0.39196289159963377),
        (2.5, 300.0, 1.0, 2.0224172842813905e-127),
        (9.99, 8.0, 0.28450306925645835, 0.7154969307435416),
        (10.0, 13.0, 0.8341881233827079, 0.1658118766172921),
        (29.99, 25.0, 0.18260392164607353, 0.8173960783539265),
        (30.0, 3.0, 4.277047721426897e-20, 1.0),
        (30.0, 29.9, 0.5170078337150413, 0.48299216628495867),
        (30.0, 30.1, 0.5315339857914719, 0.46846601420852807),
        (30.0, 90.0, 0.999999999999936, 6.3926569911375e-14),
        (100.0, 50.0, 3.200065324585125e-10, 0.9999999996799934),
        (100.0, 99.0, 0.473304330399461, 0.526695669600539),
        (100.0, 101.0, 0.5528962934345113, 0.44710370656548876),
        (100.0, 400.0, 1.0, 1.0943747087346983e-72),
        (10000.0, 9500.0, 1.862454651795155e-07, 0.9999998137545348),
        (10000.0, 9999.0, 0.497340285795356, 0.502659714204644),
        (10000.0, 10300.0, 0.9985295051036143, 0.0014704948963856813),
        (1000000.0, 995000.0, 2.749580359270071e-07, 0.9999997250419641),
        (1000000.0, 999999.0, 0.49973403838073555, 0.5002659616192645),
        (1000000.0, 1004000.0, 0.9999676545526865, 3.234544731347768e-05),
        (100000000.0, 99950000.0, 2.854642139958626e-07, 0.999999714535786),
        (100000000.0, 100030000.0, 0.998648919898398, 0.0013510801016019577),
    ];

    #[test]
    fn both_parts_match_mpmath() {
        for (a, x, p, q) in GOLDEN {
            let bound = |part: f64| if part <= 0.5 { 1e-12 } else { 1e-14 };
            assert_relative(&format!("gamma_p({a}, {x})"), gamma_p(a, x), p, bound(p));
            assert_relative(&format!("gamma_q({a}, {x})"), gamma_q(a, x), q, bound(q));
        }
    }

    #[test]
    fn methods_agree_where_they_meet() {
        // One rounding step in x changes the value by less than the bound.
        for x in [1.0, 20.0, 29.0, 30.5, 60.0] {
            let (below, above) = (LARGE_SHAPE.next_down(), LARGE_SHAPE);
            assert_relative(&format!("P at x = {x}"), gamma_p(below, x), gamma_p(above, x), 1e-13);
            assert_relative(&format!("Q at x = {x}"), gamma_q(below, x), gamma_q(above, x), 1e-13);
        }
        for a in [1e-3_f64, 0.2, 0.49, 0.51, 1.4, 5.0, 29.0, 40.0, 1e5] {
            let x = a.max(SMALL_ARGUMENT);
            assert_relative(&format!("P at a = {a}"), gamma_p(a, x), gamma_p(a, x.next_up()), 1e-13);
            assert_relative(&format!("Q at a = {a}"), gamma_q(a, x), gamma_q(a, x.next_up()), 1e-13);
        }
        for x in [1e-8, 0.3, 1.5] {
            assert_relative(&format!("Q at x = {x}"), gamma_q(0.5f64.next_down(), x), gamma_q(0.5, x), 1e-13);
        }
    }

    #[test]
    fn inverse_undoes_both_parts() {
        for a in [1e-3, 0.02, 0.3, 0.99, 1.0, 3.0, 25.0, 200.0, 1e5] {
            for p in [1e-200, 1e-10, 0.01, 0.3, 0.5, 0.7, 0.99, 1.0 - 1e-12] {
                let x = gamma_p_inverse(a, p);
                if x == 0.0 {
                    let log_p = p.ln();
                    assert!((log_p + lgamma(1.0 + a)) / a < -700.0, "P^-1({a}, {p}) underflowed too early");
                } else if p > 0.5 {
                    assert_relative(&format!("Q at {a}, {p}"), gamma_q(a, x), 1.0 - p, 1e-11);
                } else {
                    assert_relative(&format!("P at {a}, {p}"), gamma_p(a, x), p, 1e-11);
                }
            }
        }
        assert_eq!((gamma_p_inverse(2.0, 0.0), gamma_p_inverse(2.0, 1.0)), (0.0, f64::INFINITY));
    }

    #[test]
    fn edges_and_domain_are_as_documented() {
        let inf = f64::INFINITY;
        assert_eq!((gamma_p(2.0, 0.0), gamma_q(2.0, 0.0)), (0.0, 1.0));
        assert_eq!((gamma_p(2.0, inf), gamma_q(2.0, inf)), (1.0, 0.0));
        for f in [gamma_p, gamma_q, gamma_p_inverse] {
            for (a, x) in [(0.0, 0.5), (-1.0, 0.5), (inf, 0.5), (2.0, -0.5), (f64::NAN, 0.5), (2.0, f64::NAN)] {
                assert!(f(a, x).is_nan(), "a = {a}, x = {x}");
            }
        }
        assert!(gamma_p_inverse(2.0, 1.5).is_nan());
    }

    #[test]
    fn never_nan_inside_the_domain() {
        for a in POSITIVE {
            let around = [-3.0, -0.5, 0.0, 0.5, 3.0].map(|k| (a + k * a.sqrt()).max(0.0));
            for x in POSITIVE.into_iter().chain(around) {
                let (p, q) = (gamma_p(a, x), gamma_q(a, x));
                assert!((0.0..=1.0).contains(&p) && (0.0..=1.0).contains(&q), "a = {a:e}, x = {x:e}: {p:e}, {q:e}");
                assert!((p + q - 1.0).abs() < 1e-14, "a = {a:e}, x = {x:e}: {p:e} + {q:e}");
            }
            for p in PROBABILITIES {
                assert!(gamma_p_inverse(a, p) >= 0.0, "a = {a:e}, p = {p:e}");
            }
        }
    }
}
