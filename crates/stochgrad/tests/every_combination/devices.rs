//! Methods and distributions on a device, with the results of the CPU: equal draws, and values and gradients to
//! rounding.
//!
//! By default each method runs on one shape of graph for each kind of node, and each distribution with one of its
//! methods. With the variable `ALL_COMBINATIONS`, all of them run, which takes an hour.

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
const TOLERANCE: f64 = 1e-11;

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

#[test]
fn methods_and_distributions_agree_on_a_device() {
    let Some(plugin) = plugin_for_test("methods_and_distributions_agree_on_a_device").unwrap() else { return };
    let device = Device::new(plugin.client(&[]).unwrap(), 0);
    let all = std::env::var_os("ALL_COMBINATIONS").is_some();
    let (mut runs, mut failures) = (0, Vec::new());
    let mut count = |what: String, run: Run| {
        match run {
            Run::Refused => return false,
            Run::Agrees => {}
            Run::Fails(message) => failures.push(format!("{what}: {message}")),
        }
        runs += 1;
        true
    };
    for (number, subject) in entries().iter().flat_map(|entry| &entry.subjects).enumerate() {
        for shift in 0..models::ALL.len() {
            let (shape, model) = models::ALL[(number + shift) % models::ALL.len()];
            let what = format!("{} on {}: {shape}", subject.name, subject.title.to_lowercase());
            if count(what, run(&device, &|graph, _| model(graph, &*subject.draw))) && !all {
                break;
            }
        }
    }
    for row in rows() {
        for (can, step) in &row.steps {
            let of_first = |graph: &Graph<'_, f64>, at: usize| {
                let mut now = row.ordinary.to_vec();
                if let Some(value) = now.first_mut() {
                    *value = values(row.ordinary, at)[0];
                }
                step(graph, &now, 0)
            };
            if count(format!("{}: {can}", row.distribution), run(&device, &of_first)) && !all {
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{} of {runs} graphs:\n{}", failures.len(), failures.join("\n"));
    assert!(runs > 100, "expected more than 100 graphs, got {runs}");
}
