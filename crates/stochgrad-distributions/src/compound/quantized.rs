//! Real numbers rounded up to integers, such as the intensities of pixels from a mixture of logistic distributions.
//!
//! $$X = \lceil Y \rceil, \quad P(X = k) = F_Y(k) - F_Y(k - 1),$$
//!
//! and with bounds, which are integers, $X$ is the nearest bound where $\lceil Y \rceil$ is beyond it.
//!
//! Parameters: those of the distribution of $Y$: any distribution of single real numbers with a distribution function.
//! Support: the integers between the bounds. For counts that are rounded down or to the nearest integer, move the
//! location of $Y$.
//!
//! | capability | |
//! |---|---|
//! | score | any order, if $Y$ has it: the difference of the distribution functions, in the tail in which both are small |
//! | finite support | with two bounds |
//! | distribution function, survival function and their logarithms | those of $Y$ at the integers; the inverses by quantiles of $Y$ |

use crate::compound::bounds::{delegate_tails, inverted_counts, log_between};
use crate::compound::wrapper::{delegate, lacks};
use crate::discrete::tails::{Tail, of_probability, tails};
use crate::distribution::consecutive::{count_integers, list_integers};
use crate::distribution::{Family, FiniteSupport, IntegerSupport, Live, TensorDistribution, ToTensors};
use crate::error::DistributionError;
use crate::prelude::*;
use crate::sampled_by_rand;
use stochgrad_tape::{IdMap, Tape};

/// Samples of a distribution of real numbers, rounded up to integers.
///
/// ```
/// use stochgrad_distributions::{Distribution, Logistic, Quantized};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// // Intensities from 0 to 255, rounded to the nearest integer.
/// let pixel = Quantized::new(Logistic::new(tape.constant(99.5), 10.0))?.between(0.0, 255.0)?;
/// let all = pixel.log_prob_each(tape.constant((0..256).map(f64::from).collect::<Vec<_>>())).exp().sum();
/// assert!((all.item()? - 1.0).abs() < 1e-14);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Quantized<D> {
    inner: RoundedUp<D>,
}

/// [`Quantized`] without conditions on the distribution inside.
#[derive(Clone, Copy, Debug)]
struct RoundedUp<D> {
    base: D,
    low: f64,
    high: f64,
}

impl<D> Quantized<D> {
    /// Samples of `base`, rounded up.
    ///
    /// # Errors
    /// If the distribution is none of single real numbers, or has no distribution function.
    pub fn new<'t, F: Real>(base: D) -> DistributionResult<Self>
    where
        D: Distribution<'t, F>,
    {
        let support = base.support();
        if !support.is_continuous_scalar() || support == Support::Angles || base.capabilities().cdf.is_none() {
            let problem = format!(
                "expected a distribution of single real numbers with a distribution function, got {} with the support \
                 {support:?}",
                base.name()
            );
            return Err(DistributionError::Unsupported { distribution: "Quantized", problem });
        }
        Ok(Quantized { inner: RoundedUp { base, low: f64::NEG_INFINITY, high: f64::INFINITY } })
    }

    /// The same with bounds, which are integers or infinite: integers beyond a bound are replaced by it.
    ///
    /// # Errors
    /// If a bound is neither an integer nor infinite, or if `low` is not below `high`.
    pub fn between(self, low: f64, high: f64) -> DistributionResult<Self> {
        // The fraction of infinity is NaN.
        let is_end = |bound: f64, infinite: f64| bound == infinite || bound.fract() == 0.0;
        if !(is_end(low, f64::NEG_INFINITY) && is_end(high, f64::INFINITY) && low < high) {
            let problem = format!(
                "expected integers or infinities as bounds, the lower one below the upper one, got {low} and {high}"
            );
            return Err(DistributionError::Unsupported { distribution: "Quantized", problem });
        }
        Ok(Quantized { inner: RoundedUp { low, high, ..self.inner } })
    }

    /// The distribution before rounding.
    pub fn base(&self) -> &D {
        &self.inner.base
    }

    /// The same bounds around another form of the distribution.
    fn with<E>(&self, base: E) -> Quantized<E> {
        Quantized { inner: RoundedUp { base, low: self.inner.low, high: self.inner.high } }
    }
}

impl<F: Real, S: Family<F>> Family<F> for Quantized<S> {
    type On<'t> = Quantized<S::On<'t>>;

    fn store(live: &Self::On<'_>) -> Self {
        live.with(S::store(live.base()))
    }

    fn bind<'t>(&self, tape: &'t Tape<F>, ids: &IdMap) -> DistributionResult<Self::On<'t>> {
        Ok(self.with(self.base().bind(tape, ids)?))
    }
}

impl<'t, F: Real, D: Live<'t, F>> Live<'t, F> for Quantized<D> {
    type Family = Quantized<D::Family>;
}

impl<F: Real, D: TensorDistribution<F>> TensorDistribution<F> for Quantized<D> {
    type On<'t> = Quantized<D::On<'t>>;

    fn on<'t>(&self, tape: &'t Tape<F>) -> Self::On<'t> {
        self.with(self.base().on(tape))
    }
}

impl<'t, F: Real, D: ToTensors<'t, F>> ToTensors<'t, F> for Quantized<D> {
    type Tensors = Quantized<D::Tensors>;

    fn to_tensors(&self) -> DistributionResult<Self::Tensors> {
        Ok(self.with(self.base().to_tensors()?))
    }
}

sampled_by_rand!([D: TensorDistribution<F>] Quantized<D>);

impl<D> RoundedUp<D> {
    /// An integer between the bounds, in place of any other value.
    fn within<'t, F: Real>(&self, like: Var<'t, F>) -> Var<'t, F> {
        like.tape().constant(0.0_f64.max(self.low).min(self.high))
    }

    fn tail<'t, F: Real>(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F>
    where
        D: Distribution<'t, F>,
    {
        let tape = value.tape();
        let Some(base) = self.base.capabilities().cdf else { return tape.constant(f64::NAN) };
        let [low, high] = [self.low, self.high].map(|bound| tape.constant(bound));
        tail.of(value, [value.lt(low), value.ge(high)], self.within(value), |k| match tail {
            Tail::Lower => base.cdf(k),
            Tail::Upper => base.survival(k),
            Tail::LogLower => base.log_cdf(k),
            Tail::LogUpper => base.log_survival(k),
        })
    }

    fn rounded<'t, F: Real>(&self, value: Var<'t, F>) -> Var<'t, F> {
        value.ceil().clamp(self.low, self.high)
    }

    /// The quantile of the integers from that before rounding. `enough` says whether an integer is one at which the
    /// distribution function reaches the probability: the quantile before rounding may have rounded across an integer.
    fn quantile<'t, F: Real>(&self, before: Var<'t, F>, enough: &dyn Fn(Var<'t, F>) -> Var<'t, F>) -> Var<'t, F> {
        let guess = before.held().ceil();
        let finite = guess.abs().lt(guess.tape().constant(1.0 / F::EPSILON.to_f64()));
        let near = finite.select(guess, guess.tape().constant(0.0));
        let next = near + 1.0 - enough(near) - enough(near) * enough(near - 1.0);
        finite.select(next, guess).clamp(self.low, self.high)
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Distribution<'t, F> for RoundedUp<D> {
    fn name(&self) -> &'static str {
        "Quantized"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        self.base.parameters().into_iter().map(|parameter| parameter.with_path(SamplePath::None)).collect()
    }

    fn event_shape(&self) -> Shape {
        self.base.event_shape()
    }

    fn support(&self) -> Support {
        if self.low >= 0.0 { Support::Counts } else { Support::Integers }
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let tape = value.tape();
        let Some(base) = self.base.capabilities().cdf else { return tape.constant(f64::NAN) };
        let [low, high] = [self.low, self.high].map(|bound| tape.constant(bound));
        let own = value.held();
        let possible = own.equal(own.floor()) * own.ge(low) * own.le(high) * own.abs().lt(tape.constant(f64::INFINITY));
        let k = possible.select(value, self.within(value));
        let [first, last] = [f64::NEG_INFINITY, f64::INFINITY].map(|end| tape.constant(end));
        let log = log_between(base, k.equal(low).select(first, k - 1.0), k.equal(high).select(last, k));
        // NaN stays NaN.
        let nothing = own.map(stochgrad_tensor::map::Map::MinScalar(f64::NEG_INFINITY));
        possible.select(log, nothing)
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let tape = self.base.tape()?;
        if self.low >= 0.0 && !draw.records_noise(tape) {
            return Ok(draw.record(tape, inverted_counts(self, tape, draw)?));
        }
        Ok(self.rounded(self.base.sample(draw)?).stop_gradient())
    }

    fn validate(&self) -> DistributionResult<()> {
        self.base.validate()?;
        let (Some(base), Ok(tape)) = (self.base.capabilities().icdf, self.base.tape()) else { return Ok(()) };
        let largest = 1.0 / F::EPSILON.to_f64();
        for share in [0.25, 0.75] {
            let quartile = base.icdf(tape.constant(share)).clamp(self.low, self.high);
            let expected = "below 4.5e15 in size (8.4e6 in f32), where neighbouring numbers differ by 1 or less";
            let hint = "give it bounds, or rescale the distribution inside";
            let condition = Condition::Between { low: -largest, high: largest };
            check_parameter("Quantized", "quartile", quartile, expected, hint, condition)?;
        }
        Ok(())
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        let base = self.base.capabilities();
        let finite = self.low.is_finite() && self.high.is_finite();
        Capabilities {
            score: base.score.map(|_| self as _),
            finite_support: if finite { Some(self) } else { None },
            cdf: base.cdf.map(|_| self as _),
            whole_numbers: base.cdf.map(|_| self as _),
            icdf: base.icdf.map(|_| self as _),
            ..Capabilities::default()
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> ScoreDifferentiable<'t, F> for RoundedUp<D> {}

impl<'t, F: Real, D: Distribution<'t, F>> CumulativeDistribution<'t, F> for RoundedUp<D> {
    tails!();
}

impl<'t, F: Real, D: Distribution<'t, F>> QuantileFunction<'t, F> for RoundedUp<D> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        match self.base.capabilities().icdf {
            Some(base) => {
                let quantile = self.quantile(base.icdf(probability), &|k| base.cdf(k).ge(probability));
                of_probability(probability, quantile)
            }
            None => probability.tape().constant(f64::NAN),
        }
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        match self.base.capabilities().icdf {
            Some(base) => {
                let quantile = self.quantile(base.inverse_survival(probability), &|k| base.survival(k).le(probability));
                of_probability(probability, quantile)
            }
            None => probability.tape().constant(f64::NAN),
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> IntegerSupport<'t, F> for RoundedUp<D> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value.lt(value.tape().constant(self.high))
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> FiniteSupport<'t, F> for RoundedUp<D> {
    fn states(&self) -> DistributionResult<u128> {
        if !(self.low.is_finite() && self.high.is_finite()) {
            return Err(lacks("Quantized", "finite bounds", "the integers"));
        }
        count_integers("Quantized", F::from_f64(self.low), F::from_f64(self.high))
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        self.states()?;
        list_integers(self, F::from_f64(self.low), F::from_f64(self.high))
    }
}

delegate!([D: Distribution<'t, F>] Quantized<D>);
delegate_tails!(Quantized<D>);

impl<'t, F: Real, D: ScoreDifferentiable<'t, F>> ScoreDifferentiable<'t, F> for Quantized<D> {}

impl<'t, F: Real, D: CumulativeDistribution<'t, F>> IntegerSupport<'t, F> for Quantized<D> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.inner.has_successor(value)
    }
}

impl<'t, F: Real, D: CumulativeDistribution<'t, F>> FiniteSupport<'t, F> for Quantized<D> {
    fn states(&self) -> DistributionResult<u128> {
        self.inner.states()
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        self.inner.element_support()
    }
}

#[cfg(test)]
mod tests;
