//! Group g: training steps of a convolutional variational autoencoder with a grid of categorical codes.
//!
//! Images of 28 × 28 pixels pass convolutions with 32 and 64 channels of 4 × 4 kernels with stride 2, and a convolution
//! of 1 × 1 kernels gives the logits of 7 × 7 codes with 32 categories. The decoder mirrors the encoder with transposed
//! convolutions.

use std::sync::Arc;

use stochgrad::distributions::Id;
use stochgrad::graph::{DynMethod, GraphResult};
use stochgrad::nn::Parameters;
use stochgrad::prelude::*;
use stochgrad::tensor::convolution::Convolution;
use stochgrad::tensor::map::Map;
use stochgrad::tensor::random::{Key, address_hash};

use crate::BenchResult;
use crate::case::Case;
use crate::data::batches;
use crate::training::Training;

/// The slope of the leaky rectifier below 0.
const SLOPE: f64 = 0.1;

/// The number of images in a batch.
const BATCH: usize = 64;

/// The number of codes of an image, and of the categories of a code.
const CODES: [usize; 2] = [49, 32];

/// A layer: its name, the shape of its weights, the number of its outputs, and the number of values that an output
/// reads.
type Layer = (&'static str, [usize; 4], usize, usize);

const ENCODER: [Layer; 3] = [
    ("encoder.0", [4, 4, 1, 32], 32, 16),
    ("encoder.1", [4, 4, 32, 64], 64, 512),
    ("encoder.2", [1, 1, 64, 32], 32, 64),
];

const DECODER: [Layer; 3] = [
    ("decoder.0", [1, 1, 32, 64], 64, 32),
    ("decoder.1", [4, 4, 32, 64], 32, 1024),
    ("decoder.2", [4, 4, 1, 32], 1, 512),
];

/// Uniform weights within the inverse root of the number of values that an output reads, and biases of 0.
fn parameters() -> BenchResult<Parameters<f32>> {
    let mut parameters = Parameters::new();
    for (name, shape, outputs, inputs) in ENCODER.into_iter().chain(DECODER) {
        let mut weights = Tensor::zeros(shape);
        Key::new(0, 0, address_hash(name, &[])).uniform(0, weights.make_mut());
        let bound = (inputs as f32).powf(-0.5);
        weights.make_mut().iter_mut().for_each(|weight| *weight = bound * (2.0 * *weight - 1.0));
        parameters.insert(format!("{name}.weight"), weights)?;
        parameters.insert(format!("{name}.bias"), Tensor::zeros([outputs]))?;
    }
    Ok(parameters)
}

fn rectified(x: Var<'_, f32>) -> Var<'_, f32> {
    x.map(Map::LeakyRelu(SLOPE))
}

/// Records the −ELBO of the input `batch` as the costs `reconstruction` and `kl`.
fn record(model: &Record<'_, '_, f32>, method: &DynMethod<f32, OneHotCategorical<Id>>) -> GraphResult<()> {
    let halving = Convolution::new().stride([2, 2]).padding([1, 1]);
    let weights = |layer: Layer| model.param(&format!("{}.weight", layer.0));
    let bias = |layer: Layer| model.param(&format!("{}.bias", layer.0));

    let images = model.input("batch")?;
    let hidden = images.reshape([28, 28, 1]).conv2d(weights(ENCODER[0])?, halving) + bias(ENCODER[0])?;
    let hidden = rectified(hidden).conv2d(weights(ENCODER[1])?, halving) + bias(ENCODER[1])?;
    let logits = rectified(hidden).conv2d(weights(ENCODER[2])?, Convolution::new()) + bias(ENCODER[2])?;
    let distribution = OneHotCategorical::from_logits(logits.reshape(CODES));
    let codes = model.sample("z", &distribution, method)?.reshape([7, 7, CODES[1]]);
    let prior = OneHotCategorical::from_logits(model.constant(Tensor::zeros(CODES)));

    let hidden = codes.conv2d(weights(DECODER[0])?, Convolution::new()) + bias(DECODER[0])?;
    let hidden = rectified(hidden).conv_transpose2d(weights(DECODER[1])?, halving, [0, 0]) + bias(DECODER[1])?;
    let pixels = rectified(hidden).conv_transpose2d(weights(DECODER[2])?, halving, [0, 0]) + bias(DECODER[2])?;
    let reconstruction = -Bernoulli::from_logits(pixels.reshape([784])).log_prob(images);
    model.cost("reconstruction", reconstruction)?;
    model.cost("kl", distribution.kl_to(&prior))
}

fn training(method: DynMethod<f32, OneHotCategorical<Id>>, count: usize, threads: usize) -> BenchResult<Training> {
    Training::new(parameters()?, batches(count, BATCH, 784), threads, move |model: &Record<'_, '_, f32>| {
        record(model, &method)
    })
}

/// The cases of the group.
pub fn cases() -> Vec<Case> {
    let case = |name: &str, method: DynMethod<f32, OneHotCategorical<Id>>| {
        Case::training("g", name, move |threads| training(method.clone(), 8, threads))
    };
    vec![
        case("conv gumbel-softmax K=1", Arc::new(GumbelSoftmax::new(2.0 / 3.0))),
        case("conv reinforce-loo K=4", Arc::new(ScoreFunction::new().samples(4).baseline(LeaveOneOut))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_loss_is_that_of_an_untrained_decoder_and_training_lowers_it() {
        let mut training = training(Arc::new(GumbelSoftmax::new(2.0 / 3.0)), 1, 1).expect("a training");
        let first = training.step().expect("a loss");
        assert!((first / (784.0 * 2.0_f32.ln()) - 1.0).abs() < 0.05, "{first}");
        let last = (0..30).map(|_| training.step().expect("a loss")).last().expect("a loss");
        assert!(last < 0.9 * first, "{first} before, {last} after");
    }
}
