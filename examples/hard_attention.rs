//! Where to look: a classifier of handwritten digits sees a few patches of an image, which a policy chooses one after
//! the other (Mnih, Heess, Graves and Kavukcuoglu, 2014). The choices are categorical nodes; several gradient methods
//! are compared with patches at random.
//!
//! `cargo run --release --example hard_attention` takes some minutes, `-- --quick` some seconds.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use comfy_table::{Table, presets};
use stochgrad::distributions::Id;
use stochgrad::estimators::MovingAverage;
use stochgrad::graph::{DynMethod, GraphResult};
use stochgrad::nn::data::Digits;
use stochgrad::nn::{Activation, Adam, Mlp, Mode, Parameters, Schedule};
use stochgrad::prelude::*;
use stochgrad::tape::Plate;
use stochgrad::train::Trainer;
use stochgrad::train::output::{ImageGrid, add_results};
use stochgrad::train::source::Tensors;

/// Pixels of a side of an image, of a patch, and of both as squares.
const SIDE: usize = 8;
const PATCH: usize = 2;
const PIXELS: usize = SIDE * SIDE;
/// Patches do not overlap.
const PLACES: usize = PIXELS / (PATCH * PATCH);
const CLASSES: usize = 10;
const GLIMPSES: usize = 4;
/// The sequences of glimpses of an image for one gradient.
const SAMPLES: usize = 8;
/// The epoch in which the cost shows how fast a method learns.
const EARLY: u64 = 5;
/// The seed of glimpses of test images.
const TEST: Seed = Seed { seed: 0x7e57, step: 0 };

/// Compares gradient methods for the places of glimpses.
#[derive(Parser)]
struct Arguments {
    /// Train for 5 epochs, with one seed.
    #[arg(long)]
    quick: bool,
    /// The number of epochs.
    #[arg(long, default_value_t = 50)]
    epochs: u64,
    /// The number of seeds.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// The first seed of the initial weights, minibatches and samples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Measure accuracies on 300 of the training images in place of the test images, to choose settings.
    #[arg(long)]
    validation: bool,
    /// The folder for checkpoints, metrics and pictures.
    #[arg(long, default_value = "out/hard_attention")]
    out: PathBuf,
}

/// The gradient method of a place, on the plate of the samples.
type Method = DynMethod<f32, OneHotCategorical<Id>>;

/// A name, and the methods of the glimpses. Methods that learn are made once.
struct Choice {
    name: &'static str,
    method: Box<dyn Fn(usize, Plate) -> Method>,
    is_random: bool,
}

impl Choice {
    fn new(name: &'static str, method: impl Fn(usize, Plate) -> Method + 'static) -> Self {
        Self { name, method: Box::new(method), is_random: false }
    }

    /// One method object for each glimpse.
    fn kept(name: &'static str, method: impl Fn() -> Method) -> Self {
        let each: Vec<Method> = (0..GLIMPSES).map(|_| method()).collect();
        Self::new(name, move |glimpse, _| each[glimpse].clone())
    }

    fn all() -> Vec<Self> {
        vec![
            Self { is_random: true, ..Self::new("random places", |_, _| Arc::new(ScoreFunction::new())) },
            Self::new("score function, leave-one-out", |_, plate| {
                Arc::new(ScoreFunction::new().on_plate(plate).baseline(LeaveOneOut))
            }),
            Self::kept("score function, moving average", || {
                Arc::new(ScoreFunction::new().baseline(MovingAverage::new(0.9)))
            }),
            Self::new("score function", |_, _| Arc::new(ScoreFunction::new())),
            Self::kept("ReinMax", || Arc::new(ReinMax::new(1.0))),
            Self::kept("straight-through Gumbel-softmax", || Arc::new(GumbelSoftmax::new(1.0).straight_through())),
        ]
    }
}

/// The networks: where to look next, and what has been seen.
struct Model {
    locator: Mlp,
    classifier: Mlp,
    choice: Choice,
}

impl Model {
    fn new(choice: Choice, parameters: &mut Parameters<f32>, seed: Seed) -> Result<Self, Box<dyn Error>> {
        let state = PIXELS + PLACES;
        Ok(Self {
            locator: Mlp::new(&mut *parameters, "locator", &[state, 64, PLACES], Activation::Relu, seed)?,
            classifier: Mlp::new(parameters, "classifier", &[state, 128, CLASSES], Activation::Relu, seed)?,
            choice,
        })
    }

    /// Records glimpses, and the cross-entropy of the label given what they show.
    fn record(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let plate = record.graph().plate("samples", SAMPLES)?;
        // All pixels of each patch.
        let of_place = |i: usize| {
            let (place, row, column) = (i / PIXELS, i % PIXELS / SIDE, i % SIDE);
            f32::from(place == row / PATCH * (SIDE / PATCH) + column / PATCH)
        };
        let patches = record.constant(Tensor::from_fn([PLACES, PIXELS], of_place));
        let image = record.input("images")?.expand_plates(&[plate]);
        let mut unseen = record.constant([1.0; PLACES]);
        for glimpse in 0..GLIMPSES {
            let logits = match self.choice.is_random {
                // Places that have not been seen, with equal probabilities.
                true => (1.0 - unseen) * -1e4 + image.sum() * 0.0,
                false => self.locator.forward(record, Self::state(image, unseen, patches)?)?,
            };
            let method: Method = match record.mode() {
                Mode::Train => (self.choice.method)(glimpse, plate),
                _ => Arc::new(ScoreFunction::new()),
            };
            let place = record.sample(("place", glimpse), &OneHotCategorical::from_logits(logits), &method)?;
            record.output(&format!("place {glimpse}"), place)?;
            unseen = unseen * (1.0 - place);
        }
        let logits = self.classifier.forward(record, Self::state(image, unseen, patches)?)?;
        let label = record.input("labels")?;
        record.cost("cross-entropy", -Categorical::from_logits(logits).log_prob(label))?;
        record.output("right", logits.argmax(-1).equal(label))
    }

    /// The pixels that have been seen, and the places.
    fn state<'t>(image: Var<'t, f32>, unseen: Var<'t, f32>, patches: Var<'t, f32>) -> GraphResult<Var<'t, f32>> {
        let seen = 1.0 - unseen;
        Ok(Var::concat(&[image * seen.matmul(patches), seen.expand_plates(&image.plates())], 0)?)
    }

    /// The mean accuracy over several sequences of glimpses of each image.
    fn accuracy(&self, parameters: &Parameters<f32>, data: &Tensors<f32>) -> Result<f64, Box<dyn Error>> {
        let mut step = Step::new(|record: &Record<'_, '_, f32>| self.record(record));
        let outputs = step.predict(parameters, &data.inputs(), TEST)?;
        let right = outputs.get("right")?.as_slice();
        Ok(right.iter().map(|&right| f64::from(right)).sum::<f64>() / right.len() as f64)
    }

    /// Writes images, and what is seen of them after each glimpse, the last one in orange.
    fn save(&self, parameters: &Parameters<f32>, some: &Tensors<f32>, out: &Path) -> Result<(), Box<dyn Error>> {
        let mut step = Step::new(|record: &Record<'_, '_, f32>| self.record(record));
        let outputs = step.predict(parameters, &some.inputs(), TEST)?;
        let images = some.get("images").ok_or("there are no images")?.as_slice();
        let places = (0..GLIMPSES).map(|glimpse| {
            let rows = outputs.get(&format!("place {glimpse}"))?.as_slice().chunks(PLACES).step_by(SAMPLES);
            Ok(rows.map(|row| row.iter().position(|&is_here| is_here == 1.0).unwrap_or(0)).collect())
        });
        let places = places.collect::<GraphResult<Vec<Vec<usize>>>>()?;
        let mut pixels = Vec::new();
        for shown in 0..=GLIMPSES {
            for (member, image) in images.chunks(PIXELS).enumerate() {
                for (pixel, &ink) in image.iter().enumerate() {
                    let place = pixel / SIDE / PATCH * (SIDE / PATCH) + pixel % SIDE / PATCH;
                    let seen = (0..shown).rev().find(|&glimpse| places[glimpse][member] == place);
                    pixels.extend(match seen {
                        _ if shown == 0 => [ink; 3],
                        None => [0.15 * ink; 3],
                        Some(glimpse) if glimpse + 1 == shown => [ink, 0.5 * ink + 0.25, 0.0],
                        Some(_) => [0.2, 0.5 * ink + 0.2, ink],
                    });
                }
            }
        }
        let count = images.len() / PIXELS;
        let pixels = Tensor::new(pixels, [count * (1 + GLIMPSES), PIXELS * 3])?;
        let grid = ImageGrid::new(SIDE, SIDE).coloured().per_row(count).scale(6);
        Ok(grid.draw(&pixels)?.save(out)?)
    }
}

/// Mean, and standard error of the mean.
fn summary(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (mean, (variance / count).sqrt())
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, epochs, seeds, seed, validation, out } = Arguments::parse();
    let (epochs, seeds) = if quick { (EARLY, 1) } else { (epochs, seeds) };
    let digits = Digits::embedded();
    let all = Tensors::new().with("images", digits.intensities()?)?.with("labels", digits.label_indices::<f32>()?)?;
    let (mut train, mut test) = all.split_randomly(1400, 0)?;
    if validation {
        (train, test) = train.split_at(1100)?;
    }

    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(["places", "test accuracy", "above random places", "early training cost"]);
    let (mut results, mut random) = (Vec::new(), Vec::new());
    for number in 0..Choice::all().len() {
        let (mut accuracies, mut costs, mut name) = (Vec::new(), Vec::new(), "");
        for seed in seed..seed + seeds {
            let mut parameters = Parameters::new();
            let model = Model::new(Choice::all().swap_remove(number), &mut parameters, Seed::new(seed))?;
            name = model.choice.name;
            let trainer = Trainer::for_steps(|steps| Adam::new(Schedule::cosine(3e-3, 0.0, steps)));
            let trainer = trainer.epochs(epochs).batch(50).seed(seed).out(out.join(name).join(format!("seed-{seed}")));
            let trainer = trainer.restart().quiet().on_epoch(|progress| {
                costs.extend((progress.epoch == EARLY).then_some(progress.metrics.training[0].1));
                ControlFlow::Continue(())
            });
            trainer.fit(&mut parameters, &train, |record| model.record(record))?;
            accuracies.push(model.accuracy(&parameters, &test)?);
            if let (Some(picture), 1) = (["random.png", "glimpses.png"].get(number), accuracies.len()) {
                model.save(&parameters, &test.split_at(12)?.0, &out.join(picture))?;
            }
        }
        if number == 0 {
            random.clone_from(&accuracies);
        }
        let gains: Vec<f64> = accuracies.iter().zip(&random).map(|(accuracy, random)| accuracy - random).collect();
        let (accuracy, gain, cost) = (summary(&accuracies), summary(&gains), summary(&costs));
        let percent = |(mean, error): (f64, f64)| format!("{:.1} ± {:.1} %", 100.0 * mean, 100.0 * error);
        let cost_shown = format!("{:.3} ± {:.3}", cost.0, cost.1);
        table.add_row([name.to_owned(), percent(accuracy), percent(gain), cost_shown]);
        println!("{name}: accuracies {accuracies:.3?}");
        let keys = ["accuracy", "gain", "standard error of the gain", "early cost"].map(|key| format!("{key}, {name}"));
        results.extend(keys.into_iter().zip([accuracy.0, gain.0, gain.1, cost.0]));
    }
    println!("{GLIMPSES} glimpses; mean ± standard error of {seeds} seeds, training cost of epoch {EARLY}\n{table}");
    add_results(out.join("summary.json"), results)?;
    println!("pictures and metrics are in {}", out.display());
    Ok(())
}
