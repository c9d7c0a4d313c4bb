//! Samples for the checks, and statistics of them.

use crate::distribution::Distribution;
use crate::noise::{Draw, KeyedNoise, NoiseKey};
use stochgrad_tape::{PlateKind, Plates, Tape, Var};

pub(crate) const SAMPLES: usize = 100_000;

/// A distribution of numbers from its parameters, each a number on one tape.
pub type Build = for<'t> fn(&[Var<'t, f64>]) -> Box<dyn Distribution<'t, f64> + 't>;

/// The mean and its standard error.
pub(crate) fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// The mean is the expected one within four standard errors.
#[track_caller]
pub(crate) fn assert_mean(what: &str, values: &[f64], expected: f64) {
    let (mean, error) = mean_and_error(values);
    assert!(
        (mean - expected).abs() <= 4.0 * error + 1e-9 * expected.abs(),
        "{what}: expected {expected}, got {mean} ± {error}"
    );
}

/// Sorted probabilities are those of uniform samples, by the test of Kolmogorov and Smirnov.
#[track_caller]
pub(crate) fn assert_uniform(what: &str, probabilities: &[f64]) {
    let n = probabilities.len() as f64;
    let distance = probabilities
        .iter()
        .enumerate()
        .fold(0.0_f64, |worst, (i, &p)| worst.max((p - i as f64 / n).abs()).max((p - (i as f64 + 1.0) / n).abs()));
    let statistic = distance * n.sqrt();
    assert!(statistic < 1.95, "{what}: expected a Kolmogorov-Smirnov statistic below 1.95, got {statistic}");
}

/// Values are equal within a tolerance relative to one plus their size.
///
/// # Panics
/// If their numbers differ, and at the first pair that differs by more.
#[track_caller]
pub fn assert_close(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "lengths of {got:?} and {expected:?}");
    for (at, (one, exact)) in got.iter().zip(expected).enumerate() {
        assert!(
            (one - exact).abs() <= tolerance * (1.0 + exact.abs()),
            "position {at}: expected {exact} within {tolerance}, got {one}; all: {got:?} where {expected:?} is exact"
        );
    }
}

/// Leaves with the given values.
pub(crate) fn leaves<'t>(tape: &'t Tape<f64>, parameters: &[f64]) -> Vec<Var<'t, f64>> {
    parameters.iter().map(|&parameter| tape.parameter(parameter)).collect()
}

/// A request on a plate of many samples.
pub(crate) fn request<'a>(tape: &'a Tape<f64>, noise: &'a KeyedNoise) -> Draw<'a, f64> {
    on_samples(tape, noise, SAMPLES)
}

/// A request on a plate of samples.
pub(crate) fn on_samples<'a>(tape: &'a Tape<f64>, noise: &'a KeyedNoise, count: usize) -> Draw<'a, f64> {
    let plate = tape.plate("samples", count, PlateKind::Samples, &[]);
    Draw::new(tape, noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]))
}

/// The sample variance.
#[cfg(test)]
pub(crate) fn variance(values: &[f64]) -> f64 {
    let (_, error) = mean_and_error(values);
    error * error * values.len() as f64
}
