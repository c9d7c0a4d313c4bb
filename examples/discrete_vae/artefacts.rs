//! The files that a finished run writes.

use std::io::Write;
use std::path::Path;

use stochgrad::graph::{Graph, Seed};
use stochgrad::nn::data::rows;
use stochgrad::nn::{Checkpoint, Inputs, Step, remove_unfinished, write_atomically};
use stochgrad::tape::Tape;
use stochgrad::tensor::Tensor;

use crate::code::Code;
use crate::curve;
use crate::evaluation::{self, LatentGradients};
use crate::images::Dataset;
use crate::pictures::{Layout, grid, pairs};
use crate::report::{Comparison, Files, MetricsRow, Summary, save_comparisons};
use crate::run_error::RunError;
use crate::settings::Settings;
use crate::training::Training;
use crate::usage_error::UsageError;

/// Test images in the picture of reconstructions.
const RECONSTRUCTIONS: usize = 40;
/// Images in the picture of samples from the prior.
const PRIOR_SAMPLES: usize = 100;
/// Images per row of a picture.
const PER_ROW: usize = 10;

/// Minibatches from which a compared method learns its own parameters.
const SETTLING_BATCHES: usize = 20;

/// The names of all files that a run writes.
const NAMES: [&str; 9] = [
    "checkpoint.safetensors",
    "curve.svg",
    "graph.dot",
    "metrics.csv",
    "parameters.safetensors",
    "prior_samples.png",
    "reconstructions.png",
    "summary.json",
    "variances.csv",
];

/// Removes the temporary files that a killed run left in the folder.
pub(crate) fn clear_unfinished(folder: &Path) {
    for name in NAMES {
        remove_unfinished(folder.join(name));
    }
}

/// The results of a run, and the files that contain them.
#[derive(Debug)]
pub(crate) struct Results {
    /// The outcome.
    pub(crate) summary: Summary,
    /// The methods that were compared.
    pub(crate) comparisons: Vec<Comparison>,
    /// The files, each with a description.
    pub(crate) files: Files,
}

/// Writes all files except the metrics, which are written during the training.
pub(crate) fn write<C: Code>(
    training: &mut Training<'_, C>,
    settings: &Settings,
    dataset: &Dataset,
    metrics: &[MetricsRow],
) -> Result<Results, RunError> {
    let path = |name: &str| settings.out.join(name);
    let mut files: Files = vec![
        ("summary", path("summary.json")),
        ("metrics of each epoch", path("metrics.csv")),
        ("learning curve", path("curve.svg")),
        ("test images above their reconstructions", path("reconstructions.png")),
        ("samples from the prior", path("prior_samples.png")),
        ("graph", path("graph.dot")),
        ("parameters", path("parameters.safetensors")),
        ("checkpoint", crate::checkpoint::path(settings)),
    ];

    let title = format!("{}, {}", settings.latent, settings.method);
    let train: Vec<_> = metrics.iter().map(|row| (row.epoch, row.train_neg_elbo)).collect();
    let test: Vec<_> = metrics.iter().map(|row| (row.epoch, row.test_neg_elbo)).collect();
    curve::save(&path("curve.svg"), &title, &train, &test)?;
    write_pictures(training, settings, dataset)?;

    let batch = training.first_batch()?;
    let time_per_step = training.time_per_step();
    let Training { model, parameters, method, step, done, .. } = training;
    let dot = {
        let (tape, inputs) = (Tape::new(), Inputs::new().batch("images", &batch));
        let graph = Graph::new(&tape, Seed::new(settings.seed));
        model.record(&parameters.on(&graph).with_inputs(&inputs), method)?;
        graph.to_dot()
    };
    write_atomically(path("graph.dot"), |file| file.write_all(dot.as_bytes()))?;

    let mut saved = Checkpoint::new();
    for (name, value) in parameters.iter() {
        saved.insert(name, value)?;
    }
    saved.save(path("parameters.safetensors"))?;

    let gradients = LatentGradients::new(model, method, step, parameters, std::slice::from_ref(&batch))?;
    let variance = gradients.threads(settings.threads).variance(settings.seed)?;
    let last = metrics.last();
    let summary = Summary {
        latent: settings.latent.to_string(),
        method: settings.method.to_string(),
        samples: settings.samples,
        seed: settings.seed,
        epochs: done.epochs,
        train_neg_elbo: last.map_or(f64::NAN, |row| row.train_neg_elbo),
        test_neg_elbo: last.map_or(f64::NAN, |row| row.test_neg_elbo),
        latent_gradient_variance: variance,
        ms_per_step: 1e3 * time_per_step.as_secs_f64(),
        seconds: done.elapsed.as_secs_f64(),
    };
    summary.save(&path("summary.json"))?;
    let comparisons = compare(training, settings, &batch)?;
    if !comparisons.is_empty() {
        let path = path("variances.csv");
        save_comparisons(&comparisons, &path)?;
        files.push(("variances of gradients", path));
    }
    Ok(Results { summary, comparisons, files })
}

/// The gradient variances of other methods at the trained parameters, on the same minibatch as that of the run.
fn compare<C: Code>(
    training: &mut Training<'_, C>,
    settings: &Settings,
    batch: &Tensor<f32>,
) -> Result<Vec<Comparison>, RunError> {
    if settings.compared.is_empty() {
        return Ok(Vec::new());
    }
    let minibatches = training.first_batches(SETTLING_BATCHES)?;
    let Training { model, parameters, step, .. } = training;
    let measure = |&compared| {
        let settings = settings.comparing(compared);
        let (seed, name) = (settings.seed, settings.method.name());
        let method = model.code.method(&settings, 1).ok_or_else(|| UsageError::bits_only(name))?;
        let gradients = |step: &mut Step<'_, f32>, minibatches: &[Tensor<f32>]| {
            let gradients = LatentGradients::new(model, &method, step, parameters, minibatches)?;
            Ok::<_, RunError>(gradients.threads(settings.threads))
        };
        gradients(step, &minibatches)?.settle(&method, seed)?;
        Ok(Comparison {
            method: name.to_owned(),
            samples: settings.samples,
            latent_gradient_variance: gradients(step, std::slice::from_ref(batch))?.variance(seed)?,
        })
    };
    settings.compared.iter().map(measure).collect()
}

fn write_pictures<C: Code>(
    training: &mut Training<'_, C>,
    settings: &Settings,
    dataset: &Dataset,
) -> Result<(), RunError> {
    let Training { model, parameters, step, .. } = training;
    let count = dataset.test.shape()[0].min(RECONSTRUCTIONS);
    let originals = rows(&dataset.test, &Vec::from_iter(0..count))?;
    let reconstructions = evaluation::reconstruct(step, parameters, &originals)?;
    let layout = |count| Layout::new(count, dataset.rows, dataset.columns, PER_ROW);
    pairs(originals.as_slice(), reconstructions.as_slice(), layout(count))?
        .save(&settings.out.join("reconstructions.png"))?;
    let samples = evaluation::imagine(model, parameters, PRIOR_SAMPLES)?;
    grid(samples.as_slice(), layout(PRIOR_SAMPLES))?.save(&settings.out.join("prior_samples.png"))?;
    Ok(())
}
