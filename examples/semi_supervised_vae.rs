//! A classifier of handwritten digits from 100 labels and 1300 images without labels, as part of a generative model:
//! unknown labels are enumerated, and the style of an image is drawn with pathwise gradients (the model M2 of Kingma,
//! Rezende, Mohamed and Welling, 2014).
//!
//! `cargo run --release --example semi_supervised_vae` trains on five draws of the labels, `-- --quick` on two.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Parser;
use comfy_table::{Table, presets};
use stochgrad::graph::GraphResult;
use stochgrad::nn::data::Digits;
use stochgrad::nn::{Activation, Adam, Mlp, Parameters};
use stochgrad::prelude::*;
use stochgrad::train::evaluation::Accuracy;
use stochgrad::train::output::{ImageGrid, add_results};
use stochgrad::train::source::Tensors;
use stochgrad::train::{Epoch, Trainer};
use stochgrad_examples::Place;

/// Pixels of a side of an image, and of an image.
const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;
const CLASSES: usize = 10;
/// The number of images of each class whose label is known.
const KNOWN: usize = 10;
/// The number of coordinates of the style.
const STYLE: usize = 5;
const HIDDEN: usize = 128;
/// The weight of the classification of an image with a label.
const CLASSIFICATION: f64 = 5.0;

/// Trains a classifier on few labels, alone and as a part of a variational autoencoder.
#[derive(Parser)]
struct Arguments {
    /// Train for 10 epochs, on two draws of the labels.
    #[arg(long)]
    quick: bool,
    /// The number of epochs.
    #[arg(long, default_value_t = 200)]
    epochs: u64,
    /// The seed of the first draw of the labels, of its initial weights, minibatches and samples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Measure accuracies on 300 of the training images in place of the test images, to choose settings.
    #[arg(long)]
    validation: bool,
    /// Where to train: on the CPU, or on the first device of a PJRT plugin.
    #[arg(long, default_value = "cpu", value_name = "cpu|xla:PLUGIN")]
    device: Place,
    /// The folder for checkpoints, metrics and pictures. A run that finds a checkpoint there resumes.
    #[arg(long, default_value = "out/semi_supervised_vae")]
    out: PathBuf,
}

/// The layers of the model.
struct Model {
    classifier: Mlp,
    encoder: Mlp,
    decoder: Mlp,
}

impl Model {
    fn new(parameters: &mut Parameters<f32>, seed: Seed) -> Result<Self, Box<dyn Error>> {
        let mut mlp = |name: &str, sizes: [usize; 3]| Mlp::new(&mut *parameters, name, &sizes, Activation::Relu, seed);
        Ok(Self {
            classifier: mlp("classifier", [PIXELS, HIDDEN, CLASSES])?,
            encoder: mlp("encoder", [PIXELS + CLASSES, HIDDEN, 2 * STYLE])?,
            decoder: mlp("decoder", [CLASSES + STYLE, HIDDEN, PIXELS])?,
        })
    }

    /// Records the cross-entropy of the known labels. A label is a one-hot vector, or zero if it is unknown.
    fn classify<'t>(&self, record: &Record<'_, 't, f32>, weight: f64) -> GraphResult<Var<'t, f32>> {
        let logits = self.classifier.forward(record, record.input("images")?)?;
        let cross_entropy = -(record.input("labels")? * logits.log_softmax(-1)).sum();
        record.cost("classification", cross_entropy * weight)?;
        record.output("logits", logits)?;
        Ok(logits)
    }

    /// Records the negative evidence lower bound of images of which some have labels.
    fn record(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let (x, label) = (record.input("images")?, record.input("labels")?);
        let logits = self.classify(record, CLASSIFICATION)?;
        // A known label leaves one class with a positive probability.
        let is_known = label.sum().unsqueeze(0);
        let class = OneHotCategorical::from_logits(is_known.select(label.ln(), logits));
        let y = record.sample("class", &class, &Enumerate::new())?;

        let style = self.style(record, x, y)?;
        let z = record.sample("style", &style, &Pathwise::new())?;
        let pixels = self.pixels(record, y, z)?;
        // At intensities, this is the expectation for pixels that are drawn with the intensities as probabilities.
        record.cost("reconstruction", -pixels.log_prob(x))?;
        record.cost("kl of style", style.kl_to(&Normal::new(record.constant([0.0; STYLE]), record.constant(1.0))))?;
        record.cost("kl of class", class.kl_to(&OneHotCategorical::from_logits(record.constant([0.0; CLASSES]))))
    }

    fn style<'t>(
        &self,
        record: &Record<'_, 't, f32>,
        x: Var<'t, f32>,
        y: Var<'t, f32>,
    ) -> GraphResult<Normal<Var<'t, f32>>> {
        let code = self.encoder.forward(record, Var::concat(&[x, y], 0)?)?;
        Ok(Normal::from_log_scale(code.slice(0, 0..STYLE), code.slice(0, STYLE..2 * STYLE)))
    }

    fn pixels<'t>(
        &self,
        record: &Record<'_, 't, f32>,
        y: Var<'t, f32>,
        z: Var<'t, f32>,
    ) -> GraphResult<Bernoulli<Var<'t, f32>>> {
        Ok(Bernoulli::from_logits(self.decoder.forward(record, Var::concat(&[y, z], 0)?)?))
    }

    /// Records images of all classes in the style of each image of the minibatch.
    fn imagine(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let style = self.style(record, record.input("images")?, record.input("labels")?)?;
        let pixels = self.pixels(record, record.input("classes")?, style.location())?;
        record.output("pixels", pixels.probabilities())
    }

    /// Writes rows of an image and of the ten classes in its style.
    fn save_analogies(
        &self,
        parameters: &Parameters<f32>,
        some: &Tensors<f32>,
        out: &Path,
    ) -> Result<(), Box<dyn Error>> {
        let images = some.get("images").ok_or("there are no images")?;
        let inputs = some.inputs().along("classes", "classes", Tensor::eye(CLASSES));
        let mut step = Step::new(|record: &Record<'_, '_, f32>| self.imagine(record));
        let outputs = step.predict(parameters, &inputs, Seed::new(0))?;
        let drawn = outputs.get("pixels")?.as_slice().chunks(CLASSES * PIXELS);
        let rows = images.as_slice().chunks(PIXELS).zip(drawn).flat_map(|(image, drawn)| [image, drawn].concat());
        let rows = Tensor::new(rows.collect(), [some.len() * (1 + CLASSES), PIXELS])?;
        Ok(ImageGrid::new(SIDE, SIDE).per_row(1 + CLASSES).scale(4).draw(&rows)?.save(out)?)
    }

    fn accuracy(&self, parameters: &Parameters<f32>, data: &Tensors<f32>) -> Result<f64, Box<dyn Error>> {
        let mut step = Step::new(|record: &Record<'_, '_, f32>| self.classify(record, 1.0).map(drop));
        let outputs = step.predict(parameters, &data.inputs(), Seed::new(0))?;
        let mut accuracy = Accuracy::new();
        let classes = data.get("labels").ok_or("there are no labels")?.as_slice().chunks(CLASSES);
        let labels = classes.map(|label| label.iter().position(|&part| part == 1.0).unwrap_or(0) as f32);
        accuracy.add(outputs.get("logits")?, &Tensor::from(labels.collect::<Vec<_>>()))?;
        Ok(accuracy.value())
    }
}

/// The members with known labels, and all members, of which the others have no label.
fn draw_labels(data: &Tensors<f32>, seed: u64) -> Result<(Tensors<f32>, Tensors<f32>), Box<dyn Error>> {
    let labels = data.get("labels").ok_or("there are no labels")?;
    let (mut known, mut hidden, mut counts) = (Vec::new(), Tensor::zeros(labels.shape().clone()), [0; CLASSES]);
    for member in Epoch::shuffled(0, 1, seed).indices(data.len())?.flatten() {
        let label = &labels.as_slice()[member * CLASSES..][..CLASSES];
        let class = label.iter().position(|&part| part == 1.0).unwrap_or(0);
        if counts[class] < KNOWN {
            counts[class] += 1;
            known.push(member);
            hidden.make_mut()[member * CLASSES + class] = 1.0;
        }
    }
    let images = data.get("images").ok_or("there are no images")?;
    Ok((data.select(&known)?, Tensors::new().with("images", images)?.with("labels", hidden)?))
}

/// Mean, and standard error of the mean.
fn summary(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, epochs, seed, validation, device, out } = Arguments::parse();
    let device = device.open()?;
    let (epochs, draws) = if quick { (10, 2) } else { (epochs, 5) };
    let digits = Digits::embedded();
    let labels = digits.label_indices::<f32>()?;
    let one_hot =
        Tensor::from_fn([digits.len(), CLASSES], |i| f32::from(labels.as_slice()[i / CLASSES] == (i % CLASSES) as f32));
    let all = Tensors::new().with("images", digits.intensities()?)?.with("labels", one_hot)?;
    let (mut train, mut test) = all.split_at(1400)?;
    if validation {
        (train, test) = train.split_at(1100)?;
    }

    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header([
        "draw of labels",
        "labels alone",
        "with all images",
        "gain",
    ]);
    let mut accuracies: [Vec<f64>; 3] = Default::default();
    for draw in 0..draws {
        let seed = seed + draw;
        let (known, partly_known) = draw_labels(&train, seed)?;
        let folder = |name: &str| out.join(format!("draw-{draw}")).join(name);
        let trainer =
            |batch| Trainer::new(Adam::new(1e-3)).epochs(epochs).batch(batch).seed(seed).device(device.clone());

        let mut alone = Parameters::new();
        let model = Model::new(&mut alone, Seed::new(seed))?;
        let mut parameters = alone.clone();
        let report = trainer(10)
            .out(folder("labels-alone"))
            .fit(&mut alone, &known, |record| model.classify(record, 1.0).map(drop))?;
        println!("draw {draw}, labels alone: {report}");
        let trainer = trainer(100).out(folder("all-images"));
        let report = trainer.fit(&mut parameters, &partly_known, |record| model.record(record))?;
        println!("draw {draw}, with all images: {report}");

        let (alone, together) = (model.accuracy(&alone, &test)?, model.accuracy(&parameters, &test)?);
        for (values, value) in accuracies.iter_mut().zip([alone, together, together - alone]) {
            values.push(value);
        }
        table.add_row([draw.to_string(), percent(alone), percent(together), percent(together - alone)]);
        if draw == 0 {
            model.save_analogies(&parameters, &test.split_at(10)?.0, &out.join("analogies.png"))?;
        }
    }
    let names = ["labels alone", "with all images", "gain"];
    let summaries = accuracies.each_ref().map(|values| summary(values));
    let cells = summaries.map(|(mean, error)| format!("{} ± {}", percent(mean), percent(error)));
    table.add_row(std::iter::once("mean".to_owned()).chain(cells));
    println!("{table}");
    let results = names.iter().zip(summaries).flat_map(|(name, (mean, error))| {
        [(format!("accuracy, {name}"), mean), (format!("standard error, {name}"), error)]
    });
    add_results(out.join("summary.json"), results)?;
    println!("pictures and metrics are in {}", out.display());
    Ok(())
}

fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}
