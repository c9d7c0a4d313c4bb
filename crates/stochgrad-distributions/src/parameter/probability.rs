//! A probability as a parameter, given as a probability or as log-odds.

use crate::distribution::Parameter;
use crate::distribution::check_parameter;
use crate::error::DistributionResult;
use crate::noise::Draw;
use crate::parameter::rate_or_log::RateOrLog;
use stochgrad_tape::{Condition, Op, Var, special};
use stochgrad_tensor::map::{GUARD, Map};
use stochgrad_tensor::{Real, Shape, Tensor};

/// How a probability is given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProbabilityOrLogit<V> {
    Probability(V),
    Logit(V),
}

impl<V> ProbabilityOrLogit<V> {
    pub(crate) fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<ProbabilityOrLogit<W>, E> {
        Ok(match self {
            ProbabilityOrLogit::Probability(v) => ProbabilityOrLogit::Probability(f(v)?),
            ProbabilityOrLogit::Logit(v) => ProbabilityOrLogit::Logit(f(v)?),
        })
    }
}

impl<'t, F: Real> ProbabilityOrLogit<Var<'t, F>> {
    pub(crate) fn var(&self) -> Var<'t, F> {
        match *self {
            ProbabilityOrLogit::Probability(v) | ProbabilityOrLogit::Logit(v) => v,
        }
    }

    pub(crate) fn parameter(&self) -> Parameter<'t, F> {
        match *self {
            ProbabilityOrLogit::Probability(v) => Parameter::smooth("probabilities", v).with_hiding(&[0.0, 1.0]),
            ProbabilityOrLogit::Logit(v) => Parameter::smooth("logits", v),
        }
    }

    pub(crate) fn probability(&self) -> Var<'t, F> {
        match *self {
            ProbabilityOrLogit::Probability(p) => p,
            ProbabilityOrLogit::Logit(l) => l.sigmoid(),
        }
    }

    /// `1 − p`, without cancellation where the logit is known.
    pub(crate) fn complement(&self) -> Var<'t, F> {
        match *self {
            ProbabilityOrLogit::Probability(p) => 1.0 - p,
            ProbabilityOrLogit::Logit(l) => (-l).sigmoid(),
        }
    }

    pub(crate) fn logit(&self) -> Var<'t, F> {
        match *self {
            ProbabilityOrLogit::Probability(p) => p.ln() - (-p).log1p(),
            ProbabilityOrLogit::Logit(l) => l,
        }
    }

    /// The logit, finite and with finite derivatives also at probabilities 0 and 1.
    pub(crate) fn finite_logit(&self) -> Var<'t, F> {
        match *self {
            ProbabilityOrLogit::Probability(p) => finite_ln(p) - finite_ln(1.0 - p),
            ProbabilityOrLogit::Logit(l) => l.map(Map::Guard(GUARD)),
        }
    }

    /// `ln p` and `ln(1 − p)`, finite and with finite derivatives also at probabilities 0 and 1.
    pub(crate) fn finite_logs(&self) -> (Var<'t, F>, Var<'t, F>) {
        match *self {
            ProbabilityOrLogit::Probability(p) => {
                // 1 − p is precise for p near 1, ln(1 + x) for x near 0.
                let (tape, likely) = (p.tape(), (p - 0.5).step());
                let near_zero = (-likely.select(tape.constant(0.0), p)).log1p();
                let near_one = finite_ln(1.0 - likely.select(p, tape.constant(0.5)));
                (finite_ln(p), likely.select(near_one, near_zero))
            }
            ProbabilityOrLogit::Logit(_) => {
                let l = self.finite_logit();
                (l.log_sigmoid(), (-l).log_sigmoid())
            }
        }
    }

    /// The entropy of one trial.
    pub(crate) fn entropy(&self) -> Var<'t, F> {
        let (log_p, log_q) = self.finite_logs();
        -(self.probability() * log_p + self.complement() * log_q)
    }

    /// The logarithms of `p` and `1 − p`, which are −∞ at 0 with derivatives that are finite there.
    pub(crate) fn logs(&self) -> (Var<'t, F>, Var<'t, F>) {
        match *self {
            ProbabilityOrLogit::Probability(p) => (p.map(Map::LnHeld), (1.0 - p).map(Map::LnHeld)),
            ProbabilityOrLogit::Logit(l) => (l.log_sigmoid(), (-l).log_sigmoid()),
        }
    }

    /// The divergence of one trial from another: infinite where an outcome is possible in this one alone.
    pub(crate) fn kl_to(&self, other: &Self) -> Var<'t, F> {
        if let (ProbabilityOrLogit::Probability(p), ProbabilityOrLogit::Probability(q)) = (*self, *other) {
            return special::binary_deviance(p, q);
        }
        let ((own_one, own_zero), (other_one, other_zero)) = (self.logs(), other.logs());
        special::deviance_by_log(own_one, other_one) + special::deviance_by_log(own_zero, other_zero)
    }

    /// The divergence of one trial from a Poisson distribution, given as the rate or by its logarithm.
    pub(crate) fn kl_to_poisson(&self, rate: RateOrLog<Var<'t, F>>) -> Var<'t, F> {
        // With the rates of a Poisson distribution for each outcome: λ, and 1 for no event.
        match (*self, rate) {
            (ProbabilityOrLogit::Probability(p), RateOrLog::Rate(rate)) => {
                special::deviance(p, rate) + special::deviance(1.0 - p, p.tape().constant(1.0))
            }
            _ => {
                let (one, zero) = self.logs();
                special::deviance_by_log(one, rate.log()) + special::deviance_by_log(zero, zero.tape().constant(0.0))
            }
        }
    }

    pub(crate) fn validate(&self, distribution: &'static str) -> DistributionResult<()> {
        match *self {
            ProbabilityOrLogit::Probability(p) => check_parameter(
                distribution,
                "probabilities",
                p,
                "in [0, 1]",
                "use logits for unconstrained numbers",
                Condition::Between { low: 0.0, high: 1.0 },
            ),
            ProbabilityOrLogit::Logit(l) => check_parameter(
                distribution,
                "logits",
                l,
                "a number, not NaN",
                "look for the operation that made the NaN",
                Condition::NotNan,
            ),
        }
    }

    /// The probabilities as a tensor on the plates of a request.
    pub(crate) fn probabilities(&self, draw: &Draw<'_, F>, event: &Shape) -> DistributionResult<Tensor<F>> {
        let value = draw.parameter(self.var(), event)?;
        Ok(match self {
            ProbabilityOrLogit::Probability(_) => value,
            ProbabilityOrLogit::Logit(_) => value.map(|l| l.sigmoid()),
        })
    }

    /// The derivative of the probability with respect to the parameter. No gradient flows through it.
    pub(crate) fn slope(&self) -> Var<'t, F> {
        match *self {
            ProbabilityOrLogit::Probability(p) => p.stop_gradient() * 0.0 + 1.0,
            ProbabilityOrLogit::Logit(l) => {
                let p = l.stop_gradient().sigmoid();
                p * (1.0 - p)
            }
        }
    }

    /// That derivative times `count / (1 − p)`; 0 for a count of 0, whatever `p` is.
    pub(crate) fn rate_up(&self, count: Var<'t, F>) -> Var<'t, F> {
        match *self {
            ProbabilityOrLogit::Probability(p) => count.select(count / (1.0 - p.stop_gradient()), count),
            ProbabilityOrLogit::Logit(l) => count * l.stop_gradient().sigmoid(),
        }
    }

    /// That derivative times `count / p`; 0 for a count of 0, whatever `p` is.
    pub(crate) fn rate_down(&self, count: Var<'t, F>) -> Var<'t, F> {
        match *self {
            ProbabilityOrLogit::Probability(p) => count.select(count / p.stop_gradient(), count),
            ProbabilityOrLogit::Logit(l) => count * (1.0 - l.stop_gradient().sigmoid()),
        }
    }

    /// 1 where the probability is 1, and 1 where it is 0. There it has only a one-sided derivative, since the outcome
    /// that would lose mass has none. Ends through which no derivative flows do not count, as those of a logit.
    pub(crate) fn at_ends(&self) -> DistributionResult<(Var<'t, F>, Var<'t, F>)> {
        let (tape, zero) = (self.var().tape(), self.var().tape().constant(0.0));
        let p = match *self {
            ProbabilityOrLogit::Probability(p) if p.op() != Some(Op::Map(Map::Sigmoid)) => p,
            _ => return Ok((zero, zero)),
        };
        let own = p.stop_gradient();
        let (all, none) = (own.equal(tape.constant(1.0)), own.equal(zero));
        let matters = tape.record_has_derivative(p, all + none)?;
        Ok((all * matters, none * matters))
    }
}

/// The logarithm of a probability, finite at 0: the probability is increased by a shift that is too small to change any
/// other probability. A probability of 0 has a logarithm of about −690 (−85 in single precision), so that `0 · ln 0` is
/// 0 in values and derivatives.
pub(crate) fn finite_ln<F: Real>(p: Var<'_, F>) -> Var<'_, F> {
    above_zero(p).ln()
}

/// A number of at least 0, increased by a shift that is too small to change any number other than 0, so that functions
/// of it have finite derivatives at 0.
pub(crate) fn above_zero<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    x + if F::from_f64(1e-300) > F::ZERO { 1e-300 } else { 1e-37 }
}

/// Logarithms of probabilities limited to at least −10³⁰, so that `0 · ln 0` is 0 in values and derivatives.
pub(crate) fn held<F: Real>(log: Var<'_, F>) -> Var<'_, F> {
    log.map(Map::Guard(GUARD))
}

/// A log-probability that is a sum of [`held`] logarithms or finite logits, set to −∞ where one of them replaces an
/// infinity. The derivatives remain those of the finite sum, so that the score of an impossible value is not NaN.
#[track_caller]
pub(crate) fn released<F: Real>(log: Var<'_, F>) -> Var<'_, F> {
    log.map(Map::Unguard)
}
