//! The distributions of noise, and noise from the distance of a uniform value to the nearer end of its interval.

use crate::real::Real;
use crate::simd::dispatch;

/// The distribution of some noise.
///
/// All kinds but [`Normal`](Fill::Normal) are functions of one uniform value u, and are monotone in it. Near both ends
/// they have the resolution of a random word (2⁻³² for `f32`, 2⁻⁶⁴ for `f64`), unless stated otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fill {
    /// Uniform values u in the open interval (0, 1). Those near 1 have the distance of neighbouring floating-point
    /// values.
    Uniform,
    /// The mirror image 1 − u, from the flipped word: values near 0 have the resolution of the word.
    Mirrored,
    /// The distance of u to the nearer end of (0, 1), negative if that is the upper end: u below ½, and u − 1 above.
    Folded,
    /// Standard exponential values −ln u.
    Exponential,
    /// Standard exponential values −ln(1 − u), which increase with u.
    MirroredExponential,
    /// Standard logistic values ln u − ln(1 − u).
    Logistic,
    /// Standard normal values.
    Normal,
}

/// Replaces folded uniform values by values of another kind. [`Fill::Normal`], which is no function of one uniform value,
/// leaves them as they are.
pub fn unfold<F: Real>(fill: Fill, values: &mut [F]) {
    match fill {
        Fill::Uniform => uniforms(values),
        Fill::Mirrored => {
            mirror(values);
            uniforms(values);
        }
        Fill::Exponential => exponentials(values),
        Fill::MirroredExponential => {
            mirror(values);
            exponentials(values);
        }
        Fill::Logistic => logistics(values),
        Fill::Folded | Fill::Normal => {}
    }
}

fn mirror<F: Real>(values: &mut [F]) {
    values.iter_mut().for_each(|x| *x = -*x);
}

/// The uniform value of a folded one, which is never rounded to 1.
#[inline]
pub(crate) fn unfolded<F: Real>(folded: F) -> F {
    let least = F::EPSILON * F::from_f64(-0.5);
    let upper = F::ONE + if folded < least { folded } else { least };
    if folded > F::ZERO { folded } else { upper }
}

fn uniforms<F: Real>(values: &mut [F]) {
    values.iter_mut().for_each(|x| *x = unfolded(*x));
}

dispatch! {
    fn exponentials<F: Real>(values: &mut [F]) = exponentials_body;
}

#[inline(always)]
fn exponentials_body<const FMA: bool, F: Real>(values: &mut [F]) {
    for x in values {
        // The part of 1 + t that rounding loses is added to the logarithm, so that small results have all digits.
        let (t, upper) = (*x, *x < F::ZERO);
        let u = if upper { F::ONE + t } else { t };
        let lost = if upper { t - (u - F::ONE) } else { F::ZERO };
        *x = -(u.ln_normal::<FMA>() + lost * (F::from_f64(2.0) - u));
    }
}

dispatch! {
    fn logistics<F: Real>(values: &mut [F]) = logistics_body;
}

#[inline(always)]
fn logistics_body<const FMA: bool, F: Real>(values: &mut [F]) {
    for x in values {
        let t = *x;
        let size = if t < F::ZERO { -t } else { t };
        let odds = (size / (F::ONE - size)).ln_normal::<FMA>();
        *x = if t < F::ZERO { -odds } else { odds };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Fill; 5] =
        [Fill::Uniform, Fill::Mirrored, Fill::Exponential, Fill::MirroredExponential, Fill::Logistic];

    #[test]
    fn kinds_are_functions_of_the_same_uniform_value() {
        let sizes: Vec<f64> = (1..60).map(|i| 0.499 * 0.7_f64.powi(i)).collect();
        let folded: Vec<f64> = sizes.iter().flat_map(|&t| [t, -t]).collect();
        for fill in KINDS {
            let mut wide = folded.clone();
            unfold(fill, &mut wide);
            let mut narrow: Vec<f32> = folded.iter().map(|&t| t as f32).collect();
            unfold(fill, &mut narrow);
            for ((&t, &wide), &narrow) in folded.iter().zip(&wide).zip(&narrow) {
                let expected = |t: f64| match fill {
                    Fill::Uniform if t > 0.0 => t,
                    Fill::Uniform => 1.0 + t,
                    Fill::Mirrored if t > 0.0 => 1.0 - t,
                    Fill::Mirrored => -t,
                    Fill::Exponential if t > 0.0 => -t.ln(),
                    Fill::Exponential => -t.ln_1p(),
                    Fill::MirroredExponential if t > 0.0 => -(-t).ln_1p(),
                    Fill::MirroredExponential => -(-t).ln(),
                    _ => (t.abs().ln() - (-t.abs()).ln_1p()) * t.signum(),
                };
                let (exact, rounded) = (expected(t), expected(f64::from(t as f32)));
                assert!((wide - exact).abs() < 1e-15 * exact.abs().max(1e-3), "{fill:?} at {t}: {wide}");
                let scale = if fill == Fill::Logistic { rounded.abs().max(1.0) } else { rounded.abs() };
                assert!((f64::from(narrow) - rounded).abs() < 2e-7 * scale, "{fill:?} at {t}: {narrow}");
            }
        }
    }

    #[test]
    fn ends_are_finite_and_positive_values_stay_positive() {
        for size in [2.0_f32.powi(-33), 0.5 - f32::EPSILON / 4.0] {
            for t in [size, -size] {
                for fill in KINDS {
                    let mut x = [t];
                    unfold(fill, &mut x);
                    let inside = !matches!(fill, Fill::Uniform | Fill::Mirrored) || x[0] < 1.0;
                    assert!(x[0].is_finite() && inside && (x[0] > 0.0 || fill == Fill::Logistic), "{fill:?}: {}", x[0]);
                }
            }
        }
    }
}
