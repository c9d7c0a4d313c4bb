//! The continuous Bernoulli distribution: values in the unit interval with an exponential density. It is the likelihood
//! of grey values in variational autoencoders, where the cross-entropy of a bit lacks the normalising constant.
//!
//! $$p(x; \eta) = e^{\eta x - n(\eta)}, \quad n(\eta) = \ln\frac{e^\eta - 1}{\eta}, \quad 0 \le x \le 1, \quad p = \sigma(\eta).$$
//!
//! Parameter: the log-odds $\eta$, any finite number, or the probability $p \in (0, 1)$; its shape is the event shape,
//! and each element is an independent value. Support: the closed unit interval.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \ln(1 + U(e^\eta - 1))/\eta$, with the implicit derivative $-\partial_\eta F/p$: order 1 |
//!
//! Source: Loaiza-Ganem and Cunningham, "The continuous Bernoulli", 2019. With $n(\eta) = \eta/2 +
//! \ln(\sinh(\eta/2)/(\eta/2))$ nothing is special at $\eta = 0$, where the usual formulas are 0/0.

use crate::derivative::implicit::implicit_path;
use crate::distribution::above;
use crate::family;
use crate::parameter::probability::ProbabilityOrLogit;
use crate::prelude::*;
use std::f64::consts::LN_2;
use stochgrad_tensor::map::Map;

/// Values in the unit interval with an exponential density, given by log-odds or probability: the distribution for
/// which the cross-entropy of grey values is a log-density. The probability is not the mean.
///
/// ```
/// use stochgrad_distributions::{ContinuousBernoulli, Distribution};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let flat = ContinuousBernoulli::from_probabilities(tape.constant(0.5));
/// assert_eq!((flat.log_prob(tape.constant(0.2)).item()?, flat.mean().unwrap().item()?), (0.0, 0.5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ContinuousBernoulli<V = stochgrad_tape::Id> {
    parameter: ProbabilityOrLogit<V>,
}

impl<V> ContinuousBernoulli<V> {
    /// Values between 0 and 1 with these finite log-odds.
    pub fn from_logits(logits: V) -> Self {
        ContinuousBernoulli { parameter: ProbabilityOrLogit::Logit(logits) }
    }

    /// Values between 0 and 1 with these probabilities, in (0, 1).
    pub fn from_probabilities(probabilities: V) -> Self {
        ContinuousBernoulli { parameter: ProbabilityOrLogit::Probability(probabilities) }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnMut(&V) -> Result<W, E>) -> Result<ContinuousBernoulli<W>, E> {
        Ok(ContinuousBernoulli { parameter: self.parameter.try_map(f)? })
    }
}

family!(ContinuousBernoulli);

/// ln((e^η − 1)/η)
fn log_normalizer<F: Real>(logit: Var<'_, F>) -> Var<'_, F> {
    let half = logit * 0.5;
    half + special::log_sinhc(half)
}

impl<'t, F: Real> ContinuousBernoulli<Var<'t, F>> {
    /// The log-odds.
    pub fn logits(&self) -> Var<'t, F> {
        self.parameter.logit()
    }

    /// ln((e^η − 1)/η)
    pub(crate) fn log_normalizer(&self) -> Var<'t, F> {
        log_normalizer(self.logits())
    }

    /// The probabilities.
    pub fn probabilities(&self) -> Var<'t, F> {
        self.parameter.probability()
    }
}

impl<'t, F: Real> Distribution<'t, F> for ContinuousBernoulli<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "ContinuousBernoulli"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![self.parameter.parameter().with_path(SamplePath::Implicit(Order::Finite(1)))]
    }

    fn event_shape(&self) -> Shape {
        self.parameter.var().shape()
    }

    fn support(&self) -> Support {
        Support::UnitInterval
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let logit = self.logits();
        Boundary::Included.confine_unit(value, |x| logit * (x - 0.5) - special::log_sinhc(logit * 0.5))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let u = draw.record_uniform(self.parameter.var().tape(), &self.event_shape())?;
        Ok(self.icdf(u).stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        let half = self.logits() * 0.5;
        Some(langevin(half) * 0.5 + 0.5)
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(special::log_sinhc_derivative(self.logits() * 0.5, 2) * 0.25)
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        // The end at which the density is highest. A flat density has no single mode: NaN.
        let logit = self.logits();
        let sign = logit.sign();
        let nothing = sign.tape().constant(f64::NAN);
        Some(sign.select((sign + 1.0) * 0.5, nothing))
    }

    fn validate(&self) -> DistributionResult<()> {
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => {
                let hint = "use logits for unconstrained numbers";
                check_parameter(
                    "ContinuousBernoulli",
                    "probabilities",
                    p,
                    "in (0, 1)",
                    hint,
                    Condition::Inside { above: 0.0, below: 1.0 },
                )
            }
            ProbabilityOrLogit::Logit(l) => finite("ContinuousBernoulli", "logits", l),
        }
    }

    capabilities!();
}

/// coth x − 1/x
fn langevin<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    special::log_sinhc_derivative(x, 1)
}

impl<'t, F: Real> ContinuousBernoulli<Var<'t, F>> {
    /// The logarithm of the distribution function inside the unit interval, (e^λx − 1) / (e^λ − 1).
    fn log_lower(&self, x: Var<'t, F>) -> Var<'t, F> {
        let logit = self.logits();
        x.ln() + (log_normalizer(logit * x) - log_normalizer(logit))
    }

    /// The logarithm of the survival function inside the unit interval: that of the mirror image.
    fn log_upper(&self, x: Var<'t, F>) -> Var<'t, F> {
        let (logit, y) = (-self.logits(), 1.0 - x);
        y.ln() + (log_normalizer(logit * y) - log_normalizer(logit))
    }

    /// The value above which there is the probability `upper`, and below which there is `lower`, which is 1 − `upper`.
    /// It has no derivatives.
    fn between(&self, lower: Var<'t, F>, upper: Var<'t, F>) -> Var<'t, F> {
        let (tape, logit) = (lower.tape(), self.logits().held());
        let (lower, upper) = (lower.held(), upper.held());
        let rising = logit.step();
        // The probability between the value and the end with the higher density, and the rest.
        let (dense, sparse) = (rising.select(upper, lower), rising.select(lower, upper));
        let steep = logit.abs();
        let flat = steep.le(tape.constant(1e-9));
        let rate = flat.select(tape.constant(1.0), steep);
        // To first order in the rate around a flat density.
        let almost = dense - steep * dense * (1.0 - dense) * 0.5;
        // Two forms of one logarithm. The first one is precise where the sum is small.
        let sum = sparse + dense * (-rate).exp();
        let log = above(sum, 0.5).select((dense * (-rate).expm1()).log1p(), sum.ln());
        let from_dense = flat.select(almost, -log / rate);
        // From the other end, where the value is closer to it. Where e^λ overflows, it is not.
        let growth = rate.map(Map::MinScalar(F::MAX.to_f64().ln())).expm1();
        let short = sparse * growth;
        let from_sparse = flat.select(sparse + steep * sparse * dense * 0.5, short.log1p() / rate);
        let from_zero = above(short, 1.0).select(1.0 - from_dense, from_sparse);
        rising.select(from_zero, from_dense).clamp(0.0, 1.0)
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for ContinuousBernoulli<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_unit_interval(value, |x| {
            let log = self.log_lower(x);
            above(log, -LN_2).select(1.0 - self.log_upper(x).exp(), log.exp())
        })
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_unit_interval(value, |x| {
            let log = self.log_upper(x);
            above(log, -LN_2).select(1.0 - self.log_lower(x).exp(), log.exp())
        })
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_unit_interval(value, |x| {
            let log = self.log_lower(x);
            above(log, -LN_2).select((-self.log_upper(x).exp()).log1p(), log)
        })
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_unit_interval(value, |x| {
            let log = self.log_upper(x);
            above(log, -LN_2).select((-self.log_lower(x).exp()).log1p(), log)
        })
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for ContinuousBernoulli<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, 0.0, 1.0), |p| {
            let value = self.between(p, 1.0 - p);
            // The derivatives are those of the implicit path, from the smaller tail.
            let path = above(p, 0.5).select(self.survival(value), -self.cdf(value));
            let density = self.log_prob_each(value).exp().held();
            value.straight_through((path + p) / density)
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, 1.0, 0.0), |p| {
            let value = self.between(1.0 - p, p);
            let path = above(p, 0.5).select(-self.cdf(value), self.survival(value));
            let density = self.log_prob_each(value).exp().held();
            value.straight_through((path - p) / density)
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for ContinuousBernoulli<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for ContinuousBernoulli<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(implicit_path(self, self.sample(draw)?))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for ContinuousBernoulli<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let half = self.logits() * 0.5;
        (special::log_sinhc(half) - half * langevin(half)).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for ContinuousBernoulli<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let (own, others) = (self.logits() * 0.5, other.logits() * 0.5);
        special::log_sinhc_divergence(own, others).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BY_LOGIT: Build = |p| Box::new(ContinuousBernoulli::from_logits(p[0]));
    const BY_PROBABILITY: Build = |p| Box::new(ContinuousBernoulli::from_probabilities(p[0]));

    #[test]
    fn everything_follows_the_distribution() {
        for (build, parameter, logit, seed) in [
            (BY_LOGIT, 1.7, 1.7, 201),
            (BY_LOGIT, -6.0, -6.0, 211),
            (BY_LOGIT, 1e-6, 1e-6, 221),
            (BY_PROBABILITY, 0.2, 0.25_f64.ln(), 231),
        ] {
            let distribution = DistributionCheck::new(build, &[parameter], Domain::UnitInterval);
            distribution.assert_distribution(&[0.05, 0.4, 0.98], seed);
            let tape = Tape::new();
            let p = ContinuousBernoulli::from_logits(tape.constant(logit));
            let other = build(&[tape.constant(0.7)]);
            let q = if other.parameters()[0].name == "logits" {
                ContinuousBernoulli::from_logits(tape.constant(0.7))
            } else {
                ContinuousBernoulli::from_probabilities(tape.constant(0.7))
            };
            distribution.assert_divergence(&[0.7], p.kl_to(&q).item().unwrap());
        }
        for value in [-0.1, 1.1] {
            assert_nothing_at(BY_LOGIT, &[0.7], value);
        }
        for logit in [-50.0, -1e-12, 1e-300, 50.0, 700.0, -2000.0] {
            assert_finite(BY_LOGIT, &[logit], 9);
        }
        assert_finite(BY_PROBABILITY, &[0.5], 9);
    }

    #[test]
    fn parameters_are_checked() {
        let tape = Tape::<f64>::new();
        for p in [0.0, 1.0, f64::NAN] {
            assert!(ContinuousBernoulli::from_probabilities(tape.constant(p)).validate().is_err());
        }
        assert!(ContinuousBernoulli::from_logits(tape.constant(f64::INFINITY)).validate().is_err());
    }
}
