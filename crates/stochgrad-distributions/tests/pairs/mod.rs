//! Every pair of distributions whose divergence has a closed form, by the names that the tables of known values use.

// Several test programs include this file, and each uses a part of it.
#![allow(dead_code)]

use crate::catalogue::vector;
use stochgrad_distributions::*;
use stochgrad_tape::{Tape, Var};

/// The divergence of two distributions, given the parameters of the first and then those of the second.
pub(crate) type Divergence = for<'t> fn(&[Var<'t, f64>]) -> Var<'t, f64>;

macro_rules! pairs {
    ($($p:literal, $q:literal => |$x:pat_param| $divergence:expr;)*) => {
        vec![$(($p, $q, (|$x| $divergence) as Divergence)),*]
    };
}

/// All pairs.
pub(crate) fn pairs() -> Vec<(&'static str, &'static str, Divergence)> {
    pairs! {
        "Bernoulli", "Bernoulli" => |x| Bernoulli::from_probabilities(x[0]).kl_to(&Bernoulli::from_probabilities(x[1]));
        "Poisson", "Poisson" => |x| Poisson::from_rate(x[0]).kl_to(&Poisson::from_rate(x[1]));
        "Geometric", "Geometric" => |x| Geometric::from_probabilities(x[0]).kl_to(&Geometric::from_probabilities(x[1]));
        "ContinuousBernoulli", "ContinuousBernoulli" => |x| ContinuousBernoulli::from_logits(x[0]).kl_to(&ContinuousBernoulli::from_logits(x[1]));
        "NegativeBinomial", "NegativeBinomial" => |x| NegativeBinomial::from_probabilities(x[0], x[1]).kl_to(&NegativeBinomial::from_probabilities(x[2], x[3]));
        "Binomial", "Binomial" => |x| Binomial::from_probabilities(x[0], x[1]).kl_to(&Binomial::from_probabilities(x[2], x[3]));
        "Exponential", "Exponential" => |x| Exponential::new(x[0]).kl_to(&Exponential::new(x[1]));
        "HalfNormal", "HalfNormal" => |x| HalfNormal::new(x[0]).kl_to(&HalfNormal::new(x[1]));
        "Rayleigh", "Rayleigh" => |x| Rayleigh::new(x[0]).kl_to(&Rayleigh::new(x[1]));
        "Maxwell", "Maxwell" => |x| Maxwell::new(x[0]).kl_to(&Maxwell::new(x[1]));
        "Chi2", "Chi2" => |x| Chi2::new(x[0]).kl_to(&Chi2::new(x[1]));
        "Normal", "Normal" => |x| Normal::new(x[0], x[1]).kl_to(&Normal::new(x[2], x[3]));
        "LogNormal", "LogNormal" => |x| LogNormal::new(x[0], x[1]).kl_to(&LogNormal::new(x[2], x[3]));
        "Laplace", "Laplace" => |x| Laplace::new(x[0], x[1]).kl_to(&Laplace::new(x[2], x[3]));
        "AsymmetricLaplace", "AsymmetricLaplace" => |x| AsymmetricLaplace::new(x[0], x[1], x[2]).kl_to(&AsymmetricLaplace::new(x[3], x[4], x[5]));
        "Moyal", "Moyal" => |x| Moyal::new(x[0], x[1]).kl_to(&Moyal::new(x[2], x[3]));
        "Gumbel", "Gumbel" => |x| Gumbel::new(x[0], x[1]).kl_to(&Gumbel::new(x[2], x[3]));
        "Cauchy", "Cauchy" => |x| Cauchy::new(x[0], x[1]).kl_to(&Cauchy::new(x[2], x[3]));
        "Uniform", "Uniform" => |x| Uniform::new(x[0], x[1]).kl_to(&Uniform::new(x[2], x[3]));
        "Gamma", "Gamma" => |x| Gamma::new(x[0], x[1]).kl_to(&Gamma::new(x[2], x[3]));
        "InverseGamma", "InverseGamma" => |x| InverseGamma::new(x[0], x[1]).kl_to(&InverseGamma::new(x[2], x[3]));
        "KSubset", "KSubset" => |x| KSubset::from_logits(2, vector(&x[..3])).kl_to(&KSubset::from_logits(2, vector(&x[3..])));
        "Beta", "Beta" => |x| Beta::new(x[0], x[1]).kl_to(&Beta::new(x[2], x[3]));
        "Weibull", "Weibull" => |x| Weibull::new(x[0], x[1]).kl_to(&Weibull::new(x[2], x[3]));
        "Chi", "Chi" => |x| Chi::new(x[0]).kl_to(&Chi::new(x[1]));
        "Pareto", "Pareto" => |x| Pareto::new(x[0], x[1]).kl_to(&Pareto::new(x[2], x[3]));
        "VonMises", "VonMises" => |x| VonMises::new(x[0], x[1]).kl_to(&VonMises::new(x[2], x[3]));
        "InverseGaussian", "InverseGaussian" => |x| InverseGaussian::new(x[0], x[1]).kl_to(&InverseGaussian::new(x[2], x[3]));
        "Beta", "ContinuousBernoulli" => |x| Beta::new(x[0], x[1]).kl_to(&ContinuousBernoulli::from_logits(x[2]));
        "Beta", "Exponential" => |x| Beta::new(x[0], x[1]).kl_to(&Exponential::new(x[2]));
        "Beta", "Gamma" => |x| Beta::new(x[0], x[1]).kl_to(&Gamma::new(x[2], x[3]));
        "Beta", "Normal" => |x| Beta::new(x[0], x[1]).kl_to(&Normal::new(x[2], x[3]));
        "Beta", "Uniform" => |x| Beta::new(x[0], x[1]).kl_to(&Uniform::new(x[2], x[3]));
        "ContinuousBernoulli", "Exponential" => |x| ContinuousBernoulli::from_logits(x[0]).kl_to(&Exponential::new(x[1]));
        "ContinuousBernoulli", "Normal" => |x| ContinuousBernoulli::from_logits(x[0]).kl_to(&Normal::new(x[1], x[2]));
        "ContinuousBernoulli", "Uniform" => |x| ContinuousBernoulli::from_logits(x[0]).kl_to(&Uniform::new(x[1], x[2]));
        "Exponential", "Gamma" => |x| Exponential::new(x[0]).kl_to(&Gamma::new(x[1], x[2]));
        "Exponential", "Gumbel" => |x| Exponential::new(x[0]).kl_to(&Gumbel::new(x[1], x[2]));
        "Exponential", "Normal" => |x| Exponential::new(x[0]).kl_to(&Normal::new(x[1], x[2]));
        "Gamma", "Exponential" => |x| Gamma::new(x[0], x[1]).kl_to(&Exponential::new(x[2]));
        "Gamma", "Gumbel" => |x| Gamma::new(x[0], x[1]).kl_to(&Gumbel::new(x[2], x[3]));
        "Gamma", "Normal" => |x| Gamma::new(x[0], x[1]).kl_to(&Normal::new(x[2], x[3]));
        "Gumbel", "Normal" => |x| Gumbel::new(x[0], x[1]).kl_to(&Normal::new(x[2], x[3]));
        "Laplace", "Normal" => |x| Laplace::new(x[0], x[1]).kl_to(&Normal::new(x[2], x[3]));
        "Normal", "Gumbel" => |x| Normal::new(x[0], x[1]).kl_to(&Gumbel::new(x[2], x[3]));
        "Normal", "Laplace" => |x| Normal::new(x[0], x[1]).kl_to(&Laplace::new(x[2], x[3]));
        "Uniform", "Beta" => |x| Uniform::new(x[0], x[1]).kl_to(&Beta::new(x[2], x[3]));
        "Uniform", "ContinuousBernoulli" => |x| Uniform::new(x[0], x[1]).kl_to(&ContinuousBernoulli::from_logits(x[2]));
        "Uniform", "Exponential" => |x| Uniform::new(x[0], x[1]).kl_to(&Exponential::new(x[2]));
        "Uniform", "Gamma" => |x| Uniform::new(x[0], x[1]).kl_to(&Gamma::new(x[2], x[3]));
        "Uniform", "Gumbel" => |x| Uniform::new(x[0], x[1]).kl_to(&Gumbel::new(x[2], x[3]));
        "Uniform", "Normal" => |x| Uniform::new(x[0], x[1]).kl_to(&Normal::new(x[2], x[3]));
        "Uniform", "Pareto" => |x| Uniform::new(x[0], x[1]).kl_to(&Pareto::new(x[2], x[3]));
        "Pareto", "Exponential" => |x| Pareto::new(x[0], x[1]).kl_to(&Exponential::new(x[2]));
        "Pareto", "Gamma" => |x| Pareto::new(x[0], x[1]).kl_to(&Gamma::new(x[2], x[3]));
        "Pareto", "Normal" => |x| Pareto::new(x[0], x[1]).kl_to(&Normal::new(x[2], x[3]));
        "Bernoulli", "Poisson" => |x| Bernoulli::from_probabilities(x[0]).kl_to(&Poisson::from_rate(x[1]));
        "DiscreteUniform", "DiscreteUniform" => |x| DiscreteUniform::new(x[0], x[1]).kl_to(&DiscreteUniform::new(x[2], x[3]));
        "Zeta", "Zeta" => |x| Zeta::new(x[0]).kl_to(&Zeta::new(x[1]));
        "Zipf", "Zipf" => |x| Zipf::new(8, x[0]).kl_to(&Zipf::new(8, x[1]));
        "Categorical", "Categorical" => |x| Categorical::from_logits(vector(&x[..3])).kl_to(&Categorical::from_logits(vector(&x[3..])));
        "OrderedLogistic", "OrderedLogistic" => |x| OrderedLogistic::new(x[0], vector(&x[1..3])).kl_to(&OrderedLogistic::new(x[3], vector(&x[4..])));
        "OneHotCategorical", "OneHotCategorical" => |x| OneHotCategorical::from_logits(vector(&x[..3])).kl_to(&OneHotCategorical::from_logits(vector(&x[3..])));
        "Dirichlet", "Dirichlet" => |x| Dirichlet::new(vector(&x[..3])).kl_to(&Dirichlet::new(vector(&x[3..])));
        "MultivariateNormal", "MultivariateNormal" => |x| factored(&x[..6]).kl_to(&factored(&x[6..]));
        "LowRankMultivariateNormal", "LowRankMultivariateNormal" => |x| low_rank(&x[..6]).kl_to(&low_rank(&x[6..]));
        "VonMisesFisher", "VonMisesFisher" => |x| fisher(&x[..4]).kl_to(&fisher(&x[4..]));
        "GaussianProcess", "GaussianProcess" => |x| process(&x[..4]).kl_to(&process(&x[4..]));
        "GaussianRandomWalk", "GaussianRandomWalk" => |x| walk(&x[..3]).kl_to(&walk(&x[3..]));
        "MarkovChain", "MarkovChain" => |x| chain(&x[..6]).kl_to(&chain(&x[6..]));
        "Wishart", "Wishart" => |x| wishart(&x[..5]).kl_to(&wishart(&x[5..]));
        "MatrixNormal", "MatrixNormal" => |x| matrix(&x[..12]).kl_to(&matrix(&x[12..]));
        "InverseWishart", "InverseWishart" => |x| inverse_wishart(&x[..5]).kl_to(&inverse_wishart(&x[5..]));
    }
}

fn factored<'t>(p: &[Var<'t, f64>]) -> MultivariateNormal<Var<'t, f64>> {
    MultivariateNormal::new(vector(&p[..2]), vector(&p[2..]).reshape([2, 2]))
}

fn low_rank<'t>(p: &[Var<'t, f64>]) -> LowRankMultivariateNormal<Var<'t, f64>> {
    LowRankMultivariateNormal::new(vector(&p[..2]), vector(&p[2..4]).reshape([2, 1]), vector(&p[4..]))
}

fn fisher<'t>(p: &[Var<'t, f64>]) -> VonMisesFisher<Var<'t, f64>> {
    VonMisesFisher::new(vector(&p[..3]), p[3])
}

fn matrix<'t>(p: &[Var<'t, f64>]) -> MatrixNormal<Var<'t, f64>> {
    let square = |numbers: &[Var<'t, f64>]| vector(numbers).reshape([2, 2]);
    MatrixNormal::new(square(&p[..4]), square(&p[4..8]), square(&p[8..]))
}

fn inverse_wishart<'t>(p: &[Var<'t, f64>]) -> InverseWishart<Var<'t, f64>> {
    InverseWishart::new(p[0], vector(&p[1..]).reshape([2, 2]))
}

fn process<'t>(p: &[Var<'t, f64>]) -> GaussianProcess<Var<'t, f64>> {
    let points = p[0].tape().constant([[0.0], [0.5], [1.75]]);
    GaussianProcess::new(Kernel::Matern52, points, p[0], p[1], p[2], p[3])
}

fn walk<'t>(p: &[Var<'t, f64>]) -> GaussianRandomWalk<Var<'t, f64>> {
    GaussianRandomWalk::new(3, p[0], p[2]).with_drift(p[1])
}

fn chain<'t>(p: &[Var<'t, f64>]) -> MarkovChain<Var<'t, f64>> {
    MarkovChain::from_logits(3, vector(&p[..2]), vector(&p[2..]).reshape([2, 2]))
}

fn wishart<'t>(p: &[Var<'t, f64>]) -> Wishart<Var<'t, f64>> {
    Wishart::new(p[0], vector(&p[1..]).reshape([2, 2]))
}

/// The divergence of the pair with these names; `None` if there is no closed form for it.
pub(crate) fn divergence(p: &str, q: &str, parameters: &[f64]) -> Option<f64> {
    let name = |distribution: &str| distribution.split('(').next().unwrap_or(distribution).to_string();
    let (_, _, divergence) = pairs().into_iter().find(|(a, b, _)| *a == name(p) && *b == name(q))?;
    let tape = Tape::new();
    let leaves: Vec<Var<'_, f64>> = parameters.iter().map(|&parameter| tape.parameter(parameter)).collect();
    Some(divergence(&leaves).item().expect("a divergence"))
}
