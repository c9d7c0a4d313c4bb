//! Compiled graphs without gradients.

use crate::address::Seed;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::program_inputs::ProgramInputs;
use crate::validation::Validation;
use stochgrad_tape::{NoiseSeed, Program, Shards, Var};
use stochgrad_tensor::{Real, Tensor};

/// Some values of a graph, ready to be computed again with other parameters, other data and other noise. Made by
/// [`Graph::compile_forward`].
///
/// Use it for evaluation and prediction, where no gradients are needed. Operations on which none of the values depends
/// are not run.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let w = graph.param("w", [1.0, 2.0])?;
/// let x = graph.data("points", [[1.0, 0.0], [0.0, 1.0]])?;
/// let y = (x * w).sum();
/// graph.cost("loss", y.square())?;
///
/// let mut forward = graph.compile_forward(&[y])?;
/// forward.set("w", &Tensor::from([3.0, 4.0]))?;
/// forward.set("points", &Tensor::from([[1.0, 1.0], [0.0, 2.0]]))?;
/// forward.run(Seed::new(7))?;
/// assert_eq!(forward.value(0)?.as_slice(), &[7.0, 8.0]);
/// # Ok(())
/// # }
/// ```
pub struct CompiledForward<F: Real> {
    program: Program<F>,
    inputs: ProgramInputs<F>,
    validation: Validation,
}

impl<F: Real> Graph<'_, F> {
    /// Compiles the recording of some values, so that they can be computed again without gradients; see
    /// [`CompiledForward`].
    ///
    /// # Errors
    /// For earlier errors on the tape, and if the values depend on what host code computed from inputs or noise.
    pub fn compile_forward(&self, values: &[Var<'_, F>]) -> GraphResult<CompiledForward<F>> {
        let state = self.state();
        #[cfg(feature = "tracing")]
        let _span = tracing::debug_span!("compile", nodes = state.nodes.len()).entered();
        let (inputs, leaves) = ProgramInputs::new(&state)?;
        let program = self.tape().compile(&leaves, values).map_err(|error| state.unrepeatable(error))?;
        Ok(CompiledForward { program, inputs, validation: Validation::new(&state.nodes) })
    }
}

impl<F: Real> CompiledForward<F> {
    /// The names of the inputs that are set before each run: the parameters, then the data.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.inputs.names.iter().map(String::as_str)
    }

    /// Sets the value of a parameter, or of data, for the next run. The buffer is shared until then.
    ///
    /// # Errors
    /// For an unknown name, and for a shape other than the recorded one.
    #[track_caller]
    pub fn set(&mut self, name: &str, value: &Tensor<F>) -> GraphResult<()> {
        self.inputs.set(&mut self.program, name, value)
    }

    /// Runs with the inputs that were set, and with the noise of a seed and step. Inputs are released after each run.
    ///
    /// # Errors
    /// If an input was not set, if an operation fails on these values, or if a parameter of a distribution is outside
    /// its domain.
    #[track_caller]
    pub fn run(&mut self, seed: Seed) -> GraphResult<()> {
        #[cfg(feature = "tracing")]
        let _span = tracing::debug_span!("run", step = seed.step).entered();
        self.inputs.set_schedules(&mut self.program, seed.step)?;
        let result = self.program.run(NoiseSeed { seed: seed.seed, step: seed.step });
        result.map_err(|error| GraphError::Step { step: seed.step, source: Box::new(self.validation.error(error)) })
    }

    /// Runs the compiled graphs of the shards that this rank holds, as
    /// [`CompiledGraph::run_shards`](crate::CompiledGraph::run_shards) does. A value on the plate is that of the members
    /// of the shard.
    ///
    /// # Errors
    /// Those of [`run`](Self::run), on all ranks if one of them fails, and those of
    /// [`Shards::run`](stochgrad_tape::Shards::run).
    #[track_caller]
    pub fn run_shards(graphs: &mut [&mut Self], shards: &mut Shards<F>, seed: Seed) -> GraphResult<()> {
        #[cfg(feature = "tracing")]
        let _span = tracing::debug_span!("run", step = seed.step, shards = graphs.len()).entered();
        for graph in graphs.iter_mut() {
            graph.inputs.set_schedules(&mut graph.program, seed.step)?;
        }
        let run = shards.run(graphs, |graph| &mut graph.program, NoiseSeed { seed: seed.seed, step: seed.step });
        let Some(first) = graphs.first() else { return Ok(run?) };
        run.map_err(|error| GraphError::Step { step: seed.step, source: Box::new(first.validation.error(error)) })
    }

    /// Sets whether the parameters of distributions are checked in each run; see
    /// [`CompiledGraph::set_validation`](crate::CompiledGraph::set_validation).
    pub fn set_validation(&mut self, validate: bool) {
        self.program.set_checks(validate);
    }

    /// A value of the last run, by its position in the list that was compiled.
    ///
    /// # Errors
    /// If there is no such value.
    #[track_caller]
    pub fn value(&self, index: usize) -> GraphResult<&Tensor<F>> {
        Ok(self.program.output(index)?)
    }

    /// The compiled program.
    pub fn program(&self) -> &Program<F> {
        &self.program
    }
}

impl<F: Real> std::fmt::Debug for CompiledForward<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledForward").field("inputs", &self.inputs.names).finish_non_exhaustive()
    }
}
