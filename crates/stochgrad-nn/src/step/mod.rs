//! Step functions: a model, recorded and compiled when it is needed.

mod costs;
mod inspect;
mod outputs;
mod prepared;
mod resume;
mod shards;
mod training_program;
mod values;
mod watch;

pub use costs::Costs;
pub use outputs::Outputs;

use stochgrad_graph::{Gradients, Graph, GraphError, GraphResult, MethodReplacements, RedrawnNoise, Seed};
use stochgrad_tape::{Tape, Workspace};
use stochgrad_tensor::{Real, instantiated};

use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::optimizers::Optimizer;
use crate::parameters::{NamePattern, Parameters};
use crate::record::Record;
use crate::training_state::TrainingState;
use prepared::{Compiled, Prepared};
use shards::{Division, slices};
use watch::Model;

/// A model with everything that is needed to train, evaluate and use it: a closure that records it, and the programs
/// compiled from it.
///
/// | function | computes |
/// |---|---|
/// | [`train`](Self::train) | the gradients, and updates parameters, buffers and the state of the gradient methods |
/// | [`run`](Self::run) | the gradients |
/// | [`evaluate`](Self::evaluate) | the costs, without gradients |
/// | [`predict`](Self::predict) | the named outputs |
///
/// The closure is called once for each of these purposes and for each set of input shapes, such as that of the last
/// minibatch of an epoch, and of parameters that are [frozen](Parameters::freeze). The recording is compiled, and the
/// program is kept and runs from then on. The results are, bit for bit, those of a new recording at each step. Of many
/// programs, those that ran last are kept; see [`keep_programs`](Self::keep_programs).
///
/// Two things can go wrong with a recording that is repeated, and a step detects both:
///
/// * *Host code that reads a value* (`value()`, `item()`, `peek()`) may branch on it, so that no recording stands for
///   all steps. The step logs a warning with the line (through the crate `log`), and calls the closure at every step.
///   Methods that replay call it again; see [`Graph::from_model`].
/// * *A value of the host that changes*, such as a captured variable or a number computed from the step, would be
///   frozen at its first value. The closure is called again right after the first recording, and at the runs 1, 2, 10,
///   100 and so on; a constant or an operation that differs is an error with its line ([`GraphError::Frozen`]). Pass
///   such values with [`Record::schedule`] or as an input.
///
/// A step on which a program fails is recorded: a value outside a support on which the program relied may be harmless,
/// and otherwise the errors of a recording say more.
///
/// ```
/// use stochgrad_graph::Seed;
/// use stochgrad_nn::data::{Digits, Minibatches, rows};
/// use stochgrad_nn::{Activation, Adam, Inputs, Layer, Mlp, Parameters, Record, Step};
///
/// let (train, test) = Digits::embedded().split_at(1500)?;
/// let (pixels, unseen) = (train.intensities::<f32>()?, test.intensities::<f32>()?);
/// let seed = Seed::new(7);
/// let mut parameters = Parameters::new();
/// let encoder = Mlp::new(&mut parameters, "encoder", &[64, 32, 8], Activation::LeakyRelu(0.1), seed)?;
/// let decoder = Mlp::new(&mut parameters, "decoder", &[8, 32, 64], Activation::LeakyRelu(0.1), seed)?;
///
/// let mut step = Step::new(|record: &Record<'_, '_, f32>| {
///     let x = record.input("images")?;
///     let code = encoder.forward(record, x)?;
///     let image = decoder.forward(record, code)?;
///     record.cost("squared error", (image - x).square().sum())?;
///     record.output("image", image)
/// });
///
/// let mut adam = Adam::new(1e-2);
/// let before = step.evaluate(&parameters, &Inputs::new().batch("images", &unseen), seed)?.total();
/// for (number, batch) in Minibatches::new(train.len(), 50, 7)?.steps_from(0).take(30).enumerate() {
///     let inputs = Inputs::new().batch("images", rows(&pixels, &batch)?);
///     step.train(&mut parameters, &mut adam, &inputs, seed.step(number))?;
/// }
/// let inputs = Inputs::new().batch("images", &unseen);
/// assert!(step.evaluate(&parameters, &inputs, seed)?.total() < 0.5 * before);
/// assert_eq!(step.predict(&parameters, &inputs, seed)?.get("image")?.shape()[..], [297, 64]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Step<'m, F: Real> {
    model: Box<Model<'m, F>>,
    /// The parameters whose gradients are computed; those of all if there are no patterns.
    trained: Vec<NamePattern>,
    /// The methods that are used instead of those of the model.
    replaced: MethodReplacements<F>,
    /// The nodes whose noise differs from that of the same seed elsewhere.
    redrawn: RedrawnNoise,
    threads: usize,
    prepared: Vec<Prepared<F>>,
    /// The number of programs that are kept.
    kept: usize,
    /// The number of calls so far.
    calls: u64,
    /// For steps that are recorded.
    workspace: Workspace<F>,
    last: Last<F>,
    /// Why steps are recorded, once this is known.
    host_code: Option<GraphError>,
    /// Whether it was logged that a program failed on a step.
    has_failed: bool,
    division: Division<F>,
    /// The state of a checkpoint, as long as the methods to which it belongs are not known.
    recalled: Option<TrainingState>,
}

/// The number of programs that a step keeps by default.
const KEPT: usize = 32;

/// The place of the gradients of the last step.
enum Last<F: Real> {
    Nowhere,
    /// In the program of this number.
    Compiled(usize),
    Recorded(Box<Gradients<F>>),
}

impl<'m, F: Real> Step<'m, F> {
    /// A step of a model, whose kernels run on the calling thread.
    pub fn new(model: impl Fn(&Record<'_, '_, F>) -> GraphResult<()> + 'm) -> Self {
        Step {
            model: Box::new(model),
            trained: Vec::new(),
            replaced: MethodReplacements::new(),
            redrawn: RedrawnNoise::none(),
            threads: 1,
            prepared: Vec::new(),
            kept: KEPT,
            calls: 0,
            workspace: Workspace::new(),
            last: Last::Nowhere,
            host_code: None,
            has_failed: false,
            division: Division::none(),
            recalled: None,
        }
    }

    /// Sets the number of threads that kernels may use. The results do not depend on it.
    pub fn threads(self, threads: usize) -> Self {
        Step { threads, prepared: Vec::new(), workspace: Workspace::with_threads(threads), ..self }
    }

    /// Computes the gradients of some parameters only: a step of a part of the model. Nothing is computed for the
    /// gradients of others alone, and no optimiser changes them. Repeated calls add names; `names` is the name of a
    /// parameter or of a scope, or `*.bias` for all parameters whose last part is `bias`.
    ///
    /// For parts that are trained in turn, as in adversarial training or in the wake-sleep algorithm, make a step for
    /// each of them. They may share the parameters and an optimiser with
    /// [groups](crate::optimizers::Descent::group), whose updates are counted separately.
    ///
    /// ```
    /// use stochgrad_graph::{GraphResult, Seed};
    /// use stochgrad_nn::{Inputs, Parameters, Record, Sgd, Step};
    /// use stochgrad_tape::Var;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert_all([("player.x", Tensor::scalar(1.0)), ("opponent.y", Tensor::scalar(2.0))])?;
    /// fn product<'t>(record: &Record<'_, 't, f64>) -> GraphResult<Var<'t, f64>> {
    ///     Ok((record.param("player.x")? - 0.5) * (record.param("opponent.y")? + 0.5))
    /// }
    /// let mut plays = Step::new(|record| record.cost("loss", product(record)?)).only("player");
    /// let mut replies = Step::new(|record| record.cost("gain", -product(record)?)).only("opponent");
    /// let mut sgd = Sgd::new(0.1);
    /// plays.train(&mut parameters, &mut sgd, &Inputs::new(), Seed::new(7))?;
    /// replies.train(&mut parameters, &mut sgd, &Inputs::new(), Seed::new(7))?;
    /// assert_eq!(parameters.get("player.x"), Some(&Tensor::scalar(0.75)));
    /// assert_eq!(parameters.get("opponent.y"), Some(&Tensor::scalar(2.025)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The functions that record the model return an error if no parameter has such a name.
    pub fn only(mut self, names: &str) -> Self {
        self.trained.push(NamePattern::new(names));
        Step { prepared: Vec::new(), ..self }
    }

    /// Uses other gradient methods for some nodes than those of the model, which is recorded again; see
    /// [`Graph::replace_methods`]. It takes the place of earlier replacements.
    ///
    /// # Errors
    ///
    /// The functions that record the model return an error for a replacement that does not fit its node, or whose node
    /// does not exist.
    pub fn replace_methods(self, replaced: MethodReplacements<F>) -> Self {
        Step { replaced, prepared: Vec::new(), last: Last::Nowhere, ..self }
    }

    /// Draws the noise of some nodes independently of steps with the same seed; see [`Graph::redraw_noise`]. The model
    /// is recorded again.
    pub fn redraw_noise(self, redrawn: RedrawnNoise) -> Self {
        Step { redrawn, prepared: Vec::new(), last: Last::Nowhere, ..self }
    }

    /// Sets how many programs are kept, at least 1 and 32 by default. Each purpose and each set of input shapes has a
    /// program of its own, with the memory for its values. Beyond this number, the program that has not run for the
    /// longest time is dropped, and its model is recorded again when it is next needed. Two programs stay: the first
    /// training program, whose gradient methods hold the state that [`remember`](Self::remember) stores, and that of
    /// the [last gradients](Self::gradients).
    ///
    /// ```
    /// use stochgrad_graph::Seed;
    /// use stochgrad_nn::{Inputs, Parameters, Record, Step};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut step = Step::new(|record: &Record<'_, '_, f64>| {
    ///     record.output("sum", record.input("x")?.sum())
    /// })
    /// .keep_programs(2);
    /// for length in 1..100 {
    ///     let inputs = Inputs::new().value("x", Tensor::ones([length]));
    ///     let outputs = step.predict(&Parameters::new(), &inputs, Seed::new(7))?;
    ///     assert_eq!(outputs.get("sum")?.item()?, length as f64);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_programs(self, programs: usize) -> Self {
        Step { kept: programs.max(1), ..self }
    }

    /// The gradients of the costs, with the noise of a seed and step. They may be changed before an optimiser uses
    /// them.
    ///
    /// ```
    /// use stochgrad_graph::Seed;
    /// use stochgrad_nn::{Inputs, Parameters, Record, Step};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("slope", Tensor::scalar(2.0))?;
    /// let mut step = Step::new(|record: &Record<'_, '_, f64>| {
    ///     let weight = record.schedule("weight", 1.0, |step| 0.5 * step as f64)?;
    ///     record.cost("loss", (record.param("slope")? * record.input("x")?).square() * weight)
    /// });
    /// for (number, expected) in [0.0, 10.0, 20.0].into_iter().enumerate() {
    ///     let inputs = Inputs::new().batch("x", [1.0, 3.0]);
    ///     let gradients = step.run(&parameters, &inputs, Seed::new(7).step(number))?;
    ///     assert_eq!(gradients.get("slope")?.item()?, expected);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the model and of [`Graph::backward`], [`GraphError::Frozen`], and for an input with the name of a
    /// parameter or a buffer.
    pub fn run(
        &mut self,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> GraphResult<&mut Gradients<F>> {
        instantiated!(
            F: for<'s> fn(
                &'s mut Step<'_, F>,
                &Parameters<F>,
                &Inputs<F>,
                Seed,
            ) -> GraphResult<&'s mut Gradients<F>> = |step, parameters, inputs, seed| {
                step.run_body(parameters, inputs, seed)
            }
        )(self, parameters, inputs, seed)
    }

    fn run_body(
        &mut self,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> GraphResult<&mut Gradients<F>> {
        self.last = Last::Nowhere;
        let number = self.prepare(Mode::Train, parameters, inputs, seed)?;
        self.last = match self.run_program(number, parameters, inputs, seed)? {
            true => Last::Compiled(number),
            false => {
                let model = recorder(
                    &*self.model,
                    (&self.trained, &self.replaced, &self.redrawn),
                    parameters,
                    inputs,
                    Mode::Train,
                );
                let graph = Graph::from_model(self.workspace.tape(), seed, &model);
                let gradients = graph.and_then(|graph| graph.backward()).map_err(|error| at_step(seed, error))?;
                Last::Recorded(Box::new(gradients))
            }
        };
        self.prepared[number].watch.count();
        match &mut self.last {
            Last::Recorded(gradients) => Ok(gradients),
            _ => match self.prepared[number].programs.first_mut() {
                Some(Compiled::Gradients { graph, .. }) => Ok(graph.gradients_mut()),
                _ => Err(no_gradients()),
            },
        }
    }

    /// The gradients of the last call of [`run`](Self::run) or [`train`](Self::train).
    ///
    /// # Errors
    ///
    /// If there was none, or it failed.
    pub fn gradients(&self) -> GraphResult<&Gradients<F>> {
        match &self.last {
            Last::Recorded(gradients) => Ok(gradients),
            Last::Compiled(number) => match self.prepared[*number].programs.first() {
                Some(Compiled::Gradients { graph, .. }) => Ok(graph.gradients()),
                _ => Err(no_gradients()),
            },
            Last::Nowhere => Err(no_gradients()),
        }
    }

    /// Updates the state of the gradient methods with the results of the last [`run`](Self::run); see
    /// [`Gradients::advance`]. [`Parameters::advance`] updates the buffers. Call it once for each step. Nothing happens
    /// if the run failed.
    pub fn advance(&mut self) {
        match &self.last {
            Last::Recorded(gradients) => gradients.advance(),
            Last::Compiled(number) => {
                for program in &mut self.prepared[*number].programs {
                    if let Compiled::Gradients { graph, .. } = program {
                        graph.advance();
                    }
                }
            }
            Last::Nowhere => {}
        }
    }

    /// One training step: computes the gradients, and updates the parameters, the buffers and the state of the gradient
    /// methods.
    /// Returns the gradients, with the estimates of the costs before the update.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run) and of [`Optimizer::step`]. Nothing is changed in this case.
    pub fn train(
        &mut self,
        parameters: &mut Parameters<F>,
        optimizer: &mut (impl Optimizer<F> + ?Sized),
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> GraphResult<&Gradients<F>> {
        self.run(parameters, inputs, seed)?;
        optimizer.step(parameters, self.gradients()?)?;
        parameters.advance(self.gradients()?)?;
        self.advance();
        self.gradients()
    }

    /// Why steps are recorded one by one, if they are: the error of [`Graph::compile`], which names the line where host
    /// code read a value.
    pub fn host_code(&self) -> Option<&GraphError> {
        self.host_code.as_ref()
    }

    /// Runs a program. Returns `false` if there is none, or it failed, so that the step must be recorded.
    ///
    /// # Errors
    ///
    /// Those of the programs of shards, which need one another, so that a step cannot be recorded instead.
    fn run_program(
        &mut self,
        number: usize,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> GraphResult<bool> {
        let prepared = &mut self.prepared[number];
        if let Some(shards) = self.division.shards()? {
            return prepared.run_shards(shards, parameters, inputs, seed).map(|()| true);
        }
        let Some(program) = prepared.programs.first_mut() else { return Ok(false) };
        Ok(match program.run(parameters, inputs, seed) {
            Ok(()) => true,
            Err(error) => {
                if !std::mem::replace(&mut self.has_failed, true) {
                    log::warn!("step {} is recorded, since its program failed: {error}", seed.step);
                }
                false
            }
        })
    }

    /// The number of the recording for a purpose and for inputs of these shapes, which is made if there is none.
    fn prepare(
        &mut self,
        mode: Mode,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> GraphResult<usize> {
        if let Some(number) = self.prepared.iter().position(|prepared| prepared.fits(mode, parameters, inputs)) {
            self.calls += 1;
            self.prepared[number].last_use = self.calls;
            let prepared = &self.prepared[number];
            if !prepared.programs.is_empty() && prepared.watch.is_due() {
                let inputs = prepared.recorded_inputs().unwrap_or(inputs);
                let model =
                    recorder(&*self.model, (&self.trained, &self.replaced, &self.redrawn), parameters, inputs, mode);
                self.division.agreed(prepared.watch.check(seed, self.threads, &model))?;
            }
            return Ok(number);
        }
        if let Some(name) =
            inputs.names().find(|name| parameters.get(name).is_some() || parameters.buffer(name).is_some())
        {
            let problem = format!("an input has the name of the parameter or buffer \"{name}\"; rename the input");
            return Err(GraphError::Compile { problem });
        }
        self.trained.iter().try_for_each(|names| names.check(parameters, "`names` of `Step::only`"))?;
        let made = self.make(mode, parameters, inputs, seed);
        let (mut prepared, reason) = self.division.agreed(made)?;
        if mode == Mode::Train {
            self.recalled = None;
        }
        match reason {
            None => {}
            Some(reason) => {
                if self.host_code.is_none() {
                    log::warn!("every step is recorded, since its recording cannot be repeated: {reason}");
                }
                self.host_code = Some(reason);
            }
        }
        self.calls += 1;
        prepared.last_use = self.calls;
        match self.dispensable() {
            Some(number) => {
                self.prepared[number] = prepared;
                Ok(number)
            }
            None => {
                self.prepared.push(prepared);
                Ok(self.prepared.len() - 1)
            }
        }
    }

    /// Records the model for a purpose and for inputs of these shapes, once for each shard, and compiles it. Returns the
    /// reason, too, if it cannot be compiled.
    fn make(
        &mut self,
        mode: Mode,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> GraphResult<(Prepared<F>, Option<GraphError>)> {
        let Some(shards) = self.division.shards()? else {
            if inputs.part().is_some() {
                let problem =
                    "the inputs are a part of a minibatch, which a step divides only with Step::shards".into();
                return Err(GraphError::Compile { problem });
            }
            return self.record(mode, parameters, inputs, seed);
        };
        let mut all: Option<Prepared<F>> = None;
        for slice in slices(inputs, shards)? {
            let part = slice.of(inputs);
            let (prepared, reason) = self.record(mode, parameters, &part, seed)?;
            if let Some(reason) = reason {
                return Err(reason);
            }
            match &mut all {
                None => all = Some(prepared.for_inputs(inputs, slice, part)),
                Some(all) => all.add(prepared, slice, part),
            }
        }
        Ok((all.ok_or_else(no_gradients)?, None))
    }

    /// Records the model, and compiles it if it can be repeated.
    fn record(
        &self,
        mode: Mode,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> GraphResult<(Prepared<F>, Option<GraphError>)> {
        let model = recorder(&*self.model, (&self.trained, &self.replaced, &self.redrawn), parameters, inputs, mode);
        // A workspace would keep the buffers of the whole recording.
        let tape = Tape::with_threads(self.threads);
        let graph = Graph::from_model(&tape, seed, &model)?;
        if let Some(state) = &self.recalled {
            state.recall(&graph.methods())?;
        }
        let (prepared, reason) = Prepared::new(&graph, mode, parameters, inputs)?;
        if reason.is_none() {
            let next = Seed { step: seed.step.wrapping_add(1), ..seed };
            prepared.watch.check(next, self.threads, &model)?;
        }
        Ok((prepared, reason))
    }

    /// The number of the program that a new one replaces; `None` as long as there is room.
    fn dispensable(&self) -> Option<usize> {
        if self.prepared.len() < self.kept {
            return None;
        }
        let first = self.prepared.iter().position(Prepared::is_for_training);
        let last = if let Last::Compiled(number) = self.last { Some(number) } else { None };
        let others = self.prepared.iter().enumerate().filter(|(number, _)| ![first, last].contains(&Some(*number)));
        others.min_by_key(|(_, prepared)| prepared.last_use).map(|(number, _)| number)
    }
}

/// The model as a function of a graph, which methods can run again if host code has branched on a value.
fn recorder<'a, F: Real>(
    model: &'a Model<'_, F>,
    (trained, replaced, redrawn): (&'a [NamePattern], &'a MethodReplacements<F>, &'a RedrawnNoise),
    parameters: &'a Parameters<F>,
    inputs: &'a Inputs<F>,
    mode: Mode,
) -> impl Fn(&Graph<'_, F>) -> GraphResult<()> + 'a {
    move |graph| {
        #[cfg(feature = "tracing")]
        let _span = tracing::debug_span!("record", ?mode).entered();
        if let Some((plate, first, members)) = inputs.shard() {
            graph.shard(plate, first, members)?;
        }
        if !replaced.is_empty() {
            graph.replace_methods(replaced);
        }
        if !redrawn.is_none() {
            graph.redraw_noise(redrawn);
        }
        model(&parameters.on(graph).with_inputs(inputs).in_mode(mode).with_trained(trained))
    }
}

/// An error of a recording, with its step, as the errors of programs have it.
fn at_step(seed: Seed, error: GraphError) -> GraphError {
    GraphError::Step { step: seed.step, source: Box::new(error) }
}

fn no_gradients() -> GraphError {
    GraphError::Unknown { what: "step", name: "last".into(), known: "none, since none has succeeded".into() }
}

impl<F: Real> std::fmt::Debug for Step<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step")
            .field("threads", &self.threads)
            .field("prepared", &self.prepared)
            .field("host_code", &self.host_code)
            .finish_non_exhaustive()
    }
}
