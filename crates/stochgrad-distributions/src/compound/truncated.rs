//! Any distribution of numbers or counts, given that its value lies between two bounds.
//!
//! $$p(x) = \frac{p_Y(x)}{P(l \le Y \le h)}, \quad l \le x \le h.$$
//!
//! Parameters: the bounds `low` $l$ and `high` $h$, either of which may be infinite, and those of the distribution of $Y$,
//! which needs a distribution function and quantiles. The bounds broadcast to its event shape. Support: the values of $Y$
//! from $l$ to $h$, both included.
//!
//! The probability between the bounds is a difference of logarithms of distribution or survival functions, in the tail
//! in which both are small. It must be at least the smallest positive number over the rounding (1e-292 in `f64`, 1e-31
//! in `f32`), so that quantiles keep their digits, and at least a share of 1.5e-8 (3.5e-4) of that tail, so that the
//! difference has digits. For normal samples beyond,
//! [`TruncatedNormal`](crate::TruncatedNormal) has functions of its own.
//!
//! | capability | |
//! |---|---|
//! | score | of counts only, any order: the bounds of real numbers have derivatives, with which the support moves |
//! | reparameterised | of real numbers, if $Y$ has a path: implicit, order 1, in the parameters of $Y$ and in the bounds |
//! | weak derivative with respect to a bound of real numbers | the density at the bound, the bound itself and the distribution |
//! | distribution function, survival function and their logarithms | those of $Y$, less what is outside the bounds; the inverses by those of $Y$ |

use crate::compound::bounds::{
    bounded, check_bounds, inverted_counts, is_count, log_between, quantile_from, share_between,
};
use crate::compound::wrapper::lacks;
use crate::derivative::implicit::implicit_path;
use crate::derivative::underflow::finite_draws;
use crate::discrete::tails::{Tail as TailOfCounts, of_probability};
use crate::distribution::{IntegerSupport, confine_possible, log_unless_likely};
use crate::noise::FoldedNoise;
use crate::prelude::*;
use stochgrad_tape::Smoothness;
use stochgrad_tensor::map::Map;

bounded! {
    /// Samples of a distribution given that they lie between two bounds, either of which may be infinite.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Exponential, Truncated};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let waiting = Exponential::new(tape.constant(1.0));
    /// let observed = Truncated::new(waiting, 0.5, 2.0)?;
    /// let mass = (-0.5_f64).exp() - (-2.0_f64).exp();
    /// assert!((observed.log_prob(tape.constant(1.0)).item()? - (-1.0 - mass.ln())).abs() < 1e-14);
    /// assert_eq!(observed.log_prob(tape.constant(3.0)).item()?, f64::NEG_INFINITY);
    /// # Ok(())
    /// # }
    /// ```
    Truncated, Between
}

impl<'t, F: Real, D: Distribution<'t, F>> Truncated<Var<'t, F>, D> {
    /// Samples of `base` from `low` to `high`, both included.
    ///
    /// # Errors
    /// If the distribution is none of single real numbers or of counts, if it has no quantiles, or if a bound does not
    /// broadcast to its elements.
    pub fn new(base: D, low: impl IntoVar<'t, F>, high: impl IntoVar<'t, F>) -> DistributionResult<Self> {
        let tape = base.tape()?;
        let (low, high) = (low.into_var(tape), high.into_var(tape));
        check_bounds("Truncated", &[low, high], &base)?;
        if base.capabilities().icdf.is_none() {
            let problem = format!("expected a distribution with quantiles, got {}, which has none", base.name());
            return Err(crate::DistributionError::Unsupported { distribution: "Truncated", problem });
        }
        Ok(Truncated { inner: Between { base, low, high } })
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Between<Var<'t, F>, D> {
    fn quantiles(&self) -> DistributionResult<&dyn QuantileFunction<'t, F>> {
        self.base.capabilities().icdf.ok_or_else(|| lacks("Truncated", "quantiles", "the distribution inside"))
    }

    /// The bounds: of counts, the smallest and the largest count between them, without derivatives.
    fn ends(&self) -> [Var<'t, F>; 2] {
        match is_count(&self.base) {
            true => [self.low.held().ceil(), self.high.held().floor()],
            false => [self.low, self.high],
        }
    }

    /// The largest number below the support.
    fn before(&self) -> Var<'t, F> {
        let [low, _] = self.ends();
        if is_count(&self.base) { low - 1.0 } else { low }
    }

    /// The logarithm of the probability between the bounds.
    fn log_mass(&self, base: &dyn QuantileFunction<'t, F>) -> Var<'t, F> {
        log_between(base, self.before(), self.ends()[1])
    }

    /// The quantile, given the probabilities below and above it. At 0 and 1 it is an end of the support to the bit.
    fn quantile(&self, base: &dyn QuantileFunction<'t, F>, below: Var<'t, F>, above: Var<'t, F>) -> Var<'t, F> {
        let ([low, high], mass) = (self.ends(), self.log_mass(base).exp());
        let nothing = low.tape().constant(0.0);
        let lowest = low.maximum(base.icdf(nothing).held());
        let highest = high.minimum(base.inverse_survival(nothing).held());
        let [at_lowest, at_highest] = [below.held().le(nothing), above.held().le(nothing)];
        // A product that has underflowed is still above 0.
        let least = |share: Var<'t, F>| (share * mass).maximum(share.step() * F::MIN_POSITIVE.to_f64());
        let (below, above) = (base.cdf(self.before()) + least(below), base.survival(high) + least(above));
        let inside = quantile_from(base, below, above).maximum(low).minimum(high);
        at_lowest.select(lowest, at_highest.select(highest, inside))
    }

    fn tail(&self, value: Var<'t, F>, tail: TailOfCounts) -> Var<'t, F> {
        let Ok(base) = self.quantiles() else { return value.tape().constant(f64::NAN) };
        let ([low, high], before, mass) = (self.ends(), self.before(), self.log_mass(base));
        let inside = |x: Var<'t, F>| {
            // The difference may round to more than 0.
            let lower = || (log_between(base, before, x) - mass).map(Map::MinScalar(0.0));
            let upper = || (log_between(base, x, high) - mass).map(Map::MinScalar(0.0));
            match tail {
                TailOfCounts::Lower => lower().exp(),
                TailOfCounts::Upper => upper().exp(),
                TailOfCounts::LogLower => log_unless_likely(lower(), upper().exp()),
                TailOfCounts::LogUpper => log_unless_likely(upper(), lower().exp()),
            }
        };
        if is_count(&self.base) {
            let ends = [value.lt(low), value.ge(high)];
            return tail.of(value, ends, low.maximum(value.tape().constant(0.0)).minimum(high), inside);
        }
        let tail = match tail {
            TailOfCounts::Lower => Tail::Lower,
            TailOfCounts::Upper => Tail::Upper,
            TailOfCounts::LogLower => Tail::LogLower,
            TailOfCounts::LogUpper => Tail::LogUpper,
        };
        tail.on_interval(value, [low, high], inside)
    }
}

/// The least logarithm of the probability between the bounds.
fn least_log_mass<F: Real>() -> f64 {
    (F::MIN_POSITIVE.to_f64() / F::EPSILON.to_f64()).ln()
}

impl<'t, F: Real, D: Distribution<'t, F>> Distribution<'t, F> for Between<Var<'t, F>, D> {
    fn name(&self) -> &'static str {
        "Truncated"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let (order, counts) = (Order::Finite(1), is_count(&self.base));
        let bound = |name, var| match counts {
            true => Parameter::smooth(name, var).with_score(Smoothness::Constant).with_path(SamplePath::None),
            false => Parameter::smooth(name, var).with_score(Smoothness::Jump).with_path(SamplePath::Implicit(order)),
        };
        let of_base = self.base.parameters().into_iter().map(|parameter| {
            let path = parameter.path.implicit(order);
            parameter.with_path(path)
        });
        [bound("low", self.low), bound("high", self.high)].into_iter().chain(of_base).collect()
    }

    fn event_shape(&self) -> Shape {
        self.base.event_shape()
    }

    fn support(&self) -> Support {
        if is_count(&self.base) { self.base.support() } else { Support::Interval }
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let Ok(base) = self.quantiles() else { return value.tape().constant(f64::NAN) };
        let [low, high] = self.ends();
        let outside = Boundary::Included.outside((value - low).minimum(high - value));
        let density = confine_possible(self.base.log_prob_each(value)) - self.log_mass(base);
        outside.select(value.tape().constant(f64::NEG_INFINITY), density)
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (tape, event, base) = (self.low.tape(), self.event_shape(), self.quantiles()?);
        if is_count(&self.base) && !draw.records_noise(tape) {
            return Ok(draw.record(tape, inverted_counts(self, tape, draw)?));
        }
        let FoldedNoise { lower, tail, .. } = FoldedNoise::record(draw, tape, &event)?;
        let other = 1.0 - tail;
        let sample = self.quantile(base, lower.select(tail, other), lower.select(other, tail));
        Ok(finite_draws(sample).stop_gradient())
    }

    fn validate(&self) -> DistributionResult<()> {
        self.base.validate()?;
        let hint = "the lower bound must be below the upper one, and values between them likely enough for quantiles \
                    with digits; use TruncatedNormal for normal samples far from the location";
        let condition = Condition::AtMost { above: least_log_mass::<F>(), high: f64::INFINITY };
        let expected = "above -672 (-71 in f32)";
        let mass = self.log_mass(self.quantiles()?);
        check_parameter("Truncated", "log-probability between the bounds", mass, expected, hint, condition)?;
        let share = share_between(self.quantiles()?, self.before(), self.ends()[1]);
        let hint = "the probability between so narrow bounds is a difference without digits; use wider ones, or \
                    TruncatedNormal for normal samples";
        let expected = "at least 1.5e-8 (3.5e-4 in f32)";
        let condition = Condition::Between { low: F::EPSILON.to_f64().sqrt(), high: 1.0 };
        check_parameter("Truncated", "share between the bounds of a tail", share, expected, hint, condition)
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        let (base, counts) = (self.base.capabilities(), is_count(&self.base));
        Capabilities {
            score: base.score.filter(|_| counts).map(|_| self as _),
            reparameterized: base.reparameterized.filter(|_| !counts).map(|_| self as _),
            weak_derivative: if counts { None } else { Some(self) },
            cdf: Some(self),
            icdf: Some(self),
            whole_numbers: base.whole_numbers.filter(|_| counts).map(|_| self as _),
            ..Capabilities::default()
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> CumulativeDistribution<'t, F> for Between<Var<'t, F>, D> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(value, TailOfCounts::Lower)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(value, TailOfCounts::Upper)
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(value, TailOfCounts::LogLower)
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(value, TailOfCounts::LogUpper)
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> QuantileFunction<'t, F> for Between<Var<'t, F>, D> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let Ok(base) = self.quantiles() else { return probability.tape().constant(f64::NAN) };
        let inside = probability.clamp(0.0, 1.0);
        of_probability(probability, self.quantile(base, inside, 1.0 - inside))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let Ok(base) = self.quantiles() else { return probability.tape().constant(f64::NAN) };
        let inside = probability.clamp(0.0, 1.0);
        of_probability(probability, self.quantile(base, 1.0 - inside, inside))
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> IntegerSupport<'t, F> for Between<Var<'t, F>, D> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.base.capabilities().whole_numbers {
            Some(base) => base.has_successor(value) * value.lt(self.ends()[1]),
            None => value.tape().constant(f64::NAN),
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Reparameterized<'t, F> for Between<Var<'t, F>, D> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        if self.capabilities().reparameterized.is_none() {
            return Err(lacks("Truncated", "a path", "the distribution inside"));
        }
        Ok(implicit_path(self, self.sample(draw)?))
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> WeakDerivative<'t, F> for Between<Var<'t, F>, D> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let (bound, sign) = match parameter {
            0 => (self.low, -1.0),
            1 => (self.high, 1.0),
            _ => return Ok(None),
        };
        let (tape, sample) = (sample.tape(), sample.stop_gradient());
        // Nothing happens at an infinite bound.
        let bound = bound.stop_gradient().broadcast_to(self.event_shape());
        let finite = bound.abs().lt(tape.constant(f64::INFINITY));
        let value = finite.select(bound, sample);
        let density = (self.base.log_prob_each(finite.select(bound, tape.constant(0.5)))
            - self.log_mass(self.quantiles()?))
        .exp();
        let weight = finite.select(density.stop_gradient(), tape.constant(0.0)) * sign;
        Ok(Some(Alternatives { values: vec![value], weights: vec![weight] }))
    }
}

impl<'t, F: Real, D: IntegerSupport<'t, F>> IntegerSupport<'t, F> for Truncated<Var<'t, F>, D> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.inner.has_successor(value)
    }
}

impl<'t, F: Real, D: QuantileFunction<'t, F> + Reparameterized<'t, F>> WeakDerivative<'t, F>
    for Truncated<Var<'t, F>, D>
{
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        self.inner.weak_derivative(parameter, sample, draw)
    }
}

#[cfg(test)]
mod tests;
