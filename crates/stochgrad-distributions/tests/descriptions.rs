//! Every primitive of the library describes itself by recorded operations, with equal values.

#[macro_use]
mod catalogue;

use catalogue::vector;
use std::collections::{BTreeSet, HashSet};
use stochgrad_distributions::*;
use stochgrad_tape::{Plate, PlateKind, Plates, Tape, Var};
use stochgrad_tensor::Tensor;

/// Records values whose derivatives are compared too.
type Record = for<'t> fn(&'t Tape<f64>, &[Var<'t, f64>], &Draw<'_, f64>) -> Vec<Var<'t, f64>>;

/// A sample along its path, where it has one.
macro_rules! drawn {
    ($distribution:ident, $draw:ident,) => { $distribution.sample($draw) };
    ($distribution:ident, $draw:ident, path $($rest:ident)*) => { $distribution.rsample($draw) };
    ($distribution:ident, $draw:ident, $can:ident $($rest:ident)*) => { drawn!($distribution, $draw, $($rest)*) };
}

/// The values of weak derivatives, where there are some.
macro_rules! weak {
    ($distribution:ident, $sample:ident, $draw:ident,) => { Vec::new() };
    ($distribution:ident, $sample:ident, $draw:ident, weak $($rest:ident)*) => {
        match $distribution.weak_derivative(0, $sample, $draw) {
            Ok(Some(alternatives)) => alternatives.values,
            _ => Vec::new(),
        }
    };
    ($distribution:ident, $sample:ident, $draw:ident, $can:ident $($rest:ident)*) => {
        weak!($distribution, $sample, $draw, $($rest)*)
    };
}

macro_rules! cases {
    ($($name:literal $ordinary:expr, [$($can:ident)*] => |$tape:pat_param, $p:pat_param| $build:expr;)*) => {
        vec![$(($name, &$ordinary as &[f64], {
            let record: Record = |tape, own, draw| {
                let ($tape, $p) = (tape, own);
                let distribution = $build;
                let sample = drawn!(distribution, draw, $($can)*).expect("a sample");
                let sample = tape.sample(tape.new_site(), sample, &[]);
                let mut values = vec![sample, distribution.log_prob(sample)];
                let parts: Vec<Var<'_, f64>> = weak!(distribution, sample, draw, $($can)*);
                values.extend(parts);
                values
            };
            record
        })),*]
    };
}

/// Compares the primitives behind some values with their descriptions, and returns their names.
fn compare(name: &str, values: &[Var<'_, f64>]) -> BTreeSet<String> {
    let (mut pending, mut seen, mut names) = (values.to_vec(), HashSet::new(), BTreeSet::new());
    while let Some(var) = pending.pop() {
        if !seen.insert(var.id()) {
            continue;
        }
        let inputs = var.inputs();
        if let Some(primitive) = var.tape().primitive(var) {
            let described = primitive
                .as_operations(&inputs)
                .unwrap_or_else(|| panic!("{name}: \"{}\" has no description", primitive.name()));
            for refusal in &described.refusals {
                let refused = refusal.elements.peek().expect("elements");
                assert!(
                    refused.as_slice().iter().all(|&x| x == 0.0),
                    "{name}: {}: {}",
                    primitive.name(),
                    refusal.message
                );
            }
            let (expected, found) = (var.peek().expect("a value"), described.value.peek().expect("a value"));
            let found = described.value.tape().constant_on(&described.value.plates(), &found);
            let found = found.expand_plates(&var.plates()).peek().expect("a value");
            assert_eq!(found.shape(), expected.shape(), "{name}: {}", primitive.name());
            for (&found, &expected) in found.as_slice().iter().zip(expected.as_slice()) {
                let near = (found - expected).abs() <= 1e-11 * expected.abs() || (found.is_nan() && expected.is_nan());
                assert!(found == expected || near, "{name}: {}: {found:e}, not {expected:e}", primitive.name());
            }
            names.insert(primitive.name().to_owned());
        }
        pending.extend(inputs);
    }
    names
}

fn request<'a>(tape: &'a Tape<f64>, noise: &'a KeyedNoise, plate: Plate) -> Draw<'a, f64> {
    Draw::new(tape, noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]))
}

fn names_of(name: &str, parameters: &[f64], record: Record) -> BTreeSet<String> {
    let names = |wanted: Option<usize>| {
        let tape = Tape::<f64>::new();
        let noise = KeyedNoise::new(7, 0);
        let plate = tape.plate("samples", 5, PlateKind::Samples, &[]);
        let own: Vec<Var<'_, f64>> = parameters.iter().map(|&x| tape.parameter(x)).collect();
        let mut values = record(&tape, &own, &request(&tape, &noise, plate));
        if let Some(wanted) = wanted {
            let cost = values.iter().map(|value| value.sum().mean_over(plate)).reduce(|a, b| a + b).expect("values");
            // A derivative with respect to a count is an error.
            match tape.grad(cost, [own[wanted]]) {
                Ok([gradient]) if gradient.peek().is_ok() => values.push(gradient),
                _ => return BTreeSet::new(),
            }
        }
        compare(name, &values)
    };
    (0..parameters.len()).fold(names(None), |mut all, wanted| {
        all.extend(names(Some(wanted)));
        all
    })
}

#[test]
fn primitives_are_described() {
    let mut names = BTreeSet::new();
    for (name, parameters, record) in all_distributions!(cases) {
        names.extend(names_of(name, parameters, record));
    }
    names.extend(names_of("covariance", &[2.0, 0.4, 0.4, 1.5], |tape, p, draw| {
        let covariance = vector(p).reshape([2, 2]);
        let distribution = MultivariateNormal::from_covariance(tape.constant([0.0, 1.0]), covariance);
        vec![distribution.rsample(draw).expect("a sample")]
    }));
    names.extend(names_of("proposals", &[0.7], |_, p, draw| {
        let noise = WeakNoise::Proposal { augmentation: 1 };
        vec![Gamma::new(p[0], 1.0).weak_rsample(draw, noise).expect("a path").value]
    }));
    let expected = [
        "base value of a sample",
        "concentrations of proposals",
        "counts of categories",
        "derivative of a sample",
        "derivative of angles",
        "derivative of cosines",
        "derivative of gamma variates",
        "draw with its logarithm",
        "logarithm of a weighted sum",
        "outside the support",
        "path of angles",
        "path of cosines",
        "path of gamma variates",
        "regular factor",
        "sample with its base value",
        "symmetric matrix",
        "values within limits",
        "weak derivative of a beta variate",
        "weak derivative of a gamma variate",
        "whole number",
    ];
    let missing: Vec<&str> = expected.into_iter().filter(|&name| !names.contains(name)).collect();
    assert!(missing.is_empty(), "not compared: {missing:?}; compared: {names:?}");
}

/// What a primitive refuses is refused by its description.
#[test]
fn refusals_are_described() {
    let tape = Tape::<f64>::new();
    let good = tape.parameter(Tensor::new(vec![1.0, 0.2, 0.2, 1.0], [2, 2]).unwrap());
    let location = tape.constant([0.0, 0.0]);
    let distribution = MultivariateNormal::from_covariance(location, good);
    let noise = KeyedNoise::new(7, 0);
    let plate = tape.plate("samples", 2, PlateKind::Samples, &[]);
    let sample = distribution.sample(&request(&tape, &noise, plate)).unwrap();
    let (mut pending, mut found) = (vec![sample], None);
    while let Some(var) = pending.pop() {
        found = found.or(tape.primitive(var).filter(|primitive| primitive.name() == "symmetric matrix"));
        pending.extend(var.inputs());
    }
    let skewed = tape.parameter(Tensor::new(vec![1.0, 0.2, 0.3, 1.0], [2, 2]).unwrap());
    let described = found.expect("a check of symmetry").as_operations(&[skewed]).unwrap();
    assert_eq!(described.refusals[0].elements.peek().unwrap().to_vec(), [0.0, 1.0, 1.0, 0.0]);
}
