//! Distributions as data, so that a file can state a prior, a likelihood or the noise of a model.

mod values;

pub use values::ParameterValues;

use self::values::ParameterValues as Values;
use crate::{
    AsymmetricLaplace, Bernoulli, Beta, BetaBinomial, Binomial, Categorical, Cauchy, Chi, Chi2, ContinuousBernoulli,
    Delta, Dirichlet, DirichletMultinomial, DiscreteUniform, Distribution, DistributionResult, Empirical, Exponential,
    ExponentiallyModifiedGaussian, FisherF, Gamma, GaussianRandomWalk, GeneralizedExtremeValue, GeneralizedNormal,
    GeneralizedPareto, Geometric, Gumbel, HalfCauchy, HalfNormal, HalfStudentT, Horseshoe, Hypergeometric,
    InverseGamma, InverseGaussian, InverseWishart, JohnsonSu, KSubset, Kumaraswamy, Laplace, Levy, Lkj, LogLogistic,
    LogNormal, Logistic, LowRankMultivariateNormal, MatrixNormal, Maxwell, Moyal, Multinomial, MultivariateNormal,
    MultivariateStudentT, NegativeBinomial, Normal, NormalInverseGaussian, OneHotCategorical, OrderedLogistic, Pareto,
    PlackettLuce, Poisson, PowerSpherical, ProjectedNormal, Rayleigh, SinhArcsinh, Skellam, SkewNormal, StudentT,
    Triangular, TruncatedNormal, Uniform, VonMises, VonMisesFisher, Weibull, Wishart, Zeta, Zipf,
};
use serde::{Deserialize, Serialize};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Real;

/// A field of the settings on a tape.
trait OnTape<'t, F: Real> {
    type Value;
    fn on_tape(&self, tape: &'t Tape<F>) -> Self::Value;
}

impl<'t, F: Real> OnTape<'t, F> for Values {
    type Value = Var<'t, F>;
    fn on_tape(&self, tape: &'t Tape<F>) -> Var<'t, F> {
        self.on(tape)
    }
}

impl<'t, F: Real> OnTape<'t, F> for usize {
    type Value = usize;
    fn on_tape(&self, _: &'t Tape<F>) -> usize {
        *self
    }
}

macro_rules! settings {
    ($($type:ident as $variant:ident { $($field:ident: $kind:ty),+ } => $make:expr;)+) => {
        /// A distribution by its `name`, with its parameters as numbers, lists of numbers or tensors. With the feature
        /// `serde`.
        ///
        /// Names are those of the types in lower case with hyphens. Where a parameter can be given in two ways, the
        /// second one ends in it, such as `bernoulli-logits` and `gamma-scale`. Unknown names and parameters are errors
        /// that list those that exist, and values outside of their domain are refused by [`on`](Self::on).
        ///
        /// The distribution on a tape is for log-probabilities, draws and moments. A node of a graph needs the type: take
        /// its parameters from [`ParameterValues`].
        ///
        /// ```
        /// use stochgrad_distributions::DistributionSettings;
        /// use stochgrad_tape::Tape;
        ///
        /// let text = r#"{"name": "student-t", "degrees_of_freedom": 4, "location": [0.0, 1.0], "scale": 2.5}"#;
        /// let prior: DistributionSettings = serde_json::from_str(text)?;
        /// let tape = Tape::<f64>::new();
        /// let weights = tape.parameter([0.3, 0.4]);
        /// let cost = -prior.on(&tape)?.log_prob(weights);
        /// let [gradient] = tape.backward(cost, [weights])?;
        /// assert!(gradient.as_slice()[0] > 0.0 && gradient.as_slice()[1] < 0.0);
        ///
        /// let negative = text.replace("2.5", "-2.5");
        /// assert!(serde_json::from_str::<DistributionSettings>(&negative)?.on(&tape).is_err());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
        #[non_exhaustive]
        pub enum DistributionSettings {
            $(
                #[doc = concat!("[`", stringify!($type), "`](crate::", stringify!($type), ")")]
                $variant {
                    $(
                        #[doc = concat!("The argument `", stringify!($field), "`.")]
                        $field: $kind,
                    )+
                },
            )+
        }

        impl DistributionSettings {
            /// The distribution on a tape, with constants as parameters.
            ///
            /// # Errors
            /// If a parameter is outside of its domain, or shapes do not fit.
            pub fn on<'t, F: Real>(&self, tape: &'t Tape<F>) -> DistributionResult<Box<dyn Distribution<'t, F> + 't>> {
                let distribution: Box<dyn Distribution<'t, F> + 't> = match self {
                    $(DistributionSettings::$variant { $($field),+ } => {
                        $(let $field = $field.on_tape(tape);)+
                        Box::new($make)
                    })+
                };
                distribution.validate()?;
                Ok(distribution)
            }
        }
    };
}

settings! {
    AsymmetricLaplace as AsymmetricLaplace { location: Values, scale: Values, asymmetry: Values } => AsymmetricLaplace::new(location, scale, asymmetry);
    Bernoulli as Bernoulli { probabilities: Values } => Bernoulli::from_probabilities(probabilities);
    Bernoulli as BernoulliLogits { logits: Values } => Bernoulli::from_logits(logits);
    Beta as Beta { alpha: Values, beta: Values } => Beta::new(alpha, beta);
    BetaBinomial as BetaBinomial { trials: Values, alpha: Values, beta: Values } => BetaBinomial::new(trials, alpha, beta);
    Binomial as Binomial { trials: Values, probabilities: Values } => Binomial::from_probabilities(trials, probabilities);
    Binomial as BinomialLogits { trials: Values, logits: Values } => Binomial::from_logits(trials, logits);
    Categorical as Categorical { probabilities: Values } => Categorical::from_probabilities(probabilities);
    Categorical as CategoricalLogits { logits: Values } => Categorical::from_logits(logits);
    Cauchy as Cauchy { location: Values, scale: Values } => Cauchy::new(location, scale);
    Chi as Chi { degrees_of_freedom: Values } => Chi::new(degrees_of_freedom);
    Chi2 as Chi2 { degrees_of_freedom: Values } => Chi2::new(degrees_of_freedom);
    ContinuousBernoulli as ContinuousBernoulliLogits { logits: Values } => ContinuousBernoulli::from_logits(logits);
    Delta as Delta { value: Values } => Delta::new(value);
    Dirichlet as Dirichlet { concentration: Values } => Dirichlet::new(concentration);
    DirichletMultinomial as DirichletMultinomial { trials: Values, concentration: Values } => DirichletMultinomial::new(trials, concentration);
    DiscreteUniform as DiscreteUniform { low: Values, high: Values } => DiscreteUniform::new(low, high);
    Empirical as Empirical { values: Values } => Empirical::new(values);
    Exponential as Exponential { rate: Values } => Exponential::new(rate);
    ExponentiallyModifiedGaussian as ExponentiallyModifiedGaussian { location: Values, scale: Values, rate: Values } => ExponentiallyModifiedGaussian::new(location, scale, rate);
    FisherF as FisherF { numerator: Values, denominator: Values } => FisherF::new(numerator, denominator);
    Gamma as Gamma { concentration: Values, rate: Values } => Gamma::new(concentration, rate);
    Gamma as GammaScale { concentration: Values, scale: Values } => Gamma::from_scale(concentration, scale);
    GaussianRandomWalk as GaussianRandomWalk { steps: usize, initial: Values, scale: Values } => GaussianRandomWalk::new(steps, initial, scale);
    GeneralizedExtremeValue as GeneralizedExtremeValue { location: Values, scale: Values, concentration: Values } => GeneralizedExtremeValue::new(location, scale, concentration);
    GeneralizedNormal as GeneralizedNormal { location: Values, scale: Values, power: Values } => GeneralizedNormal::new(location, scale, power);
    GeneralizedPareto as GeneralizedPareto { location: Values, scale: Values, concentration: Values } => GeneralizedPareto::new(location, scale, concentration);
    Geometric as Geometric { probabilities: Values } => Geometric::from_probabilities(probabilities);
    Gumbel as Gumbel { location: Values, scale: Values } => Gumbel::new(location, scale);
    HalfCauchy as HalfCauchy { scale: Values } => HalfCauchy::new(scale);
    HalfNormal as HalfNormal { scale: Values } => HalfNormal::new(scale);
    HalfStudentT as HalfStudentT { degrees_of_freedom: Values, scale: Values } => HalfStudentT::new(degrees_of_freedom, scale);
    Horseshoe as Horseshoe { scale: Values } => Horseshoe::new(scale);
    Hypergeometric as Hypergeometric { population: Values, successes: Values, draws: Values } => Hypergeometric::new(population, successes, draws);
    InverseGamma as InverseGamma { concentration: Values, scale: Values } => InverseGamma::new(concentration, scale);
    InverseGaussian as InverseGaussian { location: Values, concentration: Values } => InverseGaussian::new(location, concentration);
    InverseWishart as InverseWishart { degrees_of_freedom: Values, scale_tril: Values } => InverseWishart::new(degrees_of_freedom, scale_tril);
    JohnsonSu as JohnsonSu { skewness: Values, tailweight: Values, location: Values, scale: Values } => JohnsonSu::new(skewness, tailweight, location, scale);
    KSubset as KSubset { size: usize, logits: Values } => KSubset::from_logits(size, logits);
    Kumaraswamy as Kumaraswamy { a: Values, b: Values } => Kumaraswamy::new(a, b);
    Laplace as Laplace { location: Values, scale: Values } => Laplace::new(location, scale);
    Levy as Levy { location: Values, scale: Values } => Levy::new(location, scale);
    Lkj as Lkj { dimension: usize, concentration: Values } => Lkj::new(dimension, concentration);
    LogLogistic as LogLogistic { scale: Values, concentration: Values } => LogLogistic::new(scale, concentration);
    LogNormal as LogNormal { location: Values, scale: Values } => LogNormal::new(location, scale);
    Logistic as Logistic { location: Values, scale: Values } => Logistic::new(location, scale);
    LowRankMultivariateNormal as LowRankMultivariateNormal { location: Values, factor: Values, diagonal: Values } => LowRankMultivariateNormal::new(location, factor, diagonal);
    MatrixNormal as MatrixNormal { location: Values, row_scale_tril: Values, column_scale_tril: Values } => MatrixNormal::new(location, row_scale_tril, column_scale_tril);
    Maxwell as Maxwell { scale: Values } => Maxwell::new(scale);
    Moyal as Moyal { location: Values, scale: Values } => Moyal::new(location, scale);
    Multinomial as Multinomial { trials: Values, probabilities: Values } => Multinomial::from_probabilities(trials, probabilities);
    Multinomial as MultinomialLogits { trials: Values, logits: Values } => Multinomial::from_logits(trials, logits);
    MultivariateNormal as MultivariateNormal { location: Values, scale_tril: Values } => MultivariateNormal::new(location, scale_tril);
    MultivariateNormal as MultivariateNormalCovariance { location: Values, covariance: Values } => MultivariateNormal::from_covariance(location, covariance);
    MultivariateStudentT as MultivariateStudentT { degrees_of_freedom: Values, location: Values, scale_tril: Values } => MultivariateStudentT::new(degrees_of_freedom, location, scale_tril);
    NegativeBinomial as NegativeBinomial { successes: Values, probabilities: Values } => NegativeBinomial::from_probabilities(successes, probabilities);
    NegativeBinomial as NegativeBinomialLogits { successes: Values, logits: Values } => NegativeBinomial::from_logits(successes, logits);
    Normal as Normal { location: Values, scale: Values } => Normal::new(location, scale);
    NormalInverseGaussian as NormalInverseGaussian { location: Values, scale: Values, tailweight: Values, skewness: Values } => NormalInverseGaussian::new(location, scale, tailweight, skewness);
    OneHotCategorical as OneHotCategorical { probabilities: Values } => OneHotCategorical::from_probabilities(probabilities);
    OneHotCategorical as OneHotCategoricalLogits { logits: Values } => OneHotCategorical::from_logits(logits);
    OrderedLogistic as OrderedLogistic { predictor: Values, cutpoints: Values } => OrderedLogistic::new(predictor, cutpoints);
    Pareto as Pareto { scale: Values, concentration: Values } => Pareto::new(scale, concentration);
    PlackettLuce as PlackettLuce { logits: Values } => PlackettLuce::from_logits(logits);
    Poisson as Poisson { rate: Values } => Poisson::from_rate(rate);
    PowerSpherical as PowerSpherical { direction: Values, concentration: Values } => PowerSpherical::new(direction, concentration);
    ProjectedNormal as ProjectedNormal { location: Values } => ProjectedNormal::new(location);
    Rayleigh as Rayleigh { scale: Values } => Rayleigh::new(scale);
    SinhArcsinh as SinhArcsinh { skewness: Values, tailweight: Values, location: Values, scale: Values } => SinhArcsinh::new(skewness, tailweight, location, scale);
    Skellam as Skellam { rate_up: Values, rate_down: Values } => Skellam::new(rate_up, rate_down);
    SkewNormal as SkewNormal { location: Values, scale: Values, skewness: Values } => SkewNormal::new(location, scale, skewness);
    StudentT as StudentT { degrees_of_freedom: Values, location: Values, scale: Values } => StudentT::new(degrees_of_freedom, location, scale);
    Triangular as Triangular { low: Values, peak: Values, high: Values } => Triangular::new(low, peak, high);
    TruncatedNormal as TruncatedNormal { location: Values, scale: Values, low: Values, high: Values } => TruncatedNormal::new(location, scale, low, high);
    Uniform as Uniform { low: Values, high: Values } => Uniform::new(low, high);
    VonMises as VonMises { location: Values, concentration: Values } => VonMises::new(location, concentration);
    VonMisesFisher as VonMisesFisher { direction: Values, concentration: Values } => VonMisesFisher::new(direction, concentration);
    Weibull as Weibull { concentration: Values, scale: Values } => Weibull::new(concentration, scale);
    Wishart as Wishart { degrees_of_freedom: Values, scale_tril: Values } => Wishart::new(degrees_of_freedom, scale_tril);
    Zeta as Zeta { exponent: Values } => Zeta::new(exponent);
    Zipf as Zipf { ranks: usize, exponent: Values } => Zipf::new(ranks, exponent);
}
