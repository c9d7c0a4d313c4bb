//! The trait of distributions, and the traits of their capabilities.
//!
//! A distribution is generic over the handles of its parameters: `Bernoulli<Var>` is live on a tape, `Bernoulli<Id>` is
//! stored in a graph, and `Bernoulli<Tensor>` stands alone. All axes of the parameters that are not plates are event
//! axes: a node with 200 bits is one node, with one log-probability for each combination of plate members.

use crate::distribution::alternatives::{Alternatives, Side};
use crate::distribution::parameter::Parameters;
use crate::distribution::support::Support;
use crate::distribution::weak_path::{WeakNoise, WeakPath};
use crate::error::{DistributionError, DistributionResult};
use crate::noise::Draw;
use std::fmt::Debug;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// A probability distribution whose parameters are on a tape.
///
/// The trait can be used as an object. Everything that only some distributions offer (a sample path, a finite support,
/// a distribution function) is a capability: a trait of its own that gradient methods demand at compile time, and that
/// [`capabilities`](Distribution::capabilities) finds at run time.
///
/// To implement it for your own distribution, start with the macro [`distribution!`](crate::distribution), and check
/// the result with [`testing`](crate::testing).
pub trait Distribution<'t, F: Real>: Debug {
    /// The name of the distribution in messages and drawings.
    fn name(&self) -> &'static str;

    /// The parameters, in the order in which derivatives refer to them by position.
    fn parameters(&self) -> Parameters<'t, F>;

    /// The event shape of a value: the independent axes, then the axes of one element.
    fn event_shape(&self) -> Shape;

    /// The number of axes of one element: 0 for numbers, 1 for vectors such as one-hot vectors, 2 for matrices.
    fn element_rank(&self) -> usize {
        0
    }

    /// The values that one element can take.
    fn support(&self) -> Support;

    /// The log-probability (or log-density) of each independent element. The result has the independent axes, without
    /// those of an element.
    ///
    /// Outside the support it is −∞, and its derivatives are 0. NaN gives NaN. An end of the support belongs to it where
    /// the density has a finite limit there; where the density has a pole at an end, the log-density at this end is −∞.
    /// Infinite values are outside the support.
    #[track_caller]
    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F>;

    /// The log-probability of a value, summed over the event: one number for each combination of plate members.
    #[track_caller]
    fn log_prob(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.log_prob_each(value).sum()
    }

    /// Draws values on the plates of the request, as recorded operations on recorded noise: the methods of [`Draw`] with
    /// `record_` give the noise. A compiled graph repeats them with new noise. The result has the event shape, on the
    /// plates of the request or some of them. No gradient flows through the values.
    ///
    /// # Errors
    /// If a parameter is outside its domain, or the noise source cannot provide the noise.
    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>>;

    /// The values of [`sample`](Self::sample) as a tensor. It has the plates of the request as leading axes, then the
    /// event shape.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        Ok(self.sample(draw)?.expand_plates(draw.plates()).inspect()?)
    }

    /// The mean of each element, or `None` where it has no closed form.
    fn mean(&self) -> Option<Var<'t, F>> {
        None
    }

    /// The variance of each element, or `None` where it has no closed form.
    fn variance(&self) -> Option<Var<'t, F>> {
        None
    }

    /// The most probable value of each element, or that of the highest density. `None` where it is not unique.
    fn mode(&self) -> Option<Var<'t, F>> {
        None
    }

    /// Checks that every parameter is in its domain.
    ///
    /// # Errors
    /// The first value outside its domain, and what was expected.
    fn validate(&self) -> DistributionResult<()>;

    /// The capabilities of this distribution, found at run time. The macro [`capabilities!`](crate::capabilities)
    /// writes this method.
    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        Capabilities::default()
    }

    /// The tape of the parameters.
    ///
    /// # Errors
    /// If the distribution has no parameter.
    fn tape(&self) -> DistributionResult<&'t Tape<F>> {
        match self.parameters().first() {
            Some(parameter) => Ok(parameter.var.tape()),
            None => Err(DistributionError::Unsupported {
                distribution: self.name(),
                problem: "expected a distribution with a parameter, got one without, which has no tape".into(),
            }),
        }
    }
}

/// The capabilities of a distribution as trait objects; `None` where it does not have one.
pub struct Capabilities<'a, 't, F: Real> {
    /// The support does not depend on the parameters, so that the score has the mean zero.
    pub score: Option<&'a dyn ScoreDifferentiable<'t, F>>,
    /// Samples are differentiable functions of parameters and noise.
    pub reparameterized: Option<&'a dyn Reparameterized<'t, F>>,
    /// Samples are differentiable functions of the parameters and of noise whose distribution still depends on them.
    pub weakly_reparameterized: Option<&'a dyn WeaklyReparameterized<'t, F>>,
    /// The elements are independent bits.
    pub independent_bits: Option<&'a dyn IndependentBits<'t, F>>,
    /// The elements are independent choices among the same categories.
    pub independent_categories: Option<&'a dyn IndependentCategories<'t, F>>,
    /// The support is finite.
    pub finite_support: Option<&'a dyn FiniteSupport<'t, F>>,
    /// A weak derivative is known.
    pub weak_derivative: Option<&'a dyn WeakDerivative<'t, F>>,
    /// A stochastic derivative is known.
    pub stochastic_derivative: Option<&'a dyn StochasticDerivative<'t, F>>,
    /// A continuous relaxation is known.
    pub relaxed: Option<&'a dyn Relaxed<'t, F>>,
    /// The elements are counts whose variance is a quadratic function of the mean.
    pub quadratic_variance: Option<&'a dyn QuadraticVariance<'t, F>>,
    /// The entropy has a closed form.
    pub entropy: Option<&'a dyn ClosedFormEntropy<'t, F>>,
    /// The distribution function is known.
    pub cdf: Option<&'a dyn CumulativeDistribution<'t, F>>,
    /// The values are integers with a known distribution function.
    pub whole_numbers: Option<&'a dyn IntegerSupport<'t, F>>,
    /// The inverse of the distribution function is known.
    pub icdf: Option<&'a dyn QuantileFunction<'t, F>>,
    /// The distribution function of each element of a vector is known, given the elements before it.
    pub conditional_cdf: Option<&'a dyn ConditionalCumulative<'t, F>>,
    /// The distribution whose density is a power of this one's is known.
    pub tempered: Option<&'a dyn Tempered<'t, F>>,
}

impl<F: Real> Default for Capabilities<'_, '_, F> {
    fn default() -> Self {
        Capabilities {
            score: None,
            reparameterized: None,
            weakly_reparameterized: None,
            independent_bits: None,
            independent_categories: None,
            finite_support: None,
            weak_derivative: None,
            stochastic_derivative: None,
            relaxed: None,
            quadratic_variance: None,
            entropy: None,
            cdf: None,
            whole_numbers: None,
            icdf: None,
            conditional_cdf: None,
            tempered: None,
        }
    }
}

/// The support does not depend on the parameters, so that the derivative of the log-probability has mean zero.
#[diagnostic::on_unimplemented(
    message = "the support of `{Self}` depends on its parameters: the score function would be biased",
    note = "use `Pathwise` where it is reparameterised, or `MeasureValued` where a weak derivative is known"
)]
pub trait ScoreDifferentiable<'t, F: Real>: Distribution<'t, F> {}

/// Samples are differentiable functions of the parameters, for fixed noise.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not reparameterised: `Pathwise` needs samples that are differentiable functions of the parameters",
    note = "for bits and categories use `Enumerate`, `MeasureValued`, `ScoreFunction`, `GumbelSoftmax` (biased) or `Auto`; for counts `MeasureValued`, `ScoreFunction`, `Fini` (biased) or `Auto`"
)]
pub trait Reparameterized<'t, F: Real>: Distribution<'t, F> {
    /// Draws values whose derivatives with respect to the parameters are those of the sample path.
    /// [`Parameter::path`](crate::Parameter::path) gives the order up to which they hold.
    ///
    /// # Errors
    /// As [`Distribution::sample`].
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>>;
}

/// Samples are differentiable functions of the parameters and of noise whose distribution still depends on them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not weakly reparameterised: `GeneralizedReparameterization` needs noise with a log-density",
    note = "use `Pathwise` (reparameterised distributions), `ScoreFunction` or `MeasureValued`"
)]
pub trait WeaklyReparameterized<'t, F: Real>: Distribution<'t, F> {
    /// Draws values that are functions of the parameters and of noise, and the log-density of the noise. A distribution
    /// that supports a single kind of noise may ignore the argument `noise`.
    ///
    /// # Errors
    /// As [`Distribution::sample`], and for parameters at which this kind of noise does not exist.
    fn weak_rsample(&self, draw: &Draw<'_, F>, noise: WeakNoise) -> DistributionResult<WeakPath<'t, F>>;
}

/// The elements are independent bits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a distribution of independent bits",
    note = "for categories use `CategoricalDisArm`, `Carms`, `Arsm` or `Enumerate`; for any distribution `ScoreFunction`, `MeasureValued` (where a weak derivative is known) or `Auto`"
)]
pub trait IndependentBits<'t, F: Real>: ScoreDifferentiable<'t, F> {
    /// The log-odds of a 1, of the event shape and differentiable with respect to the parameters.
    fn logits(&self) -> Var<'t, F>;
}

/// The elements are independent choices among the same number of categories.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a distribution of independent categories",
    note = "for bits use `DisArm`, `Arms` or `Enumerate`; for any distribution `ScoreFunction`, `MeasureValued` (where a weak derivative is known) or `Auto`"
)]
pub trait IndependentCategories<'t, F: Real>: ScoreDifferentiable<'t, F> {
    /// The logarithms of the probabilities, finite and differentiable with respect to the parameters: the independent
    /// axes, then the categories.
    fn category_log_probs(&self) -> Var<'t, F>;

    /// The value with the categories that one-hot vectors along the last axis stand for.
    fn value_from_one_hot(&self, one_hot: Var<'t, F>) -> Var<'t, F>;

    /// The categories of a value as one-hot vectors along a last axis.
    fn to_one_hot(&self, value: Var<'t, F>) -> Var<'t, F>;
}

/// The support of an element is finite.
#[diagnostic::on_unimplemented(
    message = "the support of `{Self}` is not finite: it cannot be enumerated",
    note = "for counts use `MeasureValued`, `StochasticDerivatives`, `DiscreteGo` or `Fini` (biased); for a continuous distribution `Pathwise` (where it is reparameterised) or `MeasureValued`; for any distribution `ScoreFunction` or `Auto`"
)]
pub trait FiniteSupport<'t, F: Real>: Distribution<'t, F> {
    /// The number of values of one element. It is known without a list of them, so that a limit can be checked before
    /// the list is made.
    ///
    /// ```
    /// use stochgrad_distributions::{Binomial, FiniteSupport};
    /// use stochgrad_tape::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let many = Binomial::from_logits(1e12, tape.constant(0.5));
    /// assert_eq!(many.states()?, 1_000_000_000_001);
    /// tape.set_memory_limit(1 << 30);
    /// assert!(many.element_support().is_err());
    /// # Ok::<(), stochgrad_distributions::DistributionError>(())
    /// ```
    ///
    /// # Errors
    /// If the elements have different supports, such as binomial elements with different numbers of trials, or if the
    /// element type does not represent all values exactly.
    fn states(&self) -> DistributionResult<u128>;

    /// The values of one element, along a first axis: shape `[states, element axes]`.
    ///
    /// # Errors
    /// As [`states`](Self::states), and if the list would exceed the
    /// [memory limit](stochgrad_tape::Tape::set_memory_limit) of the tape.
    fn element_support(&self) -> DistributionResult<Tensor<F>>;

    /// The probability of each independent element.
    ///
    /// A distribution with probabilities as parameters overrides this with a formula without logarithms. Its
    /// derivatives are then also right at probability 0, where the chain rule gives 0 · ∞ for `exp(ln p)`.
    fn probability_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.log_prob_each(value).exp()
    }
}

/// The derivative of the distribution with respect to a parameter is a constant times the difference of two
/// distributions.
#[diagnostic::on_unimplemented(
    message = "no weak derivative is known for `{Self}`",
    note = "for a continuous distribution use `Pathwise` (where it is reparameterised); for a discrete one `Enumerate` (finite support); for any distribution `ScoreFunction` or `Auto`"
)]
pub trait WeakDerivative<'t, F: Real>: Distribution<'t, F> {
    /// The coupled positive and negative parts of the derivative with respect to the parameter at this position, given
    /// the primal sample on the plates of the request: recorded operations on the sample and on recorded noise, so that
    /// a compiled graph can repeat them. `None` if there is no weak derivative with respect to it.
    ///
    /// # Errors
    /// As [`Distribution::sample`].
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>>;
}

/// The derivative of the distribution is the mean effect of jumps of the sample itself.
///
/// Source: Arya, Schauer, Schäfer and Rackauckas, "Automatic differentiation of programs with discrete randomness",
/// 2022.
#[diagnostic::on_unimplemented(
    message = "no stochastic derivative is known for `{Self}`",
    note = "for a continuous distribution use `Pathwise` (where it is reparameterised); for any distribution `MeasureValued` (where a weak derivative is known), `ScoreFunction` or `Auto`"
)]
pub trait StochasticDerivative<'t, F: Real>: Distribution<'t, F> {
    /// The jumps that make up the derivative with respect to the parameter at this position, given the primal sample on
    /// the plates of the request: recorded operations, so that a compiled graph can repeat them. `None` if there is no
    /// stochastic derivative with respect to it.
    ///
    /// # Errors
    /// As [`Distribution::sample`].
    fn stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>>;
}

/// A discrete distribution whose samples are a hard threshold of perturbed, differentiable parameters.
#[diagnostic::on_unimplemented(
    message = "no continuous relaxation is known for `{Self}`",
    note = "for a continuous distribution use `Pathwise` (where it is reparameterised), which needs no relaxation; for counts `MeasureValued`, `ScoreFunction` or `Fini` (biased)"
)]
pub trait Relaxed<'t, F: Real>: Distribution<'t, F> {
    /// The logits to which noise is added, differentiable with respect to the parameters.
    fn location(&self) -> Var<'t, F>;

    /// Perturbed parameters `z`: the [`location`](Self::location) plus logistic or Gumbel noise.
    ///
    /// # Errors
    /// As [`Distribution::sample`].
    fn perturbed(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>>;

    /// Perturbed parameters given that [`harden`](Self::harden) maps them to `hard`, differentiable with respect to the
    /// parameters.
    ///
    /// # Errors
    /// As [`Distribution::sample`].
    fn conditional_perturbed(&self, hard: Var<'t, F>, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>>;

    /// The value of the distribution to which perturbed parameters belong, such as the category of the largest.
    fn harden(&self, perturbed: Var<'t, F>) -> Var<'t, F>;

    /// The relaxed value at a temperature. The temperature broadcasts to the perturbed parameters.
    fn soften(&self, perturbed: Var<'t, F>, temperature: Var<'t, F>) -> Var<'t, F>;
}

/// A relaxation whose value without noise, at temperature 1, is the mean: that of bits and one-hot vectors.
/// Straight-through methods take its derivative for that of the mean.
#[diagnostic::on_unimplemented(
    message = "the relaxation of `{Self}` without noise is not its mean, as it is for bits and one-hot vectors",
    note = "use `Simple` (distributions with a known mean), `GumbelSoftmax` or `GumbelRao` (biased), or `Rebar` (distributions with a relaxation), or `ScoreFunction`"
)]
pub trait RelaxedMean<'t, F: Real>: Relaxed<'t, F> {}

/// The distribution function of elements that are single numbers is known.
///
/// | function | definition | outside the support |
/// |---|---|---|
/// | [`cdf`](Self::cdf) | $F(x) = P(X \le x)$ | 0 below, 1 above |
/// | [`survival`](Self::survival) | $S(x) = P(X > x) = 1 - F(x)$ | 1 below, 0 above |
/// | [`log_cdf`](Self::log_cdf) | $\ln F(x)$ | −∞ below, 0 above |
/// | [`log_survival`](Self::log_survival) | $\ln S(x)$ | 0 below, −∞ above |
///
/// Infinite values count as outside, and NaN gives NaN. All functions are differentiable with respect to the value and
/// the parameters, unless the distribution is discrete; where a function is constant its derivatives are 0.
///
/// The distributions of this library compute each function by a formula of its own, so that both tails keep their
/// digits, and the logarithms stay finite far beyond the underflow of the probabilities. Implement `cdf` alone for a
/// distribution of your own where its digits suffice: the others follow from it.
///
/// # Errors of the continuous distributions
/// With ε = 2.2e-16 in `f64` and 1.2e-7 in `f32`, at parameters and values for which the standardised value can be
/// represented: the logarithm of a probability p has an absolute error below 1e-12 + 4 ε |ln p| where p is below 1/2,
/// and a relative one of the same size where p is above (with 1e-5 in place of 1e-12 in `f32`). The probabilities have
/// this as their relative error. To this the error of the standardised value is added: a value whose distance from the
/// location or from an end has been rounded has lost digits before the function is called. Derivatives with respect to
/// the value are densities, with relative errors below 1e-10 in `f64`.
///
/// ```
/// use stochgrad_distributions::{CumulativeDistribution, Normal};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let normal = Normal::new(tape.constant(0.0), 1.0);
/// let far = tape.constant(20.0);
/// assert_eq!(1.0 - normal.cdf(far).item()?, 0.0);
/// assert!((normal.survival(far).item()? / 2.753624118606234e-89 - 1.0).abs() < 1e-12);
/// assert!((normal.log_survival(tape.constant(1000.0)).item()? + 500_007.826_694_812_2).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(message = "no distribution function is known for `{Self}`")]
pub trait CumulativeDistribution<'t, F: Real>: Distribution<'t, F> {
    /// The probability of a value of at most `value`, for each independent element. It is differentiable with respect
    /// to the value and the parameters, unless the distribution is discrete.
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F>;

    /// The probability of a value above `value`, for each independent element: the survival function. For counts
    /// `value` itself is not included.
    ///
    /// The default is `1 − cdf`. Its absolute error is that of `cdf`: a probability of $10^{-k}$ has lost $k$ digits,
    /// and below half a rounding of 1 (6e-8 in `f32`, 1.1e-16 in `f64`) it is 0 with derivatives that may have lost
    /// all digits.
    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        1.0 - self.cdf(value)
    }

    /// The logarithm of the probability of a value of at most `value`, for each independent element.
    ///
    /// The default is the logarithm of `cdf`. It is −∞ with derivatives of 0 where `cdf` underflows, and has the
    /// absolute error of `cdf` where that is close to 1: there only `-survival` has the digits.
    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        log_of_probability(self.cdf(value))
    }

    /// The logarithm of the probability of a value above `value`, for each independent element. For counts `value`
    /// itself is not included.
    ///
    /// The default is the logarithm of [`survival`](Self::survival). It is −∞ with derivatives of 0 where `survival` is
    /// 0, and has the absolute error of `survival` where that is close to 1.
    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        log_of_probability(self.survival(value))
    }
}

/// The logarithm of a probability: −∞ with derivatives of 0 where it is 0.
fn log_of_probability<F: Real>(probability: Var<'_, F>) -> Var<'_, F> {
    let tape = probability.tape();
    let none = probability.le(tape.constant(0.0));
    none.select(tape.constant(f64::NEG_INFINITY), probability.ln())
}

/// The values are integers, and the distribution function is known and at least once differentiable with respect to the
/// parameters.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a distribution of whole numbers with a known distribution function",
    note = "use `Pathwise` (reparameterised distributions), `LocalExpectation` (finite support), `MeasureValued` (where a weak derivative is known) or `ScoreFunction`"
)]
pub trait IntegerSupport<'t, F: Real>: CumulativeDistribution<'t, F> {
    /// 1 where a value has a successor in the support, else 0.
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F>;

    /// The next possible value, or the value itself where there is none. Values of probability zero are skipped.
    fn successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value + self.has_successor(value)
    }
}

/// One element is a vector, and the distribution function of each of its coordinates is known, given the coordinates
/// before it. Mixtures of such distributions have sample paths.
#[diagnostic::on_unimplemented(
    message = "the conditional distribution functions of the coordinates of `{Self}` are not known"
)]
pub trait ConditionalCumulative<'t, F: Real>: Distribution<'t, F> {
    /// The conditional distributions of all coordinates at the coordinates of a value.
    ///
    /// ```
    /// use stochgrad_distributions::{ConditionalCumulative, MultivariateNormal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let factor = tape.constant([[1.0, 0.0], [0.8, 0.6]]);
    /// let normal = MultivariateNormal::new(tape.constant([0.0, 0.0]), factor);
    /// // Given the first coordinate 1, the second has the mean 0.8.
    /// let conditionals = normal.conditionals(tape.constant([1.0, 0.8]));
    /// assert!((conditionals.log_cdf.index(0, 1).item()? - 0.5_f64.ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    fn conditionals(&self, value: Var<'t, F>) -> Conditionals<'t, F>;
}

/// The distributions of the coordinates of vectors, each given the coordinates before it. All have the shape of the
/// vectors.
#[derive(Clone, Copy, Debug)]
pub struct Conditionals<'t, F: Real> {
    /// The logarithm of the density. Its sum over all coordinates is the log-probability.
    pub log_prob: Var<'t, F>,
    /// The logarithm of the distribution function.
    pub log_cdf: Var<'t, F>,
    /// The logarithm of the survival function.
    pub log_survival: Var<'t, F>,
}

/// The inverse of the distribution function is known.
///
/// Probabilities outside of [0, 1] and NaN give NaN. A probability of 0 or 1 gives the end of the support, which may be
/// infinite.
#[diagnostic::on_unimplemented(message = "no inverse of the distribution function is known for `{Self}`")]
pub trait QuantileFunction<'t, F: Real>: CumulativeDistribution<'t, F> {
    /// The smallest value at which the distribution function reaches this probability, for each independent element.
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F>;

    /// The smallest value at which the [survival function](CumulativeDistribution::survival) falls to this probability
    /// or below, for each independent element: `icdf(1 − probability)`, without the rounding of `1 − probability`.
    ///
    /// The default does round it: a probability of $10^{-k}$ has lost $k$ digits, and below half a rounding of 1 (6e-8
    /// in `f32`, 1.1e-16 in `f64`) the result is the upper end of the support.
    ///
    /// ```
    /// use stochgrad_distributions::{Exponential, QuantileFunction};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let waiting = Exponential::new(tape.constant(2.0));
    /// let late = waiting.inverse_survival(tape.constant(1e-100)).item()?;
    /// assert!((late - 50.0 * 10_f64.ln()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.icdf(1.0 - probability)
    }
}

/// The distribution whose density is a power of this one's is known.
#[diagnostic::on_unimplemented(
    message = "no overdispersed form of `{Self}` is known",
    note = "pass a distribution of your own to draw from: `ImportanceSampling::from_distribution(&distribution)`"
)]
pub trait Tempered<'t, F: Real>: Distribution<'t, F> {
    /// The distribution with the density of this one to the power `1 / temperature`, up to a factor: above 1 it is
    /// wider, on the same support. For categories the logits are divided by the temperature, for a normal distribution
    /// the variance is multiplied by it.
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't>;
}

/// The elements are counts whose variance is a quadratic function of the mean, $\mu + v \mu^2$. Mean and variance have
/// closed forms.
///
/// ```
/// use stochgrad_distributions::{Distribution, NegativeBinomial, QuadraticVariance};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let failures = NegativeBinomial::from_probabilities(2.0, tape.constant(0.5));
/// let (mean, variance) = (failures.mean().unwrap().item()?, failures.variance().unwrap().item()?);
/// assert_eq!(variance, mean + failures.curvature().item()? * mean * mean);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "the variance of `{Self}` is not known to be a quadratic function of its mean, on the counts",
    note = "use `Mve` or `ReinMax` for bits and one-hot vectors, `Pathwise` (reparameterised distributions), or an unbiased method such as `MeasureValued` or `ScoreFunction`"
)]
pub trait QuadraticVariance<'t, F: Real>: Distribution<'t, F> {
    /// The curvature $v$ of each element: differentiable with respect to the parameters.
    fn curvature(&self) -> Var<'t, F>;

    /// Checks that every element has at least this many values, or a single one.
    ///
    /// # Errors
    /// If an element has fewer.
    fn check_states(&self, states: usize) -> DistributionResult<()> {
        let _ = states;
        Ok(())
    }
}

/// The entropy has a closed form.
pub trait ClosedFormEntropy<'t, F: Real>: Distribution<'t, F> {
    /// The entropy in nats, summed over the event axes.
    fn entropy(&self) -> Var<'t, F>;
}

/// The Kullback–Leibler divergence to another distribution has a closed form.
#[diagnostic::on_unimplemented(
    message = "no closed form is known for the divergence from `{Self}` to `{Q}`",
    note = "the divergence between a discrete and a continuous distribution is infinite: choose two distributions of the same values; between those, estimate it with `monte_carlo_kl`, or as the cost `p.log_prob(x) − q.log_prob(x)` of a sample `x` of `p`"
)]
pub trait KlDivergence<'t, F: Real, Q: ?Sized = Self> {
    /// `KL(self ‖ other)` in nats, summed over the event axes.
    fn kl_to(&self, other: &Q) -> Var<'t, F>;
}
