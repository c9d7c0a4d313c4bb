//! Gradients for tests.

use stochgrad_graph::{Gradients, Graph, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

use crate::parameters::Parameters;

/// One parameter `x`.
pub(crate) fn one_parameter(value: Tensor<f64>) -> Parameters<f64> {
    let mut parameters = Parameters::new();
    parameters.insert("x", value).unwrap();
    parameters
}

/// Gradients with given values, which need not be finite.
pub(crate) fn gradients(parameters: &Parameters<f64>, slopes: &[(&str, Tensor<f64>)]) -> Gradients<f64> {
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let model = parameters.on(&graph);
    for (name, _) in slopes {
        let parameter = model.param(name).unwrap();
        graph.cost(name, parameter.sum()).unwrap();
    }
    let mut gradients = graph.backward().unwrap();
    for (name, gradient) in gradients.iter_mut() {
        if let Some((_, slope)) = slopes.iter().find(|(other, _)| *other == name) {
            gradient.clone_from(slope);
        }
    }
    gradients
}
