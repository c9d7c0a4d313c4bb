//! A model, data and files that the tests of runs share.

use std::fs;
use std::path::{Path, PathBuf};

use stochgrad_distributions::{Bernoulli, Distribution, KlDivergence};
use stochgrad_estimators::{MovingAverage, ScoreFunction};
use stochgrad_graph::{GraphResult, Seed};
use stochgrad_nn::{Activation, Adam, Average, Layer, Mlp, Parameters, Record};
use stochgrad_tensor::Tensor;
use stochgrad_train::source::Tensors;
use stochgrad_train::{GradientVariance, Trainer};
use tempfile::TempDir;

/// An autoencoder with bits as its code, whose gradient method keeps a mean.
pub(crate) struct Autoencoder {
    encoder: Mlp,
    decoder: Mlp,
    method: ScoreFunction<MovingAverage>,
}

impl Autoencoder {
    pub(crate) fn new(parameters: &mut Parameters<f32>) -> Self {
        let mlp = |parameters: &mut Parameters<f32>, name, sizes: [usize; 3]| {
            Mlp::new(parameters, name, &sizes, Activation::LeakyRelu(0.1), Seed::new(3)).unwrap()
        };
        Autoencoder {
            encoder: mlp(parameters, "encoder", [5, 6, 3]),
            decoder: mlp(parameters, "decoder", [3, 6, 5]),
            method: ScoreFunction::new().samples(2).baseline(MovingAverage::new(0.9)),
        }
    }

    pub(crate) fn record(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let x = record.input("x")?;
        let code = Bernoulli::from_logits(self.encoder.forward(record, x)?);
        let z = record.sample("z", &code, &self.method)?;
        let weight = record.schedule("weight", 1.0, |step| (0.1 * step as f64).min(1.0))?;
        let pixels = Bernoulli::from_logits(self.decoder.forward(record, z)?);
        record.cost("reconstruction", -pixels.log_prob(x))?;
        record.cost("kl", code.kl_to(&Bernoulli::from_logits(record.constant(0.0))) * weight)
    }
}

/// Binary patterns: 23 for training and 11 held out.
pub(crate) fn patterns() -> (Tensors<f32>, Tensors<f32>) {
    let x = Tensor::from_fn([34, 5], |i| u8::from((i * i + i / 7).is_multiple_of(3)).into());
    Tensors::new().with("x", x).unwrap().split_at(23).unwrap()
}

/// An output folder whose name, the title of the curves, is the same in all tests.
pub(crate) struct Out {
    path: PathBuf,
    _folder: TempDir,
}

impl Out {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Out { path: folder.path().join("run"), _folder: folder }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A trainer with everything that a checkpoint must keep.
pub(crate) fn trainer<'a>(held_out: &'a Tensors<f32>, out: &Path) -> Trainer<'a, f32> {
    Trainer::new(Adam::new(0.01).accumulate(3).average(Average::exponential(0.9)))
        .batch(4)
        .seed(7)
        .validate(held_out)
        .keep_best()
        .gradient_variance(GradientVariance::of(["encoder"]).every(5).evaluations(3))
        .quiet()
        .out(out)
}

/// The files of a run, by name, without their times.
pub(crate) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = Vec::new();
    // The events for TensorBoard have the times at which they were written.
    for path in entries.filter(|path| path.is_file()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut content = fs::read(&path).unwrap();
        if name == "summary.json" {
            let text = String::from_utf8(content).unwrap();
            content = text.lines().filter(|line| !line.contains("\"seconds\"")).collect::<String>().into_bytes();
        }
        files.push((name, content));
    }
    files.sort();
    files
}

/// Checks that two runs have left the same files.
#[track_caller]
pub(crate) fn assert_same_files(left: &Path, right: &Path) {
    let (left, right) = (files(left), files(right));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&left), names(&right));
    for ((name, left), (_, right)) in left.iter().zip(&right) {
        assert!(left == right, "{name} differs: {} and {} bytes", left.len(), right.len());
    }
}
