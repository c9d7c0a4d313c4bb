//! Gradient methods and baselines.
//!
//! A gradient method says how a stochastic node is sampled and how its part of the gradient is estimated. All of them
//! implement [`GradientMethod`](stochgrad_graph::GradientMethod) for the distributions that can do what they need; swapping one for
//! another is one argument of `Graph::sample`, and a pairing that would be wrong does not compile.
//!
//! | method | needs | bias | order |
//! |---|---|---|---|
//! | [`ScoreFunction`] | a support that does not depend on the parameters | none | any |
//! | [`Enumerate`] | a finite support | none | any |
//! | [`Pathwise`] | reparameterised samples, a continuous cost | none | any, 1 through kinks |
//! | [`ImplicitPathwise`] | a continuous distribution with a distribution function, a continuous cost | none | 1 |
//! | [`GeneralizedReparameterization`] | gamma numbers, or other noise with a log-density; a continuous cost | none | 1 |
//! | [`MeasureValued`] | a weak derivative | none | 1 |
//! | [`StochasticDerivatives`] | jump rates of a discrete sample | none | 1 |
//! | [`UnorderedSet`], [`SumAndSample`], [`WithoutReplacement`] | a finite support | none | any |
//! | [`ImportanceSampling`] | a support that does not depend on the parameters, and a distribution to draw from | none | any |
//! | [`Reservoir`], [`ReplayBudget`] | those of the method that they are made of | none | 1 |
//! | [`LocalExpectation`] | a finite support | none | 1 |
//! | [`DiscreteGo`] | whole numbers with a known distribution function | none | 1 |
//! | [`BitFlip`], [`Ugc`] | independent bits | none | 1 |
//! | [`Smoothed`] | jump rates of a discrete sample, a differentiable cost | the gradient | 1 |
//! | [`FiniteDifference`], [`Spsa`], [`EvolutionStrategy`] | nothing | the gradient | 1 |
//! | [`DisArm`], [`Arm`], [`Arms`] | independent bits | none | 1 |
//! | [`CategoricalDisArm`], [`Carms`], [`Arsm`], [`Ars`] | independent categories | none | 1 |
//! | [`DoubleControlVariate`] | a known mean | none | 1 |
//! | [`Rodeo`] | independent bits | none | 1 |
//! | [`Rebar`], [`Relax`] | a continuous relaxation | none | 1 |
//! | [`Lax`] | reparameterised samples, a support that does not depend on the parameters | none | any; that of [`Pathwise`] with the cost as control variate |
//! | [`StraightThrough`], [`ReinMax`], [`Mve`] | a continuous relaxation, a differentiable cost | the gradient; none for costs of degree 1, 2, 2 | 1 |
//! | [`Fini`] | counts with a quadratic variance, a differentiable cost | the gradient; none for costs up to a chosen degree | 1 |
//! | [`GumbelRao`], [`GappedStraightThrough`] | a continuous relaxation, a differentiable cost | the gradient | 1 |
//! | [`Auto`] | a finite support, reparameterised samples, or a support that does not depend on the parameters | none | any, 1 through kinks |
//! | [`GumbelSoftmax`] | a continuous relaxation, a differentiable cost | another distribution, or (straight-through) the gradient | any, or 1 |
//!
//! Baselines reduce the variance of the score function, and leave it unbiased:
//!
//! | baseline | made of | order |
//! |---|---|---|
//! | [`LeaveOneOut`], [`BatchMean`], [`Vimco`], [`Ovis`] | other members | any |
//! | [`MovingAverage`], [`OptimalBaseline`], [`Nvil`] | past steps | any; 1 with a number for each element |
//! | [`SelfCritical`], [`FreshSample`] | a replay with another value | any |
//! | [`MuProp`], [`DeltaMethod`] | a Taylor polynomial at the mean | any |
//! | [`ControlFunction`], [`LinearControlVariates`] | functions with known means, fitted coefficients | any |
//! | [`Constant`], [`FnBaseline`], the user's own [`Baseline`] | what the user knows | any |
//!
//! [`PerCost`] and [`EachCost`] give each cost its own. [`Normalized`] divides by the running deviation, and is biased. [`log_variance`] is an
//! objective whose gradient is that of leave-one-out.
//! A [`SamplingScheme`] makes the samples of a node keep out of one another's way.
//!
//! An *objective* records a cost whose gradient can be estimated in several ways: [`EvidenceBound`], the ELBO and the bounds of importance weighting.
//!
//! This crate knows no surrogate and no replay: it hands the six parts of a method to `stochgrad-graph`. The user's own methods
//! implement the same trait.

mod antithetic;
mod arm;
mod arms;
mod ars;
mod arsm;
mod auto;
mod baseline;
mod bit_flip;
mod boundary;
mod carms;
mod categorical_disarm;
#[cfg(test)]
mod category_models;
mod copula;
mod cost_learner;
mod decisions;
mod dependence;
mod disarm;
mod discrete_go;
mod distinct_states;
mod double_control_variate;
mod enumerate;
mod evolution_strategy;
mod fini;
mod finite_difference;
mod forwarded;
mod gapped_straight_through;
mod generalized_reparameterization;
mod gumbel_rao;
mod gumbel_softmax;
mod hard_samples;
mod implicit_pathwise;
mod importance_sampling;
#[cfg(test)]
mod impossible_outcomes;
mod lax;
mod local_expectation;
mod log_variance;
mod measure_valued;
mod member_gradients;
#[cfg(test)]
mod models;
mod mve;
mod objectives;
mod own_parameters;
mod pathwise;
mod perturbation;
mod picked_element;
mod proposal;
mod random_directions;
mod rebar;
mod reinmax;
mod relax;
mod relaxed_control;
mod replay_budget;
mod reservoir;
mod rodeo;
mod running_means;
#[cfg(test)]
mod sampling_schemes;
mod score_function;
mod shared_replays;
mod shifted_parameters;
mod simplex_map;
mod smoothed;
mod spsa;
mod stochastic_derivative;
mod straight_through;
mod sum_and_sample;
mod surrogate_network;
mod swaps;
mod temperature;
mod ugc;
mod unordered_set;
#[cfg(test)]
mod varying_parameters;
mod without_replacement;

pub use arm::Arm;
pub use arms::Arms;
pub use ars::Ars;
pub use arsm::Arsm;
pub use auto::Auto;
pub use baseline::{
    Baseline, Baselines, BatchMean, Constant, ControlFunction, CostBaseline, DeltaMethod, DynBaseline, EachCost,
    FnBaseline, FreshSample, LeaveOneOut, LinearControlVariates, Memory, MovingAverage, MuProp, NoBaseline, Normalized,
    Nvil, OptimalBaseline, Ovis, PerCost, SelfCritical, Vimco,
};
pub use bit_flip::BitFlip;
pub use carms::Carms;
pub use categorical_disarm::CategoricalDisArm;
pub use copula::{Copula, DirichletCopula, GaussianCopula, LatinHypercube};
pub use disarm::DisArm;
pub use discrete_go::DiscreteGo;
pub use double_control_variate::DoubleControlVariate;
pub use enumerate::Enumerate;
pub use evolution_strategy::EvolutionStrategy;
pub use fini::Fini;
pub use finite_difference::FiniteDifference;
pub use gapped_straight_through::GappedStraightThrough;
pub use generalized_reparameterization::GeneralizedReparameterization;
pub use gumbel_rao::GumbelRao;
pub use gumbel_softmax::GumbelSoftmax;
pub use implicit_pathwise::ImplicitPathwise;
pub use importance_sampling::ImportanceSampling;
pub use lax::Lax;
pub use local_expectation::LocalExpectation;
pub use log_variance::{detached, log_variance};
pub use measure_valued::MeasureValued;
pub use mve::Mve;
pub use objectives::{EvidenceBound, Prior};
pub use pathwise::Pathwise;
pub use perturbation::Perturbation;
pub use proposal::{GivenProposal, OverdispersedProposal, Proposal, ProposalKind};
pub use rebar::Rebar;
pub use reinmax::ReinMax;
pub use relax::Relax;
pub use replay_budget::{Importance, ReplayBudget};
pub use reservoir::Reservoir;
pub use rodeo::Rodeo;
pub use score_function::ScoreFunction;
pub use simplex_map::SimplexMap;
pub use smoothed::Smoothed;
pub use spsa::Spsa;
pub use stochastic_derivative::StochasticDerivatives;
pub use stochgrad_tensor::sampling_scheme::SamplingScheme;
pub use straight_through::StraightThrough;
pub use sum_and_sample::SumAndSample;
pub use temperature::Temperature;
pub use ugc::Ugc;
pub use unordered_set::UnorderedSet;
pub use without_replacement::WithoutReplacement;
