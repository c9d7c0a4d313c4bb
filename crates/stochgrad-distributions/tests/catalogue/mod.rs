//! Every distribution of the library by the name that the tables of known values use.

// Several test programs include this file, and each uses a part of it.
#![allow(dead_code, unused_imports)]

use rand_chacha::ChaCha8Rng;
use stochgrad_distributions::*;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

/// A distribution from its parameters, each a number.
pub(crate) type Build = for<'t> fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Box<dyn Distribution<'t, f64> + 't>;

/// Draws a sample with a generator.
pub(crate) type Sampler = dyn Fn(&mut ChaCha8Rng) -> Tensor<f64>;

/// A distribution of the library.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// The type and the names of its parameters.
    pub(crate) distribution: &'static str,
    /// Parameters at which nothing is extreme.
    pub(crate) ordinary: &'static [f64],
    /// The distribution.
    pub(crate) build: Build,
    /// The distribution with tensors as parameters.
    pub(crate) sampler: fn(&[f64]) -> Box<Sampler>,
}

impl Entry {
    /// The name of the type.
    pub(crate) fn name(&self) -> &'static str {
        self.distribution.split('(').next().unwrap_or(self.distribution)
    }

    /// The names of the parameters; a vector has its length after its name.
    pub(crate) fn parameters(&self) -> Vec<&'static str> {
        let inside = self.distribution.trim_end_matches(')').split_once('(').map_or("", |(_, inside)| inside);
        inside.split(", ").filter(|name| !name.is_empty()).collect()
    }
}

/// Calls a macro with a row for each distribution: the type and the names of its parameters, parameters at which nothing
/// is extreme, what it can do (`score`, `path`, `weak` and `jumps` for weak and stochastic derivatives, `finite` for a
/// finite support), and the distribution on a tape with its parameters.
macro_rules! all_distributions {
    ($each:ident) => {
        $each! {
            "Bernoulli(probability)" [0.3], [score weak jumps finite] => |_, p| Bernoulli::from_probabilities(p[0]);
            "Bernoulli(logits)" [0.3], [score weak jumps finite] => |_, p| Bernoulli::from_logits(p[0]);
            "Binomial(trials, probability)" [7.0, 0.3], [score weak jumps finite] => |_, p| Binomial::from_probabilities(p[0], p[1]);
            "Binomial(trials, logits)" [7.0, 0.3], [score weak jumps finite] => |_, p| Binomial::from_logits(p[0], p[1]);
            "BetaBinomial(trials, alpha, beta)" [7.0, 2.3, 1.4], [score finite] => |_, p| BetaBinomial::new(p[0], p[1], p[2]);
            "Multinomial(trials, logits[3])" [7.0, 0.3, -0.5, 0.1], [score weak] => |_, p| Multinomial::from_logits(p[0], vector(&p[1..]));
            "DirichletMultinomial(trials, concentration[3])" [7.0, 0.4, 1.5, 3.0], [score] => |_, p| DirichletMultinomial::new(p[0], vector(&p[1..]));
            "Geometric(probability)" [0.3], [score weak jumps] => |_, p| Geometric::from_probabilities(p[0]);
            "NegativeBinomial(successes, probability)" [2.5, 0.4], [score weak jumps] => |_, p| NegativeBinomial::from_probabilities(p[0], p[1]);
            "NegativeBinomial(successes, logits)" [2.5, -0.4], [score weak jumps] => |_, p| NegativeBinomial::from_logits(p[0], p[1]);
            "Poisson(rate)" [2.5], [score weak jumps] => |_, p| Poisson::from_rate(p[0]);
            "Skellam(rate_up, rate_down)" [2.5, 0.7], [score weak] => |_, p| Skellam::new(p[0], p[1]);
            "Hypergeometric(population, successes, draws)" [30.0, 12.0, 9.0], [finite] => |_, p| Hypergeometric::new(p[0], p[1], p[2]);
            "Zeta(exponent)" [3.5], [score] => |_, p| Zeta::new(p[0]);
            "Zipf(exponent)" [1.3], [score finite] => |_, p| Zipf::new(8, p[0]);
            "DiscreteUniform(low, high)" [1.0, 6.0], [finite] => |_, p| DiscreteUniform::new(p[0], p[1]);
            "Categorical(logits[3])" [0.3, -0.5, 0.1], [score weak jumps finite] => |_, p| Categorical::from_logits(vector(p));
            "OrderedLogistic(predictor, cutpoints[2])" [0.3, -0.5, 1.1], [score weak jumps finite] => |_, p| OrderedLogistic::new(p[0], vector(&p[1..]));
            "OneHotCategorical(logits[3])" [0.3, -0.5, 0.1], [score weak jumps finite] => |_, p| OneHotCategorical::from_logits(vector(p));
            "PlackettLuce(logits[3])" [0.3, -0.5, 0.1], [score finite] => |_, p| PlackettLuce::from_logits(vector(p)).top(2);
            "KSubset(logits[3])" [0.3, -0.5, 0.1], [score finite] => |_, p| KSubset::from_logits(2, vector(p));
            "Normal(location, scale)" [0.3, 1.7], [score path weak] => |_, p| Normal::new(p[0], p[1]);
            "Laplace(location, scale)" [0.3, 1.7], [score path weak] => |_, p| Laplace::new(p[0], p[1]);
            "AsymmetricLaplace(location, scale, asymmetry)" [0.3, 0.8, 1.4], [score path weak] => |_, p| AsymmetricLaplace::new(p[0], p[1], p[2]);
            "Logistic(location, scale)" [0.3, 1.7], [score path weak] => |_, p| Logistic::new(p[0], p[1]);
            "Gumbel(location, scale)" [0.3, 1.7], [score path weak] => |_, p| Gumbel::new(p[0], p[1]);
            "Moyal(location, scale)" [0.3, 0.7], [score path weak] => |_, p| Moyal::new(p[0], p[1]);
            "GeneralizedExtremeValue(location, scale, concentration)" [-0.7, 1.3, 0.2], [path weak] => |_, p| GeneralizedExtremeValue::new(p[0], p[1], p[2]);
            "Cauchy(location, scale)" [0.3, 1.7], [score path weak] => |_, p| Cauchy::new(p[0], p[1]);
            "StudentT(degrees_of_freedom, location, scale)" [7.0, 0.3, 1.7], [score path weak] => |_, p| StudentT::new(p[0], p[1], p[2]);
            "JohnsonSu(skewness, tailweight, location, scale)" [-0.6, 1.8, 0.3, 0.9], [score path] => |_, p| JohnsonSu::new(p[0], p[1], p[2], p[3]);
            "SinhArcsinh(skewness, tailweight, location, scale)" [0.4, 0.7, 0.3, 0.9], [score path] => |_, p| SinhArcsinh::new(p[0], p[1], p[2], p[3]);
            "GeneralizedNormal(location, scale, power)" [0.3, 1.2, 1.3], [score path weak] => |_, p| GeneralizedNormal::new(p[0], p[1], p[2]);
            "SkewNormal(location, scale, skewness)" [0.3, 1.2, 2.5], [score path weak] => |_, p| SkewNormal::new(p[0], p[1], p[2]);
            "ExponentiallyModifiedGaussian(location, scale, rate)" [0.3, 1.2, 0.6], [score path weak] => |_, p| ExponentiallyModifiedGaussian::new(p[0], p[1], p[2]);
            "TruncatedNormal(location, scale, low, high)" [0.3, 1.4, -1.0, 2.5], [path] => |_, p| TruncatedNormal::new(p[0], p[1], p[2], p[3]);
            "VonMises(location, concentration)" [0.3, 1.3], [score path weak] => |_, p| VonMises::new(p[0], p[1]);
            "Uniform(low, high)" [-0.7, 2.1], [path weak] => |_, p| Uniform::new(p[0], p[1]);
            "Triangular(low, peak, high)" [-0.7, 0.4, 2.1], [path weak] => |_, p| Triangular::new(p[0], p[1], p[2]);
            "Exponential(rate)" [0.8], [score path weak] => |_, p| Exponential::new(p[0]);
            "Gamma(concentration, rate)" [2.3, 1.4], [score path weak] => |_, p| Gamma::new(p[0], p[1]);
            "Gamma(concentration, scale)" [0.6, 1.2], [score path weak] => |_, p| Gamma::from_scale(p[0], p[1]);
            "InverseGamma(concentration, scale)" [3.6, 1.4], [score path weak] => |_, p| InverseGamma::new(p[0], p[1]);
            "Chi2(degrees_of_freedom)" [3.4], [score path weak] => |_, p| Chi2::new(p[0]);
            "Chi(degrees_of_freedom)" [3.4], [score path weak] => |_, p| Chi::new(p[0]);
            "LogNormal(location, scale)" [0.2, 0.4], [score path weak] => |_, p| LogNormal::new(p[0], p[1]);
            "FisherF(numerator, denominator)" [5.0, 9.0], [score path] => |_, p| FisherF::new(p[0], p[1]);
            "LogLogistic(scale, concentration)" [0.8, 2.6], [score path weak] => |_, p| LogLogistic::new(p[0], p[1]);
            "HalfNormal(scale)" [1.3], [score path weak] => |_, p| HalfNormal::new(p[0]);
            "HalfCauchy(scale)" [1.3], [score path weak] => |_, p| HalfCauchy::new(p[0]);
            "HalfStudentT(degrees_of_freedom, scale)" [7.0, 1.7], [score path weak] => |_, p| HalfStudentT::new(p[0], p[1]);
            "NormalInverseGaussian(location, scale, tailweight, skewness)" [0.3, 1.2, 1.5, 0.6], [score path] => |_, p| NormalInverseGaussian::new(p[0], p[1], p[2], p[3]);
            "Horseshoe(scale)" [1.3], [score path weak] => |_, p| Horseshoe::new(p[0]);
            "Weibull(concentration, scale)" [1.6, 0.8], [score path weak] => |_, p| Weibull::new(p[0], p[1]);
            "Rayleigh(scale)" [1.3], [score path weak] => |_, p| Rayleigh::new(p[0]);
            "Maxwell(scale)" [1.3], [score path weak] => |_, p| Maxwell::new(p[0]);
            "Pareto(scale, concentration)" [0.8, 2.6], [path weak] => |_, p| Pareto::new(p[0], p[1]);
            "Levy(location, scale)" [-0.7, 1.3], [path weak] => |_, p| Levy::new(p[0], p[1]);
            "GeneralizedPareto(location, scale, concentration)" [-0.7, 1.3, 0.2], [path weak] => |_, p| GeneralizedPareto::new(p[0], p[1], p[2]);
            "InverseGaussian(location, concentration)" [1.3, 2.4], [score path] => |_, p| InverseGaussian::new(p[0], p[1]);
            "Beta(alpha, beta)" [2.3, 1.4], [score path weak] => |_, p| Beta::new(p[0], p[1]);
            "Kumaraswamy(a, b)" [2.3, 1.4], [score path] => |_, p| Kumaraswamy::new(p[0], p[1]);
            "ContinuousBernoulli(logits)" [1.7], [score path] => |_, p| ContinuousBernoulli::from_logits(p[0]);
            "RelaxedBernoulli(temperature, logits)" [0.7, 0.4], [score path] => |_, p| RelaxedBernoulli::from_logits(p[0], p[1]);
            "RelaxedOneHotCategorical(temperature, logits[3])" [0.7, 0.3, -0.5, 0.1], [score path] => |_, p| RelaxedOneHotCategorical::from_logits(p[0], vector(&p[1..]));
            "MultivariateNormal(location[2], scale_tril[2x2])" [0.3, -1.0, 1.3, 0.0, -0.7, 0.6], [score path weak] => |_, p| MultivariateNormal::new(vector(&p[..2]), vector(&p[2..]).reshape([2, 2]));
            "LowRankMultivariateNormal(location[2], factor[2x1], diagonal[2])" [0.3, -1.0, 1.0, 0.5, 0.6, 0.8], [score path] => |_, p| LowRankMultivariateNormal::new(vector(&p[..2]), vector(&p[2..4]).reshape([2, 1]), vector(&p[4..]));
            "MultivariateStudentT(degrees_of_freedom, location[2], scale_tril[2x2])" [7.0, 0.3, -1.0, 1.3, 0.0, -0.7, 0.6], [score path weak] => |_, p| MultivariateStudentT::new(p[0], vector(&p[1..3]), vector(&p[3..]).reshape([2, 2]));
            "Dirichlet(concentration[3])" [0.4, 1.5, 3.0], [score path] => |_, p| Dirichlet::new(vector(p));
            "ProjectedNormal(location[3])" [0.3, -1.0, 0.4], [score path] => |_, p| ProjectedNormal::new(vector(p));
            "PowerSpherical(direction[3], concentration)" [0.3, -1.0, 0.4, 2.3], [score path] => |_, p| PowerSpherical::new(vector(&p[..3]), p[3]);
            "VonMisesFisher(direction[3], concentration)" [0.3, -1.0, 0.4, 2.3], [score path] => |_, p| VonMisesFisher::new(vector(&p[..3]), p[3]);
            "Wishart(degrees_of_freedom, scale_tril[2x2])" [4.3, 1.0, 0.0, 0.5, 0.8], [score path] => |_, p| Wishart::new(p[0], vector(&p[1..]).reshape([2, 2]));
            "MatrixNormal(location[2x2], row_scale_tril[2x2], column_scale_tril[2x2])" [0.3, -1.0, 0.2, 0.5, 1.3, 0.0, -0.7, 0.6, 0.8, 0.0, 0.4, 1.1], [score path] => |_, p| MatrixNormal::new(vector(&p[..4]).reshape([2, 2]), vector(&p[4..8]).reshape([2, 2]), vector(&p[8..]).reshape([2, 2]));
            "InverseWishart(degrees_of_freedom, scale_tril[2x2])" [14.3, 1.0, 0.0, 0.5, 0.8], [score path] => |_, p| InverseWishart::new(p[0], vector(&p[1..]).reshape([2, 2]));
            "Lkj(concentration)" [1.7], [score path] => |_, p| Lkj::new(3, p[0]);
            "GaussianProcess(mean, deviation, length, noise)" [0.4, 1.2, 0.8, 0.3], [score path] => |tape, p| GaussianProcess::new(Kernel::Matern52, tape.constant([[0.0], [0.5], [1.75]]), p[0], p[1], p[2], p[3]);
            "GaussianRandomWalk(initial, drift, scale)" [0.3, -0.2, 0.7], [score path] => |_, p| GaussianRandomWalk::new(3, p[0], p[2]).with_drift(p[1]);
            "AutoRegressive(initial[2], coefficients[2], intercept, scale)" [0.3, -1.0, 0.6, -0.4, 0.2, 0.7], [score path] => |_, p| AutoRegressive::new(3, vector(&p[..2]), vector(&p[2..4]), p[5]).with_intercept(p[4]);
            "MarkovChain(initial_logits[2], transition_logits[2x2])" [0.3, -0.4, 1.0, 0.2, -0.5, 0.8], [score finite] => |_, p| MarkovChain::from_logits(3, vector(&p[..2]), vector(&p[2..]).reshape([2, 2]));
            "HiddenMarkovModel(initial_logits[2], transition_logits[2x2], Normal(location[2], scale))" [0.3, -0.4, 1.0, 0.2, -0.5, 0.8, -1.0, 2.0, 0.7], [score] => |_, p| HiddenMarkovModel::new(MarkovChain::from_logits(3, vector(&p[..2]), vector(&p[2..6]).reshape([2, 2])), Normal::new(vector(&p[6..8]), p[8])).expect("two states");
            "LinearGaussianStateSpace(initial_location[2], initial_scale_tril[2x2], transition[2x2], transition_scale_tril[2x2], observation[1x2], observation_scale_tril[1x1])" [0.5, -0.3, 1.2, 0.0, 0.4, 0.7, 0.9, 0.3, -0.2, 0.8, 0.4, 0.0, 0.1, 0.5, 1.0, 0.2, 0.6], [score path] => |_, p| LinearGaussianStateSpace::new(3, StateSpace { initial_location: vector(&p[..2]), initial_scale_tril: vector(&p[2..6]).reshape([2, 2]), transition: vector(&p[6..10]).reshape([2, 2]), transition_scale_tril: vector(&p[10..14]).reshape([2, 2]), observation: vector(&p[14..16]).reshape([1, 2]), observation_scale_tril: p[16].reshape([1, 1]) });
            "Delta(value)" [1.5], [path] => |_, p| Delta::new(p[0]);
            "Empirical(values[3])" [0.5, 1.0, 4.0], [path finite] => |_, p| Empirical::new(vector(p));
            "MixtureSameFamily(logits[2], Normal(location[2], scale))" [0.3, -0.2, -1.0, 2.0, 0.7], [score path weak] => |_, p| MixtureSameFamily::from_logits(vector(&p[..2]), Normal::new(vector(&p[2..4]), p[4])).expect("two weights and two components");
            "Mixture(probability, Normal(location, scale), Laplace(location, scale))" [0.3, -1.0, 0.6, 1.5, 0.8], [score path weak] => |_, p| Mixture::from_probability(p[0], Normal::new(p[1], p[2]), Laplace::new(p[3], p[4])).expect("numbers");
            "ZeroInflated(gate, Poisson(rate))" [0.3, 2.5], [score weak jumps] => |_, p| ZeroInflated::from_probability(p[0], Poisson::from_rate(p[1])).expect("numbers");
            "Hurdle(gate, Poisson(rate))" [0.3, 2.5], [score weak] => |_, p| Hurdle::from_probability(p[0], Poisson::from_rate(p[1])).expect("numbers");
            "Truncated(low, high, Normal(location, scale))" [-1.0, 2.5, 0.3, 1.4], [path weak] => |_, p| Truncated::new(Normal::new(p[2], p[3]), p[0], p[1]).expect("numbers");
            "Truncated(low, high, Poisson(rate))" [1.0, 6.0, 3.5], [score] => |_, p| Truncated::new(Poisson::from_rate(p[2]), p[0], p[1]).expect("numbers");
            "Censored(low, high, Normal(location, scale))" [-0.6, 1.9, 0.3, 1.4], [path] => |_, p| Censored::new(Normal::new(p[2], p[3]), p[0], p[1]).expect("numbers");
            "Censored(low, high, Poisson(rate))" [1.0, 6.0, 3.5], [score] => |_, p| Censored::new(Poisson::from_rate(p[2]), p[0], p[1]).expect("numbers");
            "Quantized(Logistic(location, scale))" [3.3, 1.2], [score finite] => |_, p| Quantized::new(Logistic::new(p[0], p[1])).expect("numbers").between(0.0, 7.0).expect("integers");
            "TransformedDistribution(Normal(location, scale), Sigmoid)" [0.2, 0.8], [score path weak] => |_, p| TransformedDistribution::new(Normal::new(p[0], p[1]), Bijector::Sigmoid);
            "Independent(Normal(location, scale), 0)" [0.3, 1.7], [score path] => |_, p| Independent::new(Normal::new(p[0], p[1]), 0).expect("no axes");
        }
    };
}
pub(crate) use all_distributions;

macro_rules! entries {
    ($($distribution:literal $ordinary:expr, [$($can:ident)*] => |$tape:pat_param, $p:pat_param| $build:expr;)*) => {
        vec![$(Entry {
            distribution: $distribution,
            ordinary: &$ordinary,
            build: |$tape, $p| Box::new($build),
            sampler: |parameters| {
                let tape = Tape::new();
                let leaves: Vec<Var<'_, f64>> = parameters.iter().map(|&p| tape.constant(p)).collect();
                let ($tape, $p) = (&tape, leaves.as_slice());
                let fixed = ToTensors::to_tensors(&$build).expect("parameters without an error");
                Box::new(move |rng| rand::distr::Distribution::sample(&fixed, rng))
            },
        }),*]
    };
}

/// All distributions.
pub(crate) fn entries() -> Vec<Entry> {
    all_distributions!(entries)
}

/// Single values as a vector.
pub(crate) fn vector<'t>(numbers: &[Var<'t, f64>]) -> Var<'t, f64> {
    Var::stack(numbers).expect("numbers of one tape")
}
