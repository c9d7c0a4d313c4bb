use super::*;
use crate::noise::KeyedNoise;
use crate::testing::{
    assert_close, capabilities, check_enumeration, check_family, check_score, check_uniform, on_samples,
};
use stochgrad_tape::{PlateKind, Plates, Tape};

const LOGITS: [f64; 4] = [0.5, 0.0, -0.4, 1.0];
const COSTS: [f64; 4] = [1.0, -1.0, 2.0, 0.5];

/// The items of a ranking that is given as a matrix.
fn order(matrix: &[f64]) -> Vec<usize> {
    matrix.chunks(4).map(|row| row.iter().position(|&x| x == 1.0).expect("a one-hot row")).collect()
}

/// The expectation of a cost of the ranking, its gradient, and the first two entries of the first row of its Hessian.
fn expectation(places: usize, cost: fn(&[usize]) -> f64) -> (f64, Vec<f64>, [f64; 2]) {
    let tape = Tape::<f64>::new();
    let logits = tape.parameter(LOGITS);
    let distribution = PlackettLuce::from_logits(logits).top(places);
    let support = distribution.element_support().unwrap();
    let costs: Vec<f64> = support.as_slice().chunks(4 * places).map(|matrix| cost(&order(matrix))).collect();
    let states = tape.plate("states", costs.len(), PlateKind::Enumerated, &[]);
    let p = distribution.log_prob(tape.constant_on(&[states], support)).exp();
    let expected = (p * tape.constant_on(&[states], Tensor::from(costs.as_slice()))).sum_over(states);
    let [gradient] = tape.grad(expected, [logits]).unwrap();
    let [row] = tape.grad(gradient.index(-1, 0), [logits]).unwrap();
    let row = row.peek().unwrap();
    (expected.item().unwrap(), gradient.peek().unwrap().to_vec(), [row.as_slice()[0], row.as_slice()[1]])
}

#[test]
fn expectations_have_known_derivatives() {
    let (value, gradient, second) = expectation(2, |s| COSTS[s[0]] + 2.0 * COSTS[s[1]] + (s[0] * s[1]) as f64);
    assert_close(&[value], &[3.31853167], 1e-9);
    assert_close(&gradient, &[-0.87662774, -0.6897760228, 1.110578415, 0.4558253476], 1e-9);
    assert_close(&second, &[-0.003321544085, 0.3582415942], 1e-9);

    let (value, gradient, second) = expectation(2, |s| (COSTS[s[0]] + COSTS[s[1]]).powi(2));
    assert_close(&[value], &[2.584973954], 1e-9);
    assert_close(&gradient, &[0.08797697901, -0.9610466695, 1.01324779, -0.1401780995], 1e-9);
    assert_close(&second, &[0.03462285652, 0.2377163477], 1e-9);

    let (value, gradient, second) = expectation(4, |s| s.iter().zip(1..).map(|(&s, i)| f64::from(i) * COSTS[s]).sum());
    assert_close(&[value], &[6.680011451], 1e-9);
    assert_close(&gradient, &[-0.3820089732, 1.485707561, -1.164309891, 0.06061130248], 1e-9);
    assert_close(&second, &[-0.0003651829678, -0.1151135897], 1e-9);
}

#[test]
fn probabilities_are_those_of_draws_without_replacement() {
    const KNOWN: [f64; 12] = [
        0.0622266806,
        0.0417117914,
        0.169149655,
        0.0542129459,
        0.022041339,
        0.0893820371,
        0.0341077586,
        0.0206874013,
        0.0562341871,
        0.223658106,
        0.135655498,
        0.0909325999,
    ];
    let tape = Tape::<f64>::new();
    let logits = tape.parameter(LOGITS);
    let distribution = PlackettLuce::from_logits(logits).top(2);
    let support = distribution.element_support().unwrap();
    let orders: Vec<Vec<usize>> = support.as_slice().chunks(8).map(order).collect();
    assert_eq!(orders[..4], [[0, 1], [0, 2], [0, 3], [1, 0]]);
    let p = distribution.log_prob_each(tape.constant_on(&[tape.plate("s", 12, PlateKind::Enumerated, &[])], support));
    assert_close(&p.exp().peek().unwrap().to_vec(), &KNOWN, 1e-9);

    let noise = KeyedNoise::new(3, 0);
    let sample = distribution.draw(&on_samples(&tape, &noise, 100_000)).unwrap();
    assert_eq!(sample.shape().to_vec(), [100_000, 2, 4]);
    let drawn: Vec<Vec<usize>> = sample.as_slice().chunks(8).map(order).collect();
    for (order, p) in orders.iter().zip(KNOWN) {
        let share = drawn.iter().filter(|drawn| *drawn == order).count() as f64 / 1e5;
        assert!((share - p).abs() < 4.0 * (p * (1.0 - p) / 1e5).sqrt(), "{order:?}: {share} where {p} is exact");
    }
}

#[test]
fn every_number_of_places_is_a_distribution() {
    for places in 1..=4 {
        let tape = Tape::<f64>::new();
        let logits = tape.parameter(LOGITS);
        let distribution = PlackettLuce::from_logits(logits).top(places);
        distribution.validate().unwrap();
        check_enumeration(&distribution, logits);
        let support = distribution.element_support().unwrap();
        let states = support.shape()[0];
        assert_eq!(distribution.states().unwrap(), states as u128);
        let one = Tensor::from(&support.as_slice()[..4 * places]).with_shape([places, 4]);
        check_family(&tape, &distribution, tape.constant(one.clone()));
        check_score(&LOGITS, |v| PlackettLuce::from_logits(v).top(places).log_prob(v.tape().constant(one.clone())));
        let plate = tape.plate("states", states, PlateKind::Enumerated, &[]);
        let logs = distribution.log_prob(tape.constant_on(&[plate], support)).peek().unwrap().to_vec();
        let mode = distribution.log_prob(distribution.mode().unwrap()).item().unwrap();
        assert_eq!(mode, logs.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    }
    let tape = Tape::<f64>::new();
    assert_eq!(
        capabilities(&PlackettLuce::from_logits(tape.constant(LOGITS))),
        [true, false, true, false, false, true, false]
    );
    let many = PlackettLuce::from_logits(tape.constant(Tensor::<f64>::zeros([60])));
    assert_eq!(many.states().unwrap(), u128::MAX);
    assert!(many.element_support().is_err());
}

#[test]
fn elements_are_independent_on_plates_of_their_own() {
    let tape = Tape::<f64>::new();
    let data = tape.plate("data", 2, PlateKind::Data, &[]);
    let samples = tape.plate("samples", 50, PlateKind::Samples, &[]);
    let logits = tape.constant_on(&[data], Tensor::from_fn([2, 3, 4], |i| (i as f64).sin()));
    let distribution = PlackettLuce::from_logits(logits).top(2);
    assert_eq!(distribution.event_shape().to_vec(), [3, 2, 4]);
    let noise = KeyedNoise::new(4, 0);
    let draw = Draw::new(&tape, &noise, crate::noise::NoiseKey::new("x", None), Plates::from_slice(&[data, samples]));
    let sample = distribution.sample(&draw).unwrap();
    let logs = distribution.log_prob_each(sample);
    assert_eq!(logs.peek().unwrap().shape().to_vec(), [2, 50, 3]);
    assert!(logs.peek().unwrap().all_finite());
    let joint = distribution.log_prob(sample).peek().unwrap();
    assert_close(joint.as_slice(), logs.sum().peek().unwrap().as_slice(), 1e-14);
}

#[test]
fn the_sum_of_huge_logits_may_overflow() {
    let tape = Tape::<f64>::new();
    let logits = tape.parameter([300.0, 1e302, f64::MAX]);
    let ranking = tape.constant([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]);
    let log = PlackettLuce::from_logits(logits).top(2).log_prob(ranking);
    assert_eq!(log.item().unwrap(), 0.0);
    let [slope] = tape.grad(log, [logits]).unwrap();
    assert_eq!(slope.peek().unwrap().as_slice(), [0.0; 3]);
}

#[test]
fn other_matrices_have_no_probability_and_no_derivative() {
    let nan = f64::NAN;
    for (value, expected) in [
        ([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], f64::NEG_INFINITY),
        ([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], f64::NEG_INFINITY),
        ([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], f64::NEG_INFINITY),
        ([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], f64::NEG_INFINITY),
        ([[2.0, -1.0, 0.0], [0.0, 0.0, 1.0]], f64::NEG_INFINITY),
        ([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]], f64::NEG_INFINITY),
        ([[1.0, 0.0, nan], [0.0, 1.0, 0.0]], nan),
    ] {
        let tape = Tape::<f64>::new();
        let logits = tape.parameter([0.1, 0.2, 0.3]);
        let log = PlackettLuce::from_logits(logits).top(2).log_prob(tape.constant(value));
        let found = log.item().unwrap();
        assert!(found == expected || (found.is_nan() && expected.is_nan()), "{value:?}: {found}");
        if expected == f64::NEG_INFINITY {
            let [slope] = tape.backward(log, [logits]).unwrap();
            assert_eq!(slope.to_vec(), [0.0; 3], "{value:?}");
        }
    }
}

#[test]
fn parameters_outside_the_domain_are_refused() {
    let tape = Tape::<f64>::new();
    let refused = |distribution: PlackettLuce<Var<'_, f64>>, words: &str| {
        let error = distribution.validate().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(PlackettLuce::from_logits(tape.constant(LOGITS)).top(5), "between 1 and 4 places for 4 items, got 5");
    refused(PlackettLuce::from_logits(tape.constant(LOGITS)).top(0), "got 0");
    refused(PlackettLuce::from_logits(tape.constant(0.5)), "at least one item");
    refused(PlackettLuce::from_logits(tape.constant([0.0, f64::NEG_INFINITY])), "a finite number");
    let far = PlackettLuce::from_logits(tape.constant([1000.0, -1000.0, 0.0]));
    let log = far.log_prob(tape.constant([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
    assert_eq!(log.item().unwrap(), -3000.0);
}

#[test]
fn perturbed_logits_agree_with_the_ranking() {
    let tape = Tape::<f64>::new();
    let noise = KeyedNoise::new(5, 0);
    let draw = on_samples(&tape, &noise, 100_000);
    for places in [1, 2, 4] {
        let distribution = PlackettLuce::from_logits(tape.constant(LOGITS)).top(places);
        let hard = draw.record(&tape, distribution.draw(&draw).unwrap());
        let free = distribution.perturbed(&draw.purpose("relaxation")).unwrap();
        let given = distribution.conditional_perturbed(hard, &draw.purpose("conditional")).unwrap();
        assert_eq!(distribution.harden(given).peek().unwrap(), hard.peek().unwrap());
        // Over the rankings, both are logits plus independent Gumbel noise.
        let gumbel_cdf = |z: f64| (-(-z).exp()).exp();
        for z in [free, given] {
            let z = z.peek().unwrap();
            for (item, logit) in LOGITS.iter().enumerate() {
                check_uniform(z.as_slice().iter().skip(item).step_by(4).map(|z| gumbel_cdf(z - logit)));
            }
            // The smallest of the waiting times exp(−z) is exponential, and so is their weighted sum's share of it.
            let total: f64 = LOGITS.iter().map(|l| l.exp()).sum();
            check_uniform(
                z.as_slice().chunks(4).map(|row| gumbel_cdf(row.iter().copied().fold(f64::MIN, f64::max) - total.ln())),
            );
        }
    }
}

#[test]
fn relaxations_approach_the_ranking() {
    let tape = Tape::<f64>::new();
    let z = tape.constant([[0.3, 1.4, -0.2, 0.9], [2.0, -1.0, 0.5, 0.0]]);
    for relaxation in [RankingRelaxation::SuccessiveSoftmax, RankingRelaxation::SoftSort, RankingRelaxation::NeuralSort]
    {
        for places in 1..=4 {
            let distribution = PlackettLuce::from_logits(z).top(places).relaxation(relaxation);
            let soft = |temperature: f64| distribution.soften(z, tape.constant(temperature));
            let hard = distribution.harden(z).peek().unwrap();
            assert_eq!(*soft(0.7).peek().unwrap().shape(), distribution.event_shape());
            assert_close(&soft(0.7).sum_axis(-1).peek().unwrap().to_vec(), &vec![1.0; 2 * places], 1e-14);
            assert_close(&soft(0.01).peek().unwrap().to_vec(), &hard.to_vec(), 1e-6);
            let [slope] = tape.grad(soft(0.01).sum_axis(-2).square().sum(), [z]).unwrap();
            assert!(slope.peek().unwrap().all_finite(), "{relaxation:?}");
        }
    }
    // One place is Gumbel-softmax.
    let one = PlackettLuce::from_logits(z).top(1).soften(z, tape.constant(0.5)).peek().unwrap();
    assert_close(&one.to_vec(), &(z / 0.5).softmax(-1).peek().unwrap().to_vec(), 1e-15);
    // The second row of a successive softmax, by its definition.
    let two = PlackettLuce::from_logits(z).top(2).soften(z, tape.constant(0.5)).index(-2, 1).peek().unwrap();
    let p = (z / 0.5).softmax(-1);
    let second = ((z + (1.0 - p).ln()) / 0.5).softmax(-1).peek().unwrap();
    assert_close(&two.to_vec(), &second.to_vec(), 1e-13);
    // NeuralSort and SoftSort of the first row of z, from their definitions, with independent arithmetic.
    let row = [0.3, 1.4, -0.2, 0.9];
    let softmax = |logits: Vec<f64>| {
        let total: f64 = logits.iter().map(|l| l.exp()).sum();
        logits.iter().map(|l| l.exp() / total).collect::<Vec<f64>>()
    };
    let of = |relaxation| {
        let soft = PlackettLuce::from_logits(z).top(2).relaxation(relaxation).soften(z, tape.constant(0.8));
        soft.index(0, 0).index(0, 1).peek().unwrap().to_vec()
    };
    let by_distance = softmax(row.iter().map(|x| -(0.9_f64 - x).abs() / 0.8).collect());
    assert_close(&of(RankingRelaxation::SoftSort), &by_distance, 1e-14);
    let pairs = |x: f64| row.iter().map(|y| (x - y).abs()).sum::<f64>();
    let by_pairs = softmax(row.iter().map(|&x| ((4.0 + 1.0 - 2.0 * 2.0) * x - pairs(x)) / 0.8).collect());
    assert_close(&of(RankingRelaxation::NeuralSort), &by_pairs, 1e-14);
}
