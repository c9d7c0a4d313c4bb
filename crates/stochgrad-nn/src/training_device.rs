//! Where training steps run, if not in the engine of this library.

use stochgrad_graph::{CompiledGraph, GraphError, GraphResult, Seed};
use stochgrad_tensor::{Real, Tensor};

use crate::inputs::Inputs;
use crate::optimizers::{Optimizer, OptimizerState};
use crate::parameters::Parameters;

/// A device that makes training steps, such as an accelerator. The crate `stochgrad-xla` implements it for the devices
/// of PJRT plugins, and a trainer takes it.
///
/// An `Option` is a device as well: `None` stands for the host, with the engine of this library.
pub trait TrainingDevice<F: Real> {
    /// Starts a training on this device; `None` if it runs on the host.
    ///
    /// # Errors
    ///
    /// If the device cannot be used.
    fn start(&self) -> GraphResult<Option<Box<dyn TrainingPrograms<F>>>>;
}

impl<F: Real, D: TrainingDevice<F>> TrainingDevice<F> for Option<D> {
    fn start(&self) -> GraphResult<Option<Box<dyn TrainingPrograms<F>>>> {
        self.as_ref().map_or(Ok(None), D::start)
    }
}

/// The programs of the training steps of one model on a device, and the values that stay there from step to step: the
/// parameters and buffers, the state of the optimiser and that of the gradient methods.
///
/// All programs share these values. Each one was [compiled](Self::compile) from a
/// [recording](crate::Step::training_program) of the model for inputs of some shapes, and has a number.
pub trait TrainingPrograms<F: Real> {
    /// Copies a data set to the device, of which the steps of [`run_steps`](Self::run_steps) use rows. Call it before
    /// programs are compiled.
    ///
    /// # Errors
    ///
    /// If the memory is exhausted.
    fn keep(&mut self, data: &Inputs<F>) -> GraphResult<()>;

    /// Compiles training steps: the gradients, and the updates by an optimiser. With a number of `steps` other than 0, a
    /// loop of up to this number is compiled for [`run_steps`](Self::run_steps). Returns the number of the program.
    ///
    /// # Errors
    ///
    /// For an operation that the device does not have, an optimiser whose step
    /// [cannot be compiled](Optimizer::compile_step), and if the memory is exhausted.
    fn compile(&mut self, graph: &CompiledGraph<F>, optimizer: &dyn Optimizer<F>, steps: usize) -> GraphResult<usize>;

    /// Copies parameters, buffers, the state of the optimiser and that of the gradient methods to the device, where
    /// this program goes on from them.
    ///
    /// # Errors
    ///
    /// If one of them is missing or does not fit, and if the memory is exhausted.
    fn load(&mut self, program: usize, parameters: &Parameters<F>, optimizer: &OptimizerState<F>) -> GraphResult<()>;

    /// Copies parameters, buffers and the state of the gradient methods from the device, and returns the state of the
    /// optimiser. They stay on the device as well.
    ///
    /// # Errors
    ///
    /// If nothing was [loaded](Self::load), and those of the device.
    fn store(&self, parameters: &mut Parameters<F>) -> GraphResult<OptimizerState<F>>;

    /// Makes a step with these inputs, and with the noise of a seed and step.
    ///
    /// # Errors
    ///
    /// If an input is missing or does not fit, and those of the device.
    fn step(&mut self, program: usize, inputs: &Inputs<F>, seed: Seed) -> GraphResult<StepsMade<F>>;

    /// Makes a step for each batch, with these rows of the [data set](Self::keep): step `i` has the noise of step
    /// `seed.step + i`.
    ///
    /// # Errors
    ///
    /// If there are more batches than the steps of the loop, for rows that do not exist, and those of the device.
    fn run_steps(&mut self, program: usize, batches: &[Vec<usize>], seed: Seed) -> GraphResult<StepsMade<F>>;
}

/// What some steps on a device have computed.
#[derive(Clone, Debug)]
pub struct StepsMade<F: Real> {
    /// The costs before the update of each step that was made: a row for each of them, with the costs in the order of
    /// recording.
    pub costs: Tensor<F>,
    /// Why the next step was not made, if it was to be made: a gradient is not finite, for example. It has changed
    /// nothing.
    pub failure: Option<GraphError>,
}
