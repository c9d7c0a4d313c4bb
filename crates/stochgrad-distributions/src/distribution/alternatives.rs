//! Alternative values of a node, whose weighted differences are a derivative of its distribution.

use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

/// Alternative values of a node with signed weights, for each independent element.
///
/// The derivative of `E[f(x)]` with respect to coordinate `c` of the parameter of element `e` is the expectation of
/// `Σ_a weights[a][e, c] · (f(x with element e replaced by values[a][e]) − f(x))`.
#[derive(Clone, Debug)]
pub struct Alternatives<F: Real> {
    /// Each has the shape of the sample, with every element replaced. Methods use them one element at a time.
    pub values: Vec<Tensor<F>>,
    /// Each has the plate and independent axes of the sample, then the axes of the parameter within one element.
    pub weights: Vec<Tensor<F>>,
}

/// [`Alternatives`] recorded on the tape.
#[derive(Clone, Debug)]
pub struct RecordedAlternatives<'t, F: Real> {
    /// Each has the shape of the primal sample.
    pub values: Vec<Var<'t, F>>,
    /// Each broadcasts to the plate and independent axes of the sample, then the axes of the parameter within one
    /// element.
    pub weights: Vec<Var<'t, F>>,
}

/// The side to which a stochastic derivative perturbs the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Side {
    /// Upwards.
    Right,
    /// Downwards.
    Left,
    /// The mean of both.
    #[default]
    TwoSided,
}
