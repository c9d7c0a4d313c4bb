//! The programs of a step: one for each purpose and for each set of input shapes.

use smallvec::SmallVec;
use stochgrad_graph::{CompiledForward, CompiledGraph, Graph, GraphError, GraphResult, NodeMethod, Seed};
use stochgrad_tape::{Shards, Var};
use stochgrad_tensor::layout::concat;
use stochgrad_tensor::{Pool, Real, Tensor};

use crate::inputs::{Inputs, Signature};
use crate::mode::Mode;
use crate::parameters::Parameters;
use crate::step::shards::Slice;
use crate::step::watch::Watch;

/// A model that was recorded for a purpose, with inputs of some shapes.
#[derive(Debug)]
pub(super) struct Prepared<F: Real> {
    mode: Mode,
    signature: Signature,
    /// Of each parameter, whether it was frozen.
    frozen: Vec<bool>,
    pub(super) watch: Watch<F>,
    /// One for each shard of this rank, and only one if minibatches are not divided. None if host code takes part in the
    /// recording, so that every step is recorded.
    pub(super) programs: Vec<Compiled<F>>,
    /// The members and the inputs of each shard of this rank; none if minibatches are not divided.
    parts: Vec<(Slice, Inputs<F>)>,
    /// The number of the call that used it last.
    pub(super) last_use: u64,
    /// The gradient methods of its nodes.
    pub(super) methods: Vec<NodeMethod>,
}

/// A compiled recording.
#[derive(Debug)]
pub(super) enum Compiled<F: Real> {
    /// Costs and gradients.
    Gradients {
        graph: Box<CompiledGraph<F>>,
        /// The names of its inputs.
        inputs: Vec<String>,
    },
    /// Some named values.
    Values {
        graph: Box<CompiledForward<F>>,
        /// The names of its inputs.
        inputs: Vec<String>,
        /// The names of the values.
        names: Vec<String>,
        /// The axis of the shards of each value that lies on the plate of the minibatch.
        axes: Vec<Option<usize>>,
    },
}

impl<F: Real> Prepared<F> {
    /// Compiles a recording. Returns the reason, too, if it cannot be compiled.
    ///
    /// # Errors
    ///
    /// Those of the graph, and for a parameter or data of which a step does not know the value.
    pub(super) fn new(
        graph: &Graph<'_, F>,
        mode: Mode,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
    ) -> GraphResult<(Self, Option<GraphError>)> {
        let watch = Watch::new(graph);
        let (program, reason) = match Compiled::new(graph, mode) {
            Ok(program) => (Some(program), None),
            Err(error) if error.is_host_code() => (None, Some(error)),
            Err(error) => return Err(error),
        };
        if let Some(program) = &program {
            for name in program.inputs() {
                value(name, parameters, inputs)?;
            }
        }
        let (signature, frozen) = (inputs.signature(), parameters.frozen().collect());
        let (programs, methods) = (program.into_iter().collect(), graph.methods());
        Ok((Self { mode, signature, frozen, watch, programs, parts: Vec::new(), last_use: 0, methods }, reason))
    }

    /// The program of a shard as that of the first shard of these inputs.
    pub(super) fn for_inputs(self, inputs: &Inputs<F>, slice: Slice, part: Inputs<F>) -> Self {
        Self { signature: inputs.signature(), parts: vec![(slice, part)], ..self }
    }

    /// The inputs that the watched recording was made with, if minibatches are divided.
    pub(super) fn recorded_inputs(&self) -> Option<&Inputs<F>> {
        self.parts.first().map(|(_, part)| part)
    }

    /// Adds the program of another shard.
    pub(super) fn add(&mut self, other: Self, slice: Slice, part: Inputs<F>) {
        self.programs.extend(other.programs);
        self.parts.push((slice, part));
    }

    /// Runs the programs of all shards.
    ///
    /// # Errors
    ///
    /// Those of the programs.
    pub(super) fn run_shards(
        &mut self,
        shards: &mut Shards<F>,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> GraphResult<()> {
        for (program, (slice, part)) in self.programs.iter_mut().zip(&mut self.parts) {
            slice.copy(inputs, part);
            program.set(parameters, part)?;
        }
        let mut gradients: SmallVec<[&mut CompiledGraph<F>; 8]> = SmallVec::new();
        let mut values: SmallVec<[&mut CompiledForward<F>; 8]> = SmallVec::new();
        for program in &mut self.programs {
            match program {
                Compiled::Gradients { graph, .. } => gradients.push(graph),
                Compiled::Values { graph, .. } => values.push(graph),
            }
        }
        if gradients.is_empty() {
            CompiledForward::run_shards(&mut values, shards, seed)
        } else {
            CompiledGraph::run_shards(&mut gradients, shards, seed)
        }
    }

    /// The values of the last run, by name; none for programs of gradients. Those on the plate of a divided minibatch
    /// have the members of all shards of this rank.
    ///
    /// # Errors
    ///
    /// Those of the programs.
    pub(super) fn values(&self) -> GraphResult<Vec<(String, Tensor<F>)>> {
        let Some(Compiled::Values { graph, names, axes, .. }) = self.programs.first() else { return Ok(Vec::new()) };
        let value = |(index, (name, axis)): (usize, (&String, &Option<usize>))| {
            let value = match axis {
                None => graph.value(index)?.clone(),
                Some(axis) => {
                    let parts = self.programs.iter().filter_map(|program| match program {
                        Compiled::Values { graph, .. } => Some(graph.value(index)),
                        Compiled::Gradients { .. } => None,
                    });
                    concat(&Pool::new(), &parts.collect::<GraphResult<Vec<_>>>()?, *axis)
                }
            };
            Ok((name.clone(), value))
        };
        names.iter().zip(axes).enumerate().map(value).collect()
    }

    /// Whether this has gradients.
    pub(super) fn is_for_training(&self) -> bool {
        self.mode == Mode::Train
    }

    /// Whether this was made for such a step.
    pub(super) fn fits(&self, mode: Mode, parameters: &Parameters<F>, inputs: &Inputs<F>) -> bool {
        self.mode == mode && self.signature.fits(inputs) && parameters.frozen().eq(self.frozen.iter().copied())
    }
}

impl<F: Real> Compiled<F> {
    fn new(graph: &Graph<'_, F>, mode: Mode) -> GraphResult<Self> {
        let values = match mode {
            Mode::Train => {
                let graph = Box::new(graph.compile()?);
                let inputs = graph.inputs().map(String::from).collect();
                return Ok(Self::Gradients { graph, inputs });
            }
            Mode::Evaluate => graph.estimates()?,
            Mode::Predict => graph.outputs(),
        };
        let (names, values): (Vec<String>, Vec<_>) = values.into_iter().unzip();
        let axis = |value: &Var<'_, F>| value.plates().iter().position(|&plate| value.tape().is_shard(plate));
        let axes = values.iter().map(axis).collect();
        let graph = Box::new(graph.compile_forward(&values)?);
        let inputs = graph.inputs().map(String::from).collect();
        Ok(Self::Values { graph, inputs, names, axes })
    }

    fn inputs(&self) -> &[String] {
        match self {
            Self::Gradients { inputs, .. } | Self::Values { inputs, .. } => inputs,
        }
    }

    /// Runs the program.
    ///
    /// # Errors
    ///
    /// Those of the program.
    pub(super) fn run(&mut self, parameters: &Parameters<F>, inputs: &Inputs<F>, seed: Seed) -> GraphResult<()> {
        self.set(parameters, inputs)?;
        match self {
            Self::Gradients { graph, .. } => graph.run(seed).map(drop),
            Self::Values { graph, .. } => graph.run(seed),
        }
    }

    /// Sets all inputs of the program.
    ///
    /// # Errors
    ///
    /// Those of the program, and for an input that is not known.
    fn set(&mut self, parameters: &Parameters<F>, inputs: &Inputs<F>) -> GraphResult<()> {
        match self {
            Self::Gradients { graph, inputs: names } => {
                names.iter().try_for_each(|name| graph.set(name, value(name, parameters, inputs)?))
            }
            Self::Values { graph, inputs: names, .. } => {
                names.iter().try_for_each(|name| graph.set(name, value(name, parameters, inputs)?))
            }
        }
    }
}

/// The value of an input of a program. Parameters, buffers and inputs have different names.
fn value<'a, F: Real>(name: &str, parameters: &'a Parameters<F>, inputs: &'a Inputs<F>) -> GraphResult<&'a Tensor<F>> {
    parameters.get(name).or_else(|| parameters.buffer(name)).or_else(|| inputs.get(name)).ok_or_else(|| {
        GraphError::Compile {
            problem: format!(
                "a step has no value for \"{name}\", which was recorded with a method of the graph; use \
                 record.param, record.buffer or record.input"
            ),
        }
    })
}
