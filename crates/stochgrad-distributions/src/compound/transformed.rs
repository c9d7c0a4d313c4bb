//! The distribution of an invertible map of samples, such as positive or bounded values from normal samples.
//!
//! $$\ln p_Y(y) = \ln p_X(x) - \ln\lvert\det J(x)\rvert, \quad y = g(x).$$
//!
//! | capability | |
//! |---|---|
//! | score | that of the distribution inside, unless the support depends on the parameters of the map |
//! | reparameterised | $g$ of the path of the distribution inside |
//! | weak derivatives with respect to the parameters of the distribution inside | both parts pushed through $g$, with the same constants; for maps of single numbers |
//! | distribution function | for maps of single numbers, where the distribution inside has one |

use crate::compound::invertible_map::{InvertibleMap, LiveMap, StoredMap, TensorMap};
use crate::compound::wrapper::{delegate, lacks};
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

    /// The log-density of each element of the map, given a value of the distribution inside.
    fn density<'t, F: Real>(&self, x: Var<'t, F>) -> Var<'t, F>
    where
        D: Distribution<'t, F>,
        B: InvertibleMap<'t, F>,
    {
        let (own, before) = (self.base.element_rank(), self.bijector.element_ranks().0);
        let joined = self.base.log_prob_each(x).sum_last(before.saturating_sub(own));
        joined - self.bijector.log_slope(x).sum_last(own.saturating_sub(before))
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
        let distance = if self.of_numbers() { self.bijector.distance(value) } else { None };
        match distance {
            None => self.density(self.bijector.inverse(value)),
            Some(distance) => {
                let within = self.bijector.forward(value.stop_gradient() * 0.0 + 0.5).stop_gradient();
                Boundary::Excluded.confine(distance, value, within, |y| self.density(self.bijector.inverse(y)))
            }
        }
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.bijector.forward(self.base.sample(draw)?).stop_gradient())
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
            Some(path) => Ok(self.bijector.forward(path.rsample(draw)?)),
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
        let Some(parts) = weak.weak_derivative(parameter, self.bijector.inverse(sample), draw)? else {
            return Ok(None);
        };
        let values = parts.values.into_iter().map(|part| self.bijector.forward(part)).collect();
        Ok(Some(Alternatives { values, weights: parts.weights }))
    }
}

impl<'t, F: Real, D: Distribution<'t, F>, B: InvertibleMap<'t, F>> CumulativeDistribution<'t, F> for Image<D, B> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        let tape = value.tape();
        let Some(inside) = self.base.capabilities().cdf.filter(|_| self.of_numbers()) else {
            return tape.constant(f64::NAN);
        };
        let falls = (-self.bijector.direction(value)).step();
        let at = |y: Var<'t, F>| {
            let probability = inside.cdf(self.bijector.inverse(y));
            falls.select(1.0 - probability, probability)
        };
        match self.bijector.distance(value) {
            None => at(value),
            Some(distance) => {
                let possible = distance.step();
                let within = self.bijector.forward(value.stop_gradient() * 0.0 + 0.5).stop_gradient();
                // Outside the image the distribution function is 0 or 1.
                let beyond = (value - within).step();
                possible.select(at(possible.select(value, within)), beyond)
            }
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>, B: InvertibleMap<'t, F>> QuantileFunction<'t, F> for Image<D, B> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let falls = (-self.bijector.direction(probability)).step();
        match self.base.capabilities().icdf {
            Some(inside) => self.bijector.forward(inside.icdf(falls.select(1.0 - probability, probability))),
            None => probability.tape().constant(f64::NAN),
        }
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
}

impl<'t, F: Real, D: QuantileFunction<'t, F>, B: InvertibleMap<'t, F>> QuantileFunction<'t, F>
    for TransformedDistribution<D, B>
{
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.inner.icdf(probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compound::bijector::Bijector;
    use crate::continuous::beta::Beta;
    use crate::continuous::logistic::Logistic;
    use crate::continuous::normal::Normal;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::{Build, DistributionCheck, Domain, assert_nothing_at, check_family};
    use stochgrad_tape::Plates;

    const LOG_NORMAL: Build = |p| Box::new(TransformedDistribution::new(Normal::new(p[0], p[1]), Bijector::Exp));
    const LOGIT_NORMAL: Build = |p| Box::new(TransformedDistribution::new(Normal::new(p[0], p[1]), Bijector::Sigmoid));
    const FALLING: Build = |p| {
        let map = Bijector::chain([Bijector::Softplus, Bijector::affine(p[2], -1.5)]);
        Box::new(TransformedDistribution::new(Normal::new(p[0], p[1]), map))
    };

    #[test]
    fn everything_follows_the_distribution() {
        DistributionCheck::new(LOG_NORMAL, &[0.2, 0.4], Domain::HalfLine).assert_distribution(&[0.3, 1.1, 4.0], 241);
        DistributionCheck::new(LOGIT_NORMAL, &[0.2, 0.8], Domain::UnitInterval)
            .assert_distribution(&[0.3, 0.6, 0.9], 251);
        assert_nothing_at(LOG_NORMAL, &[0.2, 0.4], -0.5);
        assert_nothing_at(LOGIT_NORMAL, &[0.2, 0.4], 1.5);
        let distribution = DistributionCheck::new(FALLING, &[0.2, 0.8, 0.7], Domain::Line(-12.0, 0.7));
        distribution.assert_score(&[-2.0, -0.5, 0.6]);
        distribution.assert_cdf(&[-2.0, -0.5, 0.6]);
        distribution.assert_path(261);
        distribution.assert_weak(0, 262);
        distribution.assert_weak(1, 263);
    }

    #[test]
    fn a_support_that_depends_on_the_map_has_no_score() {
        let tape = Tape::<f64>::new();
        let (zero, shift) = (tape.parameter(0.0), tape.parameter(0.3));
        let moved = || Bijector::affine(shift, 2.0);
        // A uniform distribution on [0.3, 2.3] in disguise: its log-density jumps at the ends.
        let uniform =
            TransformedDistribution::new(Logistic::new(zero, 1.0), Bijector::chain([Bijector::Sigmoid, moved()]));
        assert_eq!(uniform.support(), Support::Interval);
        assert!(uniform.capabilities().score.is_none());
        let beta = TransformedDistribution::new(Beta::new(tape.parameter(2.0), 3.0), moved());
        assert!(beta.support().depends_on_parameters() && beta.capabilities().score.is_none());

        let normal = Normal::new(zero, 1.0);
        for (map, support) in [
            (moved(), Support::Real),
            (Bijector::Tanh, Support::Between(-1.0, 1.0)),
            (Bijector::chain([moved(), Bijector::Exp]), Support::Positive),
            (Bijector::chain([moved(), Bijector::Exp, Bijector::Power(shift)]), Support::Positive),
        ] {
            let distribution = TransformedDistribution::new(normal, map);
            assert_eq!(distribution.support(), support);
            assert!(distribution.capabilities().score.is_some());
        }
        let vector = Normal::new(tape.parameter([0.1, 0.2]), 1.0);
        let simplex = TransformedDistribution::new(vector, Bijector::chain([moved(), Bijector::SoftmaxCentred]));
        assert_eq!(simplex.support(), Support::Simplex(3));
        assert!(simplex.capabilities().score.is_some());
    }

    #[test]
    fn vectors_are_mapped_to_a_simplex() {
        let tape = Tape::<f64>::new();
        let normal = Normal::new(tape.parameter([[0.1, 0.2], [0.3, -0.4], [1.0, 0.0]]), 1.0);
        for map in [Bijector::StickBreaking, Bijector::SoftmaxCentred] {
            let distribution = TransformedDistribution::new(normal, map);
            assert_eq!((distribution.event_shape().to_vec(), distribution.element_rank()), (vec![3, 3], 1));
            let noise = KeyedNoise::new(1, 0);
            let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
            let y = distribution.rsample(&draw).unwrap();
            assert!(y.sum_axis(-1).peek().unwrap().as_slice().iter().all(|sum| (sum - 1.0).abs() < 1e-14));
            let each = distribution.log_prob_each(y).peek().unwrap();
            let x = distribution.bijector().inverse(y);
            let expected = normal.log_prob_each(x).sum_last(1) - distribution.bijector().log_slope(x);
            assert_eq!((each.shape().to_vec(), each.to_vec()), (vec![3], expected.peek().unwrap().to_vec()));
            assert!(distribution.capabilities().cdf.is_none() && distribution.capabilities().weak_derivative.is_none());
            check_family(&tape, &distribution, y);
        }
    }

    #[test]
    fn a_map_by_zero_is_an_error() {
        let tape = Tape::<f64>::new();
        let normal = Normal::new(tape.parameter(0.0), 1.0);
        let distribution = TransformedDistribution::new(normal, Bijector::affine(tape.constant(1.0), 0.0));
        assert!(distribution.validate().is_err());
    }
}
