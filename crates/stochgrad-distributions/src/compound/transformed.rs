//! The distribution of an invertible map of samples, such as positive or bounded values from normal samples.
//!
//! $$\ln p_Y(y) = \ln p_X(x) - \ln\lvert\det J(x)\rvert, \quad y = g(x).$$
//!
//! | capability | |
//! |---|---|
//! | score | that of the distribution inside, unless the support depends on the parameters of the map |
//! | reparameterised | $g$ of the path of the distribution inside |
//! | weak derivatives with respect to the parameters of the distribution inside | both parts pushed through $g$, with the same constants; for maps of single numbers |
//! | distribution function, survival function, their logarithms and inverses | for maps of single numbers, where the distribution inside has them; a falling map swaps both tails |
//!
//! # Samples of its own
//!
//! A sample remembers the value of the base distribution that it is the image of. The log-probability of a sample, or
//! the distribution function there, is computed from that value: also where the image has rounded, such as `tanh(20)`
//! in single precision, it is that of the base value, and so are its derivatives of every order. This holds inside
//! [`Mixture`](crate::Mixture), [`MixtureSameFamily`](crate::MixtureSameFamily) and
//! [`Independent`](crate::Independent) too, and for another distribution with the same map. The image itself is inside
//! the open support: the nearest number where the map rounds to the end.
//!
//! Any other value is inverted: data, a sample that a computation has changed, and a value with which a counterfactual
//! method has replaced a sample. A value at the end of an open support has the log-density −∞ with derivatives of 0.

use crate::compound::invertible_map::{InvertibleMap, LiveMap, OwnSample, Preimage, StoredMap, TensorMap};
use crate::compound::wrapper::{delegate, lacks};
use crate::derivative::base_values::remember;
use crate::distribution::{Family, Live, TensorDistribution, ToTensors};
use crate::prelude::*;
use crate::sampled_by_rand;
use stochgrad_tape::{IdMap, Smoothness, Tape};

/// The distribution of `y = g(x)` for samples `x` of a base distribution and an invertible map `g`: a
/// [`Bijector`](crate::Bijector), or your own [`InvertibleMap`](crate::InvertibleMap).
///
/// ```
/// use stochgrad_distributions::{Bijector, Distribution, LogNormal, Normal, TransformedDistribution};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let location = tape.parameter(0.3);
/// let distribution = TransformedDistribution::new(Normal::new(location, 0.5), Bijector::Exp);
/// let same = LogNormal::new(location, 0.5);
/// let x = tape.constant(2.0);
/// assert!((distribution.log_prob(x).item()? - same.log_prob(x).item()?).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
///
/// A sample remembers the value of the base distribution, so that the log-probability of a sample keeps all digits
/// where the map has rounded:
///
/// ```
/// use stochgrad_distributions::{Bijector, Distribution, Draw, KeyedNoise, Normal, NoiseKey, TransformedDistribution};
/// use stochgrad_tape::{Plates, Tape};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f32>::new();
/// let action = TransformedDistribution::new(Normal::new(tape.parameter(30.0), 1.0), Bijector::Tanh);
/// let noise = KeyedNoise::new(1, 0);
/// let x = action.sample(&Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new()))?;
/// assert!(x.item()? < 1.0 && action.log_prob(x).item()? > 50.0);
/// let same = tape.constant(x.peek()?);
/// assert!(action.log_prob(same).item()? < -200.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TransformedDistribution<D, B> {
    inner: Image<D, B>,
}

/// [`TransformedDistribution`] without conditions on the distribution inside.
#[derive(Clone, Debug)]
struct Image<D, B> {
    base: D,
    bijector: B,
}

impl<D, B> TransformedDistribution<D, B> {
    /// The distribution of `bijector(x)` for samples `x` of `base`. A map of vectors applies to the vectors along the
    /// last independent axis of a distribution of numbers.
    pub fn new(base: D, bijector: B) -> Self {
        TransformedDistribution { inner: Image { base, bijector } }
    }

    /// The distribution of `x`.
    pub fn base(&self) -> &D {
        &self.inner.base
    }

    /// The map.
    pub fn bijector(&self) -> &B {
        &self.inner.bijector
    }
}

impl<F: Real, S: Family<F>, B: StoredMap<F>> Family<F> for TransformedDistribution<S, B> {
    type On<'t> = TransformedDistribution<S::On<'t>, B::On<'t>>;

    fn store(live: &Self::On<'_>) -> Self {
        TransformedDistribution::new(S::store(&live.inner.base), B::store(&live.inner.bijector))
    }

    fn bind<'t>(&self, tape: &'t Tape<F>, ids: &IdMap) -> DistributionResult<Self::On<'t>> {
        Ok(TransformedDistribution::new(self.inner.base.bind(tape, ids)?, self.inner.bijector.bind(tape, ids)?))
    }
}

impl<'t, F: Real, D: Live<'t, F>, B: LiveMap<'t, F>> Live<'t, F> for TransformedDistribution<D, B> {
    type Family = TransformedDistribution<D::Family, B::Stored>;
}

impl<F: Real, D: TensorDistribution<F>, B: TensorMap<F>> TensorDistribution<F> for TransformedDistribution<D, B> {
    type On<'t> = TransformedDistribution<D::On<'t>, B::On<'t>>;

    fn on<'t>(&self, tape: &'t Tape<F>) -> Self::On<'t> {
        TransformedDistribution::new(self.inner.base.on(tape), self.inner.bijector.on(tape))
    }
}

impl<'t, F: Real, D: ToTensors<'t, F>, B: LiveMap<'t, F>> ToTensors<'t, F> for TransformedDistribution<D, B> {
    type Tensors = TransformedDistribution<D::Tensors, B::Tensors>;

    fn to_tensors(&self) -> DistributionResult<Self::Tensors> {
        Ok(TransformedDistribution::new(self.inner.base.to_tensors()?, self.inner.bijector.to_tensors()?))
    }
}

sampled_by_rand!([D: TensorDistribution<F>, B: TensorMap<F>] TransformedDistribution<D, B>);

impl<D, B> Image<D, B> {
    /// Whether the support depends on the parameters of the map.
    fn moves<'t, F: Real>(&self) -> bool
    where
        D: Distribution<'t, F>,
        B: InvertibleMap<'t, F>,
    {
        !self.bijector.parameters().is_empty() && self.support().depends_on_parameters()
    }

    /// The log-density of each element, given a value of the distribution inside with the slope of the map there.
    fn density<'t, F: Real>(&self, x: Preimage<'t, F>) -> Var<'t, F>
    where
        D: Distribution<'t, F>,
        B: InvertibleMap<'t, F>,
    {
        let (own, before) = (self.base.element_rank(), self.bijector.element_ranks().0);
        let joined = self.base.log_prob_each(x.value).sum_last(before.saturating_sub(own));
        joined - x.log_slope.sum_last(own.saturating_sub(before))
    }

    /// A value inside the image.
    fn within<'t, F: Real>(&self, like: Var<'t, F>) -> Var<'t, F>
    where
        D: Distribution<'t, F>,
        B: InvertibleMap<'t, F>,
    {
        let shape = if self.of_numbers() { Shape::scalar() } else { self.base.event_shape() };
        self.bijector.image(like.tape().constant(Tensor::from_fn(shape, |_| F::from_f64(0.5)))).held()
    }

    /// The image of a value of the distribution inside, which remembers that value.
    fn image<'t, F: Real>(&self, x: Var<'t, F>) -> Var<'t, F>
    where
        B: InvertibleMap<'t, F>,
    {
        remember(self.bijector.image(x), x)
    }

    fn of_numbers<'t, F: Real>(&self) -> bool
    where
        D: Distribution<'t, F>,
        B: InvertibleMap<'t, F>,
    {
        self.base.element_rank() == 0 && self.bijector.element_ranks() == (0, 0)
    }
}

impl<'t, F: Real, D: Distribution<'t, F>, B: InvertibleMap<'t, F>> Distribution<'t, F> for Image<D, B> {
    fn name(&self) -> &'static str {
        "TransformedDistribution"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let score = if self.moves() { Smoothness::Jump } else { Smoothness::Smooth };
        let of_map = self.bijector.parameters().into_iter();
        let of_map = of_map.map(|(name, var)| Parameter::smooth(name, var).with_score(score));
        self.base.parameters().into_iter().chain(of_map).collect()
    }

    fn event_shape(&self) -> Shape {
        self.bijector.output_shape(&self.base.event_shape())
    }

    fn element_rank(&self) -> usize {
        let (before, after) = self.bijector.element_ranks();
        self.base.element_rank().max(before) - before + after
    }

    fn support(&self) -> Support {
        let event = self.event_shape();
        self.bijector.support(self.base.support(), &event[event.len().saturating_sub(self.element_rank())..])
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let own = OwnSample::find(&self.bijector, value);
        let density = |y: Var<'t, F>| self.density(self.bijector.preimage(y, own));
        let (before, after) = self.bijector.element_ranks();
        let distance = if self.base.element_rank() <= before { self.bijector.distance(value) } else { None };
        let Some(distance) = distance else { return density(value) };
        // A sample is inside, even if the inverse of an affine map rounds it to the boundary.
        let distance = own.map_or(distance, |own| own.mask().select(value.tape().constant(1.0), distance));
        let outside = Boundary::Excluded.outside(distance);
        let wide = (0..after).fold(outside, |outside, _| outside.unsqueeze(-1));
        outside.select(value.tape().constant(f64::NEG_INFINITY), density(wide.select(self.within(value), value)))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.image(self.base.sample(draw)?).stop_gradient())
    }

    fn validate(&self) -> DistributionResult<()> {
        self.base.validate()?;
        self.bijector.validate()
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        let inside = self.base.capabilities();
        let numbers = self.of_numbers();
        Capabilities {
            score: inside.score.filter(|_| !self.moves()).map(|_| self as _),
            reparameterized: inside.reparameterized.map(|_| self as _),
            weak_derivative: inside.weak_derivative.filter(|_| numbers).map(|_| self as _),
            cdf: inside.cdf.filter(|_| numbers).map(|_| self as _),
            icdf: inside.icdf.filter(|_| numbers).map(|_| self as _),
            ..Capabilities::default()
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>, B: InvertibleMap<'t, F>> ScoreDifferentiable<'t, F> for Image<D, B> {}

impl<'t, F: Real, D: Distribution<'t, F>, B: InvertibleMap<'t, F>> Reparameterized<'t, F> for Image<D, B> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        match self.base.capabilities().reparameterized {
            Some(path) => Ok(self.image(path.rsample(draw)?)),
            None => Err(lacks("TransformedDistribution", "a path", self.base.name())),
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>, B: InvertibleMap<'t, F>> WeakDerivative<'t, F> for Image<D, B> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let Some(weak) = self.base.capabilities().weak_derivative.filter(|_| self.of_numbers()) else {
            return Err(lacks("TransformedDistribution", "a weak derivative by numbers", self.base.name()));
        };
        if parameter >= self.base.parameters().len() {
            return Ok(None);
        }
        let own = OwnSample::find(&self.bijector, sample);
        let Some(parts) = weak.weak_derivative(parameter, self.bijector.preimage(sample, own).value, draw)? else {
            return Ok(None);
        };
        let values = parts.values.into_iter().map(|part| self.bijector.image(part)).collect();
        Ok(Some(Alternatives { values, weights: parts.weights }))
    }
}

delegate!([D: Distribution<'t, F>, B: InvertibleMap<'t, F>] TransformedDistribution<D, B>);

impl<'t, F: Real, D: ScoreDifferentiable<'t, F>, B: InvertibleMap<'t, F>> ScoreDifferentiable<'t, F>
    for TransformedDistribution<D, B>
{
}

impl<'t, F: Real, D: Reparameterized<'t, F>, B: InvertibleMap<'t, F>> Reparameterized<'t, F>
    for TransformedDistribution<D, B>
{
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.inner.rsample(draw)
    }
}

impl<'t, F: Real, D: WeakDerivative<'t, F>, B: InvertibleMap<'t, F>> WeakDerivative<'t, F>
    for TransformedDistribution<D, B>
{
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        self.inner.weak_derivative(parameter, sample, draw)
    }
}

impl<'t, F: Real, D: CumulativeDistribution<'t, F>, B: InvertibleMap<'t, F>> CumulativeDistribution<'t, F>
    for TransformedDistribution<D, B>
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

impl<'t, F: Real, D: QuantileFunction<'t, F>, B: InvertibleMap<'t, F>> QuantileFunction<'t, F>
    for TransformedDistribution<D, B>
{
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.inner.icdf(probability)
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.inner.inverse_survival(probability)
    }
}

mod tails;
#[cfg(test)]
mod tests;
