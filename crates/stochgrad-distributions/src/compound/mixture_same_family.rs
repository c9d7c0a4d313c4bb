//! Mixtures of distributions of one family.
//!
//! $$p(x) = \sum_k w_k\, p_k(x).$$
//!
//! | capability | |
//! |---|---|
//! | score | any order, where the components have it |
//! | reparameterised | numbers whose components have a distribution function: implicit (Figurnov et al. 2018), order 1, by the weights too |
//! | weak derivative with respect to the weights | that of the category: the sample of every component, with the derivatives of the weights |
//! | weak derivative with respect to a parameter of the components | that of the component that is drawn given the sample |
//! | distribution function | $\sum_k w_k F_k$; its inverse by Newton's method between the quantiles of the components |

use crate::compound::wrapper::{delegate, lacks};
use crate::derivative::implicit::{implicit_path, invert};
use crate::distribution::{Family, Live};
use crate::parameter::categories::ProbabilitiesOrLogits;
use crate::prelude::*;
use stochgrad_tape::{Id, IdMap, Tape};

/// A mixture whose components are the elements along the last independent axis of one distribution.
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

/// [`MixtureSameFamily`] without conditions.
#[derive(Clone, Copy, Debug)]
struct Blend<V, D> {
    weights: ProbabilitiesOrLogits<V>,
    components: D,
}

impl<'t, F: Real, D: Distribution<'t, F>> MixtureSameFamily<Var<'t, F>, D> {
    /// A mixture whose weights have these logits along their last axis.
    ///
    /// # Errors
    /// If the components have no axis of as many elements.
    pub fn from_logits(logits: Var<'t, F>, components: D) -> DistributionResult<Self> {
        Self::new(ProbabilitiesOrLogits::Logits(logits), components)
    }

    /// A mixture with these weights along their last axis.
    ///
    /// # Errors
    /// If the components have no axis of as many elements.
    pub fn from_probabilities(probabilities: Var<'t, F>, components: D) -> DistributionResult<Self> {
        Self::new(ProbabilitiesOrLogits::Probabilities(probabilities), components)
    }

    fn new(weights: ProbabilitiesOrLogits<Var<'t, F>>, components: D) -> DistributionResult<Self> {
        let event = components.event_shape();
        let axis = event.len().checked_sub(components.element_rank() + 1);
        let found = axis.map_or(0, |axis| event[axis]);
        if found != weights.count() || found == 0 {
            let problem = format!(
                "expected {} components along the last independent axis, as there are weights, got event shape {event} of {}",
                weights.count(),
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

impl<'t, F: Real, D: Distribution<'t, F>> Blend<Var<'t, F>, D> {
    fn rank(&self) -> usize {
        self.components.element_rank()
    }

    /// A value with an axis for the components.
    fn wide(&self, value: Var<'t, F>) -> Var<'t, F> {
        value.unsqueeze(-1 - self.rank() as isize)
    }

    /// The sum over the components of a value of theirs, weighted.
    fn average(&self, of_each: Var<'t, F>) -> Var<'t, F> {
        let mut weights = self.weights.probabilities();
        for _ in 0..self.rank() {
            weights = weights.unsqueeze(-1);
        }
        let axis = -1 - self.rank() as isize;
        (weights * of_each).sum_axis(axis)
    }

    /// A value of each component, and the category that the noise chooses, with the full shape of the draw.
    fn pieces(&self, draw: &Draw<'_, F>) -> DistributionResult<(Tensor<F>, Tensor<F>)> {
        let all = self.components.draw(&draw.purpose("components"))?;
        let table = draw.parameter(self.weights.probabilities(), &self.table_shape())?;
        Ok((all, draw.purpose("component").categorical(&self.independent(), &table)?))
    }

    fn independent(&self) -> Shape {
        let event = self.event_shape();
        event.iter().take(event.len() - self.rank()).copied().collect()
    }

    /// The independent axes, and one of the components.
    fn table_shape(&self) -> Shape {
        self.independent().iter().copied().chain([self.weights.count()]).collect()
    }

    /// For each independent element the value of one component.
    fn choose(&self, all: &Tensor<F>, draw: &Draw<'_, F>, which: impl Fn(usize) -> usize) -> Tensor<F> {
        let event = self.event_shape();
        let size: usize = event.iter().skip(event.len() - self.rank()).product();
        let count = self.weights.count();
        let all = all.as_slice();
        Tensor::from_fn(draw.shape(&event), |i| {
            let (element, inside) = (i / size, i % size);
            all[(element * count + which(element)) * size + inside]
        })
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Distribution<'t, F> for Blend<Var<'t, F>, D> {
    fn name(&self) -> &'static str {
        "MixtureSameFamily"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let weights = self.weights.parameter();
        let of_components = self.components.parameters().into_iter();
        // The path is implicit: it has one derivative.
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
        (self.weights.logs() + self.components.log_prob_each(self.wide(value))).logsumexp(-1)
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let (all, chosen) = self.pieces(draw)?;
        Ok(self.choose(&all, draw, |element| chosen.as_slice()[element].to_f64() as usize))
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.average(self.components.mean()?))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let (mean, means) = (self.mean()?, self.components.mean()?);
        let spread = self.components.variance()? + (means - self.wide(mean)).square();
        Some(self.average(spread))
    }

    fn validate(&self) -> DistributionResult<()> {
        self.weights.validate("MixtureSameFamily")?;
        self.components.validate()
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        let inside = self.components.capabilities();
        // A discrete distribution has a distribution function too, and no path.
        let continuous = inside.reparameterized.is_some();
        Capabilities {
            score: inside.score.map(|_| self as _),
            reparameterized: inside.cdf.filter(|_| continuous).map(|_| self as _),
            weak_derivative: Some(self),
            cdf: inside.cdf.map(|_| self as _),
            icdf: inside.cdf.and(inside.icdf).filter(|_| continuous).map(|_| self as _),
            ..Capabilities::default()
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> ScoreDifferentiable<'t, F> for Blend<Var<'t, F>, D> {}

impl<'t, F: Real, D: Distribution<'t, F>> CumulativeDistribution<'t, F> for Blend<Var<'t, F>, D> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.components.capabilities().cdf {
            Some(inside) => self.average(inside.cdf(self.wide(value))),
            None => value.tape().constant(f64::NAN),
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> QuantileFunction<'t, F> for Blend<Var<'t, F>, D> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        match self.components.capabilities().icdf {
            Some(inside) => {
                let all = inside.icdf(self.wide(probability));
                invert(self, probability, -(-all).max_axis(-1), all.max_axis(-1))
            }
            None => probability.tape().constant(f64::NAN),
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Reparameterized<'t, F> for Blend<Var<'t, F>, D> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        if self.capabilities().reparameterized.is_none() {
            return Err(lacks("MixtureSameFamily", "a path and a distribution function", self.components.name()));
        }
        Ok(implicit_path(self, self.sample(draw)?))
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> WeakDerivative<'t, F> for Blend<Var<'t, F>, D> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter > 0 {
            return self.component_derivative(parameter - 1, sample, draw);
        }
        // The alternatives are what the components give.
        let (all, _) = self.pieces(draw)?;
        let count = self.weights.count();
        let table = draw.parameter(self.weights.probabilities(), &self.table_shape())?;
        let derivatives = self.weights.all_categories(&table);
        let values = (0..count).map(|k| self.choose(&all, draw, |_| k)).collect();
        Ok(Some(Alternatives { values, weights: derivatives.weights }))
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Blend<Var<'t, F>, D> {
    /// The weak derivative with respect to a parameter of the components: that of the one component that is drawn given
    /// the sample.
    fn component_derivative(
        &self,
        parameter: usize,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        let Some(weak) = self.components.capabilities().weak_derivative else { return Ok(None) };
        let count = self.weights.count();
        let value = self.wide(draw.record(self.tape()?, sample.clone()));
        let event = self.components.event_shape();
        let repeated = draw.parameter(value.broadcast_to(event), &self.components.event_shape())?;
        let Some(parts) = weak.weak_derivative(parameter, &repeated, draw)? else { return Ok(None) };
        let shares = (self.weights.logs() + self.components.log_prob_each(value)).softmax(-1);
        let shares = draw.parameter(shares, &self.table_shape())?;
        let chosen = draw.purpose("component given the sample").categorical(&self.independent(), &shares)?;
        let component = |element: usize| chosen.as_slice()[element].to_f64() as usize;
        let values = parts.values.iter().map(|values| self.choose(values, draw, component)).collect();
        let of_chosen = |weights: &Tensor<F>| {
            let coordinates = weights.len() / (chosen.len() * count).max(1);
            Tensor::from_fn(weights.shape().clone(), |i| {
                let row = i / coordinates;
                if component(row / count) == row % count { weights.as_slice()[i] } else { F::ZERO }
            })
        };
        Ok(Some(Alternatives { values, weights: parts.weights.iter().map(of_chosen).collect() }))
    }
}

delegate!([D: Distribution<'t, F>] MixtureSameFamily<Var<'t, F>, D>);

impl<'t, F: Real, D: ScoreDifferentiable<'t, F>> ScoreDifferentiable<'t, F> for MixtureSameFamily<Var<'t, F>, D> {}

impl<'t, F: Real, D: Distribution<'t, F>> WeakDerivative<'t, F> for MixtureSameFamily<Var<'t, F>, D> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        self.inner.weak_derivative(parameter, sample, draw)
    }
}

impl<'t, F: Real, D: CumulativeDistribution<'t, F>> CumulativeDistribution<'t, F> for MixtureSameFamily<Var<'t, F>, D> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.inner.cdf(value)
    }
}

impl<'t, F: Real, D: QuantileFunction<'t, F> + Reparameterized<'t, F>> QuantileFunction<'t, F>
    for MixtureSameFamily<Var<'t, F>, D>
{
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.inner.icdf(probability)
    }
}

impl<'t, F: Real, D: CumulativeDistribution<'t, F> + Reparameterized<'t, F>> Reparameterized<'t, F>
    for MixtureSameFamily<Var<'t, F>, D>
{
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.inner.rsample(draw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuous::normal::Normal;
    use crate::noise::KeyedNoise;
    use crate::testing::discrete_checks::check_family;
    use crate::testing::distribution_checks::{Build, DistributionCheck, Domain, leaves, on_samples, variance};

    /// Two normal distributions by a weight, two locations and a scale.
    const BUILD: Build = |p| {
        let weights = Var::stack(&[p[0], 1.0 - p[0]]).unwrap();
        let locations = Var::stack(&[p[1], p[2]]).unwrap();
        Box::new(MixtureSameFamily::from_probabilities(weights, Normal::new(locations, p[3])).unwrap())
    };

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[0.3, -1.0, 2.0, 0.7], Domain::Line(-8.0, 9.0));
        distribution.assert_moments();
        distribution.assert_score(&[-2.0, 0.4, 3.0]);
        distribution.assert_cdf(&[-2.0, 0.4, 3.0]);
        distribution.assert_draws_by_own_cdf(281);
        distribution.assert_path(282);
    }

    /// The terms of the weak derivative with respect to a parameter, one for each draw and coordinate.
    fn weak_terms(distribution: &DistributionCheck, parameter: usize, seed: u64) -> [Vec<f64>; 2] {
        let tape = Tape::<f64>::new();
        let mixture = (distribution.build)(&leaves(&tape, &distribution.parameters));
        let noise = KeyedNoise::new(seed, 0);
        let draw = on_samples(&tape, &noise, 100_000);
        let sample = mixture.draw(&draw).unwrap();
        let weak = mixture.capabilities().weak_derivative.unwrap();
        let parts = weak.weak_derivative(parameter, &sample, &draw).unwrap().unwrap();
        let cost = |x: f64| x.sin() + 0.1 * x * x;
        [0, 1].map(|coordinate| {
            let term = |i: usize| {
                let difference = |values: &Tensor<f64>| cost(values.as_slice()[i]) - cost(sample.as_slice()[i]);
                let terms = parts.values.iter().zip(&parts.weights);
                terms.map(|(values, weights)| weights.as_slice()[2 * i + coordinate] * difference(values)).sum()
            };
            (0..sample.len()).map(term).collect()
        })
    }

    fn assert_mean(terms: &[f64], exact: f64) {
        let mean = terms.iter().sum::<f64>() / terms.len() as f64;
        let error = (variance(terms) / terms.len() as f64).sqrt();
        assert!((mean - exact).abs() < 4.0 * error, "{mean} ± {error}, expected {exact}");
    }

    /// The derivative with respect to one weight along the simplex is that of the expected cost; that by a parameter of
    /// a component too.
    #[test]
    fn weak_derivatives_are_right() {
        let distribution = DistributionCheck::new(BUILD, &[0.3, -1.0, 2.0, 0.7], Domain::Line(-8.0, 9.0));
        let exact = distribution.derivatives();
        let [first, second] = weak_terms(&distribution, 0, 283);
        assert_mean(&first.iter().zip(&second).map(|(a, b)| a - b).collect::<Vec<_>>(), exact[0]);
        let [first, second] = weak_terms(&distribution, 1, 284);
        assert_mean(&first, exact[1]);
        assert_mean(&second, exact[2]);
        // The components share their scale.
        let [first, second] = weak_terms(&distribution, 2, 285);
        assert_mean(&first.iter().zip(&second).map(|(a, b)| a + b).collect::<Vec<_>>(), exact[3]);
    }

    #[test]
    fn vectors_mix_too() {
        let tape = Tape::<f64>::new();
        let normal = Normal::new(tape.parameter([[0.0, 1.0], [5.0, 6.0], [-5.0, 0.0]]), 0.1);
        let components = crate::Independent::new(normal, 1).unwrap();
        let distribution = MixtureSameFamily::from_logits(tape.parameter([0.0, 1.0, 0.5]), components).unwrap();
        assert_eq!((distribution.event_shape().to_vec(), distribution.element_rank()), (vec![2], 1));
        let noise = KeyedNoise::new(284, 0);
        let draw = on_samples(&tape, &noise, 2000);
        let x = distribution.draw(&draw).unwrap();
        for row in x.as_slice().chunks(2) {
            let near = [[0.0, 1.0], [5.0, 6.0], [-5.0, 0.0]]
                .iter()
                .any(|at| (row[0] - at[0]).abs() < 1.0 && (row[1] - at[1]).abs() < 1.0);
            assert!(near, "{row:?} mixes the coordinates of two components");
        }
        let value = tape.constant([5.0, 6.0]);
        let by_hand = components.log_prob_each(value.unsqueeze(-2)) + tape.constant([0.0, 1.0, 0.5]).log_softmax(-1);
        assert!((distribution.log_prob(value).item().unwrap() - by_hand.logsumexp(-1).item().unwrap()).abs() < 1e-12);
        check_family(&tape, &distribution, value);
        assert!(distribution.capabilities().reparameterized.is_none());
    }

    #[test]
    fn misfits_are_errors() {
        let tape = Tape::<f64>::new();
        let weights = tape.parameter([0.5, 0.5]);
        assert!(MixtureSameFamily::from_probabilities(weights, Normal::new(tape.parameter(0.0), 1.0)).is_err());
        let three = Normal::new(tape.parameter([0.0, 1.0, 2.0]), 1.0);
        assert!(MixtureSameFamily::from_probabilities(weights, three).is_err());
    }
}
