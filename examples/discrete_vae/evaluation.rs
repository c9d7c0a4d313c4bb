//! The evaluation of a model: the test −ELBO, and the variance of its gradients.

use stochgrad::graph::{DynMethod, Gradients, Graph, Method, Seed};
use stochgrad::nn::Parameters;
use stochgrad::nn::data::rows;
use stochgrad::tape::Workspace;
use stochgrad::tensor::Tensor;

use crate::code::Code;
use crate::model::Model;
use crate::run_error::RunError;

/// The seed of the codes for the test, which is the same in every run.
const TEST_SEED: Seed = Seed { seed: 0x7e57, step: 0 };
/// Codes per test image.
const TEST_SAMPLES: usize = 4;
/// Test images per batch.
const TEST_BATCH: usize = 250;
/// Gradients from which the variance is estimated.
const GRADIENTS: usize = 100;
/// Gradients from which a method learns its own parameters before its variance is estimated.
const SETTLING_GRADIENTS: usize = 500;
/// Makes the noise of those gradients differ from that of the training.
const SETTLING_SEED: u64 = 0x5e77_1e00;

/// The mean −ELBO of images in nats per image, estimated with four discrete codes per image from the distribution of
/// the encoder. Neither the number of codes nor the noise depends on the gradient method or the call, so that two
/// results differ only if the models differ.
pub(crate) fn neg_elbo<C: Code>(
    model: &Model<C>,
    parameters: &Parameters<f32>,
    images: &Tensor<f32>,
    workspace: &mut Workspace<f32>,
) -> Result<f64, RunError> {
    let count = images.shape()[0];
    let method = model.code.discrete_samples(TEST_SAMPLES);
    let mut total = 0.0;
    for (number, start) in (0..count).step_by(TEST_BATCH).enumerate() {
        let indices: Vec<usize> = (start..count.min(start + TEST_BATCH)).collect();
        let tape = workspace.tape();
        let graph = Graph::new(tape, TEST_SEED.step(number));
        model.record(&parameters.on(&graph), &rows(images, &indices)?, &method)?;
        total += f64::from(graph.total_cost().item()?) * indices.len() as f64;
    }
    Ok(total / count as f64)
}

/// The variance of the gradient of the mean −ELBO of a minibatch with respect to the logits of its codes, summed over
/// all logits: the sample variance of 100 gradients that differ in their noise only, at fixed parameters.
pub(crate) fn latent_gradient_variance<C: Code>(
    model: &Model<C>,
    parameters: &Parameters<f32>,
    images: &Tensor<f32>,
    method: &DynMethod<f32, C::Family>,
    seed: u64,
    workspace: &mut Workspace<f32>,
) -> Result<f64, RunError> {
    let logits = latent_logits(model, parameters, images, workspace)?;
    let mut sums = vec![(0.0, 0.0); logits.len()];
    for repetition in 0..GRADIENTS {
        let gradients =
            latent_gradients(model, parameters, images, &logits, method, Seed::new(!seed).step(repetition), workspace)?;
        for ((mean, squares), &gradient) in sums.iter_mut().zip(gradients.get("logits")?.as_slice()) {
            // Welford's update avoids cancellation, as the gradients of a method with low variance are nearly equal.
            let difference = f64::from(gradient) - *mean;
            *mean += difference / (repetition + 1) as f64;
            *squares += difference * (f64::from(gradient) - *mean);
        }
    }
    Ok(sums.iter().map(|(_, squares)| squares / (GRADIENTS - 1) as f64).sum())
}

/// Lets a method learn its own parameters (baselines, scales, networks) at fixed parameters of the model, from
/// gradients on the given minibatches in turn.
pub(crate) fn settle<C: Code>(
    model: &Model<C>,
    parameters: &Parameters<f32>,
    minibatches: &[Tensor<f32>],
    method: &DynMethod<f32, C::Family>,
    seed: u64,
    workspace: &mut Workspace<f32>,
) -> Result<(), RunError> {
    let mut logits = Vec::with_capacity(minibatches.len());
    for images in minibatches {
        logits.push(latent_logits(model, parameters, images, workspace)?);
    }
    for repetition in 0..SETTLING_GRADIENTS {
        let turn = repetition % minibatches.len().max(1);
        let (Some(images), Some(logits)) = (minibatches.get(turn), logits.get(turn)) else { return Ok(()) };
        let seed = Seed::new(seed ^ SETTLING_SEED).step(repetition);
        let gradients = latent_gradients(model, parameters, images, logits, method, seed, workspace)?;
        gradients.advance();
        // Most methods have nothing to learn.
        if method.state().is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

/// The logits of the codes of a minibatch.
fn latent_logits<C: Code>(
    model: &Model<C>,
    parameters: &Parameters<f32>,
    images: &Tensor<f32>,
    workspace: &mut Workspace<f32>,
) -> Result<Tensor<f32>, RunError> {
    let graph = Graph::new(workspace.tape(), TEST_SEED);
    let images = graph.data("batch", images)?;
    Ok(model.encode(&parameters.on(&graph), images)?.value()?)
}

/// The gradients of a minibatch's mean −ELBO, by the decoder's parameters and by the logits of the codes.
fn latent_gradients<C: Code>(
    model: &Model<C>,
    parameters: &Parameters<f32>,
    images: &Tensor<f32>,
    logits: &Tensor<f32>,
    method: &DynMethod<f32, C::Family>,
    seed: Seed,
    workspace: &mut Workspace<f32>,
) -> Result<Gradients<f32>, RunError> {
    let tape = workspace.tape();
    let graph = Graph::new(tape, seed);
    let images = graph.data("batch", images)?;
    let mut by_image = graph.param("logits", logits)?;
    for plate in images.plates() {
        by_image = by_image.event_to_plate(plate);
    }
    let distribution = model.code.distribution(by_image);
    model.record_costs(&parameters.on(&graph), images, &distribution, method)?;
    Ok(graph.backward()?)
}

/// The probabilities of the pixels of images, each decoded from one code drawn from the encoder's distribution;
/// `[count, pixels]`.
pub(crate) fn reconstruct<C: Code>(
    model: &Model<C>,
    parameters: &Parameters<f32>,
    images: &Tensor<f32>,
    workspace: &mut Workspace<f32>,
) -> Result<Tensor<f32>, RunError> {
    let graph = Graph::new(workspace.tape(), TEST_SEED);
    let images = graph.data("batch", images)?;
    let distribution = model.code.distribution(model.encode(&parameters.on(&graph), images)?);
    let codes = graph.sample("z", &distribution, &model.code.discrete_samples(1))?;
    Ok(model.decode(&parameters.on(&graph), codes)?.probabilities().value()?)
}

/// The probabilities of the pixels of `count` images whose codes are drawn from the prior; `[count, pixels]`.
pub(crate) fn imagine<C: Code>(
    model: &Model<C>,
    parameters: &Parameters<f32>,
    count: usize,
    workspace: &mut Workspace<f32>,
) -> Result<Tensor<f32>, RunError> {
    let graph = Graph::new(workspace.tape(), TEST_SEED);
    let prior = model.code.distribution(graph.constant(Tensor::zeros([model.code.width()])));
    let codes = graph.sample("z", &prior, &model.code.discrete_samples(count))?;
    Ok(model.decode(&parameters.on(&graph), codes)?.probabilities().value()?)
}
