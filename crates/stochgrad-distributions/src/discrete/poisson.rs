//! The Poisson distribution: the number of events in a period in which they occur independently at a constant rate.
//!
//! $$P(X = k; \lambda) = \frac{\lambda^k e^{-\lambda}}{k!}, \quad k \in \{0, 1, \dots\}, \quad \lambda \ge 0.$$
//!
//! Parameter: the rate $\lambda \ge 0$ or its logarithm; its shape is the event shape, and each element is an
//! independent count. Support: $0, 1, \dots$
//!
//! Elsewhere the log-probability is −∞. Distribution and survival function and their logarithms keep their digits in
//! both tails: the relative error is that of the incomplete gamma function, and the logarithms are finite far beyond the
//! underflow of the probabilities.
//!
//! | capability | |
//! |---|---|
//! | score | $x \ln\lambda - \lambda - \ln x!$, any order |
//! | entropy | for $\lambda \le 64$ the sum over the counts that carry mass, else its asymptotic series; any order |
//! | weak derivative | $\partial_\lambda E f(X) = E[f(X + 1) - f(X)]$; by $\ln\lambda$ times $\lambda$. One replay (Mohamed et al. 2020) |
//! | stochastic derivative | right: to $X + 1$ at rate 1; left: to $X - 1$ at rate $X/\lambda$ (Arya et al. 2022) |

use crate::capabilities;
use crate::derivative::weak::drawn_by_quantile;
use crate::discrete::tails::{Tail, tails};
use crate::distribution::{
    Alternatives, Boundary, ClosedFormEntropy, CumulativeDistribution, Distribution, IntegerSupport, KlDivergence,
    Parameter, Parameters, QuantileFunction, ScoreDifferentiable, Side, StochasticDerivative, Support, WeakDerivative,
};
use crate::distribution::{above, check_parameter};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::probability::above_zero;
use crate::parameter::rate_or_log::RateOrLog;
use smallvec::smallvec;
use std::f64::consts::PI;
use stochgrad_tape::{Condition, Var, special};
use stochgrad_tensor::random::Fill;
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
pub struct Poisson<V = stochgrad_tape::Id> {
    parameter: RateOrLog<V>,
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
        Ok(Poisson { parameter: self.parameter.try_map(f)? })
    }
}

family!(Poisson);

impl<'t, F: Real> Poisson<Var<'t, F>> {
    /// The rate: the mean, and the variance.
    pub fn rate(&self) -> Var<'t, F> {
        self.parameter.rate()
    }

    /// The logarithm of the rate.
    pub fn log_rate(&self) -> Var<'t, F> {
        match self.parameter {
            RateOrLog::Rate(rate) => rate.ln(),
            RateOrLog::Log(log) => log,
        }
    }

    /// How the rate is given.
    pub(crate) fn parameter(&self) -> RateOrLog<Var<'t, F>> {
        self.parameter
    }

    fn rates(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let value = draw.parameter(self.parameter.var(), &self.event_shape())?;
        Ok(match self.parameter {
            RateOrLog::Rate(_) => value,
            RateOrLog::Log(_) => value.map(|log| log.exp()),
        })
    }

    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let rates = self.rates(draw)?;
        draw.invert(&self.event_shape(), &|element, k| poisson_cdf(k as f64, rates.as_slice()[element].to_f64()))
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
        self.parameter.var().shape()
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

    drawn_by_quantile!(Fill::Folded, |counts, noise| special::poisson_draw(noise, counts.rate()));

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
                Condition::AtLeast { low: 0.0, below: f64::INFINITY },
            ),
            RateOrLog::Log(log) => {
                let hint = "look for the operation that made it so large, or NaN";
                check_parameter(
                    "Poisson",
                    "log_rate",
                    log,
                    "a number with a finite exponential",
                    hint,
                    Condition::FiniteExponential,
                )
            }
        }
    }

    capabilities!();
}

impl<'t, F: Real> Poisson<Var<'t, F>> {
    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        tail.of_counts(value, |count| {
            let (shape, rate) = (count + 1.0, self.rate());
            let positive = above_zero(rate);
            let inside = match tail {
                Tail::Lower => special::gamma_q(shape, positive),
                Tail::Upper => special::gamma_p(shape, positive),
                Tail::LogLower => special::log_gamma_q(shape, positive),
                Tail::LogUpper => special::log_gamma_p(shape, positive),
            };
            if tail != Tail::LogUpper {
                return inside;
            }
            Boundary::Excluded.outside(rate).select(value.tape().constant(tail.at_last()), inside)
        })
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Poisson<Var<'t, F>> {
    tails!();
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

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        special::poisson_inverse_survival(probability, self.rate())
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Poisson<Var<'t, F>> {}

impl<'t, F: Real> WeakDerivative<'t, F> for Poisson<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        self.stochastic_derivative(parameter, Side::Right, sample, draw)
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for Poisson<Var<'t, F>> {
    fn stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let x = sample.stop_gradient();
        let one = x.tape().constant(1.0);
        let (up, down) = (x + 1.0, (x - 1.0).relu());
        // A rate of 0 has a derivative from the right only. If no derivative flows through it, it needs no special
        // case.
        let (gain, loss, at_end) = match self.parameter {
            RateOrLog::Rate(rate) => {
                let own = rate.stop_gradient();
                let is_zero = own.equal(x.tape().constant(0.0));
                let matters = x.tape().record_has_derivative(rate, is_zero)?;
                (one, -x.select(x / own, x), is_zero * matters)
            }
            RateOrLog::Log(log) => (log.stop_gradient().exp(), -x, x.tape().constant(0.0)),
        };
        Ok(Some(match side {
            Side::Right => Alternatives { values: vec![up], weights: vec![gain] },
            Side::Left => {
                Alternatives { values: vec![at_end.select(up, down)], weights: vec![at_end.select(gain, loss)] }
            }
            Side::TwoSided => {
                Alternatives { values: vec![up, down], weights: vec![gain * ((at_end + 1.0) * 0.5), loss * 0.5] }
            }
        }))
    }
}

/// The rate up to which the entropy is a sum.
const SUMMED: f64 = 64.0;

/// The number of counts in the sum: beyond them is less than 1e-60 of the probability.
const COUNTS: usize = 240;

/// The coefficients of the asymptotic series of the entropy in 1/λ, less ln(2πeλ)/2. Its error at λ = 64 is 2e-14.
/// Source: Evans and Boersma, "The entropy of a Poisson distribution", SIAM Review 30, 1988, problem 87-6.
const SERIES: [f64; 8] = [
    1.0 / 12.0,
    1.0 / 24.0,
    19.0 / 360.0,
    9.0 / 80.0,
    863.0 / 2520.0,
    1375.0 / 1008.0,
    33_953.0 / 5040.0,
    57_281.0 / 1440.0,
];

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Poisson<Var<'t, F>> {
    /// The sum over the counts that carry mass, and an asymptotic series for rates above 64. The relative error is below
    /// 1e-13 in `f64`. At a rate of 0 the derivative with respect to the rate is infinite; it is that at 1e-300.
    fn entropy(&self) -> Var<'t, F> {
        let (tape, rate) = (self.rate().tape(), self.rate());
        let large = above(rate, SUMMED);
        let [zero, one, many] = [0.0, 1.0, SUMMED].map(|number| tape.constant(number));
        let few = match self.parameter {
            RateOrLog::Rate(rate) => Poisson::from_rate(above_zero(large.select(one, rate)).unsqueeze(-1)),
            RateOrLog::Log(log) => Poisson::from_log_rate(large.select(zero, log).unsqueeze(-1)),
        };
        let logs = few.log_prob_each(tape.constant(Tensor::from_fn([COUNTS], F::from_usize)));
        // What has underflowed has no part in the sum, and its derivatives may be infinite.
        let possible = logs.exp().held().gt(zero);
        let logs = possible.select(logs, zero);
        let sum = -(logs.exp() * logs).sum_axis(-1);
        let inverse = large.select(rate, many).recip();
        let series = SERIES.iter().rev().fold(zero, |sum, &coefficient| (sum + coefficient) * inverse);
        let limit = (1.0 + (2.0 * PI).ln() - inverse.ln()) * 0.5 - series;
        large.select(limit, sum).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Poisson<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        self.parameter.kl_to(&other.parameter).sum()
    }
}

#[cfg(test)]
mod tests;
