//! What a callback can see of a run.

use stochgrad_nn::Parameters;
use stochgrad_tensor::Real;

use crate::metrics::Metrics;

/// The state of a run after a step, for callbacks; see [`Trainer::on_step`](crate::Trainer::on_step).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'p, F: Real> {
    /// The number of completed steps.
    pub step: u64,
    /// The number of completed epochs.
    pub epoch: u64,
    /// The estimates of the costs of the last step, before its update of the parameters.
    pub costs: &'p [(String, f64)],
    /// The last measurements: by default, those of the last epoch that has ended.
    pub metrics: &'p Metrics,
    /// The parameters after the step.
    pub parameters: &'p Parameters<F>,
}
