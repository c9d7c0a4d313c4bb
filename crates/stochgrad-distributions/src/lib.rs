//! Probability distributions with the derivatives that stochastic gradients need.
//!
//! A [`Distribution`] has a log-probability and draws samples. Its capabilities are further traits: the sample path as
//! a function of the parameters ([`Reparameterized`]), the list of values ([`FiniteSupport`]), derivatives of the
//! distribution itself ([`WeakDerivative`], [`StochasticDerivative`]), continuous relaxations ([`Relaxed`]) and others.
//! Each gradient method demands the traits that it needs, so that a wrong combination does not compile.
//!
//! ```
//! use stochgrad_distributions::{Distribution, KlDivergence, Normal};
//! use stochgrad_tape::Tape;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tape = Tape::<f64>::new();
//! let location = tape.parameter([0.5, -1.0]);
//! let q = Normal::new(location, 1.0);
//! let prior = Normal::new(location * 0.0, 1.0);
//! let divergence = q.kl_to(&prior);
//! let [gradient] = tape.backward(divergence, [location])?;
//! assert_eq!(gradient.as_slice(), &[0.5, -1.0]);
//! # Ok(())
//! # }
//! ```
//!
//! | you want to | use |
//! |---|---|
//! | draw values without a tape, with a generator of the crate [`rand`] | [`TensorDistribution`] |
//! | write your own distribution | [`distribution!`], or [`Distribution`] and [`family!`] |
//! | check it | the module [`testing`] |
//! | write your own invertible map | [`InvertibleMap`] and [`map_family!`] |
//! | estimate a divergence without a closed form | [`monte_carlo_kl`] |
//!
//! All randomness comes from a [`NoiseSource`], which gives noise by address, so that runs are reproducible. This crate
//! depends on no gradient method and no graph.

mod compound;
mod continuous;
mod derivative;
mod discrete;
mod distribution;
mod divergence;
mod error;
mod multivariate;
mod noise;
mod parameter;
mod prelude;
mod series;
#[cfg(feature = "serde")]
mod settings;
pub mod testing;

pub use compound::{
    Bijector, Censored, Composition, Hurdle, Independent, InvertibleMap, LiveMap, Mixture, MixtureSameFamily,
    OwnSample, Preimage, Quantized, StoredMap, TensorMap, TransformedDistribution, Truncated, ZeroInflated,
};
pub use continuous::{
    AsymmetricLaplace, Beta, Cauchy, Chi, Chi2, ContinuousBernoulli, Exponential, ExponentiallyModifiedGaussian,
    FisherF, Gamma, GeneralizedExtremeValue, GeneralizedNormal, GeneralizedPareto, Gumbel, HalfCauchy, HalfNormal,
    HalfStudentT, Horseshoe, InverseGamma, InverseGaussian, JohnsonSu, Kumaraswamy, Laplace, Levy, LogLogistic,
    LogNormal, Logistic, Maxwell, Moyal, Normal, NormalInverseGaussian, Pareto, Rayleigh, RelaxedBernoulli,
    SinhArcsinh, SkewNormal, StudentT, Triangular, TruncatedNormal, Uniform, VonMises, Weibull,
};
pub use derivative::{implicit_path, weak};
pub use discrete::{
    Bernoulli, BetaBinomial, Binomial, Categorical, Delta, DiscreteUniform, Empirical, Geometric, Hypergeometric,
    NegativeBinomial, OneHotCategorical, OrderedLogistic, Poisson, Skellam, Zeta, Zipf,
};
pub use distribution::{
    Alternatives, Boundary, Capabilities, ClosedFormEntropy, ConditionalCumulative, Conditionals,
    CumulativeDistribution, CustomSupport, Distribution, Family, FiniteSupport, IndependentBits, IndependentCategories,
    IntegerSupport, KlDivergence, Live, Order, Parameter, Parameters, QuadraticVariance, QuantileFunction, Relaxed,
    RelaxedMean, Reparameterized, SamplePath, ScoreDifferentiable, Side, StochasticDerivative, Support, Tempered,
    TensorDistribution, ToTensors, WeakDerivative, WeakNoise, WeakPath, WeaklyReparameterized, check_parameter,
    common_shape, finite, positive, whole,
};
pub use divergence::{MonteCarloKl, monte_carlo_kl};
pub use error::{DistributionError, DistributionResult};
pub use multivariate::ranking_relaxation::RankingRelaxation;
pub use multivariate::{
    Dirichlet, DirichletMultinomial, GaussianProcess, InverseWishart, KSubset, Kernel, Lkj, LowRankMultivariateNormal,
    MatrixNormal, Multinomial, MultivariateNormal, MultivariateStudentT, PlackettLuce, PowerSpherical, ProjectedNormal,
    RelaxedOneHotCategorical, VonMisesFisher, Wishart,
};
pub use noise::{Draw, KeyedNoise, NoiseKey, NoiseSource, SchemeUniform, quantile};
pub use series::{
    AutoRegressive, GaussianRandomWalk, HiddenMarkovModel, LinearGaussianStateSpace, MarkovChain, StateSpace,
};
#[cfg(feature = "serde")]
pub use settings::{DistributionSettings, ParameterValues};
pub use stochgrad_tape::{Condition, NoiseLayout, NoiseSeed};

// For the macros, which write code in other crates.
#[doc(hidden)]
pub use distribution::{Declared, implemented};
#[doc(hidden)]
pub use rand;
#[doc(hidden)]
pub use stochgrad_tape::{Id, IdMap, Tape, Var};
#[doc(hidden)]
pub use stochgrad_tensor::{Real, Shape, Tensor};
