use super::*;
use crate::continuous::gamma::Gamma;
use crate::continuous::laplace::Laplace;
use crate::continuous::normal::Normal;
use crate::discrete::poisson::Poisson;
use crate::testing::{Build, DistributionCheck, Domain, check_family};
use approx::assert_abs_diff_eq;

const BUILD: Build =
    |p| Box::new(Mixture::from_probability(p[0], Normal::new(p[1], p[2]), Laplace::new(p[3], p[4])).unwrap());
const BY_LOGIT: Build =
    |p| Box::new(Mixture::from_logit(p[0], Normal::new(p[1], p[2]), Laplace::new(p[3], p[4])).unwrap());

#[test]
fn everything_follows_the_distribution() {
    for (build, weight, seed) in [(BUILD, 0.3, 291), (BY_LOGIT, -0.6, 301)] {
        let distribution = DistributionCheck::new(build, &[weight, -1.0, 0.6, 1.5, 0.8], Domain::Line(-30.0, 30.0));
        distribution.assert_moments();
        distribution.assert_score(&[-2.0, 0.4, 3.0]);
        distribution.assert_cdf(&[-2.0, 0.4, 3.0]);
        distribution.assert_draws_by_own_cdf(seed);
        distribution.assert_path(seed + 1);
        (0..5).for_each(|parameter| distribution.assert_weak(parameter, seed + 2 + parameter as u64));
    }
}

#[test]
fn misfits_are_errors_and_a_stored_mixture_binds_again() {
    let tape = Tape::<f64>::new();
    let normal = Normal::new(tape.parameter(0.0), 1.0);
    let wide = Normal::new(tape.parameter([0.0, 1.0]), 1.0);
    assert!(Mixture::from_probability(tape.constant(0.5), normal, wide).is_err());
    let distribution =
        Mixture::from_probability(tape.parameter(0.5), normal, Laplace::new(tape.parameter(0.0), 1.0)).unwrap();
    check_family(&tape, &distribution, tape.constant(0.3));
    let counts = Poisson::from_rate(tape.parameter(2.0));
    let inflated =
        Mixture::from_probability(tape.parameter(0.2), Poisson::from_rate(tape.constant(0.0)), counts).unwrap();
    assert!(inflated.capabilities().reparameterized.is_none());
    let at_zero = 0.2 + 0.8 * (-2.0_f64).exp();
    assert_abs_diff_eq!(inflated.log_prob(tape.constant(0.0)).item().unwrap(), at_zero.ln(), epsilon = 1e-14);
}

/// The score with respect to a weight of 0 or 1 is (p₁(x) − p₂(x)) / p(x).
#[test]
fn a_weight_at_an_end_has_a_score() {
    for weight in [0.0, 1e-12, 0.5, 1.0] {
        for x in [0.5, 2.0, 9.0] {
            let tape = Tape::<f64>::new();
            let p = tape.parameter(weight);
            let (normal, gamma) = (Normal::new(tape.constant(0.0), 2.0), Gamma::new(tape.constant(0.9), 2.0));
            let mixture = Mixture::from_probability(p, normal, gamma).unwrap();
            let value = tape.constant(x);
            let [first, second] = [normal.log_prob(value), gamma.log_prob(value)].map(|log| log.item().unwrap().exp());
            let expected = (first - second) / (weight * first + (1.0 - weight) * second);
            let [score] = tape.grad(mixture.log_prob(value), [p]).unwrap();
            let [curvature] = tape.grad(score, [p]).unwrap();
            let (score, curvature) = (score.item().unwrap(), curvature.item().unwrap());
            assert!((score - expected).abs() < 1e-12 * expected.abs(), "{weight} at {x}: {score} and {expected}");
            assert!((curvature + expected.powi(2)).abs() < 1e-11 * expected.powi(2), "{weight} at {x}: {curvature}");
            if (weight, x) == (1.0, 0.5) {
                assert_abs_diff_eq!(score, -2.561_232_363_878_397, epsilon = 1e-13);
            }
        }
    }
    // Nothing is possible below 0 but the first distribution.
    let tape = Tape::<f64>::new();
    let p = tape.parameter(0.0);
    let (first, second) = (Gamma::new(tape.constant(0.9), 2.0), Gamma::new(tape.constant(2.0), 2.0));
    let mixture = Mixture::from_probability(p, first, second).unwrap();
    let value = tape.parameter(-1.0);
    let log = mixture.log_prob(value);
    assert_eq!(log.item().unwrap(), f64::NEG_INFINITY);
    let slopes = tape.backward(log, [p, value]).unwrap().map(|slope| slope.item().unwrap());
    assert_eq!(slopes, [0.0, 0.0]);
}

#[test]
fn quantiles_at_the_ends_are_those_of_the_support() {
    let tape = Tape::<f64>::new();
    let (normal, gamma) = (Normal::new(tape.constant(0.0), 2.0), Gamma::new(tape.constant(0.9), 2.0));
    for (weight, low) in [(0.4, f64::NEG_INFINITY), (0.0, 0.0)] {
        let mixture = Mixture::from_probability(tape.constant(weight), normal, gamma).unwrap();
        let ends = [0.0, 1.0].map(|p| mixture.icdf(tape.constant(p)).item().unwrap());
        assert_eq!(ends, [low, f64::INFINITY]);
        let ends = [0.0, 1.0].map(|p| mixture.inverse_survival(tape.constant(p)).item().unwrap());
        assert_eq!(ends, [f64::INFINITY, low]);
    }
    let wide = tape.constant([0.5, 0.5]);
    assert!(Mixture::from_probability(wide, normal, gamma).is_err());
}

/// Weights whose sum has rounded lead to no probability above 1, and the ends are exact.
#[test]
fn probabilities_are_at_most_one() {
    fn check<F: Real>() {
        for weight in [1e-10, 0.1, 0.3, 0.3125, 0.7, 0.875, 1.0 - F::EPSILON.to_f64()] {
            let tape = Tape::<F>::new();
            let parts = || (Normal::new(tape.constant(0.3), 1.25), Laplace::new(tape.constant(0.3), 1.25));
            let by_probability = Mixture::from_probability(tape.constant(weight), parts().0, parts().1).unwrap();
            let logit = (weight / (1.0 - weight)).ln();
            let by_logit = Mixture::from_logit(tape.constant(logit), parts().0, parts().1).unwrap();
            for mixture in [by_probability, by_logit] {
                let at = |x: f64| {
                    let x = tape.constant(x);
                    [mixture.cdf(x), mixture.survival(x), mixture.log_cdf(x), mixture.log_survival(x)]
                        .map(|y| y.item().unwrap().to_f64())
                };
                let infinity = f64::INFINITY;
                assert_eq!(at(infinity), [1.0, 0.0, 0.0, -infinity], "{weight}");
                assert_eq!(at(-infinity), [0.0, 1.0, -infinity, 0.0], "{weight}");
                for x in (-80..80).map(|k| f64::from(k) * 0.75) {
                    let [lower, upper, log_lower, log_upper] = at(x);
                    assert!(lower <= 1.0 && upper <= 1.0 && log_lower <= 0.0 && log_upper <= 0.0, "{weight} at {x}");
                    let tolerance = 8.0 * F::EPSILON.to_f64();
                    assert!((log_lower.exp() - lower).abs() < tolerance && (lower + upper - 1.0).abs() < tolerance);
                }
            }
        }
    }
    check::<f64>();
    check::<f32>();
}

/// The logarithm of a probability close to 1 is as precise as the probability of the opposite, with its slope.
#[test]
fn logarithms_of_probable_tails_keep_their_digits() {
    let tape = Tape::<f64>::new();
    let rate = tape.parameter(1.0);
    let laplace = || Laplace::new(tape.constant(0.0), rate);
    let mixture = Mixture::from_probability(tape.constant(0.3), laplace(), laplace()).unwrap();
    for x in [1.0, 40.0, 300.0] {
        let log = mixture.log_cdf(tape.constant(x));
        let [slope] = tape.grad(log, [rate]).unwrap();
        // −e^(−x) / 2, whose derivative with respect to the scale is x times that.
        let expected = (-0.5 * (-x).exp()).ln_1p();
        assert!((log.item().unwrap() - expected).abs() <= 1e-14 * expected.abs());
        let expected = -0.5 * x * (-x).exp() / expected.exp();
        assert!((slope.item().unwrap() - expected).abs() <= 1e-13 * expected.abs());
    }
}

/// Where the square of the standardised value overflows, the derivatives of that density are 0 times infinity.
#[test]
fn an_impossible_component_has_no_part_in_the_score() {
    fn check<F: Real>(smallest: f64) {
        for by_logit in [false, true] {
            let tape = Tape::<F>::new();
            let [weight, location, scale, width] = [0.25, 0.0, smallest, 2.0].map(|x| tape.parameter(x));
            let (narrow, wide) = (Normal::new(location, scale), Laplace::new(location, width));
            let mixture = if by_logit {
                Mixture::from_logit((weight / (1.0 - weight)).ln(), narrow, wide).unwrap()
            } else {
                Mixture::from_probability(weight, narrow, wide).unwrap()
            };
            let value = tape.parameter(3.0);
            let log = mixture.log_prob(value);
            // Only the Laplace distribution, of weight 3/4, density e^(−3/2) / 4 and score (3/2 − 1) / 2, counts.
            let expected = 0.75_f64.ln() - 0.25_f64.recip().ln() - 1.5;
            let tolerance = 16.0 * F::EPSILON.to_f64();
            assert!((log.item().unwrap().to_f64() - expected).abs() < tolerance);
            let scores = tape.grad(log, [weight, location, scale, width, value]).unwrap();
            let expected = [-1.0 / 0.75, 0.5, 0.0, 0.25, -0.5];
            for (score, expected) in scores.iter().zip(expected) {
                let score = score.item().unwrap().to_f64();
                assert!((score - expected).abs() < tolerance, "{}: {score}, expected {expected}", F::NAME);
            }
            let [curvature] = tape.backward(scores[3], [width]).unwrap();
            // The derivative of 3/w² − 1/w.
            assert!((curvature.item().unwrap().to_f64() + 0.5).abs() < tolerance);
            // Where nothing is possible, all derivatives are 0.
            let beyond = mixture.log_prob(tape.constant(f64::INFINITY));
            assert_eq!(beyond.item().unwrap().to_f64(), f64::NEG_INFINITY);
            let scores = tape.backward(beyond, [weight, location, scale, width]).unwrap();
            assert!(scores.iter().all(|score| score.item().unwrap() == F::ZERO), "{scores:?}");
        }
    }
    check::<f32>(1e-37);
    check::<f64>(1e-300);
}

#[test]
fn a_moment_of_weight_zero_does_not_count() {
    let tape = Tape::<f64>::new();
    let (weight, location) = (tape.parameter(0.0), tape.parameter(1e300));
    let mixture = Mixture::from_probability(weight, Normal::new(location, 1.0), Laplace::new(weight * 0.0, 1.25));
    let variance = mixture.unwrap().variance().unwrap();
    assert_eq!(variance.item(), Ok(2.0 * 1.25 * 1.25));
    for slope in tape.backward(variance, [weight, location]).unwrap() {
        assert!(!slope.item().unwrap().is_nan(), "{slope:?}");
    }
}
