//! The categorical distribution over one-hot vectors: one of C categories, as a vector with a single 1. Use it where
//! the category enters a linear map or a relaxation.
//!
//! $$p(x; \pi) = \prod_k \pi_k^{x_k}, \quad x \in \{e_1, \dots, e_C\}, \quad \pi = \operatorname{softmax}(\eta).$$
//!
//! Parameter: the logits $\eta$, any numbers or $-\infty$, or the probabilities $\pi$, with the categories along the
//! last axis. Its shape is the event shape; one element is the last axis. Support: the one-hot vectors of length $C$.
//!
//! | capability | |
//! |---|---|
//! | score | $\sum_k x_k \ln \pi_k$, any order |
//! | finite support | the unit vectors |
//! | weak derivative with respect to $\eta_k$ | every unit vector $e_a$, with $\partial\pi_a/\partial\eta_k = \pi_a(1[a = k] - \pi_k)$ |
//! | weak derivative with respect to $\pi_k$ | every unit vector $e_a$, with $1[a = k]$ |
//! | stochastic derivative | to the neighbouring category (Arya et al. 2022) |
//! | relaxation | $\operatorname{softmax}((\ln\pi + g)/\tau)$, $g$ Gumbel (Maddison et al. 2017; Jang et al. 2017) |
//!
//! Probabilities must sum to 1, as those of a [`Categorical`](crate::Categorical), and derivatives with respect to them
//! mean the same.

use crate::capabilities;
use crate::distribution::{
    Alternatives, ClosedFormEntropy, Distribution, FiniteSupport, IndependentCategories, KlDivergence, Parameters,
    Relaxed, RelaxedMean, ScoreDifferentiable, Side, StochasticDerivative, Support, Tempered, WeakDerivative,
};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::categories::ProbabilitiesOrLogits;
use crate::parameter::probability::released;
use smallvec::smallvec;
use stochgrad_tape::Var;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::{Real, Shape, Tensor};

/// One-hot vectors, given by logits or by probabilities. The last axis of the parameter, and of the values, holds the
/// categories.
///
/// ```
/// use stochgrad_distributions::{Distribution, OneHotCategorical};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let colour = OneHotCategorical::from_probabilities(tape.constant([0.5, 0.2, 0.3]));
/// let third = tape.constant([0.0, 0.0, 1.0]);
/// assert!((colour.log_prob(third).item()? - 0.3_f64.ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OneHotCategorical<V = stochgrad_tape::Id> {
    parameter: ProbabilitiesOrLogits<V>,
}

impl<V> OneHotCategorical<V> {
    /// One-hot vectors whose unnormalised log-probabilities are `logits`; −∞ forbids a category.
    pub fn from_logits(logits: V) -> Self {
        OneHotCategorical { parameter: ProbabilitiesOrLogits::Logits(logits) }
    }

    /// One-hot vectors with the given probabilities, which sum to 1 along the last axis.
    pub fn from_probabilities(probabilities: V) -> Self {
        OneHotCategorical { parameter: ProbabilitiesOrLogits::Probabilities(probabilities) }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<OneHotCategorical<W>, E> {
        Ok(OneHotCategorical { parameter: self.parameter.try_map(f)? })
    }
}

family!(OneHotCategorical);

impl<'t, F: Real> OneHotCategorical<Var<'t, F>> {
    /// The probabilities, with the categories along the last axis.
    pub fn probabilities(&self) -> Var<'t, F> {
        self.parameter.probabilities()
    }

    /// The logarithms of the probabilities, with the categories along the last axis.
    pub fn log_probabilities(&self) -> Var<'t, F> {
        self.parameter.logs()
    }

    /// The number of categories.
    pub fn categories(&self) -> usize {
        self.parameter.count()
    }

    fn vectors(&self, numbers: &Tensor<F>) -> Tensor<F> {
        let categories = self.categories();
        let shape: Shape = numbers.shape().iter().copied().chain([categories]).collect();
        let mut vectors = Tensor::zeros(shape);
        if categories > 0 {
            for (vector, number) in vectors.make_mut().chunks_mut(categories).zip(numbers.as_slice()) {
                vector[(number.to_f64() as usize).min(categories - 1)] = F::ONE;
            }
        }
        vectors
    }

    /// The vectors where noise is not recorded: the exact oracle splits it instead.
    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let table = self.parameter.table("OneHotCategorical", draw)?;
        Ok(self.vectors(&draw.categorical(&self.parameter.independent(), &table)?))
    }
}

impl<'t, F: Real> Distribution<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "OneHotCategorical"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![self.parameter.parameter()]
    }

    fn event_shape(&self) -> Shape {
        self.parameter.var().shape()
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::OneHot(self.categories())
    }

    /// With logits the formula is linear in the value, so that relaxed vectors have a cross-entropy. The −∞ of an
    /// impossible category is applied to the sum, since in a term it would turn 0 · ∞ of the other categories into NaN.
    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilitiesOrLogits::Logits(_) => released((value * self.parameter.finite_logs()).sum_axis(-1)),
            ProbabilitiesOrLogits::Probabilities(p) => (value * p).sum_axis(-1).map(Map::LnHeld),
        }
    }

    fn log_prob(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilitiesOrLogits::Logits(_) => released(value.dot(self.parameter.finite_logs())),
            ProbabilitiesOrLogits::Probabilities(_) => self.log_prob_each(value).sum(),
        }
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let tape = self.parameter.var().tape();
        if !draw.records_noise(tape) || self.categories() == 0 {
            return Ok(draw.record(tape, self.inverted(draw)?));
        }
        let noise = draw.record_noise(tape, Fill::Folded, &self.parameter.independent())?;
        Ok(self.probabilities().categories(noise).one_hot(self.categories()))
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.probabilities())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let p = self.probabilities();
        Some(p * (1.0 - p))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.parameter.logs().argmax(-1).one_hot(self.categories()))
    }

    fn validate(&self) -> DistributionResult<()> {
        self.parameter.validate("OneHotCategorical")
    }

    capabilities!();
}

impl<'t, F: Real> Tempered<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(OneHotCategorical::from_logits(self.parameter.logs() * (1.0 / temperature)))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for OneHotCategorical<Var<'t, F>> {}

impl<'t, F: Real> IndependentCategories<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn category_log_probs(&self) -> Var<'t, F> {
        self.parameter.finite_logs()
    }

    fn value_from_one_hot(&self, one_hot: Var<'t, F>) -> Var<'t, F> {
        one_hot
    }

    fn to_one_hot(&self, value: Var<'t, F>) -> Var<'t, F> {
        value
    }
}

impl<'t, F: Real> FiniteSupport<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        Ok(self.categories() as u128)
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        let elements = self.categories().saturating_mul(self.categories());
        self.tape()?.check_memory("the list of the states of a distribution", &[], elements)?;
        Ok(Tensor::eye(self.categories()))
    }

    fn probability_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilitiesOrLogits::Probabilities(p) => (value * p).sum_axis(-1),
            ProbabilitiesOrLogits::Logits(_) => self.log_prob_each(value).exp(),
        }
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let own = sample.stop_gradient() * 0.0;
        let one = |category: usize| Tensor::from_fn([self.categories()], |k| F::from_usize(usize::from(k == category)));
        let values = (0..self.categories()).map(|category| own + own.tape().constant(one(category))).collect();
        Ok(Some(Alternatives { values, weights: self.parameter.slopes() }))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let Alternatives { values, weights } = self.parameter.neighbours(side, sample.argmax(-1), draw)?;
        let values = values.into_iter().map(|category| category.one_hot(self.categories())).collect();
        Ok(Some(Alternatives { values, weights }))
    }
}

impl<'t, F: Real> RelaxedMean<'t, F> for OneHotCategorical<Var<'t, F>> {}

impl<'t, F: Real> Relaxed<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn location(&self) -> Var<'t, F> {
        self.parameter.finite_logs()
    }

    fn perturbed(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let logs = self.parameter.finite_logs();
        let gumbel = -draw.record_exponential(logs.tape(), &self.event_shape())?.ln();
        Ok(logs + gumbel)
    }

    fn conditional_perturbed(&self, hard: Var<'t, F>, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let logs = self.parameter.finite_logs();
        let noise = draw.record_exponential(logs.tape(), &self.event_shape())?.ln();
        // With E_k exponential, exp(−z_k) is exponential with rate π_k, and the smallest of them, E_b, exponential with
        // rate 1 and independent of b. The others exceed it by E_k / π_k: z_b = −ln E_b, z_k = −ln(E_b + E_k / π_k).
        // All of them share the winner's E_b.
        let winner = (hard * noise).sum_axis(-1).unsqueeze(-1);
        let others = winner + (noise - logs - winner).softplus();
        Ok(-hard.select(noise, others))
    }

    fn harden(&self, perturbed: Var<'t, F>) -> Var<'t, F> {
        perturbed.argmax(-1).one_hot(self.categories())
    }

    fn soften(&self, perturbed: Var<'t, F>, temperature: Var<'t, F>) -> Var<'t, F> {
        (perturbed / temperature).softmax(-1)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        self.parameter.entropy()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for OneHotCategorical<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        self.parameter.kl_to(&other.parameter)
    }
}

#[cfg(test)]
mod tests;
