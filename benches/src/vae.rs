//! Groups a, b and d: training steps of variational autoencoders on synthetic binary images.
//!
//! A step computes a loss with its gradients and makes one update by Adam. The steps cycle through eight batches.

use std::sync::Arc;

use stochgrad::distributions::Id;
use stochgrad::graph::{DynMethod, GraphResult};
use stochgrad::nn::{Activation, Mlp, NnResult, Parameters};
use stochgrad::prelude::*;

use crate::BenchResult;
use crate::case::Case;
use crate::data::batches;
use crate::training::{LEARNING_RATE, Training};

/// The slope of the leaky rectifier below 0.
const SLOPE: f64 = 0.1;

/// The number of batches that the steps cycle through.
const BATCHES: usize = 8;

/// The sizes of an encoder and a decoder, without the latent variables between them.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The number of pixels of an image.
    pub pixels: usize,
    /// The sizes of the encoder's hidden layers.
    pub encoder: &'static [usize],
    /// The sizes of the decoder's hidden layers.
    pub decoder: &'static [usize],
    /// The number of images in a batch.
    pub batch: usize,
}

/// 784-200-200-\[z\]-200-784.
pub const NET_A: Sizes = Sizes { pixels: 784, encoder: &[200, 200], decoder: &[200], batch: 100 };

/// 784-512-256-\[z\]-256-512-784.
pub const NET_B: Sizes = Sizes { pixels: 784, encoder: &[512, 256], decoder: &[256, 512], batch: 128 };

/// The latent variables, with their gradient method.
#[derive(Clone)]
pub enum Latent {
    /// Independent bits with a uniform prior.
    Bits {
        /// The number of variables.
        bits: usize,
        /// The gradient method.
        method: DynMethod<f32, Bernoulli<Id>>,
    },
    /// Categorical variables as one-hot vectors, with a uniform prior.
    OneHots {
        /// The number of variables.
        variables: usize,
        /// The number of categories of each variable.
        categories: usize,
        /// The gradient method.
        method: DynMethod<f32, OneHotCategorical<Id>>,
    },
    /// Categorical variables whose joint states are enumerated.
    Enumerated {
        /// The number of variables.
        variables: usize,
        /// The number of categories of each variable.
        categories: usize,
    },
    /// Reparameterised normal variables with a standard normal prior.
    Normal {
        /// The number of variables.
        variables: usize,
    },
}

impl Latent {
    /// The number of outputs of the encoder, and of inputs of the decoder.
    pub fn widths(&self) -> [usize; 2] {
        match *self {
            Latent::Bits { bits, .. } => [bits; 2],
            Latent::OneHots { variables, categories, .. } | Latent::Enumerated { variables, categories, .. } => {
                [variables * categories; 2]
            }
            Latent::Normal { variables } => [2 * variables, variables],
        }
    }
}

/// An encoder, latent variables, and a decoder.
pub struct Vae {
    encoder: Mlp,
    decoder: Mlp,
    latent: Latent,
}

impl Vae {
    /// Creates a model and adds its parameters to `parameters`.
    ///
    /// # Errors
    /// If a size is 0.
    pub fn new(sizes: Sizes, latent: Latent, parameters: &mut Parameters<f32>) -> NnResult<Self> {
        let [code, input] = latent.widths();
        let down = [&[sizes.pixels], sizes.encoder, &[code]].concat();
        let up = [&[input], sizes.decoder, &[sizes.pixels]].concat();
        let activation = Activation::LeakyRelu(SLOPE);
        Ok(Self {
            encoder: Mlp::new(&mut *parameters, "encoder", &down, activation, Seed::new(0))?,
            decoder: Mlp::new(parameters, "decoder", &up, activation, Seed::new(0))?,
            latent,
        })
    }

    /// Records the −ELBO of the input `batch` as the costs `reconstruction` and `kl`.
    ///
    /// # Errors
    /// The errors of the graph.
    pub fn record(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let images = record.input("batch")?;
        let code = self.encoder.forward(record, images)?;
        let (reconstruction, divergence) = match &self.latent {
            Latent::Bits { method, .. } => {
                let distribution = Bernoulli::from_logits(code);
                let z = record.sample("z", &distribution, method)?;
                let prior = Bernoulli::from_logits(record.constant(0.0));
                (self.decode(record, z, images)?, distribution.kl_to(&prior))
            }
            &Latent::OneHots { variables, categories, ref method } => {
                let distribution = OneHotCategorical::from_logits(code.reshape([variables, categories]));
                let z = record.sample("z", &distribution, method)?.reshape([variables * categories]);
                (self.decode(record, z, images)?, distribution.kl_to(&uniform(record, variables, categories)))
            }
            &Latent::Enumerated { variables, categories } => {
                let distribution = OneHotCategorical::from_logits(code.reshape([variables, categories]));
                let z = record.sample("z", &distribution, &Enumerate::new())?.reshape([variables * categories]);
                // The states do not depend on the images, so each state is decoded once for all images.
                (self.decode(record, z, images)?, distribution.kl_to(&uniform(record, variables, categories)))
            }
            &Latent::Normal { variables } => {
                let (location, log_variance) = (code.slice(0, 0..variables), code.slice(0, variables..2 * variables));
                let distribution = Normal::from_log_scale(location, log_variance * 0.5);
                let z = record.sample("z", &distribution, &Pathwise::new())?;
                let prior = Normal::new(record.constant(0.0), 1.0);
                (self.decode(record, z, images)?, distribution.kl_to(&prior))
            }
        };
        record.cost("reconstruction", reconstruction)?;
        record.cost("kl", divergence)
    }

    /// The negative log-probability of images given their codes.
    fn decode<'t>(
        &self,
        record: &Record<'_, 't, f32>,
        codes: Var<'t, f32>,
        images: Var<'t, f32>,
    ) -> GraphResult<Var<'t, f32>> {
        let logits = self.decoder.forward(record, codes)?;
        Ok(-Bernoulli::from_logits(logits).log_prob(images))
    }
}

fn uniform<'t>(record: &Record<'_, 't, f32>, variables: usize, categories: usize) -> OneHotCategorical<Var<'t, f32>> {
    OneHotCategorical::from_logits(record.constant(Tensor::zeros([variables, categories])))
}

/// A model with fresh parameters in training, with kernels on this number of threads.
///
/// # Errors
/// If a size is 0.
pub fn training(sizes: Sizes, latent: Latent, threads: usize) -> BenchResult<Training> {
    of_batches(sizes, latent, BATCHES, threads)
}

fn of_batches(sizes: Sizes, latent: Latent, count: usize, threads: usize) -> BenchResult<Training> {
    let mut parameters = Parameters::new();
    let model = Vae::new(sizes, latent, &mut parameters)?;
    let batches = batches(count, sizes.batch, sizes.pixels);
    Training::new(parameters, batches, threads, move |record: &Record<'_, '_, f32>| model.record(record))
}

/// The score function with leave-one-out, on four samples.
fn leave_one_out() -> ScoreFunction<LeaveOneOut> {
    ScoreFunction::new().samples(4).baseline(LeaveOneOut)
}

/// RELAX with a network of 50 hidden units and a temperature, both learned at the model's rate.
fn relax() -> Relax {
    Relax::new().hidden(50).temperature(1.0).learning_rate(LEARNING_RATE)
}

/// REBAR with a temperature and a scale, both learned at the model's rate.
fn rebar() -> Rebar {
    Rebar::new().temperature(1.0).learned(LEARNING_RATE)
}

/// The cases of the three groups.
pub fn cases() -> Vec<Case> {
    let case = |group, name: &str, sizes: Sizes, latent: Latent| {
        Case::training(group, name, move |threads| training(sizes, latent.clone(), threads))
    };
    let bits = |name, method| case("a", name, NET_A, Latent::Bits { bits: 200, method });
    let one_hots = |name, method| case("b", name, NET_B, Latent::OneHots { variables: 20, categories: 10, method });
    // Other systems have two cases, which decode the states for each image or once for all images. Both are compared
    // with the same case here.
    let enumerated = |name| case("b", name, NET_B, Latent::Enumerated { variables: 2, categories: 10 });
    vec![
        bits("reinforce-loo K=4", Arc::new(leave_one_out())),
        bits("disarm pair", Arc::new(DisArm::new())),
        bits("concrete K=1", Arc::new(GumbelSoftmax::new(0.5))),
        bits("st-concrete K=1", Arc::new(GumbelSoftmax::new(0.5).straight_through())),
        bits("relax K=1", Arc::new(relax())),
        bits("rebar K=1", Arc::new(rebar())),
        one_hots("reinforce-loo K=4", Arc::new(leave_one_out())),
        one_hots("gumbel-softmax K=1", Arc::new(GumbelSoftmax::new(1.0))),
        one_hots("st-gumbel K=1", Arc::new(GumbelSoftmax::new(1.0).straight_through())),
        one_hots("relax K=1", Arc::new(relax())),
        one_hots("rebar K=1", Arc::new(rebar())),
        enumerated("expect 2 latents"),
        enumerated("expect 2 latents, shared"),
        case("d", "normal reparam, net A", NET_A, Latent::Normal { variables: 20 }),
        case("d", "normal reparam, net B", NET_B, Latent::Normal { variables: 20 }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Samples;

    const SMALL: Sizes = Sizes { pixels: 6, encoder: &[5], decoder: &[5], batch: 4 };

    fn small(latent: Latent) -> Training {
        of_batches(SMALL, latent, 1, 1).expect("a model")
    }

    fn bits(method: DynMethod<f32, Bernoulli<Id>>) -> Latent {
        Latent::Bits { bits: 3, method }
    }

    #[test]
    fn leave_one_out_has_the_mean_of_enumeration() {
        let one_hots =
            |method: DynMethod<f32, OneHotCategorical<Id>>| Latent::OneHots { variables: 2, categories: 3, method };
        for (sampled, exact) in [
            (bits(Arc::new(leave_one_out())), bits(Arc::new(Enumerate::new()))),
            (one_hots(Arc::new(leave_one_out())), one_hots(Arc::new(Enumerate::new()))),
        ] {
            let mut enumerated = small(exact);
            let exact = enumerated.gradients().expect("gradients");
            let (mut training, mut losses) = (small(sampled), Samples::new(1));
            let mut samples: Vec<Samples> = exact.iter().map(|(_, gradient)| Samples::new(gradient.len())).collect();
            for _ in 0..2000 {
                let gradients = training.gradients().expect("gradients");
                for (samples, (_, gradient)) in samples.iter_mut().zip(gradients.iter()) {
                    samples.add(gradient);
                }
                losses.add(&Tensor::scalar(gradients.total()));
            }
            losses.assert_means("loss", &[f64::from(exact.total())], 0.01);
            for (samples, (name, gradient)) in samples.iter().zip(exact.iter()) {
                let gradient: Vec<f64> = gradient.as_slice().iter().map(|&x| f64::from(x)).collect();
                samples.assert_means(name, &gradient, 0.02);
            }
        }
    }

    #[test]
    fn the_first_loss_is_that_of_an_untrained_decoder() {
        let latents = [
            bits(Arc::new(GumbelSoftmax::new(0.5))),
            bits(Arc::new(GumbelSoftmax::new(0.5).straight_through())),
            Latent::Normal { variables: 20 },
        ];
        for latent in latents {
            let loss = training(NET_A, latent, 1).expect("a model").gradients().expect("gradients").total();
            let untrained = 784.0 * 2.0_f32.ln();
            assert!((loss / untrained - 1.0).abs() < 0.02, "{loss}, not about {untrained}");
        }
    }

    #[test]
    fn training_lowers_the_loss() {
        let methods = [
            bits(Arc::new(leave_one_out())),
            bits(Arc::new(GumbelSoftmax::new(0.5))),
            bits(Arc::new(DisArm::new())),
            bits(Arc::new(relax())),
            bits(Arc::new(rebar())),
            Latent::Normal { variables: 3 },
        ];
        for latent in methods {
            let mut training = small(latent);
            let mut losses = (0..1000).map(|_| training.step().expect("a loss"));
            let before: f32 = losses.by_ref().take(100).sum();
            let after: f32 = losses.skip(800).sum();
            assert!(after < 0.9 * before, "{before} before, {after} after");
        }
    }
}
