//! Log-probabilities, distribution functions, moments, entropies, scores, implicit derivatives and divergences against
//! values that were computed with forty digits from the definitions (`golden/generate.py`).

mod catalogue;
mod golden_rows;
mod pairs;

use catalogue::{Entry, entries};
use golden_rows::{Row, rows};
use std::collections::BTreeMap;
use stochgrad_tape::{Tape, Var};

fn leaves<'t>(tape: &'t Tape<f64>, parameters: &[f64]) -> Vec<Var<'t, f64>> {
    parameters.iter().map(|&parameter| tape.parameter(parameter)).collect()
}

/// The position of a parameter by its name, or, for vectors, by its number.
fn position(entry: &Entry, name: &str) -> usize {
    let named = entry.parameters().iter().position(|parameter| *parameter == name);
    named.or(name.parse().ok()).expect("a parameter")
}

/// The value of the library for a row. `None` where it does not offer the function.
fn computed(entry: &Entry, row: &Row) -> Option<Vec<f64>> {
    let tape = Tape::new();
    let parameters = leaves(&tape, &row.parameters);
    let distribution = (entry.build)(&tape, &parameters);
    let value = || {
        let shape = distribution.event_shape();
        tape.constant(stochgrad_tensor::Tensor::from(row.argument.as_slice()).with_shape(shape))
    };
    let list = |var: Var<'_, f64>| Some(var.peek().expect("a value").to_vec());
    let by = |scalar: Var<'_, f64>, name: &str| {
        let [gradient] = tape.backward(scalar, [parameters[position(entry, name)]]).expect("a derivative");
        gradient.to_vec()
    };
    match row.function.split_once('/').unwrap_or((row.function.as_str(), "")) {
        ("log_prob", _) => list(distribution.log_prob(value())),
        ("score", name) => Some(by(distribution.log_prob(value()), name)),
        ("cdf", _) => list(distribution.capabilities().cdf?.cdf(value())),
        ("icdf", _) => list(distribution.capabilities().icdf?.icdf(value())),
        ("implicit", name) => {
            // The derivative of the distribution function: the path's times the density.
            Some(by(-distribution.capabilities().cdf?.cdf(value()), name))
        }
        ("mean", _) => list(distribution.mean()?),
        ("variance", _) => list(distribution.variance()?),
        ("mode", _) => list(distribution.mode()?),
        ("entropy", _) => list(distribution.capabilities().entropy?.entropy()),
        (other, _) => panic!("no function {other}"),
    }
}

/// Relative to the largest of 1, the known value and, for a derivative with respect to a parameter, one over the
/// parameter: it is a difference of terms of that size.
fn error(got: f64, expected: f64, parameter: Option<f64>) -> f64 {
    let scale = parameter.filter(|p| *p != 0.0).map_or(0.0, |p| 1.0 / p.abs());
    let error = (got - expected).abs() / expected.abs().max(1.0).max(scale);
    match got == expected {
        true => 0.0,
        // NaN counts as the largest error.
        false if error.is_nan() => f64::INFINITY,
        false => error,
    }
}

/// The largest error allowed. Derivatives by a shape of a million are differences of terms of its size.
fn bound(function: &str) -> f64 {
    if function == "score" || function == "implicit" { 1e-10 } else { 1e-11 }
}

#[test]
fn known_values() {
    let distributions = entries();
    let mut worst: BTreeMap<(String, String), (f64, usize, String)> = BTreeMap::new();
    let mut missing: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows() {
        if row.function.starts_with("cost") {
            continue;
        }
        let (got, expected) = if row.function.starts_with("kl:") {
            match pairs::divergence(&row.distribution, &row.function[3..], &row.parameters) {
                Some(got) => (vec![got], row.value.clone()),
                None => {
                    missing.entry(row.function.clone()).or_default().push(row.distribution.clone());
                    continue;
                }
            }
        } else {
            let Some(entry) = distributions.iter().find(|entry| entry.distribution == row.distribution) else {
                missing.entry("distribution".into()).or_default().push(row.distribution.clone());
                continue;
            };
            let Some(got) = computed(entry, &row) else {
                missing.entry(row.function.clone()).or_default().push(row.distribution.clone());
                continue;
            };
            let mut expected = row.value.clone();
            if row.function.starts_with("implicit") {
                let tape = Tape::new();
                let distribution = (entry.build)(&tape, &leaves(&tape, &row.parameters));
                let density = distribution.log_prob(tape.constant(row.argument[0])).item().expect("a density").exp();
                expected[0] *= density;
            }
            (got, expected)
        };
        assert_eq!(got.len(), expected.len(), "{} {}", row.distribution, row.function);
        let name = row.function.split_once('/').map(|(_, name)| name);
        let parameter = name.and_then(|name| {
            let entry = distributions.iter().find(|entry| entry.distribution == row.distribution)?;
            Some(row.parameters[position(entry, name)])
        });
        // The effect of a rounding of the probability on its quantile.
        let spread = (row.function == "icdf").then(|| {
            let tape = Tape::new();
            let entry =
                distributions.iter().find(|entry| entry.distribution == row.distribution).expect("a distribution");
            let distribution = (entry.build)(&tape, &leaves(&tape, &row.parameters));
            row.argument[0] / distribution.log_prob(tape.constant(expected[0])).item().expect("a density").exp()
        });
        let parameter = parameter.or(spread.map(f64::recip));
        for (&got, &expected) in got.iter().zip(&expected) {
            let error = error(got, expected, parameter);
            let function = row.function.split('/').next().unwrap_or_default().to_string();
            let entry = worst.entry((row.distribution.clone(), function)).or_insert((0.0, 0, String::new()));
            entry.1 += 1;
            if error > entry.0 {
                let place = format!("{:?} at {:?}: {got:e}, expected {expected:e}", row.parameters, row.argument);
                (entry.0, entry.2) = (error, place);
            }
        }
    }
    let mut report = String::new();
    let mut failures = Vec::new();
    for ((distribution, function), (error, count, place)) in &worst {
        let line = format!("{distribution:44} {function:24} {count:4} values, worst {error:.1e}: {place}");
        report += &format!("{line}\n");
        if *error > bound(function) {
            failures.push(line);
        }
    }
    println!("{report}");
    for (what, distributions) in &mut missing {
        distributions.dedup();
        println!("not offered: {what}: {}", distributions.join("; "));
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), worst.len(), failures.join("\n"));
}
