//! Group j: a training step of a sigmoid belief net with two stochastic layers and a mirrored encoder.

use stochgrad::distributions::Id;
use stochgrad::graph::{GradientMethod, GraphResult};
use stochgrad::nn::{Initialization, Linear, NnResult, Parameters};
use stochgrad::prelude::*;

use crate::BenchResult;
use crate::case::Case;
use crate::data::batches;
use crate::training::Training;

/// The sizes of the model and of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The number of pixels of an image.
    pub pixels: usize,
    /// The number of bits of each layer.
    pub bits: usize,
    /// The number of images in a batch.
    pub batch: usize,
    /// The number of joint samples of both layers.
    pub samples: usize,
}

/// The sizes of the timed case.
pub const TIMED: Sizes = Sizes { pixels: 784, bits: 200, batch: 100, samples: 4 };

/// The layers from the image up and from the code down.
struct BeliefNet {
    up: [Linear; 2],
    down: [Linear; 2],
}

impl BeliefNet {
    /// Creates a model and adds its parameters, with those of the prior, to `parameters`.
    fn new(sizes: Sizes, parameters: &mut Parameters<f32>) -> NnResult<Self> {
        let Sizes { pixels, bits, .. } = sizes;
        let mut linear = |name: &str, inputs, outputs| {
            Linear::new(&mut *parameters, name, inputs, outputs, Initialization::Uniform, Seed::new(0))
        };
        let up = [linear("up 1", pixels, bits)?, linear("up 2", bits, bits)?];
        let down = [linear("down 1", bits, pixels)?, linear("down 2", bits, bits)?];
        parameters.insert("prior", Tensor::zeros([bits]))?;
        Ok(Self { up, down })
    }

    /// Records the −ELBO of the input `batch`.
    fn record(
        &self,
        record: &Record<'_, '_, f32>,
        method: &(impl GradientMethod<f32, Bernoulli<Id>> + Clone + 'static),
    ) -> GraphResult<()> {
        let images = record.input("batch")?;
        let near = Bernoulli::from_logits(self.up[0].forward(record, images)?);
        let b1 = record.sample("b1", &near, method)?;
        let far = Bernoulli::from_logits(self.up[1].forward(record, b1)?);
        let b2 = record.sample("b2", &far, method)?;
        let pixels = Bernoulli::from_logits(self.down[0].forward(record, b1)?);
        let middle = Bernoulli::from_logits(self.down[1].forward(record, b2)?);
        let prior = Bernoulli::from_logits(record.param("prior")?);
        let joint = pixels.log_prob(images) + middle.log_prob(b1) + prior.log_prob(b2);
        record.cost("-elbo", near.log_prob(b1) + far.log_prob(b2) - joint)
    }
}

/// The score function with leave-one-out, on a plate that both layers share.
fn training(sizes: Sizes, batches: Vec<Tensor<f32>>, threads: usize) -> BenchResult<Training> {
    let mut parameters = Parameters::new();
    let net = BeliefNet::new(sizes, &mut parameters)?;
    Training::new(parameters, batches, threads, move |record: &Record<'_, '_, f32>| {
        let samples = record.graph().plate("samples", sizes.samples)?;
        net.record(record, &ScoreFunction::new().on_plate(samples).baseline(LeaveOneOut))
    })
}

/// The case of the group.
pub fn cases() -> Vec<Case> {
    vec![Case::training("j", "sbn 2 layers loo K=4", |threads| {
        training(TIMED, batches(8, TIMED.batch, TIMED.pixels), threads)
    })]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Samples;

    #[test]
    fn the_gradients_have_the_mean_of_enumeration() {
        let sizes = Sizes { pixels: 5, bits: 2, batch: 1, samples: 8 };
        let images = || batches(1, sizes.batch, sizes.pixels);
        let mut parameters = Parameters::new();
        let net = BeliefNet::new(sizes, &mut parameters).expect("a model");
        let mut exact = Training::new(parameters, images(), 1, move |record: &Record<'_, '_, f32>| {
            net.record(record, &Enumerate::new())
        })
        .expect("a training");
        let exact = exact.gradients().expect("gradients");
        let mut samples: Vec<Samples> = exact.iter().map(|(_, gradient)| Samples::new(gradient.len())).collect();
        let mut sampled = training(sizes, images(), 1).expect("a training");
        for _ in 0..3000 {
            let gradients = sampled.gradients().expect("gradients");
            samples.iter_mut().zip(gradients.iter()).for_each(|(samples, (_, gradient))| samples.add(gradient));
        }
        for (samples, (name, gradient)) in samples.iter().zip(exact.iter()) {
            let gradient: Vec<f64> = gradient.as_slice().iter().map(|&x| f64::from(x)).collect();
            samples.assert_means(name, &gradient, 0.02);
        }
    }

    #[test]
    fn the_first_loss_is_that_of_an_untrained_net() {
        let images = batches(1, TIMED.batch, TIMED.pixels);
        let loss = training(TIMED, images, 1).expect("a model").gradients().expect("gradients").total();
        // The images at a probability of 1/2, and the divergences of both layers, which are small.
        let untrained = 784.0 * 2.0_f32.ln();
        assert!((loss / untrained - 1.0).abs() < 0.1, "{loss}, not about {untrained}");
    }
}
