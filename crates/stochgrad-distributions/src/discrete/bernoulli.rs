//! The Bernoulli distribution: a bit, such as the outcome of a trial or a binary latent variable.
//!
//! $$p(x; \theta) = \theta^x (1 - \theta)^{1 - x}, \quad x \in \{0, 1\}, \quad \theta = \sigma(\eta).$$
//!
//! Parameter: the probability $\theta \in [0, 1]$ or the log-odds $\eta$, any number or $\pm\infty$; its shape is the
//! event shape, and each element is an independent bit. Support: 0 and 1.
//!
//! | capability | |
//! |---|---|
//! | score | $\ln p = x\eta - \operatorname{softplus}(\eta)$, any order |
//! | finite support | 0, 1 |
//! | weak derivative | $\partial_\theta p = \delta_1 - \delta_0$; by $\eta$ times $\theta(1-\theta)$. One replay: the bit flipped |
//! | stochastic derivative | right: 0 → 1 at rate $1/(1-\theta)$; left: 1 → 0 at rate $1/\theta$ (Arya et al. 2022) |
//! | relaxation | $\sigma((\eta + \operatorname{logit} u)/\tau)$ (Maddison et al. 2017; Jang et al. 2017) |
//!
//! An impossible bit has the log-probability −∞, and by logits the score $x - \theta$ all the same. The divergence is
//! infinite where a bit is possible in the first distribution alone. At probabilities 0 and 1 entropy and relaxation
//! stay finite, and so do all derivatives: $\ln 0$ counts as about −690 there (−85 in single precision), and infinite
//! logits as $\pm 10^{30}$.

mod derivatives;

use crate::capabilities;
use crate::discrete::tails::{Tail, of_probability, tails};
use crate::distribution::{
    Boundary, ClosedFormEntropy, CumulativeDistribution, Distribution, FiniteSupport, IndependentBits,
    IndependentCategories, IntegerSupport, KlDivergence, Parameters, QuantileFunction, Relaxed, RelaxedMean,
    ScoreDifferentiable, Support, Tempered,
};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::probability::{ProbabilityOrLogit, released};
use smallvec::smallvec;
use stochgrad_tape::Var;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Bits, given by log-odds or by probability. Use it for outcomes of trials and for binary latent variables.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Distribution};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let bits = Bernoulli::from_probabilities(tape.constant([0.25, 0.5]));
/// let value = tape.constant([1.0, 0.0]);
/// assert!((bits.log_prob(value).item()? - (0.125_f64).ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bernoulli<V = stochgrad_tape::Id> {
    parameter: ProbabilityOrLogit<V>,
}

impl<V> Bernoulli<V> {
    /// Bits whose log-odds are `logits`: any real numbers, ±∞ included.
    pub fn from_logits(logits: V) -> Self {
        Bernoulli { parameter: ProbabilityOrLogit::Logit(logits) }
    }

    /// Bits that are 1 with the given probabilities, in [0, 1].
    pub fn from_probabilities(probabilities: V) -> Self {
        Bernoulli { parameter: ProbabilityOrLogit::Probability(probabilities) }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<Bernoulli<W>, E> {
        Ok(Bernoulli { parameter: self.parameter.try_map(f)? })
    }
}

family!(Bernoulli);

impl<'t, F: Real> Bernoulli<Var<'t, F>> {
    /// The probabilities of a 1.
    pub fn probabilities(&self) -> Var<'t, F> {
        self.parameter.probability()
    }

    /// The log-odds of a 1.
    pub fn logits(&self) -> Var<'t, F> {
        self.parameter.logit()
    }

    /// How the probability of a 1 is given.
    pub(crate) fn parameter(&self) -> ProbabilityOrLogit<Var<'t, F>> {
        self.parameter
    }

    /// The bits where noise is not recorded: the exact oracle splits it instead.
    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let event = self.event_shape();
        draw.bernoulli(&event, &self.parameter.probabilities(draw, &event)?)
    }
}

impl<'t, F: Real> Distribution<'t, F> for Bernoulli<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Bernoulli"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![self.parameter.parameter()]
    }

    fn event_shape(&self) -> Shape {
        self.parameter.var().shape()
    }

    fn support(&self) -> Support {
        Support::Bits
    }

    /// The form is linear in the value by logits, so that relaxed bits in (0, 1) have a cross-entropy. It is −∞ outside
    /// of [0, 1].
    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilityOrLogit::Logit(_) => {
                // At infinite logits this would be ∞ − ∞.
                let finite = self.parameter.finite_logit();
                value.zip(Zip::MulBit, finite).zip(Zip::SubUnguarded, finite.softplus())
            }
            // 0 · ln 0 is 0: a state of probability 0 contributes only where it occurs.
            ProbabilityOrLogit::Probability(p) => value.zip(Zip::ChanceOfBit, p).map(Map::LnHeld),
        }
    }

    /// Where the values and the logits are on different plates, the sum is a product of matrices, so that no tensor has
    /// an element for each pair of members and each bit.
    fn log_prob(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilityOrLogit::Logit(logits) if logits.shape() == value.shape() => {
                let finite = self.parameter.finite_logit();
                let crossed = logits.plates().iter().any(|plate| !value.plates().contains(plate))
                    && value.plates().iter().any(|plate| !logits.plates().contains(plate));
                if crossed {
                    // In separate sums an infinite logit would cancel the precision of the other bits.
                    let outside = Boundary::Included.outside(value.minimum(1.0 - value));
                    let bits = outside.select(value.tape().constant(0.0), value);
                    let log = released(bits.dot(finite) - finite.softplus().sum());
                    outside.sum().step().select(value.tape().constant(f64::NEG_INFINITY), log)
                } else if value.shape().is_empty() {
                    self.log_prob_each(value)
                } else {
                    released((value.zip(Zip::MulBit, finite) - finite.softplus()).sum())
                }
            }
            _ => self.log_prob_each(value).sum(),
        }
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let tape = self.parameter.var().tape();
        if !draw.records_noise(tape) {
            return Ok(draw.record(tape, self.inverted(draw)?));
        }
        // The mirror image 1 − u has the digits that small probabilities need.
        let noise = draw.record_noise(tape, Fill::Mirrored, &self.event_shape())?;
        Ok(noise.lt(self.probabilities()))
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.probabilities())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let p = self.probabilities();
        Some(p * (1.0 - p))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some((self.logits()).step())
    }

    fn validate(&self) -> DistributionResult<()> {
        self.parameter.validate("Bernoulli")
    }

    capabilities!();
}

impl<'t, F: Real> Bernoulli<Var<'t, F>> {
    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        let tape = value.tape();
        let (zero, one) = (tape.constant(0.0), tape.constant(1.0));
        // The logarithm of the probability of a bit, which is −∞ without a derivative where there is none.
        let log = |chance: Var<'t, F>, possible: &dyn Fn(Var<'t, F>) -> Var<'t, F>| {
            let impossible = Boundary::Excluded.outside(chance);
            impossible.select(tape.constant(f64::NEG_INFINITY), possible(impossible))
        };
        tail.of(value, [value.lt(zero), value.ge(one)], zero, |bit| {
            let (p, q) = (self.parameter.probability(), self.parameter.complement());
            let inside = match (tail, self.parameter) {
                (Tail::Lower, _) => q,
                (Tail::Upper, _) => p,
                (Tail::LogLower, ProbabilityOrLogit::Probability(p)) => {
                    log(q, &|impossible| (-impossible.select(zero, p)).log1p())
                }
                (Tail::LogUpper, ProbabilityOrLogit::Probability(p)) => {
                    log(p, &|impossible| impossible.select(one, p).ln())
                }
                (Tail::LogLower, ProbabilityOrLogit::Logit(l)) => (-l).log_sigmoid(),
                (Tail::LogUpper, ProbabilityOrLogit::Logit(l)) => l.log_sigmoid(),
            };
            inside + bit
        })
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Bernoulli<Var<'t, F>> {
    tails!();
}

impl<'t, F: Real> IntegerSupport<'t, F> for Bernoulli<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        1.0 - value
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Bernoulli<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        of_probability(probability, probability.gt(self.parameter.complement()))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        of_probability(probability, probability.lt(self.parameter.probability()))
    }
}

impl<'t, F: Real> Tempered<'t, F> for Bernoulli<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(Bernoulli::from_logits(self.logits() * (1.0 / temperature)))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Bernoulli<Var<'t, F>> {}

impl<'t, F: Real> FiniteSupport<'t, F> for Bernoulli<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        Ok(2)
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        Ok(Tensor::from_fn([2], F::from_usize))
    }

    fn probability_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => value.zip(Zip::ChanceOfBit, p),
            ProbabilityOrLogit::Logit(_) => self.log_prob_each(value).exp(),
        }
    }
}

impl<'t, F: Real> IndependentBits<'t, F> for Bernoulli<Var<'t, F>> {
    fn logits(&self) -> Var<'t, F> {
        self.parameter.logit()
    }
}

/// Two categories: 0, then 1.
impl<'t, F: Real> IndependentCategories<'t, F> for Bernoulli<Var<'t, F>> {
    fn category_log_probs(&self) -> Var<'t, F> {
        let (one, zero) = self.parameter.finite_logs();
        let tape = one.tape();
        zero.unsqueeze(-1) * tape.constant([1.0, 0.0]) + one.unsqueeze(-1) * tape.constant([0.0, 1.0])
    }

    fn value_from_one_hot(&self, one_hot: Var<'t, F>) -> Var<'t, F> {
        one_hot.index(-1, 1)
    }

    fn to_one_hot(&self, value: Var<'t, F>) -> Var<'t, F> {
        value.one_hot(2)
    }
}

impl<'t, F: Real> RelaxedMean<'t, F> for Bernoulli<Var<'t, F>> {}

impl<'t, F: Real> Relaxed<'t, F> for Bernoulli<Var<'t, F>> {
    fn location(&self) -> Var<'t, F> {
        self.parameter.finite_logit()
    }

    fn perturbed(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let logits = self.parameter.finite_logit();
        Ok(logits + draw.record_noise(logits.tape(), Fill::Logistic, &self.event_shape())?)
    }

    fn conditional_perturbed(&self, hard: Var<'t, F>, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let logits = self.parameter.finite_logit();
        let noise = draw.record_noise(logits.tape(), Fill::Logistic, &self.event_shape())?;
        // Given a 1 the uniform behind z is 1 − p (1 − v), given a 0 it is (1 − p) v. Its logit plus that of p is, with
        // s = ±1 for the bit and w = logit v, s · ln(1 + exp(s w) (1 + exp(s η))): of the bit's sign whatever the
        // rounding.
        let sign = hard + hard - 1.0;
        Ok(sign * (sign * noise + (sign * logits).softplus()).softplus())
    }

    fn harden(&self, perturbed: Var<'t, F>) -> Var<'t, F> {
        perturbed.ge(perturbed * 0.0)
    }

    fn soften(&self, perturbed: Var<'t, F>, temperature: Var<'t, F>) -> Var<'t, F> {
        (perturbed / temperature).sigmoid()
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Bernoulli<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        self.parameter.entropy().sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Bernoulli<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        self.parameter.kl_to(&other.parameter).sum()
    }
}

#[cfg(test)]
mod tests;
