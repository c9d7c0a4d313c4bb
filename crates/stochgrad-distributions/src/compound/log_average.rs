//! The logarithm of a weighted sum of densities.

use crate::compound::bijector::range::held_between;
use std::sync::Arc;
use stochgrad_tape::{Description, Primitive, PrimitiveInputs, Smoothness, Var};
use stochgrad_tensor::{Real, Tensor};

/// $\ln \sum_k w_k e^{l_k}$ along the last axis, for weights of at least 0 and logarithms $l_k$.
///
/// The derivative with respect to a weight is $e^{l_k} / \sum_j w_j e^{l_j}$, for a weight of 0 as well. It is limited
/// to the range of numbers, and 0 where the sum is 0 or infinite.
pub(crate) fn log_average<'t, F: Real>(weights: Var<'t, F>, logs: Var<'t, F>) -> Var<'t, F> {
    let value = (weights.held().ln() + logs.held()).logsumexp(-1);
    value.tape().custom(Arc::new(LogAverage), &[value, weights, logs])
}

/// The value of the first operand, with the derivatives with respect to weights and logarithms.
struct LogAverage;

impl<F: Real> Primitive<F> for LogAverage {
    fn name(&self) -> &str {
        "logarithm of a weighted sum"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        inputs.values.first().cloned().ok_or_else(|| "expected the value and its operands, got no operand".into())
    }

    fn takes_from_pool(&self) -> bool {
        // The value shares the buffer of an operand that does.
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        inputs.first().map(|&value| Description::of(value))
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], output: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        let &[_, weights, logs] = inputs else { return Vec::new() };
        let tape = output.tape();
        let zero = tape.constant(0.0);
        let possible = output.held().abs().lt(tape.constant(f64::INFINITY));
        let total = possible.select(output, zero).unsqueeze(-1);
        // The share of a component divided by its weight.
        let limit = F::MAX.to_f64().ln() - 1.0;
        let ratio = held_between(logs - total, f64::NEG_INFINITY, limit).exp();
        let of_weights = possible.select(adjoint, zero).unsqueeze(-1) * ratio;
        vec![None, Some(of_weights), Some(of_weights * weights)]
    }

    fn smoothness(&self, input: usize) -> Smoothness {
        if input == 0 { Smoothness::Constant } else { Smoothness::Smooth }
    }
}
