//! A sigmoid belief net: two layers of 200 bits that depend on each other, each with a gradient method of its own
//! (Neal, 1992; Mnih and Gregor, 2014).
//!
//! `cargo run --release --example sigmoid_belief_net` compares all methods on the digits, `-- --quick` for 2 epochs.
//! With `-- --data FOLDER`, it trains on MNIST.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use comfy_table::{Table, presets};
use stochgrad::distributions::Id;
use stochgrad::graph::{DynMethod, GraphResult};
use stochgrad::nn::data::{Digits, mnist};
use stochgrad::nn::{Adam, Initialization, Inputs, Linear, Mode, Parameters};
use stochgrad::prelude::*;
use stochgrad::train::evaluation::ImportanceWeighted;
use stochgrad::train::output::{ImageGrid, add_results};
use stochgrad::train::{Epoch, GradientVariance, Source, Trainer};
use stochgrad_examples::Place;

/// The number of bits of a layer.
const BITS: usize = 200;
/// The number of joint samples of both layers.
const SAMPLES: usize = 4;
const BATCH: usize = 100;
/// The seed of the codes of pictures.
const TEST: Seed = Seed { seed: 0x7e57, step: 0 };

/// Trains a sigmoid belief net with several gradient methods.
#[derive(Parser)]
struct Arguments {
    /// Train for 2 epochs.
    #[arg(long)]
    quick: bool,
    /// The number of epochs: 100 on the digits, and 10 on MNIST by default.
    #[arg(long)]
    epochs: Option<u64>,
    /// The seed of the initial weights, the minibatches and the samples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The number of threads; it does not affect the results.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// The methods to compare: all of them by default.
    #[arg(long, value_enum)]
    method: Vec<Name>,
    /// A folder with the files of MNIST. The embedded digits are used without it.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Where to train: on the CPU, or on the first device of a PJRT plugin.
    #[arg(long, default_value = "cpu", value_name = "cpu|xla:PLUGIN")]
    device: Place,
    /// The folder for checkpoints, metrics and pictures. A run that finds a checkpoint there resumes.
    #[arg(long, default_value = "out/sigmoid_belief_net")]
    out: PathBuf,
}

/// The gradient methods of the lower and of the upper layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Score function with leave-one-out over joint samples of both layers
    LeaveOneOut,
    /// A pair of lower layers, and a pair of upper layers for each
    Disarm,
    /// Four lower layers, and a pair of upper layers for each
    Arms,
    /// A learned control variate for each layer
    Relax,
    /// Four lower layers with ARMS, and REBAR for the upper layer
    ArmsRebar,
    /// The importance-weighted bound of joint samples, in place of the evidence lower bound
    Vimco,
}

type DynSource = Box<dyn Source<f32>>;

/// The gradient method of a layer.
type LayerMethod = DynMethod<f32, Bernoulli<Id>>;

/// The layers of the model.
struct BeliefNet {
    name: Name,
    /// Networks that are learned belong to these methods, which are made once.
    learned: [LayerMethod; 2],
    encoders: [Linear; 2],
    decoders: [Linear; 2],
}

impl BeliefNet {
    fn new(name: Name, parameters: &mut Parameters<f32>, pixels: usize, seed: Seed) -> Result<Self, Box<dyn Error>> {
        let mut linear = |name: &str, inputs, outputs| {
            Linear::new(&mut *parameters, name, inputs, outputs, Initialization::Uniform, seed)
        };
        let encoders = [linear("encoder.lower", pixels, BITS)?, linear("encoder.upper", BITS, BITS)?];
        let decoders = [linear("decoder.lower", BITS, pixels)?, linear("decoder.upper", BITS, BITS)?];
        parameters.insert("prior", Tensor::zeros([BITS]))?;
        let learned: [LayerMethod; 2] = [Arc::new(Relax::new()), Arc::new(Relax::new())];
        Ok(Self { name, learned, encoders, decoders })
    }

    /// The methods of the lower and of the upper layer.
    fn methods(&self, record: &Record<'_, '_, f32>) -> GraphResult<[LayerMethod; 2]> {
        if record.mode() != Mode::Train {
            return Ok([Arc::new(ScoreFunction::new().samples(SAMPLES)), Arc::new(ScoreFunction::new())]);
        }
        let samples = || record.graph().plate("samples", SAMPLES);
        Ok(match self.name {
            Name::LeaveOneOut => {
                let method = Arc::new(ScoreFunction::new().on_plate(samples()?).baseline(LeaveOneOut));
                [method.clone(), method]
            }
            Name::Vimco => {
                let method = Arc::new(ScoreFunction::new().on_plate(samples()?).baseline(Vimco::new()));
                [method.clone(), method]
            }
            Name::Disarm => [Arc::new(DisArm::new()), Arc::new(DisArm::new())],
            Name::Arms => [Arc::new(Arms::new(SAMPLES)), Arc::new(DisArm::new())],
            Name::ArmsRebar => [Arc::new(Arms::new(SAMPLES)), Arc::new(Rebar::new())],
            Name::Relax => self.learned.clone(),
        })
    }

    /// Records the negative evidence lower bound of a minibatch, and what pictures and the log-likelihood need.
    fn record(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let x = record.input("images")?;
        let [lower_method, upper_method] = self.methods(record)?;
        let lower_code = Bernoulli::from_logits(self.encoders[0].forward(record, x)?);
        let lower = record.sample("lower", &lower_code, &lower_method)?;
        let upper_code = Bernoulli::from_logits(self.encoders[1].forward(record, lower)?);
        let upper = record.sample("upper", &upper_code, &upper_method)?;

        let pixels = Bernoulli::from_logits(self.decoders[0].forward(record, lower)?);
        let lower_prior = Bernoulli::from_logits(self.decoders[1].forward(record, upper)?);
        let prior = Bernoulli::from_logits(record.param("prior")?);
        let log_weight = pixels.log_prob(x) + lower_prior.log_prob(lower) - lower_code.log_prob(lower)
            + prior.log_prob(upper)
            - upper_code.log_prob(upper);
        record.output("pixels", pixels.probabilities())?;
        record.output("log weight", log_weight)?;
        match record.graph().plate_named("samples") {
            Some(samples) if self.name == Name::Vimco => record.cost("bound", -log_weight.log_mean_exp_over(samples)),
            _ => {
                record.cost("reconstruction", -pixels.log_prob(x))?;
                record.cost("lower", lower_code.log_prob(lower) - lower_prior.log_prob(lower))?;
                record.cost("upper", upper_code.kl_to(&prior))
            }
        }
    }

    /// Records images that are drawn from the model, from the top to the bottom.
    fn imagine(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let prior = Bernoulli::from_logits(record.param("prior")?);
        let upper = record.sample("upper", &prior, &ScoreFunction::new().samples(100))?;
        let lower = Bernoulli::from_logits(self.decoders[1].forward(record, upper)?);
        let lower = record.sample("lower", &lower, &ScoreFunction::new())?;
        let pixels = Bernoulli::from_logits(self.decoders[0].forward(record, lower)?);
        record.output("pixels", pixels.probabilities())
    }

    /// Writes test images above the mean of their reconstructions, and images drawn from the model.
    fn save_pictures(
        &self,
        parameters: &Parameters<f32>,
        test: &impl Source<f32>,
        side: usize,
        out: &Path,
    ) -> Result<(), Box<dyn Error>> {
        let grid = ImageGrid::new(side, side);
        let some = test.minibatches(Epoch::in_order(40))?.next().ok_or("there are no test images")??;
        let images = some.get("images").ok_or("there are no images")?;
        let outputs = Step::new(|record: &Record<'_, '_, f32>| self.record(record)).predict(parameters, &some, TEST)?;
        // The first of the samples of each image.
        let drawn = outputs.get("pixels")?.as_slice().chunks(side * side).step_by(SAMPLES).flatten().copied();
        grid.draw_pairs(images, &Tensor::new(drawn.collect(), images.shape().clone())?)?
            .save(out.join("reconstructions.png"))?;
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
    let device = device.open()?;
    let (train, test) = load(data.as_deref())?;
    let default = if data.is_some() { 10 } else { 100 };
    let epochs = epochs.unwrap_or(if quick { 2 } else { default });
    let side = if data.is_some() { 28 } else { 8 };
    let steps = train.size().unwrap_or_default().div_ceil(BATCH) as u64;
    let chosen = if method.is_empty() { Name::value_variants() } else { &method };

    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header([
        "method",
        "−ELBO",
        "−ln p(x)",
        "variance of lower encoder",
        "of upper encoder",
    ]);
    for &name in chosen {
        let label = name.to_possible_value().ok_or("a method without a name")?.get_name().to_owned();
        let out = out.join(&label);
        let mut parameters = Parameters::new();
        let net = BeliefNet::new(name, &mut parameters, side * side, Seed::new(seed))?;
        let report = Trainer::new(Adam::new(1e-3))
            .epochs(epochs)
            .batch(BATCH)
            .seed(seed)
            .threads(threads)
            .device(device.clone())
            .validate(&test)
            .gradient_variance(GradientVariance::of(["encoder.lower", "encoder.upper"]).every(steps))
            .setting("method", &label)
            .out(&out)
            .fit(&mut parameters, &train, |record| net.record(record))?;
        println!("{label}: {report}");

        let mut step = Step::new(|record: &Record<'_, '_, f32>| net.record(record)).threads(threads);
        let chunks = if quick { 1 } else { 25 };
        let likelihood = ImportanceWeighted::new("log weight").chunks(chunks).run(&mut step, &parameters, &test)?;
        net.save_pictures(&parameters, &test, side, &out)?;

        let bound = report.validation_total().unwrap_or(f64::NAN);
        let mut cells = vec![label.clone(), format!("{bound:.2}"), format!("{:.2}", -likelihood.mean)];
        cells.extend(report.last.variances.iter().map(|(_, variance)| format!("{variance:.2e}")));
        table.add_row(cells);
        let results = [("−ELBO", bound), ("−ln p(x)", -likelihood.mean)];
        add_results(out.join("summary.json"), results)?;
        let named = results.map(|(result, value)| (format!("{label}: {result}"), value));
        add_results(out.with_file_name("summary.json"), named)?;
    }
    println!("{table}\npictures and metrics are in {}", out.display());
    Ok(())
}
