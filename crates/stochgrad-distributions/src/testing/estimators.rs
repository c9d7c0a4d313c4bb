//! Estimates of the derivative of an expected cost by all capabilities of a distribution, which must agree. A wrong
//! density, sampler, path or weak derivative makes them differ. For distributions of vectors, matrices and sequences.

use crate::distribution::{Alternatives, SamplePath};
use crate::noise::KeyedNoise;
use crate::testing::samples::{Build, mean_and_error, on_samples};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

/// Numbers as a vector.
pub(crate) fn vector<'t>(numbers: &[Var<'t, f64>]) -> Var<'t, f64> {
    Var::stack(numbers).expect("numbers of one tape")
}

/// A number for each draw.
pub(crate) type Cost = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;

/// An estimate of the derivative with respect to one number, with its standard error.
type Estimate = (f64, f64);

/// Sums alternatives as a slope with respect to their parameter.
fn slope_of<'t>(cost: Cost, sample: Var<'t, f64>, parts: &Alternatives<'t, f64>) -> Var<'t, f64> {
    let here = cost(sample);
    let terms = parts.values.iter().zip(&parts.weights).map(|(values, weights)| {
        let change = cost(values.expand_plates(&sample.plates())) - here;
        let axes = weights.shape().len().saturating_sub(change.shape().len());
        *weights * (0..axes).fold(change, |change, _| change.unsqueeze(-1))
    });
    terms.reduce(|a, b| a + b).expect("alternatives").stop_gradient()
}

/// The estimates by the score, along the path and by the weak derivatives, of the derivative with respect to each
/// number of the parameters, agree within four and a half standard errors; and so does the exact derivative, where it
/// is given.
///
/// `build` makes the distribution of a single element from the numbers; `fixed` are the numbers without a derivative.
pub(crate) fn check_estimators(
    build: Build,
    parameters: &[f64],
    fixed: &[usize],
    cost: Cost,
    exact: Option<&[f64]>,
    seed: u64,
) {
    const COUNT: usize = 10_000;
    let tape = Tape::<f64>::new();
    let noise = KeyedNoise::new(seed, 0);
    let draw = on_samples(&tape, &noise, COUNT);
    let plate = draw.plates()[0];
    let copies: Vec<Var<'_, f64>> = parameters.iter().map(|&p| tape.parameter(vec![p; COUNT])).collect();
    let leaves: Vec<Var<'_, f64>> = copies.iter().map(|copy| copy.event_to_plate(plate)).collect();
    let distribution = build(&leaves);
    distribution.validate().expect("parameters in their domain");
    let can = distribution.capabilities();
    let sample = draw.record(&tape, distribution.draw(&draw).expect("draws"));
    let gradients = |each: Var<'_, f64>| -> Vec<Option<Estimate>> {
        let all = tape.backward_all(each.sum().sum_over(plate), &copies).expect("gradients");
        all.iter().map(|gradient: &Tensor<f64>| Some(mean_and_error(gradient.as_slice()))).collect()
    };
    let mut found: Vec<(String, Vec<Option<Estimate>>)> = Vec::new();
    let costs = cost(sample);
    if can.score.is_some() {
        // A baseline makes the estimate of the score sharper.
        let centred = (costs - costs.mean_over(plate)).stop_gradient();
        found.push(("score".into(), gradients(distribution.log_prob(sample) * centred)));
    }
    if let Some(path) = can.reparameterized {
        found.push(("path".into(), gradients(cost(path.rsample(&draw).expect("a path")))));
    }
    let own = distribution.parameters();
    let depends: Vec<Vec<bool>> = own
        .iter()
        .map(|parameter| {
            let all = tape.backward_all(parameter.var.sum().sum_over(plate), &copies).expect("gradients");
            all.iter().map(|gradient| gradient.as_slice().iter().any(|&g| g != 0.0)).collect()
        })
        .collect();
    for (index, parameter) in own.iter().enumerate() {
        if parameter.path == SamplePath::None {
            let paths = found.iter_mut().filter(|(what, _)| what == "path");
            paths.for_each(|(_, values)| {
                values.iter_mut().zip(&depends[index]).for_each(|(value, on)| *value = value.filter(|_| !on));
            });
        }
        let Some(weak) = can.weak_derivative else { continue };
        let Some(parts) = weak.weak_derivative(index, sample, &draw).expect("a weak derivative or none") else {
            continue;
        };
        let mut values = gradients(slope_of(cost, sample, &parts) * parameter.var);
        values.iter_mut().zip(&depends[index]).for_each(|(value, on)| *value = value.filter(|_| *on));
        found.push((format!("weak derivative by {}", parameter.name), values));
    }
    if let Some(exact) = exact {
        found.insert(0, ("exact derivative".into(), exact.iter().map(|&value| Some((value, 0.0))).collect()));
    }
    for at in (0..parameters.len()).filter(|at| !fixed.contains(at)) {
        let here: Vec<(&str, Estimate)> =
            found.iter().filter_map(|(what, values)| Some((what.as_str(), values[at]?))).collect();
        assert!(here.len() >= 2, "{}, number {at}: nothing to compare with {here:?}", distribution.name());
        let (first, (value, error)) = here[0];
        for (what, (other, others)) in &here[1..] {
            let near = 4.5 * error.hypot(*others) + 1e-9 * value.abs().max(1.0);
            assert!(
                (value - other).abs() <= near,
                "{} at {parameters:?}, number {at}: {value} ± {error} by the {first}, {other} ± {others} by the {what}",
                distribution.name()
            );
        }
    }
}

/// Means and variances of many draws are those that the distribution states, within four and a half standard errors;
/// so is the mean of the log-probability, where the entropy is known.
pub(crate) fn check_moments(build: Build, parameters: &[f64], seed: u64) {
    const COUNT: usize = 10_000;
    let tape = Tape::<f64>::new();
    let noise = KeyedNoise::new(seed, 0);
    let draw = on_samples(&tape, &noise, COUNT);
    let leaves: Vec<Var<'_, f64>> = parameters.iter().map(|&p| tape.constant(p)).collect();
    let distribution = build(&leaves);
    let drawn = distribution.draw(&draw).expect("draws");
    let size = drawn.len() / COUNT;
    let column = |tensor: &Tensor<f64>, at: usize| -> Vec<f64> {
        tensor.as_slice().iter().skip(at).step_by(size).copied().collect()
    };
    let compare = |what: &str, values: &[f64], expected: f64| {
        let (mean, error) = mean_and_error(values);
        let near = 4.5 * error + 1e-9 * expected.abs().max(1.0);
        assert!(
            (mean - expected).abs() <= near,
            "{} at {parameters:?}: {what}: {mean} ± {error}, expected {expected}",
            distribution.name()
        );
    };
    let mean = distribution.mean().map(|mean| mean.peek().expect("a mean"));
    let variance = distribution.variance().map(|variance| variance.peek().expect("a variance"));
    for at in 0..size {
        let values = column(&drawn, at);
        let Some(mean) = mean.as_ref().map(|mean| mean.as_slice()[at]) else { break };
        compare(&format!("mean of number {at}"), &values, mean);
        let Some(variance) = variance.as_ref().map(|variance| variance.as_slice()[at]) else { continue };
        let squares: Vec<f64> = values.iter().map(|x| (x - mean).powi(2)).collect();
        compare(&format!("variance of number {at}"), &squares, variance);
    }
    if let Some(entropy) = distribution.capabilities().entropy {
        let logs = distribution.log_prob(draw.record(&tape, drawn)).peek().expect("log-probabilities");
        compare("mean log-probability", logs.as_slice(), -entropy.entropy().item().expect("an entropy"));
    }
}
