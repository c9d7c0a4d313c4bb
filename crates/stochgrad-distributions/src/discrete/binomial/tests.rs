use super::*;
use crate::error::DistributionError;
use crate::noise::{KeyedNoise, NoiseKey};
use crate::testing::{
    COSTS, States, assert_close, capabilities, check_draws, check_family, check_score, check_stochastic_derivative,
    check_weak_derivative, with_gradient,
};
use approx::assert_abs_diff_eq;
use stochgrad_tape::{PlateKind, Plates, Tape};
use stochgrad_tensor::special::binomial_log_pmf;

type Build = for<'t> fn(f64, Var<'t, f64>) -> Binomial<Var<'t, f64>>;

const P: f64 = 0.3;

fn both() -> [(Build, f64); 2] {
    [(|n, v| Binomial::from_probabilities(n, v), P), (|n, v| Binomial::from_logits(n, v), (P / (1.0 - P)).ln())]
}

#[test]
fn impossible_counts_have_all_their_derivatives() {
    let tape = Tape::<f64>::new();
    let p = tape.parameter(0.0);
    let distribution = Binomial::from_probabilities(3.0, p);
    for (count, expected) in [(2.0, [0.0, 6.0]), (1.0, [3.0, -12.0])] {
        let chance = distribution.probability_each(tape.constant(count));
        let [first] = tape.grad(chance, [p]).expect("a derivative");
        let [second] = tape.backward(first, [p]).expect("a second derivative");
        assert_abs_diff_eq!(first.item().expect("a number"), expected[0], epsilon = 1e-12);
        assert_abs_diff_eq!(second.item().expect("a number"), expected[1], epsilon = 1e-12);
    }
}

#[test]
fn log_probabilities_are_those_of_the_formula() {
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let distribution = build(12.0, tape.parameter(theta));
        for k in 0..=12 {
            let k = f64::from(k);
            assert_close(
                &[distribution.log_prob(tape.constant(k)).item().unwrap()],
                &[binomial_log_pmf(k, 12.0, P)],
                1e-12,
            );
        }
        assert_eq!(distribution.log_prob(tape.constant(13.0)).item().unwrap(), f64::NEG_INFINITY);
        check_score(&[theta; 3], |v| build(5.0, v).log_prob(v.tape().constant([0.0, 4.0, 5.0])));
    }
}

#[test]
fn derivatives_of_the_distribution_are_exact() {
    for n in [1, 3, 7] {
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            let theta = tape.parameter(theta);
            check_binomial(&tape, &build(n as f64, theta), theta, n);
        }
    }
}

fn check_binomial<'t>(tape: &'t Tape<f64>, distribution: &Binomial<Var<'t, f64>>, theta: Var<'t, f64>, n: usize) {
    check_stochastic_derivative(tape, distribution, theta, n + 1, <[f64]>::to_vec);
    check_weak_derivative(tape, distribution, theta, n + 1, <[f64]>::to_vec);
    let states = States::new(tape, distribution, n + 1);
    let noise = KeyedNoise::new(1, 0);
    let weak = distribution.weak_derivative(0, states.recorded(), &states.draw(&noise)).unwrap().unwrap();
    assert!(
        weak.values.iter().all(|values| values
            .peek()
            .unwrap()
            .as_slice()
            .iter()
            .all(|&x| (0.0..=n as f64).contains(&x)))
    );
}

#[test]
fn known_derivatives_at_three_tenths() {
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(P);
    let distribution = Binomial::from_probabilities(3.0, theta);
    let states = States::new(&tape, &distribution, 4);
    for (f, known) in COSTS[1..].iter().zip([21.0, 12.6, 1.08172]) {
        assert_close(&states.exact(&distribution, theta, *f), &[known], 1e-5);
    }
}

#[test]
fn draws_follow_the_distribution() {
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        check_draws(&tape, &build(9.0, tape.parameter(theta)), 10);
    }
}

#[test]
fn trials_may_be_a_sample() {
    let tape = Tape::<f64>::new();
    let plates = Plates::from_slice(&[tape.plate("draws", 50_000, PlateKind::Samples, &[])]);
    let noise = KeyedNoise::new(4, 0);
    let draw = |name: &str| Draw::new(&tape, &noise, NoiseKey::new(name, None), plates.clone());
    let p = tape.parameter(0.4);
    let outer = Binomial::from_probabilities(10.0, p);
    let trials = draw("n1").record(&tape, outer.draw(&draw("n1")).unwrap());
    let inner = Binomial::from_probabilities(trials, p);
    assert!(inner.validate().is_ok());
    let sample = inner.draw(&draw("n2")).unwrap();
    assert!(sample.as_slice().iter().zip(trials.peek().unwrap().as_slice()).all(|(x, n)| x <= n));
    let average = sample.as_slice().iter().sum::<f64>() / 50_000.0;
    // The inner number is binomial with 10 trials and p².
    assert!((average - 1.6).abs() < 4.0 * (1.6_f64 * 0.84 / 50_000.0).sqrt(), "{average}");
    assert!(inner.log_prob(draw("n2").record(&tape, sample)).peek().unwrap().all_finite());
    let message = inner.element_support().unwrap_err().to_string();
    assert!(message.contains("different numbers of trials"), "{message}");
}

#[test]
fn certain_trials_give_no_nan() {
    let infinity = f64::INFINITY;
    let cases: [(Build, [f64; 3]); 2] = [(both()[0].0, [0.0, 0.5, 1.0]), (both()[1].0, [-infinity, 50.0, infinity])];
    for (build, theta) in cases {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(theta);
        let distribution = build(4.0, theta);
        assert!(distribution.validate().is_ok());
        let noise = KeyedNoise::new(9, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
        let sample = distribution.draw(&draw).unwrap();
        assert_eq!((sample.as_slice()[0], sample.as_slice()[2]), (0.0, 4.0));
        let other = Binomial::from_logits(4.0, tape.constant([0.1, 0.2, 0.3]));
        for scalar in [
            distribution.log_prob(tape.constant(sample.clone())),
            distribution.kl_to(&distribution),
            distribution.kl_to(&other),
        ] {
            let (value, gradient) = with_gradient(scalar, theta);
            assert!(value.is_finite() && gradient.iter().all(|g| !g.is_nan()), "{value} {gradient:?}");
        }
        let impossible = distribution.log_prob_each(tape.constant([1.0, 2.0, 3.0])).peek().unwrap();
        assert_eq!((impossible.as_slice()[0], impossible.as_slice()[2]), (f64::NEG_INFINITY, f64::NEG_INFINITY));
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
fn no_trials_have_no_successes() {
    let tape = Tape::<f64>::new();
    let p = tape.parameter(0.3);
    let distribution = Binomial::from_probabilities(0.0, p);
    assert_eq!(distribution.element_support().unwrap().to_vec(), [0.0]);
    let (value, gradient) = with_gradient(distribution.log_prob(tape.constant(0.0)), p);
    assert_close(&[value, gradient[0]], &[0.0, 0.0], 1e-14);
}

#[test]
fn divergence_is_that_of_the_sum() {
    let exact: f64 = (0..=6)
        .map(f64::from)
        .map(|k| binomial_log_pmf(k, 6.0, P).exp() * (binomial_log_pmf(k, 6.0, P) - binomial_log_pmf(k, 6.0, 0.6)))
        .sum();
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let distribution = build(6.0, tape.parameter([theta, theta]));
        let divergence = distribution.kl_to(&Binomial::from_probabilities(6.0, tape.constant([0.6, 0.6])));
        assert_close(&[divergence.item().unwrap()], &[2.0 * exact], 1e-12);
        let message =
            distribution.kl_to(&Binomial::from_probabilities(5.0, tape.constant(0.6))).item().unwrap_err().to_string();
        assert!(message.contains("equal numbers of trials"), "{message}");
    }
}

#[test]
fn entropy_is_that_of_the_sum() {
    let entropy = |p: f64| {
        (0..=6)
            .map(|k| binomial_log_pmf(f64::from(k), 6.0, p))
            .filter(|log| log.is_finite())
            .map(|log| -log.exp() * log)
            .sum::<f64>()
    };
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter([theta, theta]);
        assert_close(&[build(6.0, theta).entropy().item().unwrap()], &[2.0 * entropy(P)], 1e-12);
        check_score(theta.peek().unwrap().as_slice(), |v| build(6.0, v).entropy());
    }
    // Certain counts have none, and by the log-odds it stays so.
    let tape = Tape::<f64>::new();
    let p = tape.parameter([0.0, 1.0]);
    let (value, slope) = with_gradient(Binomial::from_probabilities(6.0, p).entropy(), p);
    assert_eq!((value, slope), (0.0, vec![f64::INFINITY, f64::NEG_INFINITY]));
    let logits = tape.parameter([f64::NEG_INFINITY, f64::INFINITY, 50.0]);
    let (value, slope) = with_gradient(Binomial::from_logits(6.0, logits).entropy(), logits);
    assert!(value > 0.0 && value < 1e-18 && slope[..2] == [0.0, 0.0] && slope[2] < 0.0, "{value} {slope:?}");
}

#[test]
fn stored_and_bound_it_is_the_same() {
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let distribution = build(5.0, tape.parameter([theta, theta]));
        check_family(&tape, &distribution, tape.constant([2.0, 5.0]));
        assert_eq!(capabilities(&distribution), [true, false, true, true, true, false, true]);
        assert_eq!(distribution.element_support().unwrap().to_vec(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(distribution.event_shape(), [2].into());
    }
}

#[test]
fn parameters_outside_their_domain_are_errors() {
    let tape = Tape::<f64>::new();
    for wrong in [1.2, f64::NAN] {
        let found = Binomial::from_probabilities(3.0, tape.constant([0.5, wrong])).validate();
        assert!(
            matches!(
                found,
                Err(DistributionError::Parameter {
                    distribution: "Binomial",
                    parameter: "probabilities",
                    position: 1,
                    ..
                })
            ),
            "{found:?}"
        );
    }
    for wrong in [-1.0, 2.5, f64::NAN, f64::INFINITY] {
        let distribution = Binomial::from_logits(wrong, tape.constant(0.5));
        assert!(matches!(distribution.validate(), Err(DistributionError::Parameter { parameter: "trials", .. })));
    }
    assert!(Binomial::from_logits(f64::NAN, tape.constant(0.5)).element_support().is_err());
}
