//! Alternative values of a node, whose weighted differences are a derivative of its distribution.

use crate::error::DistributionResult;
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// Alternative values of a node with signed weights, for each independent element: recorded operations on the sample
/// and on noise. No gradient is meant to flow through them.
///
/// The derivative of `E[f(x)]` with respect to coordinate `c` of the parameter of element `e` is the expectation of
/// `Σ_a weights[a][e, c] · (f(x with element e replaced by values[a][e]) − f(x))`.
#[derive(Clone, Debug)]
pub struct Alternatives<'t, F: Real> {
    /// Each broadcasts to the sample, with every element replaced. Methods use them one element at a time.
    pub values: Vec<Var<'t, F>>,
    /// Each broadcasts to the plates and independent axes of the sample, and has the axes of the parameter within one
    /// element after them.
    pub weights: Vec<Var<'t, F>>,
}

impl<F: Real> Alternatives<'_, F> {
    /// The values and the weights as tensors, repeated along all plates and independent axes of the sample. `event` is
    /// the event shape of the distribution, and `element_rank` the rank of one element.
    ///
    /// # Errors
    /// The first error on the tape.
    #[expect(clippy::type_complexity, reason = "values and weights")]
    pub fn to_tensors(
        &self,
        plates: &[Plate],
        event: &Shape,
        element_rank: usize,
    ) -> DistributionResult<(Vec<Tensor<F>>, Vec<Tensor<F>>)> {
        let independent = &event[..event.len().saturating_sub(element_rank)];
        let full = |var: &Var<'_, F>, shape: Shape| Ok(var.broadcast_to(shape).expand_plates(plates).peek()?);
        let values = self.values.iter().map(|value| full(value, event.clone())).collect::<DistributionResult<_>>()?;
        let weights = self.weights.iter().map(|weight| {
            let own = weight.shape();
            let coordinates = own.iter().skip(independent.len());
            full(weight, independent.iter().chain(coordinates).copied().collect())
        });
        Ok((values, weights.collect::<DistributionResult<_>>()?))
    }
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
