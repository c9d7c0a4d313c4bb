//! The geometric distribution: the number of failures before the first success in independent trials.
//!
//! $$P(X = k; p) = (1 - p)^k p, \quad k \in \{0, 1, \dots\}, \quad p \in (0, 1], \quad p = \sigma(\eta).$$
//!
//! The values start at 0: the successful trial is not counted. The mean is $(1 - p)/p$.
//!
//! Parameter: the probability $p \in (0, 1]$ or the log-odds $\eta > -\infty$ of success; its shape is the event shape,
//! and each element is an independent count. Support: $0, 1, \dots$
//!
//! | capability | |
//! |---|---|
//! | score | $x \ln(1 - p) + \ln p$, any order |
//! | weak derivative | $\partial_p E f(X) = -\frac1p E[f(1 + X + X') - f(X)]$ with $X'$ independent of the same distribution; by $\eta$ times $p(1-p)$. One replay |
//! | stochastic derivative | right: to $X - 1$ at rate $X/(p(1-p))$; left: to $X + 1$ at rate $(X+1)/p$ (Arya et al. 2022) |
//!
//! The weak derivative: $\partial_p P(X = k) = (1-p)^k - k p (1-p)^{k-1}$, and $k p^2 (1-p)^{k-1}$ is the distribution
//! of $1 + X + X'$.

use crate::capabilities;
use crate::derivative::weak::drawn_by_quantile;
use crate::distribution::check_parameter;
use crate::distribution::{
    Alternatives, ClosedFormEntropy, CumulativeDistribution, Distribution, IntegerSupport, KlDivergence, Parameters,
    QuantileFunction, ScoreDifferentiable, Side, StochasticDerivative, Support, WeakDerivative,
};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::probability::{ProbabilityOrLogit, check_sample};
use smallvec::smallvec;
use stochgrad_tape::Var;
use stochgrad_tensor::special::geometric_cdf;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Numbers of failures before the first success, given by the probability or the log-odds of success in each trial.
///
/// ```
/// use stochgrad_distributions::{Distribution, Geometric};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let failures = Geometric::from_probabilities(tape.constant(0.25));
/// assert!((failures.log_prob(tape.constant(1.0)).item()? - (0.75 * 0.25_f64).ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Geometric<V> {
    parameter: ProbabilityOrLogit<V>,
}

impl<V> Geometric<V> {
    /// Failures before a success whose log-odds in each trial are `logits`, above −∞.
    pub fn from_logits(logits: V) -> Self {
        Geometric { parameter: ProbabilityOrLogit::Logit(logits) }
    }

    /// Failures before a success that has the given probability in each trial, in (0, 1].
    pub fn from_probabilities(probabilities: V) -> Self {
        Geometric { parameter: ProbabilityOrLogit::Probability(probabilities) }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<Geometric<W>, E> {
        Ok(Geometric { parameter: self.parameter.try_map(f)? })
    }
}

family!(Geometric);

impl<'t, F: Real> Geometric<Var<'t, F>> {
    /// The probabilities of success in each trial.
    pub fn probabilities(&self) -> Var<'t, F> {
        self.parameter.probability()
    }

    /// The log-odds of success in each trial.
    pub fn logits(&self) -> Var<'t, F> {
        self.parameter.logit()
    }

    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let probabilities = self.parameter.probabilities(draw, &self.event_shape())?;
        draw.invert(&self.event_shape(), &|element, k| {
            geometric_cdf(k as f64, probabilities.as_slice()[element].to_f64())
        })
    }
}

impl<'t, F: Real> Distribution<'t, F> for Geometric<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Geometric"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![self.parameter.parameter()]
    }

    fn event_shape(&self) -> Shape {
        self.parameter.var().shape()
    }

    fn support(&self) -> Support {
        Support::Counts
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.parameter.log_power(value.tape().constant(1.0), value)
    }

    drawn_by_quantile!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(match self.parameter {
            ProbabilityOrLogit::Probability(p) => (1.0 - p) / p,
            ProbabilityOrLogit::Logit(l) => (-l).exp(),
        })
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(match self.parameter {
            ProbabilityOrLogit::Probability(p) => (1.0 - p) / p.square(),
            ProbabilityOrLogit::Logit(l) => (-l).exp() / l.sigmoid(),
        })
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.parameter.var() * 0.0)
    }

    fn validate(&self) -> DistributionResult<()> {
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => {
                let hint = "without successes the count is infinite; use logits for unconstrained numbers";
                check_parameter("Geometric", "probabilities", p, "in (0, 1]", hint, |p| p > 0.0 && p <= 1.0)
            }
            ProbabilityOrLogit::Logit(l) => {
                let hint = "without successes the count is infinite; look for the operation that made it";
                check_parameter("Geometric", "logits", l, "a number above −∞", hint, |l| l > f64::NEG_INFINITY)
            }
        }
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Geometric<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        let rest = match self.parameter {
            ProbabilityOrLogit::Probability(p) => (-p).log1p(),
            ProbabilityOrLogit::Logit(l) => (-l).log_sigmoid(),
        };
        -((value.floor() + 1.0).relu() * rest).expm1()
    }
}

impl<'t, F: Real> IntegerSupport<'t, F> for Geometric<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value * 0.0 + 1.0
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Geometric<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let rest = match self.parameter {
            ProbabilityOrLogit::Probability(p) => (-p).log1p(),
            ProbabilityOrLogit::Logit(l) => (-l).log_sigmoid(),
        };
        // Reduced by the rounding error, so that the quantile of the distribution function at k is k.
        let trials = (-probability).log1p() / rest * (1.0 - 8.0 * F::EPSILON.to_f64());
        (trials.ceil() - 1.0).relu()
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Geometric<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // There are 1 / p trials on average.
        (self.parameter.entropy() / self.probabilities()).sum()
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Geometric<Var<'t, F>> {}

impl<'t, F: Real> WeakDerivative<'t, F> for Geometric<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let p = self.parameter.probabilities(draw, &self.event_shape())?;
        check_sample("Geometric", sample, p.shape())?;
        // The primal sample is the positive part.
        let more = self.draw(&draw.purpose("more failures"))?;
        let longer = Tensor::from_fn(p.shape().clone(), |i| F::ONE + sample.as_slice()[i] + more.as_slice()[i]);
        let weights = p.map(|p| -self.parameter.rate_down(F::ONE, p));
        Ok(Some(Alternatives { values: vec![longer], weights: vec![weights] }))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for Geometric<Var<'t, F>> {
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
        let at_end = self.parameter.ends()?;
        let p = self.parameter.probabilities(draw, &self.event_shape())?;
        check_sample("Geometric", sample, p.shape())?;
        let weights = |share: f64, rate: &dyn Fn(F, F) -> F| {
            Tensor::from_fn(p.shape().clone(), |i| F::from_f64(share) * rate(sample.as_slice()[i], p.as_slice()[i]))
        };
        let right = |share: f64| {
            let rate = |x: F, p: F| match self.parameter {
                ProbabilityOrLogit::Logit(_) => x,
                ProbabilityOrLogit::Probability(_) if x == F::ZERO => F::ZERO,
                ProbabilityOrLogit::Probability(_) => x / (p * (F::ONE - p)),
            };
            (sample.map(|x| (x - F::ONE).max(F::ZERO)), weights(share, &rate))
        };
        let left = |share: f64| {
            let weights = Tensor::from_fn(p.shape().clone(), |i| {
                let (x, p) = (sample.as_slice()[i], p.as_slice()[i]);
                let share = if at_end(p) { F::ONE } else { F::from_f64(share) };
                -share * self.parameter.rate_down(x + F::ONE, p)
            });
            (sample.map(|x| x + F::ONE), weights)
        };
        let jumps = match side {
            Side::Right if p.as_slice().iter().any(|&p| at_end(p)) => vec![right(1.0), left(0.0)],
            Side::Right => vec![right(1.0)],
            Side::Left => vec![left(1.0)],
            Side::TwoSided => vec![right(0.5), left(0.5)],
        };
        let (values, weights) = jumps.into_iter().unzip();
        Ok(Some(Alternatives { values, weights }))
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Geometric<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // There are 1 / p trials on average.
        (self.parameter.kl_to(&other.parameter) / self.probabilities()).sum()
    }
}

#[cfg(test)]
mod tests;
