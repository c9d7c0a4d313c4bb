use super::*;
use crate::error::DistributionError;
use crate::noise::{KeyedNoise, NoiseKey};
use crate::testing::{
    Evaluated, assert_close, capabilities, check_draws, check_family, check_score, check_stochastic_derivative,
    check_uniform, check_weak_derivative, tangent, with_gradient,
};
use stochgrad_tape::{PlateKind, Plates, Tape};

const P: [f64; 4] = [0.1, 0.4, 0.2, 0.3];
const THIRD: [f64; 4] = [0.0, 0.0, 1.0, 0.0];

fn logits() -> [f64; 4] {
    P.map(|p| p.ln() + 0.7)
}

#[test]
fn log_probabilities_are_those_of_the_formula() {
    let tape = Tape::<f64>::new();
    for distribution in [
        OneHotCategorical::from_probabilities(tape.constant(P)),
        OneHotCategorical::from_logits(tape.constant(logits())),
    ] {
        assert_close(&[distribution.log_prob(tape.constant(THIRD)).item().unwrap()], &[0.2_f64.ln()], 1e-13);
    }
    check_score(&P, |v| OneHotCategorical::from_probabilities(v).log_prob(v.tape().constant(THIRD)));
    check_score(&logits(), |v| OneHotCategorical::from_logits(v).log_prob(v.tape().constant(THIRD)));
}

#[test]
fn derivatives_of_the_distribution_are_exact() {
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(P);
    check_stochastic_derivative(&tape, &OneHotCategorical::from_probabilities(theta), theta, 4, tangent);
    check_weak_derivative(&tape, &OneHotCategorical::from_probabilities(theta), theta, 4, tangent);
    let theta = tape.parameter(logits());
    check_stochastic_derivative(&tape, &OneHotCategorical::from_logits(theta), theta, 4, <[f64]>::to_vec);
    check_weak_derivative(&tape, &OneHotCategorical::from_logits(theta), theta, 4, <[f64]>::to_vec);
}

#[test]
fn draws_follow_the_distribution() {
    let tape = Tape::<f64>::new();
    check_draws(&tape, &OneHotCategorical::from_probabilities(tape.constant(P)), 4);
    check_draws(&tape, &OneHotCategorical::from_logits(tape.constant(logits())), 4);
}

#[test]
fn relaxations_agree_with_the_vector() {
    const DRAWS: usize = 100_000;
    let tape = Tape::<f64>::new();
    let plates = Plates::from_slice(&[tape.plate("draws", DRAWS, PlateKind::Samples, &[])]);
    let noise = KeyedNoise::new(5, 0);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), plates);
    for distribution in [
        OneHotCategorical::from_probabilities(tape.constant(P)),
        OneHotCategorical::from_logits(tape.constant(logits())),
    ] {
        let hard = distribution.draw(&draw).unwrap();
        let z = distribution.perturbed(&draw.purpose("relaxation")).unwrap();
        let hardened = distribution.harden(z).peek().unwrap();
        for (k, p) in P.iter().enumerate() {
            let share = hardened.as_slice().iter().skip(k).step_by(4).sum::<f64>() / DRAWS as f64;
            assert!((share - p).abs() < 4.0 * (p * (1.0 - p) / DRAWS as f64).sqrt(), "{share} where {p} is exact");
        }

        let conditional =
            distribution.conditional_perturbed(draw.record(&tape, hard.clone()), &draw.purpose("conditional")).unwrap();
        assert_eq!(distribution.harden(conditional).peek().unwrap(), hard);

        let gumbel_cdf = |z: f64| (-(-z).exp()).exp();
        for z in [z, conditional] {
            let z = z.peek().unwrap();
            for (k, p) in P.iter().enumerate() {
                check_uniform(z.as_slice().iter().skip(k).step_by(4).map(|z| gumbel_cdf(z - p.ln())));
            }
            // The joint distribution too: the largest is a standard Gumbel number.
            check_uniform(z.as_slice().chunks(4).map(|row| gumbel_cdf(row.iter().copied().fold(f64::MIN, f64::max))));
        }
        let soft = distribution.soften(z, tape.constant(0.5)).peek().unwrap();
        assert!(soft.as_slice().chunks(4).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-12));
    }
}

#[test]
fn the_conditional_relaxation_has_the_derivative_of_its_formula() {
    let noise = KeyedNoise::new(8, 0);
    let conditional = |v: Var<'_, f64>| -> Vec<f64> {
        let tape = v.tape();
        let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::new());
        OneHotCategorical::from_logits(v)
            .conditional_perturbed(tape.constant(THIRD), &draw)
            .unwrap()
            .peek()
            .unwrap()
            .to_vec()
    };
    let tape = Tape::<f64>::new();
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
    let e = draw.exponential(&[4].into()).unwrap().to_vec();
    let expected: Vec<f64> = (0..4).map(|k| if k == 2 { -e[2].ln() } else { -(e[2] + e[k] / P[k]).ln() }).collect();
    assert_close(&conditional(tape.constant(logits())), &expected, 1e-12);
    check_score(&logits(), |v| {
        let tape = v.tape();
        let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::new());
        let z = OneHotCategorical::from_logits(v).conditional_perturbed(tape.constant(THIRD), &draw).unwrap();
        (z * tape.constant([1.0, -2.0, 3.0, 0.5])).sum()
    });
}

#[test]
fn impossible_categories_give_no_nan() {
    let tape = Tape::<f64>::new();
    for (theta, by_logit) in [
        ([0.0, 1.0, 0.0], false),
        ([f64::NEG_INFINITY, 50.0, -50.0], true),
        ([f64::NEG_INFINITY, 0.0, f64::NEG_INFINITY], true),
    ] {
        let theta = tape.parameter(theta);
        let distribution =
            if by_logit { OneHotCategorical::from_logits(theta) } else { OneHotCategorical::from_probabilities(theta) };
        let hard = tape.constant([0.0, 1.0, 0.0]);
        let noise = KeyedNoise::new(3, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
        assert_eq!(distribution.draw(&draw).unwrap().to_vec(), [0.0, 1.0, 0.0]);
        assert_eq!(distribution.log_prob(tape.constant([1.0, 0.0, 0.0])).item().unwrap(), f64::NEG_INFINITY);
        let weights = tape.constant([1.0, 2.0, 4.0]);
        let temperature = tape.constant(0.5);
        let scalars = [
            distribution.log_prob(hard),
            distribution.entropy(),
            distribution.kl_to(&distribution),
            (distribution.soften(distribution.perturbed(&draw).unwrap(), temperature) * weights).sum(),
            (distribution.soften(distribution.conditional_perturbed(hard, &draw).unwrap(), temperature) * weights)
                .sum(),
        ];
        for scalar in scalars {
            let (value, gradient) = with_gradient(scalar, theta);
            assert!(value.is_finite() && gradient.iter().all(|g| !g.is_nan()), "{value} {gradient:?}");
        }
    }
}

#[test]
fn entropy_and_divergence_are_those_of_the_formula() {
    let tape = Tape::<f64>::new();
    let entropy = -P.iter().map(|p| p * p.ln()).sum::<f64>();
    for distribution in [
        OneHotCategorical::from_probabilities(tape.constant(P)),
        OneHotCategorical::from_logits(tape.constant(logits())),
    ] {
        assert_close(&[distribution.entropy().item().unwrap()], &[entropy], 1e-13);
        let uniform = OneHotCategorical::from_logits(tape.constant([0.0; 4]));
        assert_close(&[distribution.kl_to(&uniform).item().unwrap()], &[4.0_f64.ln() - entropy], 1e-13);
        assert_close(distribution.mean().unwrap().peek().unwrap().as_slice(), &P, 1e-13);
        assert_close(distribution.variance().unwrap().peek().unwrap().as_slice(), &P.map(|p| p * (1.0 - p)), 1e-13);
    }
}

#[test]
fn stored_and_bound_it_is_the_same() {
    let tape = Tape::<f64>::new();
    for distribution in [
        OneHotCategorical::from_probabilities(tape.parameter(P)),
        OneHotCategorical::from_logits(tape.parameter(logits())),
    ] {
        check_family(&tape, &distribution, tape.constant(THIRD));
        assert_eq!(capabilities(&distribution), [true, false, true, true, true, true, true]);
        assert_eq!(distribution.element_support().unwrap(), Tensor::eye(4));
        assert_close(distribution.category_log_probs().peek().unwrap().as_slice(), &P.map(f64::ln), 1e-13);
        let third = tape.constant(THIRD);
        assert_eq!(distribution.to_one_hot(distribution.value_from_one_hot(third)).peek(), third.peek());
    }
}

#[test]
fn independent_axes_are_kept_apart() {
    let tape = Tape::<f64>::new();
    let distribution = OneHotCategorical::from_logits(tape.constant(Tensor::from_fn([2, 3], |i| i as f64)));
    let noise = KeyedNoise::new(2, 0);
    let plate = tape.plate("draws", 7, PlateKind::Samples, &[]);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    let sample = distribution.draw(&draw).unwrap();
    assert_eq!(*sample.shape(), [7, 2, 3].into());
    assert_eq!(distribution.log_prob_each(draw.record(&tape, sample.clone())).shape(), [2].into());
    let weak = distribution.weak_derivative(0, draw.record(&tape, sample.clone()), &draw).unwrap().unwrap();
    let weak = Evaluated::new(&distribution, &draw, &weak);
    assert_eq!(
        (weak.values.len(), weak.values[0].shape(), weak.weights[0].shape()),
        (3, sample.shape(), sample.shape())
    );
}

#[test]
fn parameters_outside_their_domain_are_errors() {
    let tape = Tape::<f64>::new();
    for wrong in [[0.5, 1.2], [0.5, 0.4], [0.5, f64::NAN]] {
        let found = OneHotCategorical::from_probabilities(tape.constant(wrong)).validate();
        assert!(
            matches!(found, Err(DistributionError::Parameter { distribution: "OneHotCategorical", .. })),
            "{found:?}"
        );
    }
    assert!(OneHotCategorical::from_logits(tape.constant([0.0, f64::NAN])).validate().is_err());
}
