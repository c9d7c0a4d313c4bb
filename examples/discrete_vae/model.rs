//! The variational autoencoder.

use stochgrad::distributions::{Bernoulli, Distribution};
use stochgrad::graph::{GradientMethod, GraphResult, Seed};
use stochgrad::nn::{Activation, Bound, Mlp, NnResult, Parameters};
use stochgrad::tape::Var;
use stochgrad::tensor::Tensor;

use crate::code::{Code, LatentDistribution};
use crate::settings::Settings;

/// The slope of the leaky rectifier below 0.
const SLOPE: f64 = 0.1;

/// An encoder from images to the logits of a code, and a decoder from codes to the logits of pixels.
///
/// The cost is the negative evidence lower bound of an image $x$ with code $z$,
/// $-\mathbb{E}_{q(z|x)}[\ln p(x|z)] + \mathrm{KL}(q(z|x) \| p(z))$, under a uniform prior.
#[derive(Debug)]
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

    /// The logits of the codes of images, of event shape `[width]`.
    pub(crate) fn encode<'t>(
        &self,
        parameters: &Bound<'_, 't, f32>,
        images: Var<'t, f32>,
    ) -> GraphResult<Var<'t, f32>> {
        self.encoder.forward(parameters, images)
    }

    /// The distribution of the pixels, given samples of codes.
    pub(crate) fn decode<'t>(
        &self,
        parameters: &Bound<'_, 't, f32>,
        codes: Var<'t, f32>,
    ) -> GraphResult<Bernoulli<Var<'t, f32>>> {
        let logits = self.decoder.forward(parameters, self.code.flatten(codes))?;
        Ok(Bernoulli::from_logits(logits))
    }

    /// Records the −ELBO of a batch of images as the costs `reconstruction` and `kl`.
    pub(crate) fn record<M>(&self, parameters: &Bound<'_, '_, f32>, images: &Tensor<f32>, method: &M) -> GraphResult<()>
    where
        M: GradientMethod<f32, C::Family> + Clone + 'static,
    {
        let images = parameters.graph().data("batch", images)?;
        let distribution = self.code.distribution(self.encode(parameters, images)?);
        self.record_costs(parameters, images, &distribution, method)
    }

    /// Records the costs, given the distribution of the codes.
    pub(crate) fn record_costs<'t, M>(
        &self,
        parameters: &Bound<'_, 't, f32>,
        images: Var<'t, f32>,
        distribution: &LatentDistribution<'t, C>,
        method: &M,
    ) -> GraphResult<()>
    where
        M: GradientMethod<f32, C::Family> + Clone + 'static,
    {
        let graph = parameters.graph();
        let codes = graph.sample("z", distribution, method)?;
        let pixels = self.decode(parameters, codes)?;
        graph.cost("reconstruction", -pixels.log_prob(images))?;
        graph.cost("kl", self.code.divergence(distribution, graph.tape()))
    }
}
