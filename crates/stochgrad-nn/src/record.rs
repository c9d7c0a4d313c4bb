//! The recording handle: what a model is written with.

use stochgrad_distributions::Live;
use stochgrad_graph::{
    Address, Environment, GradientMethod, Graph, GraphError, GraphResult, ScanStep, ScanValues, Steps, Transition,
};
use stochgrad_tape::{IntoTensor, Plate, Tape, Var};
use stochgrad_tensor::Real;

use crate::cost_scale::per_member;
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parameters::{NamePattern, Parameters, in_words};

/// The handle with which a model is recorded: parameters, inputs, nodes, costs and outputs, all by name.
///
/// A [`Step`](crate::Step) passes it to the model. [`Parameters::on`] makes one for a graph of your own, without
/// inputs; see [`with_inputs`](Self::with_inputs).
pub struct Record<'a, 't, F: Real> {
    graph: &'a Graph<'t, F>,
    parameters: &'a Parameters<F>,
    inputs: Option<&'a Inputs<F>>,
    mode: Mode,
    /// The parameters that are trained; all of them if there are no patterns.
    trained: &'a [NamePattern],
}

impl<F: Real> Parameters<F> {
    /// The parameters and buffers on a graph, for [`Layer::forward`](crate::Layer::forward) and for models that are
    /// recorded without a [`Step`](crate::Step).
    pub fn on<'a, 't>(&'a self, graph: &'a Graph<'t, F>) -> Record<'a, 't, F> {
        Record { graph, parameters: self, inputs: None, mode: Mode::Train, trained: &[] }
    }
}

impl<F: Real> Clone for Record<'_, '_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Real> Copy for Record<'_, '_, F> {}

impl<F: Real> std::fmt::Debug for Record<'_, '_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("parameters", self.parameters)
            .field("inputs", &self.inputs)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl<'a, 't, F: Real> Record<'a, 't, F> {
    /// The same handle with the inputs of a step.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, GraphResult, Seed};
    /// use stochgrad_nn::{Inputs, Parameters, Record};
    /// use stochgrad_tape::Tape;
    ///
    /// let model = |record: &Record<'_, '_, f64>| -> GraphResult<()> {
    ///     let x = record.input("x")?;
    ///     record.cost("loss", (record.param("slope")? * x - 1.0).square())
    /// };
    /// let mut parameters = Parameters::new();
    /// parameters.insert("slope", 2.0.into())?;
    /// let tape = Tape::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// model(&parameters.on(&graph).with_inputs(&Inputs::new().batch("x", [1.0, 2.0])))?;
    /// assert_eq!(graph.backward()?.cost("loss")?, 5.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_inputs(self, inputs: &'a Inputs<F>) -> Self {
        Self { inputs: Some(inputs), ..self }
    }

    /// The same handle with another purpose of the recording.
    pub fn in_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// The same handle, with gradients of the parameters of some names only.
    pub(crate) fn with_trained(self, trained: &'a [NamePattern]) -> Self {
        Self { trained, ..self }
    }

    /// What the model is recorded for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the model is recorded for its gradients.
    pub fn is_training(&self) -> bool {
        self.mode == Mode::Train
    }

    /// A parameter by its full name. Calls with the same name return the same leaf. A [frozen](Parameters::freeze)
    /// parameter has no gradient.
    ///
    /// # Errors
    ///
    /// [`GraphError::Unknown`] for a name that no parameter has, and [`GraphError::Duplicate`] if the graph has another
    /// tensor under it.
    #[track_caller]
    pub fn param(&self, name: &str) -> GraphResult<Var<'t, F>> {
        self.param_on(name, &[])
    }

    /// A parameter whose leading axes are some plates, with a gradient for each member; see [`Graph::param_on`].
    ///
    /// # Errors
    ///
    /// As [`param`](Self::param), and for leading axes that do not fit the plates.
    #[track_caller]
    pub fn param_on(&self, name: &str, plates: &[Plate]) -> GraphResult<Var<'t, F>> {
        match self.parameters.get(name) {
            Some(value) if self.has_gradient(name) => self.graph.param_on(name, plates, value),
            Some(value) => self.graph.input_on(name, plates, value),
            None => Err(GraphError::Unknown {
                what: "parameter",
                name: name.into(),
                known: self.parameters.names_in_words(),
            }),
        }
    }

    fn has_gradient(&self, name: &str) -> bool {
        let is_trained = self.trained.is_empty() || self.trained.iter().any(|names| names.matches(name));
        is_trained && !self.parameters.is_frozen(name)
    }

    /// A buffer by its full name, as a value without a gradient. Calls with the same name return the same leaf. A
    /// compiled graph has it as an input, which [`Parameters::set_on`] sets.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_nn::Parameters;
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("scale", Tensor::scalar(2.0))?;
    /// parameters.insert_buffer("mean", Tensor::scalar(0.5))?;
    ///
    /// let tape = Tape::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let record = parameters.on(&graph);
    /// record.cost("loss", record.param("scale")? * record.buffer("mean")?)?;
    /// let gradients = graph.backward()?;
    /// assert_eq!(gradients.get("scale")?.item()?, 0.5);
    /// assert!(gradients.get("mean").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`GraphError::Unknown`] for a name that no buffer has, and [`GraphError::Duplicate`] if the graph has another
    /// input under it.
    #[track_caller]
    pub fn buffer(&self, name: &str) -> GraphResult<Var<'t, F>> {
        match self.parameters.buffer(name) {
            Some(value) => self.graph.input(name, value),
            None => Err(GraphError::Unknown {
                what: "buffer",
                name: name.into(),
                known: in_words(self.parameters.buffers().map(|(name, _)| name), "no buffers"),
            }),
        }
    }

    /// Sets the value that a buffer gets after this step: a running mean, for example.
    /// [`Step::train`](crate::Step::train) writes it, as [`Parameters::advance`] does in a training loop of your own. A
    /// second call with the same name replaces the value.
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer), and those of [`Graph::set_next_value`].
    #[track_caller]
    pub fn set_buffer(&self, name: &str, next: Var<'t, F>) -> GraphResult<()> {
        self.buffer(name)?;
        self.graph.set_next_value(name, next)
    }

    /// An input of the step by its name: a minibatch, whose leading axis is a plate, or another value without a
    /// gradient. Calls with the same name return the same leaf.
    ///
    /// # Errors
    ///
    /// [`GraphError::Unknown`] for a name that no input has, and the errors of [`Graph::data_named`] and
    /// [`Graph::input`].
    #[track_caller]
    pub fn input(&self, name: &str) -> GraphResult<Var<'t, F>> {
        match self.inputs.and_then(|inputs| inputs.find(name)) {
            Some(input) => match &input.plate {
                Some(plate) => self.graph.data_named(name, plate, &input.tensor),
                None => self.graph.input(name, &input.tensor),
            },
            None => Err(GraphError::Unknown {
                what: "input",
                name: name.into(),
                known: in_words(self.inputs.into_iter().flat_map(Inputs::names), "no inputs"),
            }),
        }
    }

    /// The number of members of the data set of which the minibatch is a part, set by
    /// [`Inputs::of_data_set`](crate::Inputs::of_data_set). [`cost`](Self::cost) divides costs that all members share by
    /// it.
    ///
    /// # Errors
    ///
    /// If it was not set.
    pub fn data_set_size(&self) -> GraphResult<usize> {
        self.inputs.and_then(Inputs::data_set_size).ok_or_else(|| GraphError::Unknown {
            what: "number",
            name: "size of the data set".into(),
            known: "none; set it with Inputs::of_data_set(size)".into(),
        })
    }

    /// A value that is a function of the step of a training run: a weight of a cost that rises, for example. In an
    /// evaluation and in a prediction, it is `final_value`.
    ///
    /// Costs that are evaluated in different epochs are therefore comparable, so that early stopping does not prefer the
    /// parameters at which a weight was still small, and the noise of an evaluation does not decide on its weights. Let
    /// the final value be the one that the schedule reaches, if there is one: 1 for the weight of a divergence.
    ///
    /// [`Graph::schedule`] follows the step of the seed in every mode. A value of the host that changes in another way is
    /// an [input](Self::input) of the step.
    ///
    /// ```
    /// use stochgrad_graph::Seed;
    /// use stochgrad_nn::{Inputs, Parameters, Record, Step};
    ///
    /// let mut step = Step::new(|record: &Record<'_, '_, f64>| {
    ///     let weight = record.schedule("weight", 1.0, |step| ((step + 1) as f64 / 4.0).min(1.0))?;
    ///     record.cost("divergence", record.constant(3.0) * weight)
    /// });
    /// let (parameters, inputs) = (Parameters::new(), Inputs::new());
    /// assert_eq!(step.run(&parameters, &inputs, Seed::new(7).step(1))?.total(), 1.5);
    /// assert_eq!(step.evaluate(&parameters, &inputs, Seed::new(7).step(1))?.total(), 3.0);
    /// # Ok::<(), stochgrad_graph::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Graph::schedule`].
    #[track_caller]
    pub fn schedule(
        &self,
        name: &str,
        final_value: f64,
        function: impl Fn(u64) -> f64 + Send + Sync + 'static,
    ) -> GraphResult<Var<'t, F>> {
        match self.mode {
            Mode::Train => self.graph.schedule(name, function),
            Mode::Evaluate | Mode::Predict => self.graph.schedule(name, move |_| final_value),
        }
    }

    /// A constant, which must be the same at every step.
    #[track_caller]
    pub fn constant(&self, value: impl IntoTensor<F>) -> Var<'t, F> {
        self.graph.constant(value)
    }

    /// A stochastic node; see [`Graph::sample`].
    ///
    /// # Errors
    ///
    /// Those of [`Graph::sample`].
    #[track_caller]
    pub fn sample<D, M>(&self, address: impl Into<Address>, distribution: &D, method: &M) -> GraphResult<Var<'t, F>>
    where
        D: Live<'t, F>,
        M: GradientMethod<F, D::Family> + Clone + 'static,
    {
        self.graph.sample(address, distribution, method)
    }

    /// A step of an environment; see [`Graph::environment`].
    ///
    /// # Errors
    ///
    /// Those of [`Graph::environment`].
    #[track_caller]
    pub fn environment(
        &self,
        address: impl Into<Address>,
        environment: &Environment<F>,
        state: Var<'t, F>,
        action: Var<'t, F>,
    ) -> GraphResult<Transition<'t, F>> {
        self.graph.environment(address, environment, state, action)
    }

    /// A loop whose body is recorded once and repeated; see [`Graph::scan`]. The body gets this handle, the step and the
    /// values that are carried from step to step.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_nn::{Inputs, Parameters};
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("decay", Tensor::scalar(0.5))?;
    ///
    /// let (tape, inputs) = (Tape::new(), Inputs::new().batch("levels", [[1.0, 2.0, 3.0]]));
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let record = parameters.on(&graph).with_inputs(&inputs);
    /// let levels = record.input("levels")?;
    /// let (last, _) = record.scan("time", 3, record.constant(0.0), |record, step, level| {
    ///     let level = level * record.param("decay")? + step.of(levels);
    ///     Ok((level, level))
    /// })?;
    /// assert_eq!(last.value()?.as_slice(), [4.25]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Graph::scan`].
    #[track_caller]
    pub fn scan<C, Y>(
        &self,
        name: &str,
        steps: impl Into<Steps>,
        carry: C,
        mut body: impl FnMut(&Self, &ScanStep<'_, 't, F>, C) -> GraphResult<(C, Y)>,
    ) -> GraphResult<(C, Y)>
    where
        C: ScanValues<'t, F>,
        Y: ScanValues<'t, F>,
    {
        self.graph.scan(name, steps, carry, |step, carry| body(self, step, carry))
    }

    /// A named cost; see [`Graph::cost`].
    ///
    /// If the minibatch knows [the size of its data set](crate::Inputs::of_data_set), $N$, the total is an unbiased
    /// estimate of the cost of the whole data set per member,
    ///
    /// $$\frac1N \Bigl(\sum_{i=1}^N c_i + c\Bigr) \approx \frac1B \sum_{i \in \text{minibatch}} c_i + \frac{c}{N}.$$
    ///
    /// * A cost of data $c_i$ lies on [the plate of the minibatch](crate::Inputs::members_plate), and is averaged over it.
    /// * A cost $c$ that all members share, such as the divergence of a posterior of weights from its prior, does not
    ///   depend on the minibatch. It is divided by $N$.
    /// * A cost that depends on the minibatch, but was summed or averaged over it before, is an error. The scale of such
    ///   a sum depends on the size of the minibatch. Record the cost with its plate, or a joint function of the whole
    ///   minibatch with [`Graph::cost`], which scales nothing.
    ///
    /// Record the two kinds as costs of their own: the sum of both lies on the plate, so that $c$ would be counted once
    /// for each member.
    ///
    /// ```
    /// use stochgrad_graph::Seed;
    /// use stochgrad_nn::{Inputs, Parameters, Record, Step};
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("slope", 2.0.into())?;
    /// let mut step = Step::new(|record: &Record<'_, '_, f64>| {
    ///     let slope = record.param("slope")?;
    ///     record.cost("data", (slope * record.input("x")? - 1.0).square())?;
    ///     record.cost("prior", 0.5 * slope.square())
    /// });
    /// let inputs = Inputs::new().batch("x", [1.0, 2.0]).of_data_set(100);
    /// let costs = step.evaluate(&parameters, &inputs, Seed::new(7))?;
    /// assert_eq!((costs.get("data")?, costs.get("prior")?), (5.0, 0.02));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Graph::cost`], and [`NnError::LostPlate`](crate::NnError::LostPlate) for a cost that was reduced over
    /// the minibatch.
    #[track_caller]
    pub fn cost(&self, name: &str, value: Var<'t, F>) -> GraphResult<()> {
        let size = self.inputs.and_then(|inputs| Some((inputs.members_plate()?, inputs.data_set_size()?)));
        match size {
            Some((plate, size)) => self.graph.cost(name, per_member(self.graph, name, value, plate, size)?),
            None => self.graph.cost(name, value),
        }
    }

    /// A named output, which [`Step::predict`](crate::Step::predict) returns; see [`Graph::output`]. Training and
    /// evaluation do not compute it.
    ///
    /// # Errors
    ///
    /// Those of [`Graph::output`].
    #[track_caller]
    pub fn output(&self, name: &str, value: Var<'t, F>) -> GraphResult<()> {
        self.graph.output(name, value)
    }

    /// A factor of the joint probability of the enumerated nodes; see [`Graph::factor`].
    ///
    /// # Errors
    /// As [`Graph::factor`].
    #[track_caller]
    pub fn factor(&self, name: &str, log_weight: Var<'t, F>) -> GraphResult<()> {
        self.graph.factor(name, log_weight)
    }

    /// The logarithm of the evidence of the enumerated nodes; see [`Graph::log_evidence`].
    ///
    /// # Errors
    /// As [`Graph::log_evidence`].
    #[track_caller]
    pub fn log_evidence(&self) -> GraphResult<Var<'t, F>> {
        self.graph.log_evidence()
    }

    /// The graph.
    pub fn graph(&self) -> &'a Graph<'t, F> {
        self.graph
    }

    /// The tape of the graph.
    pub fn tape(&self) -> &'t Tape<F> {
        self.graph.tape()
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::Seed;
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::testing::two_parameters as two;

    #[test]
    fn a_bound_parameter_is_one_leaf_that_shares_the_buffer() {
        let parameters = two();
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let model = parameters.on(&graph);
        let w = model.param("w").unwrap();
        assert_eq!(w.id(), model.param("w").unwrap().id());
        assert!(w.peek().unwrap().shares_buffer_with(parameters.get("w").unwrap()));
        let message = model.param("weight").unwrap_err().to_string();
        assert!(message.contains("weight") && message.contains("`w`, `a`"), "{message}");
    }

    #[test]
    fn a_bound_buffer_is_an_input_without_a_gradient() {
        let mut parameters = two();
        parameters.insert_buffer("mean", Tensor::scalar(3.0)).unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let model = parameters.on(&graph);
        let mean = model.buffer("mean").unwrap();
        assert_eq!(mean.id(), model.buffer("mean").unwrap().id());
        assert!(mean.inspect().unwrap().shares_buffer_with(parameters.buffer("mean").unwrap()));
        assert!(graph.input("mean", Tensor::scalar(3.0)).is_err());
        let message = model.buffer("a").unwrap_err().to_string();
        assert!(message.contains("buffer") && message.contains("`mean`"), "{message}");
        graph.cost("product", model.param("a").unwrap() * mean).unwrap();
        let mut compiled = graph.compile().unwrap();
        let gradients = graph.backward().unwrap();
        assert_eq!(gradients.get("a").unwrap().item().unwrap(), 3.0);
        assert!(gradients.get("mean").is_err());

        parameters.set("mean", Tensor::scalar(5.0)).unwrap();
        parameters.set_on(&mut compiled).unwrap();
        let gradients = compiled.run(Seed::new(7)).unwrap();
        assert_eq!(gradients.get("a").unwrap().item().unwrap(), 5.0);
    }

    #[test]
    fn inputs_lie_on_their_plates_and_are_recorded_once() {
        let parameters = two();
        let inputs = Inputs::new().batch("x", [1.0, 2.0]).batch("y", [3.0, 4.0]).value("weight", 0.5);
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let record = parameters.on(&graph).with_inputs(&inputs);
        let (x, y, weight) = (record.input("x").unwrap(), record.input("y").unwrap(), record.input("weight").unwrap());
        assert_eq!((x.plates(), weight.plates().len()), (y.plates(), 0));
        assert_eq!(tape.plate_name(x.plates()[0]), "batch");
        assert_eq!(x.id(), record.input("x").unwrap().id());
        assert_eq!(weight.id(), record.input("weight").unwrap().id());
        let message = record.input("z").unwrap_err().to_string();
        assert!(message.contains("input") && message.contains("`x`, `y`, `weight`"), "{message}");
        assert!(parameters.on(&graph).input("x").unwrap_err().to_string().contains("no inputs"));
        assert!(record.data_set_size().unwrap_err().to_string().contains("of_data_set"));
        let inputs = inputs.clone().of_data_set(1500);
        assert_eq!(parameters.on(&graph).with_inputs(&inputs).data_set_size(), Ok(1500));
    }

    #[test]
    fn the_mode_is_that_of_the_recording() {
        let parameters = two();
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let record = parameters.on(&graph);
        assert!(record.is_training());
        assert_eq!(record.in_mode(Mode::Predict).mode(), Mode::Predict);
        assert!(!record.in_mode(Mode::Evaluate).is_training());
    }
}
