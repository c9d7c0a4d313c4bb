//! Counts with a hurdle: whether a count is 0 is decided by a trial of its own, and positive counts have a distribution
//! of counts without its zeros.
//!
//! $$P(X = 0) = \pi, \quad P(X = k) = (1 - \pi) \frac{P(Y = k)}{P(Y > 0)} \ \text{for}\ k > 0, \quad \pi \in [0, 1].$$
//!
//! Parameters: the gate, which is the probability $\pi$ or its log-odds, and those of the distribution of $Y$: any
//! distribution of counts, bits or categories as integers with a distribution function and quantiles, for which counts
//! above 0 are possible. The gate broadcasts to its event shape. Support: that of $Y$.
//!
//! Use it for data with fewer or more zeros than the distribution of $Y$ has. With $\pi = P(Y = 0)$ it is the
//! distribution of $Y$. For zeros in addition to those of $Y$, use [`ZeroInflated`](crate::ZeroInflated).
//!
//! | capability | |
//! |---|---|
//! | score | any order, if the distribution of $Y$ has it |
//! | weak derivative with respect to $\pi$ | constant 1, the count 0 and a positive count |
//! | weak derivative with respect to a parameter of $Y$ | that of $Y$ divided by $P(Y > 0)$, with positive counts in place of 0 |
//! | finite support | that of $Y$ |
//! | distribution function | $P(X > x) = (1 - \pi) P(Y > x) / P(Y > 0)$ for $x \ge 0$; its inverse by those of $Y$ |
//!
//! The weak derivative: let $g$ be the cost, $Z$ a sample of $Y$ given $Y > 0$, and $h$ the cost with $E g(Z)$ in the
//! place of $g(0)$. Then $E h(Y) = E g(Z)$ at the present parameters, and with $h$ held fixed
//!
//! $$\partial E g(Z) = \frac{\partial E h(Y)}{P(Y > 0)}.$$
//!
//! The sample of $Y$ from which its own weak derivative starts is $X$ with probability $P(Y > 0)$, else 0. Where one of
//! two counts that are compared is 0, a positive count stands for it.

use crate::compound::gate::{
    check_gate, gated, gated_parameters, gated_variance, log_open, values_with_zero, weights_where,
};
use crate::compound::wrapper::lacks;
use crate::discrete::Bernoulli;
use crate::discrete::tails::{Tail, of_probability};
use crate::distribution::{FiniteSupport, confine_possible, log_unless_likely};
use crate::noise::FoldedNoise;
use crate::parameter::probability::ProbabilityOrLogit;
use crate::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;

gated! {
    /// Counts with a hurdle: with the probability of the gate the count is 0, and otherwise it is a positive count of
    /// the distribution behind the gate.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Hurdle, Poisson};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let purchases = Hurdle::from_probability(tape.constant(0.8), Poisson::from_rate(tape.constant(1.5)))?;
    /// assert!((purchases.log_prob(tape.constant(0.0)).item()? - 0.8_f64.ln()).abs() < 1e-14);
    /// // Without the gate, a positive count has the mean rate / (1 − exp(−rate)).
    /// let mean = 0.2 * 1.5 / (1.0 - (-1.5_f64).exp());
    /// assert!((purchases.mean().unwrap().item()? - mean).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    Hurdle, Positive
}

impl<'t, F: Real, D: Distribution<'t, F>> Hurdle<Var<'t, F>, D> {
    fn new(gate: ProbabilityOrLogit<Var<'t, F>>, base: D) -> DistributionResult<Self> {
        check_gate("Hurdle", gate, &base)?;
        if base.capabilities().icdf.is_none() {
            let problem = format!(
                "expected a distribution of counts with a distribution function and quantiles, got {}, which has none; \
                 use ZeroInflated or Mixture",
                base.name()
            );
            return Err(crate::DistributionError::Unsupported { distribution: "Hurdle", problem });
        }
        Ok(Hurdle { inner: Positive { gate, base } })
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Positive<Var<'t, F>, D> {
    /// The quantiles of the distribution behind the gate.
    fn quantiles(&self) -> DistributionResult<&dyn QuantileFunction<'t, F>> {
        self.base.capabilities().icdf.ok_or_else(|| lacks("Hurdle", "quantiles", "the distribution of counts"))
    }

    /// The probability that a count of the distribution behind the gate is above a number.
    fn survival_at(&self, base: &dyn QuantileFunction<'t, F>, number: f64) -> Var<'t, F> {
        base.survival(self.gate.var().tape().constant(number))
    }

    /// The quantile of positive counts behind the gate, given the probabilities below and above it.
    fn positive(&self, base: &dyn QuantileFunction<'t, F>, below: Var<'t, F>, above: Var<'t, F>) -> Var<'t, F> {
        let tape = below.tape();
        let [zero, half, one] = [0.0, 0.5, 1.0].map(|number| tape.constant(number));
        let (none, some) = (base.cdf(zero), self.survival_at(base, 0.0));
        // From below, where that has more digits than from above.
        let lower = below.lt(half) * none.lt(half);
        let from_below = base.icdf(lower.select(none + below * some, half));
        // A product that has underflowed is still above 0.
        let share = (above * some).maximum(above.gt(zero) * F::MIN_POSITIVE.to_f64());
        let from_above = base.inverse_survival(lower.select(half, share));
        lower.select(from_below, from_above).maximum(one)
    }

    /// A positive count behind the gate.
    fn positive_sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (tape, event, base) = (self.gate.var().tape(), self.event_shape(), self.quantiles()?);
        if !draw.records_noise(tape) {
            return Ok(draw.record(tape, self.inverted(draw)?));
        }
        let FoldedNoise { lower, tail, .. } = FoldedNoise::record(draw, tape, &event)?;
        let other = 1.0 - tail;
        Ok(self.positive(base, lower.select(tail, other), lower.select(other, tail)).stop_gradient())
    }

    /// Positive counts where noise is not recorded: the exact oracle splits it instead.
    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let (event, base) = (self.event_shape(), self.quantiles()?);
        let at = |k: f64| draw.parameter(self.survival_at(base, k).broadcast_to(event.clone()), &event);
        let some = at(0.0)?;
        let known: RefCell<HashMap<u64, Tensor<F>>> = RefCell::default();
        let failure = RefCell::new(None);
        let cdf = |element: usize, k: u64| {
            let mut known = known.borrow_mut();
            let above = match known.get(&k) {
                Some(above) => above,
                None => match at(k as f64) {
                    Ok(above) => known.entry(k).or_insert(above),
                    Err(error) => {
                        failure.replace(Some(error));
                        return 1.0;
                    }
                },
            };
            1.0 - above.as_slice()[element].to_f64() / some.as_slice()[element].to_f64()
        };
        let counts = draw.invert(&event, &cdf)?;
        failure.into_inner().map_or(Ok(counts), Err)
    }

    /// 1 where a count is 0.
    fn is_zero(value: Var<'t, F>) -> Var<'t, F> {
        value.equal(value.tape().constant(0.0))
    }

    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        let Ok(base) = self.quantiles() else { return value.tape().constant(f64::NAN) };
        let zero = value.tape().constant(0.0);
        let open = self.gate.complement();
        let upper = |count: Var<'t, F>| open * (base.survival(count) / self.survival_at(base, 0.0));
        let lower = |count: Var<'t, F>| {
            let none = base.cdf(zero);
            let inside = (base.cdf(count) - none) / self.survival_at(base, 0.0);
            // The difference has lost its digits where 0 has most of the probability.
            let small = none.held().lt(value.tape().constant(0.5));
            small.select(self.gate.probability() + open * inside, 1.0 - upper(count))
        };
        tail.of_counts(value, |count| match tail {
            Tail::Lower => lower(count),
            Tail::Upper => upper(count),
            Tail::LogLower => {
                let probability = lower(count);
                let possible = probability.held().gt(zero);
                let log = possible.select(probability, zero + 1.0).ln();
                let log = possible.select(log, zero + f64::NEG_INFINITY);
                log_unless_likely(log, upper(count))
            }
            Tail::LogUpper => {
                log_open(self.gate) + confine_possible(base.log_survival(count)) - base.log_survival(zero)
            }
        })
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Distribution<'t, F> for Positive<Var<'t, F>, D> {
    fn name(&self) -> &'static str {
        "Hurdle"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        gated_parameters(self.gate, &self.base)
    }

    fn event_shape(&self) -> Shape {
        self.base.event_shape()
    }

    fn support(&self) -> Support {
        self.base.support()
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let Ok(base) = self.quantiles() else { return value.tape().constant(f64::NAN) };
        let (closed, open) = (self.gate.logs().0, log_open(self.gate));
        let log = confine_possible(self.base.log_prob_each(value));
        Self::is_zero(value).select(closed, open + log - base.log_survival(value.tape().constant(0.0)))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let gate = self.gate.var().broadcast_to(self.event_shape());
        let gate = match self.gate {
            ProbabilityOrLogit::Probability(_) => Bernoulli::from_probabilities(gate),
            ProbabilityOrLogit::Logit(_) => Bernoulli::from_logits(gate),
        };
        let closed = gate.sample(&draw.purpose("gate"))?;
        let count = self.positive_sample(&draw.purpose("count"))?;
        Ok(closed.select(count.tape().constant(0.0), count).stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        let some = self.survival_at(self.quantiles().ok()?, 0.0);
        Some(self.gate.complement() * (self.base.mean()? / some))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let base = self.quantiles().ok()?;
        let (none, some) = (base.cdf(self.gate.var().tape().constant(0.0)), self.survival_at(base, 0.0));
        // Where the probability of 0 underflows, its derivative is multiplied by a square that may overflow.
        let none = none.held().select(none, none.held());
        let positive = self.base.mean()? / some;
        // Of positive counts, and then with those that the gate removes.
        let own = self.base.variance()? / some - positive * (positive * none);
        Some(gated_variance(self.gate, positive, own))
    }

    fn validate(&self) -> DistributionResult<()> {
        self.gate.validate("Hurdle")?;
        self.base.validate()?;
        let hint =
            "counts above 0 must be possible: give parameters at which the distribution behind the gate has them";
        // The logarithm is −∞ where the probability itself may have been rounded up.
        let some = self.quantiles()?.log_survival(self.gate.var().tape().constant(0.0));
        let condition = Condition::AtMost { above: f64::NEG_INFINITY, high: f64::INFINITY };
        let name = "log-probability of a count above 0";
        check_parameter("Hurdle", name, some, "a number above −∞", hint, condition)
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        let base = self.base.capabilities();
        Capabilities {
            score: base.score.map(|_| self as _),
            finite_support: base.finite_support.map(|_| self as _),
            weak_derivative: Some(self),
            cdf: base.cdf.map(|_| self as _),
            whole_numbers: base.whole_numbers.map(|_| self as _),
            icdf: base.icdf.map(|_| self as _),
            ..Capabilities::default()
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> QuantileFunction<'t, F> for Positive<Var<'t, F>, D> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let tape = probability.tape();
        let Ok(base) = self.quantiles() else { return tape.constant(f64::NAN) };
        let (closed, open) = (self.gate.probability(), self.gate.complement());
        let [below, above] = [(probability - closed) / open, (1.0 - probability) / open].map(|p| p.clamp(0.0, 1.0));
        let quantile = probability.le(closed).select(tape.constant(0.0), self.positive(base, below, above));
        of_probability(probability, quantile)
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let tape = probability.tape();
        let Ok(base) = self.quantiles() else { return tape.constant(f64::NAN) };
        let open = self.gate.complement();
        let above = (probability / open).clamp(0.0, 1.0);
        let quantile = probability.ge(open).select(tape.constant(0.0), self.positive(base, 1.0 - above, above));
        of_probability(probability, quantile)
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> FiniteSupport<'t, F> for Positive<Var<'t, F>, D> {
    fn states(&self) -> DistributionResult<u128> {
        match self.base.capabilities().finite_support {
            Some(base) => base.states(),
            None => Err(lacks("Hurdle", "a finite support", "the distribution of counts")),
        }
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        values_with_zero("Hurdle", &self.base)
    }

    fn probability_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let (Some(finite), Ok(base)) = (self.base.capabilities().finite_support, self.quantiles()) else {
            return value.tape().constant(f64::NAN);
        };
        let positive = self.gate.complement() * (finite.probability_each(value) / self.survival_at(base, 0.0));
        Self::is_zero(value).select(self.gate.probability(), positive)
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> WeakDerivative<'t, F> for Positive<Var<'t, F>, D> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let Some(of_base) = parameter.checked_sub(1) else {
            let (slope, count) = (self.gate.slope(), self.positive_sample(&draw.purpose("count"))?);
            return Ok(Some(Alternatives { values: vec![count * 0.0, count], weights: vec![slope, -slope] }));
        };
        let Some(weak) = self.base.capabilities().weak_derivative else { return Ok(None) };
        let x = sample.stop_gradient();
        let some = self.survival_at(self.quantiles()?, 0.0).stop_gradient().broadcast_to(self.event_shape());
        let present = Bernoulli::from_probabilities(some).sample(&draw.purpose("count of the base"))?;
        let start = present.select(x, x * 0.0);
        let Some(Alternatives { values, weights }) = weak.weak_derivative(of_base, start, draw)? else {
            return Ok(None);
        };
        // Where the sample of the base is 0, the present count stands for it, and for another 0 as well.
        let fresh = self.positive_sample(&draw.purpose("positive count"))?;
        let substitute = present.select(fresh, x);
        let values = values.into_iter().map(|value| Self::is_zero(value).select(substitute, value)).collect();
        let here = (1.0 - Self::is_zero(x)) / some;
        let weights = weights.into_iter().map(|weights| weights_where(here, weights)).collect();
        Ok(Some(Alternatives { values, weights }))
    }
}

#[cfg(test)]
mod tests;
