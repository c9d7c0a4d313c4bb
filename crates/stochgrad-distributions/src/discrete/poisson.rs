//! The Poisson distribution: the number of events in a period in which they occur independently at a constant rate.
//!
//! $$P(X = k; \lambda) = \frac{\lambda^k e^{-\lambda}}{k!}, \quad k \in \{0, 1, \dots\}, \quad \lambda \ge 0.$$
//!
//! Parameter: the rate $\lambda \ge 0$ or its logarithm; its shape is the event shape, and each element is an
//! independent count. Support: $0, 1, \dots$
//!
//! | capability | |
//! |---|---|
//! | score | $x \ln\lambda - \lambda - \ln x!$, any order |
//! | weak derivative | $\partial_\lambda E f(X) = E[f(X + 1) - f(X)]$; by $\ln\lambda$ times $\lambda$. One replay (Mohamed et al. 2020) |
//! | stochastic derivative | right: to $X + 1$ at rate 1; left: to $X - 1$ at rate $X/\lambda$ (Arya et al. 2022) |

use crate::capabilities;
use crate::derivative::weak::drawn_by_quantile;
use crate::distribution::check_parameter;
use crate::distribution::{
    Alternatives, CumulativeDistribution, Distribution, IntegerSupport, KlDivergence, Parameter, Parameters,
    QuantileFunction, ScoreDifferentiable, Side, StochasticDerivative, Support, WeakDerivative,
};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::probability::{above_zero, check_sample, finite_ln, held};
use smallvec::smallvec;
use stochgrad_tape::{Var, special};
use stochgrad_tensor::special::poisson_cdf;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Counts of independent events, given by the rate or by its logarithm.
///
/// ```
/// use stochgrad_distributions::{Distribution, Poisson};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let calls = Poisson::from_rate(tape.constant(2.0));
/// assert!((calls.log_prob(tape.constant(1.0)).item()? - (2.0 * (-2.0_f64).exp()).ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Poisson<V> {
    parameter: RateOrLog<V>,
}

#[derive(Clone, Copy, Debug)]
enum RateOrLog<V> {
    Rate(V),
    Log(V),
}

impl<V> Poisson<V> {
    /// Counts whose mean is `rate ≥ 0`.
    pub fn from_rate(rate: V) -> Self {
        Poisson { parameter: RateOrLog::Rate(rate) }
    }

    /// Counts whose mean is `exp(log_rate)`; −∞ is a rate of 0.
    pub fn from_log_rate(log_rate: V) -> Self {
        Poisson { parameter: RateOrLog::Log(log_rate) }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<Poisson<W>, E> {
        let parameter = match &self.parameter {
            RateOrLog::Rate(v) => RateOrLog::Rate(f(v)?),
            RateOrLog::Log(v) => RateOrLog::Log(f(v)?),
        };
        Ok(Poisson { parameter })
    }
}

family!(Poisson);

impl<'t, F: Real> Poisson<Var<'t, F>> {
    /// The rate: the mean, and the variance.
    pub fn rate(&self) -> Var<'t, F> {
        match self.parameter {
            RateOrLog::Rate(rate) => rate,
            RateOrLog::Log(log) => log.exp(),
        }
    }

    /// The logarithm of the rate.
    pub fn log_rate(&self) -> Var<'t, F> {
        match self.parameter {
            RateOrLog::Rate(rate) => rate.ln(),
            RateOrLog::Log(log) => log,
        }
    }

    fn var(&self) -> Var<'t, F> {
        match self.parameter {
            RateOrLog::Rate(v) | RateOrLog::Log(v) => v,
        }
    }

    fn finite_log_rate(&self) -> Var<'t, F> {
        match self.parameter {
            RateOrLog::Rate(rate) => finite_ln(rate),
            RateOrLog::Log(log) => held(log),
        }
    }

    fn rates(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let value = draw.parameter(self.var(), &self.event_shape())?;
        Ok(match self.parameter {
            RateOrLog::Rate(_) => value,
            RateOrLog::Log(_) => value.map(|log| log.exp()),
        })
    }

    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let rates = self.rates(draw)?;
        draw.invert(&self.event_shape(), &|element, k| poisson_cdf(k as f64, rates.as_slice()[element].to_f64()))
    }

    /// The derivative of the rate with respect to the parameter.
    fn derivative(&self, rate: F) -> F {
        match self.parameter {
            RateOrLog::Rate(_) => F::ONE,
            RateOrLog::Log(_) => rate,
        }
    }
}

impl<'t, F: Real> Distribution<'t, F> for Poisson<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Poisson"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![match self.parameter {
            RateOrLog::Rate(rate) => Parameter::smooth("rate", rate).with_hiding(&[0.0]),
            RateOrLog::Log(log_rate) => Parameter::smooth("log_rate", log_rate),
        }]
    }

    fn event_shape(&self) -> Shape {
        self.var().shape()
    }

    fn support(&self) -> Support {
        Support::Counts
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            RateOrLog::Rate(rate) => special::poisson_log_pmf(value, rate),
            RateOrLog::Log(log) => special::poisson_log_pmf_by_log(value, log),
        }
    }

    drawn_by_quantile!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.rate())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.rate())
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.rate().floor())
    }

    fn validate(&self) -> DistributionResult<()> {
        match self.parameter {
            RateOrLog::Rate(rate) => check_parameter(
                "Poisson",
                "rate",
                rate,
                "a finite number, at least 0",
                "use from_log_rate for unconstrained numbers",
                |rate| (0.0..f64::INFINITY).contains(&rate),
            ),
            RateOrLog::Log(log) => {
                let hint = "look for the operation that made it so large, or NaN";
                check_parameter("Poisson", "log_rate", log, "a number with a finite exponential", hint, |log| {
                    F::from_f64(log).exp().is_finite()
                })
            }
        }
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Poisson<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        let tape = value.tape();
        let possible = (value + 1.0).floor().step();
        let count = possible.select(value.floor(), tape.constant(0.0));
        possible.select(special::gamma_q(count + 1.0, above_zero(self.rate())), tape.constant(0.0))
    }
}

impl<'t, F: Real> IntegerSupport<'t, F> for Poisson<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value * 0.0 + 1.0
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Poisson<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        special::poisson_icdf(probability, self.rate())
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Poisson<Var<'t, F>> {}

impl<'t, F: Real> WeakDerivative<'t, F> for Poisson<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        self.stochastic_derivative(parameter, Side::Right, sample, draw)
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for Poisson<Var<'t, F>> {
    fn stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let rates = self.rates(draw)?;
        check_sample("Poisson", sample, rates.shape())?;
        // A rate of 0 has a derivative from the right only. If no derivative flows through it, it needs no special
        // case.
        let matters = match self.parameter {
            RateOrLog::Rate(rate) => rate.tape().has_derivative(rate, &|rate| rate == F::ZERO)?,
            RateOrLog::Log(_) => false,
        };
        let at_end = |rate: F| matters && rate == F::ZERO;
        let right = |share: f64| {
            let weights =
                rates.map(|rate| self.derivative(rate) * if at_end(rate) { F::ONE } else { F::from_f64(share) });
            (sample.map(|x| x + F::ONE), weights)
        };
        let left = |share: f64| {
            let weights = Tensor::from_fn(rates.shape().clone(), |i| {
                let (x, rate) = (sample.as_slice()[i], rates.as_slice()[i]);
                let flow = match self.parameter {
                    _ if x == F::ZERO => F::ZERO,
                    RateOrLog::Rate(_) => x / rate,
                    RateOrLog::Log(_) => x,
                };
                -flow * F::from_f64(share)
            });
            (sample.map(|x| (x - F::ONE).max(F::ZERO)), weights)
        };
        let jumps = match side {
            Side::Right => vec![right(1.0)],
            Side::Left if rates.as_slice().iter().any(|&rate| at_end(rate)) => vec![right(0.0), left(1.0)],
            Side::Left => vec![left(1.0)],
            Side::TwoSided => vec![right(0.5), left(0.5)],
        };
        let (values, weights) = jumps.into_iter().unzip();
        Ok(Some(Alternatives { values, weights }))
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Poisson<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let rate = self.rate();
        (rate * (self.finite_log_rate() - other.finite_log_rate()) - rate + other.rate()).sum()
    }
}

#[cfg(test)]
mod tests;
