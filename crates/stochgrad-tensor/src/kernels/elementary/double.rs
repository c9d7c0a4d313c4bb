//! The elementary functions in double precision.

#![allow(clippy::excessive_precision)]

use super::Elementary;
use super::formulas::elementary;

/// (exp(r) − 1 − r) / r² for |r| ≤ ½ ln 2: the Taylor coefficients 1/13! to 1/2!. The relative error of exp(r) is below
/// 5.3e-18.
const EXP_TERMS: [f64; 12] = [
    1.605_904_383_682_161_3e-10,
    2.087_675_698_786_81e-9,
    2.505_210_838_544_172e-8,
    2.755_731_922_398_589e-7,
    2.755_731_922_398_589_3e-6,
    2.480_158_730_158_73e-5,
    1.984_126_984_126_984_1e-4,
    1.388_888_888_888_889e-3,
    8.333_333_333_333_333e-3,
    4.166_666_666_666_666_4e-2,
    1.666_666_666_666_666_6e-1,
    0.5,
];

/// (2 artanh(s) − 2s) / s³ in s², for |s| ≤ 3 − 2√2: the coefficients of `log` in FreeBSD's msun, a minimax
/// approximation. The relative error of ln is below 1.3e-18.
const LOG_TERMS: [f64; 7] = [
    1.479_819_860_511_658_6e-1,
    1.531_383_769_920_937_3e-1,
    1.818_357_216_161_805e-1,
    2.222_219_843_214_978_4e-1,
    2.857_142_874_366_239e-1,
    3.999_999_999_940_942e-1,
    6.666_666_666_666_735e-1,
];

/// ln 2 as a sum, from `exp` and `log` in msun: 32 bits, and the rest.
const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];

/// (sin(r) − r) / r³ in r², for |r| ≤ ¼ π: the coefficients of `sin` in msun, a minimax approximation. The relative
/// error is below 4e-18.
const SINE: [f64; 6] = [
    1.589_690_995_211_55e-10,
    -2.505_076_025_340_686_3e-8,
    2.755_731_370_707_006_8e-6,
    -1.984_126_982_985_795e-4,
    8.333_333_333_322_49e-3,
    -1.666_666_666_666_663_2e-1,
];

/// (cos(r) − 1 + ½ r²) / r⁴ in r², for |r| ≤ ¼ π: the coefficients of `cos` in msun, a minimax approximation. The
/// relative error is below 1.4e-18.
const COSINE: [f64; 6] = [
    -1.135_964_755_778_819_5e-11,
    2.087_572_321_298_175e-9,
    -2.755_731_435_139_066_3e-7,
    2.480_158_728_947_673e-5,
    -1.388_888_888_887_411e-3,
    4.166_666_666_666_66e-2,
];

/// ln(1 + t) for t in [0, 1].
#[inline(always)]
fn log_one_plus<const FMA: bool>(t: f64) -> f64 {
    t.ln_1p_fast::<FMA>()
}

/// x less the nearest multiple of ½ π, in three steps, and the number of quarter turns. ½ π is the sum of three parts,
/// from `rem_pio2` in msun: 33 bits, the next 33 bits, and the rest.
#[inline(always)]
fn nearest_quarter<const FMA: bool>(x: f64) -> (f64, i64) {
    let (n, whole) = nearest(x * std::f64::consts::FRAC_2_PI);
    let r = x - n * 1.570_796_326_734_125_6;
    let r = r - n * 6.077_100_506_303_966e-11;
    (r - n * 2.022_266_248_795_950_6e-21, whole)
}

elementary! {
    real: f64,
    bits: u64,
    signed: i64,
    mantissa: 52,
    bias: 1023,
    exp: { least: -746.0, greatest: 710.0, ln_2: LN_2, terms: EXP_TERMS, },
    exp_m1: { least: -40.0 },
    ln: { root_half: 0x3fe6_a09e_667f_3bcd, ln_2: LN_2, terms: LOG_TERMS },
    log_one_plus: log_one_plus,
    tanh: { greatest: 22.0 },
    sin_cos: { nearest_quarter: nearest_quarter, sine: SINE, cosine: COSINE },
}
