//! The page that compares the distributions with those of other libraries, `docs/distributions/other_libraries.md`.

use std::collections::BTreeSet;
use std::fmt::Write;

/// The distributions of TensorFlow Probability 0.25.0, `tfp.distributions`, without base classes.
const TFP: &str = "
    Autoregressive BatchBroadcast BatchConcat BatchReshape Bates Bernoulli Beta BetaBinomial BetaQuotient Binomial
    Blockwise Categorical Cauchy Chi Chi2 CholeskyLKJ ContinuousBernoulli Deterministic VectorDeterministic Dirichlet
    FlatDirichlet DirichletMultinomial DoublesidedMaxwell DeterminantalPointProcess Empirical
    ExponentiallyModifiedGaussian ExpGamma ExpInverseGamma Exponential FiniteDiscrete Gamma GammaGamma GaussianProcess
    GaussianProcessRegressionModel GeneralizedNormal GeneralizedPareto Geometric Gumbel GeneralizedExtremeValue
    HalfCauchy HalfNormal HalfStudentT HiddenMarkovModel Horseshoe Independent Inflated ZeroInflatedNegativeBinomial
    InverseGamma InverseGaussian JohnsonSU JointDistributionCoroutine JointDistributionCoroutineAutoBatched
    JointDistributionNamed JointDistributionNamedAutoBatched JointDistributionSequential
    JointDistributionSequentialAutoBatched Kumaraswamy LambertWDistribution LambertWNormal Laplace
    LinearGaussianStateSpaceModel LKJ Logistic LogLogistic LogNormal LogitNormal MarkovChain Masked
    MatrixNormalLinearOperator MatrixTLinearOperator Mixture MixtureSameFamily Moyal Multinomial
    MultivariateStudentTLinearOperator MultivariateNormalDiag MultivariateNormalDiagPlusLowRank
    MultivariateNormalDiagPlusLowRankCovariance MultivariateNormalFullCovariance MultivariateNormalLinearOperator
    MultivariateNormalTriL NegativeBinomial NoncentralChi2 Normal NormalInverseGaussian OneHotCategorical OrderedLogistic
    Pareto PERT PixelCNN PlackettLuce Poisson PoissonLogNormalQuadratureCompound PowerSpherical ProbitBernoulli
    QuantizedDistribution RelaxedBernoulli ExpRelaxedOneHotCategorical RelaxedOneHotCategorical Sample SigmoidBeta
    SinhArcsinh Skellam SphericalUniform StoppingRatioLogistic StudentT StudentTProcess StudentTProcessRegressionModel
    TransformedDistribution Triangular TruncatedCauchy TruncatedNormal TwoPieceNormal TwoPieceStudentT Uniform
    VariationalGaussianProcess VonMises VonMisesFisher Weibull WishartLinearOperator WishartTriL Zipf";

/// Those of NumPyro 0.22.0, `numpyro.distributions`.
const NUMPYRO: &str = "
    AsymmetricLaplace AsymmetricLaplaceQuantile Bernoulli BernoulliLogits BernoulliProbs Beta BetaBinomial
    BetaNegativeBinomial BetaProportion Binomial BinomialLogits BinomialProbs CAR Categorical CategoricalLogits
    CategoricalProbs Cauchy Chi2 CirculantNormal Dagum Delta Dirichlet DirichletMultinomial DiscreteUniform
    DoublyTruncatedPowerLaw EulerMaruyama ExpandedDistribution Exponential FoldedDistribution Gamma GammaPoisson
    GaussianCopula GaussianCopulaBeta GaussianRandomWalk GaussianStateSpace Geometric GeometricLogits GeometricProbs
    Gompertz Gumbel HalfCauchy HalfNormal HurdleDistribution HurdleGamma HurdleLogits HurdleLogNormal
    HurdleNegativeBinomial2 HurdlePoisson HurdleProbs ImproperUniform Independent InverseGamma InverseWishart
    InverseWishartCholesky Kumaraswamy Laplace LeftTruncatedDistribution LeftTruncatedGamma Levy LKJ LKJCholesky Logistic
    LogNormal LogUniform LowerTruncatedPowerLaw LowRankMultivariateNormal MaskedDistribution MatrixNormal Mixture
    MixtureGeneral MixtureSameFamily Multinomial MultinomialLogits MultinomialProbs MultivariateNormal
    MultivariateStudentT NegativeBinomial NegativeBinomial2 NegativeBinomialLogits NegativeBinomialProbs Normal
    OrderedLogistic Pareto Poisson ProjectedNormal RelaxedBernoulli RelaxedBernoulliLogits RightTruncatedDistribution
    RightTruncatedGamma LeftCensoredDistribution RightCensoredDistribution IntervalCensoredDistribution
    SineBivariateVonMises SineSkewed SoftLaplace StudentT TransformedDistribution TruncatedCauchy TruncatedDistribution
    TruncatedGamma TruncatedNormal TruncatedPolyaGamma TwoSidedTruncatedDistribution TwoSidedTruncatedGamma Uniform Unit
    VonMises Weibull Wishart WishartCholesky ZeroInflatedDistribution ZeroInflatedLogits ZeroInflatedNegativeBinomial2
    ZeroInflatedPoisson ZeroInflatedProbs ZeroSumNormal";

/// Those of PyTorch 2.15, `torch.distributions`, without base classes.
const PYTORCH: &str = "
    Bernoulli Beta Binomial Categorical Cauchy Chi2 ContinuousBernoulli Dirichlet Exponential FisherSnedecor Gamma
    GeneralizedPareto Geometric Gumbel HalfCauchy HalfNormal Independent InverseGamma Kumaraswamy LKJCholesky Laplace
    LogNormal LogisticNormal LowRankMultivariateNormal MixtureSameFamily Multinomial MultivariateNormal NegativeBinomial
    Normal OneHotCategorical OneHotCategoricalStraightThrough Pareto RelaxedBernoulli RelaxedOneHotCategorical StudentT
    Poisson Uniform VonMises Weibull Wishart TransformedDistribution";

/// A distribution here and its names in TFP, NumPyro and PyTorch.
type Row = [&'static str; 4];

const ROWS: &[Row] = &[
    ["Bernoulli", "Bernoulli", "Bernoulli BernoulliLogits BernoulliProbs", "Bernoulli"],
    ["Binomial", "Binomial", "Binomial BinomialLogits BinomialProbs", "Binomial"],
    ["BetaBinomial", "BetaBinomial", "BetaBinomial", ""],
    ["Multinomial", "Multinomial", "Multinomial MultinomialLogits MultinomialProbs", "Multinomial"],
    ["DirichletMultinomial", "DirichletMultinomial", "DirichletMultinomial", ""],
    ["Geometric", "Geometric", "Geometric GeometricLogits GeometricProbs", "Geometric"],
    [
        "NegativeBinomial",
        "NegativeBinomial",
        "NegativeBinomial NegativeBinomial2 NegativeBinomialLogits NegativeBinomialProbs GammaPoisson",
        "NegativeBinomial",
    ],
    ["Poisson", "Poisson", "Poisson", "Poisson"],
    ["Skellam", "Skellam", "", ""],
    ["Hypergeometric", "", "", ""],
    ["Zeta", "Zipf", "", ""],
    ["Zipf", "", "", ""],
    ["DiscreteUniform", "", "DiscreteUniform", ""],
    ["Categorical", "Categorical", "Categorical CategoricalLogits CategoricalProbs", "Categorical"],
    ["OrderedLogistic", "OrderedLogistic", "OrderedLogistic", ""],
    ["OneHotCategorical", "OneHotCategorical", "", "OneHotCategorical OneHotCategoricalStraightThrough"],
    ["PlackettLuce", "PlackettLuce", "", ""],
    ["KSubset", "", "", ""],
    ["Normal", "Normal", "Normal", "Normal"],
    ["Laplace", "Laplace", "Laplace", "Laplace"],
    ["AsymmetricLaplace", "", "AsymmetricLaplace AsymmetricLaplaceQuantile", ""],
    ["Logistic", "Logistic", "Logistic", ""],
    ["Gumbel", "Gumbel", "Gumbel", "Gumbel"],
    ["Moyal", "Moyal", "", ""],
    ["GeneralizedExtremeValue", "GeneralizedExtremeValue", "", ""],
    ["Cauchy", "Cauchy", "Cauchy", "Cauchy"],
    ["StudentT", "StudentT", "StudentT", "StudentT"],
    ["JohnsonSu", "JohnsonSU", "", ""],
    ["SinhArcsinh", "SinhArcsinh", "", ""],
    ["GeneralizedNormal", "GeneralizedNormal", "", ""],
    ["SkewNormal", "", "", ""],
    ["ExponentiallyModifiedGaussian", "ExponentiallyModifiedGaussian", "", ""],
    ["NormalInverseGaussian", "NormalInverseGaussian", "", ""],
    ["Horseshoe", "Horseshoe", "", ""],
    ["TruncatedNormal", "TruncatedNormal", "TruncatedNormal", ""],
    ["VonMises", "VonMises", "VonMises", "VonMises"],
    ["Uniform", "Uniform", "Uniform", "Uniform"],
    ["Triangular", "Triangular", "", ""],
    ["Exponential", "Exponential", "Exponential", "Exponential"],
    ["Gamma", "Gamma", "Gamma", "Gamma"],
    ["InverseGamma", "InverseGamma", "InverseGamma", "InverseGamma"],
    ["Chi2", "Chi2", "Chi2", "Chi2"],
    ["Chi", "Chi", "", ""],
    ["LogNormal", "LogNormal", "LogNormal", "LogNormal"],
    ["FisherF", "", "", "FisherSnedecor"],
    ["LogLogistic", "LogLogistic", "", ""],
    ["HalfNormal", "HalfNormal", "HalfNormal", "HalfNormal"],
    ["HalfCauchy", "HalfCauchy", "HalfCauchy", "HalfCauchy"],
    ["HalfStudentT", "HalfStudentT", "", ""],
    ["Weibull", "Weibull", "Weibull", "Weibull"],
    ["Rayleigh", "", "", ""],
    ["Maxwell", "", "", ""],
    ["Pareto", "Pareto", "Pareto", "Pareto"],
    ["Levy", "", "Levy", ""],
    ["GeneralizedPareto", "GeneralizedPareto", "", "GeneralizedPareto"],
    ["InverseGaussian", "InverseGaussian", "", ""],
    ["Beta", "Beta", "Beta BetaProportion", "Beta"],
    ["Kumaraswamy", "Kumaraswamy", "Kumaraswamy", "Kumaraswamy"],
    ["ContinuousBernoulli", "ContinuousBernoulli", "", "ContinuousBernoulli"],
    ["RelaxedBernoulli", "RelaxedBernoulli", "RelaxedBernoulli RelaxedBernoulliLogits", "RelaxedBernoulli"],
    ["RelaxedOneHotCategorical", "RelaxedOneHotCategorical", "", "RelaxedOneHotCategorical"],
    [
        "MultivariateNormal",
        "MultivariateNormalDiag MultivariateNormalFullCovariance MultivariateNormalLinearOperator MultivariateNormalTriL",
        "MultivariateNormal",
        "MultivariateNormal",
    ],
    [
        "LowRankMultivariateNormal",
        "MultivariateNormalDiagPlusLowRank MultivariateNormalDiagPlusLowRankCovariance",
        "LowRankMultivariateNormal",
        "LowRankMultivariateNormal",
    ],
    ["MultivariateStudentT", "MultivariateStudentTLinearOperator", "MultivariateStudentT", ""],
    ["Dirichlet", "Dirichlet FlatDirichlet", "Dirichlet", "Dirichlet"],
    ["PowerSpherical", "PowerSpherical", "", ""],
    ["VonMisesFisher", "VonMisesFisher", "", ""],
    ["ProjectedNormal", "", "ProjectedNormal", ""],
    ["Wishart", "WishartLinearOperator WishartTriL", "Wishart", "Wishart"],
    ["MatrixNormal", "MatrixNormalLinearOperator", "MatrixNormal", ""],
    ["InverseWishart", "", "InverseWishart", ""],
    ["Lkj", "CholeskyLKJ LKJ", "LKJCholesky LKJ", "LKJCholesky"],
    ["GaussianRandomWalk", "", "GaussianRandomWalk", ""],
    ["AutoRegressive", "", "", ""],
    ["MarkovChain", "MarkovChain", "", ""],
    ["HiddenMarkovModel", "HiddenMarkovModel", "", ""],
    ["LinearGaussianStateSpace", "LinearGaussianStateSpaceModel", "", ""],
    ["GaussianProcess", "GaussianProcess", "", ""],
    ["Delta", "Deterministic VectorDeterministic", "Delta", ""],
    ["Empirical", "Empirical", "", ""],
    ["MixtureSameFamily", "MixtureSameFamily", "MixtureSameFamily Mixture", "MixtureSameFamily"],
    ["Mixture", "Mixture", "MixtureGeneral", ""],
    [
        "ZeroInflated",
        "Inflated ZeroInflatedNegativeBinomial",
        "ZeroInflatedDistribution ZeroInflatedLogits ZeroInflatedNegativeBinomial2 ZeroInflatedPoisson ZeroInflatedProbs",
        "",
    ],
    ["Hurdle", "", "HurdleDistribution HurdleLogits HurdleNegativeBinomial2 HurdlePoisson HurdleProbs", ""],
    ["Quantized", "QuantizedDistribution", "", ""],
    [
        "Truncated",
        "TruncatedCauchy",
        "LeftTruncatedDistribution LeftTruncatedGamma RightTruncatedDistribution RightTruncatedGamma TruncatedCauchy TruncatedDistribution TruncatedGamma TwoSidedTruncatedDistribution TwoSidedTruncatedGamma",
        "",
    ],
    ["Censored", "", "LeftCensoredDistribution RightCensoredDistribution IntervalCensoredDistribution", ""],
    [
        "TransformedDistribution",
        "TransformedDistribution LogitNormal",
        "TransformedDistribution LogUniform",
        "TransformedDistribution LogisticNormal",
    ],
    ["Independent", "Independent", "Independent", "Independent"],
];

/// What other libraries have and this one does not, with what to use. The first element is the name that a distribution
/// here would have; the sentence is left out once it exists.
const GAPS: &[(&str, &str, &str)] = &[
    // Distributions that a line makes of others.
    (
        "",
        "ExpGamma ExpInverseGamma SigmoidBeta",
        "Logarithms and log-odds of samples: `TransformedDistribution` with the inverse of `Bijector::Exp` or `Bijector::Sigmoid`.",
    ),
    ("", "PERT", "A beta distribution between two ends: `TransformedDistribution` of `Beta` with `Bijector::affine`."),
    ("", "ProbitBernoulli", "`Bernoulli::from_probabilities` of a normal distribution function."),
    (
        "",
        "StoppingRatioLogistic",
        "`Categorical::from_probabilities` of products of `sigmoid`; for cumulative odds there is `OrderedLogistic`.",
    ),
    (
        "",
        "FiniteDiscrete",
        "A `Categorical` node whose category chooses the value; for equal weights there is `Empirical`.",
    ),
    ("", "SphericalUniform", "A normal vector divided by its length; its log-density is a constant."),
    ("", "CAR", "`MultivariateNormal::from_precision_tril` with the Cholesky factor of the precision."),
    (
        "",
        "ExpRelaxedOneHotCategorical",
        "Not needed: a sample of `RelaxedOneHotCategorical` remembers its logarithms, so that its log-density keeps its digits.",
    ),
    // Parts of a graph.
    (
        "",
        "Autoregressive",
        "A node for each step, as in [sequences](../sequences.md); for linear recursions there is `AutoRegressive`.",
    ),
    (
        "",
        "GaussianStateSpace",
        "The states as nodes of `MultivariateNormal`; `LinearGaussianStateSpace` is the distribution of the observations, without the states.",
    ),
    (
        "",
        "EulerMaruyama",
        "A `Normal` node for each step of the equation; with constant coefficients it is `GaussianRandomWalk`.",
    ),
    (
        "",
        "GammaGamma PoissonLogNormalQuadratureCompound BetaNegativeBinomial",
        "Two nodes: the second distribution has a sample of the first as its parameter.",
    ),
    (
        "",
        "BetaQuotient DoublesidedMaxwell NoncentralChi2",
        "A function of two nodes. Their density is not known here, so that they cannot be observed.",
    ),
    (
        "",
        "JointDistributionCoroutine JointDistributionCoroutineAutoBatched JointDistributionNamed JointDistributionNamedAutoBatched JointDistributionSequential JointDistributionSequentialAutoBatched Blockwise",
        "A graph with several nodes is a joint distribution.",
    ),
    (
        "",
        "Sample ExpandedDistribution BatchBroadcast BatchConcat BatchReshape",
        "Shapes: axes of the parameters are independent elements, and [plates](../plates.md) are members. Reshape the parameters.",
    ),
    (
        "",
        "Masked MaskedDistribution Unit ImproperUniform",
        "Costs: multiply a log-probability by a mask, or add a cost of your own.",
    ),
    (
        "",
        "PixelCNN",
        "A network of masked convolutions, which are not here; its pixels are nodes of a [sequence](../sequences.md).",
    ),
    // Density by a map of your own.
    (
        "",
        "LambertWDistribution LambertWNormal Gompertz Dagum GaussianCopula GaussianCopulaBeta",
        "`TransformedDistribution` with a map of your own (`InvertibleMap`).",
    ),
    // Not here.
    (
        "",
        "GaussianProcessRegressionModel",
        "`GaussianProcess::predicted` is the distribution at other points, given values at these.",
    ),
    (
        "",
        "VariationalGaussianProcess StudentTProcess StudentTProcessRegressionModel",
        "Not here. A variational process is a `MultivariateNormal` node at its inducing points, with the matrices of a `Kernel`.",
    ),
    (
        "",
        "MatrixTLinearOperator WishartCholesky InverseWishartCholesky",
        "Not here. Take the Cholesky factor of a sample, or draw an `InverseWishart` row covariance and a `MatrixNormal` matrix.",
    ),
    (
        "",
        "CirculantNormal ZeroSumNormal",
        "Not here: a covariance by Fourier transforms, and a singular one. Subtract the mean of `Normal` samples for sums of zero.",
    ),
    (
        "",
        "Bates TwoPieceNormal TwoPieceStudentT SoftLaplace FoldedDistribution",
        "Not here: few models of the field use them. `SkewNormal`, `SinhArcsinh` and `Logistic` are near; `HalfNormal`, `HalfCauchy` and `HalfStudentT` are folded.",
    ),
    (
        "",
        "DoublyTruncatedPowerLaw LowerTruncatedPowerLaw",
        "`Pareto` is the power law above a limit; `Truncated` gives it a second one.",
    ),
    (
        "",
        "HurdleGamma HurdleLogNormal",
        "Zeros in continuous data: a `Bernoulli` node times a node of the positive values. `Hurdle` is for counts.",
    ),
    (
        "",
        "SineBivariateVonMises SineSkewed",
        "Not here: pairs of angles and skewed angles. `VonMisesFisher` and `PowerSpherical` are on spheres.",
    ),
    ("", "DeterminantalPointProcess TruncatedPolyaGamma", "Not here. For subsets of fixed size there is `KSubset`."),
];

fn words(text: &'static str) -> BTreeSet<&'static str> {
    text.split_whitespace().collect()
}

/// Names as code.
fn code(names: &str) -> String {
    names.split_whitespace().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The page, given the types of this library and the links to their pages.
pub(crate) fn page(types: &[(&'static str, String)]) -> String {
    let known = |name: &str| types.iter().find(|(own, _)| *own == name);
    let mut text = format!(
        "# Distributions of other libraries\n\n\
         The distributions of this library beside those of TensorFlow Probability 0.25.0 ({}), NumPyro 0.22.0 ({}) and\n\
         PyTorch 2.15 ({}), by their names there. An empty cell means that the library has none. Other\n\
         parameterisations and special cases are in the row of the distribution. A test compares the first column with the\n\
         library (`cargo test -p stochgrad-distributions --test capabilities`).\n\n\
         | here ({}) | TFP | NumPyro | PyTorch |\n|---|---|---|---|\n",
        words(TFP).len(),
        words(NUMPYRO).len(),
        words(PYTORCH).len(),
        types.len()
    );
    for [name, tfp, numpyro, pytorch] in ROWS {
        let own = known(name).map_or(String::new(), |(name, file)| format!("[`{name}`]({file}.md)"));
        writeln!(text, "| {own} | {} | {} | {} |", code(tfp), code(numpyro), code(pytorch)).expect("a string");
    }
    text += "\n## What to use instead\n\nDistributions of the other libraries that are no type here:\n\n\
             | there | here |\n|---|---|\n";
    for (name, there, sentence) in GAPS {
        let missing = ROWS.iter().find(|row| row[0] == *name && known(name).is_none());
        let names = match missing {
            Some(row) => {
                let mut all: Vec<&str> = row[1..].iter().flat_map(|names| names.split_whitespace()).collect();
                all.sort_unstable();
                all.dedup();
                all.join(" ")
            }
            None => there.to_string(),
        };
        if !names.is_empty() {
            writeln!(text, "| {} | {sentence} |", code(&names)).expect("a string");
        }
    }
    text
}

/// What is wrong with the table: a distribution of any library that is missing or listed twice.
pub(crate) fn problems(types: &[(&'static str, String)]) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, _) in types {
        if ROWS.iter().filter(|row| row[0] == *name).count() != 1 {
            problems.push(format!("{name}: expected one row in tests/capabilities/other_libraries.rs"));
        }
    }
    for row in ROWS {
        let exists = types.iter().any(|(name, _)| *name == row[0]);
        if !exists && !GAPS.iter().any(|(name, _, _)| *name == row[0]) {
            problems.push(format!("{}: no distribution has this name, and no sentence says what to use", row[0]));
        }
    }
    for (library, names, column) in [("TFP", TFP, 1), ("NumPyro", NUMPYRO, 2), ("PyTorch", PYTORCH, 3)] {
        let listed: Vec<&str> = ROWS.iter().flat_map(|row| row[column].split_whitespace()).collect();
        for name in words(names) {
            let here = listed.iter().filter(|listed| **listed == name).count();
            let gaps = GAPS.iter().filter(|(_, there, _)| there.split_whitespace().any(|other| other == name)).count();
            if here + gaps != 1 {
                problems.push(format!("{library}, {name}: expected one row or one sentence, got {}", here + gaps));
            }
        }
        problems.extend(
            listed.iter().filter(|name| !words(names).contains(*name)).map(|name| format!("{library} has no {name}")),
        );
    }
    let all: BTreeSet<&str> = [TFP, NUMPYRO, PYTORCH].into_iter().flat_map(words).collect();
    let there = GAPS.iter().flat_map(|(_, there, _)| there.split_whitespace());
    problems.extend(there.filter(|name| !all.contains(name)).map(|name| format!("no library has {name}")));
    problems
}
