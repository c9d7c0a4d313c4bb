//! The distributions that the sweep visits: every distribution of single numbers, mixtures of two, and distributions
//! transformed by each map of single numbers.

use crate::parameters::Kind::{
    self, Count, Exponent, Few, High, Location, Logit, Power, Probability, Rate, Rest, Shape, Tail, Whole, WholeHigh,
};
use crate::range::Range::{
    self, Angles, Bits, Categories, Counts, Excesses, From, Integers, Interval, Maxima, Positive, Real, Unit,
};
use stochgrad_distributions::*;
use stochgrad_tape::{Tape, Var};

/// A distribution with elements in single precision.
pub(crate) type Single = for<'t> fn(&[Var<'t, f32>]) -> Box<dyn Distribution<'t, f32> + 't>;

/// A distribution with elements in double precision.
pub(crate) type Double = for<'t> fn(&[Var<'t, f64>]) -> Box<dyn Distribution<'t, f64> + 't>;

/// A distribution, in both precisions.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// The type and the names of its parameters, as in the tables of known values.
    pub(crate) name: &'static str,
    /// What its parameters are.
    pub(crate) kinds: &'static [Kind],
    /// Its values.
    pub(crate) range: Range,
    pub(crate) single: Single,
    pub(crate) double: Double,
}

/// A precision of the library.
pub(crate) trait Precision: stochgrad_tensor::Real {
    /// Half the distance from 1 to the next larger number.
    const ROUNDING: f64;
    /// The smallest positive number with all its digits.
    const LEAST: f64;
    /// The largest number.
    const LARGEST: f64;

    /// The distribution of an entry, with elements of this precision.
    fn build<'t>(entry: &Entry, parameters: &[Var<'t, Self>]) -> Box<dyn Distribution<'t, Self> + 't>;

    /// The nearest number.
    fn rounded(value: f64) -> f64;

    /// The next larger number.
    fn above(value: f64) -> f64;

    /// The next smaller number.
    fn below(value: f64) -> f64 {
        -Self::above(-value)
    }
}

impl Precision for f32 {
    const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;
    const LEAST: f64 = f32::MIN_POSITIVE as f64;
    const LARGEST: f64 = f32::MAX as f64;

    fn build<'t>(entry: &Entry, parameters: &[Var<'t, f32>]) -> Box<dyn Distribution<'t, f32> + 't> {
        (entry.single)(parameters)
    }

    fn rounded(value: f64) -> f64 {
        f64::from(value as f32)
    }

    fn above(value: f64) -> f64 {
        f64::from((value as f32).next_up())
    }
}

impl Precision for f64 {
    const ROUNDING: f64 = f64::EPSILON / 2.0;
    const LEAST: f64 = f64::MIN_POSITIVE;
    const LARGEST: f64 = f64::MAX;

    fn build<'t>(entry: &Entry, parameters: &[Var<'t, f64>]) -> Box<dyn Distribution<'t, f64> + 't> {
        (entry.double)(parameters)
    }

    fn rounded(value: f64) -> f64 {
        value
    }

    fn above(value: f64) -> f64 {
        value.next_up()
    }
}

/// Parameters as vectors along a last axis.
fn vectors<'t, F: stochgrad_tensor::Real>(parameters: &[Var<'t, F>]) -> Var<'t, F> {
    let columns: Vec<Var<'t, F>> = parameters.iter().map(|parameter| parameter.unsqueeze(-1)).collect();
    Var::concat(&columns, -1).expect("parameters of one length")
}

/// The tape of some parameters.
fn tape_of<'t, F: stochgrad_tensor::Real>(parameters: &[Var<'t, F>]) -> &'t Tape<F> {
    parameters[0].tape()
}

macro_rules! entries {
    ($($name:literal [$($kind:expr),*], $range:expr => |$p:ident| $build:expr;)*) => {
        vec![$(Entry {
            name: $name,
            kinds: &[$($kind),*],
            range: $range,
            single: |$p| Box::new($build),
            double: |$p| Box::new($build),
        }),*]
    };
}

/// All distributions.
pub(crate) fn entries() -> Vec<Entry> {
    entries! {
        "Bernoulli(probability)" [Probability], Bits => |p| Bernoulli::from_probabilities(p[0]);
        "Bernoulli(logits)" [Logit], Bits => |p| Bernoulli::from_logits(p[0]);
        "Binomial(trials, probability)" [Count, Probability], Range::UpTo(0) => |p| Binomial::from_probabilities(p[0], p[1]);
        "Binomial(trials, logits)" [Count, Logit], Range::UpTo(0) => |p| Binomial::from_logits(p[0], p[1]);
        "BetaBinomial(trials, alpha, beta)" [Few, Shape, Shape], Range::UpTo(0) => |p| BetaBinomial::new(p[0], p[1], p[2]);
        "Geometric(probability)" [Probability], Counts => |p| Geometric::from_probabilities(p[0]);
        "Geometric(logits)" [Logit], Counts => |p| Geometric::from_logits(p[0]);
        "NegativeBinomial(successes, probability)" [Shape, Probability], Counts => |p| NegativeBinomial::from_probabilities(p[0], p[1]);
        "NegativeBinomial(successes, logits)" [Shape, Logit], Counts => |p| NegativeBinomial::from_logits(p[0], p[1]);
        "Poisson(rate)" [Rate], Counts => |p| Poisson::from_rate(p[0]);
        "Skellam(rate_up, rate_down)" [Rate, Rate], Integers => |p| Skellam::new(p[0], p[1]);
        "Zeta(exponent)" [Exponent], Range::Ranks => |p| Zeta::new(p[0]);
        "Zipf(exponent)" [Shape], Range::From1To(8) => |p| Zipf::new(8, p[0]);
        "Hypergeometric(draws, others)" [Few, Few], Range::UpTo(0) => |p| Hypergeometric::new(p[0] * 2.0 + p[1], p[0], p[0]);
        "DiscreteUniform(low, high)" [Whole, WholeHigh], Range::Between(0, 1) => |p| DiscreteUniform::new(p[0], p[1]);
        "Categorical(logits[3])" [Logit, Logit, Logit], Categories(3) => |p| Categorical::from_logits(vectors(p));
        "OrderedLogistic(predictor, cutpoints[2])" [Location, Location, High], Categories(3) => |p| OrderedLogistic::new(p[0], vectors(&p[1..]));
        "Delta(value)" [Location], Range::Single => |p| Delta::new(p[0]);
        "Normal(location, scale)" [Location, Rate], Real => |p| Normal::new(p[0], p[1]);
        "Laplace(location, scale)" [Location, Rate], Real => |p| Laplace::new(p[0], p[1]);
        "AsymmetricLaplace(location, scale, asymmetry)" [Location, Rate, Shape], Real => |p| AsymmetricLaplace::new(p[0], p[1], p[2]);
        "Logistic(location, scale)" [Location, Rate], Real => |p| Logistic::new(p[0], p[1]);
        "Gumbel(location, scale)" [Location, Rate], Real => |p| Gumbel::new(p[0], p[1]);
        "Moyal(location, scale)" [Location, Rate], Real => |p| Moyal::new(p[0], p[1]);
        "GeneralizedExtremeValue(location, scale, concentration)" [Location, Rate, Tail], Maxima => |p| GeneralizedExtremeValue::new(p[0], p[1], p[2]);
        "Cauchy(location, scale)" [Location, Rate], Real => |p| Cauchy::new(p[0], p[1]);
        "NormalInverseGaussian(location, scale, tailweight)" [Location, Rate, Rate], Real => |p| NormalInverseGaussian::new(p[0], p[1], p[2], p[2] * 0.5);
        "Horseshoe(scale)" [Rate], Real => |p| Horseshoe::new(p[0]);
        "StudentT(degrees_of_freedom, location, scale)" [Shape, Location, Rate], Real => |p| StudentT::new(p[0], p[1], p[2]);
        "JohnsonSu(skewness, tailweight, location, scale)" [Logit, Shape, Location, Rate], Real => |p| JohnsonSu::new(p[0], p[1], p[2], p[3]);
        "SinhArcsinh(skewness, tailweight, location, scale)" [Logit, Shape, Location, Rate], Real => |p| SinhArcsinh::new(p[0], p[1], p[2], p[3]);
        "GeneralizedNormal(location, scale, power)" [Location, Rate, Shape], Real => |p| GeneralizedNormal::new(p[0], p[1], p[2]);
        "SkewNormal(location, scale, skewness)" [Location, Rate, Location], Real => |p| SkewNormal::new(p[0], p[1], p[2]);
        "ExponentiallyModifiedGaussian(location, scale, rate)" [Location, Rate, Rate], Real => |p| ExponentiallyModifiedGaussian::new(p[0], p[1], p[2]);
        "TruncatedNormal(location, scale, low, high)" [Location, Rate, Location, High], Interval(2, 3) => |p| TruncatedNormal::new(p[0], p[1], p[2], p[3]);
        "VonMises(location, concentration)" [Location, Shape], Angles => |p| VonMises::new(p[0], p[1]);
        "Uniform(low, high)" [Location, High], Interval(0, 1) => |p| Uniform::new(p[0], p[1]);
        "Triangular(low, peak, high)" [Location, High, High], Interval(0, 2) => |p| Triangular::new(p[0], p[1], p[2]);
        "Exponential(rate)" [Rate], Positive => |p| Exponential::new(p[0]);
        "Exponential(scale)" [Rate], Positive => |p| Exponential::from_scale(p[0]);
        "Gamma(concentration, rate)" [Shape, Rate], Positive => |p| Gamma::new(p[0], p[1]);
        "Gamma(concentration, scale)" [Shape, Rate], Positive => |p| Gamma::from_scale(p[0], p[1]);
        "InverseGamma(concentration, scale)" [Shape, Rate], Positive => |p| InverseGamma::new(p[0], p[1]);
        "Chi2(degrees_of_freedom)" [Shape], Positive => |p| Chi2::new(p[0]);
        "Chi(degrees_of_freedom)" [Shape], Positive => |p| Chi::new(p[0]);
        "LogNormal(location, scale)" [Logit, Rate], Positive => |p| LogNormal::new(p[0], p[1]);
        "FisherF(numerator, denominator)" [Shape, Shape], Positive => |p| FisherF::new(p[0], p[1]);
        "LogLogistic(scale, concentration)" [Rate, Shape], Positive => |p| LogLogistic::new(p[0], p[1]);
        "HalfNormal(scale)" [Rate], Positive => |p| HalfNormal::new(p[0]);
        "HalfCauchy(scale)" [Rate], Positive => |p| HalfCauchy::new(p[0]);
        "HalfStudentT(degrees_of_freedom, scale)" [Shape, Rate], Positive => |p| HalfStudentT::new(p[0], p[1]);
        "Weibull(concentration, scale)" [Shape, Rate], Positive => |p| Weibull::new(p[0], p[1]);
        "Rayleigh(scale)" [Rate], Positive => |p| Rayleigh::new(p[0]);
        "Maxwell(scale)" [Rate], Positive => |p| Maxwell::new(p[0]);
        "Pareto(scale, concentration)" [Rate, Shape], From(0) => |p| Pareto::new(p[0], p[1]);
        "Levy(location, scale)" [Location, Rate], From(0) => |p| Levy::new(p[0], p[1]);
        "GeneralizedPareto(location, scale, concentration)" [Location, Rate, Tail], Excesses => |p| GeneralizedPareto::new(p[0], p[1], p[2]);
        "InverseGaussian(location, concentration)" [Rate, Rate], Positive => |p| InverseGaussian::new(p[0], p[1]);
        "Beta(alpha, beta)" [Shape, Shape], Unit => |p| Beta::new(p[0], p[1]);
        "Kumaraswamy(a, b)" [Shape, Shape], Unit => |p| Kumaraswamy::new(p[0], p[1]);
        "ContinuousBernoulli(logits)" [Logit], Unit => |p| ContinuousBernoulli::from_logits(p[0]);
        "RelaxedBernoulli(temperature, logits)" [Shape, Logit], Unit => |p| RelaxedBernoulli::from_logits(p[0], p[1]);
        "MixtureSameFamily(logits[2], Normal(location[2], scale))" [Logit, Logit, Location, Location, Rate], Real => |p| MixtureSameFamily::from_logits(vectors(&p[..2]), Normal::new(vectors(&p[2..4]), p[4].unsqueeze(-1))).expect("two weights and two components");
        "MixtureSameFamily(probabilities[2], Exponential(rate[2]))" [Probability, Rest, Rate, Rate], Positive => |p| MixtureSameFamily::from_probabilities(vectors(&p[..2]), Exponential::new(vectors(&p[2..4]))).expect("two weights and two components");
        "Mixture(probability, Normal(location, scale), Laplace(location, scale))" [Probability, Location, Rate, Location, Rate], Real => |p| Mixture::from_probability(p[0], Normal::new(p[1], p[2]), Laplace::new(p[3], p[4])).expect("numbers");
        "Mixture(logit, Exponential(rate), Gamma(concentration, rate))" [Logit, Rate, Shape, Rate], Positive => |p| Mixture::from_logit(p[0], Exponential::new(p[1]), Gamma::new(p[2], p[3])).expect("numbers");
        "ZeroInflated(gate, Poisson(rate))" [Probability, Rate], Counts => |p| ZeroInflated::from_probability(p[0], Poisson::from_rate(p[1])).expect("numbers");
        "Hurdle(gate, Poisson(rate))" [Probability, Rate], Counts => |p| Hurdle::from_probability(p[0], Poisson::from_rate(p[1])).expect("numbers");
        "Truncated(low, high, Normal(location, scale))" [Location, High, Location, Rate], Interval(0, 1) => |p| Truncated::new(Normal::new(p[2], p[3]), p[0], p[1]).expect("numbers");
        "Truncated(low, Gamma(concentration, rate))" [Rate, Shape, Rate], From(0) => |p| Truncated::new(Gamma::new(p[1], p[2]), p[0], f64::INFINITY).expect("numbers");
        "Quantized(Logistic(location, scale))" [Location, Rate], Integers => |p| Quantized::new(Logistic::new(p[0], p[1])).expect("numbers");
        "TransformedDistribution(Normal(location, scale), Affine(shift, scale))" [Location, Rate, Location, Power], Real => |p| TransformedDistribution::new(Normal::new(p[0], p[1]), Bijector::affine(p[2], p[3]));
        "TransformedDistribution(Normal(location, scale), Exp)" [Logit, Rate], Positive => |p| TransformedDistribution::new(Normal::new(p[0], p[1]), Bijector::Exp);
        "TransformedDistribution(Normal(location, scale), Sigmoid)" [Logit, Rate], Unit => |p| TransformedDistribution::new(Normal::new(p[0], p[1]), Bijector::Sigmoid);
        "TransformedDistribution(Normal(location, scale), Softplus)" [Logit, Rate], Positive => |p| TransformedDistribution::new(Normal::new(p[0], p[1]), Bijector::Softplus);
        "TransformedDistribution(Normal(location, scale), Tanh)" [Logit, Rate], Range::Signed => |p| TransformedDistribution::new(Normal::new(p[0], p[1]), Bijector::Tanh);
        "TransformedDistribution(Exponential(rate), Power(exponent))" [Rate, Power], Positive => |p| TransformedDistribution::new(Exponential::new(p[0]), Bijector::Power(p[1]));
        "TransformedDistribution(Beta(alpha, beta), Inverse(Sigmoid))" [Shape, Shape], Real => |p| TransformedDistribution::new(Beta::new(p[0], p[1]), Bijector::Sigmoid.inverted());
        "TransformedDistribution(Gamma(concentration, rate), Inverse(Exp))" [Shape, Rate], Real => |p| TransformedDistribution::new(Gamma::new(p[0], p[1]), Bijector::Exp.inverted());
        "TransformedDistribution(Gumbel(location, scale), Chain(Affine(0, -1), Exp))" [Logit, Rate], Positive => |p| TransformedDistribution::new(Gumbel::new(p[0], p[1]), Bijector::chain([Bijector::affine(tape_of(p).constant(0.0), -1.0), Bijector::Exp]));
    }
}
