//! The arc tangent. `stablehlo.atan2` has wrong values for many elements in a plugin for CPUs (JAX 0.11.2).
//!
//! The method and the coefficients are those of FreeBSD's msun.

use super::numeric::{polynomial, single, with_sign};
use crate::lowering::builder::Value;
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

/// 1 − atan(x) / x in x² for |x| < 7/16, without a term of order 0.
const COEFFICIENTS: [f64; 11] = [
    3.333_333_333_333_293e-1,
    -1.999_999_999_987_648_3e-1,
    1.428_571_427_250_346_6e-1,
    -1.111_111_040_546_235_6e-1,
    9.090_887_133_436_507e-2,
    -7.691_876_205_044_83e-2,
    6.661_073_137_387_531e-2,
    -5.833_570_133_790_573_5e-2,
    4.976_877_994_615_932e-2,
    -3.653_157_274_421_691_6e-2,
    1.628_582_011_536_578_2e-2,
];

/// The arc tangents of 0, 1/2, 1, 3/2 and ∞, and their rests.
const PLACES: [(f64, f64); 5] = [
    (0.0, 0.0),
    (4.636_476_090_008_061e-1, 2.269_877_745_296_168_7e-17),
    (FRAC_PI_4, 3.061_616_997_868_383e-17),
    (9.827_937_232_473_29e-1, 1.390_331_103_123_099_8e-17),
    (FRAC_PI_2, 6.123_233_995_736_766e-17),
];

/// The angle whose tangent is x.
pub(crate) fn atan<'b>(x: Value<'b>) -> Value<'b> {
    single("atan", [x], |[x]| {
        let size = x.abs();
        // The tangents of the distances from the places.
        let reduced = [
            size,
            (size * 2.0 - 1.0) / (size + 2.0),
            (size - 1.0) / (size + 1.0),
            (size - 1.5) / (size * 1.5 + 1.0),
            -1.0 / size,
        ];
        let ends = [7.0 / 16.0, 11.0 / 16.0, 19.0 / 16.0, 39.0 / 16.0];
        let pick = |choices: [Value<'b>; 5]| {
            let [rest @ .., last] = choices;
            ends.iter().zip(rest).rev().fold(last, |later, (&end, own)| size.lt(end).select(own, later))
        };
        let y = pick(reduced);
        let (place, rest) = (pick(PLACES.map(|(high, _)| x.fill(high))), pick(PLACES.map(|(_, low)| x.fill(low))));
        let square = y * y;
        let value = place - (y * square * polynomial(&COEFFICIENTS, square) - rest - y);
        with_sign(value, x)
    })
}

/// The angle in (0, π) whose cotangent is x.
pub(crate) fn acot(x: Value<'_>) -> Value<'_> {
    let size = atan(1.0 / x.abs());
    x.lt(0.0).select(PI - size, size)
}
