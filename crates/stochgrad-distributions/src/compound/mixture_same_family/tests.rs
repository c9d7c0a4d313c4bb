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
}

#[test]
fn misfits_are_errors() {
    let tape = Tape::<f64>::new();
    let weights = tape.parameter([0.5, 0.5]);
    assert!(MixtureSameFamily::from_probabilities(weights, Normal::new(tape.parameter(0.0), 1.0)).is_err());
    let three = Normal::new(tape.parameter([0.0, 1.0, 2.0]), 1.0);
    assert!(MixtureSameFamily::from_probabilities(weights, three).is_err());
}

/// The score with respect to a weight is p_k(x) / p(x), for weights of 0 as well, and the second derivative is minus a
/// product of two of them.
#[test]
fn a_weight_of_zero_has_a_score() {
    fn check<F: Real>(tolerance: f64) {
        for weights in [[0.0, 0.5, 0.5], [0.0, 0.0, 1.0], [1e-30, 0.4, 0.6], [0.2, 0.0, 0.8]] {
            for x in [-3.0, 0.3, 1.0, 8.0] {
                let tape = Tape::<F>::new();
                let weights_var = tape.parameter(Tensor::from_fn([3], |k| F::from_f64(weights[k])));
                let normal = Normal::new(tape.constant(Tensor::from_fn([3], F::from_usize)), 1.0);
                let mixture = MixtureSameFamily::from_probabilities(weights_var, normal).unwrap();
                let log = mixture.log_prob(tape.constant(x));
                let densities = [0.0, 1.0, 2.0].map(|at: f64| (-0.5 * (x - at).powi(2)).exp());
                let total: f64 = densities.iter().zip(weights).map(|(density, weight)| density * weight).sum();
                let [score] = tape.grad(log, [weights_var]).unwrap();
                let [second] = tape.grad(score.index(0, 0), [weights_var]).unwrap();
                let (score, second) = (score.peek().unwrap(), second.peek().unwrap());
                for k in 0..3 {
                    let (found, expected) = (score.as_slice()[k].to_f64(), densities[k] / total);
                    assert!(
                        (found - expected).abs() <= tolerance * expected,
                        "{weights:?} at {x}: {found}, {expected}"
                    );
                    let (found, expected) =
                        (second.as_slice()[k].to_f64(), -densities[0] / total * (densities[k] / total));
                    assert!(
                        (found - expected).abs() <= tolerance * -expected,
                        "{weights:?} at {x}: {found}, {expected}"
                    );
                }
            }
        }
    }
    check::<f64>(1e-13);
    check::<f32>(1e-5);
    let tape = Tape::<f64>::new();
    let weights = tape.parameter([0.0, 0.5, 0.5]);
    let mixture =
        MixtureSameFamily::from_probabilities(weights, Normal::new(tape.constant([0.0, 1.0, 2.0]), 1.0)).unwrap();
    let [score] = tape.backward(mixture.log_prob(tape.constant(0.3)), [weights]).unwrap();
    assert_abs_diff_eq!(score.as_slice()[0], 1.877_356_580_560_295, epsilon = 1e-14);
    // Far out, where only the component of weight 0 has a density above the least number, the score is limited.
    let far = tape.parameter(-1000.0);
    let log = mixture.log_prob(far);
    assert_abs_diff_eq!(log.item().unwrap() / -501_001.0, 1.0, epsilon = 1e-3);
    let [score, slope] = tape.backward(log, [weights, far]).unwrap();
    assert!(score.all_finite() && slope.as_slice()[0] > 1000.0, "{score:?}, {slope:?}");
}

#[test]
fn shapes_of_weights_and_components_that_do_not_fit_are_errors() {
    let tape = Tape::<f64>::new();
    let weights = |shape: &[usize]| tape.constant(Tensor::zeros(shape.to_vec()));
    let components = |shape: &[usize]| Normal::new(tape.constant(Tensor::zeros(shape.to_vec())), 1.0);
    for (rows, event) in [
        (&[4, 2][..], &[3, 2][..]),
        (&[1, 2, 2, 2], &[3, 2]),
        (&[2, 17, 2, 2], &[3, 2]),
        (&[4, 2], &[2]),
        (&[4, 2], &[1, 2]),
        (&[3, 1], &[3, 2]),
        (&[2], &[2, 3]),
        (&[], &[2]),
        (&[2], &[]),
        (&[0], &[0]),
    ] {
        let error = MixtureSameFamily::from_logits(weights(rows), components(event)).unwrap_err().to_string();
        assert!(error.contains("expected"), "{rows:?}, {event:?}: {error}");
    }
    for (rows, event) in [(&[2][..], &[3, 2][..]), (&[1, 2], &[3, 2]), (&[3, 2], &[3, 2]), (&[3, 2], &[5, 3, 2])] {
        assert!(MixtureSameFamily::from_logits(weights(rows), components(event)).is_ok(), "{rows:?}, {event:?}");
    }
}

/// The quantiles at the ends are the ends of the support, and both tails keep their digits.
#[test]
fn quantiles_and_tails_reach_the_ends() {
    let tape = Tape::<f64>::new();
    let mixture = MixtureSameFamily::from_probabilities(
        tape.constant([0.25, 0.75]),
        Normal::new(tape.constant([-1.0, 2.0]), tape.constant([0.5, 3.0])),
    )
    .unwrap();
    let quantile = |p: f64| mixture.icdf(tape.constant(p)).item().unwrap();
    assert_eq!((quantile(0.0), quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
    assert!([-0.1, 1.1, f64::NAN].iter().all(|&p| quantile(p).is_nan()));
    for p in [1e-300, 1e-30, 1e-6, 0.3, 0.5, 0.9] {
        let at = tape.parameter(p);
        let (low, high) = (mixture.icdf(at), mixture.inverse_survival(at));
        assert!((mixture.log_cdf(low).item().unwrap() - p.ln()).abs() < 1e-11, "{p}");
        assert!((mixture.log_survival(high).item().unwrap() - p.ln()).abs() < 1e-11, "{p}");
        let [slope] = tape.grad(high, [at]).unwrap();
        let expected = -(-mixture.log_prob(high).item().unwrap()).exp();
        assert!((slope.item().unwrap() / expected - 1.0).abs() < 1e-9, "{p}");
    }
    for (x, [below, above]) in [(f64::NEG_INFINITY, [0.0, 1.0]), (f64::INFINITY, [1.0, 0.0])] {
        let x = tape.constant(x);
        assert_eq!([mixture.cdf(x).item().unwrap(), mixture.survival(x).item().unwrap()], [below, above]);
        assert_eq!(mixture.log_prob(x).item().unwrap(), f64::NEG_INFINITY);
    }
}

/// The chosen component of a mixture of squashed distributions passes on its base value.
#[test]
fn own_samples_of_squashed_components_are_finite() {
    let tape = Tape::<f32>::new();
    let noise = KeyedNoise::new(285, 0);
    let plate = tape.plate("samples", 2000, stochgrad_tape::PlateKind::Samples, &[]);
    let plates = stochgrad_tape::Plates::from_slice(&[plate]);
    let draw = crate::Draw::new(&tape, &noise, crate::NoiseKey::new("x", None), plates);
    let location = tape.parameter([[0.0, 3.0], [1.0, -2.0], [0.3, 0.4]]);
    for map in [crate::Bijector::Tanh, crate::Bijector::Sigmoid, crate::Bijector::Exp] {
        let squashed = crate::TransformedDistribution::new(Normal::new(location, 40.0), map);
        let mixture = MixtureSameFamily::from_logits(tape.parameter([0.0, 1.0]), squashed).unwrap();
        let x = tape.sample(tape.new_site(), mixture.sample(&draw).unwrap(), &[]);
        let log = mixture.log_prob(x).sum_over(plate);
        assert!(log.item().unwrap().is_finite());
        assert!(tape.backward(log, [location]).unwrap()[0].all_finite());
    }
    let shares = crate::TransformedDistribution::new(Normal::new(location, 30.0), crate::Bijector::SoftmaxCentred);
    let mixture = MixtureSameFamily::from_logits(tape.parameter([0.0, 1.0, 0.4]), shares).unwrap();
    let x = tape.sample(tape.new_site(), mixture.sample(&draw).unwrap(), &[]);
    let log = mixture.log_prob(x).sum_over(plate);
    assert!(log.item().unwrap().is_finite());
    assert!(tape.backward(log, [location]).unwrap()[0].all_finite());
}

/// Weights whose sum has rounded lead to no probability above 1, and the ends are exact.
#[test]
fn probabilities_are_at_most_one() {
    fn check<F: Real>() {
        for weights in [[0.3125, 0.6875, 0.0], [0.1, 0.2, 0.7], [0.875, 0.125, 0.0], [1e-10, 0.3, 0.7]] {
            let tape = Tape::<F>::new();
            let components = || Normal::new(tape.constant([0.3, 0.3, -2.0]), 1.25);
            let by_probability = MixtureSameFamily::from_probabilities(tape.constant(weights), components()).unwrap();
            let by_logit = MixtureSameFamily::from_logits(tape.constant(weights).ln(), components()).unwrap();
            for mixture in [by_probability, by_logit] {
                let at = |x: f64| {
                    let x = tape.constant(x);
                    [mixture.cdf(x), mixture.survival(x), mixture.log_cdf(x), mixture.log_survival(x)]
                        .map(|y| y.item().unwrap().to_f64())
                };
                let infinity = f64::INFINITY;
                assert_eq!(at(infinity), [1.0, 0.0, 0.0, -infinity], "{weights:?}");
                assert_eq!(at(-infinity), [0.0, 1.0, -infinity, 0.0], "{weights:?}");
                for x in (-80..80).map(|k| f64::from(k) * 0.75) {
                    let [lower, upper, log_lower, log_upper] = at(x);
                    assert!(lower <= 1.0 && upper <= 1.0 && log_lower <= 0.0 && log_upper <= 0.0, "{weights:?}");
                }
            }
        }
    }
    check::<f64>();
    check::<f32>();
}

/// Where the square of a standardised value overflows, the derivatives of that density are 0 times infinity.
#[test]
fn an_impossible_component_has_no_part_in_the_score() {
    let tape = Tape::<f32>::new();
    let (locations, scales) = (tape.parameter([0.0, 1.0]), tape.parameter([1e-37, 0.5]));
    let logits = tape.parameter([0.0, 0.0]);
    let value = tape.constant(2.0);
    for by_logits in [false, true] {
        let components = Normal::new(locations, scales);
        let mixture = if by_logits {
            MixtureSameFamily::from_logits(logits, components)
        } else {
            MixtureSameFamily::from_probabilities(logits.softmax(-1), components)
        };
        let log = mixture.unwrap().log_prob(value);
        let scores = tape.backward(log, [logits, locations, scales]).unwrap().map(|score| score.to_vec());
        // Only the second component counts, at z = 2.
        for (score, expected) in scores.iter().flatten().zip([-0.5, 0.5, 0.0, 4.0, 0.0, 6.0]) {
            assert_abs_diff_eq!(*score, expected, epsilon = 2e-6);
        }
    }
}

/// Two components of two coordinates, by the logit of the first weight, a location, a scale and a dependence.
type Vectors = for<'t> fn(&[Var<'t, f64>]) -> Box<dyn Distribution<'t, f64> + 't>;

fn cost<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
    x.index(-1, 1) * x.index(-1, 0).sin() + x.index(-1, 0) * 0.3
}

/// The mean cost of a normal vector with these locations, this scale of the first coordinate, and the entry below it in
/// the lower Cholesky factor.
fn mean_cost<'t>([first, second]: [Var<'t, f64>; 2], [scale, below]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    let shrunk = (scale.square() * -0.5).exp();
    (second * first.sin() + scale * below * first.cos()) * shrunk + first * 0.3
}

fn weights<'t>(logit: Var<'t, f64>) -> Var<'t, f64> {
    Var::concat(&[logit.unsqueeze(-1), (logit * 0.0).unsqueeze(-1)], -1).unwrap()
}

/// Numbers along the last axis.
fn row<'t, const N: usize>(numbers: [Var<'t, f64>; N]) -> Var<'t, f64> {
    Var::concat(&numbers.map(|number| number.unsqueeze(-1)), -1).unwrap()
}

const INDEPENDENT: Vectors = |p| {
    let one = p[0] * 0.0 + 1.0;
    let location = row([p[1], one, one * -0.5, p[1] * 0.5]).reshape([2, 2]);
    let scale = row([p[2], one, one * 0.4, p[2] + 0.2]).reshape([2, 2]);
    let components = crate::Independent::new(Normal::new(location, scale), 1).unwrap();
    Box::new(MixtureSameFamily::from_logits(weights(p[0]), components).unwrap())
};

const DEPENDENT: Vectors = |p| {
    let (one, zero) = (p[0] * 0.0 + 1.0, p[0] * 0.0);
    let location = row([p[1], one, one * -0.5, p[1] * 0.5]).reshape([2, 2]);
    let triangle = row([p[2], zero, p[3], one * 0.7, one * 0.4, zero, one * -0.5, p[2] + 0.2]).reshape([2, 2, 2]);
    let components = crate::MultivariateNormal::new(location, triangle);
    Box::new(MixtureSameFamily::from_logits(weights(p[0]), components).unwrap())
};

#[test]
fn paths_of_vectors_have_the_derivatives_of_the_mean() {
    const SAMPLES: usize = 40_000;
    let at = [0.4, 0.9, 0.8, 0.6];
    for (build, dependence, seed) in [(INDEPENDENT, false, 286), (DEPENDENT, true, 287)] {
        let tape = Tape::<f64>::new();
        let p = leaves(&tape, &at);
        let below = if dependence { [p[3], p[0] * 0.0 - 0.5] } else { [p[3] * 0.0; 2] };
        let one = p[0] * 0.0 + 1.0;
        let share = p[0].sigmoid();
        let expected = mean_cost([p[1], one], [p[2], below[0]]) * share
            + mean_cost([one * -0.5, p[1] * 0.5], [one * 0.4, below[1]]) * (1.0 - share);
        let expected = tape.backward_all(expected, &p).unwrap();
        let noise = KeyedNoise::new(seed, 0);
        let draw = on_samples(&tape, &noise, SAMPLES);
        // A copy of each parameter for each sample: its derivative is that of the one sample.
        let copies: Vec<Var<'_, f64>> = at.iter().map(|&p| tape.parameter(vec![p; SAMPLES])).collect();
        let parameters: Vec<Var<'_, f64>> = copies.iter().map(|copy| copy.event_to_plate(draw.plates()[0])).collect();
        let distribution = build(&parameters);
        let path = distribution.capabilities().reparameterized.expect("a path");
        let total = cost(path.rsample(&draw).unwrap()).sum_over(draw.plates()[0]);
        let gradients = tape.backward_all(total, &copies).unwrap();
        // Independent coordinates have no dependence.
        let count = if dependence { 4 } else { 3 };
        for (gradient, expected) in gradients.iter().zip(&expected).take(count) {
            assert_mean(gradient.as_slice(), expected.as_slice()[0]);
        }
    }
}

#[test]
fn vectors_without_conditional_distribution_functions_have_no_path() {
    let tape = Tape::<f64>::new();
    let components = crate::Dirichlet::new(tape.parameter([[1.0, 2.0], [3.0, 0.5]]));
    let mixture = MixtureSameFamily::from_logits(tape.parameter([0.0, 1.0]), components).unwrap();
    assert!(mixture.capabilities().reparameterized.is_none() && mixture.capabilities().score.is_some());
    let noise = KeyedNoise::new(1, 0);
    let message = mixture.rsample(&on_samples(&tape, &noise, 3)).unwrap_err().to_string();
    assert!(message.contains("a path and a distribution function of Dirichlet"), "{message}");
}

#[test]
fn a_moment_of_weight_zero_does_not_count() {
    let tape = Tape::<f64>::new();
    let (weights, locations) = (tape.parameter([0.0, 1.0]), tape.parameter([1e300, 0.5]));
    let mixture = MixtureSameFamily::from_probabilities(weights, Normal::new(locations, 1.5)).unwrap();
    let variance = mixture.variance().unwrap();
    assert_eq!(variance.item(), Ok(1.5 * 1.5));
    for slope in tape.backward(variance, [weights, locations]).unwrap() {
        assert!(slope.as_slice().iter().all(|slope| !slope.is_nan()), "{slope:?}");
    }
}
