//! What a run reports to while it trains.

use std::collections::BTreeMap;

use stochgrad_nn::Checkpoint;

use crate::error::TrainResult;
use crate::metrics::Metrics;
use crate::report::Report;
use crate::warning::Warning;

/// A sink of the measurements of a training run: a progress bar, a file of metrics, a plot.
///
/// A run calls [`start`](Self::start) once, then [`step`](Self::step) and [`metrics`](Self::metrics) in the order of the
/// steps, [`checkpoint`](Self::checkpoint) right before each checkpoint is written, and [`finish`](Self::finish) once,
/// unless it fails. Every function does nothing by default.
///
/// Files must be equal to those of an uninterrupted run after a run was killed and resumed. Whatever was observed must
/// therefore be in the file when `checkpoint` returns, and `start` cuts off what lies after the step of the checkpoint
/// from which the run resumes: it will be observed again. An observer with a state, such as a running mean, keeps it in
/// the checkpoint, with [`save`](Self::save) and [`load`](Self::load).
///
/// ```
/// use stochgrad_train::{Metrics, Observer, TrainResult};
///
/// /// Prints the costs on the held-out data.
/// struct Lines;
///
/// impl Observer for Lines {
///     fn metrics(&mut self, metrics: &Metrics) -> TrainResult<()> {
///         for (name, value) in metrics.validation.iter().flatten() {
///             println!("step {}: {name} = {value:.3}", metrics.step);
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Observer {
    /// The run starts, or resumes from a checkpoint.
    ///
    /// # Errors
    ///
    /// If a file cannot be written, or if it does not belong to the checkpoint.
    fn start(&mut self, run: &RunStart<'_>) -> TrainResult<()> {
        let _ = run;
        Ok(())
    }

    /// Adds the state of the observer to a checkpoint, after a call of [`checkpoint`](Self::checkpoint). The names of its
    /// tensors must differ from all others, for instance by starting with the name of the observer.
    ///
    /// # Errors
    ///
    /// If the state cannot be saved. The run ends, and the checkpoint is not written.
    fn save(&self, checkpoint: &mut Checkpoint) -> TrainResult<()> {
        let _ = checkpoint;
        Ok(())
    }

    /// Restores what [`save`](Self::save) added to the checkpoint from which the run resumes, before
    /// [`start`](Self::start) is called.
    ///
    /// # Errors
    ///
    /// If the checkpoint does not have the state.
    fn load(&mut self, checkpoint: &Checkpoint) -> TrainResult<()> {
        let _ = checkpoint;
        Ok(())
    }

    /// A step was completed.
    ///
    /// # Errors
    ///
    /// If a file cannot be written. The run ends.
    fn step(&mut self, step: &StepMetrics<'_>) -> TrainResult<()> {
        let _ = step;
        Ok(())
    }

    /// An epoch was completed, or the held-out data was evaluated.
    ///
    /// # Errors
    ///
    /// If a file cannot be written. The run ends.
    fn metrics(&mut self, metrics: &Metrics) -> TrainResult<()> {
        let _ = metrics;
        Ok(())
    }

    /// The run warns of something that it has found. It warns of each subject once.
    ///
    /// # Errors
    ///
    /// If a file cannot be written. The run ends.
    fn warning(&mut self, warning: &Warning) -> TrainResult<()> {
        let _ = warning;
        Ok(())
    }

    /// A checkpoint will be written after this step. Files must contain everything that was observed until now when this
    /// returns.
    ///
    /// # Errors
    ///
    /// If a file cannot be written. The run ends, and the checkpoint is not written.
    fn checkpoint(&mut self, step: u64) -> TrainResult<()> {
        let _ = step;
        Ok(())
    }

    /// The run has ended: it is complete, or was stopped or interrupted, so that it can be resumed. A run that was
    /// complete before calls this as well, right after `start`.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    fn finish(&mut self, report: &Report) -> TrainResult<()> {
        let _ = report;
        Ok(())
    }
}

/// An observer that is lent to a run, so that the program can read it afterwards.
impl<O: Observer + ?Sized> Observer for &mut O {
    fn start(&mut self, run: &RunStart<'_>) -> TrainResult<()> {
        (**self).start(run)
    }

    fn save(&self, checkpoint: &mut Checkpoint) -> TrainResult<()> {
        (**self).save(checkpoint)
    }

    fn load(&mut self, checkpoint: &Checkpoint) -> TrainResult<()> {
        (**self).load(checkpoint)
    }

    fn step(&mut self, step: &StepMetrics<'_>) -> TrainResult<()> {
        (**self).step(step)
    }

    fn metrics(&mut self, metrics: &Metrics) -> TrainResult<()> {
        (**self).metrics(metrics)
    }

    fn warning(&mut self, warning: &Warning) -> TrainResult<()> {
        (**self).warning(warning)
    }

    fn checkpoint(&mut self, step: u64) -> TrainResult<()> {
        (**self).checkpoint(step)
    }

    fn finish(&mut self, report: &Report) -> TrainResult<()> {
        (**self).finish(report)
    }
}

/// The start of a training run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunStart<'a> {
    /// The number of steps of the checkpoint from which the run resumes; `None` for a new run.
    pub resumed_at: Option<u64>,
    /// The number of steps of the whole run, if it is known.
    pub steps: Option<u64>,
    /// The number of epochs of the whole run, if it is limited by them.
    pub epochs: Option<u64>,
    /// The number of steps of an epoch, if it is known.
    pub steps_per_epoch: Option<u64>,
    /// The settings of the run.
    pub settings: &'a BTreeMap<String, String>,
}

/// A new run without limits and settings.
impl Default for RunStart<'_> {
    fn default() -> Self {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        Self { resumed_at: None, steps: None, epochs: None, steps_per_epoch: None, settings: &NONE }
    }
}

/// The measurements of one step.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct StepMetrics<'a> {
    /// The number of completed steps, this one included.
    pub step: u64,
    /// The number of the epoch, from 0.
    pub epoch: u64,
    /// The number of members of the minibatch.
    pub members: usize,
    /// The estimates of the costs before the update of the parameters.
    pub costs: &'a [(String, f64)],
    /// The estimate of the total cost, added in the precision of the run.
    pub total: f64,
}
