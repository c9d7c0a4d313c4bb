//! The training of a model, from fresh parameters or from a checkpoint.

use std::time::{Duration, Instant};

use stochgrad::graph::{DynMethod, Seed};
use stochgrad::nn::data::Minibatches;
use stochgrad::nn::{Adam, Inputs, Parameters, Record, Step};
use stochgrad::tensor::Tensor;

use crate::checkpoint::{self, Progressed};
use crate::code::Code;
use crate::evaluation;
use crate::images::Dataset;
use crate::model::Model;
use crate::progress::Progress;
use crate::report::{MetricsRow, MetricsWriter};
use crate::run_error::RunError;
use crate::settings::Settings;
use crate::usage_error::UsageError;

/// A model in training.
pub(crate) struct Training<'a, C: Code> {
    settings: &'a Settings,
    dataset: &'a Dataset,
    minibatches: Minibatches,
    pub(crate) model: Model<C>,
    pub(crate) parameters: Parameters<f32>,
    pub(crate) optimizer: Adam<f32>,
    pub(crate) method: DynMethod<f32, C::Family>,
    pub(crate) step: Step<'static, f32>,
    pub(crate) done: Progressed,
}

impl<'a, C: Code> Training<'a, C> {
    /// A model at the start of its training.
    pub(crate) fn new(settings: &'a Settings, code: C, dataset: &'a Dataset) -> Result<Self, RunError> {
        let minibatches = dataset.minibatches(settings)?;
        let steps = settings.epochs.saturating_mul(minibatches.batches_per_epoch()) as u64;
        let mut parameters = Parameters::new();
        let model = Model::new(code, dataset.pixels(), settings, &mut parameters)?;
        let method = code
            .method(settings, steps)
            .ok_or_else(|| RunError::Usage(UsageError::bits_only(settings.method.name())))?;
        let (recorded, chosen) = (model.clone(), method.clone());
        let step = Step::new(move |record: &Record<'_, '_, f32>| recorded.record(record, &chosen));
        Ok(Self {
            settings,
            dataset,
            minibatches,
            model,
            parameters,
            optimizer: Adam::new(settings.lr),
            method,
            step: step.threads(settings.threads),
            done: Progressed::default(),
        })
    }

    /// Trains for the remaining epochs, and writes a row of metrics and a checkpoint after each. Returns `false` if
    /// `interrupted` returned `true` before a step; the unfinished epoch is then lost.
    pub(crate) fn run(
        &mut self,
        metrics: &mut MetricsWriter,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<bool, RunError> {
        let mut progress = Progress::new(self.settings.epochs, self.minibatches.batches_per_epoch(), self.done.epochs);
        let before = self.done.elapsed;
        let started = Instant::now();
        while self.done.epochs < self.settings.epochs {
            let number = self.done.epochs + 1;
            let Some(train_neg_elbo) = self.epoch(number, &mut progress, interrupted)? else {
                progress.interrupt();
                return Ok(false);
            };
            let test_neg_elbo = evaluation::neg_elbo(&mut self.step, &self.parameters, &self.dataset.test)?;
            self.done.epochs = number;
            self.done.elapsed = before + started.elapsed();
            progress.epoch(number, train_neg_elbo, test_neg_elbo);
            metrics.push(MetricsRow { epoch: number, step: self.done.steps, train_neg_elbo, test_neg_elbo })?;
            checkpoint::save(self, self.settings)?;
        }
        progress.finish();
        Ok(true)
    }

    /// One pass over the training images. Returns the mean −ELBO of the steps, or `None` if interrupted.
    fn epoch(
        &mut self,
        number: usize,
        progress: &mut Progress,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Option<f64>, RunError> {
        let batches = self.minibatches.epoch(number as u64 - 1);
        let mut total = 0.0;
        for (index, batch) in batches.iter().enumerate() {
            if interrupted() {
                return Ok(None);
            }
            let started = Instant::now();
            let neg_elbo = self.train(batch)?;
            self.done.training += started.elapsed();
            total += neg_elbo;
            progress.step(number, index + 1, neg_elbo);
        }
        Ok(Some(total / batches.len() as f64))
    }

    /// One step of the optimiser on a batch of training images. Returns the estimate of the −ELBO before the step.
    fn train(&mut self, batch: &[usize]) -> Result<f64, RunError> {
        let images = self.dataset.training_images(batch, self.settings.seed, self.done.steps)?;
        let seed = Seed::new(self.settings.seed).step(self.done.steps);
        let inputs = Inputs::new().batch("images", images);
        let gradients = self.step.train(&mut self.parameters, &mut self.optimizer, &inputs, seed)?;
        self.done.steps += 1;
        Ok(f64::from(gradients.total()))
    }

    /// The training images of the first step.
    pub(crate) fn first_batch(&self) -> Result<Tensor<f32>, RunError> {
        let epoch = self.minibatches.epoch(0);
        let indices = epoch.batch(0).unwrap_or_default();
        Ok(self.dataset.training_images(indices, self.settings.seed, 0)?)
    }

    /// The training images of the first `count` steps, or of one epoch if that has fewer.
    pub(crate) fn first_batches(&self, count: usize) -> Result<Vec<Tensor<f32>>, RunError> {
        let epoch = self.minibatches.epoch(0);
        let batches = epoch.iter().take(count).enumerate();
        let images = |(step, indices)| self.dataset.training_images(indices, self.settings.seed, step);
        Ok(batches.map(images).collect::<Result<_, _>>()?)
    }

    /// The mean time of the training steps so far.
    pub(crate) fn time_per_step(&self) -> Duration {
        self.done.training / u32::try_from(self.done.steps).unwrap_or(u32::MAX).max(1)
    }
}
