//! Training a model.

mod checkpoint;
#[cfg(feature = "serde")]
mod configuration;
mod early_stopping;
mod gradient_variance;
mod held_out;
mod looks;
mod means;
mod minibatches;
mod on_device;
mod optimizer_choice;
mod progress;
mod ranks;
mod run;
mod run_state;
mod settings;
#[cfg(feature = "signals")]
mod signals;
mod span;
mod steps;
mod warnings;

#[cfg(feature = "serde")]
pub use configuration::{CostLimitSettings, TrainerSettings};
pub use early_stopping::EarlyStopping;
pub use gradient_variance::GradientVariance;
pub use progress::Progress;
pub use span::Span;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::rc::Rc;

use stochgrad_graph::GraphResult;
use stochgrad_nn::{Optimizer, Parameters, Record, Step, TrainingDevice};
use stochgrad_tape::Communicator;
use stochgrad_tensor::{Real, instantiated};

#[cfg(feature = "signals")]
use crate::error::TrainError;
use crate::error::TrainResult;
use crate::metrics::Values;
use crate::observer::Observer;
use crate::report::Report;
use crate::source::Source;
use held_out::Validation;
use optimizer_choice::OptimizerChoice;
use run::{Given, Run};
use settings::Settings;
use warnings::CostLimit;

/// Trains a model: minibatches, evaluation on held-out data, early stopping, checkpoints and callbacks.
///
/// The model is a closure that records its costs, as for a [`Step`]. Everything else is configuration.
///
/// ```
/// use stochgrad_nn::{Adam, Parameters, Record};
/// use stochgrad_tensor::Tensor;
/// use stochgrad_train::Trainer;
/// use stochgrad_train::source::Tensors;
///
/// // Points on a line.
/// let line = |from: usize, count: usize| {
///     let x = Tensor::from_fn([count], |i| 0.1 * (from + i) as f64);
///     let y = Tensor::from_fn([count], |i| 0.2 * (from + i) as f64 - 1.0);
///     Tensors::new().with("x", x)?.with("y", y)
/// };
/// let (train, test) = (line(0, 40)?, line(40, 10)?);
///
/// let mut parameters = Parameters::new();
/// parameters.insert("slope", Tensor::scalar(0.0))?;
/// parameters.insert("offset", Tensor::scalar(0.0))?;
/// let model = |record: &Record<'_, '_, f64>| {
///     let predicted = record.param("slope")? * record.input("x")? + record.param("offset")?;
///     record.cost("squared error", (predicted - record.input("y")?).square())
/// };
/// let report = Trainer::new(Adam::new(0.05))
///     .epochs(60)
///     .batch(8)
///     .seed(7)
///     .validate(&test)
///     .keep_best()
///     .quiet()
///     .fit(&mut parameters, &train, model)?;
/// println!("{report}");
/// assert!((parameters.get("slope").unwrap().item()? - 2.0).abs() < 0.05);
/// assert_eq!(report.steps, 60 * 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Costs
///
/// The trainer tells each minibatch the size of the training data. Costs of data are averaged over the members, and costs
/// that all members share are divided by the size; see [`Record::cost`]. All reported costs are costs per member, also
/// those on the held-out data, so that training and validation can be compared.
///
/// # Resuming
///
/// With an [output folder](Self::out), a run writes a checkpoint [at regular intervals](Self::checkpoint_every) and at
/// its end. Calling `fit` again, in a new process, resumes the run. All results are, bit for bit, those of a run
/// without interruption: every order and all noise are functions of the seed and of the number of the step. The
/// process may be killed at any moment. Ctrl-C and SIGTERM end the run after the current step, with a checkpoint.
///
/// # The parameters after a run
///
/// They are those of the best evaluation with [`keep_best`](Self::keep_best), else the averages of an optimiser that
/// [averages](Optimizer::averages), else those after the last step. The first two are what evaluations use as well. A
/// resumed run goes on from those of the last step.
pub struct Trainer<'a, F: Real> {
    optimizer: OptimizerChoice<'a, F>,
    settings: Settings,
    validation: Option<Validation<'a, F>>,
    observers: Vec<Box<dyn Observer + 'a>>,
    on_step: Vec<Callback<'a, F>>,
    on_epoch: Vec<Callback<'a, F>>,
    communicator: Option<Rc<dyn Communicator>>,
    device: Option<Box<dyn TrainingDevice<F> + 'a>>,
}

type Callback<'a, F> = Box<dyn FnMut(&Progress<'_, F>) -> ControlFlow<()> + 'a>;

impl<'a, F: Real> Trainer<'a, F> {
    /// A trainer with an optimiser. Set the length of the run with [`epochs`](Self::epochs) or [`steps`](Self::steps).
    pub fn new(optimizer: impl Optimizer<F> + 'a) -> Self {
        Self::with_choice(OptimizerChoice::Given(Box::new(optimizer)))
    }

    /// A trainer with an optimiser for the number of steps of the whole run, so that schedules are shares of it. For
    /// an optimiser that [accumulates](stochgrad_nn::Adam::accumulate) gradients, divide the number: schedules count
    /// updates.
    ///
    /// ```
    /// use stochgrad_nn::{Adam, Parameters, Record, Schedule};
    /// use stochgrad_tensor::Tensor;
    /// use stochgrad_train::Trainer;
    /// use stochgrad_train::source::Tensors;
    ///
    /// let data = Tensors::new().with("x", [1.0, 2.0, 3.0])?;
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("mean", Tensor::scalar(0.0))?;
    /// let report = Trainer::for_steps(|steps| Adam::new(Schedule::cosine(0.1, 0.0, steps).warm_up(steps / 20)))
    ///     .epochs(100)
    ///     .batch(2)
    ///     .quiet()
    ///     .fit(&mut parameters, &data, |record: &Record<'_, '_, f64>| {
    ///         record.cost("squared error", (record.param("mean")? - record.input("x")?).square())
    ///     })?;
    /// assert_eq!((report.steps, report.last.learning_rate), (200, 0.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A longer run has other schedules, so that an earlier checkpoint is one of other settings; see
    /// [`accept_change`](Self::accept_change). If the length is a number of epochs, `fit` returns an error unless the
    /// data knows its size.
    pub fn for_steps<O: Optimizer<F> + 'a>(optimizer: impl FnOnce(u64) -> O + 'a) -> Self {
        Self::with_choice(OptimizerChoice::ForSteps(Box::new(|steps| Box::new(optimizer(steps)))))
    }

    fn with_choice(optimizer: OptimizerChoice<'a, F>) -> Self {
        Trainer {
            optimizer,
            settings: Settings::default(),
            validation: None,
            observers: Vec::new(),
            on_step: Vec::new(),
            on_epoch: Vec::new(),
            communicator: None,
            device: None,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Sets the length of the run as a number of passes over the training data.
    pub fn epochs(self, epochs: u64) -> Self {
        self.with(|settings| settings.length = Some(Span::Epochs(epochs)))
    }

    /// Sets the length of the run as a number of updates of the parameters.
    pub fn steps(self, steps: u64) -> Self {
        self.with(|settings| settings.length = Some(Span::Steps(steps)))
    }

    /// Sets the number of members of a minibatch, 32 by default.
    pub fn batch(self, members: usize) -> Self {
        self.with(|settings| settings.batch = members)
    }

    /// Leaves out the last minibatch of an epoch if it is smaller than the others.
    pub fn drop_last(self) -> Self {
        self.with(|settings| settings.drops_last = true)
    }

    /// Reads the training data in its own order, in place of a new random order in each epoch.
    pub fn in_order(self) -> Self {
        self.with(|settings| settings.is_shuffled = false)
    }

    /// Sets the seed of all noise and of the order of the data, 0 by default.
    pub fn seed(self, seed: u64) -> Self {
        self.with(|settings| settings.seed = seed)
    }

    /// Sets the number of threads, 1 by default. The results do not depend on it.
    pub fn threads(self, threads: usize) -> Self {
        self.with(|settings| settings.threads = threads)
    }

    /// Sets how often the costs of the training steps are measured: after each epoch by default. A measurement is the
    /// mean since the last one. Each evaluation and the end of the run are measured as well.
    pub fn measure_every(self, period: Span) -> Self {
        self.with(|settings| settings.measure_every = period)
    }

    /// Evaluates the costs on held-out data: after each epoch, or [at other intervals](Self::validate_every), and at the
    /// end of the run. The data is read in chunks of [the size of a minibatch](Self::evaluation_batch), and the costs are
    /// averaged over all members. The model is recorded in [`Mode::Evaluate`](stochgrad_nn::Mode::Evaluate).
    pub fn validate(self, held_out: &'a dyn Source<F>) -> Self {
        Trainer { validation: Some(Validation::Data(held_out)), ..self }
    }

    /// Evaluates the parameters by a function, in place of the costs on held-out data: for an accuracy, a bound with more
    /// samples, or the same noise at each evaluation. What it returns takes the place of those costs in all
    /// [metrics](crate::Metrics::validation); lower values are better for early stopping and for the best parameters.
    ///
    /// ```
    /// use stochgrad_nn::{Parameters, Record, Sgd};
    /// use stochgrad_tensor::Tensor;
    /// use stochgrad_train::Trainer;
    /// use stochgrad_train::source::Tensors;
    ///
    /// let data = Tensors::new().with("x", [1.0, 2.0, 3.0])?;
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("mean", Tensor::scalar(0.0))?;
    /// let report = Trainer::new(Sgd::new(0.1))
    ///     .epochs(40)
    ///     .quiet()
    ///     .validate_with(|parameters| {
    ///         let mean = parameters.get("mean").map_or(f64::NAN, |mean| mean.as_slice()[0]);
    ///         Ok(vec![("distance".into(), (mean - 2.0).abs())])
    ///     })
    ///     .fit(&mut parameters, &data, |record: &Record<'_, '_, f64>| {
    ///         record.cost("squared error", (record.param("mean")? - record.input("x")?).square())
    ///     })?;
    /// assert!(report.best.is_some_and(|best| best.value < 0.01));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn validate_with(self, evaluate: impl FnMut(&Parameters<F>) -> TrainResult<Values> + 'a) -> Self {
        Trainer { validation: Some(Validation::Function(Box::new(evaluate))), ..self }
    }

    /// Sets how often the held-out data is evaluated.
    pub fn validate_every(self, period: Span) -> Self {
        self.with(|settings| settings.validate_every = period)
    }

    /// Sets the number of members that are evaluated at once, that of a minibatch by default.
    pub fn evaluation_batch(self, members: usize) -> Self {
        self.with(|settings| settings.evaluation_batch = Some(members))
    }

    /// Sets the cost that decides on early stopping and on the best parameters: the total by default.
    pub fn monitor(self, cost: impl Into<String>) -> Self {
        self.with(|settings| settings.monitor = Some(cost.into()))
    }

    /// Ends the run when the held-out data shows no improvement. The parameters remain those of the last step, unless
    /// the best ones are [kept](Self::keep_best).
    pub fn early_stopping(self, stopping: EarlyStopping) -> Self {
        self.with(|settings| settings.early_stopping = Some(stopping))
    }

    /// Keeps the parameters of the best evaluation, which `fit` returns.
    pub fn keep_best(self) -> Self {
        self.with(|settings| settings.keeps_best = true)
    }

    /// Sets the output folder, which is made if it does not exist. It gets these files:
    ///
    /// | file | content |
    /// |---|---|
    /// | `checkpoint.safetensors` | everything that the run needs to resume |
    /// | `parameters.safetensors` | the parameters at the end; see [`Parameters::load`] |
    /// | `settings.toml` | the settings |
    /// | `graph.svg` | the [graph](crate::output::graph_svg) of the model |
    /// | `metrics.csv`, `tensorboard`, `curves.svg`, `summary.json` | see [`RunFolder`](crate::output::RunFolder) |
    ///
    /// A run whose folder has a checkpoint resumes from it. The settings must be those of the checkpoint and of
    /// `settings.toml`, apart from the length of the run, the number of threads, and what is
    /// [accepted](Self::accept_change).
    pub fn out(self, folder: impl Into<PathBuf>) -> Self {
        self.with(|settings| settings.out = Some(folder.into()))
    }

    /// Sets the output folder as [`out`](Self::out) does, but leaves out the files of the last row: for a program that
    /// writes its own, or that [observes](Self::observe) the run with a [`RunFolder`](crate::output::RunFolder) of its own.
    pub fn checkpoints(self, folder: impl Into<PathBuf>) -> Self {
        self.out(folder).with(|settings| settings.reports_to_folder = false)
    }

    /// Begins anew if the output folder has a checkpoint, which is renamed to `previous.checkpoint.safetensors`.
    pub fn restart(self) -> Self {
        self.with(|settings| settings.restarts = true)
    }

    /// Resumes a run although a setting of the folder, by its name in `settings.toml`, differs from that of this call,
    /// which is used from now on. For example, `accept_change("optimizer")` goes on with a lower learning rate.
    pub fn accept_change(self, setting: impl Into<String>) -> Self {
        self.with(|settings| settings.accepted.extend([setting.into()]))
    }

    /// Sets how often a checkpoint is written to the output folder: after each epoch by default.
    pub fn checkpoint_every(self, period: Span) -> Self {
        self.with(|settings| settings.checkpoint_every = period)
    }

    /// Adds a setting of the program, such as the width of a layer, to those that a checkpoint must have.
    pub fn setting(self, name: impl Into<String>, value: impl ToString) -> Self {
        self.with(|settings| drop(settings.of_program.insert(name.into(), value.to_string())))
    }

    /// Estimates the variance of gradients during the run. The [metrics](crate::Metrics::variances) have the estimates.
    pub fn gradient_variance(self, variance: GradientVariance) -> Self {
        self.with(|settings| settings.gradient_variance = Some(variance))
    }

    /// Warns if the mean of a cost over some successive steps is below a limit. For the divergence of a posterior from its
    /// prior, this is a posterior collapse: the code carries no information. Divergences are small at the beginning of a
    /// run, and as long as a weight of the divergence grows; choose the number of steps accordingly, for instance those
    /// of five epochs. The training does not depend on it, and a resumed run may have another limit.
    ///
    /// All [warnings](crate::Warning) are in the report, and are shown with the progress of the run. A
    /// [quiet](Self::quiet) run logs them, through the crate `log`.
    pub fn warn_below(self, cost: impl Into<String>, limit: f64, steps: u64) -> Self {
        let limit = CostLimit { cost: cost.into(), below: limit, steps };
        self.with(|settings| settings.cost_limits.push(limit))
    }

    /// Leaves Ctrl-C and SIGTERM to the program. By default, either of them ends the run after the current step. Further
    /// runs of the program then return [`TrainError::Interrupted`](crate::TrainError::Interrupted), so that a program of
    /// several runs ends. A second signal ends the process; a program with a handler of its own keeps it. Without the feature `signals`, they
    /// are always left to the program.
    pub fn ignore_signals(self) -> Self {
        self.with(|settings| settings.handles_signals = false)
    }

    /// Shows no progress. By default, and with the feature `progress`, a run shows a
    #[cfg_attr(feature = "progress", doc = "[`ProgressBar`](crate::output::ProgressBar).")]
    #[cfg_attr(not(feature = "progress"), doc = "progress bar.")]
    pub fn quiet(self) -> Self {
        self.with(|settings| settings.is_quiet = true)
    }

    /// Reports the measurements of the run to an observer, besides the files in the output folder and the progress.
    pub fn observe(mut self, observer: impl Observer + 'a) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Calls a function after each step, which stops the run if it returns [`ControlFlow::Break`].
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// use stochgrad_nn::{Parameters, Record, Sgd};
    /// use stochgrad_tensor::Tensor;
    /// use stochgrad_train::source::Tensors;
    /// use stochgrad_train::{Outcome, Trainer};
    ///
    /// let data = Tensors::new().with("x", [1.0, 2.0, 3.0])?;
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("mean", Tensor::scalar(0.0))?;
    /// let report = Trainer::new(Sgd::new(0.1))
    ///     .steps(1000)
    ///     .quiet()
    ///     .on_step(|progress| match progress.costs[0].1 < 0.7 {
    ///         true => ControlFlow::Break(()),
    ///         false => ControlFlow::Continue(()),
    ///     })
    ///     .fit(&mut parameters, &data, |record: &Record<'_, '_, f64>| {
    ///         record.cost("squared error", (record.param("mean")? - record.input("x")?).square())
    ///     })?;
    /// assert_eq!(report.outcome, Outcome::Stopped);
    /// assert!(report.steps < 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_step(mut self, callback: impl FnMut(&Progress<'_, F>) -> ControlFlow<()> + 'a) -> Self {
        self.on_step.push(Box::new(callback));
        self
    }

    /// Calls a function after each epoch, once it has been measured and evaluated. It stops the run if it returns
    /// [`ControlFlow::Break`].
    pub fn on_epoch(mut self, callback: impl FnMut(&Progress<'_, F>) -> ControlFlow<()> + 'a) -> Self {
        self.on_epoch.push(Box::new(callback));
        self
    }

    /// Trains the parameters. The model records its costs; [`Step`] states what it may do.
    ///
    /// # Errors
    ///
    /// * [`TrainError::Step`](crate::TrainError::Step) if the model or a step fails, for example since a gradient is
    ///   NaN. The error names the step, the cost or parameter, and the operation. The parameters are those before this
    ///   step, and the last checkpoint stays.
    /// * [`TrainError::OtherRun`](crate::TrainError::OtherRun) if the output folder has a checkpoint of other settings.
    /// * For settings that are not accepted, for data that cannot be read, and for files that cannot be written.
    pub fn fit<M>(self, parameters: &mut Parameters<F>, data: &dyn Source<F>, model: M) -> TrainResult<Report>
    where
        M: Fn(&Record<'_, '_, F>) -> GraphResult<()>,
    {
        let step = self.divided(Step::new(model).threads(self.settings.threads));
        instantiated!(
            F: fn(Trainer<'_, F>, &mut Parameters<F>, &dyn Source<F>, Step<'_, F>) -> TrainResult<Report> =
                |trainer, parameters, data, step| trainer.run(parameters, data, step)
        )(self, parameters, data, step)
    }

    fn run(self, parameters: &mut Parameters<F>, data: &dyn Source<F>, step: Step<'_, F>) -> TrainResult<Report> {
        #[cfg(feature = "signals")]
        if self.settings.handles_signals && signals::have_arrived() {
            return Err(TrainError::Interrupted);
        }
        let length = self.settings.check(self.validation.is_some())?;
        self.check_ranks()?;
        let device = self.start_device(data)?;
        let Trainer { optimizer, settings, validation, observers, on_step, on_epoch, communicator, .. } = self;
        let optimizer = optimizer.choose(length.steps(settings.steps_per_epoch(data.size())))?;
        let given = Given { optimizer, settings, validation, observers, on_step, on_epoch, communicator, device };
        Run::new(given, length, parameters, data, step).complete()
    }
}
