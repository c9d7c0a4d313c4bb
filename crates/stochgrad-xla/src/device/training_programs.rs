//! A device as the place of a training run.

use crate::device::{Device, DeviceReal, DeviceTensor, DeviceTraining, TrainingOptions, mismatch};
use crate::error::{XlaError, XlaResult};
use stochgrad_graph::{CompiledGraph, GraphError, GraphResult, Seed};
use stochgrad_nn::optimizers::OptimizerState;
use stochgrad_nn::{Inputs, Optimizer, Parameters, StepsMade, TrainingDevice, TrainingPrograms};
use stochgrad_tensor::Tensor;

impl<F: DeviceReal> TrainingDevice<F> for Device {
    fn start(&self) -> GraphResult<Option<Box<dyn TrainingPrograms<F>>>> {
        if self.numbers.len() > 1 {
            let (expected, got) = ("a single device", format!("a group of {}", self.numbers.len()));
            return Err(
                mismatch("the device of a training run", expected, &got, "give Device::load or one number").into()
            );
        }
        Ok(Some(Box::new(Programs { device: self.clone(), programs: Vec::new(), present: None, data: Vec::new() })))
    }
}

/// The programs of a training run.
struct Programs<F: DeviceReal> {
    device: Device,
    programs: Vec<DeviceTraining<F>>,
    /// The program that has the values, once they were loaded.
    present: Option<usize>,
    /// The data set, by input.
    data: Vec<(String, DeviceTensor<F>)>,
}

impl<F: DeviceReal> Programs<F> {
    /// The program of a number, with the present values.
    fn program(&mut self, number: usize) -> XlaResult<&mut DeviceTraining<F>> {
        if let Some(present) = self.present.replace(number).filter(|&present| present != number) {
            let (first, second) = self.programs.split_at_mut(present.max(number));
            let (low, high) = (&mut first[present.min(number)], &mut second[0]);
            if present < number { high.continue_from(low) } else { low.continue_from(high) }
        }
        Ok(&mut self.programs[number])
    }
}

impl<F: DeviceReal> TrainingPrograms<F> for Programs<F> {
    fn keep(&mut self, data: &Inputs<F>) -> GraphResult<()> {
        self.data.clear();
        for (name, value) in data.iter() {
            self.data.push((name.into(), self.device.upload(value)?));
        }
        Ok(())
    }

    fn compile(&mut self, graph: &CompiledGraph<F>, optimizer: &dyn Optimizer<F>, steps: usize) -> GraphResult<usize> {
        let mut options = TrainingOptions::new().steps(steps);
        for (name, value) in self.data.iter().filter(|(name, _)| steps > 0 && graph.has_input(name)) {
            options = options.share_resident(name, value);
        }
        self.programs.push(self.device.compile_training(graph, optimizer, &options)?);
        Ok(self.programs.len() - 1)
    }

    fn load(&mut self, program: usize, parameters: &Parameters<F>, optimizer: &OptimizerState<F>) -> GraphResult<()> {
        self.present = Some(program);
        Ok(self.programs[program].load(parameters, optimizer)?)
    }

    fn store(&self, parameters: &mut Parameters<F>) -> GraphResult<OptimizerState<F>> {
        let Some(present) = self.present else {
            return Err(mismatch("a training run", "values on the device", "none", "load them first").into());
        };
        Ok(self.programs[present].store(parameters)?)
    }

    fn step(&mut self, program: usize, inputs: &Inputs<F>, seed: Seed) -> GraphResult<StepsMade<F>> {
        let training = self.program(program)?;
        for (name, value) in inputs.iter() {
            if training.needs(name) {
                training.set(name, value)?;
            }
        }
        let failure = training.try_step(seed)?.map(GraphError::from);
        let costs: Vec<F> = match failure {
            None => training.costs().iter().map(|(_, cost)| cost).collect(),
            Some(_) => Vec::new(),
        };
        let shape = [usize::from(failure.is_none()), training.cost_names().len()];
        Ok(StepsMade { costs: Tensor::new(costs, shape)?, failure })
    }

    fn run_steps(&mut self, program: usize, batches: &[Vec<usize>], seed: Seed) -> GraphResult<StepsMade<F>> {
        let (costs, failure) = self.program(program)?.try_steps(seed, batches)?;
        Ok(StepsMade { costs, failure: failure.map(GraphError::from) })
    }
}

/// An error of the device, in a function that records or runs graphs.
impl From<XlaError> for GraphError {
    fn from(error: XlaError) -> Self {
        match error {
            XlaError::Graph(error) => error,
            error => GraphError::model(error),
        }
    }
}
