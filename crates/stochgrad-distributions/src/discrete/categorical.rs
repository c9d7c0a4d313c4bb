//! The categorical distribution: one of C categories, as an integer. Use it where the category is an index;
//! [`OneHotCategorical`](crate::OneHotCategorical) gives it as a vector.
//!
//! $$P(X = k; \pi) = \pi_k, \quad k \in \{0, \dots, C - 1\}, \quad \pi = \operatorname{softmax}(\eta).$$
//!
//! Parameter: the logits $\eta$, any numbers or $-\infty$, or the probabilities $\pi$, with the categories along the
//! last axis. The axes before it are the event shape: independent categories. Support: $0, \dots, C - 1$.
//!
//! Elsewhere the log-probability is −∞.
//!
//! | capability | |
//! |---|---|
//! | score | $\ln \pi_x$, any order |
//! | finite support | $0, \dots, C - 1$ |
//! | weak derivative with respect to $\eta_k$ | every category $a$, with $\partial\pi_a/\partial\eta_k = \pi_a(1[a = k] - \pi_k)$ |
//! | weak derivative with respect to $\pi_k$ | every category $a$, with $1[a = k]$ |
//! | stochastic derivative | to the neighbouring category, at the rate at which mass crosses the boundary (Arya et al. 2022) |
//!
//! The order of the categories matters for the variance of the stochastic derivative, not for its mean.
//!
//! Probabilities must sum to 1: they are not normalised by the log-probability. A derivative with respect to a single
//! probability therefore leaves the simplex and depends on a convention. Methods agree on derivatives along directions
//! whose sum is 0, such as those of a softmax.

use crate::capabilities;
use crate::discrete::tails::{Tail, at_most_one, of_probability, tails};
use crate::distribution::{
    Alternatives, ClosedFormEntropy, CumulativeDistribution, Distribution, FiniteSupport, IndependentCategories,
    IntegerSupport, KlDivergence, Parameters, QuantileFunction, ScoreDifferentiable, Side, StochasticDerivative,
    Support, Tempered, WeakDerivative, log_unless_likely,
};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::categories::ProbabilitiesOrLogits;
use smallvec::smallvec;
use stochgrad_tape::Var;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Categories as integers `0, 1, …, C − 1`, given by logits or by probabilities. The last axis of the parameter holds
/// the categories; values do not have this axis.
///
/// ```
/// use stochgrad_distributions::{Categorical, Distribution};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let colour = Categorical::from_probabilities(tape.constant([0.5, 0.2, 0.3]));
/// assert!((colour.log_prob(tape.constant(2.0)).item()? - 0.3_f64.ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Categorical<V = stochgrad_tape::Id> {
    parameter: ProbabilitiesOrLogits<V>,
}

impl<V> Categorical<V> {
    /// Categories whose unnormalised log-probabilities are `logits`; −∞ forbids a category.
    pub fn from_logits(logits: V) -> Self {
        Categorical { parameter: ProbabilitiesOrLogits::Logits(logits) }
    }

    /// Categories with the given probabilities, which sum to 1 along the last axis.
    pub fn from_probabilities(probabilities: V) -> Self {
        Categorical { parameter: ProbabilitiesOrLogits::Probabilities(probabilities) }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<Categorical<W>, E> {
        Ok(Categorical { parameter: self.parameter.try_map(f)? })
    }
}

family!(Categorical);

impl<'t, F: Real> Categorical<Var<'t, F>> {
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

    fn numbers(&self) -> Var<'t, F> {
        self.parameter.var().tape().constant(Tensor::from_fn([self.categories()], F::from_usize))
    }
}

impl<'t, F: Real> Categorical<Var<'t, F>> {
    /// The entries of a table at the categories of `value`.
    fn pick(&self, table: Var<'t, F>, value: Var<'t, F>) -> Var<'t, F> {
        pick(table, self.event_shape(), value)
    }

    /// The categories where noise is not recorded: the exact oracle splits it instead.
    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        draw.categorical(&self.event_shape(), &self.parameter.table("Categorical", draw)?)
    }
}

/// The entries of a table at the categories of `value`. The table has the event axes `own`, then the categories.
pub(crate) fn pick<'t, F: Real>(table: Var<'t, F>, own: Shape, value: Var<'t, F>) -> Var<'t, F> {
    let each = Shape::broadcast(&value.shape(), &own).unwrap_or_else(|| own.clone());
    // An index along the last axis has the same rank as the table.
    let value = if value.shape().len() < each.len() { value.broadcast_to(each.clone()) } else { value };
    let full: Shape = each.iter().copied().chain(table.shape().last().copied()).collect();
    let table = if each == own { table } else { table.broadcast_to(full) };
    table.gather(-1, value.unsqueeze(-1)).sum_axis(-1)
}

impl<'t, F: Real> Distribution<'t, F> for Categorical<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Categorical"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![self.parameter.parameter()]
    }

    fn event_shape(&self) -> Shape {
        self.parameter.independent()
    }

    fn support(&self) -> Support {
        Support::Categories(self.categories())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        // −∞ at what is not a category; NaN stays NaN.
        let count = value.zip(Zip::MulCount, value.tape().constant(1.0));
        let category = count.map(Map::Within(0.0, self.categories() as f64 - 1.0));
        let place = category.select(value, value.tape().constant(0.0));
        let log = match self.parameter {
            ProbabilitiesOrLogits::Logits(l) => self.pick(l.log_softmax(-1), place),
            // The logarithm comes last, so that it is not taken of the probabilities of other categories, which may be
            // 0.
            ProbabilitiesOrLogits::Probabilities(p) => self.pick(p, place).ln(),
        };
        category.select(log, value.map(Map::MinScalar(f64::NEG_INFINITY)))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let tape = self.parameter.var().tape();
        if !draw.records_noise(tape) || self.categories() == 0 {
            return Ok(draw.record(tape, self.inverted(draw)?));
        }
        Ok(self.probabilities().categories(draw.record_noise(tape, Fill::Folded, &self.event_shape())?))
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some((self.probabilities() * self.numbers()).sum_axis(-1))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let (p, x) = (self.probabilities(), self.numbers());
        let mean = (p * x).sum_axis(-1).unsqueeze(-1);
        Some((p * (x - mean).square()).sum_axis(-1))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.parameter.logs().argmax(-1))
    }

    fn validate(&self) -> DistributionResult<()> {
        self.parameter.validate("Categorical")
    }

    capabilities!();
}

impl<'t, F: Real> Categorical<Var<'t, F>> {
    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        let tape = value.tape();
        let (zero, last) = (tape.constant(0.0), tape.constant(self.categories() as f64 - 1.0));
        tail.of(value, [value.lt(zero) * value.lt(last), value.ge(last)], zero, |category| {
            let at = category.unsqueeze(-1);
            let (lower, upper) = (self.numbers().le(at), self.numbers().gt(at));
            let probability = |chosen: Var<'t, F>| at_most_one(chosen.select(self.probabilities(), zero).sum_axis(-1));
            let log = |chosen: Var<'t, F>, others: Var<'t, F>| {
                let of = |logs: Var<'t, F>| chosen.select(logs, tape.constant(f64::NEG_INFINITY)).logsumexp(-1);
                match self.parameter {
                    // The derivatives are those with respect to the probabilities of the sum.
                    ProbabilitiesOrLogits::Probabilities(p) => {
                        let log = of(p.map(Map::LnHeld));
                        log - log.held().relu()
                    }
                    ProbabilitiesOrLogits::Logits(l) => log_unless_likely(of(l.log_softmax(-1)), probability(others)),
                }
            };
            match tail {
                Tail::Lower => at_most_one(self.pick(self.probabilities().cumsum(-1), category)),
                Tail::Upper => probability(upper),
                Tail::LogLower => log(lower, upper),
                Tail::LogUpper => log(upper, lower),
            }
        })
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Categorical<Var<'t, F>> {
    tails!();
}

impl<'t, F: Real> IntegerSupport<'t, F> for Categorical<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value.lt(value.tape().constant(self.categories() as f64 - 1.0))
    }

    fn successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        let p = self.probabilities().stop_gradient();
        let counted = p.gt(p * 0.0).cumsum(-1);
        // The position of the next possible category is the number of categories that have no more possible ones up to
        // them.
        let next = (1.0 - counted.gt(self.pick(counted, value).unsqueeze(-1))).sum_axis(-1);
        let exists = next.lt(next.tape().constant(self.categories() as f64));
        exists.select(next, value)
    }
}

impl<'t, F: Real> Tempered<'t, F> for Categorical<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(Categorical::from_logits(self.parameter.logs() * (1.0 / temperature)))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Categorical<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        // The number of categories whose sum is smaller, up to the rounding of the sums.
        let short = (self.probabilities().cumsum(-1) * (1.0 + 8.0 * F::EPSILON.to_f64())).lt(probability.unsqueeze(-1));
        let position = short.sum_axis(-1).map(Map::MinScalar(self.categories() as f64 - 1.0));
        of_probability(probability, position)
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        // The number of categories beyond which there is more, up to the rounding of the sums.
        let last = self.categories().saturating_sub(1);
        let reverse: Vec<usize> = (0..=last).rev().take(last).collect();
        let beyond = self.probabilities().index_select(-1, &reverse).cumsum(-1);
        let more = beyond.gt(probability.unsqueeze(-1) * (1.0 + 8.0 * F::EPSILON.to_f64())).sum_axis(-1);
        of_probability(probability, more)
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Categorical<Var<'t, F>> {}

impl<'t, F: Real> IndependentCategories<'t, F> for Categorical<Var<'t, F>> {
    fn category_log_probs(&self) -> Var<'t, F> {
        self.parameter.finite_logs()
    }

    fn value_from_one_hot(&self, one_hot: Var<'t, F>) -> Var<'t, F> {
        (one_hot * self.numbers()).sum_axis(-1)
    }

    fn to_one_hot(&self, value: Var<'t, F>) -> Var<'t, F> {
        value.one_hot(self.categories())
    }
}

impl<'t, F: Real> FiniteSupport<'t, F> for Categorical<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        Ok(self.categories() as u128)
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        Ok(Tensor::from_fn([self.categories()], F::from_usize))
    }

    fn probability_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilitiesOrLogits::Probabilities(p) => self.pick(p, value),
            ProbabilitiesOrLogits::Logits(_) => self.log_prob_each(value).exp(),
        }
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Categorical<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let weights = self.parameter.slopes();
        let categories = 0..self.categories();
        let values = categories.map(|category| sample.stop_gradient() * 0.0 + category as f64).collect();
        Ok(Some(Alternatives { values, weights }))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for Categorical<Var<'t, F>> {
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
        self.parameter.neighbours(side, sample.stop_gradient(), draw).map(Some)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Categorical<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        self.parameter.entropy()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Categorical<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        self.parameter.kl_to(&other.parameter)
    }
}

#[cfg(test)]
mod tests;
