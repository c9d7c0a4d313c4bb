//! What most programs need: `use stochgrad::prelude::*;`.

pub use stochgrad_check::{Oracle, StatisticalTest};
pub use stochgrad_distributions::{
    Bernoulli, Beta, Bijector, Binomial, Categorical, Cauchy, Chi2, ClosedFormEntropy, ContinuousBernoulli,
    CumulativeDistribution, Delta, Dirichlet, DiscreteUniform, Distribution, Empirical, Exponential, Gamma, Geometric,
    Gumbel, HalfCauchy, HalfNormal, Independent, InverseGamma, InverseGaussian, KlDivergence, Kumaraswamy, Laplace,
    Lkj, LogNormal, Logistic, LowRankMultivariateNormal, Maxwell, Mixture, MixtureSameFamily, Multinomial,
    MultivariateNormal, NegativeBinomial, Normal, OneHotCategorical, Pareto, Poisson, QuantileFunction, Rayleigh,
    RelaxedBernoulli, RelaxedOneHotCategorical, Side, Skellam, StudentT, TransformedDistribution, TruncatedNormal,
    Uniform, VonMises, Weibull, Wishart,
};
pub use stochgrad_estimators::{
    Arm, Arms, Ars, Arsm, Auto, BatchMean, BitFlip, Carms, CategoricalDisArm, Constant, ControlFunction, Copula,
    DeltaMethod, DirichletCopula, DisArm, DiscreteGo, DoubleControlVariate, EachCost, Enumerate, EvidenceBound,
    EvolutionStrategy, Fini, FiniteDifference, FnBaseline, FreshSample, GappedStraightThrough, GaussianCopula,
    GeneralizedReparameterization, GumbelRao, GumbelSoftmax, ImplicitPathwise, Importance, ImportanceSampling,
    LatinHypercube, Lax, LeaveOneOut, LinearControlVariates, LocalExpectation, MeasureValued, MovingAverage, MuProp,
    Mve, NoBaseline, Normalized, Nvil, OptimalBaseline, Ovis, Pathwise, PerCost, Rebar, ReinMax, Relax, ReplayBudget,
    Reservoir, Rodeo, SamplingScheme, ScoreFunction, SelfCritical, SimplexMap, Smoothed, Spsa, StochasticDerivatives,
    StraightThrough, SumAndSample, Temperature, Ugc, UnorderedSet, Vimco, WithoutReplacement, detached, log_variance,
};
pub use stochgrad_graph::{
    Bias, DynMethod, Environment, GradientMethod, Gradients, Graph, GraphError, GraphResult, Guarantee, MemberStep,
    Method, Order, Reduction, SamplePlate, Seed, StepEnd, Transition,
};
pub use stochgrad_nn::{Activation, Adam, Linear, Mlp, Optimizer, Parameters, Sgd};
pub use stochgrad_tape::{Plate, Tape, TapeError, Var, Workspace};
pub use stochgrad_tensor::{Real, Shape, Tensor};
