//! The geometric distribution: the number of failures before the first success in independent trials.
//!
//! $$P(X = k; p) = (1 - p)^k p, \quad k \in \{0, 1, \dots\}, \quad p \in (0, 1], \quad p = \sigma(\eta).$$
//!
//! The values start at 0: the successful trial is not counted. The mean is $(1 - p)/p$.
//!
//! Parameter: the probability $p \in (0, 1]$ or the log-odds $\eta > -\infty$ of success; its shape is the event shape,
//! and each element is an independent count. Support: $0, 1, \dots$
//!
//! Elsewhere the log-probability is −∞. Distribution and survival function and their logarithms keep their digits in
//! both tails: the relative error is a few roundings times the exponent $(k + 1) \ln(1 - p)$, and of the logarithms a few
//! roundings.
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
use crate::discrete::tails::{Tail, of_probability, tails};
use crate::distribution::check_parameter;
use crate::distribution::{
    Alternatives, Boundary, ClosedFormEntropy, CumulativeDistribution, Distribution, IntegerSupport, KlDivergence,
    Parameters, QuantileFunction, ScoreDifferentiable, Side, StochasticDerivative, Support, WeakDerivative, above,
    log_one_minus_exp_exp, smallest_positive,
};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::probability::ProbabilityOrLogit;
use smallvec::smallvec;
use stochgrad_tape::{Condition, Var, special};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::special::geometric_cdf;
use stochgrad_tensor::zip::Zip;
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
pub struct Geometric<V = stochgrad_tape::Id> {
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

    /// The failures before a success at the level −ln P(X > x) of an exponential waiting time.
    fn failures(&self, level: Var<'t, F>) -> Var<'t, F> {
        let each = -match self.parameter {
            ProbabilityOrLogit::Probability(p) => (-p).log1p(),
            ProbabilityOrLogit::Logit(l) => (-l).log_sigmoid(),
        };
        // Reduced by the rounding error, so that the quantile of the distribution function at k is k.
        let trials = level / (each * (1.0 + 8.0 * F::EPSILON.to_f64()));
        (trials.ceil() - 1.0).relu()
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
        let [zero, one] = [0.0, 1.0].map(|number| value.tape().constant(number));
        // 0 · ln 0 is 0, also in the derivative.
        let (first, failure) = match self.parameter {
            ProbabilityOrLogit::Probability(p) => (p.ln(), (-value.select(p, zero)).log1p()),
            ProbabilityOrLogit::Logit(l) => {
                // The logarithm of the probability of a failure may also round to 0, and an infinite count is impossible.
                let counted = value.held().map(Map::Within(smallest_positive::<F>(), F::MAX.to_f64()));
                (l.log_sigmoid(), counted.select((-l).log_sigmoid(), -one))
            }
        };
        first + value.zip(Zip::MulCount, failure)
    }

    drawn_by_quantile!(Fill::MirroredExponential, |waiting, noise| waiting.failures(noise));

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(match self.parameter {
            ProbabilityOrLogit::Probability(p) => (1.0 - p) / p,
            ProbabilityOrLogit::Logit(l) => (-l).exp(),
        })
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(match self.parameter {
            // In two quotients: the derivative of one by the square overflows.
            ProbabilityOrLogit::Probability(p) => (1.0 - p) / p / p,
            ProbabilityOrLogit::Logit(l) => {
                let mean = (-l).exp();
                mean + mean.square()
            }
        })
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.parameter.var() * 0.0)
    }

    fn validate(&self) -> DistributionResult<()> {
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => {
                let hint = "without successes the count is infinite; use logits for unconstrained numbers";
                check_parameter(
                    "Geometric",
                    "probabilities",
                    p,
                    "in (0, 1]",
                    hint,
                    Condition::AtMost { above: 0.0, high: 1.0 },
                )
            }
            ProbabilityOrLogit::Logit(l) => {
                let hint = "without successes the count is infinite; look for the operation that made it";
                check_parameter(
                    "Geometric",
                    "logits",
                    l,
                    "a number above −∞",
                    hint,
                    Condition::AtMost { above: f64::NEG_INFINITY, high: f64::INFINITY },
                )
            }
        }
    }

    capabilities!();
}

impl<'t, F: Real> Geometric<Var<'t, F>> {
    /// 1 where every trial succeeds, and the logarithm of the probability of a failure, which is finite there.
    fn log_failure(&self) -> (Var<'t, F>, Var<'t, F>) {
        let tape = self.parameter.var().tape();
        let certain = Boundary::Excluded.outside(self.parameter.complement());
        let log = match self.parameter {
            ProbabilityOrLogit::Probability(p) => (-certain.select(tape.constant(0.5), p)).log1p(),
            ProbabilityOrLogit::Logit(l) => (-certain.select(tape.constant(0.0), l)).log_sigmoid(),
        };
        (certain, log)
    }

    /// The logarithm of the distribution function, given that of the survival function.
    fn log_lower(&self, count: Var<'t, F>, log_upper: Var<'t, F>) -> Var<'t, F> {
        let log = special::log1mexp(log_upper);
        match self.parameter {
            ProbabilityOrLogit::Probability(_) => log,
            // Where a success is so rare that its probability is its odds, that may be 0.
            ProbabilityOrLogit::Logit(l) => above(-l, 40.0).select(log_one_minus_exp_exp((count + 1.0).ln() + l), log),
        }
    }

    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        tail.of_counts(value, |count| {
            let (certain, log_failure) = self.log_failure();
            let log = (count + 1.0) * log_failure;
            // Where every trial succeeds, the power has the right derivative.
            let none = self.parameter.complement().pow(count + 1.0);
            let at_last = value.tape().constant(tail.at_last());
            match tail {
                Tail::Lower => certain.select(1.0 - none, -log.expm1()),
                Tail::Upper => certain.select(none, log.exp()),
                Tail::LogLower => certain.select(at_last, self.log_lower(count, log)),
                Tail::LogUpper => certain.select(at_last, log),
            }
        })
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Geometric<Var<'t, F>> {
    tails!();
}

impl<'t, F: Real> IntegerSupport<'t, F> for Geometric<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value * 0.0 + 1.0
    }
}

impl<'t, F: Real> Geometric<Var<'t, F>> {
    /// The quantile at the probability, given the negative logarithm of the survival function.
    fn quantile(&self, probability: Var<'t, F>, level: Var<'t, F>) -> Var<'t, F> {
        // Where every trial succeeds, there are no failures at any level.
        let zero = level.tape().constant(0.0);
        let certain = self.parameter.complement().le(zero);
        // There are none at the level 0 either, also where a success is so rare that its probability is 0.
        let none = certain.maximum(level.le(zero));
        of_probability(probability, none.select(zero, self.failures(level)))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Geometric<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.quantile(probability, -(-probability).log1p())
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.quantile(probability, -probability.ln())
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Geometric<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // There are 1 / p trials on average.
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => {
                // In two terms, since the derivative of their quotient by p overflows.
                let (log_p, log_q) = self.parameter.finite_logs();
                -log_p - self.parameter.complement() * log_q / p
            }
            ProbabilityOrLogit::Logit(l) => {
                // −ln p − (1 − p) ln(1 − p) / p, where the second term tends to 1 for small p, and 1 / p overflows.
                let tape = l.tape();
                let rare = l.held().lt(tape.constant(-40.0));
                let inside = rare.select(tape.constant(0.0), l).map(Map::MinScalar(1e3));
                (-l).softplus() + rare.select(tape.constant(1.0), (-inside).exp() * inside.softplus())
            }
        }
        .sum()
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Geometric<Var<'t, F>> {}

impl<'t, F: Real> WeakDerivative<'t, F> for Geometric<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let x = sample.stop_gradient();
        // The primal sample is the positive part.
        let more = self.sample(&draw.purpose("more failures"))?;
        let weight = -self.parameter.rate_down(x.tape().constant(1.0));
        Ok(Some(Alternatives { values: vec![x + more + 1.0], weights: vec![weight] }))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for Geometric<Var<'t, F>> {
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
        fewer_failures(self.parameter, side, x, one).map(Some)
    }
}

/// The jumps of a number of failures before some successes when the probability of a success changes.
pub(crate) fn fewer_failures<'t, F: Real>(
    parameter: ProbabilityOrLogit<Var<'t, F>>,
    side: Side,
    failures: Var<'t, F>,
    successes: Var<'t, F>,
) -> DistributionResult<Alternatives<'t, F>> {
    let (more, fewer) = (failures + 1.0, (failures - 1.0).relu());
    let gain = match parameter {
        ProbabilityOrLogit::Probability(p) => {
            let p = p.stop_gradient();
            failures.select(failures / (p * (1.0 - p)), failures)
        }
        ProbabilityOrLogit::Logit(_) => failures,
    };
    let loss = -parameter.rate_down(failures + successes);
    // At probability 1 there is only a derivative from the left, and no failure to lose.
    let (all, _) = parameter.at_ends()?;
    Ok(match side {
        Side::Right => Alternatives { values: vec![all.select(more, fewer)], weights: vec![all.select(loss, gain)] },
        Side::Left => Alternatives { values: vec![more], weights: vec![loss] },
        Side::TwoSided => {
            Alternatives { values: vec![fewer, more], weights: vec![gain * 0.5, loss * ((all + 1.0) * 0.5)] }
        }
    })
}

impl<'t, F: Real> KlDivergence<'t, F> for Geometric<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // There are 1 / p trials on average.
        (self.parameter.kl_to(&other.parameter) / self.probabilities()).sum()
    }
}

#[cfg(test)]
mod tests;
