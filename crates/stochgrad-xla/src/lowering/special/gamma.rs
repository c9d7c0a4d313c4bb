//! The logarithm of the gamma function and its derivatives.

use super::normal::HALF_LOG_TAU;
use super::numeric::{apart, inside, is_infinite, iterate, polynomial, single};
use crate::lowering::builder::Value;
use std::f64::consts::PI;
use stochgrad_tensor::special::tables::{
    DIGAMMA_ASYMPTOTIC, DIGAMMA_AT_ROOT, DIGAMMA_ROOT, EULER, EULER_MACLAURIN, STIRLING, ZETA_MINUS_ONE,
};

/// ln Γ(2 − y) + y/2 for y in [0, 0.27], of FreeBSD's msun as all coefficients of [`lgamma`].
const NEAR_TWO: [f64; 12] = [
    7.721_566_490_153_287e-2,
    3.224_670_334_241_136e-1,
    6.735_230_105_312_927e-2,
    2.058_080_843_251_673_3e-2,
    7.385_550_860_814_029e-3,
    2.890_513_836_734_156_3e-3,
    1.192_707_631_833_620_7e-3,
    5.100_697_921_535_113e-4,
    2.208_627_907_139_083_9e-4,
    1.080_115_672_475_839_4e-4,
    2.521_445_654_512_573_3e-5,
    4.486_409_496_189_151_6e-5,
];

/// The least value of ln Γ(x) for x > 0, its rest, and its place.
const LEAST: f64 = -1.214_862_905_358_496_1e-1;
const LEAST_REST: f64 = -3.638_676_997_039_505e-18;
const LEAST_AT: f64 = 1.461_632_144_968_362_2;

/// (ln Γ − its least value) / y² in y around the place of the least value.
const NEAR_LEAST: [f64; 15] = [
    4.838_361_227_238_100_5e-1,
    -1.475_877_229_945_939e-1,
    6.462_494_023_913_339e-2,
    -3.278_854_107_598_596_5e-2,
    1.797_067_508_118_204e-2,
    -1.031_422_412_983_414_4e-2,
    6.100_538_702_462_913e-3,
    -3.684_520_167_811_382_6e-3,
    2.259_647_809_006_124_7e-3,
    -1.403_464_699_892_328_4e-3,
    8.810_818_824_376_54e-4,
    -5.385_953_053_567_405e-4,
    3.156_320_709_036_259_5e-4,
    -3.127_541_683_751_208_6e-4,
    3.355_291_926_355_191e-4,
];

/// (ln Γ(1 + y) + y/2) / y for y in [−0.1, 0.23], above and below the fraction.
const NEAR_ONE: ([f64; 6], [f64; 6]) = (
    [
        -7.721_566_490_153_287e-2,
        6.328_270_640_250_934e-1,
        1.454_922_501_372_347_7,
        9.777_175_279_633_727e-1,
        2.289_637_280_646_924_5e-1,
        1.338_109_185_367_878_8e-2,
    ],
    [
        1.0,
        2.455_977_937_130_411_3,
        2.128_489_763_798_934,
        7.692_851_504_566_728e-1,
        1.042_226_455_933_691_3e-1,
        3.217_092_422_824_239e-3,
    ],
);

/// (ln Γ(2 + y) − y/2) / y for y in [0, 1].
const ABOVE_TWO: ([f64; 7], [f64; 7]) = (
    [
        -7.721_566_490_153_287e-2,
        2.149_824_159_606_088_5e-1,
        3.257_787_964_089_31e-1,
        1.463_504_726_524_644_5e-1,
        2.664_227_030_336_386_3e-2,
        1.840_284_514_073_377_2e-3,
        3.194_753_265_841_009e-5,
    ],
    [
        1.0,
        1.392_005_334_676_210_5,
        7.219_355_475_671_381e-1,
        1.719_338_656_328_030_8e-1,
        1.864_591_917_156_529e-2,
        7.779_424_963_818_936e-4,
        7.326_684_307_446_256e-6,
    ],
);

/// ln Γ(x) − (x − ½)(ln x − 1) in 1/x for x ≥ 8, without the term of order 0: odd powers.
const FAR: [f64; 6] = [
    8.333_333_333_333_297e-2,
    -2.777_777_777_287_755_4e-3,
    7.936_505_586_430_196e-4,
    -5.951_875_574_503_4e-4,
    8.363_399_189_962_821e-4,
    -1.630_929_340_965_752_7e-3,
];
const FAR_CONSTANT: f64 = 4.189_385_332_046_727e-1;

/// ln |Γ(x)|.
pub(crate) fn lgamma(x: Value<'_>) -> Value<'_> {
    single("lgamma", [x], |[x]| {
        let a = x.abs();
        let below_two = lgamma_below_two(a);
        let below_eight = {
            let whole = a.floor();
            let y = a - whole;
            let ratio = polynomial(&ABOVE_TWO.0, y) / polynomial(&ABOVE_TWO.1, y);
            let product = (3..8).fold(x.fill(1.0), |product, k| {
                whole.ge(f64::from(k)).select(product * (y + f64::from(k - 1)), product)
            });
            y * 0.5 + y * ratio + product.ln()
        };
        let inverse = 1.0 / a;
        let series = FAR_CONSTANT + inverse * polynomial(&FAR, inverse * inverse);
        let far = (a - 0.5) * (a.ln() - 1.0) + series;
        let farthest = a * (a.ln() - 1.0);
        let beyond = a.lt(2.0_f64.powi(58)).select(far, farthest);
        let positive = a.lt(2.0).select(below_two, a.lt(8.0).select(below_eight, beyond));
        // Γ(x) Γ(1 − x) = π / sin(πx)
        let sine = ((a - a.round()) * PI).sin().abs();
        let reflected = (PI / (sine * a)).ln() - positive;
        let value = x.lt(0.0).select(sine.equal(0.0).select(f64::INFINITY, reflected), positive);
        is_infinite(x).select(f64::INFINITY, value)
    })
}

fn lgamma_below_two(a: Value<'_>) -> Value<'_> {
    let small = a.lt(0.9);
    let near_two = small.select(a.ge(0.7316), a.ge(1.7316));
    let near_least = small.select(a.ge(0.23164), a.ge(1.23));
    let base = small.select(-a.ln(), 0.0);
    let two = {
        let y = small.select(1.0 - a, 2.0 - a);
        base + y * polynomial(&NEAR_TWO, y) - y * 0.5
    };
    let least = {
        let y = small.select(a - (LEAST_AT - 1.0), a - LEAST_AT);
        base + (LEAST + (y * y * polynomial(&NEAR_LEAST, y) - LEAST_REST))
    };
    let one = {
        let y = small.select(a, a - 1.0);
        base + (y * -0.5 + y * polynomial(&NEAR_ONE.0, y) / polynomial(&NEAR_ONE.1, y))
    };
    near_two.select(two, near_least.select(least, one))
}

/// ln Γ(1 + x) for |x| ≤ 1/2.
pub(super) fn lgamma_1p(x: Value<'_>) -> Value<'_> {
    let coefficients: Vec<f64> = ZETA_MINUS_ONE.iter().enumerate().map(|(k, zeta)| zeta / (k + 2) as f64).collect();
    x * (1.0 - EULER) + x * x * polynomial(&coefficients, -x) - x.log1p()
}

/// ln Γ(1 + a), with a small relative error for small a.
pub(super) fn lgamma_1p_any(a: Value<'_>) -> Value<'_> {
    a.le(0.5).select(lgamma_1p(a), lgamma(a + 1.0))
}

/// The remainder of Stirling's formula.
pub(super) fn stirling_error(x: Value<'_>) -> Value<'_> {
    single("stirling_error", [x], |[x]| {
        let near = lgamma(x) - (x - 0.5) * x.ln() + x - HALF_LOG_TAU;
        let inverse = 1.0 / x;
        x.lt(10.0).select(near, inverse * polynomial(&STIRLING, inverse * inverse))
    })
}

/// stirling_error(x + d) − stirling_error(x), for x and x + d of at least 10.
pub(super) fn stirling_difference<'b>(x: Value<'b>, d: Value<'b>) -> Value<'b> {
    let (from, to) = (1.0 / x, 1.0 / (x + d));
    let (square, other) = (from * from, to * to);
    // The series at 1 / x², and its divided difference between both squares.
    let (value, slope) = STIRLING
        .iter()
        .rev()
        .fold((x.fill(0.0), x.fill(0.0)), |(value, slope), &c| (value * square + c, slope * other + value));
    -d * from * to * (value + to * (from + to) * slope)
}

/// The derivative of [`stirling_error`], for x ≥ 10.
pub(super) fn stirling_slope(x: Value<'_>) -> Value<'_> {
    let square = 1.0 / (x * x);
    -square * polynomial(&DIGAMMA_ASYMPTOTIC, square)
}

/// ψ(x) − ln x for x ≥ 10.
fn digamma_minus_log_far(x: Value<'_>) -> Value<'_> {
    let square = 1.0 / (x * x);
    -0.5 / x - square * polynomial(&DIGAMMA_ASYMPTOTIC, square)
}

/// ψ(x) − ln x.
pub(crate) fn digamma_minus_log(x: Value<'_>) -> Value<'_> {
    single("digamma_minus_log", [x], |[x]| {
        inside(x.gt(0.0), x.lt(10.0).select(digamma(x) - x.ln(), digamma_minus_log_far(x)))
    })
}

/// The derivative of ln Γ.
pub(crate) fn digamma(x: Value<'_>) -> Value<'_> {
    single("digamma", [x], |[x]| {
        let reflected = x.lt(0.0);
        let at = reflected.select(1.0 - x, x);
        let offset = (at - DIGAMMA_ROOT.0) - DIGAMMA_ROOT.1;
        let near = offset * polynomial(&DIGAMMA_AT_ROOT, offset);
        let (mut shift, mut y) = (x.fill(0.0), at);
        for _ in 0..10 {
            let below = y.lt(10.0);
            shift = shift + below.select(1.0 / y, 0.0);
            y = y + below.select(x.fill(1.0), 0.0);
        }
        let far = y.ln() + digamma_minus_log_far(y) - shift;
        let value = offset.abs().lt(0.3).select(near, far);
        let angle = (x - x.round()) * PI;
        let mirrored = value - PI * angle.cos() / angle.sin();
        let poles = x.equal(x.floor());
        reflected.select(poles.select(f64::NAN, mirrored), value)
    })
}

/// The n-th derivative of ψ.
pub(crate) fn polygamma(n: u32, x: Value<'_>) -> Value<'_> {
    if n == 0 {
        return digamma(x);
    }
    single(&format!("polygamma_{n}"), [x], |[x]| if n == 1 { trigamma(x) } else { higher(n, x) })
}

pub(super) fn trigamma(x: Value<'_>) -> Value<'_> {
    let reflected = x.le(0.0);
    let at = reflected.select(1.0 - x, x);
    let value = at.equal(f64::INFINITY).select(0.0, apart(scaled_hurwitz_zeta(2, at) / at) / at);
    let fraction = x - x.round();
    let sine = (fraction * PI).sin() * (1.0 / PI);
    let mirrored = fraction.equal(0.0).select(f64::INFINITY, 1.0 / (sine * sine) - value);
    inside(x.gt(f64::NEG_INFINITY), reflected.select(mirrored, value))
}

fn higher(n: u32, x: Value<'_>) -> Value<'_> {
    let sign = if n % 2 == 1 { 1.0 } else { -1.0 };
    let scaled = scaled_hurwitz_zeta(n + 1, x) / x;
    let magnitude = falling_powers(n, scaled, x, 0);
    let value = magnitude * sign;
    let ends = x.equal(0.0).select(sign * f64::INFINITY, x.equal(f64::INFINITY).select(0.0, value));
    inside(x.ge(0.0), ends)
}

/// n! x^−n times `scaled`, for any n; beyond 150 by logarithms, with `more` further powers of 1 / x.
pub(super) fn falling_powers<'b>(n: u32, scaled: Value<'b>, x: Value<'b>, more: u32) -> Value<'b> {
    if n <= 150 {
        return (1..=n).fold(scaled, |product, k| product * (f64::from(k) / x));
    }
    let order = f64::from(n);
    let factorial = stochgrad_tensor::special::lgamma(order + 1.0);
    (factorial - x.ln() * (order + f64::from(more)) + scaled.ln()).exp()
}

/// x^s times Hurwitz's zeta function, for s ≥ 2 and x > 0.
fn scaled_hurwitz_zeta(s: u32, x: Value<'_>) -> Value<'_> {
    scaled_sum(s, x, |_| None, |s, y, correction| y / (s - 1.0) + 0.5 + correction)
}

/// The sum of (x / (x + k))^s times a share of each term, by the Euler–Maclaurin formula. `end` has the factor of the
/// last term, from the correction.
pub(super) fn scaled_sum<'b>(
    s: u32,
    x: Value<'b>,
    share: impl FnOnce(Value<'b>) -> Option<Value<'b>>,
    end: impl FnOnce(f64, Value<'b>, Value<'b>) -> Value<'b>,
) -> Value<'b> {
    let s_real = f64::from(s);
    let power = |y: Value<'b>| {
        let ratio = x / y;
        if s == 2 { ratio * ratio } else { ratio.pow(s_real) }
    };
    let last = s_real + 10.0;
    let [sum, y] = iterate(s as usize + 11, x.lt(last), [x.fill(0.0), x], |_, [sum, y]| {
        let term = match share(y) {
            Some(share) => power(y) * share,
            None => power(y),
        };
        let next = y + 1.0;
        ([sum + term, next], next.lt(last))
    });
    let square = 1.0 / (y * y);
    let (mut factor, mut correction) = (s_real / y, x.fill(0.0));
    for (k, &coefficient) in EULER_MACLAURIN.iter().enumerate() {
        correction = correction + factor * coefficient;
        let j = 2.0 * k as f64 + 1.0;
        factor = factor * ((s_real + j) * (s_real + j + 1.0)) * square;
    }
    sum + power(y) * end(s_real, y, correction)
}
