//! Evaluates the function under test, and its derivatives on the tape.

use crate::error::CheckResult;
use crate::gradient_check::reduction::Reduction;
use stochgrad_tape::{Tape, TapeResult, Var, Workspace};
use stochgrad_tensor::Tensor;

/// A function together with its reduction to a scalar.
pub(crate) struct Probe<'a, G> {
    pub(crate) function: &'a G,
    pub(crate) reduction: Reduction,
    pub(crate) seed: u64,
    pub(crate) workspace: Workspace<f64>,
}

impl<G> Probe<'_, G>
where
    G: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
{
    fn on_tape<R>(
        &mut self,
        inputs: &[Tensor<f64>],
        read: impl for<'t> FnOnce(&'t Tape<f64>, &[Var<'t, f64>], Var<'t, f64>) -> TapeResult<R>,
    ) -> CheckResult<R> {
        let tape = self.workspace.tape();
        let vars: Vec<Var<'_, f64>> = inputs.iter().map(|input| tape.parameter(input)).collect();
        let value = (self.function)(tape, &vars);
        let total = self.reduction.apply(value, self.seed);
        Ok(read(tape, &vars, total)?)
    }

    pub(crate) fn value(&mut self, inputs: &[Tensor<f64>]) -> CheckResult<f64> {
        self.on_tape(inputs, |_, _, total| total.item())
    }

    pub(crate) fn backward(&mut self, inputs: &[Tensor<f64>]) -> CheckResult<Vec<Tensor<f64>>> {
        self.on_tape(inputs, |tape, vars, total| tape.backward_all(total, vars))
    }

    pub(crate) fn grad(&mut self, inputs: &[Tensor<f64>]) -> CheckResult<Vec<Tensor<f64>>> {
        self.on_tape(inputs, |tape, vars, total| {
            tape.gradients(total, vars)?.iter().map(|gradient| gradient.peek()).collect()
        })
    }

    pub(crate) fn hessian_vector_product(
        &mut self,
        inputs: &[Tensor<f64>],
        direction: &[Tensor<f64>],
    ) -> CheckResult<Vec<Tensor<f64>>> {
        self.on_tape(inputs, |tape, vars, total| {
            let along: Vec<Var<'_, f64>> = direction.iter().map(|d| tape.constant(d)).collect();
            tape.hessian_vector_product(total, vars, &along)
        })
    }
}
