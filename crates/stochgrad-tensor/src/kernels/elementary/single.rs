//! The elementary functions in single precision.

#![allow(clippy::excessive_precision)]

use super::Elementary;
use super::formulas::elementary;

/// (exp(r) − 1 − r) / r² for |r| ≤ ½ ln 2: the coefficients of `expf` in the Cephes library (Moshier), with the last
/// one rounded to ½. The relative error of exp(r) is below 2.6e-9.
const EXP_TERMS: [f32; 6] =
    [1.987_569_150_0e-4, 1.398_199_950_7e-3, 8.333_451_907_3e-3, 4.166_579_589_4e-2, 1.666_666_545_9e-1, 0.5];

/// ln 2 as a sum, of `expf` in Cephes: nine bits, and the rest.
const EXP_LN_2: [f32; 2] = [0.693_359_375, -2.121_944_40e-4];

/// (2 artanh(s) − 2s) / s³ in s², for |s| ≤ 3 − 2√2: the coefficients of `logf` in FreeBSD's msun, a minimax
/// approximation. The relative error of ln is below 2.5e-11.
const LOG_TERMS: [f32; 4] = [0.242_790_788_41, 0.284_987_866_88, 0.400_009_721_52, 0.666_666_626_93];

/// ln 2 as a sum, of `logf` in msun: 17 bits, and the rest.
const LOG_LN_2: [f32; 2] = [0.693_138_122_56, 9.058_000_614_5e-6];

/// (2 artanh(s) − 2s) / s³ in s², for 0 ≤ s ≤ 1/3: five coefficients fitted to the series 2/3 + 2/5 s² + 2/7 s⁴ + ….
/// The relative error of ln(1 + t) is below 6e-10 for 0 ≤ t ≤ 1.
const LOG_ONE_PLUS_TERMS: [f32; 5] = [0.232_390_5, 0.217_033_15, 0.285_925_83, 0.399_997_01, 0.666_666_67];

/// (sin(r) − r) / r³ in r², for |r| ≤ ¼ π: the coefficients of `sinf` in Cephes. The relative error is below 4e-9.
const SINE: [f32; 3] = [-1.951_529_589_1e-4, 8.332_160_873_6e-3, -1.666_665_461_1e-1];

/// (cos(r) − 1 + ½ r²) / r⁴ in r², for |r| ≤ ¼ π: the coefficients of `cosf` in Cephes. The relative error is below
/// 1.2e-10.
const COSINE: [f32; 3] = [2.443_315_711_809_948e-5, -1.388_731_625_493_765e-3, 4.166_664_568_298_827e-2];

/// ln(1 + t) for t in [0, 1]: 2 artanh(t / (2 + t)).
#[inline(always)]
fn log_one_plus<const FMA: bool>(t: f32) -> f32 {
    let s = t / (2.0 + t);
    let z = s * s;
    // The first term of the series, 2 s, is t − s t.
    fma::<FMA>(s, fma::<FMA>(polynomial::<FMA, _>(LOG_ONE_PLUS_TERMS, z), z, -t), t)
}

/// x less the nearest multiple of ½ π, computed in double precision, and the number of quarter turns. ½ π is the sum of
/// two parts, from `rem_pio2` in msun: 33 bits, and the rest.
#[inline(always)]
fn nearest_quarter<const FMA: bool>(x: f32) -> (f32, i32) {
    let (n, whole) = nearest(x * std::f32::consts::FRAC_2_PI);
    let n = f64::from(n);
    let r = f64::from(x) - n * 1.570_796_326_734_125_6;
    ((r - n * 6.077_100_506_506_192e-11) as f32, whole)
}

elementary! {
    real: f32,
    bits: u32,
    signed: i32,
    mantissa: 23,
    bias: 127,
    exp: { least: -104.0, greatest: 89.0, ln_2: EXP_LN_2, terms: EXP_TERMS, },
    exp_m1: { least: -18.0 },
    ln: { root_half: 0x3f35_04f3, ln_2: LOG_LN_2, terms: LOG_TERMS },
    log_one_plus: log_one_plus,
    tanh: { greatest: 10.0 },
    sin_cos: { nearest_quarter: nearest_quarter, sine: SINE, cosine: COSINE },
}
