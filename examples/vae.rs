//! The smallest honest discrete VAE: handwritten digits, 20 categorical variables of 10 categories, leave-one-out.
//!
//! `cargo run --release --example vae` trains for 100 epochs, `-- --quick` for 3.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Parser;
use stochgrad::graph::GraphResult;
use stochgrad::nn::data::Digits;
use stochgrad::nn::{Activation, Adam, Inputs, Mlp, Mode, Parameters};
use stochgrad::prelude::*;
use stochgrad::train::evaluation::{ImportanceWeighted, LogLikelihood};
use stochgrad::train::output::ImageGrid;
use stochgrad::train::{Epoch, Source, Trainer};
use stochgrad_examples::Place;

const VARIABLES: usize = 20;
const CATEGORIES: usize = 10;
const WIDTH: usize = VARIABLES * CATEGORIES;
/// Pixels of a side of an image.
const SIDE: usize = 8;
/// The seed of the codes of pictures.
const TEST: Seed = Seed { seed: 0x7e57, step: 0 };

/// Trains a discrete VAE on handwritten digits.
#[derive(Parser)]
struct Arguments {
    /// Train for 3 epochs.
    #[arg(long)]
    quick: bool,
    /// The seed of the initial weights, the minibatches and the samples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The number of threads; it does not affect the results.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Where to train: on the CPU, or on the first device of a PJRT plugin.
    #[arg(long, default_value = "cpu", value_name = "cpu|xla:PLUGIN")]
    device: Place,
    /// The folder for checkpoints, metrics and pictures. A run that finds a checkpoint there resumes.
    #[arg(long, default_value = "out/vae")]
    out: PathBuf,
}

/// The layers of the model.
struct Vae {
    encoder: Mlp,
    decoder: Mlp,
}

impl Vae {
    fn new(parameters: &mut Parameters<f32>, seed: Seed) -> Result<Self, Box<dyn Error>> {
        let activation = Activation::LeakyRelu(0.1);
        Ok(Self {
            encoder: Mlp::new(&mut *parameters, "encoder", &[SIDE * SIDE, 128, 128, WIDTH], activation, seed)?,
            decoder: Mlp::new(parameters, "decoder", &[WIDTH, 128, 128, SIDE * SIDE], activation, seed)?,
        })
    }

    /// Records the negative evidence lower bound of a minibatch, and what pictures and the log-likelihood need.
    fn record(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let x = record.input("images")?;
        let logits = self.encoder.forward(record, x)?.reshape([VARIABLES, CATEGORIES]);
        let q = OneHotCategorical::from_logits(logits);
        let z = match record.mode() {
            Mode::Predict => record.sample("z", &q, &ScoreFunction::new())?,
            _ => record.sample("z", &q, &ScoreFunction::new().samples(4).baseline(LeaveOneOut))?,
        };
        let pixels = Bernoulli::from_logits(self.decoder.forward(record, z.reshape([WIDTH]))?);
        let prior = OneHotCategorical::from_logits(record.constant(Tensor::zeros([VARIABLES, CATEGORIES])));
        record.cost("reconstruction", -pixels.log_prob(x))?;
        record.cost("kl", q.kl_to(&prior))?;
        record.output("pixels", pixels.probabilities())?;
        record.output("log weight", pixels.log_prob(x) + prior.log_prob(z) - q.log_prob(z))
    }

    /// Records images whose codes are drawn from the prior.
    fn imagine(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let prior = OneHotCategorical::from_logits(record.constant(Tensor::zeros([VARIABLES, CATEGORIES])));
        let z = record.sample("z", &prior, &ScoreFunction::new().samples(100))?;
        let pixels = Bernoulli::from_logits(self.decoder.forward(record, z.reshape([WIDTH]))?);
        record.output("pixels", pixels.probabilities())
    }

    /// Writes test images above their reconstructions, and images drawn from the model.
    fn save_pictures(
        &self,
        parameters: &Parameters<f32>,
        test: &impl Source<f32>,
        out: &Path,
    ) -> Result<(), Box<dyn Error>> {
        let grid = ImageGrid::new(SIDE, SIDE);
        let some = test.minibatches(Epoch::in_order(40))?.next().ok_or("there are no test images")??;
        let images = some.get("images").ok_or("there are no images")?;
        let outputs = Step::new(|record: &Record<'_, '_, f32>| self.record(record)).predict(parameters, &some, TEST)?;
        grid.draw_pairs(images, outputs.get("pixels")?)?.save(out.join("reconstructions.png"))?;
        let mut imagine = Step::new(|record: &Record<'_, '_, f32>| self.imagine(record));
        let outputs = imagine.predict(parameters, &Inputs::new(), TEST)?;
        Ok(grid.draw(outputs.get("pixels")?)?.save(out.join("samples.png"))?)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, seed, threads, device, out } = Arguments::parse();
    let (train, test) = Digits::embedded().split_at(1500)?;
    let (train, test) = (train.threshold("images", 0.5), test.threshold("images", 0.5));

    let mut parameters = Parameters::new();
    let vae = Vae::new(&mut parameters, Seed::new(seed))?;
    let report = Trainer::new(Adam::new(1e-3))
        .epochs(if quick { 3 } else { 100 })
        .batch(50)
        .seed(seed)
        .threads(threads)
        .device(device.open()?)
        .validate(&test)
        .out(&out)
        .fit(&mut parameters, &train, |record| vae.record(record))?;
    println!("{report}");

    let mut step = Step::new(|record: &Record<'_, '_, f32>| vae.record(record)).threads(threads);
    let samples = if quick { 10 } else { 500 };
    let LogLikelihood { mean, standard_error, sampling_error, .. } =
        ImportanceWeighted::new("log weight").chunks(samples).run(&mut step, &parameters, &test)?;
    println!("−ln p(x) of test images: {:.2} ± {standard_error:.2} ({samples} samples, ± {sampling_error:.3})", -mean);

    vae.save_pictures(&parameters, &test, &out)?;
    println!("pictures and metrics are in {}", out.display());
    Ok(())
}
