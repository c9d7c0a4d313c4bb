//! The evaluation of a model: the test −ELBO, and the variance of its gradients.

use stochgrad::graph::{DynMethod, Graph, Method, Seed};
use stochgrad::nn::data::rows;
use stochgrad::nn::{Inputs, Parameters, Record, Step};
use stochgrad::tape::Tape;
use stochgrad::tensor::Tensor;

use crate::code::Code;
use crate::model::Model;
use crate::run_error::RunError;

/// The seed of the codes for the test, which is the same in every run.
const TEST_SEED: Seed = Seed { seed: 0x7e57, step: 0 };
/// Test images per batch.
const TEST_BATCH: usize = 250;
/// Gradients from which the variance is estimated.
const GRADIENTS: usize = 100;
/// Gradients from which a method learns its own parameters before its variance is estimated.
const SETTLING_GRADIENTS: usize = 500;
/// Makes the noise of those gradients differ from that of the training.
const SETTLING_SEED: u64 = 0x5e77_1e00;

/// The mean −ELBO of images in nats per image, estimated with discrete codes from the distribution of the encoder.
/// Neither their number nor the noise depends on the gradient method or the call, so that two results differ only if
/// the models differ.
pub(crate) fn neg_elbo(
    step: &mut Step<'_, f32>,
    parameters: &Parameters<f32>,
    images: &Tensor<f32>,
) -> Result<f64, RunError> {
    let count = images.shape()[0];
    let mut total = 0.0;
    for (number, start) in (0..count).step_by(TEST_BATCH).enumerate() {
        let indices: Vec<usize> = (start..count.min(start + TEST_BATCH)).collect();
        let inputs = Inputs::new().batch("images", rows(images, &indices)?);
        let costs = step.evaluate(parameters, &inputs, TEST_SEED.step(number))?;
        total += f64::from(costs.total()) * indices.len() as f64;
    }
    Ok(total / count as f64)
}

/// The probabilities of the pixels of images, each decoded from one code drawn from the encoder's distribution;
/// `[count, pixels]`.
pub(crate) fn reconstruct(
    step: &mut Step<'_, f32>,
    parameters: &Parameters<f32>,
    images: &Tensor<f32>,
) -> Result<Tensor<f32>, RunError> {
    predict(step, parameters, images, "pixels")
}

fn predict(
    step: &mut Step<'_, f32>,
    parameters: &Parameters<f32>,
    images: &Tensor<f32>,
    output: &str,
) -> Result<Tensor<f32>, RunError> {
    let outputs = step.predict(parameters, &Inputs::new().batch("images", images), TEST_SEED)?;
    Ok(outputs.get(output)?.clone())
}

/// The gradients of the mean −ELBO of minibatches with respect to the logits of their codes, at fixed parameters of the
/// model.
pub(crate) struct LatentGradients {
    step: Step<'static, f32>,
    /// The parameters of the model, and the logits of each minibatch.
    minibatches: Vec<(Parameters<f32>, Inputs<f32>)>,
}

impl LatentGradients {
    /// Gradients of some minibatches by a gradient method. `step` is one of the model.
    pub(crate) fn new<C: Code>(
        model: &Model<C>,
        method: &DynMethod<f32, C::Family>,
        step: &mut Step<'_, f32>,
        parameters: &Parameters<f32>,
        minibatches: &[Tensor<f32>],
    ) -> Result<Self, RunError> {
        let given = |images: &Tensor<f32>| {
            let mut parameters = parameters.clone();
            parameters.insert("logits", predict(step, &parameters, images, "logits")?)?;
            Ok((parameters, Inputs::new().batch("images", images)))
        };
        let minibatches = minibatches.iter().map(given).collect::<Result<_, RunError>>()?;
        let (model, method) = (model.clone(), method.clone());
        let step = Step::new(move |record: &Record<'_, '_, f32>| model.record_given_logits(record, &method));
        Ok(Self { step, minibatches })
    }

    /// Sets the number of threads.
    pub(crate) fn threads(self, threads: usize) -> Self {
        Self { step: self.step.threads(threads), ..self }
    }

    /// The variance of the gradient of the first minibatch, summed over all logits: the sample variance of 100
    /// gradients that differ in their noise only.
    pub(crate) fn variance(&mut self, seed: u64) -> Result<f64, RunError> {
        let Some((parameters, inputs)) = self.minibatches.first() else { return Ok(0.0) };
        let mut sums = vec![(0.0, 0.0); parameters.get("logits").map_or(0, Tensor::len)];
        for repetition in 0..GRADIENTS {
            let gradients = self.step.run(parameters, inputs, Seed::new(!seed).step(repetition))?;
            for ((mean, squares), &gradient) in sums.iter_mut().zip(gradients.get("logits")?.as_slice()) {
                // Welford's update avoids cancellation, as the gradients of a method with low variance are nearly
                // equal.
                let difference = f64::from(gradient) - *mean;
                *mean += difference / (repetition + 1) as f64;
                *squares += difference * (f64::from(gradient) - *mean);
            }
        }
        Ok(sums.iter().map(|(_, squares)| squares / (GRADIENTS - 1) as f64).sum())
    }

    /// Lets a method learn its own parameters (baselines, scales, networks) from gradients on the minibatches in turn.
    pub(crate) fn settle(&mut self, method: &dyn Method, seed: u64) -> Result<(), RunError> {
        for (repetition, (parameters, inputs)) in self.minibatches.iter().cycle().take(SETTLING_GRADIENTS).enumerate() {
            self.step.run(parameters, inputs, Seed::new(seed ^ SETTLING_SEED).step(repetition))?;
            self.step.advance();
            // Most methods have nothing to learn.
            if method.slots().is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The probabilities of the pixels of `count` images whose codes are drawn from the prior; `[count, pixels]`.
pub(crate) fn imagine<C: Code>(
    model: &Model<C>,
    parameters: &Parameters<f32>,
    count: usize,
) -> Result<Tensor<f32>, RunError> {
    let tape = Tape::new();
    let graph = Graph::new(&tape, TEST_SEED);
    let record = parameters.on(&graph);
    let prior = model.code.distribution(record.constant(Tensor::zeros([model.code.width()])));
    let codes = record.sample("z", &prior, &model.code.discrete_samples(count))?;
    Ok(model.decode(&record, codes)?.probabilities().value()?)
}
