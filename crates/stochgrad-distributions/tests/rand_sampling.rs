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

/// The mean of many samples is within five standard errors of the stated mean.
#[test]
fn samples_have_the_stated_mean() {
    const SAMPLES: usize = 2000;
    let mut stated = 0;
    for (number, entry) in entries().into_iter().enumerate() {
        let tape = Tape::new();
        let live = (entry.build)(&tape, &leaves(&tape, entry.ordinary));
        let Some(mean) = live.mean() else { continue };
        let mean = mean.peek().unwrap();
        if !mean.all_finite() {
            continue;
        }
        stated += 1;
        let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
        let sampler = (entry.sampler)(entry.ordinary);
        let samples: Vec<Tensor<f64>> = (0..SAMPLES).map(|_| sampler(&mut rng)).collect();
        for (at, expected) in mean.as_slice().iter().enumerate() {
            let values = samples.iter().map(|sample| sample.as_slice()[at]);
            let average = values.clone().sum::<f64>() / SAMPLES as f64;
            let variance = values.map(|x| (x - average).powi(2)).sum::<f64>() / (SAMPLES - 1) as f64;
            let error = (variance / SAMPLES as f64).sqrt();
            assert_relative_eq!(average, expected, epsilon = 5.0 * error, max_relative = 1e-12);
        }
    }
    assert!(stated > 35, "{stated} distributions state their mean");
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
