//! Distributions of vectors and matrices, observed through one number of each draw with a known distribution, and
//! distributions that are made of others.

use crate::catalogue::{Entry, entries};
use stochgrad_distributions::*;
use stochgrad_tape::Var;

/// The number that is observed in a draw.
pub(crate) type Observe = for<'t> fn(Var<'t, f64>, &[Var<'t, f64>]) -> Var<'t, f64>;

/// The distribution of the observed number, given the parameters of the distribution of the draw.
pub(crate) type Scalar = for<'t> fn(&[Var<'t, f64>]) -> Box<dyn Distribution<'t, f64> + 't>;

/// A distribution at some parameters, observed through one number.
pub(crate) struct Marginal {
    pub(crate) entry: Entry,
    pub(crate) parameters: Vec<f64>,
    pub(crate) observe: Observe,
    pub(crate) scalar: Scalar,
}

macro_rules! marginals {
    ($($distribution:literal, [$($parameters:expr),*]: |$x:pat_param, $p:pat_param| $observe:expr => |$q:pat_param| $scalar:expr;)*) => {{
        let distributions = entries();
        let mut found = Vec::new();
        $({
            let entry = *distributions.iter().find(|entry| entry.name() == $distribution).expect("a distribution of the catalogue");
            for parameters in [entry.ordinary.to_vec() $(, $parameters.to_vec())*] {
                found.push(Marginal { entry, parameters, observe: |$x, $p| $observe, scalar: |$q| Box::new($scalar) });
            }
        })*
        found
    }};
}

/// The log-odds of the first of three categories.
fn first_of<'t>(logits: &[Var<'t, f64>]) -> Var<'t, f64> {
    let rest = (logits[1].exp() + logits[2].exp()).ln();
    logits[0] - rest
}

/// The scale of a row of a factor.
fn length<'t>(row: &[Var<'t, f64>]) -> Var<'t, f64> {
    row.iter().map(|x| x.square()).reduce(|a, b| a + b).expect("numbers").sqrt()
}

/// (1 + c)/2 for the cosine c of the angle between a unit vector and a direction.
fn nearness<'t>(x: Var<'t, f64>, direction: &[Var<'t, f64>]) -> Var<'t, f64> {
    let direction = crate::catalogue::vector(direction);
    let direction = direction / direction.norm_axis(-1).unsqueeze(-1);
    1.0 - (x - direction).square().sum_axis(-1) * 0.25
}

/// All of them, at ordinary and extreme parameters.
pub(crate) fn marginals() -> Vec<Marginal> {
    marginals! {
        "Multinomial", [[1e6, 8.0, -3.0, 0.0]]: |x, _| x.index(-1, 0) => |p| Binomial::from_logits(p[0], first_of(&p[1..]));
        "DirichletMultinomial", [[1e6, 0.5, 3.0, 0.1], [4.0, 1e-3, 2e-3, 1e-3]]:
            |x, _| x.index(-1, 0) => |p| BetaBinomial::new(p[0], p[1], p[2] + p[3]);
        "Categorical", [[-40.0, 0.0, 1.0]]: |x, _| x => |p| Categorical::from_logits(crate::catalogue::vector(p));
        "OneHotCategorical", [[-5.0, 0.0, 30.0]]: |x, _| x.index(-1, 0) => |p| Bernoulli::from_logits(first_of(p));
        "OrderedLogistic", [[-40.0, 0.0, 1e-6]]: |x, _| x => |p| OrderedLogistic::new(p[0], crate::catalogue::vector(&p[1..]));
        "ZeroInflated", [[1e-3, 1e4]]: |x, _| x => |p| ZeroInflated::from_probability(p[0], Poisson::from_rate(p[1])).expect("numbers");
        "Hurdle", [[1e-3, 1e-4]]: |x, _| x => |p| Hurdle::from_probability(p[0], Poisson::from_rate(p[1])).expect("numbers");
        "RelaxedOneHotCategorical", [[0.05, 30.0, -20.0, 0.0]]:
            |x, p| p[0] * (x.index(-1, 0).ln() - x.index(-1, 1).ln()) => |p| Logistic::new(p[1] - p[2], 1.0);
        "MultivariateNormal", [[0.0, 1e6, 1e-6, 0.0, 1e-3, 1e3]]:
            |x, _| x.index(-1, 1) => |p| Normal::new(p[1], length(&p[4..6]));
        "MultivariateStudentT", [[0.3, 0.0, 1e6, 1e-6, 0.0, 1e-3, 1e3], [1e6, 0.0, 1.0, 1.0, 0.0, -3.0, 0.1]]:
            |x, _| x.index(-1, 1) => |p| StudentT::new(p[0], p[2], length(&p[5..7]));
        "LowRankMultivariateNormal", [[0.0, 1.0, 1e4, -1e4, 1e-4, 1e-4]]:
            |x, _| x.index(-1, 0) => |p| Normal::new(p[0], (p[2].square() + p[4]).sqrt());
        "Dirichlet", [[1e-3, 1.0, 1e-3], [1e6, 1e6, 1e6]]: |x, _| x.index(-1, 0) => |p| Beta::new(p[0], p[1] + p[2]);
        "PowerSpherical", [[-1.0, 0.0, 0.0, 1e-3], [3.0, 4.0, 1e-6, 1e4]]:
            |x, p| nearness(x, &p[..3]) => |p| Beta::new(p[3] + 1.0, 1.0);
        "VonMisesFisher", [[-1.0, 0.0, 0.0, 1e-3], [3.0, 4.0, 1e-6, 1e4]]:
            |x, p| nearness(x, &p[..3]) => |p| ContinuousBernoulli::from_logits(p[3] * 2.0);
        "Wishart", [[3.0, 1e-4, 0.0, 1e3, 1.0], [1e6, 1.0, 0.0, 0.5, 0.8]]:
            |x, _| x.index(-1, 1).index(-1, 1) => |p| Gamma::from_scale(p[0] * 0.5, length(&p[3..5]).square() * 2.0);
        "MatrixNormal", [[0.0, 1.0, -1e6, 2.0, 1e-6, 0.0, 1e-3, 1e3, 1e6, 0.0, 1e-3, 1e-3]]:
            |x, _| x.index(-1, 1).index(-1, 1) => |p| Normal::new(p[3], length(&p[6..8]) * length(&p[10..12]));
        "InverseWishart", [[1.6, 1e-4, 0.0, 1e3, 1.0], [1e6, 1.0, 0.0, 0.5, 0.8]]:
            |x, _| x.index(-1, 1).index(-1, 1) => |p| InverseGamma::new(p[0] * 0.5 - 0.5, length(&p[3..5]).square() * 0.5);
        "Lkj", [[1e-3], [1e6]]: |x, _| (x.index(-2, 1).index(-1, 0) + 1.0) * 0.5 => |p| Beta::new(p[0] + 0.5, p[0] + 0.5);
        "GaussianProcess", [[0.0, 1e6, 1e-3, 1e-3], [1e6, 1e-3, 1e3, 1.0]]:
            |x, _| x.index(-1, 2) => |p| Normal::new(p[0], length(&[p[1], p[3]]));
        "GaussianRandomWalk", [[1e6, -1e3, 1e-3], [0.0, 1e-8, 1e8]]:
            |x, _| x.index(-1, 2) => |p| Normal::new(p[0] + p[1] * 3.0, p[2] * 3.0_f64.sqrt());
        "AutoRegressive", [[0.0, 1.0, 1.9, -1.0, 1e-3, 1e3]]: |x, _| x.index(-1, 1) => |p| {
            let first = p[4] + p[2] * p[1] + p[3] * p[0];
            Normal::new(p[4] + p[2] * first + p[3] * p[1], p[5] * (p[2].square() + 1.0).sqrt())
        };
        "MarkovChain", [[-5.0, 3.0, 20.0, 0.0, -1.0, 1.0]]: |x, _| x.index(-1, 1) => |p| {
            let first = (p[0] - p[1]).log_sigmoid();
            let second = (p[1] - p[0]).log_sigmoid();
            let to = |k: usize| {
                (first + (p[2 + k] - p[3 - k]).log_sigmoid()).logaddexp(second + (p[4 + k] - p[5 - k]).log_sigmoid())
            };
            Bernoulli::from_logits(to(1) - to(0))
        };
        "HiddenMarkovModel", [[-5.0, 3.0, 20.0, 0.0, -1.0, 1.0, -1e3, 1e3, 1e-3]]: |x, _| x.index(-1, 0) => |p| {
            let components = Normal::new(crate::catalogue::vector(&p[6..8]), p[8]);
            MixtureSameFamily::from_logits(crate::catalogue::vector(&p[..2]), components).expect("two of each")
        };
        "LinearGaussianStateSpace", []: |x, _| x.index(-2, 1).index(-1, 0) => |p| {
            let weights = [p[14] * p[6] + p[15] * p[8], p[14] * p[7] + p[15] * p[9]];
            let mean = weights[0] * p[0] + weights[1] * p[1];
            let noise = [
                weights[0] * p[2] + weights[1] * p[4],
                weights[1] * p[5],
                p[14] * p[10] + p[15] * p[12],
                p[15] * p[13],
                p[16],
            ];
            Normal::new(mean, length(&noise))
        };
        "MixtureSameFamily", [[-9.0, 0.0, -1e6, 1e6, 1e-3]]: |x, _| x => |p| {
            let components = Normal::new(crate::catalogue::vector(&p[2..4]), p[4]);
            MixtureSameFamily::from_logits(crate::catalogue::vector(&p[..2]), components).expect("two of each")
        };
        "Mixture", [[1e-3, -1e3, 1e-3, 1e3, 50.0]]:
            |x, _| x => |p| Mixture::from_probability(p[0], Normal::new(p[1], p[2]), Laplace::new(p[3], p[4])).expect("numbers");
        "Truncated", [[9.0, 9.7, 0.3, 1.4], [-1e9, -20.0, 0.0, 1.0]]:
            |x, _| x => |p| Truncated::new(Normal::new(p[2], p[3]), p[0], p[1]).expect("numbers");
        "Censored", [[-1.0, 1e7, 0.0, 1e6]]: |x, _| x => |p| Censored::new(Normal::new(p[2], p[3]), p[0], p[1]).expect("numbers");
        "Quantized", [[1.0, 1e-3], [-20.0, 2.0]]:
            |x, _| x => |p| Quantized::new(Logistic::new(p[0], p[1])).expect("numbers").between(0.0, 7.0).expect("integers");
        "TransformedDistribution", [[4.0, 3.0]]:
            |x, _| x => |p| TransformedDistribution::new(Normal::new(p[0], p[1]), Bijector::Sigmoid);
        "Independent", []: |x, _| x => |p| Normal::new(p[0], p[1]);
    }
}
