//! What a run must know to go on, apart from parameters, optimiser and methods.

use stochgrad_nn::{Checkpoint, NnResult, Parameters};
use stochgrad_tensor::{Real, Tensor};

use super::early_stopping::Stall;
use super::means::{Means, load_values, save_values};
use super::warnings::Warnings;
use crate::error::TrainResult;
use crate::metrics::{Metrics, Values};
use crate::report::Best;

/// The counters, running means and the best parameters of a run. All of it is in the checkpoint.
#[derive(Clone, Debug)]
pub(super) struct RunState<F: Real> {
    /// The number of completed steps.
    pub(super) step: u64,
    /// The number of completed epochs.
    pub(super) epoch: u64,
    /// The number of completed steps of the current epoch.
    pub(super) position: u64,
    /// The costs since the last measurements.
    pub(super) training: Means,
    /// The gradient variances since the last measurements.
    pub(super) variances: Means,
    pub(super) last: Metrics,
    /// The last variances that were measured.
    pub(super) last_variances: Values,
    pub(super) stall: Stall,
    pub(super) warnings: Warnings,
    pub(super) best: Option<(Best, BestValues<F>)>,
}

/// The best parameters and buffers by name, if they are kept.
type BestValues<F> = Vec<(String, Tensor<F>)>;

const COUNTERS: &str = "run/counters";
const NUMBERS: &str = "run/numbers";
const TRAINING: &str = "run/training";
const VARIANCES: &str = "run/variances";
const LAST_TRAINING: &str = "run/last_training";
const LAST_VALIDATION: &str = "run/last_validation";
const LAST_VARIANCES: &str = "run/last_variances";
const EARLIER_VARIANCES: &str = "run/earlier_variances";
const BEST_COUNTERS: &str = "run/best_counters";
const BEST_VALUE: &str = "run/best_value";
const BEST_COSTS: &str = "run/best_costs";
const BEST_VALUES: &str = "best/";

impl<F: Real> Default for RunState<F> {
    fn default() -> Self {
        RunState {
            step: 0,
            epoch: 0,
            position: 0,
            training: Means::default(),
            variances: Means::default(),
            last: Metrics::default(),
            last_variances: Values::new(),
            stall: Stall::default(),
            warnings: Warnings::default(),
            best: None,
        }
    }
}

impl<F: Real> RunState<F> {
    /// Compares an evaluation with the best one, and keeps its parameters if it is better.
    pub(super) fn observe(&mut self, value: f64, evaluated: Option<&Parameters<F>>) {
        if self.best.as_ref().is_some_and(|(best, _)| value >= best.value) {
            return;
        }
        let best =
            Best { step: self.step, epoch: self.epoch, value, costs: self.last.validation.clone().unwrap_or_default() };
        let values = evaluated.map_or_else(Vec::new, |parameters| {
            let all = parameters.iter().chain(parameters.buffers());
            all.map(|(name, value)| (name.into(), value.clone())).collect()
        });
        self.best = Some((best, values));
    }

    pub(super) fn save(&self, checkpoint: &mut Checkpoint) -> NnResult<()> {
        let Metrics { step, epoch, training, validation, variances, learning_rate } = &self.last;
        checkpoint.insert_u64s(COUNTERS, &[self.position, self.stall.evaluations, *step, *epoch])?;
        checkpoint.insert(NUMBERS, &Tensor::<f64>::from([self.stall.reference, *learning_rate]))?;
        self.training.save(checkpoint, TRAINING)?;
        self.variances.save(checkpoint, VARIANCES)?;
        self.warnings.save(checkpoint)?;
        save_values(checkpoint, LAST_TRAINING, training)?;
        save_values(checkpoint, LAST_VALIDATION, validation.as_deref().unwrap_or_default())?;
        save_values(checkpoint, LAST_VARIANCES, variances)?;
        save_values(checkpoint, EARLIER_VARIANCES, &self.last_variances)?;
        if let Some((best, values)) = &self.best {
            checkpoint.insert_u64s(BEST_COUNTERS, &[best.step, best.epoch])?;
            checkpoint.insert(BEST_VALUE, &Tensor::<f64>::scalar(best.value))?;
            save_values(checkpoint, BEST_COSTS, &best.costs)?;
            values.iter().try_for_each(|(name, value)| checkpoint.insert(format!("{BEST_VALUES}{name}"), value))?;
        }
        Ok(())
    }

    /// Reads what [`save`](Self::save) wrote. The best values have the shapes of the parameters.
    pub(super) fn load(
        checkpoint: &Checkpoint,
        [step, epoch]: [u64; 2],
        parameters: &Parameters<F>,
    ) -> TrainResult<Self> {
        let counters = checkpoint.u64s(COUNTERS)?;
        let counter = |index: usize| counters.get(index).copied().unwrap_or_default();
        let numbers: Tensor<f64> = checkpoint.tensor_of_shape(NUMBERS, &[2].into())?;
        let validation = load_values(checkpoint, LAST_VALIDATION)?;
        let best = match checkpoint.contains(BEST_VALUE) {
            false => None,
            true => {
                let counters = checkpoint.u64s(BEST_COUNTERS)?;
                let best = Best {
                    step: counters.first().copied().unwrap_or_default(),
                    epoch: counters.get(1).copied().unwrap_or_default(),
                    value: checkpoint.tensor::<f64>(BEST_VALUE)?.item().map_err(stochgrad_nn::NnError::from)?,
                    costs: load_values(checkpoint, BEST_COSTS)?,
                };
                let mut values = Vec::new();
                for (name, value) in parameters.iter().chain(parameters.buffers()) {
                    let full_name = format!("{BEST_VALUES}{name}");
                    if checkpoint.contains(&full_name) {
                        values.push((name.into(), checkpoint.tensor_of_shape(&full_name, value.shape())?));
                    }
                }
                Some((best, values))
            }
        };
        Ok(RunState {
            step,
            epoch,
            position: counter(0),
            training: Means::load(checkpoint, TRAINING)?,
            variances: Means::load(checkpoint, VARIANCES)?,
            last: Metrics {
                step: counter(2),
                epoch: counter(3),
                training: load_values(checkpoint, LAST_TRAINING)?,
                validation: (!validation.is_empty()).then_some(validation),
                variances: load_values(checkpoint, LAST_VARIANCES)?,
                learning_rate: numbers.as_slice()[1],
            },
            last_variances: load_values(checkpoint, EARLIER_VARIANCES)?,
            stall: Stall { reference: numbers.as_slice()[0], evaluations: counter(1) },
            warnings: Warnings::load(checkpoint)?,
            best,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_in_the_checkpoint() {
        let mut parameters = Parameters::<f64>::new();
        parameters.insert("w", Tensor::from([0.5, -0.0])).unwrap();
        parameters.insert_buffer("mean", Tensor::scalar(3.0)).unwrap();
        let mut state = RunState { step: 12, epoch: 2, position: 2, ..RunState::default() };
        state.training.add("loss", 0.1, 3.0);
        state.variances.add("w", 0.3, 1.0);
        state.stall.observe(0.7, 0.0);
        state.stall.observe(0.8, 0.0);
        state.last = Metrics {
            step: 10,
            epoch: 2,
            training: vec![("loss".into(), 0.25)],
            validation: Some(vec![("loss".into(), 0.7)]),
            variances: vec![("w".into(), 1.0 / 3.0)],
            learning_rate: 0.01,
        };
        state.last_variances = vec![("w".into(), 0.5)];
        for kept in [None, Some(&parameters)] {
            let mut state = state.clone();
            state.observe(0.7, kept);
            state.observe(0.7, None);
            let mut checkpoint = Checkpoint::new();
            state.save(&mut checkpoint).unwrap();
            let loaded = RunState::load(&checkpoint, [12, 2], &parameters).unwrap();
            assert_eq!(format!("{loaded:?}"), format!("{state:?}"));
            assert_eq!(loaded.best.unwrap().1.len(), if kept.is_some() { 2 } else { 0 });
        }
        let mut checkpoint = Checkpoint::new();
        RunState::<f64>::default().save(&mut checkpoint).unwrap();
        let loaded = RunState::load(&checkpoint, [0, 0], &parameters).unwrap();
        assert_eq!(format!("{loaded:?}"), format!("{:?}", RunState::<f64>::default()));
    }
}
