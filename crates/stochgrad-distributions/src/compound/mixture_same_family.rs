//! Mixtures of distributions of one family, such as Gaussian mixtures for clusters and densities with several modes.
//!
//! $$p(x) = \sum_k w_k\, p_k(x).$$
//!
//! | capability | |
//! |---|---|
//! | score | any order, if the components have it |
//! | reparameterised | if the components have a path and a distribution function: implicit (Figurnov et al. 2018), order 1, also with respect to the weights; for vectors, coordinate by coordinate given those before it, if these functions are known: `Independent` of numbers and `MultivariateNormal` |
//! | weak derivative with respect to the weights | that of the category: the sample of every component, with the derivatives of the weights |
//! | weak derivative with respect to a parameter of the components | that of the component that is drawn given the sample |
//! | distribution function, survival function and their logarithms | $\sum_k w_k F_k$; the inverses by Newton's method between the quantiles of the components, and at probabilities 0 and 1 the ends of the support |
//!
//! A weight may be 0: the score with respect to it is $p_k(x) / p(x)$, limited to the range of numbers.

use crate::compound::log_average::log_average;
use crate::compound::wrapper::{delegate, lacks};
use crate::derivative::base_values::{base_of, remember};
use crate::derivative::implicit::{implicit_path, implicit_step};
use crate::distribution::{Family, Live, TensorDistribution, ToTensors, held_where_negligible};
use crate::parameter::categories::ProbabilitiesOrLogits;
use crate::prelude::*;
use crate::sampled_by_rand;
use stochgrad_tape::{Id, IdMap, Tape};
use stochgrad_tensor::zip::Zip;

/// A mixture whose components are the elements along the last independent axis of one distribution.
///
/// The weights have the components along their last axis. The event shape is that of the components without this axis.
///
/// ```
/// use stochgrad_distributions::{Distribution, MixtureSameFamily, Normal};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let components = Normal::new(tape.parameter([-1.0, 2.0]), 0.5);
/// let mixture = MixtureSameFamily::from_probabilities(tape.constant([0.25, 0.75]), components)?;
/// assert_eq!(mixture.mean().unwrap().item()?, 1.25);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MixtureSameFamily<V, D> {
    inner: Blend<V, D>,
}

/// [`MixtureSameFamily`] without conditions on the components.
#[derive(Clone, Copy, Debug)]
struct Blend<V, D> {
    weights: ProbabilitiesOrLogits<V>,
    components: D,
}

impl<'t, F: Real, D: Distribution<'t, F>> MixtureSameFamily<Var<'t, F>, D> {
    /// A mixture whose weights have these logits along their last axis.
    ///
    /// # Errors
    /// If the last independent axis of the components does not have as many elements as there are weights, or if the
    /// weights do not broadcast to the independent axes.
    pub fn from_logits(logits: Var<'t, F>, components: D) -> DistributionResult<Self> {
        Self::new(ProbabilitiesOrLogits::Logits(logits), components)
    }

    /// A mixture with these weights along their last axis.
    ///
    /// # Errors
    /// If the last independent axis of the components does not have as many elements as there are weights, or if the
    /// weights do not broadcast to the independent axes.
    pub fn from_probabilities(probabilities: Var<'t, F>, components: D) -> DistributionResult<Self> {
        Self::new(ProbabilitiesOrLogits::Probabilities(probabilities), components)
    }

    fn new(weights: ProbabilitiesOrLogits<Var<'t, F>>, components: D) -> DistributionResult<Self> {
        let event = components.event_shape();
        let axis = event.len().checked_sub(components.element_rank() + 1);
        let found = axis.map_or(0, |axis| event[axis]);
        if found != weights.count() || found == 0 {
            let problem = format!(
                "expected {} components along the last independent axis, as there are weights, got event shape {event} \
                 of {}",
                weights.count(),
                components.name()
            );
            return Err(crate::DistributionError::Unsupported { distribution: "MixtureSameFamily", problem });
        }
        let (independent, rows) = (&event[..event.len() - components.element_rank()], weights.var().shape());
        // Each row of weights chooses a component of one element: the rows broadcast to the elements.
        if Shape::broadcast(&rows, &independent.into()).is_none_or(|shape| *shape != *independent) {
            let problem = format!(
                "expected weights whose event shape broadcasts to {:?}, the independent axes of {}, got {rows}",
                independent,
                components.name()
            );
            return Err(crate::DistributionError::Unsupported { distribution: "MixtureSameFamily", problem });
        }
        Ok(MixtureSameFamily { inner: Blend { weights, components } })
    }

    /// The components.
    pub fn components(&self) -> &D {
        &self.inner.components
    }

    /// The weights.
    pub fn probabilities(&self) -> Var<'t, F> {
        self.inner.weights.probabilities()
    }
}

impl<F: Real, S: Family<F>> Family<F> for MixtureSameFamily<Id, S> {
    type On<'t> = MixtureSameFamily<Var<'t, F>, S::On<'t>>;

    fn store(live: &Self::On<'_>) -> Self {
        let weights = match live.inner.weights.try_map(|var| Ok::<_, std::convert::Infallible>(var.id())) {
            Ok(weights) => weights,
            Err(never) => match never {},
        };
        MixtureSameFamily { inner: Blend { weights, components: S::store(&live.inner.components) } }
    }

    fn bind<'t>(&self, tape: &'t Tape<F>, ids: &IdMap) -> DistributionResult<Self::On<'t>> {
        let weights = self.inner.weights.try_map(|&id| tape.var(ids.get(id)))?;
        Ok(MixtureSameFamily { inner: Blend { weights, components: self.inner.components.bind(tape, ids)? } })
    }
}

impl<'t, F: Real, D: Live<'t, F>> Live<'t, F> for MixtureSameFamily<Var<'t, F>, D> {
    type Family = MixtureSameFamily<Id, D::Family>;
}

impl<F: Real, D: TensorDistribution<F>> TensorDistribution<F> for MixtureSameFamily<Tensor<F>, D> {
    type On<'t> = MixtureSameFamily<Var<'t, F>, D::On<'t>>;

    fn on<'t>(&self, tape: &'t Tape<F>) -> Self::On<'t> {
        let weights = self.inner.weights.try_map(|value| Ok::<_, std::convert::Infallible>(tape.constant(value)));
        let weights = match weights {
            Ok(weights) => weights,
            Err(never) => match never {},
        };
        MixtureSameFamily { inner: Blend { weights, components: self.inner.components.on(tape) } }
    }
}

impl<'t, F: Real, D: ToTensors<'t, F>> ToTensors<'t, F> for MixtureSameFamily<Var<'t, F>, D> {
    type Tensors = MixtureSameFamily<Tensor<F>, D::Tensors>;

    fn to_tensors(&self) -> DistributionResult<Self::Tensors> {
        let weights = self.inner.weights.try_map(|var| var.peek())?;
        Ok(MixtureSameFamily { inner: Blend { weights, components: self.inner.components.to_tensors()? } })
    }
}

sampled_by_rand!([D: TensorDistribution<F>] MixtureSameFamily<Tensor<F>, D>);

impl<'t, F: Real, D: Distribution<'t, F>> Blend<Var<'t, F>, D> {
    fn rank(&self) -> usize {
        self.components.element_rank()
    }

    /// A value with an axis for the components, of size 1. It remembers what the value was computed from.
    fn wide(&self, value: Var<'t, F>) -> Var<'t, F> {
        let wide = value.unsqueeze(-1 - self.rank() as isize);
        match base_of(value) {
            // The axes of the elements of the base may be others; the independent axes are the same.
            Some(base) => {
                let axis = self.independent().len();
                let fits = base.shape().len() >= axis && base.shape()[..axis] == *self.independent();
                if fits { remember(wide, base.unsqueeze(axis as isize)) } else { wide }
            }
            None => wide,
        }
    }

    /// The weighted sum of values of the components.
    fn average(&self, of_each: Var<'t, F>) -> Var<'t, F> {
        (self.wide_weights() * of_each).sum_axis(-1 - self.rank() as isize)
    }

    /// The weighted sum of moments of the components. A moment of weight 0 counts as 0, also where it or its
    /// derivatives are infinite.
    fn average_moment(&self, of_each: Var<'t, F>) -> Var<'t, F> {
        let weights = self.wide_weights();
        let counted = weights.held().select(of_each, of_each.held());
        counted.zip(Zip::Weigh, weights).sum_axis(-1 - self.rank() as isize)
    }

    /// The weights, with the axes of an element of a component.
    fn wide_weights(&self) -> Var<'t, F> {
        (0..self.rank()).fold(self.weights.probabilities(), |weights, _| weights.unsqueeze(-1))
    }

    /// The weighted sum of probabilities of the components. The weights are divided by their sum, which may have
    /// rounded, so that the result is at most 1, and 1 where all probabilities are.
    fn average_probability(&self, of_each: Var<'t, F>) -> Var<'t, F> {
        self.average(of_each) / self.weights.probabilities().held().sum_axis(-1)
    }

    /// The logarithm of the weighted sum of probabilities or densities of the components, given their logarithms.
    fn log_average(&self, of_each: Var<'t, F>) -> Var<'t, F> {
        let logs = match self.weights {
            ProbabilitiesOrLogits::Probabilities(weights) => weights.held().ln(),
            ProbabilitiesOrLogits::Logits(_) => self.weights.logs(),
        };
        let terms = logs.held() + of_each.held();
        let of_each = held_where_negligible(of_each, terms, terms.max_axis(-1).unsqueeze(-1));
        match self.weights {
            ProbabilitiesOrLogits::Probabilities(weights) => log_average(weights, of_each),
            ProbabilitiesOrLogits::Logits(_) => (logs + of_each).logsumexp(-1),
        }
    }

    /// A value of each component.
    fn pieces(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.components.sample(&draw.purpose("components"))
    }

    fn independent(&self) -> Shape {
        let event = self.event_shape();
        event.iter().take(event.len() - self.rank()).copied().collect()
    }

    /// The sample, which remembers the base value of the chosen component.
    fn with_base_of(&self, chosen: Var<'t, F>, base: Var<'t, F>, sample: Var<'t, F>) -> Var<'t, F> {
        let (event, axis) = (base.shape(), self.independent().len());
        if event.len() <= axis || event[..axis] != *self.independent() || event[axis] != self.weights.count() {
            return sample;
        }
        let wide = (axis..event.len()).fold(chosen, |chosen, _| chosen.unsqueeze(-1));
        let picked = base.gather(axis as isize, wide.broadcast_to(event.with_size(axis, 1)));
        let without: Shape = event.iter().enumerate().filter(|(at, _)| *at != axis).map(|(_, &size)| size).collect();
        remember(sample, picked.reshape(without))
    }

    /// The independent axes, and one of the components.
    fn table_shape(&self) -> Shape {
        self.independent().iter().copied().chain([self.weights.count()]).collect()
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Distribution<'t, F> for Blend<Var<'t, F>, D> {
    fn name(&self) -> &'static str {
        "MixtureSameFamily"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let weights = self.weights.parameter();
        let of_components = self.components.parameters().into_iter();
        // The path is implicit, so that only its first derivative is right.
        [weights]
            .into_iter()
            .chain(of_components)
            .map(|parameter| {
                let path = parameter.path.implicit(Order::Finite(1));
                parameter.with_path(path)
            })
            .collect()
    }

    fn event_shape(&self) -> Shape {
        let event = self.components.event_shape();
        let axis = event.len().saturating_sub(1 + self.rank());
        event.iter().enumerate().filter(|(at, _)| *at != axis).map(|(_, &size)| size).collect()
    }

    fn element_rank(&self) -> usize {
        self.rank()
    }

    fn support(&self) -> Support {
        self.components.support()
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.log_average(self.components.log_prob_each(self.wide(value)))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (all, weights) = (self.pieces(draw)?, self.weights.probabilities());
        let chosen = draw.purpose("component").record_categorical(all.tape(), &self.independent(), weights)?;
        let wide = (0..=self.rank()).fold(chosen, |chosen, _| chosen.unsqueeze(-1));
        let event = self.components.event_shape();
        let one = event.with_size(event.rank() - 1 - self.rank(), 1);
        let picked = all.gather(-1 - self.rank() as isize, wide.broadcast_to(one)).reshape(self.event_shape());
        let picked = match base_of(all) {
            Some(base) => self.with_base_of(chosen, base, picked),
            None => picked,
        };
        Ok(picked.stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.average_moment(self.components.mean()?))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let (mean, means) = (self.mean()?, self.components.mean()?);
        let spread = self.components.variance()? + (means - self.wide(mean)).square();
        Some(self.average_moment(spread))
    }

    fn validate(&self) -> DistributionResult<()> {
        self.weights.validate("MixtureSameFamily")?;
        self.components.validate()
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        let inside = self.components.capabilities();
        // A discrete distribution may have a distribution function, but has no path.
        let continuous = inside.reparameterized.is_some();
        Capabilities {
            score: inside.score.map(|_| self as _),
            reparameterized: if continuous && (inside.cdf.is_some() || inside.conditional_cdf.is_some()) {
                Some(self)
            } else {
                None
            },
            weak_derivative: Some(self),
            cdf: inside.cdf.map(|_| self as _),
            icdf: inside.cdf.and(inside.icdf).filter(|_| continuous).map(|_| self as _),
            ..Capabilities::default()
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> ScoreDifferentiable<'t, F> for Blend<Var<'t, F>, D> {}

impl<'t, F: Real, D: Distribution<'t, F>> Reparameterized<'t, F> for Blend<Var<'t, F>, D> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        if self.capabilities().reparameterized.is_none() {
            return Err(lacks("MixtureSameFamily", "a path and a distribution function", self.components.name()));
        }
        let sample = self.sample(draw)?;
        match self.components.capabilities().conditional_cdf {
            Some(components) => self.vector_path(components, sample),
            None => Ok(implicit_path(self, sample)),
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Blend<Var<'t, F>, D> {
    /// Vectors with the derivatives of their path. The path of a coordinate is implicit given the coordinates before it,
    /// which move with the parameters too: they change the density of each component, and so its share.
    fn vector_path(
        &self,
        components: &dyn ConditionalCumulative<'t, F>,
        sample: Var<'t, F>,
    ) -> DistributionResult<Var<'t, F>> {
        let sample = sample.held();
        let count = self.event_shape().last().copied().unwrap_or(0);
        let mut path = Vec::with_capacity(count);
        for at in 0..count {
            let moved = [&path[..], &[sample.slice(-1, at..count)]].concat();
            let all = components.conditionals(self.wide(Var::concat(&moved, -1)?));
            let before = all.log_prob.slice(-1, 0..at).sum_axis(-1);
            let total = self.log_average(before);
            let of = |logs: Var<'t, F>| (self.log_average(before + logs.index(-1, at)) - total).exp();
            let [density, lower, upper] = [all.log_prob, all.log_cdf, all.log_survival].map(of);
            path.push(implicit_step(sample.index(-1, at), density, lower, upper).unsqueeze(-1));
        }
        Ok(Var::concat(&path, -1)?)
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> WeakDerivative<'t, F> for Blend<Var<'t, F>, D> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter > 0 {
            return self.component_derivative(parameter - 1, sample, draw);
        }
        // The alternatives are the values of the components.
        let all = self.pieces(draw)?;
        let values = (0..self.weights.count()).map(|k| all.index(-1 - self.rank() as isize, k)).collect();
        Ok(Some(Alternatives { values, weights: self.weights.slopes() }))
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Blend<Var<'t, F>, D> {
    /// The weak derivative with respect to a parameter of the components: that of the one component that is drawn given
    /// the sample.
    fn component_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let Some(weak) = self.components.capabilities().weak_derivative else { return Ok(None) };
        let count = self.weights.count();
        let value = self.wide(sample).broadcast_to(self.components.event_shape());
        let Some(parts) = weak.weak_derivative(parameter, value, draw)? else { return Ok(None) };
        let of_each = self.components.log_prob_each(self.wide(sample));
        let shares = (self.weights.logs() + of_each).softmax(-1).stop_gradient();
        let shares = shares.broadcast_to(self.table_shape());
        let chosen = draw.purpose("component given the sample");
        let chosen = chosen.record_categorical(sample.tape(), &self.independent(), shares)?.one_hot(count);
        let event = self.components.event_shape();
        let wide = |rank: usize| (chosen.shape().len()..rank).fold(chosen, |chosen, _| chosen.unsqueeze(-1));
        let axis = -1 - self.rank() as isize;
        let zero = sample.tape().constant(0.0);
        // The other components may have values and weights that are not finite.
        let values = parts
            .values
            .into_iter()
            .map(|values| wide(event.len()).select(values.broadcast_to(event.clone()), zero).sum_axis(axis));
        let of_chosen = |weights: Var<'t, F>| wide(weights.shape().len()).select(weights, zero);
        Ok(Some(Alternatives { values: values.collect(), weights: parts.weights.into_iter().map(of_chosen).collect() }))
    }
}

delegate!([D: Distribution<'t, F>] MixtureSameFamily<Var<'t, F>, D>);

impl<'t, F: Real, D: ScoreDifferentiable<'t, F>> ScoreDifferentiable<'t, F> for MixtureSameFamily<Var<'t, F>, D> {}

impl<'t, F: Real, D: Distribution<'t, F>> WeakDerivative<'t, F> for MixtureSameFamily<Var<'t, F>, D> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        self.inner.weak_derivative(parameter, sample, draw)
    }
}

impl<'t, F: Real, D: CumulativeDistribution<'t, F>> CumulativeDistribution<'t, F> for MixtureSameFamily<Var<'t, F>, D> {
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

impl<'t, F: Real, D: QuantileFunction<'t, F> + Reparameterized<'t, F>> QuantileFunction<'t, F>
    for MixtureSameFamily<Var<'t, F>, D>
{
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.inner.icdf(probability)
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.inner.inverse_survival(probability)
    }
}

// Components without a distribution function are refused at run time: one trait bound cannot ask for either that of
// numbers or those of the coordinates of vectors.
impl<'t, F: Real, D: Reparameterized<'t, F>> Reparameterized<'t, F> for MixtureSameFamily<Var<'t, F>, D> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.inner.rsample(draw)
    }
}

mod tails;
#[cfg(test)]
mod tests;
