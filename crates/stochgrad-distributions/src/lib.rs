//! Probability distributions with the derivatives that stochastic gradients need.
//!
//! A distribution here can do more than give a log-probability and draw a sample. It says how its samples depend on its
//! parameters ([`Reparameterized`]), which states it has ([`FiniteSupport`]), what the derivative of its distribution
//! is ([`WeakDerivative`], [`StochasticDerivative`]), and how it is relaxed ([`Relaxed`]). Gradient methods demand
//! these as traits; a distribution in another crate implements the same ones.
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
//! Randomness comes from a [`NoiseSource`], by address. This crate knows no gradient method and no graph.

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
#[cfg(test)]
mod testing;

pub use compound::{Bijector, Independent, Mixture, MixtureSameFamily, TransformedDistribution};
pub use continuous::{
    Beta, Cauchy, Chi2, ContinuousBernoulli, Exponential, Gamma, Gumbel, HalfCauchy, HalfNormal, InverseGamma,
    InverseGaussian, Kumaraswamy, Laplace, LogNormal, Logistic, Maxwell, Normal, Pareto, Rayleigh, RelaxedBernoulli,
    StudentT, TruncatedNormal, Uniform, VonMises, Weibull,
};
pub use derivative::{implicit_path, weak};
pub use discrete::{
    Bernoulli, Binomial, Categorical, Delta, DiscreteUniform, Empirical, Geometric, NegativeBinomial,
    OneHotCategorical, Poisson, Skellam,
};
pub use distribution::{
    Alternatives, Capabilities, ClosedFormEntropy, CumulativeDistribution, Distribution, Family, FiniteSupport,
    IndependentBits, IndependentCategories, IntegerSupport, KlDivergence, Live, Order, Parameter, Parameters,
    QuadraticVariance, QuantileFunction, RecordedAlternatives, Relaxed, Reparameterized, SamplePath,
    ScoreDifferentiable, Side, StochasticDerivative, Support, Tempered, WeakDerivative, WeakNoise, WeakPath,
    WeaklyReparameterized, check_parameter, common_shape, finite, positive, whole,
};
pub use divergence::{MonteCarloKl, monte_carlo_kl};
pub use error::{DistributionError, DistributionResult};
pub use multivariate::{
    Dirichlet, Lkj, LowRankMultivariateNormal, Multinomial, MultivariateNormal, RelaxedOneHotCategorical, Wishart,
};
pub use noise::{Draw, KeyedNoise, NoiseKey, NoiseSource, SchemeUniform, quantile};
pub use stochgrad_tape::{NoiseLayout, NoiseSeed};

// For the macros, which write code in other crates.
#[doc(hidden)]
pub use distribution::{Declared, implemented};
#[doc(hidden)]
pub use stochgrad_tape::{Id, IdMap, Tape, Var};
#[doc(hidden)]
pub use stochgrad_tensor::{Real, Shape};
