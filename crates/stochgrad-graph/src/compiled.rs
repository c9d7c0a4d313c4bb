//! Compiled graphs: a recording of a model and its gradient that can be run again without recording.

use crate::address::Seed;
use crate::analysis::facts::Analysis;
use crate::analysis::finite::{AUXILIARY, UPDATE, cost_in_words, gradient_in_words};
use crate::analysis::ledger::Ledger;
use crate::error::{GraphError, GraphResult};
use crate::gradients::Gradients;
use crate::graph::Graph;
use crate::graph::node::StochasticNode;
use crate::method::terms::Apply;
use crate::surrogate::build;
use std::ops::Range;
use stochgrad_tape::{NoiseSeed, Program, TapeError, Var};
use stochgrad_tensor::{Real, Tensor};

/// A graph with its gradients, ready to run again with other parameters, other data and other noise.
///
/// Use it for training loops. Recording a model costs some microseconds for each step, and a pass over memory for each
/// operation. A compiled graph runs a schedule that was computed once; [`Program`] describes it. The results are equal
/// to those of a new recording, bit by bit. A compiled graph owns its data, and does not allocate after the first run.
///
/// The shapes and the recorded operations must be the same in each run. A model that branches on a value cannot be
/// compiled, and neither can a method that works on the host (a reservoir, replays of members that meet, random number
/// generators inside a distribution); [`Graph::compile`] then returns an error. The parameters of distributions are not
/// checked in each run, but a gradient or an estimate that is NaN or infinite is an error. A random value outside the
/// support of a distribution is also an error if no recorded value was outside: the recorded gradients assume a density
/// that does not jump.
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
/// let x = graph.data("points", Tensor::from([[1.0, 0.0], [0.0, 1.0]]))?;
/// graph.cost("loss", (x * w).sum().square())?;
///
/// let mut compiled = graph.compile()?;
/// compiled.set("w", &Tensor::from([3.0, 4.0]))?;
/// compiled.set("points", &Tensor::from([[1.0, 1.0], [0.0, 2.0]]))?;
/// let gradients = compiled.run(Seed::new(7))?;
/// assert_eq!(gradients.cost("loss")?, 0.5 * (49.0 + 64.0));
/// assert_eq!(gradients.get("w")?.as_slice(), &[7.0, 23.0]);
/// # Ok(())
/// # }
/// ```
pub struct CompiledGraph<F: Real> {
    program: Program<F>,
    /// The names of the inputs: parameters, then data.
    inputs: Vec<String>,
    /// The outputs from which each update is computed.
    updates: Vec<Range<usize>>,
    /// The first output that is the gradient of an auxiliary loss.
    losses: usize,
    gradients: Gradients<F>,
    /// Takes the place of values whose buffers have been returned to the program.
    nothing: Tensor<F>,
}

impl<F: Real> Graph<'_, F> {
    /// Compiles this recording, so that it can run again; see [`CompiledGraph`]. The tape is restored afterwards.
    ///
    /// # Errors
    /// As [`backward`](Self::backward), and if the recording depends on values that host code computed from inputs or
    /// noise.
    pub fn compile(&self) -> GraphResult<CompiledGraph<F>> {
        let mark = self.tape().len();
        let result = self.compiled();
        self.tape().truncate(mark);
        result
    }

    fn compiled(&self) -> GraphResult<CompiledGraph<F>> {
        let tape = self.tape();
        let state = self.state();
        let analysis = Analysis::new(self, &state)?;
        let built = build(&analysis)?;
        let ledger = Ledger::new(&analysis.recording, &analysis.paths)?;
        let wrt: Vec<Var<'_, F>> = state.parameters.iter().map(|parameter| parameter.var).collect();
        // The estimates come first, so that an infinite estimate is reported before the gradients that it makes
        // infinite.
        let (mut costs, mut outputs) = (Vec::new(), Vec::new());
        for (name, estimate) in built.estimates {
            costs.push((name, F::NAN));
            outputs.push(estimate);
        }
        outputs.extend(tape.gradients(built.surrogate, &wrt)?);
        let mut ranges = Vec::new();
        let mut applies: Vec<Apply<F>> = Vec::new();
        let mut add = |values: &[Var<'_, F>], apply| {
            applies.push(apply);
            ranges.push(values.len());
        };
        for update in built.updates {
            add(&update.inputs, update.apply);
            outputs.extend(update.inputs);
        }
        let losses = outputs.len();
        for loss in built.auxiliary {
            let gradients = tape.gradients(loss.loss, &loss.parameters)?;
            add(&gradients, loss.apply);
            outputs.extend(gradients);
        }
        let mut start = wrt.len() + costs.len();
        let updates: Vec<Range<usize>> = ranges
            .into_iter()
            .map(|count| {
                start += count;
                start - count..start
            })
            .collect();
        let mut inputs: Vec<String> = state.parameters.iter().map(|parameter| parameter.name.clone()).collect();
        let mut leaves = wrt;
        for (name, var) in &state.data {
            if inputs.contains(name) {
                return Err(GraphError::Compile {
                    problem: format!(
                        "two inputs are named \"{name}\"; give the data a name that differs from all parameters, with \
                         graph.data_named(name, plate, value)"
                    ),
                });
            }
            inputs.push(name.clone());
            leaves.push(*var);
        }
        let mut program = tape.compile(&leaves, &outputs).map_err(|error| unrepeatable(&state.nodes, error))?;
        program.require_finite(0..outputs.len());
        let nothing = Tensor::scalar(F::ZERO);
        let names = state.parameters.iter().map(|parameter| parameter.name.clone());
        let gradients = Gradients {
            gradients: names.map(|name| (name, nothing.clone())).collect(),
            costs,
            ledger,
            updates: updates
                .iter()
                .zip(applies)
                .map(|(range, apply)| (vec![nothing.clone(); range.len()], apply))
                .collect(),
            squares_are_finite: false,
        };
        Ok(CompiledGraph { program, inputs, updates, losses, gradients, nothing })
    }
}

/// The error of a recording that cannot be repeated, with the name of the node whose draws or method are the reason.
fn unrepeatable<F: Real>(nodes: &[StochasticNode<'_, F>], error: TapeError) -> GraphError {
    let TapeError::NotRepeatable { look, .. } = error else { return error.into() };
    match nodes.iter().find(|node| node.at == look) {
        None => error.into(),
        Some(node) => GraphError::Compile {
            problem: format!(
                "node \"{}\": the draws of {}, or the terms of {}, are made by host code, which a compiled graph does \
                 not run ({look}); record each step afresh, or use a distribution and a method whose draws are \
                 recorded operations",
                node.address,
                node.distribution,
                node.method.name()
            ),
        },
    }
}

impl<F: Real> CompiledGraph<F> {
    /// The names of the inputs: the parameters, then the data.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(String::as_str)
    }

    /// Whether an input of this name was recorded.
    pub fn has_input(&self, name: &str) -> bool {
        self.inputs.iter().any(|known| known == name)
    }

    /// Sets the value of a parameter, or of data, for the next run. The buffer is shared until then.
    ///
    /// # Errors
    /// For an unknown name, and for a shape other than the recorded one.
    #[track_caller]
    pub fn set(&mut self, name: &str, value: &Tensor<F>) -> GraphResult<()> {
        let Some(input) = self.inputs.iter().position(|known| known == name) else {
            return Err(GraphError::Unknown { what: "input", name: name.into(), known: self.inputs.join(", ") });
        };
        Ok(self.program.set(input, value)?)
    }

    /// Runs with the inputs that were set, and with the noise of a seed and step. Inputs are released after each run;
    /// set them again before the next one.
    ///
    /// # Errors
    /// If an input was not set, if an operation fails on these values, or if a gradient or the estimate of a cost is
    /// NaN or infinite, with the operation that first produced it.
    #[track_caller]
    pub fn run(&mut self, seed: Seed) -> GraphResult<&mut Gradients<F>> {
        let Self { program, gradients, nothing, .. } = self;
        let values = gradients.updates.iter_mut().flat_map(|(values, _)| values);
        for value in gradients.gradients.values_mut().chain(values) {
            // Returns the buffers to the program.
            value.clone_from(nothing);
        }
        let (costs, parameters) = (gradients.costs.len(), gradients.gradients.len());
        let names = &self.inputs;
        let in_words = |output: usize| match output {
            _ if output < costs => cost_in_words(&gradients.costs[output].0),
            _ if output < costs + parameters => gradient_in_words(&names[output - costs]),
            _ if output < self.losses => UPDATE.into(),
            _ => AUXILIARY.into(),
        };
        program.run(NoiseSeed { seed: seed.seed, step: seed.step }).map_err(|error| match error {
            TapeError::NotFinite { output, value, position, origin } => {
                GraphError::NotFinite { what: in_words(output), value, position, origin }
            }
            error => error.into(),
        })?;
        gradients.squares_are_finite = program.squares_are_finite();
        for (output, name) in self.inputs[..parameters].iter().enumerate() {
            if let Some(gradient) = gradients.gradients.get_mut(name) {
                *gradient = program.output(costs + output).clone();
            }
        }
        for (index, (_, value)) in gradients.costs.iter_mut().enumerate() {
            *value = program.output(index).as_slice().first().copied().unwrap_or(F::NAN);
        }
        for ((values, _), range) in gradients.updates.iter_mut().zip(&self.updates) {
            for (value, output) in values.iter_mut().zip(range.clone()) {
                *value = program.output(output).clone();
            }
        }
        Ok(gradients)
    }

    /// The gradients of the last run.
    pub fn gradients(&self) -> &Gradients<F> {
        &self.gradients
    }

    /// Updates the state of the gradient methods with the results of the last run; see [`Gradients::advance`]. Call it
    /// at most once for each run.
    pub fn advance(&mut self) {
        self.gradients.apply_updates();
    }

    /// The compiled program.
    pub fn program(&self) -> &Program<F> {
        &self.program
    }
}

impl<F: Real> std::fmt::Debug for CompiledGraph<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledGraph")
            .field("inputs", &self.inputs)
            .field("gradients", &self.gradients)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}
