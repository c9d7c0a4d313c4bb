use super::*;
use crate::distribution::{StochasticDerivative, WeakDerivative};
use crate::error::DistributionError;
use crate::noise::{KeyedNoise, NoiseKey};
use crate::testing::{
    COSTS, States, assert_close, capabilities, check_draws, check_family, check_score, check_stochastic_derivative,
    check_uniform, check_weak_derivative, with_gradient,
};
use stochgrad_tape::{PlateKind, Plates, Tape};

type Build = for<'t> fn(Var<'t, f64>) -> Bernoulli<Var<'t, f64>>;

fn both() -> [(Build, f64); 2] {
    [(|v| Bernoulli::from_probabilities(v), 0.3), (|v| Bernoulli::from_logits(v), (0.3_f64 / 0.7).ln())]
}

#[test]
fn log_probabilities_are_those_of_the_formula() {
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let bit = build(tape.parameter(theta));
        let log = |x: f64| bit.log_prob(tape.constant(x)).item().unwrap();
        assert_close(&[log(0.0), log(1.0)], &[0.7_f64.ln(), 0.3_f64.ln()], 1e-14);
        check_score(&[theta, theta], |v| build(v).log_prob(v.tape().constant([1.0, 0.0])));
    }
}

#[test]
fn derivatives_of_the_distribution_are_exact() {
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(theta);
        check_stochastic_derivative(&tape, &build(theta), theta, 2, <[f64]>::to_vec);
        check_weak_derivative(&tape, &build(theta), theta, 2, <[f64]>::to_vec);
    }
}

#[test]
fn known_derivatives_at_three_tenths() {
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(0.3);
    let bit = Bernoulli::from_probabilities(theta);
    let states = States::new(&tape, &bit, 2);
    for (f, known) in COSTS[1..].iter().zip([7.0, 3.0, 0.41421]) {
        assert_close(&states.exact(&bit, theta, *f), &[known], 1e-5);
    }
}

#[test]
fn draws_follow_the_distribution() {
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        check_draws(&tape, &build(tape.parameter(theta)), 2);
    }
}

#[test]
fn entropy_and_divergence_are_those_of_the_formula() {
    let (p, q) = (0.3_f64, 0.25_f64);
    let entropy = -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
    let divergence = p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let bits = build(tape.parameter([theta, theta]));
        assert_close(&[bits.entropy().item().unwrap()], &[2.0 * entropy], 1e-13);
        let other = Bernoulli::from_probabilities(tape.constant([q, q]));
        assert_close(&[bits.kl_to(&other).item().unwrap()], &[2.0 * divergence], 1e-13);
    }
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(0.5);
    let (_, slope) = with_gradient(
        Bernoulli::from_probabilities(theta).kl_to(&Bernoulli::from_probabilities(tape.constant(0.25))),
        theta,
    );
    assert_close(&slope, &[1.098_612_288_668_11], 1e-13);
}

#[test]
fn certain_bits_give_no_nan() {
    let infinity = f64::INFINITY;
    let cases: [(Build, [f64; 4]); 2] =
        [(both()[0].0, [0.0, 0.5, 1.0, 1.0]), (both()[1].0, [-infinity, 50.0, -50.0, infinity])];
    for (build, theta) in cases {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(theta);
        let bits = build(theta);
        let draw_noise = KeyedNoise::new(3, 0);
        let draw = Draw::new(&tape, &draw_noise, NoiseKey::new("x", None), Plates::new());
        let sample = bits.draw(&draw).unwrap();
        let p = bits.probabilities().peek().unwrap();
        assert!(
            sample.as_slice().iter().zip(p.as_slice()).all(|(x, &p)| (p > 0.0 || *x == 0.0) && (p < 1.0 || *x == 1.0))
        );
        let value = tape.constant(sample.clone());
        let conditional = bits.conditional_perturbed(value, &draw).unwrap();
        let perturbed = bits.perturbed(&draw).unwrap();
        let temperature = tape.constant(0.5);
        let other = Bernoulli::from_logits(tape.constant([0.1, 0.2, 0.3, 0.4]));
        let scalars = [
            bits.log_prob(value),
            bits.entropy(),
            bits.kl_to(&bits),
            bits.kl_to(&other),
            bits.soften(conditional, temperature).sum(),
            bits.soften(perturbed, temperature).sum(),
            bits.mean().unwrap().sum() + bits.variance().unwrap().sum(),
        ];
        for scalar in scalars {
            let (value, gradient) = with_gradient(scalar, theta);
            assert!(value.is_finite() && gradient.iter().all(|g| !g.is_nan()), "{value} {gradient:?}");
        }
        for side in crate::testing::SIDES {
            let alternatives =
                bits.stochastic_derivative(0, side, draw.record(&tape, sample.clone()), &draw).unwrap().unwrap();
            assert!(alternatives.weights[0].peek().unwrap().all_finite());
        }
        assert!(
            bits.weak_derivative(0, draw.record(&tape, sample.clone()), &draw).unwrap().unwrap().weights[0]
                .peek()
                .unwrap()
                .all_finite()
        );
        assert!(bits.validate().is_ok());
    }
}

#[test]
fn impossible_bits_are_impossible() {
    let tape = Tape::<f64>::new();
    let certain = Bernoulli::from_probabilities(tape.constant([0.0, 1.0]));
    assert_eq!(certain.log_prob_each(tape.constant([1.0, 0.0])).peek().unwrap().to_vec(), [f64::NEG_INFINITY; 2]);
    let far = Bernoulli::from_logits(tape.constant([-50.0, 50.0]));
    assert_close(far.log_prob_each(tape.constant([1.0, 0.0])).peek().unwrap().as_slice(), &[-50.0, -50.0], 1e-12);
    let logits = tape.parameter([f64::NEG_INFINITY, f64::INFINITY]);
    let certain = Bernoulli::from_logits(logits);
    assert_eq!(certain.log_prob_each(tape.constant([0.0, 1.0])).peek().unwrap().to_vec(), [0.0; 2]);
    let impossible = certain.log_prob_each(tape.constant([1.0, 0.0]));
    assert_eq!(impossible.peek().unwrap().to_vec(), [f64::NEG_INFINITY; 2]);
    // The score of what cannot be is x − p, and so is that of what must.
    assert_eq!(with_gradient(impossible.sum(), logits), (f64::NEG_INFINITY, vec![1.0, -1.0]));
    assert_eq!(with_gradient(certain.log_prob(tape.constant([0.0, 1.0])), logits), (0.0, vec![0.0; 2]));
    // Beside a bit that is free.
    let logits = tape.parameter([f64::INFINITY, 0.0]);
    let mixed = Bernoulli::from_logits(logits);
    let (value, slope) = with_gradient(mixed.log_prob(tape.constant([1.0, 1.0])), logits);
    assert_close(&[value, slope[0], slope[1]], &[0.5_f64.ln(), 0.0, 0.5], 1e-15);
    assert_eq!(mixed.log_prob(tape.constant([0.0, 1.0])).item(), Ok(f64::NEG_INFINITY));
}

#[test]
fn the_log_probability_by_logits_is_linear_in_the_value() {
    let tape = Tape::<f64>::new();
    let bits = tape.parameter([0.3, 0.9]);
    let distribution = Bernoulli::from_logits(tape.constant([1.7, -0.4]));
    let (value, slope) = with_gradient(distribution.log_prob(bits), bits);
    let between = |x: f64, logit: f64| x * logit - (1.0 + logit.exp()).ln();
    assert_close(&[value], &[between(0.3, 1.7) + between(0.9, -0.4)], 1e-15);
    assert_close(&slope, &[1.7, -0.4], 1e-15);
}

#[test]
fn relaxations_agree_with_the_bit() {
    const DRAWS: usize = 100_000;
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let plates = Plates::from_slice(&[tape.plate("draws", DRAWS, PlateKind::Samples, &[])]);
        let noise = KeyedNoise::new(5, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), plates);
        let bit = build(tape.parameter(theta));
        let hard = bit.draw(&draw).unwrap();
        let z = bit.perturbed(&draw).unwrap();
        assert_eq!(bit.harden(z).peek().unwrap(), hard);

        let conditional =
            bit.conditional_perturbed(draw.record(&tape, hard.clone()), &draw.purpose("conditional")).unwrap();
        assert_eq!(bit.harden(conditional).peek().unwrap(), hard);

        let logit = (0.3_f64 / 0.7).ln();
        for z in [z, conditional] {
            check_uniform(z.peek().unwrap().as_slice().iter().map(|z| stochgrad_tensor::special::sigmoid(z - logit)));
        }
        let softened = bit.soften(z, tape.constant(0.01)).peek().unwrap();
        let near =
            softened.as_slice().iter().zip(hard.as_slice()).filter(|(soft, hard)| (*soft - *hard).abs() < 0.01).count();
        assert!(near > DRAWS * 9 / 10);
    }
}

#[test]
fn the_conditional_relaxation_in_single_precision_keeps_the_bit() {
    let tape = Tape::<f32>::new();
    let plates = Plates::from_slice(&[tape.plate("draws", 20_000, PlateKind::Samples, &[])]);
    let noise = KeyedNoise::new(11, 0);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), plates.clone());
    let bits = Bernoulli::from_logits(tape.parameter([-15.0, -3.0, 0.0, 3.0, 15.0]));
    for bit in [0.0, 1.0] {
        let hard = tape.constant_on(&plates, Tensor::full([20_000, 5], bit));
        let z = bits.conditional_perturbed(hard, &draw).unwrap();
        assert!(bits.harden(z).peek().unwrap().as_slice().iter().all(|&found| found == bit));
    }
}

#[test]
fn stored_and_bound_it_is_the_same() {
    for (build, theta) in both() {
        let tape = Tape::<f64>::new();
        let bit = build(tape.parameter(theta));
        check_family(&tape, &bit, tape.constant(1.0));
        assert_eq!(capabilities(&bit), [true, false, true, true, true, true, true]);
        assert_eq!(bit.element_support().unwrap().to_vec(), [0.0, 1.0]);
        let one = bit.to_one_hot(tape.constant(1.0));
        assert_eq!(one.peek().unwrap().to_vec(), [0.0, 1.0]);
        assert_eq!(bit.value_from_one_hot(one).item(), Ok(1.0));
        assert_eq!((one * bit.category_log_probs()).sum().item(), bit.log_prob(tape.constant(1.0)).item());
    }
}

#[test]
fn parameters_outside_their_domain_are_errors() {
    let tape = Tape::<f64>::new();
    let wrong = [
        Bernoulli::from_probabilities(tape.constant([0.5, 1.2])),
        Bernoulli::from_logits(tape.constant([0.5, f64::NAN])),
    ];
    for bits in wrong {
        assert!(matches!(
            bits.validate(),
            Err(DistributionError::Parameter { distribution: "Bernoulli", position: 1, .. })
        ));
    }
    let message = wrong[0].validate().unwrap_err().to_string();
    assert!(message.contains("in [0, 1]") && message.contains("1.2"), "{message}");
    assert!(Bernoulli::from_probabilities(tape.constant(f64::NAN)).validate().is_err());
}
