use super::*;
use crate::error::DistributionError;
use crate::noise::{KeyedNoise, NoiseKey};
use crate::testing::{
    COSTS, Fixed, States, assert_close, capabilities, check_draws, check_family, check_score,
    check_stochastic_derivative, check_weak_arguments, with_gradient,
};
use stochgrad_tape::{Plates, Tape};
use stochgrad_tensor::special::geometric_log_pmf;

type Build = for<'t> fn(Var<'t, f64>) -> Geometric<Var<'t, f64>>;

const P: f64 = 0.3;

fn both() -> [(Build, f64); 2] {
    [(|v| Geometric::from_probabilities(v), P), (|v| Geometric::from_logits(v), (P / (1.0 - P)).ln())]
}

#[test]
fn log_probabilities_are_those_of_the_formula() {
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let distribution = build(tape.parameter(theta));
        for k in 0..30 {
            let k = f64::from(k);
            assert_close(&[distribution.log_prob(tape.constant(k)).item().unwrap()], &[geometric_log_pmf(k, P)], 1e-13);
        }
        check_score(&[theta, theta], |v| build(v).log_prob(v.tape().constant([0.0, 4.0])));
    }
}

#[test]
fn stochastic_derivatives_are_exact() {
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(theta);
        check_stochastic_derivative(&tape, &build(theta), theta, 150, <[f64]>::to_vec);
        check_weak_arguments(&tape, &build(theta), 150);
    }
}

#[test]
fn the_weak_derivative_is_exact() {
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(theta);
        let distribution = build(theta);
        let states = States::new(&tape, &distribution, 150);
        for f in COSTS {
            let estimated: f64 = (0..150)
                .map(|more| {
                    let noise = Fixed(more);
                    let alternatives =
                        distribution.weak_derivative(0, states.recorded(), &states.draw(&noise)).unwrap().unwrap();
                    geometric_log_pmf(more as f64, P).exp() * states.estimated(&distribution, &alternatives, f)[0]
                })
                .sum();
            assert_close(&[estimated], &states.exact(&distribution, theta, f), 1e-9);
        }
    }
}

#[test]
fn known_derivatives_at_three_tenths() {
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(P);
    let distribution = Geometric::from_probabilities(theta);
    let states = States::new(&tape, &distribution, 200);
    for (f, known) in COSTS[1..].iter().zip([-77.77778, -137.03704, -2.60900]) {
        assert_close(&states.exact(&distribution, theta, *f), &[known], 1e-5);
    }
}

#[test]
fn draws_follow_the_distribution() {
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        check_draws(&tape, &build(tape.parameter(theta)), 150);
    }
}

#[test]
fn certain_success_gives_no_nan() {
    let cases: [(Build, f64); 3] = [(both()[0].0, 1.0), (both()[1].0, f64::INFINITY), (both()[1].0, 50.0)];
    for (build, theta) in cases {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(theta);
        let distribution = build(theta);
        assert!(distribution.validate().is_ok());
        assert!(distribution.log_prob(tape.constant(1.0)).item().unwrap() <= -50.0);
        let other = Geometric::from_probabilities(tape.constant(0.25));
        for (scalar, known) in [
            (distribution.log_prob(tape.constant(0.0)), 0.0),
            (distribution.kl_to(&distribution), 0.0),
            (distribution.kl_to(&other), 4.0_f64.ln()),
        ] {
            let (value, gradient) = with_gradient(scalar, theta);
            assert_close(&[value], &[known], 1e-12);
            assert!(gradient.iter().all(|g| !g.is_nan()), "{gradient:?}");
        }
        let noise = KeyedNoise::new(9, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
        let sample = distribution.draw(&draw).unwrap();
        assert_eq!(sample.to_vec(), [0.0]);
        for side in crate::testing::SIDES {
            let alternatives = distribution
                .stochastic_derivative(0, side, draw.record(&tape, sample.clone()), &draw)
                .unwrap()
                .unwrap();
            assert!(alternatives.weights.iter().all(|weights| weights.peek().unwrap().all_finite()));
        }
    }
}

#[test]
fn divergence_is_that_of_the_sum() {
    let exact: f64 = (0..400)
        .map(f64::from)
        .map(|k| geometric_log_pmf(k, P).exp() * (geometric_log_pmf(k, P) - geometric_log_pmf(k, 0.6)))
        .sum();
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let divergence =
            build(tape.parameter([theta, theta])).kl_to(&Geometric::from_probabilities(tape.constant([0.6, 0.6])));
        assert_close(&[divergence.item().unwrap()], &[2.0 * exact], 1e-12);
    }
}

#[test]
fn stored_and_bound_it_is_the_same() {
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let distribution = build(tape.parameter(theta));
        check_family(&tape, &distribution, tape.constant(2.0));
        assert_eq!(capabilities(&distribution), [true, false, false, true, true, false, true]);
        assert_close(
            &[distribution.probabilities().item().unwrap(), distribution.logits().item().unwrap()],
            &[P, (P / (1.0 - P)).ln()],
            1e-14,
        );
    }
}

#[test]
fn parameters_outside_their_domain_are_errors() {
    let tape = Tape::<f64>::new();
    for wrong in [0.0, 1.2, f64::NAN] {
        let found = Geometric::from_probabilities(tape.constant([0.5, wrong])).validate();
        assert!(
            matches!(found, Err(DistributionError::Parameter { distribution: "Geometric", position: 1, .. })),
            "{found:?}"
        );
    }
    for wrong in [f64::NEG_INFINITY, f64::NAN] {
        assert!(Geometric::from_logits(tape.constant(wrong)).validate().is_err());
    }
}

/// Values of −ln p − (1 − p) ln(1 − p) / p from mpmath.
#[test]
fn entropies_by_logits_keep_their_digits_at_both_ends() {
    let tape = Tape::<f64>::new();
    for (logit, expected) in [
        (-1e10, 1e10),
        (-1e4, 1e4 + 1.0),
        (-50.0, 51.0),
        (-2.0, 3.064_806_205_165_185),
        (0.5, 1.064_884_540_005_759_2),
        (30.0, 2.900_863_120_340_458_5e-12),
        (f64::INFINITY, 0.0),
    ] {
        let l = tape.parameter(logit);
        let entropy = Geometric::from_logits(l).entropy();
        assert!((entropy.item().unwrap() - expected).abs() <= 1e-14 * expected + 1.5 * f64::from(logit == -1e10));
        let slope = tape.backward(entropy, [l]).unwrap()[0].item().unwrap();
        assert!(slope.is_finite() && slope <= 0.0, "{logit}: {slope}");
    }
    check_score(&[-2.0, 0.5], |v| Geometric::from_logits(v).entropy());
    check_score(&[-41.0, 3.0], |v| Geometric::from_logits(v).entropy());
}

#[test]
fn certain_quantiles_of_rare_successes_are_zero() {
    let tape = Tape::<f64>::new();
    let waiting = Geometric::from_logits(tape.constant(-1e10));
    assert_eq!(waiting.icdf(tape.constant(0.0)).item(), Ok(0.0));
    assert_eq!(waiting.inverse_survival(tape.constant(1.0)).item(), Ok(0.0));
    assert_eq!(waiting.icdf(tape.constant(0.5)).item(), Ok(f64::INFINITY));
    assert!(waiting.icdf(tape.constant(f64::NAN)).item().unwrap().is_nan());
}

/// ln(1 − exp(−(k + 1) e^l)) is ln(k + 1) + l, and the variance e^−l + e^−2l.
#[test]
fn rare_successes_by_logits_have_finite_derivatives() {
    let tape = Tape::<f64>::new();
    let l = tape.parameter(-1e10);
    let waiting = Geometric::from_logits(l);
    let log = waiting.log_prob(tape.constant(f64::INFINITY));
    assert_eq!(log.item(), Ok(f64::NEG_INFINITY));
    assert!(tape.backward(log, [l]).unwrap()[0].item().unwrap().is_finite());
    let log = waiting.log_cdf(tape.constant(3.0));
    assert_eq!(log.item(), Ok(4.0_f64.ln() - 1e10));
    assert_eq!(tape.backward(log, [l]).unwrap()[0].item(), Ok(1.0));
    let variance = waiting.variance().unwrap();
    assert_eq!(variance.item(), Ok(f64::INFINITY));
    assert_eq!(tape.backward(variance, [l]).unwrap()[0].item(), Ok(f64::NEG_INFINITY));
}
