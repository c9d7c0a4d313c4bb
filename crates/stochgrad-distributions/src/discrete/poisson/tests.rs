use super::*;
use crate::error::DistributionError;
use crate::noise::{KeyedNoise, NoiseKey};
use crate::testing::{
    COSTS, States, assert_close, capabilities, check_draws, check_family, check_score, check_stochastic_derivative,
    check_weak_derivative, with_gradient,
};
use stochgrad_tape::{PlateKind, Plates, Tape};
use stochgrad_tensor::special::poisson_log_pmf;

type Build = for<'t> fn(Var<'t, f64>) -> Poisson<Var<'t, f64>>;

fn both(rate: f64) -> [(Build, f64); 2] {
    [(|v| Poisson::from_rate(v), rate), (|v| Poisson::from_log_rate(v), rate.ln())]
}

#[test]
fn log_probabilities_are_those_of_the_formula() {
    for (build, theta) in both(2.5) {
        let tape = Tape::<f64>::new();
        let distribution = build(tape.parameter(theta));
        for k in 0..30 {
            let k = f64::from(k);
            assert_close(&[distribution.log_prob(tape.constant(k)).item().unwrap()], &[poisson_log_pmf(k, 2.5)], 1e-13);
        }
        check_score(&[theta, theta], |v| build(v).log_prob(v.tape().constant([0.0, 4.0])));
    }
}

#[test]
fn derivatives_of_the_distribution_are_exact() {
    for rate in [0.3, 2.5] {
        for (build, theta) in both(rate) {
            let tape = Tape::<f64>::new();
            let theta = tape.parameter(theta);
            check_stochastic_derivative(&tape, &build(theta), theta, 60, <[f64]>::to_vec);
            check_weak_derivative(&tape, &build(theta), theta, 60, <[f64]>::to_vec);
        }
    }
}

#[test]
fn known_derivatives_at_three_tenths() {
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(0.3);
    let distribution = Poisson::from_rate(theta);
    let states = States::new(&tape, &distribution, 60);
    for (f, known) in COSTS[1..].iter().zip([7.0, 3.6, 0.38727]) {
        assert_close(&states.exact(&distribution, theta, *f), &[known], 1e-5);
    }
}

#[test]
fn draws_follow_the_distribution() {
    for (build, theta) in both(2.5) {
        let tape = Tape::<f64>::new();
        check_draws(&tape, &build(tape.parameter(theta)), 40);
    }
}

#[test]
fn large_rates_are_drawn_near_their_mean() {
    let tape = Tape::<f64>::new();
    let distribution = Poisson::from_rate(tape.constant([1e4, 1e-3]));
    let noise = KeyedNoise::new(9, 0);
    let plates = Plates::from_slice(&[tape.plate("draws", 2000, PlateKind::Samples, &[])]);
    let sample = distribution.draw(&Draw::new(&tape, &noise, NoiseKey::new("x", None), plates)).unwrap();
    let mean = |k: usize| sample.as_slice().iter().skip(k).step_by(2).sum::<f64>() / 2000.0;
    assert!((mean(0) - 1e4).abs() < 4.0 * 100.0 / 2000.0_f64.sqrt() && mean(1) < 0.01);
}

#[test]
fn a_rate_of_zero_gives_no_nan() {
    for (build, theta) in both(0.0) {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(theta);
        let distribution = build(theta);
        assert!(distribution.validate().is_ok());
        assert_eq!(distribution.log_prob(tape.constant(1.0)).item().unwrap(), f64::NEG_INFINITY);
        let other = Poisson::from_rate(tape.constant(0.7));
        for (scalar, known) in [
            (distribution.log_prob(tape.constant(0.0)), 0.0),
            (distribution.kl_to(&distribution), 0.0),
            (distribution.kl_to(&other), 0.7),
        ] {
            let (value, gradient) = with_gradient(scalar, theta);
            assert_close(&[value], &[known], 1e-14);
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
fn divergence_is_that_of_the_formula() {
    let exact = 2.5 * (2.5_f64 / 1.5).ln() - 2.5 + 1.5;
    for (build, theta) in both(2.5) {
        let tape = Tape::<f64>::new();
        for (other, log) in both(1.5) {
            let divergence = build(tape.parameter([theta, theta])).kl_to(&other(tape.constant([log, log])));
            assert_close(&[divergence.item().unwrap()], &[2.0 * exact], 1e-13);
        }
    }
}

#[test]
fn stored_and_bound_it_is_the_same() {
    for (build, theta) in both(2.5) {
        let tape = Tape::<f64>::new();
        let distribution = build(tape.parameter(theta));
        check_family(&tape, &distribution, tape.constant(2.0));
        assert_eq!(capabilities(&distribution), [true, false, false, true, true, false, true]);
        assert_close(&[distribution.log_rate().item().unwrap()], &[2.5_f64.ln()], 1e-14);
    }
}

#[test]
fn parameters_outside_their_domain_are_errors() {
    let tape = Tape::<f64>::new();
    for wrong in [-0.1, f64::NAN, f64::INFINITY] {
        let found = Poisson::from_rate(tape.constant([1.0, wrong])).validate();
        assert!(
            matches!(found, Err(DistributionError::Parameter { distribution: "Poisson", position: 1, .. })),
            "{found:?}"
        );
    }
    assert!(Poisson::from_log_rate(tape.constant(800.0)).validate().is_err());
    assert!(Poisson::from_log_rate(tape.constant(f64::NAN)).validate().is_err());
    let single = Tape::<f32>::new();
    assert!(Poisson::from_log_rate(single.constant(100.0)).validate().is_err());
    assert!(Poisson::from_log_rate(single.constant(80.0)).validate().is_ok());
}

/// The entropies, and their derivatives, from mpmath at 40 digits.
#[test]
fn entropies_are_those_of_the_sum() {
    const KNOWN: [(f64, f64, f64); 6] = [
        (1e-09, 2.1723265837292985e-08, 20.72326583763956),
        (0.3, 0.6911439590927789, 1.3996981371505326),
        (7.5, 2.414335980371921, 0.06844723509793967),
        (63.9, 3.4962836791154106, 0.007845464246728114),
        (64.5, 3.5009689365050587, 0.007772288964751258),
        (1000.0, 4.8727327976428505, 0.0005000834168254517),
    ];
    for (rate, entropy, slope) in KNOWN {
        for by_log in [false, true] {
            let tape = Tape::<f64>::new();
            let theta = tape.parameter(if by_log { rate.ln() } else { rate });
            let counts = if by_log { Poisson::from_log_rate(theta) } else { Poisson::from_rate(theta) };
            let found = counts.entropy();
            let error = (found.item().unwrap() / entropy - 1.0).abs();
            assert!(error < 2e-13, "{rate}: {found:?}, expected {entropy}");
            let [found] = tape.backward(found, [theta]).unwrap();
            let expected = if by_log { slope * rate } else { slope };
            assert!((found.item().unwrap() / expected - 1.0).abs() < 1e-11, "{rate}: {found:?}, expected {expected}");
        }
    }
    let tape = Tape::<f32>::new();
    let rate = tape.parameter([0.0, 1e-30, 1.0, 64.0, 1e30]);
    let entropy = Poisson::from_rate(rate).entropy();
    assert!(entropy.item().unwrap().is_finite());
    assert!(tape.backward(entropy, [rate]).unwrap()[0].all_finite());
    let tape = Tape::<f64>::new();
    // The rate is increased by 1e-300 for the derivative.
    assert!(Poisson::from_rate(tape.constant(0.0)).entropy().item().unwrap() < 1e-290);
    assert_eq!(Poisson::from_log_rate(tape.constant(f64::NEG_INFINITY)).entropy().item(), Ok(0.0));
}
