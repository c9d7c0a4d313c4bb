//! Gamma variates by the method of Marsaglia and Tsang (2000).
//!
//! With d = a − 1/3, c = 1/√(9d) and a normal x, the proposal is d (1 + t)³ with t = cx. It is accepted with the
//! probability e^h, h = ½ x² + d − d (1 + t)³ + 3 d ln(1 + t) = d (3 (ln(1 + t) − t + ½ t²) − t³). The second form has
//! no large terms; for small t a series replaces the logarithm. A concentration below 1 is raised by 1, and the variate
//! is multiplied by u^(1/a) with a further uniform u.

use crate::real::Real;
use crate::simd::dispatch;

/// The coefficients of (3 (ln(1 + t) − t + ½ t²) − t³) / t⁴, highest power first: 3 (−1)ᵏ⁺¹ / k for k from 11 to 4.
pub const LOG_GAMMA_SERIES: [f64; 8] =
    [3.0 / 11.0, -3.0 / 10.0, 3.0 / 9.0, -3.0 / 8.0, 3.0 / 7.0, -3.0 / 6.0, 3.0 / 5.0, -3.0 / 4.0];

/// Attempts at logarithms of gamma variates with scale 1.
///
/// `normal` has standard normal samples, and `uniform` uniform ones. `boost` has further uniform samples; it may be
/// empty if no concentration is below 1. A concentration that is not a positive finite number gives NaN, which is not
/// rejected. The logarithms are finite also where the variates underflow.
///
/// # Panics
/// If the slices have different lengths.
///
/// ```
/// use stochgrad_tensor::random::attempts::log_gamma;
///
/// let (mut logs, mut rejected) = ([0.0], [false]);
/// log_gamma(&[4.0 / 3.0], &[0.0], &[0.5], &[], &mut logs, &mut rejected);
/// assert_eq!((logs, rejected), ([0.0], [false])); // a normal sample of 0 proposes d, here 1
/// ```
pub fn log_gamma<F: Real>(
    concentration: &[F],
    normal: &[F],
    uniform: &[F],
    boost: &[F],
    logs: &mut [F],
    rejected: &mut [bool],
) {
    let count = logs.len();
    let lengths = [concentration.len(), normal.len(), uniform.len(), rejected.len()];
    assert!(lengths == [count; 4], "expected {count} elements everywhere, got {lengths:?}");
    propose(concentration, normal, uniform, logs, rejected);
    if boost.is_empty() {
        return;
    }
    assert!(boost.len() == count, "expected {count} further uniform samples, got {}", boost.len());
    raise(concentration, boost, logs);
}

dispatch! {
    fn propose<F: Real>(
        concentration: &[F], normal: &[F], uniform: &[F], logs: &mut [F], rejected: &mut [bool],
    ) = propose_body;
}

#[inline(always)]
fn propose_body<const FMA: bool, F: Real>(
    concentration: &[F],
    normal: &[F],
    uniform: &[F],
    logs: &mut [F],
    rejected: &mut [bool],
) {
    let constant = F::from_f64;
    let (third, half, three) = (constant(1.0 / 3.0), constant(0.5), constant(3.0));
    let inputs = concentration.iter().zip(normal).zip(uniform);
    for (((&a, &x), &u), (log, rejected)) in inputs.zip(logs.iter_mut().zip(rejected.iter_mut())) {
        let raised = if a < F::ONE { a + F::ONE } else { a };
        let d = raised - third;
        let t = x * third / d.sqrt();
        let inside = t > -F::ONE;
        let held = if inside { t } else { F::ZERO };
        let stretch = held.ln_1p_fast::<FMA>();
        let square = held * held;
        let series = LOG_GAMMA_SERIES
            .iter()
            .skip(1)
            .fold(constant(LOG_GAMMA_SERIES[0]), |sum, &term| sum.multiply_add::<FMA>(held, constant(term)));
        let direct = three * (stretch - held + half * square) - held * square;
        let h = d * if held.abs() < constant(0.1) { square * square * series } else { direct };
        let kept = inside & (u.ln_fast::<FMA>() < h);
        let valid = (a > F::ZERO) & (a < F::INFINITY);
        let value = three.multiply_add::<FMA>(stretch, d.ln_fast::<FMA>());
        *log = if valid { value } else { F::NAN };
        *rejected = valid & !kept;
    }
}

dispatch! {
    fn raise<F: Real>(concentration: &[F], boost: &[F], logs: &mut [F]) = raise_body;
}

#[inline(always)]
fn raise_body<const FMA: bool, F: Real>(concentration: &[F], boost: &[F], logs: &mut [F]) {
    let lowest = -F::MAX * F::from_f64(0.25);
    for ((log, &a), &u) in logs.iter_mut().zip(concentration).zip(boost) {
        let term = u.ln_fast::<FMA>() / a;
        let term = if term < lowest { lowest } else { term };
        *log += if a < F::ONE { term } else { F::ZERO };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The acceptance in the form of the paper.
    fn accepts(a: f64, x: f64, u: f64) -> bool {
        let d = if a < 1.0 { a + 1.0 } else { a } - 1.0 / 3.0;
        let root = 1.0 + x / (9.0 * d).sqrt();
        root > 0.0 && u.ln() < 0.5 * x * x + d - d * root.powi(3) + d * 3.0 * root.ln()
    }

    fn check<F: Real>(tolerance: f64) {
        let (mut compared, mut refused) = (0, 0);
        for a in [1e-3, 0.5, 1.0, 2.0, 50.0, 1e4] {
            for x in [-4.0, -2.5, -1.0, -0.2, 0.0, 0.3, 1.1, 3.0, 5.0] {
                for u in [0.01, 0.5, 0.9, 0.97, 0.999] {
                    let near = [1.0 - tolerance, 1.0 + tolerance].map(|slightly| accepts(a, x, u * slightly));
                    if near[0] != near[1] {
                        continue;
                    }
                    let of = |x: f64| [F::from_f64(x)];
                    let (mut log, mut rejected) = ([F::ZERO], [false]);
                    log_gamma(&of(a), &of(x), &of(u), &of(0.25), &mut log, &mut rejected);
                    assert_eq!(rejected[0], !near[0], "a = {a}, x = {x}, u = {u}");
                    refused += usize::from(rejected[0]);
                    if rejected[0] {
                        continue;
                    }
                    let d = if a < 1.0 { a + 1.0 } else { a } - 1.0 / 3.0;
                    let boost = if a < 1.0 { 0.25_f64.ln() / a } else { 0.0 };
                    let expected = d.ln() + 3.0 * (x / (9.0 * d).sqrt()).ln_1p() + boost;
                    let error = (log[0].to_f64() - expected).abs() / expected.abs().max(1.0);
                    assert!(error < tolerance, "a = {a}, x = {x}: {} where {expected} is exact", log[0]);
                    compared += 1;
                }
            }
        }
        assert!(compared > 150 && refused > 5, "{compared} and {refused}");
    }

    #[test]
    fn proposals_and_acceptance_are_those_of_the_paper() {
        check::<f64>(1e-9);
        check::<f32>(2e-5);
    }

    #[test]
    fn a_bad_concentration_ends_the_sampler() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let (mut log, mut rejected) = ([0.0], [true]);
            log_gamma(&[bad], &[0.1], &[0.5], &[0.5], &mut log, &mut rejected);
            assert!(log[0].is_nan() && !rejected[0], "{bad}");
        }
    }

    #[test]
    fn logarithms_stay_finite_for_any_concentration() {
        let (mut log, mut rejected) = ([0.0], [true]);
        log_gamma(&[1e-310], &[0.1], &[0.5], &[0.5], &mut log, &mut rejected);
        assert!(log[0].is_finite() && log[0] < -1e300 && !rejected[0]);
    }
}
