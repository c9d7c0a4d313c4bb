//! Gradients for tests.

use stochgrad_graph::Gradients;
use stochgrad_tensor::Tensor;

use crate::parameters::Parameters;

/// One parameter `x`.
pub(crate) fn one_parameter(value: Tensor<f64>) -> Parameters<f64> {
    let mut parameters = Parameters::new();
    parameters.insert("x", value).unwrap();
    parameters
}

/// The parameters `w`, a matrix, and `a`, a scalar.
pub(crate) fn two_parameters() -> Parameters<f64> {
    let mut parameters = Parameters::new();
    parameters.insert("w", Tensor::from([[1.0, 2.0], [3.0, 4.0]])).unwrap();
    parameters.insert("a", Tensor::scalar(5.0)).unwrap();
    parameters
}

/// Gradients of some of the parameters, which need not be finite.
pub(crate) fn gradients(parameters: &Parameters<f64>, slopes: &[(&str, Tensor<f64>)]) -> Gradients<f64> {
    assert!(slopes.iter().all(|(name, _)| parameters.get(name).is_some()));
    Gradients::from_tensors(slopes.iter().cloned())
}
