//! Gradient methods and baselines.
//!
//! A gradient method determines how a stochastic node is sampled and how its part of the gradient is estimated. Every
//! method implements [`GradientMethod`](stochgrad_graph::GradientMethod) for the distributions that offer what it
//! needs. The method is an argument of `Graph::sample`; a method that does not suit the distribution does not compile.
//!
//! | method | needs | bias | order |
//! |---|---|---|---|
//! | [`ScoreFunction`] | a support that does not depend on the parameters | none | any |
//! | [`Enumerate`] | a finite support | none | any |
//! | [`Pathwise`] | reparameterised samples, a continuous cost | none | any, 1 through kinks |
//! | [`SmoothedPerturbation`] | reparameterised samples with a distribution function, a cost that is continuous but where a sample crosses a threshold | none | that of [`Pathwise`]; 1 with a threshold |
//! | [`ImplicitPathwise`], [`Pairwise`] | a continuous distribution with a distribution function, a continuous cost | none | 1 |
//! | [`GeneralizedReparameterization`] | gamma variates, or other noise with a log-density; a continuous cost | none | 1 |
//! | [`MeasureValued`] | a weak derivative | none | 1 |
//! | [`StochasticDerivatives`] | jump rates of a discrete sample | none | 1 |
//! | [`UnorderedSet`], [`SumAndSample`], [`WithoutReplacement`] | a finite support | none | any |
//! | [`SequenceSet`] | sequences that were drawn without replacement | none | any |
//! | [`SumAndSampleAround`] | a finite support, and a method for the states that are left | that of the method | that of the method |
//! | [`ImportanceSampling`] | a support that does not depend on the parameters, and a distribution to draw from | none | any |
//! | [`Reservoir`], [`ReplayBudget`] | those of the method inside | none | 1 |
//! | [`LocalExpectation`] | a finite support | none | 1 |
//! | [`GradientCritic`] | reparameterised samples, a differentiable critic | the gradient; none for an exact critic | 1 |
//! | [`DiscreteGo`] | integers with a known distribution function | none | 1 |
//! | [`BitFlip`], [`Ugc`] | independent bits | none | 1 |
//! | [`Smoothed`] | jump rates of a discrete sample, a differentiable cost | the gradient | 1 |
//! | [`FiniteDifference`], [`Spsa`], [`EvolutionStrategy`] | nothing | the gradient | 1 |
//! | [`DisArm`], [`Arm`], [`Arms`] | independent bits | none | 1 |
//! | [`CategoricalDisArm`], [`Carms`], [`Arsm`], [`Ars`] | independent categories | none | 1 |
//! | [`DoubleControlVariate`] | a known mean | none | 1 |
//! | [`Rodeo`] | independent bits | none | 1 |
//! | [`Rebar`], [`Relax`] | a continuous relaxation | none | any, 1 through kinks |
//! | [`Lax`] | reparameterised samples, a support that does not depend on the parameters | none | any; that of [`Pathwise`] with the cost as control variate |
//! | [`StraightThrough`], [`ReinMax`], [`Mve`] | a continuous relaxation, a differentiable cost | the gradient; none for costs of degree 1, 2, 2 | 1 |
//! | [`Fini`] | counts with a quadratic variance, a differentiable cost | the gradient; none for costs up to a chosen degree | 1 |
//! | [`GumbelRao`], [`GappedStraightThrough`] | a continuous relaxation, a differentiable cost | the gradient | 1 |
//! | [`Simple`] | a finite support, a known mean, a differentiable cost | the gradient; none for affine costs | 1 |
//! | [`ImplicitMle`] | reparameterised scores and a [`LinearSolver`], a differentiable cost | the gradient | 1 |
//! | [`GumbelSinkhorn`] | reparameterised square matrices of scores, a differentiable cost | another distribution, or (straight-through) the gradient | any, or 1 |
//! | [`GeneralizedGumbelSoftmax`] | counts with a distribution function, a differentiable cost | another distribution | 1 |
//! | [`Auto`] | a finite support, reparameterised samples, or a support that does not depend on the parameters | none | any, 1 through kinks |
//! | [`GumbelSoftmax`] | a continuous relaxation, a differentiable cost | another distribution, or (straight-through) the gradient | any, or 1 |
//!
//! Baselines reduce the variance of the score function without a bias:
//!
//! | baseline | made of | order |
//! |---|---|---|
//! | [`LeaveOneOut`], [`BatchMean`], [`Vimco`], [`Ovis`] | other members | any |
//! | [`MovingAverage`], [`OptimalBaseline`], [`Nvil`] | past steps | any; 1 with a number for each element |
//! | [`SelfCritical`], [`FreshSample`], [`OvisMonteCarlo`] | a replay with another value | any |
//! | [`RecordedBaseline`] | what the model records, such as a greedy sequence | any |
//! | [`MuProp`], [`DeltaMethod`] | a Taylor polynomial at the mean | any |
//! | [`ControlFunction`], [`LinearControlVariates`] | functions with known means, fitted coefficients | any |
//! | [`Constant`], [`FnBaseline`], the user's own [`Baseline`] | what the user knows | any |
//!
//! [`PerCost`] and [`EachCost`] use a separate baseline for each cost. [`Normalized`] divides by the running standard
//! deviation, and is biased. [`log_variance`] is an objective with the gradient of leave-one-out. A [`SamplingScheme`]
//! draws the samples of a node jointly (antithetic, stratified, systematic, Sobol), which lowers the variance of their
//! mean.
//!
//! *Critics* are recorded estimates of the costs downstream, which can share layers with the model: [`StateValue`] is a
//! baseline, and [`Advantage`] and [`ActionValues`] take the place of the costs, which is biased unless the critic is
//! exact. [`Trajectory`] computes returns and generalised advantages, and [`CriticFit`] trains a critic.
//!
//! An *objective* records a cost whose gradient can be estimated in several ways: [`EvidenceBound`] records the ELBO
//! and the importance-weighted bounds, [`WakeSleep`] both phases of reweighted wake–sleep, and [`ThermodynamicObjective`]
//! the bounds by thermodynamic integration.
//!
//! Functions of expectations, $g(\mathbb E X)$:
//!
//! | function | estimator | bias |
//! |---|---|---|
//! | products and polynomials | [`product_of_means`], [`polynomial_of_mean`] | none |
//! | power series, such as exp and ln | [`MeanSeries`] | none, or that of a polynomial |
//! | any | [`plug_in`] | of the order $1/K$ |
//! | any | [`Telescope`] over [`antithetic_difference`] | none |
//! | any, over given levels | [`Allocation`], [`MultilevelMonteCarlo`] | that of the last level |
//!
//! A [`LinearSolver`] records the solution of a linear problem (a subset, a matching, a tree) for perturbed scores.
//!
//! The value of a policy from data that another policy has logged is estimated by [`LoggedData`]: inverse propensities,
//! per decision, self-normalised, doubly robust, truncated.
//! Scores of distributions without a known density, $\nabla_x \ln q(x)$: [`SpectralStein`] and [`SteinGradient`]
//! estimate them from samples, [`implicit_log_density`] uses them in variational inference, and [`score_matching`],
//! [`sliced_score_matching`] and [`denoising_score_matching`] are objectives for models of a score.
//!
//! Your own methods and baselines implement the same traits; [`extension`] has their building blocks. The surrogate and
//! replays are the task of `stochgrad-graph`.

mod antithetic;
mod auto;
mod common;
mod control_variate;
mod counterfactual;
mod critic;
mod enumeration;
mod expectations;
pub mod extension;
mod objectives;
mod off_policy;
mod pathwise;
mod relaxation;
mod score_function;
mod scores;
#[cfg(feature = "serde")]
mod settings;
#[cfg(test)]
mod testing;

pub use antithetic::arm::Arm;
pub use antithetic::arms::Arms;
pub use antithetic::ars::Ars;
pub use antithetic::arsm::Arsm;
pub use antithetic::carms::Carms;
pub use antithetic::categorical_disarm::CategoricalDisArm;
pub use antithetic::copula::{Copula, DirichletCopula, GaussianCopula, LatinHypercube};
pub use antithetic::disarm::DisArm;
pub use antithetic::ugc::Ugc;
pub use auto::Auto;
pub use control_variate::double_control_variate::DoubleControlVariate;
pub use control_variate::lax::Lax;
pub use control_variate::rebar::Rebar;
pub use control_variate::relax::Relax;
pub use control_variate::rodeo::Rodeo;
pub use counterfactual::bit_flip::BitFlip;
pub use counterfactual::discrete_go::DiscreteGo;
pub use counterfactual::evolution_strategy::EvolutionStrategy;
pub use counterfactual::finite_difference::FiniteDifference;
pub use counterfactual::measure_valued::MeasureValued;
pub use counterfactual::perturbation::Perturbation;
pub use counterfactual::replay_budget::{Importance, ReplayBudget};
pub use counterfactual::reservoir::Reservoir;
pub use counterfactual::smoothed::Smoothed;
pub use counterfactual::spsa::Spsa;
pub use counterfactual::stochastic_derivatives::StochasticDerivatives;
pub use critic::{ActionValues, Advantage, CriticFit, GradientCritic, StateValue, Trajectory};
pub use enumeration::enumerate::Enumerate;
pub use enumeration::local_expectation::LocalExpectation;
pub use enumeration::sequence_set::SequenceSet;
pub use enumeration::sum_and_sample::SumAndSample;
pub use enumeration::sum_and_sample::around::SumAndSampleAround;
pub use enumeration::unordered_set::UnorderedSet;
pub use enumeration::without_replacement::WithoutReplacement;
pub use expectations::accept_reject::accept_reject_weights;
pub use expectations::allocation::Allocation;
pub use expectations::antithetic_difference::antithetic_difference;
pub use expectations::level_statistics::LevelStatistics;
pub use expectations::levels::Levels;
pub use expectations::mean_series::MeanSeries;
pub use expectations::multilevel::{MultilevelMonteCarlo, MultilevelReport};
pub use expectations::plug_in::plug_in;
pub use expectations::polynomial::polynomial_of_mean;
pub use expectations::products::product_of_means;
pub use expectations::telescope::{Telescope, TelescopeMoments};
pub use objectives::{EvidenceBound, Prior, ThermodynamicObjective, WakeSleep};
pub use off_policy::action_value_model::ActionValueModel;
pub use off_policy::logged_action::LoggedAction;
pub use off_policy::logged_data::LoggedData;
pub use off_policy::value_estimate::ValueEstimate;
pub use off_policy::weight_diagnostics::WeightDiagnostics;
pub use pathwise::Pathwise;
pub use pathwise::generalized::GeneralizedReparameterization;
pub use pathwise::implicit::ImplicitPathwise;
pub use pathwise::pairwise::Pairwise;
pub use pathwise::smoothed_perturbation::SmoothedPerturbation;
pub use relaxation::fini::Fini;
pub use relaxation::gapped_straight_through::GappedStraightThrough;
pub use relaxation::generalized_gumbel_softmax::GeneralizedGumbelSoftmax;
pub use relaxation::gumbel_rao::GumbelRao;
pub use relaxation::gumbel_sinkhorn::GumbelSinkhorn;
pub use relaxation::gumbel_softmax::GumbelSoftmax;
pub use relaxation::implicit_mle::ImplicitMle;
pub use relaxation::linear_solver::LinearSolver;
pub use relaxation::mve::Mve;
pub use relaxation::reinmax::ReinMax;
pub use relaxation::simple::Simple;
pub use relaxation::simplex_map::SimplexMap;
pub use relaxation::straight_through::StraightThrough;
pub use relaxation::temperature::Temperature;
pub use score_function::ScoreFunction;
pub use score_function::baseline::{
    Baseline, Baselines, BatchMean, Constant, ControlFunction, CostBaseline, DeltaMethod, DynBaseline, EachCost,
    FnBaseline, FreshSample, LeaveOneOut, LinearControlVariates, Memory, MovingAverage, MuProp, NoBaseline, Normalized,
    Nvil, OptimalBaseline, Ovis, OvisMonteCarlo, PerCost, RecordedBaseline, SelfCritical, Vimco,
};
pub use score_function::importance_sampling::ImportanceSampling;
pub use score_function::log_variance::{detached, log_variance};
pub use score_function::proposal::{GivenProposal, OverdispersedProposal, Proposal, ProposalKind};
pub use scores::implicit_entropy::implicit_log_density;
pub use scores::kernel_width::KernelWidth;
pub use scores::score_matching::{denoising_score_matching, score_matching, score_of, sliced_score_matching};
pub use scores::spectral_stein::SpectralStein;
pub use scores::stein_gradient::SteinGradient;
#[cfg(feature = "serde")]
pub use settings::{BaselineSettings, ConfiguredFamily, MethodSettings};
pub use stochgrad_tensor::sampling_scheme::SamplingScheme;
