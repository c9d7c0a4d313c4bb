//! The regularised incomplete beta function.

use super::gamma::lgamma_1p;
use super::gamma_difference::log_gamma_shift;
use super::incomplete_gamma::LARGE_SHAPE;
use super::logistic::log1mexp;
use super::quadrature::beta_lower_tail;
use super::saddle_point::log_beta_kernel;

/// The regularised incomplete beta function I_x(a, b), the distribution function of Beta(a, b).
///
/// Domain: finite a > 0 and b > 0, 0 <= x <= 1; anything else gives NaN. Relative error of the smaller of I and 1 - I
/// below 3e-13 + 1e-15 |ln of it| for shapes up to 1e5; for larger ones it is that of a rounding of x. If 1 - x is tiny,
/// the rounding error of x dominates; pass 1 - x separately to [`beta_inc_pair`] in this case.
///
/// Method: on the side of x where a shape is at least 30, quadrature on the logit scale; otherwise the continued
/// fraction of NIST DLMF 8.17.22, or for shapes below 1/2 a series of the complement; the prefactor in Loader's form.
/// No method takes more than 500 terms.
///
/// ```
/// # use stochgrad_tensor::special::beta_inc;
/// assert!((beta_inc(2.0, 1.0, 0.5) - 0.25).abs() < 1e-15);
/// ```
pub fn beta_inc(a: f64, b: f64, x: f64) -> f64 {
    if !(a > 0.0 && b > 0.0 && a < f64::INFINITY && b < f64::INFINITY && (0.0..=1.0).contains(&x)) {
        return f64::NAN;
    }
    beta_inc_pair(a, b, x, 1.0 - x)
}

/// I_x(a, b) with y = 1 - x passed separately, for callers that know y more accurately than by subtraction.
///
/// Domain: finite positive a and b, x and y in [0, 1]; elsewhere the result is not specified. Error as for
/// [`beta_inc`].
pub fn beta_inc_pair(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x == 0.0 {
        return 0.0;
    }
    if y == 0.0 {
        return 1.0;
    }
    let part = Part::of(a, b, x, y);
    let value = part.log_kernel.exp() * part.factor;
    let probability = if part.lower { value } else { 1.0 - value };
    probability.clamp(0.0, 1.0)
}

/// ln I_x(a, b) with y = 1 - x passed separately. The logarithm of the complement 1 - I is `log_beta_inc(b, a, y, x)`.
///
/// Domain: that of [`beta_inc_pair`]. Error below 3e-13 * max(|result|, 1) where the result is below -0.1, and relative to
/// the result above, as for [`beta_inc`]; the logarithm is finite also where the probability underflows.
///
/// ```
/// # use stochgrad_tensor::special::log_beta_inc;
/// // I_x(a, 1) = x^a
/// assert!((log_beta_inc(900.0, 1.0, 0.01, 0.99) / (900.0 * 0.01_f64.ln()) - 1.0).abs() < 1e-14);
/// ```
pub fn log_beta_inc(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if (x + y).is_nan() {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if y == 0.0 {
        return 0.0;
    }
    Part::of(a, b, x, y).log_of(true)
}

/// The derivative of [`log_beta_inc`] with respect to x: the density over I.
///
/// Domain: that of [`beta_inc_pair`]. At x = 0 it is +inf; at y = 0 it is the density. Relative error below 1e-12, also
/// where I underflows.
pub fn log_beta_inc_slope(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x == 0.0 {
        f64::INFINITY
    } else if y == 0.0 {
        if b > 1.0 {
            0.0
        } else if b == 1.0 {
            a
        } else {
            f64::INFINITY
        }
    } else {
        Part::of(a, b, x, y).kernel_over(true, || log_beta_kernel(a, b, x, y)) / x / y
    }
}

/// One of the two parts I and 1 - I, as e^log_kernel times a factor. It is at most about 0.95, so that the other part
/// follows from it.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// Whether it is I.
    lower: bool,
    log_kernel: f64,
    factor: f64,
}

impl Part {
    /// For x and y inside (0, 1].
    pub(super) fn of(a: f64, b: f64, x: f64, y: f64) -> Part {
        // Their sum must not overflow.
        let (a, b) = (a.min(8e307), b.min(8e307));
        let below = if a.min(b) >= LARGE_SHAPE {
            // From the smaller of x and y, as in the kernel and the integral: the sum need not be 1 in the last digit.
            if x <= y { a >= (a + b) * x } else { (a + b) * y >= b }
        } else if x <= y {
            x * (a + b + 2.0) < a + 1.0
        } else {
            y * (a + b + 2.0) > b + 1.0
        };
        if below {
            Part::below(a, b, x, y)
        } else {
            let mirrored = Part::below(b, a, y, x);
            Part { lower: !mirrored.lower, ..mirrored }
        }
    }

    /// For an x that is not above the mean by more than a little.
    fn below(a: f64, b: f64, x: f64, y: f64) -> Part {
        if a < 0.5 {
            let log_x = if y < 0.5 { (-y).ln_1p() } else { x.ln() };
            // ln(x^a / (a B(a, b)))
            let log_power = a * log_x + log_gamma_shift(b, a) - lgamma_1p(a);
            if log_power > -0.1 {
                return Part { lower: false, log_kernel: 0.0, factor: small_shape_complement(a, b, x, log_power) };
            }
        }
        let log_kernel = log_beta_kernel(a, b, x, y);
        let factor = if a >= LARGE_SHAPE { beta_lower_tail(a, b, x, y) } else { continued_fraction(a, b, x) / a };
        Part { lower: true, log_kernel, factor }
    }

    /// ln I, or ln(1 - I).
    pub(super) fn log_of(self, lower: bool) -> f64 {
        let log = (self.log_kernel + self.factor.ln()).min(0.0);
        if self.lower == lower { log } else { log1mexp(log) }
    }

    /// x y times the density over I or 1 - I, which may both underflow, where `kernel` is [`log_beta_kernel`].
    pub(super) fn kernel_over(self, lower: bool, kernel: impl FnOnce() -> f64) -> f64 {
        // The series of the complement has no kernel.
        if self.lower == lower && self.log_kernel != 0.0 {
            1.0 / self.factor
        } else {
            (kernel() - self.log_of(lower)).exp()
        }
    }
}

/// 1 - I_x(a, b) for a < 1/2 and x (a + b + 2) < a + 1, where I itself is close to 1; `log_power` is
/// ln(x^a / (a B(a, b))).
fn small_shape_complement(a: f64, b: f64, x: f64, log_power: f64) -> f64 {
    let (mut power, mut sum) = (1.0, 0.0);
    for k in 1..200 {
        let n = f64::from(k);
        power *= (n - b) / n * x;
        let term = power / (a + n);
        sum += term;
        if term.abs() <= 1e-17 * f64::abs(sum) {
            break;
        }
    }
    (-log_power.exp_m1() - log_power.exp() * a * sum).clamp(0.0, 1.0)
}

/// The continued fraction of a I_x(a, b) B(a, b) / (x^a (1 - x)^b), by the modified Lentz method, for a < 30 and
/// x (a + b + 2) < a + 1, where it converges quickly.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..250 {
        let m = f64::from(m);
        let even = m * ((b - m) * x) / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * ((a + b + m) * x) / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let change = d * c;
        fraction *= change;
        if (change - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{POSITIVE, PROBABILITIES, assert_relative};
    use super::*;

    /// a, b, x, I_x(a, b), 1 - I_x(a, b), from mpmath at 40 digits.
    const BETA_INC: [(f64, f64, f64, f64, f64); 16] = [
        (0.001, 0.001, 0.3, 0.49957696213967645, 0.5004230378603235),
        (0.001, 5.0, 1e-08, 0.9837946833201496, 0.016205316679850323),
        (0.02, 40.0, 0.01, 0.9857546840324108, 0.014245315967589114),
        (0.5, 0.5, 0.7, 0.6309898804344546, 0.3690101195655454),
        (1.0, 1.0, 0.3, 0.3, 0.7),
        (2.0, 3.0, 0.4, 0.5248, 0.47519999999999996),
        (5.0, 0.01, 0.88, 0.004783154915843448, 0.9952168450841565),
        (20.0, 0.3, 0.5, 6.13095583157747e-08, 0.9999999386904417),
        (29.0, 31.0, 0.6, 0.9655674792048524, 0.034432520795147616),
        (30.0, 30.0, 0.2, 1.2752139235819434e-07, 0.9999998724786077),
        (30.0, 30.0, 0.5, 0.5, 0.5),
        (31.0, 400.0, 0.15, 0.9999997412827544, 2.5871724560293117e-07),
        (1000.0, 1000.0, 0.51, 0.8144473405684886, 0.18555265943151145),
        (800.0, 200000.0, 0.003, 9.110655602159898e-15, 0.9999999999999909),
        (1000000.0, 1000000.0, 0.4985, 1.1044804636424807e-05, 0.9999889551953636),
        (823194.9031390646, 1011.843130931805, 0.9987358319394423, 0.17160758755134992, 0.8283924124486501),
    ];

    #[test]
    fn beta_inc_matches_mpmath() {
        for (a, b, x, value, complement) in BETA_INC {
            let bound = |part: f64| if part <= 0.5 { 2e-12 } else { 1e-13 };
            assert_relative(&format!("I at {a}, {b}, {x}"), beta_inc(a, b, x), value, bound(value));
            let swapped = beta_inc_pair(b, a, 1.0 - x, x);
            // If 1 - x is rounded, so is the argument of the complement.
            let slack = if x >= 0.5 { 0.0 } else { 1e-12 };
            assert_relative(&format!("1 - I at {a}, {b}, {x}"), swapped, complement, bound(complement) + slack);
        }
    }

    #[test]
    fn methods_agree_where_they_meet() {
        let (below, above) = (LARGE_SHAPE.next_down(), LARGE_SHAPE);
        for (other, x) in [(30.0, 0.3), (45.0, 0.39), (45.0, 0.41), (1e4, 2e-3), (1e4, 4e-3)] {
            assert_relative(&format!("a at {other}, {x}"), beta_inc(below, other, x), beta_inc(above, other, x), 1e-12);
            assert_relative(&format!("b at {other}, {x}"), beta_inc(other, below, x), beta_inc(other, above, x), 1e-12);
        }
    }

    #[test]
    fn edges_and_domain_are_as_documented() {
        assert_eq!((beta_inc(2.0, 3.0, 0.0), beta_inc(2.0, 3.0, 1.0)), (0.0, 1.0));
        for (a, b, x) in [
            (0.0, 1.0, 0.5),
            (1.0, -1.0, 0.5),
            (f64::INFINITY, 1.0, 0.5),
            (1.0, 1.0, 1.5),
            (1.0, 1.0, -0.5),
            (1.0, 1.0, f64::NAN),
        ] {
            assert!(beta_inc(a, b, x).is_nan(), "a = {a}, b = {b}, x = {x}");
        }
    }

    #[test]
    fn the_mean_up_to_rounding_has_probabilities_that_complement_each_other() {
        // In single precision neither pair adds up to 1.
        for (p, q) in [(0.577_492_5_f32, 0.422_507_56_f32), (9.999_94e-6, 0.999_990_05)] {
            let (x, y) = (f64::from(p), f64::from(q));
            for a in [1e20, 1e36, 1e100, 1e300] {
                let b = a * (y / x);
                let [lower, upper] = [beta_inc_pair(a, b, x, y), beta_inc_pair(b, a, y, x)];
                assert!((lower + upper - 1.0).abs() < 1e-12, "{a:e}: {lower} + {upper}");
                let logs = [log_beta_inc(a, b, x, y), log_beta_inc(b, a, y, x)];
                assert!(logs.iter().all(|&log| log <= 0.0), "{a:e}: {logs:?}");
            }
        }
    }

    #[test]
    fn never_nan_inside_the_domain() {
        for a in POSITIVE {
            for b in POSITIVE {
                let mean = a.min(1e300) / (a.min(1e300) + b.min(1e300));
                for x in PROBABILITIES.into_iter().chain([mean, 0.5 * mean, 0.5 + 0.5 * mean]) {
                    let value = beta_inc(a, b, x);
                    assert!((0.0..=1.0).contains(&value), "a = {a:e}, b = {b:e}, x = {x:e}: {value:e}");
                    let logs = [log_beta_inc(a, b, x, 1.0 - x), log_beta_inc(b, a, 1.0 - x, x)];
                    assert!(logs.iter().all(|&log| log <= 0.0), "a = {a:e}, b = {b:e}, x = {x:e}: {logs:?}");
                }
            }
        }
    }
}
