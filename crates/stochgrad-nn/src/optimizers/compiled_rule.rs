//! Compiled update rules.

use stochgrad_tape::{Program, Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

use super::rule::{UpdateRule, Updated};
use crate::error::NnResult;

/// An update rule, compiled when it is first used: its coefficients, and its operations for each shape of a parameter.
/// Clones are compiled again.
pub(super) struct CompiledRule<F: Real> {
    coefficients: Option<CompiledCoefficients<F>>,
    by_shape: Vec<(Shape, Program<F>)>,
}

struct CompiledCoefficients<F: Real> {
    program: Program<F>,
    /// The number of the step and a constant learning rate: for even and for odd steps, since a coefficient that
    /// equals an input shares its memory until the next run.
    inputs: [[Tensor<F>; 2]; 2],
    count: usize,
    values: Vec<F>,
}

impl<F: Real> Default for CompiledRule<F> {
    fn default() -> Self {
        CompiledRule { coefficients: None, by_shape: Vec::new() }
    }
}

impl<F: Real> Clone for CompiledRule<F> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<F: Real> std::fmt::Debug for CompiledRule<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CompiledRule for {} shapes", self.by_shape.len())
    }
}

impl<F: Real> CompiledRule<F> {
    /// Computes the coefficients of a step. `record` records them from the number of the step and `rate`.
    pub(super) fn start(
        &mut self,
        step: u64,
        rate: f64,
        record: impl for<'t> Fn(Var<'t, F>, Var<'t, F>) -> Vec<Var<'t, F>>,
    ) -> NnResult<()> {
        let compiled = match &mut self.coefficients {
            Some(compiled) => compiled,
            none => {
                let tape = Tape::new();
                let [step, rate] = [1.0, 1.0].map(|start| tape.parameter(start));
                let outputs = record(step, rate);
                none.insert(CompiledCoefficients {
                    program: tape.compile(&[step, rate], &outputs)?,
                    inputs: [0, 1].map(|_| [0, 1].map(|_| Tensor::scalar(F::ONE))),
                    count: outputs.len(),
                    values: Vec::with_capacity(outputs.len()),
                })
            }
        };
        let CompiledCoefficients { program, inputs, count, values } = compiled;
        let inputs = &mut inputs[(step % 2) as usize];
        for (number, (input, value)) in inputs.iter_mut().zip([step as f64, rate]).enumerate() {
            input.make_mut()[0] = F::from_f64(value);
            program.set(number, input)?;
        }
        program.run(Default::default())?;
        values.clear();
        for output in 0..*count {
            values.push(program.output(output)?.as_slice()[0]);
        }
        Ok(())
    }

    /// The coefficients of the step.
    pub(super) fn coefficients(&self) -> &[F] {
        self.coefficients.as_ref().map_or(&[], |compiled| &compiled.values)
    }

    /// Runs the recorded rule on one parameter and its slots.
    pub(super) fn run(
        &mut self,
        rule: &dyn UpdateRule<F>,
        gradient: &Tensor<F>,
        slots: &mut [&mut Tensor<F>],
        parameter: &mut Tensor<F>,
    ) -> NnResult<()> {
        let coefficients: &[F] = self.coefficients.as_ref().map_or(&[], |compiled| &compiled.values);
        let known = self.by_shape.iter().position(|(shape, _)| shape == parameter.shape());
        let at = match known {
            Some(at) => at,
            None => {
                let program = compiled(rule, coefficients.len(), slots.len(), parameter.shape())?;
                self.by_shape.push((parameter.shape().clone(), program));
                self.by_shape.len() - 1
            }
        };
        let program = &mut self.by_shape[at].1;
        if let Some(compiled) = &self.coefficients {
            for number in 0..compiled.count {
                program.set(number, compiled.program.output(number)?)?;
            }
        }
        let first = coefficients.len();
        program.set(first, parameter)?;
        program.set(first + 1, gradient)?;
        for (number, slot) in slots.iter().enumerate() {
            program.set(first + 2 + number, slot)?;
        }
        program.run(Default::default())?;
        parameter.make_mut().copy_from_slice(program.output(0)?.as_slice());
        for (number, slot) in slots.iter_mut().enumerate() {
            slot.make_mut().copy_from_slice(program.output(1 + number)?.as_slice());
        }
        Ok(())
    }
}

/// The program of a rule for parameters of a shape. Its inputs are the coefficients, the parameter, the gradient and
/// the slots, and its outputs the parameter and the slots.
fn compiled<F: Real>(
    rule: &dyn UpdateRule<F>,
    coefficients: usize,
    slots: usize,
    shape: &Shape,
) -> NnResult<Program<F>> {
    let tape = Tape::new();
    let scalars: Vec<Var<'_, F>> = (0..coefficients).map(|_| tape.parameter(1.0)).collect();
    // Ones suit roots and quotients.
    let whole = || tape.parameter(Tensor::full(shape.clone(), F::ONE));
    let (parameter, gradient) = (whole(), whole());
    let slots: Vec<Var<'_, F>> = (0..slots).map(|_| whole()).collect();
    let Updated { parameter: moved, slots: kept } = rule.update(&scalars, parameter, gradient, &slots);
    let inputs: Vec<Var<'_, F>> = scalars.iter().chain([&parameter, &gradient]).chain(&slots).copied().collect();
    let outputs: Vec<Var<'_, F>> =
        [moved].into_iter().chain(kept).map(|output| output.broadcast_to(shape.clone())).collect();
    Ok(tape.compile(&inputs, &outputs)?)
}
