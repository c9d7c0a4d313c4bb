//! Group f: a training step of a VAE with 32 bits by measure-valued derivatives, which replay the decoder for each bit.

use stochgrad::distributions::Id;
use stochgrad::graph::{GradientMethod, GraphResult};
use stochgrad::nn::{Activation, Mlp, NnResult, Parameters};
use stochgrad::prelude::*;

use crate::BenchResult;
use crate::case::Case;
use crate::data::batches;
use crate::training::Training;

/// The sizes of the network: pixels-hidden-\[bits\]-hidden-pixels.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The number of pixels of an image.
    pub pixels: usize,
    /// The size of the hidden layers.
    pub hidden: usize,
    /// The number of bits.
    pub bits: usize,
    /// The number of images in a batch.
    pub batch: usize,
}

/// The sizes of the timed case.
pub const NET_F: Sizes = Sizes { pixels: 784, hidden: 200, bits: 32, batch: 50 };

/// An encoder and a decoder.
struct Vae {
    encoder: Mlp,
    decoder: Mlp,
}

impl Vae {
    fn new(sizes: Sizes, parameters: &mut Parameters<f32>) -> NnResult<Self> {
        let Sizes { pixels, hidden, bits, .. } = sizes;
        let activation = Activation::LeakyRelu(0.1);
        Ok(Self {
            encoder: Mlp::new(&mut *parameters, "encoder", &[pixels, hidden, bits], activation, Seed::new(0))?,
            decoder: Mlp::new(parameters, "decoder", &[bits, hidden, pixels], activation, Seed::new(0))?,
        })
    }

    /// Records the −ELBO of the input `batch` with a uniform prior, as the costs `reconstruction` and `kl`.
    fn record(
        &self,
        record: &Record<'_, '_, f32>,
        method: &(impl GradientMethod<f32, Bernoulli<Id>> + Clone + 'static),
    ) -> GraphResult<()> {
        let images = record.input("batch")?;
        let code = Bernoulli::from_logits(self.encoder.forward(record, images)?);
        let z = record.sample("z", &code, method)?;
        let pixels = Bernoulli::from_logits(self.decoder.forward(record, z)?);
        record.cost("reconstruction", -pixels.log_prob(images))?;
        record.cost("kl", code.kl_to(&Bernoulli::from_logits(record.constant(0.0))))
    }
}

fn training(
    sizes: Sizes,
    threads: usize,
    method: impl GradientMethod<f32, Bernoulli<Id>> + Clone + 'static,
) -> BenchResult<Training> {
    let mut parameters = Parameters::new();
    let vae = Vae::new(sizes, &mut parameters)?;
    let images = batches(8, sizes.batch, sizes.pixels);
    Training::new(parameters, images, threads, move |record: &Record<'_, '_, f32>| vae.record(record, &method))
}

/// The case of the group.
pub fn cases() -> Vec<Case> {
    vec![Case::new("f", "measure-valued 32 bits", |threads| {
        let mut training = training(NET_F, threads, MeasureValued::new())?;
        Ok(Box::new(move || training.step().map(drop)))
    })]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Samples;

    #[test]
    fn the_gradients_have_the_mean_of_enumeration() {
        let sizes = Sizes { pixels: 6, hidden: 5, bits: 3, batch: 1 };
        // One batch, so that only the noise differs between steps.
        let small = |sizes| batches(1, 1, sizes);
        let of = |enumerate: bool| {
            let mut parameters = Parameters::new();
            let vae = Vae::new(sizes, &mut parameters).expect("a model");
            Training::new(parameters, small(sizes.pixels), 1, move |record: &Record<'_, '_, f32>| match enumerate {
                true => vae.record(record, &Enumerate::new()),
                false => vae.record(record, &MeasureValued::new()),
            })
            .expect("a training")
        };
        let mut exact = of(true);
        let exact = exact.gradients().expect("gradients");
        let mut samples: Vec<Samples> = exact.iter().map(|(_, gradient)| Samples::new(gradient.len())).collect();
        let mut sampled = of(false);
        for _ in 0..2000 {
            let gradients = sampled.gradients().expect("gradients");
            samples.iter_mut().zip(gradients.iter()).for_each(|(samples, (_, gradient))| samples.add(gradient));
        }
        for (samples, (name, gradient)) in samples.iter().zip(exact.iter()) {
            let gradient: Vec<f64> = gradient.as_slice().iter().map(|&x| f64::from(x)).collect();
            samples.assert_means(name, &gradient, 0.02);
        }
    }

    #[test]
    fn the_first_loss_is_that_of_an_untrained_decoder() {
        let loss = training(NET_F, 1, MeasureValued::new()).expect("a model").gradients().expect("gradients").total();
        let untrained = 784.0 * 2.0_f32.ln();
        assert!((loss / untrained - 1.0).abs() < 0.02, "{loss}, not about {untrained}");
    }
}
