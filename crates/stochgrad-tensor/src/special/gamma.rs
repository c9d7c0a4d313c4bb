//! The logarithm of the gamma function and its derivatives.

use std::f64::consts::PI;

/// Euler's constant, -digamma(1).
pub const EULER: f64 = 0.577_215_664_901_532_9;

/// The positive zero of digamma as a sum of two doubles, from mpmath.
pub const DIGAMMA_ROOT: (f64, f64) = (1.4616321449683622, 9.549995429965697e-17);

/// The Taylor coefficients polygamma(k, root) / k! of digamma about its positive zero, for k = 1, 2, ...; used within
/// 0.3 of the zero.
pub const DIGAMMA_AT_ROOT: [f64; 25] = [
    0.9676722454476212,
    -0.4427631689835921,
    0.258499760955651,
    -0.16394270544240652,
    0.10782405069126237,
    -0.07219956125645471,
    0.04880428816414311,
    -0.03316112647484736,
    0.022597648232218104,
    -0.01542476590494896,
    0.010538791616612175,
    -0.007204534386356869,
    0.004926781395729853,
    -0.003369801655439328,
    0.002305126326734928,
    -0.0015769367714301972,
    0.0010788252019162967,
    -0.0007380709389960052,
    0.000504953265834602,
    -0.0003454680251063077,
    0.00023635601564027053,
    -0.00016170622091974803,
    0.0001106337276874741,
    -7.569179582195066e-05,
    5.178575795222081e-05,
];

/// B_2k / (2k), k = 1, 2, ..., for the Bernoulli numbers B: the asymptotic series of digamma, used for x >= 10.
pub const DIGAMMA_ASYMPTOTIC: [f64; 9] = [
    0.08333333333333333,
    -0.008333333333333333,
    0.003968253968253968,
    -0.004166666666666667,
    0.007575757575757576,
    -0.021092796092796094,
    0.08333333333333333,
    -0.4432598039215686,
    3.0539543302701198,
];

/// B_2k / (2k (2k - 1)), k = 1, 2, ...: the asymptotic series of ln gamma, used for x >= 10.
pub const STIRLING: [f64; 10] = [
    0.08333333333333333,
    -0.002777777777777778,
    0.0007936507936507937,
    -0.0005952380952380953,
    0.0008417508417508417,
    -0.0019175269175269176,
    0.00641025641025641,
    -0.029550653594771242,
    0.17964437236883057,
    -1.3924322169059011,
];

/// B_2k / (2k)!, k = 1, 2, ...: the coefficients of the Euler-Maclaurin formula.
pub const EULER_MACLAURIN: [f64; 12] = [
    0.08333333333333333,
    -0.001388888888888889,
    3.306878306878307e-05,
    -8.267195767195768e-07,
    2.08767569878681e-08,
    -5.284190138687493e-10,
    1.3382536530684679e-11,
    -3.3896802963225827e-13,
    8.586062056277845e-15,
    -2.174868698558062e-16,
    5.5090028283602295e-18,
    -1.3954464685812522e-19,
];

/// zeta(k) - 1, k = 2, 3, ...: the Taylor coefficients of ln gamma(1 + x) + ln(1 + x), up to the factor (-1)^k / k
/// (Abramowitz & Stegun 6.1.33).
pub const ZETA_MINUS_ONE: [f64; 28] = [
    0.6449340668482264,
    0.2020569031595943,
    0.08232323371113819,
    0.03692775514336993,
    0.01734306198444914,
    0.008349277381922827,
    0.00407735619794434,
    0.0020083928260822143,
    0.0009945751278180853,
    0.0004941886041194645,
    0.0002460865533080483,
    0.00012271334757848915,
    6.124813505870483e-05,
    3.058823630702049e-05,
    1.528225940865187e-05,
    7.637197637899763e-06,
    3.81729326499984e-06,
    1.908212716553939e-06,
    9.539620338727962e-07,
    4.769329867878064e-07,
    2.38450502727733e-07,
    1.1921992596531106e-07,
    5.960818905125948e-08,
    2.980350351465228e-08,
    1.4901554828365043e-08,
    7.45071178983543e-09,
    3.725334024788457e-09,
    1.862659723513049e-09,
];

/// ln |gamma(x)|.
///
/// Domain: all reals and +inf. The poles (0, -1, -2, ...) give +inf, and so does -inf. Error below 1e-15 * max(1,
/// |result|) for x > 0; for x < 0 it grows near the zeros of the result (FreeBSD msun, through `libm`).
pub fn lgamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// ln gamma(1 + x) for |x| <= 1/2, with a small relative error near 0, where `lgamma(1.0 + x)` is inaccurate.
pub(super) fn lgamma_1p(x: f64) -> f64 {
    debug_assert!(x.abs() <= 0.5);
    let mut power = -x;
    let mut sum = x * (1.0 - EULER);
    for (i, zeta) in ZETA_MINUS_ONE.iter().enumerate() {
        power *= -x;
        sum += zeta * power / (i + 2) as f64;
    }
    sum - x.ln_1p()
}

/// The remainder of Stirling's formula: ln gamma(x) - (x - 1/2) ln x + x - ln(2 pi) / 2, for x > 0.
///
/// Absolute error below 3e-15, relative error below 1e-15 for x >= 10.
pub(super) fn stirling_error(x: f64) -> f64 {
    if x < 10.0 {
        return lgamma(x) - (x - 0.5) * x.ln() + x - 0.5 * (2.0 * PI).ln();
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    inverse * STIRLING.iter().rev().fold(0.0, |sum, c| sum * square + c)
}

/// stirling_error(x + d) - stirling_error(x), with an error relative to d; x and x + d are at least 10.
pub(super) fn stirling_difference(x: f64, d: f64) -> f64 {
    let (from, to) = (1.0 / x, 1.0 / (x + d));
    let (square, other) = (from * from, to * to);
    // The series at 1 / x², and its divided difference between both squares.
    let (value, slope) =
        STIRLING.iter().rev().fold((0.0, 0.0), |(value, slope), c| (value * square + c, slope * other + value));
    -d * from * to * (value + to * (from + to) * slope)
}

/// The derivative of [`stirling_error`], for x >= 10.
pub(super) fn stirling_slope(x: f64) -> f64 {
    let square = 1.0 / (x * x);
    -square * DIGAMMA_ASYMPTOTIC.iter().rev().fold(0.0, |sum, c| sum * square + c)
}

/// digamma(x) - ln x.
///
/// Domain: x > 0; anything else gives NaN. Relative error below 1e-14, without cancellation for large x.
pub fn digamma_minus_log(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    if x < 10.0 {
        return digamma(x) - x.ln();
    }
    let square = 1.0 / (x * x);
    let series = DIGAMMA_ASYMPTOTIC.iter().rev().fold(0.0, |sum, c| sum * square + c);
    -0.5 / x - square * series
}

/// The digamma function, the derivative of ln gamma(x).
///
/// Domain: all reals except the poles 0, -1, -2, ... and -inf. The negative poles and -inf give NaN; +0 gives -inf and
/// -0 gives +inf, the limits from that side. For x > 0 the relative error is below 4e-15, also near the zero at 1.4616;
/// for x < 0 the error is below 1e-14 * max(1, |result|) at moderate x. Recurrence and asymptotic series (Abramowitz &
/// Stegun 6.3.5, 6.3.18), reflection for x < 0 (6.3.7).
///
/// ```
/// # use stochgrad_tensor::special::digamma;
/// assert!((digamma(1.0) + 0.5772156649015329).abs() < 1e-15);
/// ```
pub fn digamma(x: f64) -> f64 {
    if x == 0.0 {
        return -f64::INFINITY.copysign(x);
    }
    if x < 0.0 {
        if x == x.floor() {
            return f64::NAN;
        }
        // The cotangent of pi times the fractional part; pi * x would lose digits.
        let fraction = x - x.round();
        return digamma(1.0 - x) - PI / (PI * fraction).tan();
    }
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    let offset = (x - DIGAMMA_ROOT.0) - DIGAMMA_ROOT.1;
    if offset.abs() < 0.3 {
        return offset * DIGAMMA_AT_ROOT.iter().rev().fold(0.0, |sum, c| sum * offset + c);
    }
    let mut shift = 0.0;
    let mut y = x;
    while y < 10.0 {
        shift += 1.0 / y;
        y += 1.0;
    }
    y.ln() + digamma_minus_log(y) - shift
}

/// The trigamma function, the second derivative of ln gamma(x).
///
/// Domain: all reals except -inf, which gives NaN; the poles 0, -1, -2, ... give +inf. Relative error below 2e-15 for
/// x > 0 and below 1e-13 for x < 0 (reflection, Abramowitz & Stegun 6.4.7).
pub fn trigamma(x: f64) -> f64 {
    if x == f64::INFINITY {
        return 0.0;
    }
    if x > 0.0 {
        return scaled_hurwitz_zeta(2.0, x) / x / x;
    }
    if x == f64::NEG_INFINITY || x.is_nan() {
        return f64::NAN;
    }
    let fraction = x - x.round();
    if fraction == 0.0 {
        return f64::INFINITY;
    }
    let sine = (PI * fraction).sin() / PI;
    1.0 / (sine * sine) - trigamma(1.0 - x)
}

/// The n-th derivative of [`digamma`]; n = 0 is digamma itself and n = 1 is [`trigamma`], with their domains.
///
/// Domain for n >= 2: x > 0 (and x = 0, the infinite limit from the right); anything else gives NaN. Relative error
/// below 1e-14 for n <= 100, and about n * 1e-16 * max(1, |ln x|) beyond; results beyond the range of f64 are infinite or
/// 0. At most 60 terms are summed, for any n. The function is (-1)^(n+1) n! zeta(n + 1, x); Hurwitz's zeta
/// function is computed by Euler-Maclaurin summation.
pub fn polygamma(n: u32, x: f64) -> f64 {
    match n {
        0 => return digamma(x),
        1 => return trigamma(x),
        _ => {}
    }
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    let sign = if n % 2 == 1 { 1.0 } else { -1.0 };
    if x == 0.0 {
        return sign * f64::INFINITY;
    }
    if x == f64::INFINITY {
        return sign * 0.0;
    }
    let order = f64::from(n);
    // n! x^-n times the scaled zeta function; each factor alone may be outside the range of f64.
    let scaled = scaled_hurwitz_zeta(order + 1.0, x) / x;
    let magnitude = if n <= 150 {
        let mut product = scaled;
        for k in 1..=n {
            product *= f64::from(k) / x;
        }
        product
    } else {
        (lgamma(order + 1.0) - order * x.ln() + scaled.ln()).exp()
    };
    sign * magnitude
}

/// x^s times Hurwitz's zeta function, for s >= 2 and x > 0: the sum of (x / (x + k))^s over k >= 0, which is at least
/// 1.
fn scaled_hurwitz_zeta(s: f64, x: f64) -> f64 {
    let power = |y: f64| {
        let ratio = x / y;
        if s == 2.0 { ratio * ratio } else { ratio.powf(s) }
    };
    let mut sum = 0.0;
    let mut y = x;
    while y < s + 10.0 {
        let term = power(y);
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
    sum + power(y) * (y / (s - 1.0) + 0.5 + correction)
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{POSITIVE, assert_near, assert_relative};
    use super::*;

    /// x, ln gamma(x), digamma(x), from mpmath at 40 digits.
    const POSITIVE_ARGUMENT: [(f64, f64, f64); 18] = [
        (1e-300, 690.7755278982137, -9.999999999999999e+299),
        (1e-09, 20.723265836369194, -1000000000.5772156),
        (0.02, 3.900804516098376, -50.54478931045618),
        (0.5, 0.5723649429247001, -1.9635100260214235),
        (1.0, 0.0, -0.5772156649015329),
        (1.15, -0.06930620867104685, -0.35432667797627937),
        (1.3, -0.10817480950786047, -0.16919088886679962),
        (1.4616321449683622, -0.12148629053584961, -9.241265521729427e-17),
        (1.47, -0.121452498007656, 0.008066489011364869),
        (1.7, -0.09580769740706588, 0.2085478748734939),
        (1.8, -0.07108387291437215, 0.28499143329386156),
        (3.0, std::f64::consts::LN_2, 0.9227843350984671),
        (9.99, 12.779315214350193, 2.250700372831201),
        (10.0, 12.801827480081469, 2.251752589066721),
        (11.5, 16.292000476567242, 2.3982391295357814),
        (100.0, 359.1342053695754, 4.600161852738087),
        (1000000.0, 12815504.569147611, 13.815510057964191),
        (1e+300, 6.897755278982137e+302, 690.7755278982137),
    ];

    /// x, trigamma(x), from mpmath at 40 digits.
    const TRIGAMMA: [(f64, f64); 14] = [
        (1e-09, 9.999999999999999e+17),
        (0.02, 2501.598118191868),
        (0.5, 4.934802200544679),
        (1.0, 1.6449340668482264),
        (3.0, 0.39493406684822646),
        (9.99, 0.10527695014824179),
        (12.0, 0.08690187287176838),
        (100.0, 0.010050166663333571),
        (1000000.0, 1.0000005000001667e-06),
        (1000000000000000.0, 1.0000000000000005e-15),
        (-0.5, 8.934802200544679),
        (-1.3, 14.53687624413708),
        (-7.000001, 999999999723.6008),
        (-30.7, 15.047365163581194),
    ];

    /// x, digamma(x), from mpmath at 40 digits.
    const NEGATIVE_ARGUMENT: [(f64, f64); 6] = [
        (-1e-09, 999999999.4227843),
        (-0.5, 0.03648997397857652),
        (-1.3, 2.8825405488661673),
        (-7.000001, 1000002.0154985433),
        (-9.75, -0.8139190159811147),
        (-30.7, 1.1579602221507959),
    ];

    /// n, x, polygamma(n, x), from mpmath at 40 digits.
    const POLYGAMMA: [(f64, f64, f64); 13] = [
        (2.0, 1e-09, -1.9999999999999998e+27),
        (2.0, 0.5, -16.82879664423432),
        (2.0, 1.0, -2.4041138063191885),
        (2.0, 40.0, -0.0006408202718352986),
        (3.0, 2.5, 0.22390584881725206),
        (3.0, 100000.0, 2.0000300002e-15),
        (5.0, 0.1, 120000069.30751093),
        (7.0, 13.0, 1.4877714840509623e-05),
        (20.0, 0.7, -4.3557784316220093e+21),
        (20.0, 35.0, -2.100676938035031e-14),
        (60.0, 8.0, -6.792275101357736e+26),
        (100.0, 2.0, -3.6810701397980478e+127),
        (100.0, 500.0, -1.3053355126313147e-114),
    ];

    /// x, ln gamma(1 + x), from mpmath at 40 digits.
    const LGAMMA_1P: [(f64, f64); 8] = [
        (-0.5, 0.5723649429247001),
        (-0.1, 0.06637623973474298),
        (-1e-12, 5.772156649023553e-13),
        (1e-300, -5.772156649015329e-301),
        (1e-09, -5.772156640790658e-10),
        (0.02, -0.011218489329770086),
        (0.3, -0.10817480950786047),
        (0.5, -0.12078223763524522),
    ];

    /// x, the remainder of Stirling's formula, from mpmath at 40 digits.
    const STIRLING_ERROR: [(f64, f64); 9] = [
        (0.001, 2.5422704679670947),
        (0.5, 0.15342640972002736),
        (1.0, 0.08106146679532726),
        (4.0, 0.020790672103765093),
        (9.99, 0.00833889679773433),
        (10.0, 0.00833056343336287),
        (15.0, 0.005554733551962801),
        (1000.0, 8.333333055555635e-05),
        (100000000.0, 8.333333333333334e-10),
    ];

    #[test]
    fn lgamma_and_digamma_match_mpmath() {
        for (x, log, derivative) in POSITIVE_ARGUMENT {
            assert_near(&format!("lgamma({x})"), lgamma(x), log, 1e-15);
            assert_relative(&format!("digamma({x})"), digamma(x), derivative, 4e-15);
        }
        for (x, expected) in NEGATIVE_ARGUMENT {
            assert_near(&format!("digamma({x})"), digamma(x), expected, 1e-14);
        }
    }

    #[test]
    fn higher_derivatives_match_mpmath() {
        for (x, expected) in TRIGAMMA {
            let bound = if x > 0.0 { 2e-15 } else { 1e-13 };
            assert_relative(&format!("trigamma({x})"), trigamma(x), expected, bound);
        }
        for (n, x, expected) in POLYGAMMA {
            assert_relative(&format!("polygamma({n}, {x})"), polygamma(n as u32, x), expected, 1e-14);
        }
        assert_eq!((polygamma(0, 2.3), polygamma(1, 2.3)), (digamma(2.3), trigamma(2.3)));
    }

    #[test]
    fn internal_forms_match_mpmath() {
        for (x, expected) in LGAMMA_1P {
            assert_relative(&format!("lgamma_1p({x})"), lgamma_1p(x), expected, 1e-15);
        }
        for (x, expected) in STIRLING_ERROR {
            let bound = if x < 10.0 { 3e-15 / expected } else { 1e-15 };
            assert_relative(&format!("stirling_error({x})"), stirling_error(x), expected, bound);
        }
    }

    #[test]
    fn large_orders_do_not_overflow_on_the_way() {
        // 170! / 60^170 is far inside the range, although neither factor is near it; the recurrence joins both
        // branches.
        for n in [149, 150, 151, 170, 250] {
            let step = (1.0 + f64::from(n)) * 60f64.ln();
            let jump = (lgamma(f64::from(n) + 1.0) - step).exp() * if n % 2 == 0 { 1.0 } else { -1.0 };
            assert_relative(&format!("n = {n}"), polygamma(n, 61.0) - polygamma(n, 60.0), jump, 1e-11);
        }
    }

    #[test]
    fn poles_and_domain_are_as_documented() {
        let inf = f64::INFINITY;
        assert_eq!((lgamma(0.0), lgamma(-3.0), lgamma(inf)), (inf, inf, inf));
        assert_eq!((digamma(0.0), digamma(-0.0), digamma(inf)), (-inf, inf, inf));
        assert_eq!((trigamma(0.0), trigamma(-2.0), trigamma(inf)), (inf, inf, 0.0));
        assert_eq!((polygamma(2, 0.0), polygamma(3, 0.0), polygamma(4, inf)), (-inf, inf, 0.0));
        assert!(digamma(-1.0).is_nan() && digamma(-inf).is_nan() && trigamma(-inf).is_nan());
        assert!(polygamma(2, -0.5).is_nan() && polygamma(2, f64::NAN).is_nan());
        assert!(lgamma(f64::NAN).is_nan() && digamma(f64::NAN).is_nan() && trigamma(f64::NAN).is_nan());
    }

    #[test]
    fn never_nan_on_positive_arguments() {
        for x in POSITIVE {
            assert!(!lgamma(x).is_nan() && !digamma(x).is_nan() && trigamma(x) >= 0.0, "x = {x:e}");
            for n in [2, 3, 50, 150, 151, 400, 100_000, u32::MAX] {
                assert!(!polygamma(n, x).is_nan(), "polygamma({n}, {x:e})");
            }
        }
    }
}
