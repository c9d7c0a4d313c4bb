//! What a model is worth: the test −ELBO, and the variance of its gradients.

use stochgrad::graph::{DynMethod, Graph, Seed};
use stochgrad::nn::Parameters;
use stochgrad::nn::data::rows;
use stochgrad::tape::Workspace;
use stochgrad::tensor::Tensor;

use crate::code::Code;
use crate::model::Model;
use crate::run_error::RunError;

/// The seed of the codes that are drawn for the test, the same in every run.
const TEST_SEED: Seed = Seed { seed: 0x7e57, step: 0 };
/// Codes drawn for each test image.
const TEST_SAMPLES: usize = 4;
/// Test images at a time.
const TEST_BATCH: usize = 250;
/// Gradients whose variance is taken.
const GRADIENTS: usize = 100;

/// The mean −ELBO of images in nats per image, estimated with discrete codes from the encoder's law, four for each image,
/// whatever the gradient method. The noise is the same at every call, so that differences are the model's.
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

/// The variance of the gradient of a minibatch's mean −ELBO by the logits of its codes, summed over all logits: the
/// sample variance of 100 gradients that differ in their noise only, at fixed parameters.
pub(crate) fn latent_gradient_variance<C: Code>(
    model: &Model<C>,
    parameters: &Parameters<f32>,
    images: &Tensor<f32>,
    method: &DynMethod<f32, C::Family>,
    seed: u64,
    workspace: &mut Workspace<f32>,
) -> Result<f64, RunError> {
    let logits = {
        let graph = Graph::new(workspace.tape(), TEST_SEED);
        let images = graph.data("batch", images)?;
        model.encode(&parameters.on(&graph), images)?.value()?
    };
    let mut sums = vec![(0.0, 0.0); logits.len()];
    for repetition in 0..GRADIENTS {
        let tape = workspace.tape();
        let graph = Graph::new(tape, Seed::new(!seed).step(repetition));
        let images = graph.data("batch", images)?;
        let mut by_image = graph.param("logits", &logits)?;
        for plate in images.plates() {
            by_image = by_image.event_to_plate(plate);
        }
        let law = model.code.law(by_image);
        model.record_costs(&parameters.on(&graph), images, &law, method)?;
        let gradients = graph.backward()?;
        for ((mean, squares), &gradient) in sums.iter_mut().zip(gradients.get("logits")?.as_slice()) {
            // Welford's update: the gradients are nearly equal for methods of low variance.
            let difference = f64::from(gradient) - *mean;
            *mean += difference / (repetition + 1) as f64;
            *squares += difference * (f64::from(gradient) - *mean);
        }
    }
    Ok(sums.iter().map(|(_, squares)| squares / (GRADIENTS - 1) as f64).sum())
}

/// The probabilities of the pixels of images, each decoded from one code drawn from the encoder's law; `[count, pixels]`.
pub(crate) fn reconstruct<C: Code>(
    model: &Model<C>,
    parameters: &Parameters<f32>,
    images: &Tensor<f32>,
    workspace: &mut Workspace<f32>,
) -> Result<Tensor<f32>, RunError> {
    let graph = Graph::new(workspace.tape(), TEST_SEED);
    let images = graph.data("batch", images)?;
    let law = model.code.law(model.encode(&parameters.on(&graph), images)?);
    let codes = graph.sample("z", &law, &model.code.discrete_samples(1))?;
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
    let prior = model.code.law(graph.constant(Tensor::zeros([model.code.width()])));
    let codes = graph.sample("z", &prior, &model.code.discrete_samples(count))?;
    Ok(model.decode(&parameters.on(&graph), codes)?.probabilities().value()?)
}
