//! A model with its parameters and inputs, at which methods are measured.

use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use stochgrad_graph::{GraphResult, MethodReplacements, RedrawnNoise, Seed};
use stochgrad_nn::{Inputs, Parameters, Record, Step};
use stochgrad_tensor::Real;

use crate::kept::Kept;

/// A model as a function that records it.
pub(crate) type Model<'m, F> = dyn Fn(&Record<'_, '_, F>) -> GraphResult<()> + 'm;

/// A model at some parameters and inputs: the closure that a [`Step`] trains, which is not changed for measurements.
///
/// | function | question |
/// |---|---|
/// | [`compare`](Self::compare) | How good is each of several methods at a node? |
/// | [`select`](Self::select) | Which method should each node use? |
/// | [`attribute`](Self::attribute) | Which node causes the variance? |
///
/// Everything is determined by the seed, except for the times and what is decided by them.
///
/// ```
/// use stochgrad_check::Oracle;
/// use stochgrad_distributions::{Bernoulli, Id};
/// use stochgrad_estimators::{DisArm, Enumerate, LeaveOneOut, ScoreFunction};
/// use stochgrad_lab::{Lab, candidates};
/// use stochgrad_nn::{Inputs, Parameters, Record};
/// use stochgrad_tensor::Tensor;
///
/// let model = |record: &Record<'_, '_, f64>| {
///     let logits = record.param("logits")?;
///     let b = record.sample("b", &Bernoulli::from_logits(logits), &ScoreFunction::new())?;
///     record.cost("loss", (b - 0.499).square().sum())
/// };
/// let mut parameters = Parameters::new();
/// parameters.insert("logits", Tensor::from([0.0, 1.0]))?;
/// let inputs = Inputs::new();
///
/// let comparison = Lab::new(model, &parameters, &inputs)
///     .compare()
///     .node::<Bernoulli<Id>>("b", candidates![
///         ScoreFunction::new().samples(2).baseline(LeaveOneOut),
///         DisArm::new(),
///         Enumerate::new(),
///     ])
///     .exact_reference(&Oracle::new())?
///     .repetitions(200)
///     .run()?;
/// println!("{comparison}");
/// assert!(comparison.arms.iter().all(|arm| arm.refusal.is_none()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Lab<'m, F: Real> {
    model: Rc<Model<'m, F>>,
    pub(crate) parameters: Held<'m, Parameters<F>>,
    pub(crate) inputs: Held<'m, Inputs<F>>,
    seed: Seed,
    threads: usize,
    pub(crate) warm_up: u64,
    pub(crate) overhead: Duration,
    /// What is kept from one selection of a training run to the next.
    pub(crate) kept: Option<Rc<Kept<'m, F>>>,
}

/// A value that someone else owns, or several together.
#[derive(Debug)]
pub(crate) enum Held<'m, T> {
    Borrowed(&'m T),
    Shared(Rc<T>),
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Held::Borrowed(value) => value,
            Held::Shared(value) => value,
        }
    }
}

impl<'m, F: Real> Lab<'m, F> {
    /// A model with its parameters and inputs.
    pub fn new(
        model: impl Fn(&Record<'_, '_, F>) -> GraphResult<()> + 'm,
        parameters: &'m Parameters<F>,
        inputs: &'m Inputs<F>,
    ) -> Self {
        Self::of(Rc::new(model), Held::Borrowed(parameters), Held::Borrowed(inputs))
    }

    /// A lab that keeps what it prepares for others of the same model, at other parameters and inputs.
    pub(crate) fn keeping(
        model: Rc<Model<'m, F>>,
        parameters: Parameters<F>,
        inputs: Inputs<F>,
        kept: Rc<Kept<'m, F>>,
    ) -> Self {
        let lab = Self::of(model, Held::Shared(Rc::new(parameters)), Held::Shared(Rc::new(inputs)));
        Lab { kept: Some(kept), ..lab }
    }

    fn of(model: Rc<Model<'m, F>>, parameters: Held<'m, Parameters<F>>, inputs: Held<'m, Inputs<F>>) -> Self {
        let (seed, overhead) = (Seed::new(0), Duration::ZERO);
        Lab { model, parameters, inputs, seed, threads: 1, warm_up: 0, overhead, kept: None }
    }

    /// Sets the seed, 0 by default. The schedules of the model are those of its step.
    pub fn seed(self, seed: Seed) -> Self {
        Lab { seed, ..self }
    }

    /// Sets the number of threads that kernels may use, 1 by default.
    pub fn threads(self, threads: usize) -> Self {
        Lab { threads, ..self }
    }

    /// Sets how many steps a method learns from before it is measured, 0 by default: for methods that keep a state,
    /// such as a running mean or a learned baseline. The parameters of the model are not trained. During the
    /// measurement, the state does not change.
    pub fn warm_up(self, steps: u64) -> Self {
        Lab { warm_up: steps, ..self }
    }

    /// Sets the time of a training step besides its gradient, 0 by default: that of the optimiser and of the data. A
    /// selection by a criterion with a time adds it to the time of each method, since a method that is twice as fast
    /// does not make a step twice as fast.
    pub fn overhead(self, time: Duration) -> Self {
        Lab { overhead: time, ..self }
    }

    /// The seed of a repetition.
    pub(crate) fn repetition(&self, purpose: &str, number: u64) -> Seed {
        self.seed.derived(purpose, number)
    }

    /// Records the model.
    pub(crate) fn record(&self, record: &Record<'_, '_, F>) -> GraphResult<()> {
        (self.model)(record)
    }

    /// A step of the model with other methods.
    pub(crate) fn step(&self, replacements: MethodReplacements<F>) -> Step<'m, F> {
        let model = Rc::clone(&self.model);
        Step::new(move |record: &Record<'_, '_, F>| model(record)).threads(self.threads).replace_methods(replacements)
    }

    /// A step of the model with other noise at some nodes.
    pub(crate) fn step_with_noise(&self, redrawn: RedrawnNoise) -> Step<'m, F> {
        self.step(MethodReplacements::new()).redraw_noise(redrawn)
    }
}

impl<F: Real> std::fmt::Debug for Lab<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lab")
            .field("parameters", &*self.parameters)
            .field("inputs", &*self.inputs)
            .field("seed", &self.seed)
            .field("threads", &self.threads)
            .field("warm_up", &self.warm_up)
            .field("overhead", &self.overhead)
            .finish_non_exhaustive()
    }
}
