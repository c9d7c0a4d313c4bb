//! What most programs need: `use stochgrad::prelude::*;`.

pub use stochgrad_check::{Oracle, StatisticalTest};
pub use stochgrad_distributions::{
    Bernoulli, Binomial, Categorical, ClosedFormEntropy, Distribution, Exponential, Gamma, Geometric, KlDivergence,
    Laplace, Normal, OneHotCategorical, Poisson, Side, Uniform,
};
pub use stochgrad_estimators::{
    Auto, Constant, Enumerate, FnBaseline, GumbelSoftmax, LeaveOneOut, MeasureValued, MovingAverage, Pathwise,
    ScoreFunction, StochasticDerivatives, Temperature,
};
pub use stochgrad_graph::{
    Bias, DynMethod, GradientMethod, Gradients, Graph, GraphError, GraphResult, Guarantee, Method, Order, SamplePlate,
    Seed,
};
pub use stochgrad_nn::{Activation, Adam, Linear, Mlp, Optimizer, Parameters, Sgd};
pub use stochgrad_tape::{Plate, Tape, TapeError, Var, Workspace};
pub use stochgrad_tensor::{Real, Shape, Tensor};
