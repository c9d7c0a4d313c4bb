//! Counts with an excess of zeros: with some probability the count is 0 whatever the distribution of counts says.
//!
//! $$P(X = k) = \pi\, [k = 0] + (1 - \pi)\, P(Y = k), \quad \pi \in [0, 1].$$
//!
//! Parameters: the gate, which is the probability $\pi$ or its log-odds, and those of the distribution of $Y$, any
//! distribution of counts, bits or categories as integers. The gate broadcasts to its event shape. Support: that of $Y$.
//! For positive counts that have nothing to do with the zeros, use [`Hurdle`](crate::Hurdle).
//!
//! | capability | |
//! |---|---|
//! | score | any order, if the distribution of $Y$ has it |
//! | weak derivative with respect to $\pi$ | constant 1, the count 0 and a sample of $Y$ |
//! | weak and stochastic derivative with respect to a parameter of $Y$ | that of $Y$, weighted with the probability that the count is that of $Y$, given its value |
//! | stochastic derivative with respect to $\pi$ | right: from $x > 0$ to 0 at rate $1/(1 - \pi)$; left: from 0 to a sample of $Y$ at rate $1/P(X = 0)$ |
//! | finite support | that of $Y$ |
//! | distribution function | $\pi + (1 - \pi) F_Y(x)$ for $x \ge 0$; its inverse by that of $F_Y$ |
//!
//! The probability that a count of 0 is that of $Y$ is $(1 - \pi) P(Y = 0) / P(X = 0)$, and larger counts always are.

use crate::compound::gate::{
    check_gate, gated, gated_parameters, gated_variance, log_open, values_with_zero, weights_where,
};
use crate::compound::log_average::log_average;
use crate::compound::mixture::side_by_side;
use crate::compound::wrapper::lacks;
use crate::discrete::Bernoulli;
use crate::discrete::tails::{Tail, of_probability};
use crate::distribution::{FiniteSupport, Side, StochasticDerivative, confine_possible, log_unless_likely};
use crate::parameter::probability::ProbabilityOrLogit;
use crate::prelude::*;

gated! {
    /// Counts with an excess of zeros: with the probability of the gate the count is 0, and otherwise it is that of the
    /// distribution behind the gate.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Poisson, ZeroInflated};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let visits = ZeroInflated::from_probability(tape.constant(0.4), Poisson::from_rate(tape.constant(2.0)))?;
    /// let none = visits.log_prob(tape.constant(0.0)).item()?.exp();
    /// assert!((none - (0.4 + 0.6 * (-2.0_f64).exp())).abs() < 1e-14);
    /// assert!((visits.mean().unwrap().item()? - 1.2).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    ZeroInflated, Inflated
}

impl<'t, F: Real, D: Distribution<'t, F>> ZeroInflated<Var<'t, F>, D> {
    fn new(gate: ProbabilityOrLogit<Var<'t, F>>, base: D) -> DistributionResult<Self> {
        check_gate("ZeroInflated", gate, &base)?;
        Ok(ZeroInflated { inner: Inflated { gate, base } })
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Inflated<Var<'t, F>, D> {
    /// The logarithm of a probability of the count, given that without the gate, and the probability that a closed gate
    /// gives, which is 0 or 1.
    fn log_average(&self, closed: Var<'t, F>, log: Var<'t, F>) -> Var<'t, F> {
        let [zero, nothing] = [0.0, f64::NEG_INFINITY].map(|number| log.tape().constant(number));
        let (first, second) = (closed.select(zero, nothing), confine_possible(log));
        match self.gate {
            ProbabilityOrLogit::Probability(p) => log_average(side_by_side(p, 1.0 - p), side_by_side(first, second)),
            ProbabilityOrLogit::Logit(l) => {
                side_by_side(l.log_sigmoid() + first, (-l).log_sigmoid() + second).logsumexp(-1)
            }
        }
    }

    /// 1 where a count is 0.
    fn is_zero(value: Var<'t, F>) -> Var<'t, F> {
        value.equal(value.tape().constant(0.0))
    }

    /// The probability that a count is that of the distribution behind the gate, given its value.
    fn open_given(&self, value: Var<'t, F>) -> Var<'t, F> {
        let tape = value.tape();
        let log = self.base.log_prob_each(tape.constant(0.0).broadcast_to(self.base.event_shape())).stop_gradient();
        let open = (log - self.gate.logit().stop_gradient()).sigmoid();
        Self::is_zero(value.stop_gradient()).select(open, tape.constant(1.0))
    }

    /// Alternatives of the distribution behind the gate, where the count is one of it.
    fn of_base(&self, alternatives: Option<Alternatives<'t, F>>, sample: Var<'t, F>) -> Option<Alternatives<'t, F>> {
        let Alternatives { values, weights } = alternatives?;
        let open = self.open_given(sample);
        Some(Alternatives {
            values,
            weights: weights.into_iter().map(|weights| weights_where(open, weights)).collect(),
        })
    }

    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        let Some(base) = self.base.capabilities().cdf else { return value.tape().constant(f64::NAN) };
        tail.of_counts(value, |count| {
            let upper = || self.gate.complement() * base.survival(count);
            match tail {
                Tail::Lower => self.gate.probability() + self.gate.complement() * base.cdf(count),
                Tail::Upper => upper(),
                Tail::LogLower => {
                    let one = count.tape().constant(1.0);
                    log_unless_likely(self.log_average(one, base.log_cdf(count)), upper())
                }
                Tail::LogUpper => log_open(self.gate) + confine_possible(base.log_survival(count)),
            }
        })
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Distribution<'t, F> for Inflated<Var<'t, F>, D> {
    fn name(&self) -> &'static str {
        "ZeroInflated"
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
        self.log_average(Self::is_zero(value), self.base.log_prob_each(value))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let gate = self.gate.var().broadcast_to(self.event_shape());
        let gate = match self.gate {
            ProbabilityOrLogit::Probability(_) => Bernoulli::from_probabilities(gate),
            ProbabilityOrLogit::Logit(_) => Bernoulli::from_logits(gate),
        };
        let closed = gate.sample(&draw.purpose("gate"))?;
        let count = self.base.sample(&draw.purpose("count"))?;
        Ok(closed.select(count.tape().constant(0.0), count).stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.gate.complement() * self.base.mean()?)
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let (mean, variance) = (self.base.mean()?, self.base.variance()?);
        Some(gated_variance(self.gate, mean, variance))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        let mode = self.base.mode()?;
        let zero = mode * 0.0;
        Some(self.log_prob_each(mode).gt(self.log_prob_each(zero)).select(mode, zero))
    }

    fn validate(&self) -> DistributionResult<()> {
        self.gate.validate("ZeroInflated")?;
        self.base.validate()
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        let base = self.base.capabilities();
        Capabilities {
            score: base.score.map(|_| self as _),
            finite_support: base.finite_support.map(|_| self as _),
            weak_derivative: Some(self),
            stochastic_derivative: Some(self),
            cdf: base.cdf.map(|_| self as _),
            whole_numbers: base.whole_numbers.map(|_| self as _),
            icdf: base.icdf.map(|_| self as _),
            ..Capabilities::default()
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> QuantileFunction<'t, F> for Inflated<Var<'t, F>, D> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let tape = probability.tape();
        let Some(base) = self.base.capabilities().icdf else { return tape.constant(f64::NAN) };
        let [zero, half] = [0.0, 0.5].map(|number| tape.constant(number));
        let (closed, open) = (self.gate.probability(), self.gate.complement());
        // From the nearer end, so that the rounding of the probability is not divided by a small number.
        let upper = probability.gt(half);
        let below = base.icdf(upper.select(half, (probability - closed) / open).relu());
        let above = base.inverse_survival(upper.select((1.0 - probability) / open, half).minimum(half * 2.0));
        let quantile = probability.le(closed).select(zero, upper.select(above, below));
        of_probability(probability, quantile)
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let tape = probability.tape();
        let Some(base) = self.base.capabilities().icdf else { return tape.constant(f64::NAN) };
        let open = self.gate.complement();
        let above = base.inverse_survival((probability / open).minimum(tape.constant(1.0)));
        let quantile = probability.ge(open).select(tape.constant(0.0), above);
        of_probability(probability, quantile)
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> FiniteSupport<'t, F> for Inflated<Var<'t, F>, D> {
    fn states(&self) -> DistributionResult<u128> {
        match self.base.capabilities().finite_support {
            Some(base) => base.states(),
            None => Err(lacks("ZeroInflated", "a finite support", "the distribution of counts")),
        }
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        values_with_zero("ZeroInflated", &self.base)
    }

    fn probability_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let Some(base) = self.base.capabilities().finite_support else { return value.tape().constant(f64::NAN) };
        Self::is_zero(value) * self.gate.probability() + self.gate.complement() * base.probability_each(value)
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> WeakDerivative<'t, F> for Inflated<Var<'t, F>, D> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let Some(of_base) = parameter.checked_sub(1) else {
            let (slope, count) = (self.gate.slope(), self.base.sample(&draw.purpose("count"))?);
            return Ok(Some(Alternatives { values: vec![count * 0.0, count], weights: vec![slope, -slope] }));
        };
        let Some(weak) = self.base.capabilities().weak_derivative else { return Ok(None) };
        Ok(self.of_base(weak.weak_derivative(of_base, sample, draw)?, sample))
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> StochasticDerivative<'t, F> for Inflated<Var<'t, F>, D> {
    fn stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if let Some(of_base) = parameter.checked_sub(1) {
            let Some(jumps) = self.base.capabilities().stochastic_derivative else { return Ok(None) };
            return Ok(self.of_base(jumps.stochastic_derivative(of_base, side, sample, draw)?, sample));
        }
        let (x, slope) = (sample.stop_gradient(), self.gate.slope());
        let (zero, is_zero) = (x.tape().constant(0.0), Self::is_zero(x));
        let down = is_zero.select(zero, slope / self.gate.complement().stop_gradient());
        let none = self.log_prob_each(x * 0.0).stop_gradient().exp();
        let up = is_zero.select(-slope / none, zero);
        // Not the noise of the sample itself: a sample of 0 may be a count of 0.
        let count = || self.base.sample(&draw.purpose("count behind the gate"));
        Ok(Some(match side {
            Side::Right => Alternatives { values: vec![x * 0.0], weights: vec![down] },
            Side::Left => Alternatives { values: vec![count()?], weights: vec![up] },
            Side::TwoSided => Alternatives { values: vec![x * 0.0, count()?], weights: vec![down * 0.5, up * 0.5] },
        }))
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> StochasticDerivative<'t, F> for ZeroInflated<Var<'t, F>, D> {
    fn stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        self.inner.stochastic_derivative(parameter, side, sample, draw)
    }
}

#[cfg(test)]
pub(in crate::compound) mod tests;
