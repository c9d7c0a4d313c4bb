//! An affine layer with its buffers.

use super::elementwise;
use super::product::{Matrix, multiply};

/// The slope of the leaky rectifier below 0.
const SLOPE: f32 = 0.1;

/// Weights `[inputs, outputs]`, biases `[outputs]`, their gradients, and the layer's values for `rows` rows.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) weight_gradient: Vec<f32>,
    pub(crate) bias_gradient: Vec<f32>,
    /// The layer's output, after its activation: `[rows, outputs]`.
    pub(crate) value: Vec<f32>,
    /// The derivative of the loss with respect to the output before the activation: `[rows, outputs]`.
    pub(crate) adjoint: Vec<f32>,
    inputs: usize,
    outputs: usize,
    rows: usize,
}

impl Dense {
    /// A layer with the given parameters.
    pub(crate) fn new(weight: Vec<f32>, bias: Vec<f32>, rows: usize) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs;
        assert_eq!(weight.len(), inputs * outputs);
        Self {
            weight_gradient: vec![0.0; weight.len()],
            bias_gradient: vec![0.0; outputs],
            value: vec![0.0; rows * outputs],
            adjoint: vec![0.0; rows * outputs],
            weight,
            bias,
            inputs,
            outputs,
            rows,
        }
    }

    /// Computes only the product of the forward pass.
    pub(crate) fn product(&mut self, input: &[f32]) {
        let input = Matrix::new(input, [self.rows, self.inputs]);
        multiply(&mut self.value, input, Matrix::new(&self.weight, [self.inputs, self.outputs]));
    }

    /// Computes the output without an activation.
    pub(crate) fn affine(&mut self, input: &[f32]) {
        self.product(input);
        elementwise::add_bias(&mut self.value, &self.bias);
    }

    /// Computes the output with the leaky rectifier.
    pub(crate) fn rectified(&mut self, input: &[f32]) {
        self.product(input);
        elementwise::add_bias_and_rectify(&mut self.value, &self.bias, SLOPE);
    }

    /// Computes only the product that gives the gradient of the weights.
    pub(crate) fn weight_product(&mut self, input: &[f32]) {
        let input = Matrix::new(input, [self.rows, self.inputs]).transpose();
        multiply(&mut self.weight_gradient, input, Matrix::new(&self.adjoint, [self.rows, self.outputs]));
    }

    /// Computes the gradients of the parameters from the adjoint.
    pub(crate) fn parameter_gradients(&mut self, input: &[f32]) {
        self.weight_product(input);
        elementwise::sum_of_rows(&mut self.bias_gradient, &self.adjoint);
    }

    /// Computes the derivative of the loss with respect to the input.
    pub(crate) fn input_gradient(&self, out: &mut [f32]) {
        let weight = Matrix::new(&self.weight, [self.inputs, self.outputs]).transpose();
        multiply(out, Matrix::new(&self.adjoint, [self.rows, self.outputs]), weight);
    }

    /// Turns the adjoint of the output after the leaky rectifier into that of the output before it.
    pub(crate) fn through_rectifier(&mut self) {
        elementwise::through_rectifier(&mut self.adjoint, &self.value, SLOPE);
    }
}
