//! A model in training, for all groups.

use stochgrad::graph::{Gradients, GraphResult};
use stochgrad::nn::{Adam, Inputs, Parameters};
use stochgrad::prelude::*;

use crate::BenchResult;

/// Adam's learning rate.
pub const LEARNING_RATE: f64 = 1e-3;

/// A model in training. The steps cycle through a few batches, which are the input `batch`.
pub struct Training {
    step: Step<'static, f32>,
    parameters: Parameters<f32>,
    optimizer: Adam<f32>,
    batches: Vec<Inputs<f32>>,
    number: usize,
}

impl Training {
    /// Starts with these parameters, and with kernels on this number of threads.
    ///
    /// # Errors
    /// A list without batches.
    pub fn new(
        parameters: Parameters<f32>,
        batches: Vec<Tensor<f32>>,
        threads: usize,
        model: impl Fn(&Record<'_, '_, f32>) -> GraphResult<()> + 'static,
    ) -> BenchResult<Self> {
        if batches.is_empty() {
            return Err("a model in training needs a batch".into());
        }
        Ok(Self {
            step: Step::new(model).threads(threads),
            parameters,
            optimizer: Adam::new(LEARNING_RATE),
            batches: batches.into_iter().map(|batch| Inputs::new().batch("batch", batch)).collect(),
            number: 0,
        })
    }

    /// Computes the gradients on the next batch, with fresh noise.
    ///
    /// # Errors
    /// The errors of the model.
    pub fn gradients(&mut self) -> GraphResult<&Gradients<f32>> {
        let (inputs, seed) = (&self.batches[self.number % self.batches.len()], Seed::new(0).step(self.number));
        self.number += 1;
        Ok(self.step.run(&self.parameters, inputs, seed)?)
    }

    /// Makes one training step, and returns the estimate of the loss before it.
    ///
    /// # Errors
    /// The errors of the model and of the optimiser.
    pub fn step(&mut self) -> BenchResult<f32> {
        let (inputs, seed) = (&self.batches[self.number % self.batches.len()], Seed::new(0).step(self.number));
        self.number += 1;
        Ok(self.step.train(&mut self.parameters, &mut self.optimizer, inputs, seed)?.total())
    }
}
