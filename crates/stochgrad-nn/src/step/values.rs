//! The costs and the outputs of a model, without gradients.

use stochgrad_graph::{Graph, GraphError, GraphResult, Seed};
use stochgrad_tape::not_finite_in_words;
use stochgrad_tensor::{Real, Tensor, instantiated};

use super::{Costs, Outputs, Step, at_step, recorder};
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parameters::Parameters;

impl<F: Real> Step<'_, F> {
    /// The estimates of the costs, without gradients. The model is recorded in [`Mode::Evaluate`].
    ///
    /// # Errors
    ///
    /// Those of the model, [`GraphError::Frozen`], for an estimate that is NaN or infinite, and for an input with the
    /// name of a parameter or a buffer.
    pub fn evaluate(&mut self, parameters: &Parameters<F>, inputs: &Inputs<F>, seed: Seed) -> GraphResult<Costs<F>> {
        let values = self.values(Mode::Evaluate, parameters, inputs, seed)?;
        let costs = values.into_iter().map(|(name, value)| (name, value.as_slice().first().copied().unwrap_or(F::NAN)));
        Ok(Costs { costs: costs.collect() })
    }

    /// The named outputs. The model is recorded in [`Mode::Predict`].
    ///
    /// # Errors
    ///
    /// Those of the model, [`GraphError::Frozen`], and for an input with the name of a parameter or a buffer.
    pub fn predict(&mut self, parameters: &Parameters<F>, inputs: &Inputs<F>, seed: Seed) -> GraphResult<Outputs<F>> {
        Ok(Outputs { outputs: self.values(Mode::Predict, parameters, inputs, seed)? })
    }

    /// The costs or the outputs.
    fn values(
        &mut self,
        mode: Mode,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> GraphResult<Vec<(String, Tensor<F>)>> {
        type Values<F> = GraphResult<Vec<(String, Tensor<F>)>>;
        instantiated!(
            F: fn(&mut Step<'_, F>, Mode, &Parameters<F>, &Inputs<F>, Seed) -> Values<F> =
                |step, mode, parameters, inputs, seed| step.values_body(mode, parameters, inputs, seed)
        )(self, mode, parameters, inputs, seed)
    }

    fn values_body(
        &mut self,
        mode: Mode,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> GraphResult<Vec<(String, Tensor<F>)>> {
        let number = self.prepare(mode, parameters, inputs, seed)?;
        let mut values = None;
        if self.run_program(number, parameters, inputs, seed)? {
            let found = self.prepared[number].values()?;
            // The recording finds the operation that produced a cost that is not finite.
            let is_usable = |value: &Tensor<F>| mode == Mode::Predict || value.as_slice().iter().all(|x| x.is_finite());
            values = match found.iter().find(|(_, value)| !is_usable(value)) {
                None => Some(found),
                Some((name, value)) if !self.division.is_none() => {
                    let value = not_finite_in_words(value.as_slice()[0]);
                    let error =
                        GraphError::NotFinite { what: format!("cost \"{name}\""), value, position: 0, origin: None };
                    return Err(at_step(seed, error));
                }
                Some(_) => None,
            };
        }
        let values = match values {
            Some(values) => values,
            None => {
                let model =
                    recorder(&*self.model, (&self.trained, &self.replaced, &self.redrawn), parameters, inputs, mode);
                let mut recorded = || -> GraphResult<_> {
                    let graph = Graph::from_model(self.workspace.tape(), seed, &model)?;
                    let values = if mode == Mode::Predict { graph.outputs() } else { graph.estimates()? };
                    values.into_iter().map(|(name, value)| Ok((name, value.inspect()?))).collect()
                };
                recorded().map_err(|error| at_step(seed, error))?
            }
        };
        self.prepared[number].watch.count();
        Ok(values)
    }
}
