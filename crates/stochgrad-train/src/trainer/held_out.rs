//! Evaluation on held-out data.

use stochgrad_graph::Seed;
use stochgrad_nn::{Inputs, Parameters, Step};
use stochgrad_tensor::Real;

use super::means::Means;
use super::minibatches::read;
use crate::error::{TrainError, TrainResult};
use crate::metrics::Values;
use crate::source::{Epoch, OwnMembers, Source};

/// What evaluates the model.
pub(super) enum Validation<'a, F: Real> {
    /// The costs on held-out data.
    Data(&'a dyn Source<F>),
    /// A function of the program.
    Function(Box<Evaluate<'a, F>>),
}

pub(super) type Evaluate<'a, F> = dyn FnMut(&Parameters<F>) -> TrainResult<Values> + 'a;

impl<F: Real> Validation<'_, F> {
    /// The number of members of the held-out data, if it is known.
    pub(super) fn size(&self) -> Option<usize> {
        match self {
            Validation::Data(data) => data.size(),
            Validation::Function(_) => None,
        }
    }
}

/// Held-out data and how it is evaluated.
pub(super) struct HeldOut<'a, F: Real> {
    pub(super) validation: Validation<'a, F>,
    /// The number of members of a chunk.
    pub(super) chunk: usize,
    pub(super) seed: u64,
    /// The number of members of the training data.
    pub(super) size: Option<usize>,
}

impl<F: Real> HeldOut<'_, F> {
    /// The costs, averaged over all members. The noise differs from chunk to chunk and from step to step.
    pub(super) fn costs(
        &mut self,
        step: &mut Step<'_, F>,
        parameters: &Parameters<F>,
        completed_steps: u64,
        own: Option<&OwnMembers>,
    ) -> TrainResult<Values> {
        let data = match &mut self.validation {
            Validation::Data(data) => *data,
            Validation::Function(evaluate) => return evaluate(parameters),
        };
        let mut means = Means::default();
        let epoch = Epoch { seed: self.seed, ..Epoch::in_order(self.chunk) };
        for (chunk, inputs) in (0..).zip(read(data, epoch, own)?) {
            let inputs = of_data_set(inputs?, self.size);
            let seed = Seed { seed: self.seed, step: completed_steps }.derived("evaluation", chunk);
            let members = inputs.batch_members().unwrap_or(1) as f64;
            for (name, cost) in step.evaluate(parameters, &inputs, seed)?.iter() {
                means.add(name, cost.to_f64(), members);
            }
        }
        let values = means.values();
        if values.is_empty() {
            let hint = "check the held-out data and the costs of the model";
            return Err(TrainError::argument("`Trainer::validate`", "at least one member and one cost", "none", hint));
        }
        Ok(values)
    }
}

/// Tells a minibatch the size of the data set, if it is known.
pub(super) fn of_data_set<F: Real>(inputs: Inputs<F>, size: Option<usize>) -> Inputs<F> {
    match size {
        Some(size) => inputs.of_data_set(size),
        None => inputs,
    }
}
