//! Mixtures of two distributions of different families, such as a model of data with a model of outliers, or a count
//! with an excess of zeros.
//!
//! $$p(x) = w\, p_1(x) + (1 - w)\, p_2(x).$$
//!
//! | capability | |
//! |---|---|
//! | score | any order, if both distributions have it |
//! | reparameterised | for numbers, if both distributions have a path and a distribution function: implicit, order 1, also with respect to the weight |
//! | weak derivative with respect to the weight | constant 1, the samples of the two distributions |
//! | weak derivative with respect to a parameter of a distribution | that of the distribution from which the sample comes: one of the two is drawn given the sample |
//! | distribution function, survival function and their logarithms | $w F_1 + (1 - w) F_2$; the inverses by Newton's method between the quantiles of the two, and at probabilities 0 and 1 the ends of the support |
//!
//! The weight may be 0 or 1: the score with respect to it is $(p_1(x) - p_2(x)) / p(x)$, limited to the range of
//! numbers.

use crate::compound::log_average::log_average;
use crate::compound::wrapper::{delegate, lacks};
use crate::derivative::base_values::{base_of, remember};
use crate::derivative::implicit::implicit_path;
use crate::discrete::Bernoulli;
use crate::distribution::{Family, Live, TensorDistribution, ToTensors, held_where_negligible};
use crate::parameter::probability::ProbabilityOrLogit;
use crate::prelude::*;
use crate::sampled_by_rand;
use stochgrad_tape::{Id, IdMap, Tape};
use stochgrad_tensor::zip::Zip;

/// A mixture of two distributions with the same event shape. Nest mixtures for more than two.
///
/// Use it for data with outliers or counts with an excess of zeros. [`MixtureSameFamily`](crate::MixtureSameFamily)
/// serves for many components of one family.
///
/// ```
/// use stochgrad_distributions::{Distribution, Laplace, Mixture, Normal};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let location = tape.parameter(1.0);
/// let (data, outliers) = (Normal::new(location, 1.0), Laplace::new(location, 5.0));
/// let robust = Mixture::from_probability(tape.constant(0.9), data, outliers)?;
/// assert_eq!(robust.mean().unwrap().item()?, 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Mixture<V, A, B> {
    inner: Blend<V, A, B>,
}

/// [`Mixture`] without conditions on the distributions inside.
#[derive(Clone, Copy, Debug)]
struct Blend<V, A, B> {
    weight: ProbabilityOrLogit<V>,
    first: A,
    second: B,
}

impl<'t, F: Real, A: Distribution<'t, F>, B: Distribution<'t, F>> Mixture<Var<'t, F>, A, B> {
    /// A mixture of the first distribution, with this probability in [0, 1], and the second.
    ///
    /// # Errors
    /// If the distributions have different event shapes or element ranks, or if the weight does not broadcast to their
    /// independent axes.
    pub fn from_probability(probability: Var<'t, F>, first: A, second: B) -> DistributionResult<Self> {
        Self::new(ProbabilityOrLogit::Probability(probability), first, second)
    }

    /// A mixture of the first distribution, with these log-odds, and the second.
    ///
    /// # Errors
    /// If the distributions have different event shapes or element ranks, or if the weight does not broadcast to their
    /// independent axes.
    pub fn from_logit(logit: Var<'t, F>, first: A, second: B) -> DistributionResult<Self> {
        Self::new(ProbabilityOrLogit::Logit(logit), first, second)
    }

    fn new(weight: ProbabilityOrLogit<Var<'t, F>>, first: A, second: B) -> DistributionResult<Self> {
        let form = |distribution: &dyn Distribution<'t, F>| (distribution.event_shape(), distribution.element_rank());
        if form(&first) != form(&second) {
            let problem = format!(
                "expected two distributions of one event shape and element rank, got {:?} of {} and {:?} of {}",
                form(&first),
                first.name(),
                form(&second),
                second.name()
            );
            return Err(crate::DistributionError::Unsupported { distribution: "Mixture", problem });
        }
        let (event, rank) = form(&first);
        let independent: Shape = event[..event.len() - rank].into();
        let rows = weight.var().shape();
        if Shape::broadcast(&rows, &independent).is_none_or(|shape| shape != independent) {
            let problem = format!(
                "expected a weight whose event shape broadcasts to {independent}, the independent axes of {}, got \
                 {rows}",
                first.name()
            );
            return Err(crate::DistributionError::Unsupported { distribution: "Mixture", problem });
        }
        Ok(Mixture { inner: Blend { weight, first, second } })
    }

    /// The first distribution.
    pub fn first(&self) -> &A {
        &self.inner.first
    }

    /// The second distribution.
    pub fn second(&self) -> &B {
        &self.inner.second
    }
}

impl<F: Real, A: Family<F>, B: Family<F>> Family<F> for Mixture<Id, A, B> {
    type On<'t> = Mixture<Var<'t, F>, A::On<'t>, B::On<'t>>;

    fn store(live: &Self::On<'_>) -> Self {
        let weight = match live.inner.weight.try_map(|var| Ok::<_, std::convert::Infallible>(var.id())) {
            Ok(weight) => weight,
            Err(never) => match never {},
        };
        let (first, second) = (A::store(&live.inner.first), B::store(&live.inner.second));
        Mixture { inner: Blend { weight, first, second } }
    }

    fn bind<'t>(&self, tape: &'t Tape<F>, ids: &IdMap) -> DistributionResult<Self::On<'t>> {
        let weight = self.inner.weight.try_map(|&id| tape.var(ids.get(id)))?;
        let (first, second) = (self.inner.first.bind(tape, ids)?, self.inner.second.bind(tape, ids)?);
        Ok(Mixture { inner: Blend { weight, first, second } })
    }
}

impl<'t, F: Real, A: Live<'t, F>, B: Live<'t, F>> Live<'t, F> for Mixture<Var<'t, F>, A, B> {
    type Family = Mixture<Id, A::Family, B::Family>;
}

impl<F: Real, A: TensorDistribution<F>, B: TensorDistribution<F>> TensorDistribution<F> for Mixture<Tensor<F>, A, B> {
    type On<'t> = Mixture<Var<'t, F>, A::On<'t>, B::On<'t>>;

    fn on<'t>(&self, tape: &'t Tape<F>) -> Self::On<'t> {
        let weight = match self.inner.weight.try_map(|value| Ok::<_, std::convert::Infallible>(tape.constant(value))) {
            Ok(weight) => weight,
            Err(never) => match never {},
        };
        Mixture { inner: Blend { weight, first: self.inner.first.on(tape), second: self.inner.second.on(tape) } }
    }
}

impl<'t, F: Real, A: ToTensors<'t, F>, B: ToTensors<'t, F>> ToTensors<'t, F> for Mixture<Var<'t, F>, A, B> {
    type Tensors = Mixture<Tensor<F>, A::Tensors, B::Tensors>;

    fn to_tensors(&self) -> DistributionResult<Self::Tensors> {
        let weight = self.inner.weight.try_map(|var| var.peek())?;
        let (first, second) = (self.inner.first.to_tensors()?, self.inner.second.to_tensors()?);
        Ok(Mixture { inner: Blend { weight, first, second } })
    }
}

sampled_by_rand!([A: TensorDistribution<F>, B: TensorDistribution<F>] Mixture<Tensor<F>, A, B>);

impl<'t, F: Real, A: Distribution<'t, F>, B: Distribution<'t, F>> Blend<Var<'t, F>, A, B> {
    /// The weighted sum of a value of each distribution.
    fn average(&self, first: Var<'t, F>, second: Var<'t, F>) -> Var<'t, F> {
        let [of_first, of_second] = self.wide_weights();
        of_first * first + of_second * second
    }

    /// The weighted sum of a moment of each distribution. A moment of weight 0 counts as 0, also where it or its
    /// derivatives are infinite.
    fn average_moment(&self, first: Var<'t, F>, second: Var<'t, F>) -> Var<'t, F> {
        let [of_first, of_second] = self.wide_weights().map(Var::held);
        let part = |weight: Var<'t, F>, held: Var<'t, F>, moment: Var<'t, F>| {
            held.select(moment, moment.held()).zip(Zip::Weigh, weight)
        };
        let [weight, other] = self.wide_weights();
        part(weight, of_first, first) + part(other, of_second, second)
    }

    /// The weights, with the axes of an element.
    fn wide_weights(&self) -> [Var<'t, F>; 2] {
        let wide = |weight: Var<'t, F>| (0..self.element_rank()).fold(weight, |weight, _| weight.unsqueeze(-1));
        [wide(self.weight.probability()), wide(self.weight.complement())]
    }

    /// The weighted sum of a probability of each distribution. The weights are divided by their sum, which may have
    /// rounded, so that the result is at most 1, and 1 where both probabilities are.
    fn average_probability(&self, first: Var<'t, F>, second: Var<'t, F>) -> Var<'t, F> {
        self.average(first, second) / (self.weight.probability() + self.weight.complement()).held()
    }

    /// The logarithm of the weighted sum of a probability or density of each distribution, given the logarithms.
    fn log_average(&self, first: Var<'t, F>, second: Var<'t, F>) -> Var<'t, F> {
        let weights = match self.weight {
            ProbabilityOrLogit::Probability(p) => [p.held().ln(), (1.0 - p.held()).ln()],
            ProbabilityOrLogit::Logit(l) => [l.log_sigmoid(), (-l).log_sigmoid()],
        };
        let terms = [weights[0].held() + first.held(), weights[1].held() + second.held()];
        let largest = terms[0].maximum(terms[1]);
        let first = held_where_negligible(first, terms[0], largest);
        let second = held_where_negligible(second, terms[1], largest);
        match self.weight {
            ProbabilityOrLogit::Probability(p) => log_average(side_by_side(p, 1.0 - p), side_by_side(first, second)),
            ProbabilityOrLogit::Logit(_) => side_by_side(weights[0] + first, weights[1] + second).logsumexp(-1),
        }
    }

    fn independent(&self) -> Shape {
        let event = self.event_shape();
        event.iter().take(event.len() - self.element_rank()).copied().collect()
    }

    /// A value of each distribution.
    fn pieces(&self, draw: &Draw<'_, F>) -> DistributionResult<[Var<'t, F>; 2]> {
        Ok([self.first.sample(&draw.purpose("first"))?, self.second.sample(&draw.purpose("second"))?])
    }
}

impl<'t, F: Real, A: Distribution<'t, F>, B: Distribution<'t, F>> Distribution<'t, F> for Blend<Var<'t, F>, A, B> {
    fn name(&self) -> &'static str {
        "Mixture"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let all = [self.weight.parameter()].into_iter().chain(self.first.parameters()).chain(self.second.parameters());
        // The path is implicit, so that only its first derivative is right.
        all.map(|parameter| {
            let path = parameter.path.implicit(Order::Finite(1));
            parameter.with_path(path)
        })
        .collect()
    }

    fn event_shape(&self) -> Shape {
        self.first.event_shape()
    }

    fn element_rank(&self) -> usize {
        self.first.element_rank()
    }

    fn support(&self) -> Support {
        if self.first.support() == self.second.support() { self.first.support() } else { Support::Values }
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.log_average(self.first.log_prob_each(value), self.second.log_prob_each(value))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let [first, second] = self.pieces(draw)?;
        let weight = self.weight.probability().broadcast_to(self.independent());
        let chosen = Bernoulli::from_probabilities(weight).sample(&draw.purpose("component"))?;
        let wide = (0..self.element_rank()).fold(chosen, |chosen, _| chosen.unsqueeze(-1));
        let sample = wide.select(first, second);
        let sample = match (base_of(first), base_of(second)) {
            (Some(a), Some(b)) if a.shape() == b.shape() && a.shape().len() >= chosen.shape().len() => {
                let wide = (chosen.shape().len()..a.shape().len()).fold(chosen, |chosen, _| chosen.unsqueeze(-1));
                remember(sample, wide.select(a, b))
            }
            // The base value of the other distribution has another image than the sample, and is not used there.
            (Some(base), _) | (None, Some(base)) => remember(sample, base),
            (None, None) => sample,
        };
        Ok(sample.stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.average_moment(self.first.mean()?, self.second.mean()?))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let mean = self.mean()?;
        let spread = |distribution: &dyn Distribution<'t, F>| {
            Some(distribution.variance()? + (distribution.mean()? - mean).square())
        };
        Some(self.average_moment(spread(&self.first)?, spread(&self.second)?))
    }

    fn validate(&self) -> DistributionResult<()> {
        self.weight.validate("Mixture")?;
        self.first.validate()?;
        self.second.validate()
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        let (a, b) = (self.first.capabilities(), self.second.capabilities());
        let cdf = a.cdf.is_some() && b.cdf.is_some();
        let paths = a.reparameterized.is_some() && b.reparameterized.is_some();
        Capabilities {
            score: a.score.and(b.score).map(|_| self as _),
            reparameterized: if cdf && paths { Some(self) } else { None },
            weak_derivative: Some(self),
            cdf: if cdf { Some(self) } else { None },
            icdf: if cdf && paths && a.icdf.is_some() && b.icdf.is_some() { Some(self) } else { None },
            ..Capabilities::default()
        }
    }
}

impl<'t, F: Real, A: Distribution<'t, F>, B: Distribution<'t, F>> ScoreDifferentiable<'t, F>
    for Blend<Var<'t, F>, A, B>
{
}

impl<'t, F: Real, A: Distribution<'t, F>, B: Distribution<'t, F>> Reparameterized<'t, F> for Blend<Var<'t, F>, A, B> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        if self.capabilities().reparameterized.is_none() {
            return Err(lacks("Mixture", "a path and a distribution function", "both distributions"));
        }
        Ok(implicit_path(self, self.sample(draw)?))
    }
}

impl<'t, F: Real, A: Distribution<'t, F>, B: Distribution<'t, F>> WeakDerivative<'t, F> for Blend<Var<'t, F>, A, B> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let of_first = self.first.parameters().len();
        if parameter == 0 {
            let slope = self.weight.slope();
            let values = vec![self.first.sample(&draw.purpose("first"))?, self.second.sample(&draw.purpose("second"))?];
            Ok(Some(Alternatives { values, weights: vec![slope, -slope] }))
        } else if parameter <= of_first {
            self.component_derivative(&self.first, true, parameter - 1, sample, draw)
        } else {
            self.component_derivative(&self.second, false, parameter - 1 - of_first, sample, draw)
        }
    }
}

impl<'t, F: Real, A: Distribution<'t, F>, B: Distribution<'t, F>> Blend<Var<'t, F>, A, B> {
    /// The weak derivative with respect to a parameter of one of the distributions: that of the distribution, where it
    /// is the one that is drawn given the sample.
    fn component_derivative(
        &self,
        distribution: &dyn Distribution<'t, F>,
        is_first: bool,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let Some(weak) = distribution.capabilities().weak_derivative else { return Ok(None) };
        let Some(Alternatives { values, weights }) = weak.weak_derivative(parameter, sample, draw)? else {
            return Ok(None);
        };
        let log_odds = self.weight.logit() + self.first.log_prob_each(sample) - self.second.log_prob_each(sample);
        let log_odds = log_odds.stop_gradient().broadcast_to(self.independent());
        let first = Bernoulli::from_logits(log_odds).sample(&draw.purpose("component given the sample"))?;
        let here = if is_first { first } else { 1.0 - first };
        let of_distribution = |weights: Var<'t, F>| {
            let coordinates = weights.shape().len().saturating_sub(here.shape().len());
            let here = (0..coordinates).fold(here, |here, _| here.unsqueeze(-1));
            here.select(weights, here)
        };
        Ok(Some(Alternatives { values, weights: weights.into_iter().map(of_distribution).collect() }))
    }
}

/// Two values along a new last axis.
pub(crate) fn side_by_side<'t, F: Real>(a: Var<'t, F>, b: Var<'t, F>) -> Var<'t, F> {
    let shape = Shape::broadcast(&a.shape(), &b.shape()).unwrap_or_default();
    let wide = |x: Var<'t, F>| x.broadcast_to(shape.clone()).unsqueeze(-1);
    // The tape holds the error.
    Var::concat(&[wide(a), wide(b)], -1).unwrap_or(a + b)
}

delegate!([A: Distribution<'t, F>, B: Distribution<'t, F>] Mixture<Var<'t, F>, A, B>);

impl<'t, F: Real, A: ScoreDifferentiable<'t, F>, B: ScoreDifferentiable<'t, F>> ScoreDifferentiable<'t, F>
    for Mixture<Var<'t, F>, A, B>
{
}

impl<'t, F: Real, A: Distribution<'t, F>, B: Distribution<'t, F>> WeakDerivative<'t, F> for Mixture<Var<'t, F>, A, B> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        self.inner.weak_derivative(parameter, sample, draw)
    }
}

impl<'t, F: Real, A: CumulativeDistribution<'t, F>, B: CumulativeDistribution<'t, F>> CumulativeDistribution<'t, F>
    for Mixture<Var<'t, F>, A, B>
{
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.inner.cdf(value)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.inner.survival(value)
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.inner.log_cdf(value)
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.inner.log_survival(value)
    }
}

impl<'t, F: Real, A, B> QuantileFunction<'t, F> for Mixture<Var<'t, F>, A, B>
where
    A: QuantileFunction<'t, F> + Reparameterized<'t, F>,
    B: QuantileFunction<'t, F> + Reparameterized<'t, F>,
{
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.inner.icdf(probability)
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.inner.inverse_survival(probability)
    }
}

impl<'t, F: Real, A, B> Reparameterized<'t, F> for Mixture<Var<'t, F>, A, B>
where
    A: CumulativeDistribution<'t, F> + Reparameterized<'t, F>,
    B: CumulativeDistribution<'t, F> + Reparameterized<'t, F>,
{
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.inner.rsample(draw)
    }
}

mod tails;
#[cfg(test)]
mod tests;
