//! Random values of each kind from words, and from uniform values.

use crate::lowering::builder::Value;
use crate::lowering::types::Element;
use stochgrad_tensor::random::Fill;

/// The words of each value along the first axis, as one integer: one word for single precision, and two for double.
pub(crate) fn joined(words: Value<'_>, element: Element) -> Value<'_> {
    if element == Element::F32 {
        return words;
    }
    let count = words.shape()[0] / 2;
    let [low, high] = [0, 1].map(|first| words.strided_slice(0, first, count, 2).convert(Element::U64));
    low | (high << 32_i64)
}

/// The number of leading bits that a value keeps, with one more for the rounding, and the share of a word.
fn precision(element: Element) -> (i64, f64) {
    match element {
        Element::F32 => (24, (-32_f64).exp2()),
        _ => (53, (-64_f64).exp2()),
    }
}

/// The integer as a value in (0, 1): (w + ½) / 2^bits, rounded down.
fn unit<'b>(word: Value<'b>, element: Element) -> Value<'b> {
    let (kept, share) = precision(element);
    // Without the bit below the leading ones, the conversion rounds down.
    ((word & !(word >> kept)).convert(element) + 0.5) * share
}

/// Uniform values in (0, 1).
pub(crate) fn open_unit<'b>(word: Value<'b>, element: Element, mirrored: bool) -> Value<'b> {
    unit(if mirrored { !word } else { word }, element)
}

/// The distances to the nearer end of (0, 1), negative if it is the upper one.
pub(crate) fn folded_unit<'b>(word: Value<'b>, element: Element) -> Value<'b> {
    let signed = if element == Element::F32 { Element::I32 } else { Element::I64 };
    let upper = word.bitcast(signed).lt(0_i64);
    let size = unit(upper.select(!word, word), element);
    upper.select(-size, size)
}

/// Folded uniform values, as values of another kind. Normal values are no function of one uniform value.
pub(crate) fn unfold<'b>(fill: Fill, t: Value<'b>) -> Value<'b> {
    let upper = t.lt(0.0);
    match fill {
        Fill::Uniform => unfolded(t),
        Fill::Mirrored => unfolded(-t),
        Fill::Exponential => exponential(t),
        Fill::MirroredExponential => exponential(-t),
        Fill::Logistic => {
            let size = t.abs();
            let odds = (size / (1.0 - size)).ln();
            upper.select(-odds, odds)
        }
        Fill::Folded | Fill::Normal => t,
    }
}

/// The uniform value of a folded one, which is never rounded to 1.
fn unfolded(t: Value<'_>) -> Value<'_> {
    let least = match t.element() {
        Element::F32 => -0.5 * f64::from(f32::EPSILON),
        _ => -0.5 * f64::EPSILON,
    };
    t.gt(0.0).select(t, t.lt(least).select(t, least) + 1.0)
}

/// −ln u. The part of 1 + t that rounding loses is added to the logarithm.
fn exponential(t: Value<'_>) -> Value<'_> {
    let upper = t.lt(0.0);
    let u = upper.select(t + 1.0, t);
    let lost = upper.select(t - (u - 1.0), 0.0);
    -(u.ln() + lost * (2.0 - u))
}

/// Pairs of normal values from pairs of uniform ones, by the method of Box and Muller.
pub(crate) fn box_muller<'b>(radius: Value<'b>, angle: Value<'b>) -> [Value<'b>; 2] {
    let length = (radius.ln() * -2.0).sqrt();
    turn(angle).map(|part| length * part)
}

/// Coefficients of (sin r − r) / r³ and (cos r − 1 + ½ r²) / r⁴ in r² for |r| ≤ ¼ π, of the Cephes library (f32) and of
/// FreeBSD's msun (f64).
const SINGLE: [&[f64]; 2] = [
    &[-1.951_529_589_1e-4, 8.332_160_873_6e-3, -1.666_665_461_1e-1],
    &[2.443_315_711_809_948e-5, -1.388_731_625_493_765e-3, 4.166_664_568_298_827e-2],
];
const DOUBLE: [&[f64]; 2] = [
    &[
        1.589_690_995_211_55e-10,
        -2.505_076_025_340_686_3e-8,
        2.755_731_370_707_006_8e-6,
        -1.984_126_982_985_795e-4,
        8.333_333_333_322_49e-3,
        -1.666_666_666_666_663_2e-1,
    ],
    &[
        -1.135_964_755_778_819_5e-11,
        2.087_572_321_298_175e-9,
        -2.755_731_435_139_066_3e-7,
        2.480_158_728_947_673e-5,
        -1.388_888_888_887_411e-3,
        4.166_666_666_666_66e-2,
    ],
];

/// The cosine and the sine of 2π u, from the distance of 4u to the nearest integer, which has no rounding error.
fn turn(u: Value<'_>) -> [Value<'_>; 2] {
    let four = u * 4.0;
    let quarters = (four + 0.5).floor();
    let r = (four - quarters) * std::f64::consts::FRAC_PI_2;
    let quadrant = quarters.convert(Element::I32);
    let z = r * r;
    let terms = if u.element() == Element::F32 { SINGLE } else { DOUBLE };
    let polynomial = |terms: &[f64]| terms[1..].iter().fold(z.fill(terms[0]), |sum, &term| sum * z + term);
    let sine = polynomial(terms[0]) * (z * r) + r;
    let half = z * 0.5;
    let one = 1.0 - half;
    let cosine = one + (((1.0 - one) - half) + z * z * polynomial(terms[1]));
    let swap = (quadrant & 1_i64).differs(0_i64);
    let (s, c) = (swap.select(cosine, sine), swap.select(sine, cosine));
    let s = (quadrant & 2_i64).differs(0_i64).select(-s, s);
    let c = ((quadrant + 1_i64) & 2_i64).differs(0_i64).select(-c, c);
    [c, s]
}
