//! Methods and distributions on a device, with the results of the CPU: equal draws, and values and gradients to
//! rounding.
//!
//! By default each method runs on one shape of graph for each kind of node, and each distribution with one of its
//! methods. With the variable `ALL_COMBINATIONS`, all of them run, which takes an hour.

use crate::cores::on_all_cores;
use crate::entries::entries;
use crate::rows::rows;
use crate::{inputs, values};
use stochgrad::check::models;
use stochgrad::graph::{Gradients, GraphResult};
use stochgrad::prelude::*;
use stochgrad::tape::Tape;
use stochgrad_xla::pjrt::testing::plugin_for_test;
use stochgrad_xla::{Device, DeviceGraph, XlaError};

/// The largest difference of results, relative to the larger one of 1 and the result.
const TOLERANCE: f64 = 1e-12;

/// What became of a graph.
enum Run {
    /// The method refuses it, on the CPU as well.
    Refused,
    /// The results agree.
    Agrees,
    /// What is wrong, or why it cannot be lowered.
    Fails(String),
}

fn close(found: f64, expected: f64) -> bool {
    found == expected || (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
}

/// The difference between the results of a device and of the CPU, if there is one.
fn difference(found: &Gradients<f64>, expected: &Gradients<f64>) -> Option<String> {
    for ((name, found), (_, expected)) in found.iter().zip(expected.iter()) {
        if !found.as_slice().iter().zip(expected.as_slice()).all(|(&found, &expected)| close(found, expected)) {
            return Some(format!("the gradient of {name} is {found:?}, expected {expected:?}"));
        }
    }
    let costs =
        found.costs().iter().zip(expected.costs()).find(|((_, found), (_, expected))| !close(*found, *expected));
    costs.map(|((name, found), (_, expected))| format!("the cost {name} is {found:?}, expected {expected:?}"))
}

/// Runs a graph on the device and on the CPU.
fn run(device: &Device, record: &dyn Fn(&Graph<'_, f64>, usize) -> GraphResult<()>) -> Run {
    let seed = |step: usize| Seed::new(11).step(step);
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, seed(0));
    if record(&graph, 0).and_then(|()| graph.backward()).is_err() {
        return Run::Refused;
    }
    let Ok(mut compiled) = graph.compile() else { return Run::Refused };
    let on_device: Result<DeviceGraph<f64>, XlaError> = device.compile(&compiled);
    let mut on_device = match on_device {
        Ok(on_device) => on_device,
        Err(error) => return Run::Fails(error.to_string()),
    };
    let mut compare = |step: usize| -> Result<Option<String>, Box<dyn std::error::Error>> {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, seed(step));
        record(&graph, step)?;
        for (name, value) in inputs(&graph, &compiled)? {
            compiled.set(&name, &value)?;
            on_device.set(&name, &value)?;
        }
        on_device.run(seed(step))?;
        Ok(difference(&on_device.gradients()?, compiled.run(seed(step))?))
    };
    for step in 1..3 {
        match compare(step) {
            Ok(None) => {}
            Ok(Some(message)) => return Run::Fails(format!("step {step}: {message}")),
            Err(error) => return Run::Fails(format!("step {step}: {error}")),
        }
    }
    Run::Agrees
}

/// The names and outcomes of the runs of a method: for each kind of node all of them, or up to the first one that it does
/// not refuse.
fn of_method(device: &Device, number: usize, all: bool) -> Vec<(String, Run)> {
    let entries = entries();
    let mut runs = Vec::new();
    for (kind, subject) in entries[number].subjects.iter().enumerate() {
        for shift in 0..models::ALL.len() {
            let (shape, model) = models::ALL[(number + kind + shift) % models::ALL.len()];
            let outcome = run(device, &|graph, _| model(graph, &*subject.draw));
            let is_refused = matches!(outcome, Run::Refused);
            runs.push((format!("{} on {}: {shape}", subject.name, subject.title.to_lowercase()), outcome));
            if !is_refused && !all {
                break;
            }
        }
    }
    runs
}

/// The names and outcomes of the runs of a distribution: all of them, or the first one that is not refused.
fn of_distribution(device: &Device, number: usize, all: bool) -> Vec<(String, Run)> {
    let row = &rows()[number];
    let mut runs = Vec::new();
    for (can, step) in &row.steps {
        let of_first = |graph: &Graph<'_, f64>, at: usize| {
            let mut now = row.ordinary.to_vec();
            if let Some(value) = now.first_mut() {
                *value = values(row.ordinary, at)[0];
            }
            step(graph, &now, 0)
        };
        let outcome = run(device, &of_first);
        let is_refused = matches!(outcome, Run::Refused);
        runs.push((format!("{}: {can}", row.distribution), outcome));
        if !is_refused && !all {
            return runs;
        }
    }
    runs
}

#[test]
fn methods_and_distributions_agree_on_a_device() {
    let Some(plugin) = plugin_for_test("methods_and_distributions_agree_on_a_device").unwrap() else { return };
    let all = std::env::var_os("ALL_COMBINATIONS").is_some();
    let (methods, distributions) = (entries().len(), rows().len());
    let device = || Device::new(plugin.client(&[]).unwrap(), 0);
    let outcomes = on_all_cores(methods + distributions, device, |device, at| match at.checked_sub(methods) {
        None => of_method(device, at, all),
        Some(number) => of_distribution(device, number, all),
    });
    let outcomes: Vec<(String, Run)> = outcomes.into_iter().flatten().collect();
    let runs = outcomes.iter().filter(|(_, outcome)| !matches!(outcome, Run::Refused)).count();
    let failures: Vec<String> = outcomes
        .iter()
        .filter_map(|(what, outcome)| match outcome {
            Run::Fails(message) => Some(format!("{what}: {message}")),
            _ => None,
        })
        .collect();
    assert!(failures.is_empty(), "{} of {runs} graphs:\n{}", failures.len(), failures.join("\n"));
    assert!(runs > 100, "expected more than 100 graphs, got {runs}");
}
