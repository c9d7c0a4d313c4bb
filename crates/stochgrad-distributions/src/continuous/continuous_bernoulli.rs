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
use crate::family;
use crate::parameter::probability::ProbabilityOrLogit;
use crate::prelude::*;

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
pub struct ContinuousBernoulli<V> {
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
        let half = value.tape().constant(0.5);
        let logit = self.logits();
        Boundary::Included
            .confine(value.minimum(1.0 - value), value, half, |x| logit * (x - 0.5) - special::log_sinhc(logit * 0.5))
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

impl<'t, F: Real> CumulativeDistribution<'t, F> for ContinuousBernoulli<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        let (x, logit) = (value.clamp(0.0, 1.0), self.logits());
        x * (log_normalizer(logit * x) - log_normalizer(logit)).exp()
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for ContinuousBernoulli<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        // Computed from the end at which the density is highest, so that nothing overflows; the derivatives are those
        // of the implicit path.
        let (tape, logit) = (probability.tape(), self.logits().stop_gradient());
        let rising = logit.step();
        let far = rising.select(1.0 - probability, probability).stop_gradient();
        let near = rising.select(probability, 1.0 - probability).stop_gradient();
        let steep = -logit.abs();
        let flat = (steep.abs() - 1e-9).le(tape.constant(0.0));
        let rate = flat.select(tape.constant(-1.0), steep);
        // To first order in the rate around a flat density.
        let almost = far + steep * far * (1.0 - far) * 0.5;
        // Two forms of one logarithm. The first one is precise where the sum is small.
        let sum = near + far * rate.exp();
        let log = sum.lt(tape.constant(0.5)).select(sum.ln(), (far * rate.expm1()).log1p());
        let distance = flat.select(almost, log / rate);
        let value = rising.select(1.0 - distance, distance).clamp(0.0, 1.0);
        let density = self.log_prob_each(value).exp().stop_gradient();
        value.straight_through((probability - self.cdf(value)) / density)
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
        ((own - others) * langevin(own) - special::log_sinhc(own) + special::log_sinhc(others)).sum()
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
