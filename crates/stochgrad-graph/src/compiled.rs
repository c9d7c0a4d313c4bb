//! Compiled graphs: a recording of a model and its gradient that can be run again without recording.

use crate::address::Seed;
use crate::analysis::facts::Analysis;
use crate::analysis::finite::{cost_in_words, gradient_in_words, next_value_in_words};
use crate::analysis::ledger::Ledger;
use crate::error::{GraphError, GraphResult};
use crate::gradients::Gradients;
use crate::graph::Graph;
use crate::graph::schedule::StepFunction;
use crate::graph::state::State;
use crate::listing::{GraphInput, GraphListing, GraphOutput};
use crate::method::node_method::NodeMethod;
use crate::method::updates::{in_words, one_for_each_slot};
use crate::program_inputs::ProgramInputs;
use crate::surrogate::build;
use crate::validation::Validation;
use stochgrad_tape::{NoiseSeed, Program, Shards, Slot, TapeError, TapeResult, Var};
use stochgrad_tensor::{Real, Tensor, instantiated};

/// A graph with its gradients, ready to run again with other parameters, other data and other noise.
///
/// Use it for training loops. Recording a model costs some microseconds for each step, and a pass over memory for each
/// operation. A compiled graph runs a schedule that was computed once; [`Program`] describes it. The results are equal
/// to those of a new recording, bit by bit. A compiled graph owns its data, and does not allocate after the first run.
///
/// The shapes and the recorded operations must be the same in each run. A model in which host code branches on a value
/// cannot be compiled, and neither can a distribution or a method of your own that draws on the host; [`Graph::compile`]
/// then returns an error with the line.
///
/// The parameters of the distributions of all nodes are checked in each run, as in a recording;
/// [`set_validation`](Self::set_validation) switches this off. A gradient or an estimate that is NaN or infinite is an
/// error, too. A random value outside the support of a distribution is also an error if no recorded value was outside:
/// the recorded gradients assume a density that does not jump. Each error names the step.
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
    inputs: ProgramInputs<F>,
    gradients: Gradients<F>,
    methods: Vec<NodeMethod>,
    validation: Validation,
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
        instantiated!(F: fn(&Graph<'_, F>) -> GraphResult<CompiledGraph<F>> = |graph| graph.compile_body())(self)
    }

    fn compile_body(&self) -> GraphResult<CompiledGraph<F>> {
        #[cfg(feature = "tracing")]
        let _span = tracing::debug_span!("compile", nodes = self.state().nodes.len()).entered();
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
        let mut updates = built.updates;
        for loss in built.auxiliary {
            updates.extend((loss.rule)(&tape.gradients(loss.loss, &loss.parameters)?));
        }
        let updates = one_for_each_slot(updates)?;
        outputs.extend(updates.iter().map(|update| update.value));
        check_shared(&state, updates.iter().map(|update| (update.slot.name(), update.value)))?;
        outputs.extend(state.next_values.iter().map(|(_, value)| *value));
        let (inputs, leaves) = ProgramInputs::new(&state)?;
        let mut program = tape.compile(&leaves, &outputs).map_err(|error| state.unrepeatable(error))?;
        program.require_finite(0..outputs.len())?;
        let nothing = Tensor::scalar(F::ZERO);
        let names = state.parameters.iter().map(|parameter| parameter.name.clone());
        let gradients = Gradients {
            gradients: names.map(|name| (name, nothing.clone())).collect(),
            costs,
            ledger,
            updates: updates.into_iter().map(|update| (update.slot, None)).collect(),
            next_values: state.next_values.iter().map(|(name, _)| (name.clone(), None)).collect(),
            squares_are_finite: false,
        };
        let validation = Validation::new(&state.nodes);
        Ok(CompiledGraph { program, inputs, gradients, methods: self.methods(), validation, nothing })
    }
}

/// Checks that the results of a step are equal on all shards of a plate.
///
/// # Errors
/// For a parameter, a slot or an input with a value for each member of a plate of which the graph holds a shard.
fn check_shared<'a, 't, F: Real>(
    state: &'a State<'t, F>,
    slots: impl Iterator<Item = (&'a str, Var<'t, F>)>,
) -> GraphResult<()> {
    let parameters = state.parameters.iter().map(|parameter| (parameter.name.as_str(), parameter.var));
    let inputs = state.next_values.iter().map(|(name, value)| (name.as_str(), *value));
    for (name, value) in parameters.chain(slots).chain(inputs) {
        let tape = value.tape();
        if let Some(&plate) = value.plates().iter().find(|&&plate| tape.is_shard(plate)) {
            return Err(GraphError::Compile {
                problem: format!(
                    "\"{name}\" has a value for each member of plate \"{}\", of which this graph holds a shard; a step \
                     changes only what all members share, so do not shard this plate",
                    tape.plate_name(plate)
                ),
            });
        }
    }
    Ok(())
}

impl<F: Real> State<'_, F> {
    /// The error of a recording that cannot be repeated, with the name of the node whose draws or method are the
    /// reason.
    pub(crate) fn unrepeatable(&self, error: TapeError) -> GraphError {
        let TapeError::NotRepeatable { look, .. } = error else { return error.into() };
        match self.nodes.iter().find(|node| node.at == look) {
            None => error.into(),
            Some(node) => GraphError::HostNode {
                problem: format!(
                    "node \"{}\": the draws of {}, or the terms of {}, are made by host code, which a compiled graph \
                     does not run ({look}); record each step afresh, or use a distribution and a method whose draws \
                     are recorded operations",
                    node.address,
                    node.distribution,
                    node.method.name()
                ),
            },
        }
    }
}

impl<F: Real> CompiledGraph<F> {
    /// The names of the inputs that are set before each run: the parameters, then the data. Schedules are not among
    /// them, since they are functions of the step.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.inputs.names.iter().map(String::as_str)
    }

    /// Whether an input of this name was recorded.
    pub fn has_input(&self, name: &str) -> bool {
        self.inputs.names.iter().any(|known| known == name)
    }

    /// Sets the value of a parameter, or of data, for the next run. The buffer is shared until then.
    ///
    /// # Errors
    /// For an unknown name, and for a shape other than the recorded one.
    #[track_caller]
    pub fn set(&mut self, name: &str, value: &Tensor<F>) -> GraphResult<()> {
        self.inputs.set(&mut self.program, name, value)
    }

    /// Sets whether the parameters of distributions are checked in each run. They are by default, unless
    /// [`Graph::set_validation`] switched the checks of the recording off. The checks take one pass over each
    /// parameter, which is little beside a step of a network, and a noticeable share of a step that computes little.
    pub fn set_validation(&mut self, validate: bool) {
        self.program.set_checks(validate);
    }

    /// Runs with the inputs that were set, and with the noise of a seed and step. Inputs are released after each run;
    /// set them again before the next one.
    ///
    /// # Errors
    /// If an input was not set, if an operation fails on these values, if a parameter of a distribution is outside its
    /// domain, or if a gradient or the estimate of a cost is NaN or infinite, with the operation that first produced it.
    #[track_caller]
    pub fn run(&mut self, seed: Seed) -> GraphResult<&mut Gradients<F>> {
        #[cfg(feature = "tracing")]
        let _span = tracing::debug_span!("run", step = seed.step).entered();
        self.inputs.set_schedules(&mut self.program, seed.step)?;
        instantiated!(F: fn(&mut CompiledGraph<F>) = CompiledGraph::return_buffers)(self);
        let run = self.program.run(NoiseSeed { seed: seed.seed, step: seed.step });
        instantiated!(F: fn(&mut CompiledGraph<F>, u64, TapeResult<()>) -> GraphResult<()> = CompiledGraph::read)(
            self, seed.step, run,
        )?;
        Ok(&mut self.gradients)
    }

    /// Runs the compiled graphs of the shards that this rank holds, in their order, together with those of the other
    /// ranks. Set the inputs of all of them before. The gradients and estimates are then those of all members, and are
    /// equal in all graphs.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use stochgrad_graph::{CompiledGraph, Graph, GraphResult, Seed};
    /// use stochgrad_tape::{Shards, SingleRank, Tape};
    /// use stochgrad_tensor::Tensor;
    ///
    /// # fn main() -> GraphResult<()> {
    /// let points = [1.0, 2.0, 4.0, 6.0, 7.0];
    /// let mut shards = Shards::<f64>::new(2, Rc::new(SingleRank))?;
    /// let record = |shard: usize| -> GraphResult<CompiledGraph<f64>> {
    ///     let members = shards.members(shard, points.len());
    ///     let tape = Tape::new();
    ///     let graph = Graph::new(&tape, Seed::new(7));
    ///     graph.shard("points", members.start, points.len())?;
    ///     let x = graph.data("points", points[members].to_vec())?;
    ///     graph.cost("loss", (x - graph.param("centre", 1.0)?).square())?;
    ///     let mut compiled = graph.compile()?;
    ///     compiled.set("points", &x.peek()?)?;
    ///     compiled.set("centre", &Tensor::scalar(1.0))?;
    ///     Ok(compiled)
    /// };
    /// let mut graphs = shards.own().map(record).collect::<GraphResult<Vec<_>>>()?;
    /// let mut graphs: Vec<_> = graphs.iter_mut().collect();
    /// CompiledGraph::run_shards(&mut graphs, &mut shards, Seed::new(7))?;
    /// assert_eq!(graphs[0].gradients().get("centre")?.item()?, -6.0);
    /// # Ok(())
    /// # }
    /// ```
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
            instantiated!(F: fn(&mut CompiledGraph<F>) = CompiledGraph::return_buffers)(graph);
        }
        let noise = NoiseSeed { seed: seed.seed, step: seed.step };
        let run = shards.run(graphs, |graph| &mut graph.program, noise);
        for graph in graphs {
            instantiated!(F: fn(&mut CompiledGraph<F>, u64, TapeResult<()>) -> GraphResult<()> = CompiledGraph::read)(
                graph,
                seed.step,
                run.clone(),
            )?;
        }
        Ok(())
    }

    /// Returns the buffers of the results to the program.
    fn return_buffers(&mut self) {
        let Self { gradients, nothing, .. } = self;
        for value in gradients.gradients.values_mut() {
            value.clone_from(nothing);
        }
        gradients.updates.iter_mut().for_each(|(_, value)| *value = None);
        gradients.next_values.iter_mut().for_each(|(_, value)| *value = None);
    }

    /// Reads the results of a run.
    fn read(&mut self, step: u64, run: TapeResult<()>) -> GraphResult<()> {
        let Self { program, inputs, gradients, .. } = self;
        let (costs, parameters) = (gradients.costs.len(), gradients.gradients.len());
        let (updates, names) = (costs + parameters, &inputs.names);
        let next_values = updates + gradients.updates.len();
        let in_words = |output: usize| match output {
            _ if output < costs => cost_in_words(&gradients.costs[output].0),
            _ if output < updates => gradient_in_words(&names[output - costs]),
            _ if output < next_values => in_words(&gradients.updates[output - updates].0),
            _ => next_value_in_words(&gradients.next_values[output - next_values].0),
        };
        run.map_err(|error| {
            let source = match error {
                TapeError::NotFinite { output, value, position, origin } => {
                    GraphError::NotFinite { what: in_words(output), value, position, origin }
                }
                error => self.validation.error(error),
            };
            GraphError::Step { step, source: Box::new(source) }
        })?;
        gradients.squares_are_finite = program.squares_are_finite();
        for (output, name) in self.inputs.names[..parameters].iter().enumerate() {
            if let Some(gradient) = gradients.gradients.get_mut(name) {
                *gradient = program.output(costs + output)?.clone();
            }
        }
        for (index, (_, value)) in gradients.costs.iter_mut().enumerate() {
            *value = program.output(index)?.as_slice().first().copied().unwrap_or(F::NAN);
        }
        for (index, (_, value)) in gradients.updates.iter_mut().enumerate() {
            *value = Some(program.output(updates + index)?.clone());
        }
        for (index, (_, value)) in gradients.next_values.iter_mut().enumerate() {
            *value = Some(program.output(next_values + index)?.clone());
        }
        Ok(())
    }

    /// The gradients of the last run.
    pub fn gradients(&self) -> &Gradients<F> {
        &self.gradients
    }

    /// The gradients of the last run, to be changed before an optimiser uses them.
    pub fn gradients_mut(&mut self) -> &mut Gradients<F> {
        &mut self.gradients
    }

    /// The gradient methods of the nodes, in the order of recording, with their slots.
    pub fn methods(&self) -> &[NodeMethod] {
        &self.methods
    }

    /// Copies the next values that the last run computed into the slots of the gradient methods; see
    /// [`Gradients::advance`]. Nothing changes if the last run failed, or if there was none.
    pub fn advance(&mut self) {
        self.gradients.apply_updates();
    }

    /// The slots of gradient methods whose next values a run computes, in the order of the outputs
    /// [`GraphOutput::Slot`] of the [`listing`](Self::listing): for running the program elsewhere.
    pub fn updated_slots(&self) -> impl Iterator<Item = &Slot> {
        self.gradients.updates.iter().map(|(slot, _)| slot)
    }

    /// The functions of the step that give the values of the schedules, in the order of the inputs
    /// [`GraphInput::Schedule`] of the [`listing`](Self::listing): for running the program elsewhere.
    pub fn schedules(&self) -> Vec<StepFunction> {
        self.inputs.schedule_functions()
    }

    /// All operations, with the names of inputs and outputs.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, GraphInput, GraphOutput, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_graph::GraphError> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let w = graph.param("w", [1.0, 2.0])?;
    /// graph.cost("loss", w.square().sum())?;
    /// let compiled = graph.compile()?;
    /// let listing = compiled.listing();
    /// assert_eq!(listing.inputs, [GraphInput::Parameter("w")]);
    /// assert_eq!(listing.outputs, [GraphOutput::Estimate("loss"), GraphOutput::Gradient("w")]);
    /// println!("{listing}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn listing(&self) -> GraphListing<'_, F> {
        let (names, costs) = (&self.inputs.names, &self.gradients.costs);
        let (parameters, data) = names.split_at(self.gradients.gradients.len());
        let inputs = parameters.iter().map(|name| GraphInput::Parameter(name));
        let inputs = inputs.chain(data.iter().map(|name| GraphInput::Data(name)));
        let outputs = costs.iter().map(|(name, _)| GraphOutput::Estimate(name));
        let outputs = outputs.chain(parameters.iter().map(|name| GraphOutput::Gradient(name)));
        GraphListing {
            inputs: inputs.chain(self.inputs.schedules().map(GraphInput::Schedule)).collect(),
            outputs: outputs
                .chain(self.gradients.updates.iter().map(|(slot, _)| GraphOutput::Slot(slot.name())))
                .chain(self.gradients.next_values.iter().map(|(name, _)| GraphOutput::NextValue(name)))
                .collect(),
            program: self.program.listing(),
        }
    }

    /// The compiled program.
    pub fn program(&self) -> &Program<F> {
        &self.program
    }
}

impl<F: Real> std::fmt::Debug for CompiledGraph<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledGraph")
            .field("inputs", &self.inputs.names)
            .field("gradients", &self.gradients)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}
