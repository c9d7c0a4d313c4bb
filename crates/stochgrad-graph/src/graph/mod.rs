//! The stochastic computation graph: what the user records.

pub(crate) mod cost;
pub(crate) mod environment;
mod environment_step;
mod inputs;
pub(crate) mod node;
mod objective;
mod plates;
pub(crate) mod qualification;
mod sampling;
pub(crate) mod state;

use crate::address::{Address, Seed};
use crate::error::GraphResult;
use crate::graph::state::State;
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
    /// In a re-run of the model: the node whose value is replaced.
    replaced: Option<(Address, Tensor<F>)>,
}

/// A model as a function that records it.
pub type Model<'m, F> = dyn Fn(&Graph<'_, F>) -> GraphResult<()> + 'm;

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
}
