//! The programs of a step: one for each purpose and for each set of input shapes.

use stochgrad_graph::{CompiledForward, CompiledGraph, Graph, GraphError, GraphResult, NodeMethod, Seed};
use stochgrad_tensor::{Real, Tensor};

use crate::inputs::{Inputs, Signature};
use crate::mode::Mode;
use crate::parameters::Parameters;
use crate::step::watch::Watch;

/// A model that was recorded for a purpose, with inputs of some shapes.
#[derive(Debug)]
pub(super) struct Prepared<F: Real> {
    mode: Mode,
    signature: Signature,
    /// Of each parameter, whether it was frozen.
    frozen: Vec<bool>,
    pub(super) watch: Watch<F>,
    /// `None` if host code takes part in the recording, so that every step is recorded.
    pub(super) program: Option<Compiled<F>>,
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
        Ok((Self { mode, signature, frozen, watch, program, last_use: 0, methods: graph.methods() }, reason))
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
        let graph = Box::new(graph.compile_forward(&values)?);
        let inputs = graph.inputs().map(String::from).collect();
        Ok(Self::Values { graph, inputs, names })
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
        match self {
            Self::Gradients { graph, inputs: names } => {
                names.iter().try_for_each(|name| graph.set(name, value(name, parameters, inputs)?))?;
                graph.run(seed).map(drop)
            }
            Self::Values { graph, inputs: names, .. } => {
                names.iter().try_for_each(|name| graph.set(name, value(name, parameters, inputs)?))?;
                graph.run(seed)
            }
        }
    }

    /// The values of the last run, by name; none for a program of gradients.
    ///
    /// # Errors
    ///
    /// Those of the program.
    pub(super) fn values(&self) -> GraphResult<Vec<(String, Tensor<F>)>> {
        match self {
            Self::Gradients { .. } => Ok(Vec::new()),
            Self::Values { graph, names, .. } => {
                let value = |(index, name): (usize, &String)| Ok((name.clone(), graph.value(index)?.clone()));
                names.iter().enumerate().map(value).collect()
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
