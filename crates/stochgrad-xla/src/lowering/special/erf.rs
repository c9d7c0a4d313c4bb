//! The error function, its complement and its inverse.
//!
//! The coefficients are those of FreeBSD's msun, which `libm` evaluates on the CPU.

use super::normal_quantile::standard_quantile;
use super::numeric::{inside, polynomial, single, with_sign};
use crate::lowering::builder::Value;
use crate::lowering::types::Element;

/// (erf(x) − x) / x in x² for |x| < 0.84375, above and below the fraction.
const NEAR: ([f64; 5], [f64; 6]) = (
    [
        1.283_791_670_955_125_6e-1,
        -3.250_421_072_470_015e-1,
        -2.848_174_957_559_851e-2,
        -5.770_270_296_489_442e-3,
        -2.376_301_665_665_016_3e-5,
    ],
    [
        1.0,
        3.979_172_239_591_553_5e-1,
        6.502_224_998_876_73e-2,
        5.081_306_281_875_766e-3,
        1.324_947_380_043_216_4e-4,
        -3.960_228_278_775_368e-6,
    ],
);

/// erf(1), rounded to single precision.
const AT_ONE: f64 = 8.450_629_115_104_675e-1;

/// erf(x) − erf(1) in x − 1 for 0.84375 ≤ x < 1.25.
const MIDDLE: ([f64; 7], [f64; 7]) = (
    [
        -2.362_118_560_752_659_4e-3,
        4.148_561_186_837_483e-1,
        -3.722_078_760_357_013e-1,
        3.183_466_199_011_617_5e-1,
        -1.108_946_942_823_966_8e-1,
        3.547_830_432_561_823_6e-2,
        -2.166_375_594_868_791e-3,
    ],
    [
        1.0,
        1.064_208_804_008_442_3e-1,
        5.403_979_177_021_71e-1,
        7.182_865_441_419_627e-2,
        1.261_712_198_087_616_4e-1,
        1.363_708_391_202_905e-2,
        1.198_449_984_679_911e-2,
    ],
);

/// ln(x erfc(x)) + x² + 0.5625 in 1/x² for 1.25 ≤ x < 1/0.35.
const FAR: ([f64; 8], [f64; 9]) = (
    [
        -9.864_944_034_847_148e-3,
        -6.938_585_727_071_818e-1,
        -1.055_862_622_532_329_1e1,
        -6.237_533_245_032_601e1,
        -1.623_966_694_625_734_7e2,
        -1.846_050_929_067_110_4e2,
        -8.128_743_550_630_66e1,
        -9.814_329_344_169_145,
    ],
    [
        1.0,
        1.965_127_166_743_925_7e1,
        1.376_577_541_435_190_4e2,
        4.345_658_774_752_292_3e2,
        6.453_872_717_332_679e2,
        4.290_081_400_275_678_3e2,
        1.086_350_055_417_794_4e2,
        6.570_249_770_319_282,
        -6.042_441_521_485_81e-2,
    ],
);

/// The same for larger x.
const FARTHER: ([f64; 7], [f64; 8]) = (
    [
        -9.864_942_924_700_1e-3,
        -7.992_832_376_805_23e-1,
        -1.775_795_491_775_475_2e1,
        -1.606_363_848_558_219_2e2,
        -6.375_664_433_683_896e2,
        -1.025_095_131_611_077_2e3,
        -4.835_191_916_086_514e2,
    ],
    [
        1.0,
        3.033_806_074_348_246e1,
        3.257_925_129_965_739e2,
        1.536_729_586_084_437e3,
        3.199_858_219_508_595_5e3,
        2.553_050_406_433_164_4e3,
        4.745_285_412_069_554e2,
        -2.244_095_244_658_582e1,
    ],
);

fn quotient<'b>((above, below): (&[f64], &[f64]), x: Value<'b>) -> Value<'b> {
    polynomial(above, x) / polynomial(below, x)
}

/// erfc(x) for x ≥ 0.84375; NaN stays.
fn upper(x: Value<'_>) -> Value<'_> {
    let near = 1.0 - AT_ONE - quotient((&MIDDLE.0, &MIDDLE.1), x - 1.0);
    let inverse = 1.0 / (x * x);
    let exponent =
        x.lt(1.0 / 0.35).select(quotient((&FAR.0, &FAR.1), inverse), quotient((&FARTHER.0, &FARTHER.1), inverse));
    // x without its lower half, whose square is exact.
    let high = (x.bitcast(Element::U64) & -0x1_0000_0000_i64).bitcast(Element::F64);
    // The second exponential is written as e^t − 1 + 1, since compilers add exponents, which loses the digits.
    let far = (-high * high - 0.5625).exp() * (((high - x) * (high + x) + exponent).expm1() + 1.0) / x;
    x.ge(28.0).select(0.0, x.lt(1.25).select(near, far))
}

/// The error function.
pub(crate) fn erf(x: Value<'_>) -> Value<'_> {
    single("erf", [x], |[x]| {
        let size = x.abs();
        let near = x + x * quotient((&NEAR.0, &NEAR.1), x * x);
        size.lt(0.84375).select(near, with_sign(1.0 - upper(size), x))
    })
}

/// The complementary error function.
pub(crate) fn erfc(x: Value<'_>) -> Value<'_> {
    single("erfc", [x], |[x]| {
        let size = x.abs();
        let rest = x * quotient((&NEAR.0, &NEAR.1), x * x);
        let near = x.lt(0.25).select(1.0 - (x + rest), 0.5 - (x - 0.5 + rest));
        let tail = upper(size);
        size.lt(0.84375).select(near, x.lt(0.0).select(2.0 - tail, tail))
    })
}

/// The inverse of the error function.
pub(crate) fn erf_inv(y: Value<'_>) -> Value<'_> {
    single("erf_inv", [y], |[y]| {
        let quantile = standard_quantile(y * 0.5, (1.0 - y.abs()) * 0.5);
        inside(y.abs().le(1.0), quantile * std::f64::consts::FRAC_1_SQRT_2)
    })
}
