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

/// Gradients with given values, by the cost `Σ slope · parameter`.
pub(crate) fn gradients(parameters: &Parameters<f64>, slopes: &[(&str, Tensor<f64>)]) -> Gradients<f64> {
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let model = parameters.on(&graph);
    for (name, slope) in slopes {
        let parameter = model.param(name).unwrap();
        let cost = (parameter * graph.constant(slope)).sum();
        graph.cost(name, cost).unwrap();
    }
    graph.backward().unwrap()
}
