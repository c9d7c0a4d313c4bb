//! The errors of a graph.

use std::error::Error;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_distributions::{DistributionError, Order};
use stochgrad_tape::{CommunicationError, Origin, TapeError};
use stochgrad_tensor::{Shape, TensorError};

/// The result of a fallible operation on a graph.
pub type GraphResult<T> = Result<T, GraphError>;

stochgrad_tensor::message_as_debug!(GraphError);

/// An error of a stochastic computation graph.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An error of the tape, such as operands that do not fit.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// An error of a tensor that a model makes, such as a shape that does not fit the number of elements.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// An error of a distribution, such as a parameter outside its domain.
    #[error("node \"{node}\": {source} ({at})")]
    Distribution {
        /// The stochastic node.
        node: String,
        /// What is wrong.
        source: DistributionError,
        /// Where the node was sampled.
        at: &'static Location<'static>,
    },
    /// An error in a run of a compiled graph.
    #[error("step {step}: {source}")]
    Step {
        /// The step of the [`Seed`](crate::Seed) of the run.
        step: u64,
        /// The error, which is that of a recording of this step.
        source: Box<GraphError>,
    },
    /// A name that is already in use.
    #[error(
        "{what} \"{name}\" exists already, from {before} ({at}); noise and gradients are found by name, so use another \
         name, or an index as in (\"{name}\", t)"
    )]
    Duplicate {
        /// Node, cost, parameter or plate.
        what: &'static str,
        /// The name.
        name: String,
        /// Where it was made first.
        before: &'static Location<'static>,
        /// Where it was made again.
        at: &'static Location<'static>,
    },
    /// An unknown name.
    #[error("no {what} is called \"{name}\"; there are: {known}")]
    Unknown {
        /// Cost or parameter.
        what: &'static str,
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A graph without costs.
    #[error("the graph has no cost, so there is nothing to differentiate; record one with graph.cost(name, value)")]
    NoCost,
    /// A loop that cannot be recorded.
    #[error("scan \"{name}\": {problem} ({at})")]
    Scan {
        /// The loop.
        name: String,
        /// What is wrong.
        problem: String,
        /// Where it was recorded.
        at: &'static Location<'static>,
    },
    /// A comparison of a parameter with noise, of whose jump the derivative would be missing.
    #[error("{problem}")]
    LostJump {
        /// The operation, where it was recorded, what is wrong, and what to try.
        problem: String,
    },
    /// A model of sequences that cannot be recorded.
    #[error("sequences \"{name}\": {problem} ({at})")]
    Sequence {
        /// The name of the sequences or of the search.
        name: String,
        /// What was expected, what was got, and what to try.
        problem: String,
        /// Where it was recorded.
        at: &'static Location<'static>,
    },
    /// A cost with event axes.
    #[error(
        "cost \"{name}\": expected a scalar for each combination of plate members, got event shape {shape}{plates} \
         ({at}); reduce it with sum() or mean()"
    )]
    CostShape {
        /// The cost.
        name: String,
        /// Its event shape.
        shape: Shape,
        /// Its plates, in words.
        plates: String,
        /// Where it was recorded.
        at: &'static Location<'static>,
    },
    /// A cost that is NaN.
    #[error(
        "cost \"{name}\" is NaN at position {position} ({at}){}",
        .origin.as_ref().map_or(String::new(), |origin| format!(": {origin}"))
    )]
    CostNan {
        /// The cost.
        name: String,
        /// The position of the first NaN.
        position: usize,
        /// The operation that first produced the NaN, and what to try.
        origin: Option<Box<Origin>>,
        /// Where it was recorded.
        at: &'static Location<'static>,
    },
    /// A gradient, or the estimate of a cost, that is NaN or infinite.
    #[error(
        "{what} is {value} at position {position}{}",
        .origin.as_ref().map_or(String::new(), |origin| format!(": {origin}"))
    )]
    NotFinite {
        /// What is not finite, in words: the gradient with respect to a parameter, or the estimate of a cost.
        what: String,
        /// NaN, ∞ or −∞.
        value: &'static str,
        /// The first such position, in row-major order.
        position: usize,
        /// The operation that first produced it, its place in the source, and what to try.
        origin: Option<Box<Origin>>,
    },
    /// A plate without members.
    #[error("plate \"{name}\" has no members ({at}); make it with at least one")]
    EmptyPlate {
        /// The plate.
        name: String,
        /// Where it was made.
        at: &'static Location<'static>,
    },
    /// A change of the reduction of a plate that has been used.
    #[error(
        "plate \"{plate}\" was used at {used}, which fixed its reduction ({at}); call set_reduction() right after \
         making it, before the first node or cost that carries the plate"
    )]
    Reduction {
        /// The plate.
        plate: String,
        /// Where a node or a cost first used it.
        used: &'static Location<'static>,
        /// Where another reduction was requested.
        at: &'static Location<'static>,
    },
    /// Host code read one of several values that are not independent draws.
    #[error(
        "node \"{node}\" ({method}): host code read its values along plate \"{plate}\", which are not independent \
         draws ({at}), so that a result computed from one of them has no expectation. Write a branch with select(), \
         average over plate \"{plate}\" before reading, read with peek() if nothing depends on the value, or use \
         ScoreFunction for the node"
    )]
    HostRead {
        /// The stochastic node.
        node: String,
        /// Its gradient method.
        method: String,
        /// The plate of its values.
        plate: String,
        /// Where the value was read.
        at: &'static Location<'static>,
    },
    /// Data that does not fit its plate.
    #[error("data \"{name}\": {problem} ({at})")]
    Data {
        /// The data.
        name: String,
        /// What was expected and what was passed.
        problem: String,
        /// Where it was passed.
        at: &'static Location<'static>,
    },
    /// A gradient method that cannot be used on its node.
    #[error("node \"{node}\" ({method}): {problem} ({at})")]
    Refused {
        /// The stochastic node.
        node: String,
        /// Its gradient method.
        method: String,
        /// Why, and what to try.
        problem: String,
        /// Where the node was sampled.
        at: &'static Location<'static>,
    },
    /// A method that cannot take the place of the one of a node.
    #[error("replacement of the method of node \"{node}\": {problem} ({at})")]
    Replacement {
        /// The stochastic node.
        node: String,
        /// What was expected, what was passed, and what to try.
        problem: String,
        /// Where the node was sampled.
        at: &'static Location<'static>,
    },
    /// An environment that cannot be stepped.
    #[error("environment \"{name}\": {problem} ({at})")]
    Environment {
        /// The address of the step.
        name: String,
        /// What was expected, what was passed, and what to try.
        problem: String,
        /// Where it was recorded.
        at: &'static Location<'static>,
    },
    /// Factors that are not used, or an evidence that cannot be computed.
    #[error("evidence: {problem} ({at})")]
    Evidence {
        /// What is wrong, and what to try.
        problem: String,
        /// Where it was recorded.
        at: &'static Location<'static>,
    },
    /// An objective that cannot be recorded.
    #[error("objective \"{name}\": {problem} ({at})")]
    Objective {
        /// Its name, which is that of the cost.
        name: String,
        /// What was expected, what was passed, and what to try.
        problem: String,
        /// Where it was recorded.
        at: &'static Location<'static>,
    },
    /// A derivative of a higher order than the gradient methods guarantee.
    #[error(
        "derivative of order {asked} with respect to \"{parameter}\": the gradient methods of this graph are valid up \
         to order {guaranteed}{because}; choose methods of higher order there (score function, enumeration, pathwise \
         through smooth functions)"
    )]
    Order {
        /// The parameter.
        parameter: String,
        /// The requested order.
        asked: usize,
        /// The guaranteed order.
        guaranteed: Order,
        /// The node that limits it, in words.
        because: String,
    },
    /// A graph that cannot be compiled.
    #[error("cannot compile: {problem}")]
    Compile {
        /// Why, and what to try.
        problem: String,
    },
    /// A graph that cannot be compiled, since the draws or the terms of a node are made by host code.
    #[error("cannot compile: {problem}")]
    HostNode {
        /// Which node, why, and what to try.
        problem: String,
    },
    /// A model that records something else at another step, although a compiled graph repeats one recording.
    #[error(
        "{at} recorded {first} at step {first_step} and {second} at step {second_step}; a compiled graph would keep \
         the first: pass a value of the host that changes from step to step with record.schedule or record.input"
    )]
    Frozen {
        /// What was recorded first, in words.
        first: String,
        /// The step of the first recording.
        first_step: u64,
        /// What was recorded later, in words.
        second: String,
        /// The step of the later recording.
        second_step: u64,
        /// The line that recorded it.
        at: &'static Location<'static>,
    },
    /// An error of the code of a model, such as a file that cannot be read. See [`GraphError::model`].
    #[error(transparent)]
    Model(ModelError),
    /// A counterfactual replay whose result would be wrong.
    #[error("replay of node \"{node}\": {problem} ({at})")]
    Replay {
        /// The node whose value is replaced.
        node: String,
        /// Why, and what to try.
        problem: String,
        /// The place in the source that prevents the replay.
        at: &'static Location<'static>,
    },
    /// A loaded state that does not belong to the gradient method.
    #[error("state of gradient method {method}: {problem}")]
    State {
        /// The gradient method.
        method: String,
        /// What was expected and what was loaded.
        problem: String,
    },
}

impl From<CommunicationError> for GraphError {
    fn from(error: CommunicationError) -> Self {
        GraphError::Tape(error.into())
    }
}

/// Any error that the code of a model returns. Two of them are equal if they are the same one.
#[derive(Clone)]
pub struct ModelError(Arc<dyn Error + Send + Sync>);

impl ModelError {
    /// The error itself, to be downcast to its type.
    pub fn get(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

stochgrad_tensor::message_as_debug!(ModelError);

impl std::fmt::Display for ModelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for ModelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl PartialEq for ModelError {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// An error of a function of distributions that a model calls outside of a node, such as a divergence.
impl From<DistributionError> for GraphError {
    fn from(error: DistributionError) -> Self {
        match error {
            DistributionError::Tape(error) => error.into(),
            error => GraphError::model(error),
        }
    }
}

impl GraphError {
    /// An error of the code of a model, which is then returned by whatever runs the model.
    ///
    /// ```
    /// use stochgrad_graph::GraphError;
    ///
    /// let parsed = "many".parse::<usize>().map_err(GraphError::model);
    /// assert_eq!(parsed.unwrap_err().to_string(), "invalid digit found in string");
    /// ```
    pub fn model(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        GraphError::Model(ModelError(Arc::from(error.into())))
    }

    /// Whether this is the error of [`Graph::compile`](crate::Graph::compile) for a recording that cannot be repeated,
    /// since host code took part in it. Every step has to be recorded then.
    pub fn is_host_code(&self) -> bool {
        matches!(self, GraphError::HostNode { .. } | GraphError::Tape(TapeError::NotRepeatable { .. }))
    }
}
