//! The stochastic computation graph: what the user records.

pub(crate) mod cost;
pub(crate) mod environment;
mod environment_step;
pub(crate) mod node;
pub(crate) mod qualification;

use crate::address::{Address, Seed};
use crate::analysis::reduction::{Reduction, reduce, reduced_plates};
use crate::error::{GraphError, GraphResult};
use crate::graph::cost::{Cost, Part, first_nan, peel};
use crate::graph::node::{Erased, StochasticNode};
use crate::graph::qualification::{OpenPath, Qualification};
use crate::method::GradientMethod;
use crate::method::sample_context::SampleContext;
use crate::method::sample_set::{SamplePlate, SampleSet};
use std::cell::{Cell, Ref, RefCell, RefMut};
use std::collections::HashMap;
use std::panic::Location;
use std::rc::Rc;
use stochgrad_distributions::{Family, KeyedNoise, Live, NoiseSource};
use stochgrad_tape::{IdMap, IntoTensor, Plate, PlateKind, PlateSet, Tape, TapeError, Var, Weights};
use stochgrad_tensor::{Real, Shape, Tensor};

/// A recording of a model: parameters, data, stochastic nodes and costs on one tape.
///
/// ```
/// # use stochgrad_graph::{Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.param("x", [1.0, 2.0])?;
/// graph.cost("square", x.square().sum())?;
/// let gradients = graph.backward()?;
/// assert_eq!(gradients.get("x")?.as_slice(), &[2.0, 4.0]);
/// assert_eq!(gradients.cost("square")?, 5.0);
/// # Ok(())
/// # }
/// ```
pub struct Graph<'t, F: Real> {
    tape: &'t Tape<F>,
    noise: Rc<dyn NoiseSource<F> + 't>,
    state: RefCell<State<'t, F>>,
    validate: Cell<bool>,
    joint_distribution: Cell<bool>,
    model: Option<&'t Model<'t, F>>,
    /// In a re-run of the model: the node whose value is replaced.
    replaced: Option<(Address, Tensor<F>)>,
}

/// A model as a function that records it.
pub type Model<'m, F> = dyn Fn(&Graph<'_, F>) -> GraphResult<()> + 'm;

/// What has been recorded.
pub(crate) struct State<'t, F: Real> {
    pub(crate) parameters: Vec<NamedParameter<'t, F>>,
    pub(crate) nodes: Vec<StochasticNode<'t, F>>,
    pub(crate) costs: Vec<Cost<'t, F>>,
    pub(crate) data: Vec<(String, Var<'t, F>)>,
    pub(crate) qualifications: Vec<Qualification<'t, F>>,
    pub(crate) open_paths: Vec<OpenPath>,
    plates: HashMap<String, Plate>,
    /// The plates that nodes and costs carry, and where they were used first: their reductions are fixed.
    used: Vec<(Plate, &'static Location<'static>)>,
    addresses: HashMap<Address, &'static Location<'static>>,
    /// Log-probabilities of all draws, when the joint distribution is recorded.
    log_probs: Vec<Var<'t, F>>,
}

impl<F: Real> State<'_, F> {
    /// Whether a plate was made by the user, so that several nodes may share it.
    fn is_named(&self, plate: Plate) -> bool {
        self.plates.values().any(|known| *known == plate)
    }

    /// Fixes the reductions of some plates.
    fn use_plates(&mut self, plates: &[Plate], at: &'static Location<'static>) {
        for &plate in plates {
            if !self.used.iter().any(|(known, _)| *known == plate) {
                self.used.push((plate, at));
            }
        }
    }
}

pub(crate) struct NamedParameter<'t, F: Real> {
    pub(crate) name: String,
    pub(crate) var: Var<'t, F>,
    pub(crate) value: Tensor<F>,
    pub(crate) at: &'static Location<'static>,
}

impl<'t, F: Real> Graph<'t, F> {
    /// An empty graph whose noise is decided by a seed and a step.
    #[track_caller]
    pub fn new(tape: &'t Tape<F>, seed: Seed) -> Self {
        Self::with_noise(tape, Rc::new(KeyedNoise::new(seed.seed, seed.step)))
    }

    /// An empty graph with another source of noise. A tape holds one graph: a second one is an error, returned by its
    /// first fallible call.
    #[track_caller]
    pub fn with_noise(tape: &'t Tape<F>, noise: Rc<dyn NoiseSource<F> + 't>) -> Self {
        if !tape.begin_graph() || tape.site_count() > 0 {
            let message =
                "this tape holds a graph already; make another tape, or take it cleared from Workspace::tape()".into();
            tape.fail(TapeError::Other { message, at: Location::caller() });
        }
        let state = State {
            parameters: Vec::new(),
            nodes: Vec::new(),
            costs: Vec::new(),
            data: Vec::new(),
            qualifications: Vec::new(),
            open_paths: Vec::new(),
            plates: HashMap::new(),
            used: Vec::new(),
            addresses: HashMap::new(),
            log_probs: Vec::new(),
        };
        Graph {
            tape,
            noise,
            state: RefCell::new(state),
            validate: Cell::new(true),
            joint_distribution: Cell::new(false),
            model: None,
            replaced: None,
        }
    }

    /// The graph of a model that is given as a function. A method that asks what the cost would be, had a node been
    /// something else, can then run the model again where host code branches on samples.
    ///
    /// # Errors
    /// Those of the model.
    #[track_caller]
    pub fn from_model(tape: &'t Tape<F>, seed: Seed, model: &'t Model<'t, F>) -> GraphResult<Self> {
        let graph = Graph { model: Some(model), ..Self::new(tape, seed) };
        model(&graph)?;
        Ok(graph)
    }

    /// The total cost of the model, had a node had this value, under the same noise; `None` if there is no function to
    /// run.
    pub(crate) fn rerun(&self, address: &Address, value: Tensor<F>) -> Option<GraphResult<F>> {
        let model = self.model?;
        let tape = Tape::with_threads(self.tape.threads());
        let noise: Rc<dyn NoiseSource<F> + '_> = self.noise.clone();
        let mut graph = Graph::with_noise(&tape, noise);
        graph.validate.set(self.validate.get());
        graph.replaced = Some((address.clone(), value));
        Some(model(&graph).and_then(|()| {
            let total = graph.total_cost().peek()?;
            Ok(total.as_slice().first().copied().unwrap_or(F::NAN))
        }))
    }

    /// The tape.
    pub fn tape(&self) -> &'t Tape<F> {
        self.tape
    }

    pub(crate) fn noise(&self) -> &dyn NoiseSource<F> {
        &*self.noise
    }

    pub(crate) fn state(&self) -> Ref<'_, State<'t, F>> {
        self.state.borrow()
    }

    pub(crate) fn state_mut(&self) -> RefMut<'_, State<'t, F>> {
        self.state.borrow_mut()
    }

    /// Whether parameters of distributions are checked when a node is sampled (they are, unless this turns it off).
    pub fn set_validation(&self, validate: bool) {
        self.validate.set(validate);
    }

    /// Draws every node independently from its own distribution, whatever its gradient method, and records the
    /// log-probabilities of the draws: for the exact oracle, which weights whole outcomes by them. Nodes that are
    /// reparameterised draw differentiable samples instead.
    pub fn set_joint_distribution(&self, joint_distribution: bool) {
        self.joint_distribution.set(joint_distribution);
    }

    /// Whether the joint distribution is recorded: an objective then records its plain value, since no gradient method
    /// is in use.
    pub fn records_joint_distribution(&self) -> bool {
        self.joint_distribution.get()
    }

    /// A trainable parameter. The same tensor (the same buffer) under the same name is the same parameter.
    ///
    /// # Errors
    /// For another tensor under a name that exists.
    #[track_caller]
    pub fn param(&self, name: &str, value: impl IntoTensor<F>) -> GraphResult<Var<'t, F>> {
        self.param_on(name, &[], value)
    }

    /// A trainable parameter with a value for each member of some plates, which are its leading axes, in the order in
    /// which they were made: one gradient for each member. A cost that is averaged over a plate has the gradient of the
    /// average, so each of them carries a factor of one over the number of members.
    ///
    /// # Errors
    /// For another tensor under a name that exists, and leading axes that do not fit the plates.
    #[track_caller]
    pub fn param_on(&self, name: &str, plates: &[Plate], value: impl IntoTensor<F>) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        let value = value.into_tensor();
        if let Some(known) = self.state().parameters.iter().find(|parameter| parameter.name == name) {
            return if known.value.shares_buffer_with(&value) && known.value.shape() == value.shape() {
                Ok(known.var)
            } else {
                Err(GraphError::Duplicate { what: "parameter", name: name.into(), before: known.at, at })
            };
        }
        let var = self.tape.parameter_on(plates, &value);
        self.tape.check()?;
        self.state.borrow_mut().parameters.push(NamedParameter { name: name.into(), var, value, at });
        Ok(var)
    }

    /// The names of the parameters and their values on the tape, in the order in which they were made.
    pub fn parameters(&self) -> Vec<(String, Var<'t, F>)> {
        self.state().parameters.iter().map(|parameter| (parameter.name.clone(), parameter.var)).collect()
    }

    /// A value that needs no gradient.
    #[track_caller]
    pub fn constant(&self, value: impl IntoTensor<F>) -> Var<'t, F> {
        self.tape.constant(value)
    }

    /// Data: the leading axis becomes the plate of this name, over which costs are averaged. Data of the same plate
    /// name lies on the same plate and must have as many members. To a compiled graph, the data goes by the name of the
    /// plate; more data on the same plate needs a name of its own, see [`data_named`](Self::data_named).
    ///
    /// # Errors
    /// For data without members, or another number of them than before.
    #[track_caller]
    pub fn data(&self, plate: &str, value: impl IntoTensor<F>) -> GraphResult<Var<'t, F>> {
        self.data_named(plate, plate, value)
    }

    /// Data under a name of its own, on a plate that it may share with other data; see [`data`](Self::data).
    ///
    /// # Errors
    /// As [`data`](Self::data).
    #[track_caller]
    pub fn data_named(&self, name: &str, plate: &str, value: impl IntoTensor<F>) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        let value = value.into_tensor();
        let Some(&size) = value.shape().first() else {
            return Err(GraphError::Data {
                name: plate.into(),
                problem: "expected a leading axis for the members, got a single number".into(),
                at,
            });
        };
        let known = self.state().plates.get(plate).copied();
        let axis = match known {
            Some(axis) if self.tape.plate_size(axis) == size => axis,
            Some(axis) => {
                let problem = format!("expected {} members as before, got {size}", self.tape.plate_size(axis));
                return Err(GraphError::Data { name: plate.into(), problem, at });
            }
            None => self.new_plate(plate, size, PlateKind::Data, at)?,
        };
        let var = self.tape.constant_on(&[axis], value);
        self.state.borrow_mut().data.push((name.into(), var));
        Ok(var)
    }

    /// A named value without plates that needs no gradient: a buffer of a layer, or a statistic of the data. Unlike a
    /// [`constant`](Self::constant), it is an input of a compiled graph, which can be given another value for each run.
    /// The same tensor (the same buffer) under the same name is the same input.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let slope = graph.param("slope", 2.0)?;
    /// let mean = graph.input("mean", Tensor::scalar(3.0))?;
    /// graph.cost("loss", slope * mean)?;
    /// let mut compiled = graph.compile()?;
    /// compiled.set("slope", &Tensor::scalar(2.0))?;
    /// compiled.set("mean", &Tensor::scalar(5.0))?;
    /// assert_eq!(compiled.run(Seed::new(7))?.get("slope")?.item()?, 5.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// For another tensor under a name that exists.
    #[track_caller]
    pub fn input(&self, name: &str, value: impl IntoTensor<F>) -> GraphResult<Var<'t, F>> {
        let (value, at) = (value.into_tensor(), Location::caller());
        let known = self.state().data.iter().find(|(known, _)| known == name).map(|(_, var)| *var);
        if let Some(var) = known {
            if var.inspect()?.shares_buffer_with(&value) {
                return Ok(var);
            }
            let before = var.location().unwrap_or(at);
            return Err(GraphError::Duplicate { what: "input", name: name.into(), before, at });
        }
        let var = self.tape.constant(value);
        self.tape.check()?;
        self.state.borrow_mut().data.push((name.into(), var));
        Ok(var)
    }

    /// A plate of samples for several nodes to share, so that they have one set of members together.
    ///
    /// # Errors
    /// For a plate without members, or a name that exists.
    #[track_caller]
    pub fn plate(&self, name: &str, size: usize) -> GraphResult<Plate> {
        self.new_plate(name, size, PlateKind::Samples, Location::caller())
    }

    /// A plate of samples for several nodes to share, whose members need not be independent: nodes along it may be
    /// drawn by a plan.
    ///
    /// # Errors
    /// As [`plate`](Graph::plate).
    #[track_caller]
    pub fn scheme_plate(&self, name: &str, size: usize) -> GraphResult<Plate> {
        self.new_plate(name, size, PlateKind::SchemeSamples, Location::caller())
    }

    fn new_plate(
        &self,
        name: &str,
        size: usize,
        kind: PlateKind,
        at: &'static Location<'static>,
    ) -> GraphResult<Plate> {
        if size == 0 {
            return Err(GraphError::EmptyPlate { name: name.into(), at });
        }
        if self.state().plates.contains_key(name) {
            return Err(GraphError::Duplicate { what: "plate", name: name.into(), before: at, at });
        }
        let plate = self.tape.plate(name, size, kind, &[]);
        self.state.borrow_mut().plates.insert(name.into(), plate);
        Ok(plate)
    }

    /// The plate of this name: of data, or made with [`plate`](Graph::plate), or made by the method of the node of this
    /// name.
    ///
    /// While the [joint distribution](Graph::set_joint_distribution) is recorded, each node is drawn by itself,
    /// whatever plate its method would make (the states of a node that is enumerated, say). Such a node has a plate of
    /// one member, which its value lacks: an average over one member is the value itself.
    pub fn plate_named(&self, name: &str) -> Option<Plate> {
        let single = {
            let state = self.state();
            let node = || state.nodes.iter().find(|node| node.address.to_string() == name);
            match state.plates.get(name).copied().or_else(|| node().and_then(|node| node.plate)) {
                Some(plate) => return Some(plate),
                None if self.joint_distribution.get() => node()?.plates.clone(),
                None => return None,
            }
        };
        let plate = self.tape.plate(name, 1, PlateKind::Samples, &single);
        self.state.borrow_mut().plates.insert(name.into(), plate);
        Some(plate)
    }

    /// Says how costs are reduced over a plate: averaged (as all plates are at first), or summed, as for time steps.
    ///
    /// Say so right after making the plate. A node or a cost that carries the plate has used its reduction, which
    /// cannot change any more: an average that a cost was recorded with would silently become a sum.
    ///
    /// # Errors
    /// If a node or a cost has used the other reduction, and for a plate whose members have weights.
    #[track_caller]
    pub fn set_reduction(&self, plate: Plate, reduction: Reduction) -> GraphResult<()> {
        let at = Location::caller();
        let asked = match reduction {
            Reduction::Mean => Weights::Mean,
            Reduction::Sum => Weights::Sum,
        };
        if self.tape.weights(plate) == asked {
            return Ok(());
        }
        if let Some((_, used)) = self.state().used.iter().find(|(known, _)| *known == plate) {
            return Err(GraphError::Reduction { plate: self.tape.plate_name(plate), used, at });
        }
        self.tape.set_weights(plate, asked);
        Ok(())
    }

    /// A stochastic node: draws from a distribution, to be differentiated by a gradient method.
    ///
    /// # Errors
    /// For an address that exists, a parameter outside its domain, and earlier errors on the tape.
    #[track_caller]
    pub fn sample<D, M>(&self, address: impl Into<Address>, distribution: &D, method: &M) -> GraphResult<Var<'t, F>>
    where
        D: Live<'t, F>,
        M: GradientMethod<F, D::Family> + Clone + 'static,
    {
        let at = Location::caller();
        let address = address.into();
        self.tape.check()?;
        if let Some(before) = self.state().addresses.get(&address) {
            return Err(GraphError::Duplicate { what: "node", name: address.to_string(), before, at });
        }
        let parameters = distribution.parameters();
        let vars: Vec<Var<'t, F>> = parameters.iter().map(|parameter| parameter.var).collect();
        let mut plates = PlateSet::new();
        for var in &vars {
            if !std::ptr::eq(var.tape(), self.tape) {
                return Err(TapeError::Foreign { what: format!("a parameter of node \"{address}\""), at }.into());
            }
            plates.merge(&var.plates());
        }
        let context =
            SampleContext { tape: self.tape, noise: self.noise(), address: &address, plates, replayed: None, at };
        if self.validate.get() {
            distribution.validate().map_err(|source| context.error(source))?;
        }
        let mut set = self.tape.located(at, || {
            if self.joint_distribution.get() {
                self.sample_jointly(&context, distribution, method.sample_plate())
            } else {
                method.sample(&context, distribution)
            }
        })?;
        if let Some((_, value)) = self.replaced.as_ref().filter(|(replaced, _)| *replaced == address) {
            set.value = self.tape.constant_on(&set.value.plates(), value);
        }
        if let (Some(plate), Some((weights, differentiable))) = (set.plate, set.weights) {
            if self.state().is_named(plate) {
                return Err(GraphError::Refused {
                    node: address.to_string(),
                    method: method.name(),
                    problem: format!(
                        "its samples have weights, and other nodes may share plate \"{}\"; weighted samples need a plate of the \
                         node's own",
                        self.tape.plate_name(plate)
                    ),
                    at,
                });
            }
            let weights = if differentiable { weights } else { weights.stop_gradient() };
            self.tape.set_weights(plate, Weights::Given { id: weights.id(), differentiable });
        }
        let site = self.tape.new_site();
        let value = self.tape.located(at, || self.tape.sample(site, set.value, &vars));
        self.tape.check()?;
        let carried = context.plates.union(&value.plates()).union(set.plate.as_slice());
        let node = StochasticNode {
            site,
            value,
            plates: reduced_plates(self.tape, &carried),
            plate: set.plate,
            parameters,
            distribution: distribution.name(),
            method: Rc::new(Erased { distribution: D::Family::store(distribution), method: method.clone() }),
            at,
            address: address.clone(),
        };
        let mut state = self.state.borrow_mut();
        state.addresses.insert(address, at);
        state.use_plates(&node.plates, at);
        state.nodes.push(node);
        Ok(value)
    }

    /// Takes an address for something that is no node.
    pub(crate) fn claim(&self, address: &Address, at: &'static Location<'static>) -> GraphResult<()> {
        let addresses = &mut self.state.borrow_mut().addresses;
        match addresses.get(address) {
            None => {
                addresses.insert(address.clone(), at);
                Ok(())
            }
            Some(before) => {
                let name = address.to_string();
                Err(GraphError::Duplicate { what: "node or environment", name, before, at })
            }
        }
    }

    fn sample_jointly<D: Live<'t, F>>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D,
        setting: SamplePlate,
    ) -> GraphResult<SampleSet<'t, F>> {
        if let Some(reparameterized) = distribution.capabilities().reparameterized {
            let plate = context.sample_plate(setting)?;
            let value = reparameterized.rsample(&context.draw(plate)).map_err(|source| context.error(source))?;
            return Ok(SampleSet::equal(value, plate));
        }
        let set = context.independent(distribution, setting)?;
        let log_prob = distribution.log_prob(set.value);
        let total = log_prob.plates().iter().fold(log_prob, |sum, &plate| sum.sum_over(plate));
        self.state.borrow_mut().log_probs.push(total);
        Ok(set)
    }

    /// The log-probability of all draws together, if the joint distribution is recorded; see
    /// [`set_joint_distribution`](Graph::set_joint_distribution).
    pub fn joint_log_prob(&self) -> Var<'t, F> {
        let state = self.state();
        state.log_probs.iter().fold(self.tape.constant(0.0), |sum, &log_prob| sum + log_prob)
    }

    /// The sum of the recorded costs, averaged over their plates, without any gradient method: differentiable where the
    /// costs are.
    pub fn total_cost(&self) -> Var<'t, F> {
        let state = self.state();
        let mut total = self.tape.constant(0.0);
        for part in state.costs.iter().flat_map(|cost| &cost.parts) {
            total = total + reduce(part.value, &part.plates, &IdMap::identity(), false);
        }
        total
    }

    /// The names of the costs and their values as they were passed to [`cost`](Graph::cost): a number for each
    /// combination of members of the plates that the value carries, before the graph takes averages off it.
    pub fn passed_costs(&self) -> Vec<(String, Var<'t, F>)> {
        self.state().costs.iter().map(|cost| (cost.name.clone(), cost.passed)).collect()
    }

    /// A named cost: one number for each combination of plate members. The total expected cost is what is
    /// differentiated.
    ///
    /// Leave the plates in the cost: the surrogate averages them, and can then credit each member with its own cost. A
    /// plain `mean_over` at the end is taken off again. A function of a whole plate (`log_mean_exp_over`, as in IWAE)
    /// is a cost of all its members jointly.
    ///
    /// A cost may be infinite, and NaN where it belongs to a state of weight 0, as enumeration has them: the weight
    /// takes it away. Whether the estimate is finite in the end is checked when it is differentiated.
    ///
    /// # Errors
    /// For a cost with event axes, a NaN of any weight but 0, a name that exists, and earlier errors on the tape.
    #[track_caller]
    pub fn cost(&self, name: &str, value: Var<'t, F>) -> GraphResult<()> {
        let at = Location::caller();
        self.tape.check()?;
        if !std::ptr::eq(value.tape(), self.tape) {
            return Err(TapeError::Foreign { what: format!("cost \"{name}\""), at }.into());
        }
        if let Some(known) = self.state().costs.iter().find(|cost| cost.name == name) {
            return Err(GraphError::Duplicate { what: "cost", name: name.into(), before: known.at, at });
        }
        if !value.shape().is_empty() {
            let plates = value.plates();
            let plates =
                if plates.is_empty() { String::new() } else { format!(", plates {}", self.tape.plate_names(&plates)) };
            return Err(GraphError::CostShape { name: name.into(), shape: value.shape(), plates, at });
        }
        if let Some(position) = first_nan(value)? {
            let origin = self.tape.origin(value, position)?.map(Box::new);
            return Err(GraphError::CostNan { name: name.into(), position, origin, at });
        }
        let parts: Vec<_> = peel(value)
            .into_iter()
            .map(|part| {
                // Recorded anew, so that it descends from whatever host code has read by now.
                let value = part.reshape(Shape::scalar());
                Part { value, plates: reduced_plates(self.tape, &value.plates()) }
            })
            .collect();
        self.tape.check()?;
        let mut state = self.state.borrow_mut();
        parts.iter().for_each(|part| state.use_plates(&part.plates, at));
        state.costs.push(Cost { name: name.into(), passed: value, parts, at });
        Ok(())
    }
}
