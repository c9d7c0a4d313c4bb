//! Gradients for tests.

use stochgrad_graph::Gradients;
use stochgrad_tensor::Tensor;

use crate::optimizers::Optimizer;
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

/// Checks the parameter after six steps from (1, −2, 1/4), whose gradients at step t are x³ − cos(t) · (1, 1/2, −2).
pub(crate) fn assert_six_steps(optimizer: &mut dyn Optimizer<f64>, expected: [f64; 3]) {
    let mut parameters = one_parameter(Tensor::from([1.0, -2.0, 0.25]));
    for step in 0..6 {
        let x = parameters.get("x").unwrap().as_slice();
        let slopes: [f64; 3] = std::array::from_fn(|i| x[i].powi(3) - f64::from(step).cos() * [1.0, 0.5, -2.0][i]);
        let gradients = gradients(&parameters, &[("x", Tensor::from(slopes))]);
        optimizer.step(&mut parameters, &gradients).unwrap();
    }
    let found = parameters.get("x").unwrap().as_slice();
    let near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12);
    assert!(near, "{found:?}, expected {expected:?}");
}
