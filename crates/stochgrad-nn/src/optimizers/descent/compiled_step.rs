//! A step of an optimiser as a program, for other back ends.

use stochgrad_tape::{Program, Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

use super::sections::{Sections, rule_of};
use crate::error::NnResult;
use crate::optimizers::not_compiled;
use crate::optimizers::rule::{UpdateRule, Updated};

/// A step of an optimiser as recorded operations, compiled for parameters of some shapes. Made by
/// [`Optimizer::compile_step`](crate::Optimizer::compile_step).
pub struct CompiledStep<F: Real> {
    /// The program. Its inputs are the number of updates so far, a scalar, and then for each updated parameter its
    /// value, its gradient, and its slots. Its outputs are for each updated parameter its value and its slots.
    pub program: Program<F>,
    /// The parameters that are updated, in their order.
    pub updated: Vec<UpdatedParameter>,
}

/// A parameter that a [`CompiledStep`] updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdatedParameter {
    /// Its position in the list of parameters.
    pub parameter: usize,
    /// The names of its slots.
    pub slots: &'static [&'static str],
}

impl<F: Real> Sections<F> {
    /// See [`Optimizer::compile_step`](crate::Optimizer::compile_step).
    pub(super) fn compile_step(
        &self,
        own: &dyn UpdateRule<F>,
        parameters: &[(&str, Shape)],
    ) -> NnResult<CompiledStep<F>> {
        self.check_settings(own)?;
        if self.accumulated > 1 {
            return Err(not_compiled("one that accumulates gradients"));
        }
        if self.average.is_some() {
            return Err(not_compiled("one that averages the parameters"));
        }
        let tape = Tape::new();
        let completed = tape.parameter(0.0);
        let coefficients: Vec<Vec<Var<'_, F>>> = self
            .list
            .iter()
            .enumerate()
            .map(|(number, section)| {
                rule_of(own, &self.rules, number).coefficients(section.rate.record(completed), completed + 1.0)
            })
            .collect();
        let mut inputs = vec![completed];
        let (mut updated, mut sections, mut operands) = (Vec::new(), Vec::new(), Vec::new());
        for (parameter, (name, shape)) in parameters.iter().enumerate() {
            let Some(section) = self.division.section(name) else { continue };
            let slots = rule_of(own, &self.rules, section).slots();
            // Ones suit roots and quotients.
            let own: Vec<Var<'_, F>> =
                (0..2 + slots.len()).map(|_| tape.parameter(Tensor::full(shape.clone(), F::ONE))).collect();
            inputs.extend(&own);
            updated.push(UpdatedParameter { parameter, slots });
            sections.push(section);
            operands.push(own);
        }
        let mut gradients: Vec<Var<'_, F>> = operands.iter().map(|operands| operands[1]).collect();
        if let Some(clip) = &self.clip {
            gradients = clip.record(&gradients).gradients;
        }
        let mut outputs = Vec::new();
        for ((operands, section), (gradient, updated)) in
            operands.iter().zip(sections).zip(gradients.into_iter().zip(&updated))
        {
            let rule = rule_of(own, &self.rules, section);
            let Updated { parameter, slots } =
                rule.update(&coefficients[section], operands[0], gradient, &operands[2..]);
            let shape = &parameters[updated.parameter].1;
            outputs.extend([parameter].into_iter().chain(slots).map(|output| output.broadcast_to(shape.clone())));
        }
        Ok(CompiledStep { program: tape.compile(&inputs, &outputs)?, updated })
    }
}

impl<F: Real> std::fmt::Debug for CompiledStep<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledStep").field("updated", &self.updated).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clipping::Clip;
    use crate::optimizers::{Adam, AdamW, Average, Optimizer, Schedule, Sgd};
    use crate::parameters::Parameters;
    use stochgrad_graph::Gradients;

    /// The program makes the same steps as the optimiser, to the bit.
    #[test]
    fn a_compiled_step_is_that_of_the_optimiser() {
        let optimizer = || {
            AdamW::<f64>::new(Schedule::linear(0.1, 0.01, 3))
                .group("b", Sgd::new(0.5).momentum(0.9))
                .clip(Clip::by_global_norm(1.5))
        };
        let start = [("a.w", Tensor::from([[1.0, -2.0], [0.5, 3.0]])), ("b", Tensor::scalar(2.0))];
        let mut parameters = Parameters::new();
        parameters.insert_all(start.clone()).unwrap();
        let shapes = [("a.w", Shape::from([2, 2])), ("b", Shape::scalar())];
        let mut step = optimizer().compile_step(&shapes).unwrap();
        assert_eq!(step.updated.iter().map(|updated| updated.slots.len()).collect::<Vec<_>>(), [2, 1]);
        let mut state: Vec<Vec<Tensor<f64>>> = start
            .iter()
            .zip(&step.updated)
            .map(|((_, value), updated)| {
                let zero = Tensor::zeros(value.shape().clone());
                [vec![value.clone()], vec![zero; updated.slots.len()]].concat()
            })
            .collect();
        let mut reference = optimizer();
        for update in 0..5 {
            let gradients =
                [Tensor::from([[0.3, -1.0], [2.0, 0.0]]), Tensor::scalar(-0.5)].map(|g| g.map(|x| x + update as f64));
            let named = [("a.w", gradients[0].clone()), ("b", gradients[1].clone())];
            reference.step(&mut parameters, &Gradients::from_tensors(named)).unwrap();
            step.program.set(0, &Tensor::scalar(update as f64)).unwrap();
            let inputs = state.iter().zip(&gradients).flat_map(|(own, gradient)| {
                [&own[0], gradient].into_iter().chain(&own[1..]).cloned().collect::<Vec<_>>()
            });
            for (number, input) in inputs.enumerate() {
                step.program.set(1 + number, &input).unwrap();
            }
            step.program.run(Default::default()).unwrap();
            for (output, values) in state.iter_mut().flatten().enumerate() {
                *values = Tensor::new(step.program.output(output).unwrap().to_vec(), values.shape().clone()).unwrap();
            }
            for ((name, _), own) in start.iter().zip(&state) {
                assert_eq!(parameters.get(name), Some(&own[0]), "{name} after update {update}");
            }
        }
    }

    #[test]
    fn what_depends_on_more_than_the_last_gradients_is_refused() {
        let shapes = [("x", Shape::scalar())];
        let error = Adam::<f32>::new(0.1).accumulate(2).compile_step(&shapes).unwrap_err().to_string();
        assert!(error.contains("one that accumulates gradients"), "{error}");
        let error = Adam::<f32>::new(0.1).average(Average::exponential(0.9)).compile_step(&shapes).unwrap_err();
        assert!(error.to_string().contains("one that averages the parameters"), "{error}");
        assert!(Adam::<f32>::new(-0.1).compile_step(&shapes).is_err());
    }
}
