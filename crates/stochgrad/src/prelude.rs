//! What most programs need: `use stochgrad::prelude::*;`.

pub use stochgrad_distributions::{Bernoulli, Categorical, Distribution, KlDivergence, Normal, OneHotCategorical};
pub use stochgrad_estimators::{
    Auto, Enumerate, GumbelSoftmax, LeaveOneOut, MeasureValued, MovingAverage, Pathwise, ScoreFunction,
};
pub use stochgrad_graph::{DynMethod, GradientMethod, Gradients, Graph, GraphError, GraphResult, Method, Seed};
pub use stochgrad_nn::{Activation, Adam, Linear, Mlp, Optimizer, Parameters, Sgd};
pub use stochgrad_tape::{Plate, Tape, Var, Workspace};
pub use stochgrad_tensor::{Real, Tensor};
