//! The program of a training step, for running it elsewhere.

use stochgrad_graph::{CompiledGraph, GraphError, GraphResult, Seed};
use stochgrad_tensor::Real;

use super::{Step, no_gradients};
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parameters::Parameters;
use crate::step::prepared::Compiled;

impl<F: Real> Step<'_, F> {
    /// The compiled graph with which [`run`](Self::run) computes the gradients for inputs of these shapes, for running
    /// it elsewhere, such as on a [device](crate::TrainingDevice). It is made if there is none. Each call counts as a
    /// run, so that a value of the host that changes is detected as it is by [`run`](Self::run).
    ///
    /// ```
    /// use stochgrad_graph::{GraphInput, Seed};
    /// use stochgrad_nn::{Inputs, Parameters, Record, Step};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("slope", Tensor::scalar(2.0))?;
    /// let mut step = Step::new(|record: &Record<'_, '_, f64>| {
    ///     record.cost("loss", (record.param("slope")? * record.input("x")?).square())
    /// });
    /// let inputs = Inputs::new().batch("x", [1.0, 3.0]);
    /// let graph = step.training_program(&parameters, &inputs, Seed::new(7))?;
    /// assert_eq!(graph.listing().inputs, [GraphInput::Parameter("slope"), GraphInput::Data("x")]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the model and of [`Graph::compile`](stochgrad_graph::Graph::compile), [`GraphError::Frozen`], for a
    /// model whose host code branches on values, so that every step is recorded, and for a step with
    /// [shards](Self::shards), which has a program for each of them.
    pub fn training_program(
        &mut self,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> GraphResult<&CompiledGraph<F>> {
        if !self.division.is_none() {
            let problem = "expected one program for the whole minibatch, got one for each shard; leave out the shards";
            return Err(GraphError::Compile { problem: problem.into() });
        }
        let number = self.prepare(Mode::Train, parameters, inputs, seed)?;
        let prepared = &mut self.prepared[number];
        prepared.watch.count();
        match (prepared.programs.first(), &self.host_code) {
            (Some(Compiled::Gradients { graph, .. }), _) => Ok(graph),
            (_, Some(reason)) => {
                Err(GraphError::Compile { problem: format!("a step that runs elsewhere is compiled: {reason}") })
            }
            _ => Err(no_gradients()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::record::Record;
    use crate::testing::one_parameter;
    use stochgrad_tensor::Tensor;

    const SEED: Seed = Seed { seed: 7, step: 0 };

    #[test]
    fn each_set_of_shapes_has_a_program_and_frozen_values_are_found() {
        let (parameters, factor) = (one_parameter(Tensor::scalar(2.0)), Cell::new(1.0));
        let mut step = Step::new(|record: &Record<'_, '_, f64>| {
            record.cost("loss", record.param("x")?.square() * record.input("y")? * factor.get())
        });
        let inputs = |members: usize| Inputs::new().batch("y", Tensor::ones([members]));
        for members in [3, 2, 3] {
            let graph = step.training_program(&parameters, &inputs(members), SEED).unwrap();
            let y = graph.listing().program.inputs().nth(1).unwrap();
            assert_eq!(graph.listing().program.value(y).shape[..], [members]);
        }
        factor.set(2.0);
        // The runs so far were two with three members, so that the tenth is the next that is compared.
        for run in 3..10 {
            step.training_program(&parameters, &inputs(3), SEED.step(run)).unwrap();
        }
        let error = step.training_program(&parameters, &inputs(3), SEED.step(10)).unwrap_err();
        assert!(matches!(error, GraphError::Frozen { .. }), "{error}");
    }

    #[test]
    fn what_is_not_one_program_is_refused() {
        let parameters = one_parameter(Tensor::scalar(2.0));
        let model = |record: &Record<'_, '_, f64>| {
            let x = record.param("x")?;
            let sign = if x.item()? > 0.0 { 1.0 } else { -1.0 };
            record.cost("loss", record.input("y")? * x * sign)
        };
        let inputs = Inputs::new().batch("y", [1.0, 2.0]);
        let error = Step::new(model).training_program(&parameters, &inputs, SEED).unwrap_err().to_string();
        assert!(error.contains("a step that runs elsewhere is compiled: "), "{error}");
        let error = Step::new(model).shards(2).training_program(&parameters, &inputs, SEED).unwrap_err().to_string();
        assert!(error.contains("got one for each shard"), "{error}");
    }
}
