//! A convolutional discrete VAE: the code of an image is a grid of categorical variables, one for each 4 × 4 pixels.
//!
//! `cargo run --release --example conv_vae` trains on the digits, `-- --quick` for 3 epochs. With `-- --data FOLDER`,
//! it trains on MNIST, with a 7 × 7 grid.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use comfy_table::{Table, presets};
use stochgrad::distributions::Id;
use stochgrad::estimators::Temperature;
use stochgrad::graph::{DynMethod, GraphResult};
use stochgrad::nn::data::{Digits, mnist};
use stochgrad::nn::{
    Activation, Adam, Conv2d, ConvKernel, ConvTranspose2d, Convolution, Inputs, Mode, NnResult, Parameters, Sequential,
};
use stochgrad::prelude::*;
use stochgrad::train::evaluation::ImportanceWeighted;
use stochgrad::train::output::{ImageGrid, add_results};
use stochgrad::train::{Epoch, Source, Trainer};
use stochgrad_examples::Place;

const CATEGORIES: usize = 32;
const ACTIVATION: Activation = Activation::LeakyRelu(0.1);
/// The seed of the codes of pictures.
const TEST: Seed = Seed { seed: 0x7e57, step: 0 };

/// Trains a convolutional discrete VAE.
#[derive(Parser)]
struct Arguments {
    /// Train for 3 epochs.
    #[arg(long)]
    quick: bool,
    /// The number of epochs: 100 on the digits, and 5 on MNIST by default.
    #[arg(long)]
    epochs: Option<u64>,
    /// The seed of the initial weights, the minibatches and the samples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The number of threads; it does not affect the results.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// The gradient method of the code.
    #[arg(long, value_enum, default_value_t = Name::LeaveOneOut)]
    method: Name,
    /// A folder with the files of MNIST. The embedded digits are used without it.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Where to train: on the CPU, or on the first device of a PJRT plugin.
    #[arg(long, default_value = "cpu", value_name = "cpu|xla:PLUGIN")]
    device: Place,
    /// The folder for checkpoints, metrics and pictures. A run that finds a checkpoint there resumes.
    #[arg(long, default_value = "out/conv_vae")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    /// Score function of 4 samples with leave-one-out
    LeaveOneOut,
    /// Gumbel-softmax with the temperature 2/3
    GumbelSoftmax,
    /// Gumbel-softmax with a temperature that falls from 2/3 to 0.1
    Annealed,
}

/// The gradient method of the code.
type CodeMethod = DynMethod<f32, OneHotCategorical<Id>>;

type DynSource = Box<dyn Source<f32>>;

impl Name {
    fn method(self, steps: u64) -> CodeMethod {
        match self {
            Name::LeaveOneOut => Arc::new(ScoreFunction::new().samples(4).baseline(LeaveOneOut)),
            Name::GumbelSoftmax => Arc::new(GumbelSoftmax::new(2.0 / 3.0)),
            Name::Annealed => Arc::new(GumbelSoftmax::new(Temperature::exponential(2.0 / 3.0, 0.1, steps))),
        }
    }
}

/// The layers of the model.
struct ConvVae {
    /// Pixels of a side of an image, and variables of a side of the grid.
    sides: [usize; 2],
    method: CodeMethod,
    encoder: Sequential<f32>,
    decoder: Sequential<f32>,
}

impl ConvVae {
    /// The image is halved twice, so that each variable of the grid has 4 × 4 pixels.
    fn new(side: usize, method: CodeMethod, parameters: &mut Parameters<f32>, seed: Seed) -> NnResult<Self> {
        let halved = ConvKernel::new([4, 4]).convolution(Convolution::new().stride([2, 2]).padding([1, 1]));
        let encoder = Sequential::builder(&mut *parameters, "encoder")
            .layer(|at, name| Conv2d::new(at, name, [1, 32], halved, seed))
            .then(ACTIVATION)
            .layer(|at, name| Conv2d::new(at, name, [32, 64], halved, seed))
            .then(ACTIVATION)
            .layer(|at, name| Conv2d::new(at, name, [64, CATEGORIES], [1, 1], seed))
            .build()?;
        let decoder = Sequential::builder(parameters, "decoder")
            .layer(|at, name| Conv2d::new(at, name, [CATEGORIES, 64], [1, 1], seed))
            .then(ACTIVATION)
            .layer(|at, name| ConvTranspose2d::new(at, name, [64, 32], halved, seed))
            .then(ACTIVATION)
            .layer(|at, name| ConvTranspose2d::new(at, name, [32, 1], halved, seed))
            .build()?;
        Ok(Self { sides: [side, side / 4], method, encoder, decoder })
    }

    /// The uniform distribution of a code.
    fn prior<'t>(&self, record: &Record<'_, 't, f32>) -> OneHotCategorical<Var<'t, f32>> {
        let [_, side] = self.sides;
        OneHotCategorical::from_logits(record.constant(Tensor::zeros([side, side, CATEGORIES])))
    }

    /// Records the negative evidence lower bound of a minibatch, and what pictures and the log-likelihood need.
    fn record(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let x = record.input("images")?;
        let q = OneHotCategorical::from_logits(self.encoder.forward(record, x)?);
        let z = match record.mode() {
            Mode::Train => record.sample("z", &q, &self.method)?,
            // Relaxed methods too are evaluated with one-hot samples.
            _ => record.sample("z", &q, &ScoreFunction::new().samples(4))?,
        };
        let pixels = Bernoulli::from_logits(self.decoder.forward(record, z)?);
        let prior = self.prior(record);
        record.cost("reconstruction", -pixels.log_prob(x))?;
        record.cost("kl", q.kl_to(&prior))?;
        record.output("pixels", pixels.probabilities())?;
        if record.is_training() {
            return Ok(()); // A relaxed sample has no probability.
        }
        record.output("log weight", pixels.log_prob(x) + prior.log_prob(z) - q.log_prob(z))
    }

    /// Records images whose codes are drawn from the prior.
    fn imagine(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let z = record.sample("z", &self.prior(record), &ScoreFunction::new().samples(100))?;
        record.output("pixels", Bernoulli::from_logits(self.decoder.forward(record, z)?).probabilities())
    }

    /// Writes test images above their reconstructions, and images drawn from the model.
    fn save_pictures(
        &self,
        parameters: &Parameters<f32>,
        test: &impl Source<f32>,
        out: &Path,
    ) -> Result<(), Box<dyn Error>> {
        let [side, _] = self.sides;
        let grid = ImageGrid::new(side, side);
        let some = test.minibatches(Epoch::in_order(40))?.next().ok_or("there are no test images")??;
        let images = some.get("images").ok_or("there are no images")?;
        let outputs = Step::new(|record: &Record<'_, '_, f32>| self.record(record)).predict(parameters, &some, TEST)?;
        // The first of the four samples of each image.
        let drawn = outputs.get("pixels")?.as_slice().chunks(side * side).step_by(4).flatten().copied();
        let drawn = Tensor::new(drawn.collect(), images.shape().clone())?;
        grid.draw_pairs(images, &drawn)?.save(out.join("reconstructions.png"))?;
        let mut imagine = Step::new(|record: &Record<'_, '_, f32>| self.imagine(record));
        let outputs = imagine.predict(parameters, &Inputs::new(), TEST)?;
        Ok(grid.draw(outputs.get("pixels")?)?.save(out.join("samples.png"))?)
    }
}

/// MNIST without its last 10,000 training images, whose pixels are drawn with the intensities as probabilities; or the
/// digits, whose pixels are black or white.
fn load(folder: Option<&Path>) -> Result<(DynSource, DynSource), Box<dyn Error>> {
    let Some(folder) = folder else {
        let (train, test) = Digits::embedded().split_at(1500)?;
        return Ok((Box::new(train.threshold("images", 0.5)), Box::new(test.threshold("images", 0.5))));
    };
    let mnist = mnist::load(folder)?;
    let (train, _) = mnist.train.split_at(50_000)?;
    Ok((Box::new(train.binarize("images")), Box::new(mnist.test.binarize("images"))))
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, epochs, seed, threads, method, data, device, out } = Arguments::parse();
    let (train, test) = load(data.as_deref())?;
    let (side, batch, default) = if data.is_some() { (28, 64, 5) } else { (8, 50, 100) };
    let epochs = epochs.unwrap_or(if quick { 3 } else { default });
    let steps = epochs * train.size().unwrap_or_default().div_ceil(batch) as u64;
    let shape = [side, side, 1];
    let (train, test) = (train.reshape("images", shape), test.reshape("images", shape));

    let mut parameters = Parameters::new();
    let vae = ConvVae::new(side, method.method(steps), &mut parameters, Seed::new(seed))?;
    let report = Trainer::new(Adam::new(1e-3))
        .epochs(epochs)
        .batch(batch)
        .seed(seed)
        .threads(threads)
        .device(device.open()?)
        .validate(&test)
        .setting("method", format!("{method:?}"))
        .out(&out)
        .fit(&mut parameters, &train, |record| vae.record(record))?;
    println!("{report}");

    let mut step = Step::new(|record: &Record<'_, '_, f32>| vae.record(record)).threads(threads);
    let chunks = if quick { 1 } else { 10 };
    let likelihood = ImportanceWeighted::new("log weight").chunks(chunks).run(&mut step, &parameters, &test)?;
    vae.save_pictures(&parameters, &test, &out)?;

    let bound = report.validation_total().unwrap_or(f64::NAN);
    let results = [("−ELBO", bound), ("−ln p(x)", -likelihood.mean)];
    add_results(out.join("summary.json"), results)?;
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(["method", "−ELBO", "−ln p(x)"]);
    table.add_row([format!("{method:?}"), format!("{bound:.2}"), format!("{:.2}", -likelihood.mean)]);
    println!("{table}");
    println!("pictures and metrics are in {}", out.display());
    Ok(())
}
