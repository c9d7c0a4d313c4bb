//! Von Mises angles by rejection from a wrapped Cauchy distribution (Best and Fisher 1979), in a form without
//! cancellation for any concentration.
//!
//! With V = 1 − cos X, the proposals are V = 2bZ / (1 − (1 − b)Z) for Z of the arcsine distribution, b = 1 / (2κ +
//! √(4κ² + 1)).

use super::arc_sine::arc_sine;
use crate::real::Real;
use crate::simd::dispatch;

/// Attempts at von Mises angles around 0.
///
/// `place` and `uniform` have uniform samples: the place of the proposal together with its sign, and what decides about
/// the rejection. A concentration that is not a positive finite number gives NaN, which is not rejected.
///
/// # Panics
/// If the slices have different lengths.
pub fn von_mises<F: Real>(concentration: &[F], place: &[F], uniform: &[F], angles: &mut [F], rejected: &mut [bool]) {
    let count = angles.len();
    let lengths = [concentration.len(), place.len(), uniform.len(), rejected.len()];
    assert!(lengths == [count; 4], "expected {count} elements everywhere, got {lengths:?}");
    // The square of a larger concentration could overflow. There the angle is normal, in units of 1/√κ.
    let most = F::MAX.sqrt() * F::from_f64(0.1);
    let exceeds = |kappa: F| (kappa > most) & (kappa < F::INFINITY);
    // Without leaving the loop at the first one, it is one over vectors.
    if !concentration.iter().fold(false, |any, &kappa| any | exceeds(kappa)) {
        propose(concentration, place, uniform, angles, rejected);
        return;
    }
    let held: Vec<F> =
        concentration.iter().map(|&kappa| if kappa < F::INFINITY { kappa.min(most) } else { kappa }).collect();
    propose(&held, place, uniform, angles, rejected);
    for ((angle, &held), &kappa) in angles.iter_mut().zip(&held).zip(concentration) {
        if exceeds(kappa) {
            *angle *= (held / kappa).sqrt();
        }
    }
}

dispatch! {
    fn propose<F: Real>(
        concentration: &[F], place: &[F], uniform: &[F], angles: &mut [F], rejected: &mut [bool],
    ) = propose_body;
}

#[inline(always)]
fn propose_body<const FMA: bool, F: Real>(
    concentration: &[F],
    place: &[F],
    uniform: &[F],
    angles: &mut [F],
    rejected: &mut [bool],
) {
    let constant = F::from_f64;
    let (half, two) = (constant(0.5), constant(2.0));
    let inputs = concentration.iter().zip(place).zip(uniform);
    for (((&kappa, &place), &u), (angle, rejected)) in inputs.zip(angles.iter_mut().zip(rejected.iter_mut())) {
        let double = two * kappa;
        let b = F::ONE / (double + double.multiply_add::<FMA>(double, F::ONE).sqrt());
        let [gap, inner] = [two * b / (F::ONE + b), (F::ONE - b) / (F::ONE + b)];
        // The sine of an angle in (−½ π, ½ π): its square is Z, and its sign that of the angle.
        let [cosine, sine] = ((place - half) * half).turn_fast::<FMA>();
        let z = sine * sine;
        let v = two * b * z / cosine.multiply_add::<FMA>(cosine, b * z);
        let ratio = inner.multiply_add::<FMA>(v, gap) / (gap * (F::ONE + inner));
        let excess = kappa.multiply_add::<FMA>(gap - v, ratio.ln_fast::<FMA>());
        let root = (half * v).sqrt();
        let root = if root > F::ONE { F::ONE } else { root };
        let size = two * arc_sine::<FMA, F>(root);
        let valid = (kappa > F::ZERO) & (kappa < F::INFINITY);
        let signed = if place < half { -size } else { size };
        *angle = if valid { signed } else { F::NAN };
        *rejected = valid & (excess < u.ln_fast::<FMA>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_concentration_ends_the_sampler() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let (mut angle, mut rejected) = ([0.0], [true]);
            von_mises(&[bad], &[0.1], &[0.5], &mut angle, &mut rejected);
            assert!(angle[0].is_nan() && !rejected[0], "{bad}");
        }
    }

    #[test]
    fn angles_of_huge_concentrations_are_normal() {
        fn check<F: Real>(concentrations: &[f64]) {
            for &kappa in concentrations {
                let places: Vec<F> = (0..100).map(|i| F::from_f64((f64::from(i) + 0.5) / 100.0)).collect();
                let kappa = F::from_f64(kappa);
                let (mut angles, mut rejected) = (vec![F::ZERO; 100], vec![false; 100]);
                von_mises(&[kappa; 100], &places, &[F::from_f64(0.5); 100], &mut angles, &mut rejected);
                let accepted = rejected.iter().filter(|&&rejected| !rejected).count();
                assert!(accepted > 50, "{kappa}: {accepted}");
                for (angle, place) in angles.iter().zip(&places) {
                    // Proposals are Cauchy around 0, in units of 1/√κ.
                    let size = angle.to_f64().abs() * kappa.to_f64().sqrt();
                    let expected = (0.5 * (place.to_f64() - 0.5) * std::f64::consts::TAU).tan().abs();
                    assert!((size - expected).abs() < 2e-3 * expected.max(1.0), "{kappa}: {size}, not {expected}");
                }
            }
        }
        check::<f64>(&[1e10, 1e150, 1e153, 1e154, 1e160, 1e250, 1e300, f64::MAX]);
        check::<f32>(&[1e10, 1e17, 1e19, 1e25, 3e38]);
    }

    #[test]
    fn proposals_are_symmetric_and_reach_the_whole_circle() {
        for kappa in [1e-3, 1.0, 50.0] {
            let places = [0.05, 0.3, 0.7, 0.95, 1.0 - 1e-9];
            let (mut angles, mut rejected) = ([0.0_f64; 5], [false; 5]);
            von_mises(&[kappa; 5], &places, &[0.5; 5], &mut angles, &mut rejected);
            assert!((angles[0] + angles[3]).abs() < 1e-12 && (angles[1] + angles[2]).abs() < 1e-12, "{angles:?}");
            assert!((angles[4] - std::f64::consts::PI).abs() < 1e-3, "{angles:?}");
        }
    }
}
