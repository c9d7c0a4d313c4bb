//! The variational autoencoder.

use stochgrad::distributions::{Bernoulli, Distribution};
use stochgrad::graph::{DynMethod, GraphResult, Seed};
use stochgrad::nn::{Activation, Layer, Mlp, Mode, NnResult, Parameters, Record};
use stochgrad::tape::Var;

use crate::code::Code;
use crate::settings::Settings;

/// The slope of the leaky rectifier below 0.
const SLOPE: f64 = 0.1;
/// Codes per image in an evaluation.
const TEST_SAMPLES: usize = 4;

/// An encoder from images to the logits of a code, and a decoder from codes to the logits of pixels.
///
/// The cost is the negative evidence lower bound of an image $x$ with code $z$,
/// $-\mathbb{E}_{q(z|x)}[\ln p(x|z)] + \mathrm{KL}(q(z|x) \| p(z))$, under a uniform prior.
#[derive(Clone, Debug)]
pub(crate) struct Model<C> {
    pub(crate) code: C,
    encoder: Mlp,
    decoder: Mlp,
}

impl<C: Code> Model<C> {
    /// A model with fresh parameters.
    pub(crate) fn new(code: C, pixels: usize, settings: &Settings, parameters: &mut Parameters<f32>) -> NnResult<Self> {
        let seed = Seed::new(settings.seed);
        let inner = settings.hidden.iter().copied();
        let down: Vec<usize> = std::iter::once(pixels).chain(inner).chain([code.width()]).collect();
        let up: Vec<usize> = down.iter().rev().copied().collect();
        let activation = Activation::LeakyRelu(SLOPE);
        Ok(Self {
            code,
            encoder: Mlp::new(&mut *parameters, "encoder", &down, activation, seed)?,
            decoder: Mlp::new(parameters, "decoder", &up, activation, seed)?,
        })
    }

    /// Records the −ELBO of the minibatch `images` as the costs `reconstruction` and `kl`, and the outputs `logits` (of
    /// the codes) and `pixels` (their probabilities). The codes are drawn by the gradient method in training, and
    /// otherwise from the distribution of the encoder: four for each image in an evaluation, one in a prediction.
    pub(crate) fn record(&self, record: &Record<'_, '_, f32>, method: &DynMethod<f32, C::Family>) -> GraphResult<()> {
        let images = record.input("images")?;
        let logits = self.encoder.forward(record, images)?;
        record.output("logits", logits)?;
        match record.mode() {
            Mode::Train => self.record_code(record, images, logits, method),
            Mode::Evaluate => self.record_code(record, images, logits, &self.code.discrete_samples(TEST_SAMPLES)),
            Mode::Predict => self.record_code(record, images, logits, &self.code.discrete_samples(1)),
        }
    }

    /// Records the costs as functions of the parameter `logits`, which has the logits of the code of each image.
    pub(crate) fn record_given_logits(
        &self,
        record: &Record<'_, '_, f32>,
        method: &DynMethod<f32, C::Family>,
    ) -> GraphResult<()> {
        let images = record.input("images")?;
        let mut logits = record.param("logits")?;
        for plate in images.plates() {
            logits = logits.event_to_plate(plate);
        }
        self.record_code(record, images, logits, method)
    }

    fn record_code<'t>(
        &self,
        record: &Record<'_, 't, f32>,
        images: Var<'t, f32>,
        logits: Var<'t, f32>,
        method: &DynMethod<f32, C::Family>,
    ) -> GraphResult<()> {
        let distribution = self.code.distribution(logits);
        let codes = record.sample("z", &distribution, method)?;
        let pixels = self.decode(record, codes)?;
        record.cost("reconstruction", -pixels.log_prob(images))?;
        record.cost("kl", self.code.divergence(&distribution, record.tape()))?;
        record.output("pixels", pixels.probabilities())
    }

    /// The distribution of the pixels, given samples of codes.
    pub(crate) fn decode<'t>(
        &self,
        record: &Record<'_, 't, f32>,
        codes: Var<'t, f32>,
    ) -> GraphResult<Bernoulli<Var<'t, f32>>> {
        let logits = self.decoder.forward(record, self.code.flatten(codes))?;
        Ok(Bernoulli::from_logits(logits))
    }
}
