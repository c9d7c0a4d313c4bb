use super::*;
use crate::continuous::normal::Normal;
use crate::noise::KeyedNoise;
use crate::testing::{Build, DistributionCheck, Domain, Evaluated, check_family, leaves, on_samples, variance};
use approx::assert_abs_diff_eq;

/// Two normal distributions by a weight, two locations and a scale.
const BUILD: Build = |p| {
    let weights = Var::stack(&[p[0], 1.0 - p[0]]).unwrap();
    let locations = Var::stack(&[p[1], p[2]]).unwrap();
    Box::new(MixtureSameFamily::from_probabilities(weights, Normal::new(locations, p[3])).unwrap())
};

#[test]
fn everything_follows_the_distribution() {
    let distribution = DistributionCheck::new(BUILD, &[0.3, -1.0, 2.0, 0.7], Domain::Line(-8.0, 9.0));
    distribution.assert_moments();
    distribution.assert_score(&[-2.0, 0.4, 3.0]);
    distribution.assert_cdf(&[-2.0, 0.4, 3.0]);
    distribution.assert_draws_by_own_cdf(281);
    distribution.assert_path(282);
}

/// The terms of the weak derivative with respect to a parameter, one for each draw and coordinate.
fn weak_terms(distribution: &DistributionCheck, parameter: usize, seed: u64) -> [Vec<f64>; 2] {
    let tape = Tape::<f64>::new();
    let mixture = (distribution.build)(&leaves(&tape, &distribution.parameters));
    let noise = KeyedNoise::new(seed, 0);
    let draw = on_samples(&tape, &noise, 100_000);
    let sample = mixture.draw(&draw).unwrap();
    let weak = mixture.capabilities().weak_derivative.unwrap();
    let parts = weak.weak_derivative(parameter, draw.record(&tape, sample.clone()), &draw).unwrap().unwrap();
    let parts = Evaluated::new(&*mixture, &draw, &parts);
    let cost = |x: f64| x.sin() + 0.1 * x * x;
    [0, 1].map(|coordinate| {
        let term = |i: usize| {
            let difference = |values: &Tensor<f64>| cost(values.as_slice()[i]) - cost(sample.as_slice()[i]);
            let terms = parts.values.iter().zip(&parts.weights);
            terms.map(|(values, weights)| weights.as_slice()[2 * i + coordinate] * difference(values)).sum()
        };
        (0..sample.len()).map(term).collect()
    })
}

fn assert_mean(terms: &[f64], exact: f64) {
    let mean = terms.iter().sum::<f64>() / terms.len() as f64;
    let error = (variance(terms) / terms.len() as f64).sqrt();
    assert!((mean - exact).abs() < 4.0 * error, "{mean} ± {error}, expected {exact}");
}

/// The derivative with respect to one weight along the simplex is that of the expected cost; that by a parameter of
/// a component too.
#[test]
fn weak_derivatives_are_right() {
    let distribution = DistributionCheck::new(BUILD, &[0.3, -1.0, 2.0, 0.7], Domain::Line(-8.0, 9.0));
    let exact = distribution.derivatives();
    let [first, second] = weak_terms(&distribution, 0, 283);
    assert_mean(&first.iter().zip(&second).map(|(a, b)| a - b).collect::<Vec<_>>(), exact[0]);
    let [first, second] = weak_terms(&distribution, 1, 284);
    assert_mean(&first, exact[1]);
    assert_mean(&second, exact[2]);
    // The components share their scale.
    let [first, second] = weak_terms(&distribution, 2, 285);
    assert_mean(&first.iter().zip(&second).map(|(a, b)| a + b).collect::<Vec<_>>(), exact[3]);
}

#[test]
fn vectors_mix_too() {
    let tape = Tape::<f64>::new();
    let normal = Normal::new(tape.parameter([[0.0, 1.0], [5.0, 6.0], [-5.0, 0.0]]), 0.1);
    let components = crate::Independent::new(normal, 1).unwrap();
    let distribution = MixtureSameFamily::from_logits(tape.parameter([0.0, 1.0, 0.5]), components).unwrap();
    assert_eq!((distribution.event_shape().to_vec(), distribution.element_rank()), (vec![2], 1));
    let noise = KeyedNoise::new(284, 0);
    let draw = on_samples(&tape, &noise, 2000);
    let x = distribution.draw(&draw).unwrap();
    for row in x.as_slice().chunks(2) {
        let near = [[0.0, 1.0], [5.0, 6.0], [-5.0, 0.0]]
            .iter()
            .any(|at| (row[0] - at[0]).abs() < 1.0 && (row[1] - at[1]).abs() < 1.0);
        assert!(near, "{row:?} mixes the coordinates of two components");
    }
    let value = tape.constant([5.0, 6.0]);
    let by_hand = components.log_prob_each(value.unsqueeze(-2)) + tape.constant([0.0, 1.0, 0.5]).log_softmax(-1);
    assert_abs_diff_eq!(
        distribution.log_prob(value).item().unwrap(),
        by_hand.logsumexp(-1).item().unwrap(),
        epsilon = 1e-12
    );
    check_family(&tape, &distribution, value);
    assert!(distribution.capabilities().reparameterized.is_none());
}

#[test]
fn misfits_are_errors() {
    let tape = Tape::<f64>::new();
    let weights = tape.parameter([0.5, 0.5]);
    assert!(MixtureSameFamily::from_probabilities(weights, Normal::new(tape.parameter(0.0), 1.0)).is_err());
    let three = Normal::new(tape.parameter([0.0, 1.0, 2.0]), 1.0);
    assert!(MixtureSameFamily::from_probabilities(weights, three).is_err());
}
