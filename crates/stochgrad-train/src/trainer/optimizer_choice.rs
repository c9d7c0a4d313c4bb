//! The optimiser of a run, which may depend on the length of the run.

use stochgrad_nn::Optimizer;
use stochgrad_tensor::Real;

use crate::error::{TrainError, TrainResult};

/// An optimiser, or how it is made.
pub(super) enum OptimizerChoice<'a, F: Real> {
    Given(Box<dyn Optimizer<F> + 'a>),
    /// For the number of steps of the whole run.
    ForSteps(Box<dyn FnOnce(u64) -> Box<dyn Optimizer<F> + 'a> + 'a>),
}

impl<'a, F: Real> OptimizerChoice<'a, F> {
    /// The optimiser of a run with a number of steps, if it is known.
    ///
    /// # Errors
    ///
    /// If the number is needed and not known.
    pub(super) fn choose(self, steps: Option<u64>) -> TrainResult<Box<dyn Optimizer<F> + 'a>> {
        match (self, steps) {
            (OptimizerChoice::Given(optimizer), _) => Ok(optimizer),
            (OptimizerChoice::ForSteps(make), Some(steps)) => Ok(make(steps)),
            (OptimizerChoice::ForSteps(_), None) => Err(TrainError::argument(
                "`Trainer::for_steps`",
                "a run with a known number of steps",
                "epochs of data without a size",
                "call Trainer::steps, or state the size of the data",
            )),
        }
    }
}
