//! One run of a trainer.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use stochgrad_graph::GraphResult;
use stochgrad_nn::{Optimizer, Parameters, Step};
use stochgrad_tape::Communicator;
use stochgrad_tensor::Real;

use super::Callback;
use super::checkpoint::{self, Folder};
use super::held_out::{HeldOut, Validation, of_data_set};
use super::minibatches::{Minibatches, Next};
use super::on_device::OnDevice;
use super::progress::Progress;
use super::ranks::Ranks;
use super::run_state::RunState;
use super::settings::{Facts, Settings};
#[cfg(feature = "signals")]
use super::signals::Signals;
use super::span::Span;
use crate::error::{TrainError, TrainResult};
use crate::metrics::{Metrics, Values, total};
use crate::observer::{Observer, RunStart};
use crate::output::RunFolder;
use crate::report::{Outcome, Report};
use crate::source::{Epoch, OwnMembers, Source};

/// What a trainer was given, with the optimiser for the length of the run.
pub(super) struct Given<'r, F: Real> {
    pub(super) optimizer: Box<dyn Optimizer<F> + 'r>,
    pub(super) settings: Settings,
    pub(super) validation: Option<Validation<'r, F>>,
    pub(super) observers: Vec<Box<dyn Observer + 'r>>,
    pub(super) on_step: Vec<Callback<'r, F>>,
    pub(super) on_epoch: Vec<Callback<'r, F>>,
    pub(super) communicator: Option<Rc<dyn Communicator>>,
    pub(super) device: Option<OnDevice<F>>,
}

/// A run: what the trainer was given, and what has been reached.
pub(super) struct Run<'r, 'm, F: Real> {
    pub(super) optimizer: Box<dyn Optimizer<F> + 'r>,
    pub(super) settings: Settings,
    pub(super) length: Span,
    pub(super) held_out: Option<HeldOut<'r, F>>,
    pub(super) observers: Vec<Box<dyn Observer + 'r>>,
    pub(super) on_step: Vec<Callback<'r, F>>,
    pub(super) on_epoch: Vec<Callback<'r, F>>,
    pub(super) parameters: &'r mut Parameters<F>,
    pub(super) data: &'r dyn Source<F>,
    pub(super) step: Step<'m, F>,
    /// The settings that a checkpoint must have.
    pub(super) compared: BTreeMap<String, String>,
    pub(super) state: RunState<F>,
    /// The costs of the last step.
    pub(super) costs: Values,
    /// The output folder, on the first rank.
    pub(super) folder: Option<Folder>,
    pub(super) device: Option<OnDevice<F>>,
    pub(super) ranks: Ranks,
    /// The members of a minibatch that this rank needs, if it does not need all.
    pub(super) own: Option<OwnMembers>,
    /// Whether the output folder has the picture of the graph.
    pub(super) is_drawn: bool,
    /// The step of the last checkpoint.
    pub(super) saved: Option<u64>,
}

impl<'r, 'm, F: Real> Run<'r, 'm, F> {
    pub(super) fn new(
        given: Given<'r, F>,
        length: Span,
        parameters: &'r mut Parameters<F>,
        data: &'r dyn Source<F>,
        step: Step<'m, F>,
    ) -> Self {
        let Given { optimizer, settings, validation, mut observers, on_step, on_epoch, communicator, device } = given;
        let ranks = Ranks::new(communicator);
        if !ranks.is_first() {
            observers.clear();
        }
        let compared = settings.to_compare(Facts {
            precision: F::NAME,
            optimizer: optimizer.settings(),
            size: data.size(),
            has_validation: validation.is_some(),
            validation_size: validation.as_ref().and_then(Validation::size),
        });
        let held_out = validation.map(|validation| HeldOut {
            validation,
            chunk: settings.evaluation_batch.unwrap_or(settings.batch),
            seed: settings.seed,
            size: data.size(),
        });
        Run {
            optimizer,
            settings,
            length,
            held_out,
            observers,
            on_step,
            on_epoch,
            parameters,
            data,
            step,
            compared,
            state: RunState::default(),
            costs: Values::new(),
            folder: None,
            device,
            ranks,
            own: None,
            is_drawn: false,
            saved: None,
        }
    }

    /// Makes the steps that are left.
    pub(super) fn complete(mut self) -> TrainResult<Report> {
        let started = Instant::now();
        self.own = self.ranks.own_members::<F>(self.settings.shards)?;
        let resumed_at = self.start()?;
        let outcome = match self.go_on() {
            Ok(outcome) => outcome,
            Err(error) => {
                // The host gets the parameters before the step that failed, unless the device has failed altogether.
                let _ = self.fetch();
                return Err(error);
            }
        };
        // Without a step, the state of the gradient methods is not known.
        if self.state.step > 0 && self.saved != Some(self.state.step) {
            self.save()?;
        }
        let handed_over = self.hand_over();
        self.ranks.agreed(handed_over)?;
        let report = Report {
            outcome,
            steps: self.state.step,
            epochs: self.state.epoch,
            resumed_at,
            last: Metrics { variances: self.state.last_variances.clone(), ..self.state.last.clone() },
            best: self.state.best.take().map(|(best, _)| best),
            warnings: self.state.warnings.given().to_vec(),
            seconds: started.elapsed().as_secs_f64(),
        };
        self.observe(|observer| observer.finish(&report))?;
        Ok(report)
    }

    /// Loads the checkpoint, if there is one. Returns its step.
    fn start(&mut self) -> TrainResult<Option<u64>> {
        let mut resumed_at = None;
        if let Some(path) = self.settings.out.clone() {
            let folder = self.ranks.agreed(self.open(&path))?;
            if folder.has_checkpoint() {
                let (parameters, optimizer) = (&mut *self.parameters, &mut *self.optimizer);
                let loaded = checkpoint::load(
                    &folder,
                    &self.compared,
                    &self.settings.accepted,
                    parameters,
                    optimizer,
                    &mut self.step,
                    &mut self.observers,
                );
                self.state = self.ranks.agreed(loaded)?;
                resumed_at = Some(self.state.step);
            }
            if self.ranks.is_first() {
                if self.settings.reports_to_folder {
                    self.observers.insert(0, Box::new(RunFolder::new(path)));
                }
                self.folder = Some(folder);
            }
            let settings = self.settings_of_this_call();
            let saved = self.folder.as_ref().map_or(Ok(()), |folder| folder.save_settings(&settings));
            self.ranks.agreed(saved)?;
            self.saved = resumed_at;
        }
        #[cfg(feature = "progress")]
        if !self.settings.is_quiet && self.ranks.is_first() {
            self.observers.insert(0, Box::new(crate::output::ProgressBar::new()));
        }
        let steps_per_epoch = self.settings.steps_per_epoch(self.data.size());
        let steps = self.length.steps(steps_per_epoch);
        let epochs = if let Span::Epochs(epochs) = self.length { Some(epochs) } else { None };
        let settings = self.settings_of_this_call();
        let start = RunStart { resumed_at, steps, epochs, steps_per_epoch, settings: &settings };
        self.observe(|observer| observer.start(&start))?;
        Ok(resumed_at)
    }

    /// The output folder, which the first rank makes.
    fn open(&self, path: &Path) -> TrainResult<Folder> {
        if !self.ranks.is_first() {
            return Ok(Folder::of_first_rank(path));
        }
        let folder = Folder::open(path)?;
        if self.settings.restarts && folder.has_checkpoint() {
            folder.set_checkpoint_aside()?;
        }
        Ok(folder)
    }

    /// Calls all observers, which only the first rank has.
    fn observe(&mut self, mut call: impl FnMut(&mut Box<dyn Observer + 'r>) -> TrainResult<()>) -> TrainResult<()> {
        let called = self.observers.iter_mut().try_for_each(&mut call);
        self.ranks.agreed(called)
    }

    /// The settings of a checkpoint, and the length, which may differ when a run is resumed. The number of threads is
    /// not a setting on which anything depends.
    fn settings_of_this_call(&self) -> BTreeMap<String, String> {
        let mut settings = self.compared.clone();
        settings.insert(checkpoint::LENGTH.into(), self.length.to_string());
        settings
    }

    /// Makes steps until the run ends.
    fn go_on(&mut self) -> TrainResult<Outcome> {
        #[cfg(feature = "signals")]
        let signals = Signals::new(self.settings.handles_signals);
        #[cfg(feature = "signals")]
        let is_interrupted = || signals.have_arrived();
        #[cfg(not(feature = "signals"))]
        let is_interrupted = || false;

        loop {
            if let Some(outcome) = self.outcome() {
                return Ok(outcome);
            }
            let mut minibatches = match self.device.as_ref().and_then(OnDevice::rows) {
                Some(members) => Minibatches::rows(members, self.epoch())?,
                None => Minibatches::read(self.data, self.epoch(), self.own.as_ref())?,
            };
            if minibatches.is_empty() {
                return Err(TrainError::argument(
                    "the training data",
                    format!("a minibatch {} in epoch {}", self.state.position, self.state.epoch),
                    "the end of the data",
                    "check that it has members, and that it is the data with which the run began",
                ));
            }
            while let Some(next) = minibatches.next(self.steps_to_look())? {
                if self.ranks.any(is_interrupted())? {
                    return Ok(Outcome::Interrupted);
                }
                let is_end_of_epoch = minibatches.is_empty();
                let stops = match next {
                    Next::Minibatch(inputs) => {
                        self.make_step(&of_data_set(inputs, self.data.size()))?;
                        self.after_step(is_end_of_epoch)?
                    }
                    Next::Rows(batches) => self.make_steps(&batches, is_end_of_epoch)?,
                };
                if let Some(outcome) = self.outcome() {
                    return Ok(outcome);
                }
                if self.ranks.any(stops)? {
                    return Ok(Outcome::Stopped);
                }
            }
        }
    }

    /// The minibatches of this epoch that are left.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch {
            number: self.state.epoch,
            batch: self.settings.batch,
            seed: self.settings.seed,
            is_shuffled: self.settings.is_shuffled,
            drops_last: self.settings.drops_last,
            first: usize::try_from(self.state.position).unwrap_or(usize::MAX),
        }
    }

    /// How the run has ended, if it has. It depends on the state only, so that a run that has ended is not resumed.
    fn outcome(&self) -> Option<Outcome> {
        let RunState { step, epoch, stall, .. } = &self.state;
        if self.length.is_complete(*step, *epoch) {
            return Some(Outcome::Completed);
        }
        let stopping = self.settings.early_stopping?;
        (stall.evaluations >= stopping.patience).then_some(Outcome::EarlyStopped)
    }

    /// Measures, saves and calls back. Returns whether a callback stops the run.
    pub(super) fn after_step(&mut self, is_end_of_epoch: bool) -> TrainResult<bool> {
        if is_end_of_epoch {
            self.state.epoch += 1;
            self.state.position = 0;
        }
        let (step, epoch) = (self.state.step, self.state.epoch);
        let is_end = self.length.is_complete(step, epoch);
        let evaluates =
            self.held_out.is_some() && (is_end || self.settings.validate_every.ends(step, epoch, is_end_of_epoch));
        if evaluates || is_end || self.settings.measure_every.ends(step, epoch, is_end_of_epoch) {
            self.measure(evaluates)?;
        }
        if !self.on_step.is_empty() || (is_end_of_epoch && !self.on_epoch.is_empty()) {
            self.fetch()?;
        }
        let progress =
            Progress { step, epoch, costs: &self.costs, metrics: &self.state.last, parameters: self.parameters };
        let mut stops = false;
        for callback in &mut self.on_step {
            stops |= callback(&progress).is_break();
        }
        if is_end_of_epoch {
            for callback in &mut self.on_epoch {
                stops |= callback(&progress).is_break();
            }
        }
        if self.settings.checkpoint_every.ends(step, epoch, is_end_of_epoch) {
            self.save()?;
        }
        Ok(stops)
    }

    /// Takes the means of the costs since the last measurements, and evaluates the held-out data.
    fn measure(&mut self, evaluates: bool) -> TrainResult<()> {
        self.fetch()?;
        let (step, epoch) = (self.state.step, self.state.epoch);
        self.state.last = Metrics {
            step,
            epoch,
            training: self.state.training.values(),
            validation: None,
            variances: self.state.variances.values(),
            learning_rate: self.optimizer.learning_rate(),
        };
        if !self.state.last.variances.is_empty() {
            self.state.last_variances.clone_from(&self.state.last.variances);
        }
        self.state.training.clear();
        self.state.variances.clear();
        if let Some(held_out) = self.held_out.as_mut().filter(|_| evaluates) {
            let averaged = averaged(&*self.optimizer, self.parameters)?;
            let evaluated = averaged.as_ref().unwrap_or(self.parameters);
            let costs = held_out
                .costs(&mut self.step, evaluated, step, self.own.as_ref())
                .map_err(|error| self.located(error))?;
            let value = monitored(&costs, self.settings.monitor.as_deref())?;
            self.state.last.validation = Some(costs);
            let minimum = self.settings.early_stopping.map_or(0.0, |stopping| stopping.minimum_improvement);
            self.state.stall.observe(value, minimum);
            self.state.observe(value, self.settings.keeps_best.then_some(evaluated));
        }
        let called = self.observers.iter_mut().try_for_each(|observer| observer.metrics(&self.state.last));
        self.ranks.agreed(called)
    }

    /// Writes a checkpoint, if there is a folder.
    fn save(&mut self) -> TrainResult<()> {
        let saved = self.save_here();
        self.ranks.agreed(saved)?;
        self.saved = self.settings.out.as_ref().map(|_| self.state.step);
        Ok(())
    }

    /// Writes a checkpoint on the first rank.
    fn save_here(&mut self) -> TrainResult<()> {
        self.fetch()?;
        let Some(folder) = &self.folder else { return Ok(()) };
        for (name, value) in self.parameters.iter() {
            if let Some(position) = value.as_slice().iter().position(|x| !x.is_finite()) {
                let (parameter, value) = (name.into(), value.as_slice()[position].to_f64());
                return Err(TrainError::ParameterNotFinite { parameter, value, position, step: self.state.step });
            }
        }
        self.observers.iter_mut().try_for_each(|observer| observer.checkpoint(self.state.step))?;
        let (path, seed) = (folder.checkpoint(), self.settings.seed);
        let (parameters, optimizer) = (&*self.parameters, &*self.optimizer);
        let mut checkpoint = checkpoint::of_run(seed, &self.state, &self.compared, parameters, optimizer, &self.step)?;
        self.observers.iter().try_for_each(|observer| observer.save(&mut checkpoint))?;
        Ok(checkpoint.save(path)?)
    }

    /// Gives the parameters the values with which a run ends, and saves them.
    fn hand_over(&mut self) -> TrainResult<()> {
        self.fetch()?;
        match &self.state.best {
            Some((_, values)) if self.settings.keeps_best => {
                values.iter().try_for_each(|(name, value)| self.parameters.set(name, value.clone()))?;
            }
            _ => {
                if let Some(averaged) = averaged(&*self.optimizer, self.parameters)? {
                    *self.parameters = averaged;
                }
            }
        }
        self.folder.as_ref().map_or(Ok(()), |folder| folder.save_parameters(self.parameters))
    }

    pub(super) fn in_step<T>(&self, result: GraphResult<T>) -> TrainResult<T> {
        result.map_err(|error| self.located(error.into()))
    }

    /// The error of a step, with what is left of the run.
    pub(super) fn located(&self, error: TrainError) -> TrainError {
        let TrainError::Graph(source) = error else { return error };
        let checkpoint = self.folder.as_ref().filter(|_| self.saved.is_some()).map(Folder::checkpoint);
        TrainError::Step { step: self.state.step, epoch: self.state.epoch, checkpoint, source }
    }
}

/// The parameters that are evaluated, if they are averages.
fn averaged<F: Real>(optimizer: &dyn Optimizer<F>, parameters: &Parameters<F>) -> TrainResult<Option<Parameters<F>>> {
    Ok(optimizer.averages().map(|average| average.averaged(parameters)).transpose()?)
}

/// The monitored cost: the total, or the one of a name.
fn monitored(costs: &[(String, f64)], name: Option<&str>) -> TrainResult<f64> {
    name.map_or_else(|| Ok(total(costs)), |name| find_cost(costs, name, "`Trainer::monitor`"))
}

/// The cost of a name that a setting of the trainer states.
pub(super) fn find_cost(costs: &[(String, f64)], name: &str, setting: &'static str) -> TrainResult<f64> {
    costs.iter().find(|(known, _)| known == name).map(|(_, cost)| *cost).ok_or_else(|| {
        let known: Vec<&str> = costs.iter().map(|(name, _)| name.as_str()).collect();
        let (expected, found) = (format!("one of the costs {}", known.join(", ")), name.to_owned());
        TrainError::argument(setting, expected, found, "check the spelling")
    })
}
