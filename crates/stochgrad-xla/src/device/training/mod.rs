//! Training steps on devices.

mod several;
mod state;

use crate::device::costs::DeviceCosts;
use crate::device::graph::{upload_input, upload_schedules, upload_slot};
use crate::device::interface::{Failures, InputKind, Interface, Output};
use crate::device::operands::{seed_words, words_of};
use crate::device::recording::no_value;
use crate::device::spread::{Spread, run};
use crate::device::steps::{Kept, Steps};
use crate::device::training::several::Several;
use crate::device::training_options::{Resident, TrainingOptions};
use crate::device::{Device, DeviceReal, DeviceTensor, mismatch};
use crate::error::{XlaError, XlaResult};
use crate::pjrt::Executable;
use std::collections::BTreeMap;
use std::sync::Arc;
use stochgrad_graph::{CompiledGraph, Seed};
use stochgrad_nn::Optimizer;
use stochgrad_nn::optimizers::{OptimizerState, UpdatedParameter};
use stochgrad_tensor::{Shape, Tensor};

/// Training steps of a compiled graph on a device. Made by [`Device::compile_training`].
///
/// The parameters, the state of the optimiser, running statistics, and the state of the gradient methods stay on the
/// device from step to step, and are updated in place. The host sends a seed and a batch with each [`step`](Self::step),
/// and reads the costs. With [resident data](TrainingOptions::resident), [`run_steps`](Self::run_steps) makes many
/// steps in one call, for which the host sends the numbers of the rows of all batches.
///
/// A step on which a check fails changes nothing.
///
/// ```no_run
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Adam, Optimizer, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
/// use stochgrad_xla::{Device, TrainingOptions};
///
/// let mut parameters = Parameters::new();
/// parameters.insert("w", [0.0_f32, 0.0].into())?;
/// let tape = Tape::<f32>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let w = parameters.on(&graph).param("w")?;
/// let x = graph.data("points", Tensor::from([[1.0, 0.0], [0.0, 1.0]]))?;
/// graph.cost("loss", ((x * w).sum() - 1.0).square())?;
/// let compiled = graph.compile()?;
///
/// let points = Tensor::from([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 2.0]]);
/// let mut adam = Adam::new(0.1);
/// let device = Device::load("pjrt_c_api_cpu_plugin.so")?;
/// let options = TrainingOptions::new().resident("points", &points).steps(100);
/// let mut training = device.compile_training(&compiled, &adam, &options)?;
/// training.load(&parameters, &adam.state())?;
/// let costs = training.run_steps(Seed::new(7), &[[0, 1], [2, 3]])?;
/// assert_eq!(costs.shape()[..], [2, 1]);
/// adam.load_state(&training.store(&mut parameters)?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DeviceTraining<F: DeviceReal> {
    device: Device,
    single: Single,
    several: Option<Several>,
    interface: Interface,
    failures: Failures,
    updated: Vec<UpdatedParameter>,
    kept: Vec<Kept>,
    /// The values that are kept, in the same order.
    state: Vec<Option<Spread>>,
    /// The numbers of the other inputs, and their values.
    given: Vec<usize>,
    inputs: Vec<Option<Arc<Spread>>>,
    costs: DeviceCosts<F>,
    /// The number of updates so far.
    updates: u64,
    /// The kind of the optimiser, and its counters.
    optimizer: (String, BTreeMap<String, u64>),
}

/// A single step. Beside a loop, it is compiled when it is first made.
enum Single {
    Text(String),
    Program(Executable),
}

impl<F: DeviceReal> DeviceTraining<F> {
    pub(super) fn new(
        device: &Device,
        graph: &CompiledGraph<F>,
        optimizer: &dyn Optimizer<F>,
        options: &TrainingOptions<'_, F>,
    ) -> XlaResult<Self> {
        let interface = Interface::new(graph, device.numbers.len())?;
        let parameters: Vec<(&str, Shape)> = interface
            .inputs
            .iter()
            .filter(|input| input.kind == InputKind::Parameter)
            .map(|input| (input.name.as_str(), input.shape.clone()))
            .collect();
        let update = optimizer.compile_step(&parameters)?;
        let mut kept = Vec::new();
        for (number, updated) in update.updated.iter().enumerate() {
            kept.push(Kept::Parameter(updated.parameter));
            kept.extend((0..updated.slots.len()).map(|slot| Kept::OptimizerSlot(number, slot)));
        }
        kept.extend(interface.outputs.iter().filter_map(|output| match output {
            Output::NextValue(input) => Some(Kept::Data(*input)),
            _ => None,
        }));
        kept.extend((0..interface.slots.len()).map(Kept::MethodSlot));
        let is_kept = |input: usize| kept.contains(&Kept::Parameter(input)) || kept.contains(&Kept::Data(input));
        let given: Vec<usize> = (0..interface.given()).filter(|&input| !is_kept(input)).collect();
        let steps = Steps {
            interface: &interface,
            graph,
            update: &update,
            precision: device.precision,
            devices: device.numbers.len(),
            kept: &kept,
            given: &given,
        };
        let (text, checks) = steps.single()?;
        let failures = Failures::new(&interface, &graph.listing().program, &checks);
        let single = match options.steps {
            0 => Single::Program(device.client.compile(&text, &device.numbers)?),
            _ => Single::Text(text),
        };
        let rows = steps.batch_rows(options)?;
        let several = (options.steps > 0)
            .then(|| -> XlaResult<Several> {
                let text = steps.several(options, rows, checks.len())?;
                let is_resident =
                    |input: usize| options.resident.iter().any(|(name, _)| *name == interface.inputs[input].name);
                Ok(Several {
                    program: device.client.compile(&text, &device.numbers)?,
                    steps: options.steps,
                    rows,
                    sharded: options.resident.iter().any(|(name, _)| {
                        interface.inputs.iter().any(|input| input.name == *name && input.sharded == Some(0))
                    }),
                    limit: options.resident.iter().map(|(_, data)| data.shape()[0]).min().unwrap_or(0),
                    data: options
                        .resident
                        .iter()
                        .map(|(_, data)| match data {
                            Resident::Host(data) => Ok(Arc::new(device.replicated(data.as_slice(), data.shape())?)),
                            Resident::Device(data) => Ok(data.spread().clone()),
                        })
                        .collect::<XlaResult<_>>()?,
                    others: (0..given.len()).filter(|&number| !is_resident(given[number])).collect(),
                })
            })
            .transpose()?;
        let mut state = Vec::new();
        for &kept in &kept {
            state.push(match kept {
                Kept::OptimizerSlot(..) => {
                    let shape = steps.shape_of(kept);
                    Some(device.replicated(&vec![F::ZERO; shape.numel()], &shape)?)
                }
                Kept::MethodSlot(slot) => Some(upload_slot::<F>(device, &interface.slots[slot])?),
                Kept::Parameter(_) | Kept::Data(_) => None,
            });
        }
        let OptimizerState { kind, counters, .. } = optimizer.state();
        Ok(DeviceTraining {
            device: device.clone(),
            single,
            several,
            failures,
            updated: update.updated,
            inputs: given.iter().map(|_| None).collect(),
            given,
            kept,
            state,
            costs: DeviceCosts::new(interface.costs.clone()),
            updates: 0,
            optimizer: (kind, counters),
            interface,
        })
    }

    /// The names of the costs, in the order of the columns of [`run_steps`](Self::run_steps).
    pub fn cost_names(&self) -> &[String] {
        &self.interface.costs
    }

    /// The costs of the last [`step`](Self::step).
    pub fn costs(&self) -> &DeviceCosts<F> {
        &self.costs
    }

    /// The number of updates of the parameters so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Copies the value of a parameter, or of data, to the device. Data stay there for all further steps; parameters
    /// and running statistics change with each step.
    ///
    /// # Errors
    /// For an unknown name, for a shape other than the recorded one, and if the memory is exhausted.
    pub fn set(&mut self, name: &str, value: &Tensor<F>) -> XlaResult<()> {
        let input = self.interface.input_of_shape(name, value.shape(), self.device.numbers.len())?;
        let spread = upload_input(&self.device, &self.interface.inputs[input], value)?;
        match (self.place(input), self.given.iter().position(|given| *given == input)) {
            (Some(place), _) => self.state[place] = Some(spread),
            (None, Some(place)) => self.inputs[place] = Some(Arc::new(spread)),
            (None, None) => {}
        }
        Ok(())
    }

    /// As [`set`](Self::set), with data that are already on the device: for batches that several steps use.
    ///
    /// # Errors
    /// For an unknown name, for a shape other than the recorded one, for parameters and running statistics, which the
    /// steps change, and for an input of which each device has a shard.
    pub fn share(&mut self, name: &str, value: &DeviceTensor<F>) -> XlaResult<()> {
        let input = self.interface.shared_input(name, value.shape(), self.device.numbers.len())?;
        let Some(place) = self.given.iter().position(|given| *given == input) else {
            let expected = "data that the steps do not change";
            return Err(mismatch(&format!("the input \"{name}\""), expected, "values that they change", "use `set`"));
        };
        self.inputs[place] = Some(value.spread().clone());
        Ok(())
    }

    /// Copies the present value of a parameter, or of a running statistic, from the device.
    ///
    /// # Errors
    /// For an unknown name, and if the value was never set.
    pub fn get(&self, name: &str) -> XlaResult<Tensor<F>> {
        let input = self.interface.input(name)?;
        let given = || self.inputs[self.given.iter().position(|given| *given == input)?].as_deref();
        let buffer = match self.place(input) {
            Some(place) => self.state[place].as_ref(),
            None => given(),
        };
        buffer.ok_or_else(|| no_value("the input", name, "call `set` first"))?.tensor()
    }

    /// The position of an input among the values that are kept.
    fn place(&self, input: usize) -> Option<usize> {
        self.kept.iter().position(|kept| matches!(kept, Kept::Parameter(i) | Kept::Data(i) if *i == input))
    }

    /// Makes one training step with the inputs that were set, and with the noise of a seed and step. Returns the costs
    /// before the update.
    ///
    /// # Errors
    /// If an input was never set, if a parameter of a distribution is outside its domain, or if a gradient or the
    /// estimate of a cost is NaN or infinite. Nothing changes in these cases.
    pub fn step(&mut self, seed: Seed) -> XlaResult<&DeviceCosts<F>> {
        match self.try_step(seed)? {
            None => Ok(&self.costs),
            Some(failure) => Err(failure),
        }
    }

    /// As [`step`](Self::step). Returns why the step was not made, if a check failed.
    pub(super) fn try_step(&mut self, seed: Seed) -> XlaResult<Option<XlaError>> {
        if let Single::Text(text) = &self.single {
            self.single = Single::Program(self.device.client.compile(text, &self.device.numbers)?);
        }
        let Single::Program(program) = &self.single else {
            return Err(mismatch("a program", "a single step", "none", "report this error"));
        };
        let schedules = upload_schedules::<F>(&self.device, &self.interface, seed.step)?;
        let ([a, b, c, d], [e, f]) = (seed_words(seed), words_of(self.updates));
        let control = self.device.control(&[a, b, c, d, e, f])?;
        let given = 0..self.given.len();
        let arguments = self.arguments(given, schedules.iter().chain([&control]))?;
        let results = run(program, self.device.numbers.len(), &arguments)?;
        let (report, checks) = self.keep(results)?;
        let report: Vec<F> = report.read()?;
        let (holds, costs) = report.split_last().map_or((F::ZERO, &report[..]), |(holds, costs)| (*holds, costs));
        if holds == F::ZERO {
            return Ok(Some(self.failure(seed.step, checks)));
        }
        self.costs.values.copy_from_slice(costs);
        self.updates += 1;
        Ok(None)
    }

    /// Whether an input with this name is set by the caller before a step.
    pub(super) fn needs(&self, name: &str) -> bool {
        self.given.iter().any(|&input| self.interface.inputs[input].name == name)
    }

    /// The arguments of a program: what is kept, some of the given inputs, and others.
    fn arguments<'a>(
        &'a self,
        given: impl Iterator<Item = usize>,
        others: impl Iterator<Item = &'a Spread>,
    ) -> XlaResult<Vec<&'a Spread>> {
        let mut arguments = Vec::with_capacity(self.kept.len() + self.given.len() + 4);
        for (kept, buffer) in self.kept.iter().zip(&self.state) {
            let name = || match *kept {
                Kept::Parameter(input) | Kept::Data(input) => self.interface.inputs[input].name.as_str(),
                Kept::OptimizerSlot(..) | Kept::MethodSlot(_) => "slot",
            };
            let missing = || no_value("the parameter", name(), "call `load` or `set` before the first step");
            arguments.push(buffer.as_ref().ok_or_else(missing)?);
        }
        for number in given {
            let name = &self.interface.inputs[self.given[number]].name;
            let missing = || no_value("the input", name, "call `set` before the first step");
            arguments.push(self.inputs[number].as_deref().ok_or_else(missing)?);
        }
        arguments.extend(others);
        Ok(arguments)
    }

    /// Keeps the first results. Returns the report, and the truth values of checks.
    fn keep(&mut self, results: Vec<Spread>) -> XlaResult<(Spread, Option<Spread>)> {
        let mut results = results.into_iter();
        for (place, result) in self.state.iter_mut().zip(&mut results) {
            *place = Some(result);
        }
        let report = results.next().ok_or_else(|| mismatch("a program", "a report", "none", "report this error"))?;
        Ok((report, results.next()))
    }

    fn failure(&self, step: u64, checks: Option<Spread>) -> XlaError {
        match checks.map_or_else(|| Ok(Vec::new()), |checks| checks.read::<u8>()) {
            Ok(holds) => self.failures.error(step, &holds),
            Err(error) => error,
        }
    }
}

impl<F: DeviceReal> std::fmt::Debug for DeviceTraining<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceTraining")
            .field("device", &self.device)
            .field("updates", &self.updates)
            .field("costs", &self.costs)
            .finish_non_exhaustive()
    }
}
