//! Sampling of distributions with tensors as parameters, by a generator of the crate `rand`.

mod catalogue;

use approx::assert_relative_eq;
use catalogue::entries;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use stochgrad_distributions::*;
use stochgrad_tape::{Plates, Tape, Var};
use stochgrad_tensor::Tensor;

fn leaves<'t>(tape: &'t Tape<f64>, parameters: &[f64]) -> Vec<Var<'t, f64>> {
    parameters.iter().map(|&parameter| tape.constant(parameter)).collect()
}

#[test]
fn samples_are_those_of_the_tape_for_equal_noise() {
    for entry in entries() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let noise = KeyedNoise::from_rng(&mut rng.clone());
        let sample = (entry.sampler)(entry.ordinary)(&mut rng);
        let tape = Tape::new();
        let live = (entry.build)(&tape, &leaves(&tape, entry.ordinary));
        let draw = Draw::new(&tape, &noise, NoiseKey::new("sample", None), Plates::new());
        assert_eq!(sample, live.draw(&draw).unwrap(), "{}", entry.distribution);
        assert_eq!(*sample.shape(), live.event_shape(), "{}", entry.distribution);
        let recorded = live.sample(&draw).unwrap().peek().unwrap();
        for (sample, recorded) in sample.as_slice().iter().zip(recorded.as_slice()) {
            assert_relative_eq!(sample, recorded, max_relative = 1e-13);
        }
    }
}

/// The mean of values is within five standard errors of the expected one.
#[track_caller]
fn assert_mean(values: &[f64], expected: f64) {
    let count = values.len() as f64;
    let average = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - average).powi(2)).sum::<f64>() / (count - 1.0);
    assert_relative_eq!(average, expected, epsilon = 5.0 * (variance / count).sqrt(), max_relative = 1e-12);
}

/// The distributions whose fourth moment is infinite with the parameters of the catalogue: the mean of the squares of their
/// samples has no standard error.
const HEAVY_TAILED: [&str; 4] = ["InverseGamma", "LogLogistic", "Pareto", "Zeta"];

#[test]
fn samples_have_the_stated_moments() {
    const SAMPLES: usize = 2000;
    let (mut means, mut variances) = (0, 0);
    for (number, entry) in entries().into_iter().enumerate() {
        let tape = Tape::new();
        let live = (entry.build)(&tape, &leaves(&tape, entry.ordinary));
        let Some(mean) = live.mean() else { continue };
        let mean = mean.peek().unwrap();
        if !mean.all_finite() {
            continue;
        }
        means += 1;
        let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
        let sampler = (entry.sampler)(entry.ordinary);
        let samples: Vec<Tensor<f64>> = (0..SAMPLES).map(|_| sampler(&mut rng)).collect();
        let elements: Vec<Vec<f64>> =
            (0..mean.len()).map(|at| samples.iter().map(|sample| sample.as_slice()[at]).collect()).collect();
        for (values, &expected) in elements.iter().zip(mean.as_slice()) {
            assert_mean(values, expected);
        }
        // The variance of angles is circular.
        let is_tested = live.support() != Support::Angles && !HEAVY_TAILED.contains(&live.name());
        let Some(variance) = live.variance().filter(|_| is_tested) else { continue };
        let variance = variance.peek().unwrap();
        if variance.all_finite() {
            variances += 1;
            for ((values, &mean), &expected) in elements.iter().zip(mean.as_slice()).zip(variance.as_slice()) {
                assert_mean(&values.iter().map(|x| (x - mean).powi(2)).collect::<Vec<_>>(), expected);
            }
        }
    }
    assert!(means > 35 && variances > 30, "{means} distributions state their mean, {variances} their variance");
}

#[test]
#[should_panic(expected = "scale must be a positive finite number, got -1")]
fn a_parameter_outside_its_domain_is_named() {
    let tape = Tape::<f64>::new();
    let normal = Normal::new(tape.constant(0.0), -1.0).to_tensors().unwrap();
    let _: Tensor<f64> = rand::distr::Distribution::sample(&normal, &mut ChaCha8Rng::seed_from_u64(1));
}

#[test]
fn both_traits_may_be_in_scope() {
    use rand::distr::Distribution as _;
    use stochgrad_distributions::Distribution as _;
    let tape = Tape::<f64>::new();
    let live = Bernoulli::from_probabilities(tape.constant([0.0, 1.0]));
    let noise = KeyedNoise::new(1, 0);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
    let fixed = Bernoulli::from_probabilities(Tensor::from([0.0, 1.0]));
    let sample: Tensor<f64> = fixed.sample(&mut ChaCha8Rng::seed_from_u64(1));
    assert_eq!(sample, live.sample(&draw).unwrap().peek().unwrap());
}
