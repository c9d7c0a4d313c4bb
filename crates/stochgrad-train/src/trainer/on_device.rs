//! A training run on a device.
//!
//! The parameters, the buffers, the state of the optimiser and that of the gradient methods stay on the device. The host
//! fetches them where it looks at them: for measurements and evaluations, checkpoints, callbacks, and at the end. Data
//! that consists of rows stays there as well, and the steps between two looks are made in one call.

use std::rc::Rc;

use stochgrad_graph::{GraphError, GraphResult, Seed};
use stochgrad_nn::{Inputs, Optimizer, Parameters, Step, StepsMade, TrainingDevice, TrainingPrograms};
use stochgrad_tensor::{Real, Shape, Tensor};

use super::Trainer;
use crate::error::{TrainError, TrainResult};
use crate::source::Source;

impl<'a, F: Real> Trainer<'a, F> {
    /// Makes the training steps on a device, such as one of the crate `stochgrad-xla`. Evaluations run on the host.
    ///
    /// The device keeps the parameters and all state from step to step. It keeps the training data, too, if they consist
    /// of [rows](Source::rows), and then makes the steps of an epoch in one call, as far as the host does not look at the
    /// run in between. It does for measurements and evaluations, for checkpoints, to estimate the variance of gradients,
    /// and after each step if a [callback](Self::on_step) must see it, which costs a transfer of all parameters. A step
    /// that fails on the device is made on the host, which names what is wrong.
    ///
    /// The noise is that of the host, and the results agree with its results up to rounding. The device is no setting
    /// of a checkpoint: a run may resume elsewhere. `None` is the host, as if this had not been called.
    ///
    /// [`fit`](Self::fit) returns an error for what only the host can do: [shards](Self::shards), optimisers that
    /// accumulate gradients or average parameters, models whose host code branches on values, and operations that the
    /// device does not have.
    pub fn device(self, device: impl TrainingDevice<F> + 'a) -> Self {
        Trainer { device: Some(Box::new(device)), ..self }
    }

    /// Starts a training on the device, if there is one, and copies the data to it.
    ///
    /// # Errors
    ///
    /// For shards, and those of the device.
    pub(super) fn start_device(&self, data: &dyn Source<F>) -> TrainResult<Option<OnDevice<F>>> {
        let programs = self.device.as_ref().map_or(Ok(None), |device| device.start())?;
        let Some(mut programs) = programs else { return Ok(None) };
        if self.settings.shards.is_some() || self.communicator.is_some() {
            let (expected, hint) = ("minibatches that are not divided", "leave out the shards, or train on the host");
            return Err(TrainError::argument("`Trainer::device`", expected, "shards or several ranks", hint));
        }
        let rows = data.rows()?;
        rows.iter().try_for_each(|rows| programs.keep(rows))?;
        let rows = rows.and_then(|rows| rows.members());
        Ok(Some(OnDevice { programs, rows, known: Vec::new(), newer: Newer::Host, has_failed: false }))
    }
}

/// A training run on a device.
pub(super) struct OnDevice<F: Real> {
    programs: Box<dyn TrainingPrograms<F>>,
    /// The number of members of the training data, if it is on the device.
    rows: Option<usize>,
    known: Vec<Known<F>>,
    newer: Newer,
    /// Whether it was logged that a step failed.
    has_failed: bool,
}

/// A program on the device.
struct Known<F: Real> {
    number: usize,
    /// The names and shapes of the inputs.
    shapes: Vec<(String, Shape)>,
    costs: Rc<[String]>,
    /// A minibatch with which the model is recorded, if the data is on the device.
    example: Option<Inputs<F>>,
}

/// Who has the values after the last step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Newer {
    Host,
    Device,
    Both,
}

/// What a run has on the host.
pub(super) struct OnHost<'r, 'm, F: Real> {
    pub(super) step: &'r mut Step<'m, F>,
    pub(super) parameters: &'r mut Parameters<F>,
    pub(super) optimizer: &'r mut dyn Optimizer<F>,
}

/// Steps that were made on the device.
pub(super) struct Made<F: Real> {
    names: Rc<[String]>,
    costs: Tensor<F>,
    /// Whether the next step failed, so that the host has to make it.
    pub(super) has_failed: bool,
}

impl<F: Real> Made<F> {
    /// The costs of each step, in the order of recording.
    pub(super) fn steps(&self) -> impl Iterator<Item = impl Iterator<Item = (&str, F)>> {
        let rows = self.costs.as_slice().chunks_exact(self.names.len().max(1));
        rows.map(|row| self.names.iter().map(String::as_str).zip(row.iter().copied()))
    }
}

impl<F: Real> OnDevice<F> {
    /// The number of members of the training data, if it is on the device.
    pub(super) fn rows(&self) -> Option<usize> {
        self.rows
    }

    /// The minibatch with which the model is recorded for minibatches of this number of members.
    pub(super) fn example(&self, members: usize) -> Option<Inputs<F>> {
        let mut examples = self.known.iter().filter_map(|known| known.example.as_ref());
        examples.find(|example| example.members() == Some(members)).cloned()
    }

    /// Fetches the values after the last step, if the host does not have them.
    ///
    /// # Errors
    ///
    /// Those of the device.
    pub(super) fn fetch(&mut self, host: OnHost<'_, '_, F>) -> TrainResult<()> {
        if self.newer == Newer::Device {
            let state = self.programs.store(host.parameters)?;
            host.optimizer.load_state(&state)?;
            self.newer = Newer::Both;
        }
        Ok(())
    }

    /// States that the host has changed the values.
    pub(super) fn host_is_newer(&mut self) {
        self.newer = Newer::Host;
    }

    /// Makes a step with a minibatch.
    ///
    /// # Errors
    ///
    /// Those of [`Step::training_program`] and of the device.
    pub(super) fn step(&mut self, host: OnHost<'_, '_, F>, inputs: &Inputs<F>, seed: Seed) -> GraphResult<Made<F>> {
        let known = self.prepare(host, inputs, seed, 0)?;
        let made = self.programs.step(self.known[known].number, inputs, seed)?;
        self.made(known, made, 1, seed)
    }

    /// Makes a step for each batch of rows. The example is a minibatch of their size, and `longest` is the largest
    /// number of steps that are made at once.
    ///
    /// # Errors
    ///
    /// Those of [`Step::training_program`] and of the device.
    pub(super) fn run_steps(
        &mut self,
        host: OnHost<'_, '_, F>,
        (example, longest): (&Inputs<F>, usize),
        batches: &[Vec<usize>],
        seed: Seed,
    ) -> GraphResult<Made<F>> {
        let known = self.prepare(host, example, seed, longest)?;
        self.known[known].example.get_or_insert_with(|| example.clone());
        let made = self.programs.run_steps(self.known[known].number, batches, seed)?;
        self.made(known, made, batches.len(), seed)
    }

    /// The position of the program for inputs of these shapes, which is compiled if there is none. The device has all
    /// values afterwards.
    fn prepare(
        &mut self,
        host: OnHost<'_, '_, F>,
        inputs: &Inputs<F>,
        seed: Seed,
        longest: usize,
    ) -> GraphResult<usize> {
        let graph = host.step.training_program(host.parameters, inputs, seed)?;
        let fits = |known: &Known<F>| {
            let shapes = known.shapes.iter().map(|(name, shape)| (name.as_str(), shape));
            shapes.eq(inputs.iter().map(|(name, value)| (name, value.shape())))
        };
        let known = match self.known.iter().position(fits) {
            Some(known) => known,
            None => {
                let number = self.programs.compile(graph, host.optimizer, longest)?;
                let shapes = inputs.iter().map(|(name, value)| (name.to_owned(), value.shape().clone())).collect();
                let costs = graph.gradients().costs().iter().map(|(name, _)| name.clone()).collect();
                self.known.push(Known { number, shapes, costs, example: None });
                self.known.len() - 1
            }
        };
        if self.newer == Newer::Host {
            self.programs.load(self.known[known].number, host.parameters, &host.optimizer.state())?;
            self.newer = Newer::Both;
        }
        Ok(known)
    }

    fn made(&mut self, known: usize, made: StepsMade<F>, asked: usize, seed: Seed) -> GraphResult<Made<F>> {
        let StepsMade { costs, failure } = made;
        let (names, count) = (self.known[known].costs.clone(), costs.shape().first().copied().unwrap_or(0));
        if costs.shape()[..] != [count, names.len()] || (count < asked && failure.is_none()) {
            let problem = format!(
                "expected the costs of {asked} steps from the device, of shape [{asked}, {}], got shape {}; report \
                 this to its author",
                names.len(),
                costs.shape()
            );
            return Err(GraphError::model(problem));
        }
        if count > 0 {
            self.newer = Newer::Device;
        }
        if let Some(reason) = &failure
            && !std::mem::replace(&mut self.has_failed, true)
        {
            log::warn!(
                "step {} is made on the host, since it failed on the device: {reason}",
                seed.step + count as u64
            );
        }
        Ok(Made { names, costs, has_failed: failure.is_some() })
    }
}
