use super::*;
use crate::error::DistributionError;
use crate::noise::{KeyedNoise, NoiseKey};
use crate::testing::{
    COSTS, Evaluated, SIDES, States, assert_close, capabilities, check_draws, check_family, check_score,
    check_stochastic_derivative, check_weak_derivative, tangent, with_gradient,
};
use stochgrad_tape::{PlateKind, Plates, Tape};

const P: [f64; 4] = [0.1, 0.4, 0.2, 0.3];

fn logits() -> [f64; 4] {
    P.map(|p| p.ln() + 0.7)
}

#[test]
fn log_probabilities_are_those_of_the_formula() {
    let tape = Tape::<f64>::new();
    for distribution in
        [Categorical::from_probabilities(tape.constant(P)), Categorical::from_logits(tape.constant(logits()))]
    {
        let logs: Vec<f64> = (0..4).map(|k| distribution.log_prob(tape.constant(k as f64)).item().unwrap()).collect();
        assert_close(&logs, &P.map(f64::ln), 1e-13);
        assert_close(distribution.log_probabilities().peek().unwrap().as_slice(), &P.map(f64::ln), 1e-13);
    }
    check_score(&P, |v| Categorical::from_probabilities(v).log_prob(v.tape().constant(2.0)));
    check_score(&logits(), |v| Categorical::from_logits(v).log_prob(v.tape().constant(2.0)));
}

#[test]
fn derivatives_of_the_distribution_are_exact() {
    let tape = Tape::<f64>::new();
    let theta = tape.parameter(P);
    check_stochastic_derivative(&tape, &Categorical::from_probabilities(theta), theta, 4, tangent);
    check_weak_derivative(&tape, &Categorical::from_probabilities(theta), theta, 4, tangent);
    let theta = tape.parameter(logits());
    check_stochastic_derivative(&tape, &Categorical::from_logits(theta), theta, 4, <[f64]>::to_vec);
    check_weak_derivative(&tape, &Categorical::from_logits(theta), theta, 4, <[f64]>::to_vec);
}

#[test]
fn derivatives_pass_over_impossible_categories() {
    for p in
        [[0.0, 0.6, 0.0, 0.0, 0.4], [0.5, 0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0], [0.2, 0.3, 0.0, 0.0, 0.5]]
    {
        let tape = Tape::<f64>::new();
        let noise = KeyedNoise::new(1, 0);
        let (by_probability, by_logit) = (tape.parameter(p), tape.parameter(p.map(f64::ln)));
        for (distribution, theta) in [
            (Categorical::from_probabilities(by_probability), by_probability),
            (Categorical::from_logits(by_logit), by_logit),
        ] {
            let states = States::new(&tape, &distribution, 5);
            // The exact derivative by probabilities through the logarithm loses the impossible categories; by hand
            // it is the cost.
            let f = COSTS[0];
            let exact: Vec<f64> = if theta.id() == by_probability.id() {
                tangent(&(0..5).map(|k| f(k as f64)).collect::<Vec<_>>())
            } else {
                let mean: f64 = (0..5).map(|k| p[k] * f(k as f64)).sum();
                (0..5).map(|k| p[k] * (f(k as f64) - mean)).collect()
            };
            for side in SIDES {
                let alternatives = distribution
                    .stochastic_derivative(0, side, states.recorded(), &states.draw(&noise))
                    .unwrap()
                    .unwrap();
                let estimated = states.estimated(&distribution, &alternatives, f);
                let estimated = if theta.id() == by_probability.id() { tangent(&estimated) } else { estimated };
                assert_close(&estimated, &exact, 1e-9);
            }
        }
    }
}

#[test]
fn known_derivatives_at_three_tenths() {
    let tape = Tape::<f64>::new();
    let p = tape.parameter(0.3);
    let logits = Var::concat(&[(p * 0.0).reshape([1]), p.reshape([1])], 0).unwrap();
    let distribution = Categorical::from_logits(logits);
    let states = States::new(&tape, &distribution, 2);
    // The values are 1 and 2 in the table.
    let shifted: [fn(f64) -> f64; 3] = [|x| 7.0 * (x + 1.0) - 3.0, |x| (x + 2.0).powi(2), |x| (x + 2.0).sqrt()];
    let noise = KeyedNoise::new(1, 0);
    let alternatives = distribution.weak_derivative(0, states.recorded(), &states.draw(&noise)).unwrap().unwrap();
    for (f, known) in shifted.into_iter().zip([1.71121, 1.22229, 0.07770]) {
        assert_close(&states.exact(&distribution, p, f), &[known], 1e-5);
        assert_close(&states.estimated(&distribution, &alternatives, f)[1..], &[known], 1e-5);
    }
}

#[test]
fn draws_follow_the_distribution() {
    let tape = Tape::<f64>::new();
    check_draws(&tape, &Categorical::from_probabilities(tape.constant(P)), 4);
    check_draws(&tape, &Categorical::from_logits(tape.constant(logits())), 4);
}

#[test]
fn independent_axes_and_plates_are_kept_apart() {
    let tape = Tape::<f64>::new();
    let data = tape.plate("data", 2, PlateKind::Data, &[]);
    let samples = tape.plate("samples", 3, PlateKind::Samples, &[data]);
    let theta = tape.constant_on(&[data], Tensor::from_fn([2, 4, 5], |i| (i as f64 * 0.37).sin()));
    let distribution = Categorical::from_logits(theta);
    let noise = KeyedNoise::new(2, 0);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[data, samples]));
    let sample = distribution.draw(&draw).unwrap();
    assert_eq!(*sample.shape(), [2, 3, 4].into());
    let log = distribution.log_prob_each(draw.record(&tape, sample.clone())).peek().unwrap();
    assert_eq!(*log.shape(), [2, 3, 4].into());
    let table = distribution.log_probabilities().peek().unwrap();
    for (i, (log, x)) in log.as_slice().iter().zip(sample.as_slice()).enumerate() {
        let (member, element) = (i / 12, i % 4);
        assert_eq!(*log, table.get(&[member, element, *x as usize]).unwrap());
    }
    let weak = distribution.weak_derivative(0, draw.record(&tape, sample.clone()), &draw).unwrap().unwrap();
    let weak = Evaluated::new(&distribution, &draw, &weak);
    assert_eq!(
        (weak.values.len(), weak.values[0].shape(), weak.weights[0].shape()),
        (5, sample.shape(), &[2, 3, 4, 5].into())
    );
    let recorded = draw.record(&tape, sample.clone());
    let jumps = distribution.stochastic_derivative(0, Side::TwoSided, recorded, &draw).unwrap().unwrap();
    for values in jumps.values {
        let values = values.peek().unwrap();
        assert!(
            values
                .as_slice()
                .iter()
                .zip(sample.as_slice())
                .all(|(y, x)| (y - x).abs() <= 1.0 && (0.0..5.0).contains(y))
        );
    }
    let one_for_all = Categorical::from_logits(tape.constant([0.1, 0.2, 0.3, 0.4, 0.5]));
    assert_eq!(one_for_all.log_prob_each(draw.record(&tape, sample)).peek().unwrap().len(), 24);
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
            if by_logit { Categorical::from_logits(theta) } else { Categorical::from_probabilities(theta) };
        assert!(distribution.validate().is_ok());
        assert_eq!(distribution.log_prob(tape.constant(0.0)).item().unwrap(), f64::NEG_INFINITY);
        let other = Categorical::from_probabilities(tape.constant([0.2, 0.3, 0.5]));
        for scalar in [
            distribution.log_prob(tape.constant(1.0)),
            distribution.entropy(),
            distribution.kl_to(&distribution),
            distribution.kl_to(&other),
        ] {
            let (value, gradient) = with_gradient(scalar, theta);
            assert!(value.is_finite() && gradient.iter().all(|g| !g.is_nan()), "{value} {gradient:?}");
        }
        let noise = KeyedNoise::new(3, 0);
        let plates = Plates::from_slice(&[tape.plate("draws", 100, PlateKind::Samples, &[])]);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), plates);
        assert!(distribution.draw(&draw).unwrap().as_slice().iter().all(|&x| x == 1.0));
    }
}

#[test]
fn entropy_and_divergence_are_those_of_the_formula() {
    let tape = Tape::<f64>::new();
    let q = [0.25; 4];
    let entropy = -P.iter().map(|p| p * p.ln()).sum::<f64>();
    for distribution in
        [Categorical::from_probabilities(tape.constant(P)), Categorical::from_logits(tape.constant(logits()))]
    {
        assert_close(&[distribution.entropy().item().unwrap()], &[entropy], 1e-13);
        for other in
            [Categorical::from_probabilities(tape.constant(q)), Categorical::from_logits(tape.constant([1.0; 4]))]
        {
            assert_close(&[distribution.kl_to(&other).item().unwrap()], &[4.0_f64.ln() - entropy], 1e-13);
        }
    }
}

#[test]
fn stored_and_bound_it_is_the_same() {
    let tape = Tape::<f64>::new();
    for distribution in
        [Categorical::from_probabilities(tape.parameter(P)), Categorical::from_logits(tape.parameter(logits()))]
    {
        check_family(&tape, &distribution, tape.constant(3.0));
        assert_eq!(capabilities(&distribution), [true, false, true, true, true, false, true]);
        assert_eq!(distribution.element_support().unwrap().to_vec(), [0.0, 1.0, 2.0, 3.0]);
        assert_close(distribution.category_log_probs().peek().unwrap().as_slice(), &P.map(f64::ln), 1e-13);
        let third = distribution.to_one_hot(tape.constant(2.0));
        assert_eq!(third.peek().unwrap().to_vec(), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(distribution.value_from_one_hot(third).item(), Ok(2.0));
    }
}

#[test]
fn parameters_outside_their_domain_are_errors() {
    let tape = Tape::<f64>::new();
    let position = |distribution: Categorical<Var<'_, f64>>| match distribution.validate() {
        Err(DistributionError::Parameter { distribution: "Categorical", position, .. }) => position,
        other => panic!("{other:?}"),
    };
    assert_eq!(position(Categorical::from_probabilities(tape.constant([0.5, 1.2]))), 1);
    assert_eq!(position(Categorical::from_probabilities(tape.constant([[0.5, 0.5], [0.5, 0.4]]))), 2);
    assert_eq!(position(Categorical::from_probabilities(tape.constant([f64::NAN, 1.0]))), 0);
    assert_eq!(position(Categorical::from_logits(tape.constant([0.0, f64::INFINITY]))), 1);
    assert_eq!(position(Categorical::from_logits(tape.constant([[0.0, 1.0], [f64::NEG_INFINITY; 2]]))), 2);
    let message = Categorical::from_probabilities(tape.constant([0.5, 0.4])).validate().unwrap_err().to_string();
    assert!(message.contains("sum 1") && message.contains("0.9"), "{message}");

    let noise = KeyedNoise::new(3, 0);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
    for distribution in
        [Categorical::from_logits(tape.constant(0.0)), Categorical::from_logits(tape.constant(Tensor::zeros([2, 0])))]
    {
        assert!(matches!(distribution.validate(), Err(DistributionError::Unsupported { .. })));
        assert!(distribution.draw(&draw).is_err());
    }
}

#[test]
fn a_value_that_is_no_category_has_no_probability() {
    for value in [4.0, -1.0, 0.5] {
        let tape = Tape::<f64>::new();
        let p = tape.parameter(P);
        let log = Categorical::from_probabilities(p).log_prob(tape.constant(value));
        assert_eq!(log.item().unwrap(), f64::NEG_INFINITY);
        let [slope] = tape.grad(log, [p]).unwrap();
        assert!(slope.value().unwrap().as_slice().iter().all(|&x| x == 0.0), "{slope:?}");
    }
}

#[test]
fn rounding_takes_no_tail_above_one() {
    for logits in [[-5.0_f32, 0.3125, -20.0], [-20.0, -5.0, 0.3125], [0.3125, 0.3125, 0.3125]] {
        let tape = Tape::<f32>::new();
        let l = tape.parameter(logits);
        let distribution = Categorical::from_logits(l);
        for x in [0.0, 1.0] {
            for tail in [distribution.cdf(tape.constant(x)), distribution.survival(tape.constant(x))] {
                assert!((0.0..=1.0).contains(&tail.item().unwrap()), "{logits:?} at {x}: {tail:?}");
            }
            // The derivatives of the two sums, minus and plus the product of two probabilities, are not cut off. Each has
            // an error of one rounding of 1.
            let sums = [distribution.cdf(tape.constant(x)), distribution.survival(tape.constant(x))];
            let [lower, upper] = sums.map(|sum| tape.backward(sum, [l]).unwrap()[0].as_slice()[2]);
            assert!((lower + upper).abs() <= 2.0 * f32::EPSILON && lower < 0.0, "{logits:?} at {x}: {lower}, {upper}");
        }
    }
}
