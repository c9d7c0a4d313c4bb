//! The parameters at which each page shows its distribution, and what its picture shows.

use crate::catalogue::{Build, Entry, vector};
use stochgrad_distributions::*;
use stochgrad_tape::{PlateKind, Plates, Tape, Var};
use stochgrad_tensor::Tensor;

/// What a picture shows.
#[derive(Clone, Copy)]
pub(crate) enum View {
    /// The density at the values that a function makes of numbers between two ends, up to a height.
    Along { label: &'static str, from: f64, to: f64, top: f64, value: fn(f64) -> Vec<f64> },
    /// The density between two ends, and the probabilities of two numbers that have one.
    WithAtoms { from: f64, to: f64, atoms: [f64; 2] },
    /// The probabilities of the integers from the first to the last.
    Integers(i32, i32),
    /// The probabilities of these values, or without any, those of all values.
    Values(&'static [&'static [f64]]),
    /// Draws as points: two elements of the value with their names, and the range of each.
    Points { elements: [(usize, &'static str); 2], from: [f64; 2], to: [f64; 2] },
    /// Draws as lines over the steps of a sequence.
    Sequences,
}

/// What the page of a distribution shows.
pub(crate) struct Settings {
    /// The parameters, one list for each setting.
    pub(crate) parameters: Vec<Vec<f64>>,
    /// What the picture shows.
    pub(crate) view: View,
    /// The distribution of the picture, where it is not that of the catalogue.
    pub(crate) build: Option<Build>,
}

/// The number of steps of the sequences in pictures.
pub(crate) const STEPS: usize = 40;

const fn curve(from: f64, to: f64) -> View {
    below(from, to, f64::INFINITY)
}

/// A density with a pole, up to a height.
const fn below(from: f64, to: f64, top: f64) -> View {
    View::Along { label: "value", from, to, top, value: |x| vec![x] }
}

/// A density on a sphere against the angle from the first axis.
const ON_A_SPHERE: View = View::Along {
    label: "angle from the direction",
    from: 0.0,
    to: std::f64::consts::PI,
    top: f64::INFINITY,
    value: |angle| vec![angle.cos(), angle.sin(), 0.0],
};

const fn plane(elements: [(usize, &'static str); 2], from: f64, to: f64) -> View {
    View::Points { elements, from: [from; 2], to: [to; 2] }
}

const FIRST_TWO: [(usize, &str); 2] = [(0, "first element"), (1, "second element")];
const OF_A_MATRIX: [(usize, &str); 2] = [(0, "first diagonal element"), (3, "second diagonal element")];

type Row = (&'static str, &'static [&'static [f64]], View);

/// By the type and the names of the parameters in the catalogue. Other distributions are shown at the parameters of the
/// catalogue, in a range that their draws give.
const ROWS: &[Row] = &[
    ("Bernoulli(probability)", &[&[0.1], &[0.5], &[0.8]], View::Integers(0, 1)),
    ("Binomial(trials, probability)", &[&[10.0, 0.2], &[10.0, 0.5], &[20.0, 0.7]], View::Integers(0, 20)),
    (
        "BetaBinomial(trials, alpha, beta)",
        &[&[10.0, 0.6, 0.8], &[10.0, 2.0, 2.0], &[10.0, 6.0, 2.0]],
        View::Integers(0, 10),
    ),
    ("Multinomial(trials, logits[3])", &[&[2.0, 0.0, 0.0, 0.0], &[2.0, 1.0, 0.0, -1.0]], PAIRS),
    (
        "DirichletMultinomial(trials, concentration[3])",
        &[&[2.0, 0.2, 0.2, 0.2], &[2.0, 1.0, 1.0, 1.0], &[2.0, 6.0, 3.0, 1.0]],
        PAIRS,
    ),
    ("Geometric(probability)", &[&[0.2], &[0.5], &[0.8]], View::Integers(0, 12)),
    ("NegativeBinomial(successes, probability)", &[&[1.0, 0.3], &[3.0, 0.5], &[8.0, 0.6]], View::Integers(0, 24)),
    ("Poisson(rate)", &[&[1.0], &[4.0], &[10.0]], View::Integers(0, 20)),
    ("Skellam(rate_up, rate_down)", &[&[1.0, 1.0], &[4.0, 1.0], &[3.0, 6.0]], View::Integers(-10, 10)),
    (
        "Hypergeometric(population, successes, draws)",
        &[&[30.0, 12.0, 9.0], &[30.0, 20.0, 9.0], &[50.0, 5.0, 20.0]],
        View::Integers(0, 9),
    ),
    ("Zeta(exponent)", &[&[1.25], &[2.0], &[4.0]], View::Integers(1, 8)),
    ("Zipf(exponent)", &[&[0.5], &[1.0], &[2.0]], View::Integers(1, 8)),
    ("DiscreteUniform(low, high)", &[&[1.0, 6.0], &[3.0, 10.0]], View::Integers(0, 11)),
    ("Categorical(logits[3])", &[&[0.0, 0.0, 0.0], &[1.0, 0.0, -1.0], &[-2.0, 1.0, 0.0]], View::Integers(0, 2)),
    (
        "OrderedLogistic(predictor, cutpoints[2])",
        &[&[-1.0, -0.5, 1.1], &[0.3, -0.5, 1.1], &[2.0, -0.5, 1.1]],
        View::Integers(0, 2),
    ),
    ("OneHotCategorical(logits[3])", &[&[0.0, 0.0, 0.0], &[1.0, 0.0, -1.0], &[-2.0, 1.0, 0.0]], View::Values(&[])),
    ("PlackettLuce(logits[3])", &[&[0.0, 0.0, 0.0], &[1.0, 0.0, -1.0]], View::Values(&[])),
    ("KSubset(logits[3])", &[&[0.0, 0.0, 0.0], &[1.0, 0.0, -1.0]], View::Values(&[])),
    ("Normal(location, scale)", &[&[0.0, 1.0], &[0.0, 2.0], &[1.5, 0.5]], curve(-5.0, 5.0)),
    ("Laplace(location, scale)", &[&[0.0, 1.0], &[0.0, 2.0], &[2.0, 0.5]], curve(-6.0, 6.0)),
    (
        "AsymmetricLaplace(location, scale, asymmetry)",
        &[&[0.0, 1.0, 1.0], &[0.0, 1.0, 2.0], &[0.0, 1.0, 0.5]],
        curve(-5.0, 5.0),
    ),
    ("Logistic(location, scale)", &[&[0.0, 1.0], &[0.0, 0.5], &[2.0, 1.5]], curve(-7.0, 9.0)),
    ("Gumbel(location, scale)", &[&[0.0, 1.0], &[0.0, 2.0], &[2.0, 0.5]], curve(-4.0, 8.0)),
    ("Moyal(location, scale)", &[&[0.0, 1.0], &[0.0, 0.5], &[2.0, 1.0]], curve(-3.0, 8.0)),
    (
        "GeneralizedExtremeValue(location, scale, concentration)",
        &[&[0.0, 1.0, 0.5], &[0.0, 1.0, 0.0], &[0.0, 1.0, -0.5]],
        curve(-3.0, 5.0),
    ),
    ("Cauchy(location, scale)", &[&[0.0, 1.0], &[0.0, 0.5], &[1.0, 2.0]], curve(-6.0, 6.0)),
    (
        "StudentT(degrees_of_freedom, location, scale)",
        &[&[1.0, 0.0, 1.0], &[4.0, 0.0, 1.0], &[30.0, 0.0, 1.0]],
        curve(-5.0, 5.0),
    ),
    (
        "JohnsonSu(skewness, tailweight, location, scale)",
        &[&[0.0, 1.0, 0.0, 1.0], &[-1.0, 1.0, 0.0, 1.0], &[0.0, 2.0, 0.0, 1.0]],
        curve(-4.0, 6.0),
    ),
    (
        "SinhArcsinh(skewness, tailweight, location, scale)",
        &[&[0.0, 1.0, 0.0, 1.0], &[0.5, 1.0, 0.0, 1.0], &[0.0, 0.5, 0.0, 1.0]],
        curve(-5.0, 5.0),
    ),
    (
        "GeneralizedNormal(location, scale, power)",
        &[&[0.0, 1.0, 1.0], &[0.0, 1.0, 2.0], &[0.0, 1.0, 8.0]],
        curve(-3.0, 3.0),
    ),
    (
        "SkewNormal(location, scale, skewness)",
        &[&[0.0, 1.0, 0.0], &[0.0, 1.0, 3.0], &[0.0, 1.0, -6.0]],
        curve(-3.0, 3.0),
    ),
    (
        "ExponentiallyModifiedGaussian(location, scale, rate)",
        &[&[0.0, 1.0, 1.0], &[0.0, 0.5, 0.5], &[0.0, 0.3, 2.0]],
        curve(-3.0, 8.0),
    ),
    (
        "NormalInverseGaussian(location, scale, tailweight, skewness)",
        &[&[0.0, 1.0, 1.5, 0.0], &[0.0, 1.0, 1.5, 1.0], &[0.0, 2.0, 3.0, -1.0]],
        curve(-5.0, 6.0),
    ),
    ("Horseshoe(scale)", &[&[0.5], &[1.0], &[2.0]], below(-4.0, 4.0, 0.8)),
    (
        "TruncatedNormal(location, scale, low, high)",
        &[&[0.0, 1.0, -1.0, 2.0], &[1.0, 2.0, -1.0, 2.0], &[3.0, 1.0, -1.0, 2.0]],
        curve(-1.5, 2.5),
    ),
    (
        "VonMises(location, concentration)",
        &[&[0.0, 0.5], &[0.0, 2.0], &[1.0, 8.0]],
        curve(-std::f64::consts::PI, std::f64::consts::PI),
    ),
    ("Uniform(low, high)", &[&[0.0, 1.0], &[-1.0, 2.0]], curve(-2.0, 3.0)),
    ("Triangular(low, peak, high)", &[&[0.0, 1.0, 2.0], &[0.0, 0.2, 2.0], &[-1.0, 2.5, 3.0]], curve(-1.5, 3.5)),
    ("Exponential(rate)", &[&[0.5], &[1.0], &[2.0]], curve(0.0, 5.0)),
    ("Gamma(concentration, rate)", &[&[0.5, 0.5], &[2.0, 1.0], &[7.5, 2.0]], below(0.0, 8.0, 1.0)),
    ("InverseGamma(concentration, scale)", &[&[1.0, 1.0], &[3.0, 1.0], &[3.0, 4.0]], curve(0.0, 4.0)),
    ("Chi2(degrees_of_freedom)", &[&[1.0], &[3.0], &[6.0]], below(0.0, 12.0, 0.6)),
    ("Chi(degrees_of_freedom)", &[&[1.0], &[2.0], &[4.0]], curve(0.0, 5.0)),
    ("LogNormal(location, scale)", &[&[0.0, 0.25], &[0.0, 0.5], &[0.0, 1.0]], curve(0.0, 4.0)),
    ("FisherF(numerator, denominator)", &[&[2.0, 5.0], &[5.0, 9.0], &[30.0, 30.0]], curve(0.0, 4.0)),
    ("LogLogistic(scale, concentration)", &[&[1.0, 1.0], &[1.0, 2.0], &[1.0, 6.0]], curve(0.0, 3.0)),
    ("HalfNormal(scale)", &[&[0.5], &[1.0], &[2.0]], curve(0.0, 5.0)),
    ("HalfCauchy(scale)", &[&[0.5], &[1.0], &[2.0]], curve(0.0, 6.0)),
    ("HalfStudentT(degrees_of_freedom, scale)", &[&[1.0, 1.0], &[4.0, 1.0], &[30.0, 1.0]], curve(0.0, 5.0)),
    ("Weibull(concentration, scale)", &[&[0.7, 1.0], &[1.5, 1.0], &[4.0, 1.0]], below(0.0, 3.0, 2.0)),
    ("Rayleigh(scale)", &[&[0.5], &[1.0], &[2.0]], curve(0.0, 6.0)),
    ("Maxwell(scale)", &[&[0.5], &[1.0], &[2.0]], curve(0.0, 8.0)),
    ("Pareto(scale, concentration)", &[&[1.0, 1.0], &[1.0, 2.0], &[1.0, 4.0]], curve(0.5, 5.0)),
    ("Levy(location, scale)", &[&[0.0, 0.5], &[0.0, 1.0], &[0.0, 2.0]], curve(-0.2, 6.0)),
    (
        "GeneralizedPareto(location, scale, concentration)",
        &[&[0.0, 1.0, 0.5], &[0.0, 1.0, 0.0], &[0.0, 1.0, -0.4]],
        curve(-0.2, 5.0),
    ),
    ("InverseGaussian(location, concentration)", &[&[1.0, 0.5], &[1.0, 2.0], &[1.0, 8.0]], curve(0.0, 3.0)),
    ("Beta(alpha, beta)", &[&[0.5, 0.5], &[2.0, 2.0], &[5.0, 1.5]], below(0.0, 1.0, 3.0)),
    ("Kumaraswamy(a, b)", &[&[0.5, 0.5], &[2.0, 2.0], &[5.0, 1.5]], below(0.0, 1.0, 3.0)),
    ("ContinuousBernoulli(logits)", &[&[-2.0], &[0.0], &[4.0]], curve(0.0, 1.0)),
    ("RelaxedBernoulli(temperature, logits)", &[&[0.3, 0.4], &[0.7, 0.4], &[2.0, 0.4]], below(0.0, 1.0, 4.0)),
    (
        "RelaxedOneHotCategorical(temperature, logits[3])",
        &[&[0.3, 0.3, -0.5, 0.1], &[2.0, 0.3, -0.5, 0.1]],
        plane(FIRST_TWO, 0.0, 1.0),
    ),
    (
        "MultivariateNormal(location[2], scale_tril[2x2])",
        &[&[-1.5, 1.0, 1.0, 0.0, 0.0, 1.0], &[1.5, 0.0, 1.0, 0.0, 0.8, 0.6]],
        plane(FIRST_TWO, -4.0, 4.0),
    ),
    (
        "LowRankMultivariateNormal(location[2], factor[2x1], diagonal[2])",
        &[&[-1.5, 1.0, 0.0, 0.0, 1.0, 1.0], &[1.0, 0.0, 1.0, 1.5, 0.1, 0.1]],
        plane(FIRST_TWO, -4.5, 4.5),
    ),
    (
        "MultivariateStudentT(degrees_of_freedom, location[2], scale_tril[2x2])",
        &[&[2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0], &[30.0, 0.0, 0.0, 1.0, 0.0, 0.8, 0.6]],
        plane(FIRST_TWO, -6.0, 6.0),
    ),
    ("Dirichlet(concentration[3])", &[&[0.4, 0.4, 0.4], &[3.0, 6.0, 15.0]], plane(FIRST_TWO, 0.0, 1.0)),
    (
        "PowerSpherical(direction[3], concentration)",
        &[&[1.0, 0.0, 0.0, 1.0], &[1.0, 0.0, 0.0, 5.0], &[1.0, 0.0, 0.0, 20.0]],
        ON_A_SPHERE,
    ),
    (
        "VonMisesFisher(direction[3], concentration)",
        &[&[1.0, 0.0, 0.0, 1.0], &[1.0, 0.0, 0.0, 5.0], &[1.0, 0.0, 0.0, 20.0]],
        ON_A_SPHERE,
    ),
    (
        "Wishart(degrees_of_freedom, scale_tril[2x2])",
        &[&[4.0, 1.0, 0.0, 0.0, 1.0], &[12.0, 1.0, 0.0, 0.8, 0.6]],
        plane(OF_A_MATRIX, 0.0, 30.0),
    ),
    (
        "MatrixNormal(location[2x2], row_scale_tril[2x2], column_scale_tril[2x2])",
        &[
            &[-1.5, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0],
            &[1.5, 0.0, 0.0, 0.0, 1.0, 0.0, 0.9, 0.4, 1.0, 0.0, 0.9, 0.4],
        ],
        plane(OF_A_MATRIX, -4.5, 4.5),
    ),
    (
        "InverseWishart(degrees_of_freedom, scale_tril[2x2])",
        &[&[8.0, 1.0, 0.0, 0.0, 1.0], &[20.0, 4.0, 0.0, 3.2, 2.4]],
        plane(OF_A_MATRIX, 0.0, 2.5),
    ),
    (
        "Lkj(concentration)",
        &[&[0.7], &[10.0]],
        plane([(3, "correlation of 1 and 2"), (6, "correlation of 1 and 3")], -1.0, 1.0),
    ),
    ("ProjectedNormal(location[3])", &[&[0.5, 0.0, 0.0], &[1.5, 0.0, 0.0], &[3.0, 0.0, 0.0]], ON_A_SPHERE),
    (
        "GaussianProcess(mean, deviation, length, noise)",
        &[&[0.0, 1.0, 1.0, 0.01], &[0.0, 1.0, 4.0, 0.01], &[4.0, 0.5, 1.0, 0.2]],
        View::Sequences,
    ),
    ("GaussianRandomWalk(initial, drift, scale)", &[&[0.0, 0.0, 1.0], &[0.0, 0.5, 0.3]], View::Sequences),
    (
        "AutoRegressive(initial[2], coefficients[2], intercept, scale)",
        &[&[0.0, 0.0, 0.5, 0.0, 0.0, 1.0], &[0.0, 0.0, 1.6, -0.8, 1.0, 0.3]],
        View::Sequences,
    ),
    (
        "MarkovChain(initial_logits[2], transition_logits[2x2])",
        &[&[0.0, 0.0, 1.0, 0.0, 0.0, 1.0], &[0.0, 0.0, -1.0, 0.0, 1.0, 0.0]],
        View::Values(&[]),
    ),
    (
        "HiddenMarkovModel(initial_logits[2], transition_logits[2x2], Normal(location[2], scale))",
        &[&[0.0, 0.0, 3.0, 0.0, 0.0, 3.0, -1.0, 2.0, 0.3], &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 6.0, 0.3]],
        View::Sequences,
    ),
    ("Delta(value)", &[&[1.5]], View::Values(&[&[1.0], &[1.5], &[2.0]])),
    ("Empirical(values[3])", &[&[0.5, 1.0, 4.0], &[0.5, 0.5, 4.0]], View::Values(&[&[0.5], &[1.0], &[4.0]])),
    (
        "MixtureSameFamily(logits[2], Normal(location[2], scale))",
        &[&[0.0, 0.0, -2.0, 2.0, 0.7], &[1.0, -1.0, -2.0, 2.0, 1.2]],
        curve(-6.0, 6.0),
    ),
    (
        "Mixture(probability, Normal(location, scale), Laplace(location, scale))",
        &[&[0.5, -2.0, 0.7, 2.0, 0.7], &[0.9, 0.0, 1.0, 0.0, 4.0]],
        curve(-6.0, 6.0),
    ),
    ("ZeroInflated(gate, Poisson(rate))", &[&[0.1, 4.0], &[0.5, 4.0]], View::Integers(0, 12)),
    ("Hurdle(gate, Poisson(rate))", &[&[0.1, 2.0], &[0.5, 2.0]], View::Integers(0, 10)),
    (
        "Truncated(low, high, Normal(location, scale))",
        &[&[-1.0, 2.0, 0.0, 1.0], &[-1.0, 2.0, 1.0, 2.0], &[-1.0, 2.0, 3.0, 1.0]],
        curve(-1.5, 2.5),
    ),
    (
        "Censored(low, high, Normal(location, scale))",
        &[&[-1.0, 2.0, 0.0, 1.0], &[-1.0, 2.0, 1.0, 1.5]],
        View::WithAtoms { from: -1.5, to: 2.5, atoms: [-1.0, 2.0] },
    ),
    ("Quantized(Logistic(location, scale))", &[&[3.3, 0.5], &[3.3, 1.2]], View::Integers(0, 7)),
    (
        "TransformedDistribution(Normal(location, scale), Sigmoid)",
        &[&[0.0, 0.5], &[0.0, 1.5], &[0.5, 3.0]],
        curve(0.0, 1.0),
    ),
    ("Independent(Normal(location, scale), 0)", &[&[0.0, 1.0], &[0.0, 2.0], &[1.5, 0.5]], curve(-5.0, 5.0)),
];

/// Two trials with three categories.
const PAIRS: View = View::Values(&[
    &[2.0, 0.0, 0.0],
    &[0.0, 2.0, 0.0],
    &[0.0, 0.0, 2.0],
    &[1.0, 1.0, 0.0],
    &[1.0, 0.0, 1.0],
    &[0.0, 1.0, 1.0],
]);

/// Longer sequences than those of the catalogue.
const LONG: &[(&str, Build)] = &[
    ("GaussianProcess", |tape, p| {
        let inputs = Tensor::from_fn([STEPS, 1], |step| 0.25 * step as f64);
        Box::new(GaussianProcess::new(Kernel::Matern52, tape.constant(inputs), p[0], p[1], p[2], p[3]))
    }),
    ("GaussianRandomWalk", |_, p| Box::new(GaussianRandomWalk::new(STEPS, p[0], p[2]).with_drift(p[1]))),
    ("AutoRegressive", |_, p| {
        Box::new(AutoRegressive::new(STEPS, vector(&p[..2]), vector(&p[2..4]), p[5]).with_intercept(p[4]))
    }),
    ("HiddenMarkovModel", |_, p| {
        let chain = MarkovChain::from_logits(STEPS, vector(&p[..2]), vector(&p[2..6]).reshape([2, 2]));
        Box::new(HiddenMarkovModel::new(chain, Normal::new(vector(&p[6..8]), p[8])).expect("two states"))
    }),
    ("LinearGaussianStateSpace", |_, p| {
        let matrix = |from: usize| vector(&p[from..from + 4]).reshape([2, 2]);
        let model = StateSpace {
            initial_location: vector(&p[..2]),
            initial_scale_tril: matrix(2),
            transition: matrix(6),
            transition_scale_tril: matrix(10),
            observation: vector(&p[14..16]).reshape([1, 2]),
            observation_scale_tril: p[16].reshape([1, 1]),
        };
        Box::new(LinearGaussianStateSpace::new(STEPS, model))
    }),
];

/// What the page of a distribution shows.
pub(crate) fn settings(entry: &Entry) -> Settings {
    let build = LONG.iter().find(|(name, _)| *name == entry.name()).map(|(_, build)| *build);
    let row = ROWS.iter().find(|(distribution, _, _)| *distribution == entry.distribution);
    let (parameters, view) = match row {
        Some((_, parameters, view)) => (parameters.iter().map(|own| own.to_vec()).collect(), *view),
        None if build.is_some() => (vec![entry.ordinary.to_vec()], View::Sequences),
        None => (vec![entry.ordinary.to_vec()], automatic(entry)),
    };
    Settings { parameters, view, build }
}

/// A view that fits the support, in the range of some draws.
fn automatic(entry: &Entry) -> View {
    let tape = Tape::<f64>::new();
    let parameters: Vec<Var<'_, f64>> = entry.ordinary.iter().map(|&value| tape.constant(value)).collect();
    let distribution = (entry.build)(&tape, &parameters);
    let is_small = |finite: &dyn FiniteSupport<'_, f64>| finite.states().is_ok_and(|states| states <= 16);
    if distribution.capabilities().finite_support.is_some_and(is_small) {
        return View::Values(&[]);
    }
    let plate = tape.plate("samples", 500, PlateKind::Samples, &[]);
    let noise = KeyedNoise::new(7, 0);
    let draws = distribution.draw(&Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate])));
    let draws = draws.expect("draws");
    let size = draws.as_slice().len() / 500;
    let range = |element: usize, low: f64, high: f64| {
        let mut own: Vec<f64> = draws.as_slice().iter().skip(element).step_by(size).copied().collect();
        own.sort_by(f64::total_cmp);
        [low, high].map(|part| own[(499.0 * part) as usize])
    };
    if size == 1 {
        let [from, to] = range(0, 0.005, 0.995);
        return match distribution.support() {
            Support::Bits | Support::Categories(_) | Support::Counts | Support::Integers => {
                View::Integers(from as i32 - 1, to as i32 + 1)
            }
            _ => curve(from - 0.1 * (to - from), to + 0.1 * (to - from)),
        };
    }
    let [first, second] = [0, 1].map(|element| range(element, 0.02, 0.98));
    View::Points { elements: FIRST_TWO, from: [first[0], second[0]], to: [first[1], second[1]] }
}
