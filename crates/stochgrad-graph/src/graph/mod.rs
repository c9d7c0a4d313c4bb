//! The stochastic computation graph: the recording of a model.

pub(crate) mod cost;
pub(crate) mod critic_value;
pub(crate) mod environment;
mod environment_step;
mod inputs;
mod mask;
mod next_values;
pub(crate) mod node;
mod objective;
mod outputs;
mod plates;
pub(crate) mod qualification;
pub(crate) mod redrawn;
mod sampling;
pub(crate) mod scan;
pub(crate) mod schedule;
pub(crate) mod state;
mod subset;

use crate::address::{Address, Seed};
use crate::error::GraphResult;
use crate::graph::node::StochasticNode;
use crate::graph::state::State;
use crate::method::node_method::NodeMethod;
use std::cell::{Cell, Ref, RefCell, RefMut};
use std::panic::Location;
use std::rc::Rc;
use stochgrad_distributions::{KeyedNoise, NoiseSource};
use stochgrad_tape::{Tape, TapeError};
use stochgrad_tensor::{Real, Tensor};

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
    /// The node whose value is replaced, when the model is run again for a replay.
    replaced: Option<(Address, Tensor<F>)>,
}

/// A model as a function that records it on a graph.
pub type Model<'m, F> = dyn Fn(&Graph<'_, F>) -> GraphResult<()> + 'm;

impl<'t, F: Real> Graph<'t, F> {
    /// An empty graph whose noise is determined by a seed and a step.
    #[track_caller]
    pub fn new(tape: &'t Tape<F>, seed: Seed) -> Self {
        Self::with_noise(tape, Rc::new(KeyedNoise::new(seed.seed, seed.step)))
    }

    /// An empty graph with another source of noise. A tape can hold one graph only; for a second graph on the same
    /// tape, the first fallible call returns an error.
    #[track_caller]
    pub fn with_noise(tape: &'t Tape<F>, noise: Rc<dyn NoiseSource<F> + 't>) -> Self {
        if !tape.begin_graph() || tape.site_count() > 0 {
            let message =
                "this tape holds a graph already; make another tape, or take it cleared from Workspace::tape()".into();
            tape.fail(TapeError::Other { message, at: Location::caller() });
        }
        Graph {
            tape,
            noise,
            state: RefCell::new(State::new()),
            validate: Cell::new(true),
            joint_distribution: Cell::new(false),
            model: None,
            replaced: None,
        }
    }

    /// The graph of a model that is given as a function. Use it for models in which host code branches on samples: a
    /// method that needs the cost for another value of a node can then run the model again.
    ///
    /// # Errors
    /// Those of the model.
    #[track_caller]
    pub fn from_model(tape: &'t Tape<F>, seed: Seed, model: &'t Model<'t, F>) -> GraphResult<Self> {
        let graph = Graph { model: Some(model), ..Self::new(tape, seed) };
        model(&graph)?;
        Ok(graph)
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

    /// The gradient methods of the nodes, in the order of recording, with their slots: what a checkpoint needs.
    ///
    /// ```
    /// # use stochgrad_graph::{Graph, Seed};
    /// # fn main() -> Result<(), stochgrad_graph::GraphError> {
    /// let tape = stochgrad_tape::Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// assert!(graph.methods().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn methods(&self) -> Vec<NodeMethod> {
        let described = |node: &StochasticNode<'t, F>| NodeMethod {
            node: node.address.to_string(),
            name: node.method.name(),
            slots: node.method.slots(),
        };
        self.state().nodes.iter().map(described).collect()
    }

    /// Sets whether the parameters of distributions are checked when a node is sampled. They are checked by default.
    pub fn set_validation(&self, validate: bool) {
        self.validate.set(validate);
    }

    /// Sets whether the joint distribution is recorded: every node is drawn independently from its own distribution,
    /// whatever its gradient method, and the log-probabilities of the draws are recorded. The exact oracle uses this to
    /// weight whole outcomes. Nodes with a reparameterised distribution draw differentiable samples instead.
    pub fn set_joint_distribution(&self, joint_distribution: bool) {
        self.joint_distribution.set(joint_distribution);
    }

    /// Whether the joint distribution is recorded. An objective then records its plain value, since no gradient method
    /// is in use.
    pub fn records_joint_distribution(&self) -> bool {
        self.joint_distribution.get()
    }
}
