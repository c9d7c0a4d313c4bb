//! The Bernoulli distribution: a bit.
//!
//! $$p(x; \theta) = \theta^x (1 - \theta)^{1 - x}, \quad x \in \{0, 1\}, \quad \theta = \sigma(\eta).$$
//!
//! | capability | |
//! |---|---|
//! | score | $\ln p = x\eta - \operatorname{softplus}(\eta)$, any order |
//! | finite support | 0, 1 |
//! | weak derivative | $\partial_\theta p = \delta_1 - \delta_0$; by $\eta$ times $\theta(1-\theta)$. One replay: the bit flipped |
//! | stochastic derivative | right: 0 → 1 at rate $1/(1-\theta)$; left: 1 → 0 at rate $1/\theta$ (Arya et al. 2022) |
//! | relaxation | $\sigma((\eta + \operatorname{logit} u)/\tau)$ (Maddison et al. 2017; Jang et al. 2017) |

use crate::distribution::{
    Alternatives, Capabilities, ClosedFormEntropy, Distribution, FiniteSupport, KlDivergence, Parameter, Parameters, Relaxed, ScoreDifferentiable, Side,
    StochasticDerivative, Support, WeakDerivative, check_parameter,
};
use crate::noise::Draw;
use crate::{DistributionResult, family};
use smallvec::smallvec;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Bits, by logit or by probability.
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
pub struct Bernoulli<V> {
    parameter: ProbabilityOrLogit<V>,
}

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
            ProbabilityOrLogit::Probability(v) => Parameter::smooth("probabilities", v),
            ProbabilityOrLogit::Logit(v) => Parameter::smooth("logits", v),
        }
    }

    pub(crate) fn probability(&self) -> Var<'t, F> {
        match *self {
            ProbabilityOrLogit::Probability(p) => p,
            ProbabilityOrLogit::Logit(l) => l.sigmoid(),
        }
    }

    pub(crate) fn logit(&self) -> Var<'t, F> {
        match *self {
            ProbabilityOrLogit::Probability(p) => p.ln() - (-p).log1p(),
            ProbabilityOrLogit::Logit(l) => l,
        }
    }

    /// `ln p` and `ln(1 − p)`.
    pub(crate) fn logs(&self) -> (Var<'t, F>, Var<'t, F>) {
        match *self {
            ProbabilityOrLogit::Probability(p) => (p.ln(), (-p).log1p()),
            ProbabilityOrLogit::Logit(l) => (l.log_sigmoid(), (-l).log_sigmoid()),
        }
    }

    pub(crate) fn validate(&self, distribution: &'static str) -> DistributionResult<()> {
        match *self {
            ProbabilityOrLogit::Probability(p) => {
                check_parameter(distribution, "probabilities", p, "in [0, 1]", "use logits for unconstrained numbers", |p| (0.0..=1.0).contains(&p))
            }
            ProbabilityOrLogit::Logit(l) => check_parameter(distribution, "logits", l, "a number, not NaN", "look for the operation that made the NaN", |l| !l.is_nan()),
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

    /// The derivative of the probability by the parameter, given the probability.
    pub(crate) fn derivative(&self, p: F) -> F {
        match self {
            ProbabilityOrLogit::Probability(_) => F::ONE,
            ProbabilityOrLogit::Logit(_) => p * (F::ONE - p),
        }
    }
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

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilityOrLogit::Logit(l) => {
                // At infinite logits the plain form is ∞ − ∞.
                let finite = l.clamp(-1e30, 1e30);
                value * finite - finite.softplus()
            }
            ProbabilityOrLogit::Probability(p) => {
                // 0 · ln 0 is 0: a state of probability 0 contributes only where it occurs.
                let chance = value * p + (1.0 - value) * (1.0 - p);
                chance.ln()
            }
        }
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let event = self.event_shape();
        draw.bernoulli(&event, &self.parameter.probabilities(draw, &event)?)
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.probabilities())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let p = self.probabilities();
        Some(p * (1.0 - p))
    }

    fn validate(&self) -> DistributionResult<()> {
        self.parameter.validate("Bernoulli")
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        Capabilities {
            score: Some(self),
            finite_support: Some(self),
            weak_derivative: Some(self),
            stochastic_derivative: Some(self),
            relaxed: Some(self),
            entropy: Some(self),
            ..Capabilities::default()
        }
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Bernoulli<Var<'t, F>> {}

impl<'t, F: Real> FiniteSupport<'t, F> for Bernoulli<Var<'t, F>> {
    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        Ok(Tensor::from_fn([2], F::from_usize))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Bernoulli<Var<'t, F>> {
    fn weak_derivative(&self, parameter: usize, sample: &Tensor<F>, draw: &Draw<'_, F>) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let p = self.parameter.probabilities(draw, &self.event_shape())?;
        let flipped = sample.map(|x| F::ONE - x);
        let weights = Tensor::from_fn(p.shape().clone(), |i| (F::ONE - sample.as_slice()[i] - sample.as_slice()[i]) * self.parameter.derivative(p.as_slice()[i]));
        Ok(Some(Alternatives { values: vec![flipped], weights: vec![weights] }))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for Bernoulli<Var<'t, F>> {
    fn stochastic_derivative(&self, parameter: usize, side: Side, sample: &Tensor<F>, draw: &Draw<'_, F>) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let p = self.parameter.probabilities(draw, &self.event_shape())?;
        let flipped = sample.map(|x| F::ONE - x);
        let half = F::from_f64(0.5);
        let rate = |i: usize| {
            let (x, p) = (sample.as_slice()[i], p.as_slice()[i]);
            let (right, left) = if x == F::ZERO { (F::ONE / (F::ONE - p), F::ZERO) } else { (F::ZERO, -F::ONE / p) };
            let rate = match side {
                Side::Right => right,
                Side::Left => left,
                Side::TwoSided => half * (right + left),
            };
            rate * self.parameter.derivative(p)
        };
        Ok(Some(Alternatives { values: vec![flipped], weights: vec![Tensor::from_fn(p.shape().clone(), rate)] }))
    }
}

impl<'t, F: Real> Relaxed<'t, F> for Bernoulli<Var<'t, F>> {
    fn perturbed(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let logits = self.logits();
        let u = draw.uniform(&self.event_shape())?;
        let noise = draw.record(logits.tape(), u.map(|u| u.ln() - (-u).ln_1p()));
        Ok(logits + noise)
    }

    fn conditional_perturbed(&self, hard: Var<'t, F>, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (logits, p) = (self.logits(), self.probabilities());
        let v = draw.record(logits.tape(), draw.uniform(&self.event_shape())?);
        // u given the bit is uniform above 1 − p for a 1 and below it for a 0; `rest` is 1 − u, kept for its accuracy.
        let u = hard.select(1.0 - p * (1.0 - v), (1.0 - p) * v);
        let rest = hard.select(p * (1.0 - v), 1.0 - (1.0 - p) * v);
        Ok(logits + u.ln() - rest.ln())
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
        let l = self.logits().clamp(-1e30, 1e30);
        (l.softplus() - l * l.sigmoid()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Bernoulli<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let (l, m) = (self.logits().clamp(-1e30, 1e30), other.logits().clamp(-1e30, 1e30));
        (l.sigmoid() * (l - m) - l.softplus() + m.softplus()).sum()
    }
}
