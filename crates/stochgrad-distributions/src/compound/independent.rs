//! Independent elements joined to one element.
//!
//! $$\ln p(x) = \sum_i \ln p_i(x_i).$$

use crate::compound::wrapper::{delegate, lacks};
use crate::distribution::{Family, Live, TensorDistribution, ToTensors};
use crate::prelude::*;
use crate::sampled_by_rand;
use stochgrad_tape::{IdMap, Tape};

/// A distribution whose last independent axes are axes of one element. The log-probability of the element is the sum
/// over these axes.
///
/// Use it where another distribution needs elements that are vectors: for the components of a mixture, or for the base
/// of a transformation of vectors. Otherwise event axes need no wrapper, since [`log_prob`](Distribution::log_prob)
/// adds up all elements.
///
/// ```
/// use stochgrad_distributions::{Distribution, Independent, Normal};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let vectors = Independent::new(Normal::new(tape.constant([[0.0, 1.0], [2.0, 3.0]]), 1.0), 1)?;
/// assert_eq!((vectors.element_rank(), vectors.event_shape().to_vec()), (1, vec![2, 2]));
/// assert_eq!(vectors.log_prob_each(tape.constant([[0.0, 1.0], [2.0, 3.0]])).shape().to_vec(), [2]);
/// # Ok(())
/// # }
/// ```
///
/// It offers the path, the score and the entropy of the distribution inside, and the distribution functions of single
/// coordinates ([`ConditionalCumulative`](crate::ConditionalCumulative)) where one axis is joined. Weak and stochastic derivatives replace
/// single elements and are available only without the wrapper.
#[derive(Clone, Copy, Debug)]
pub struct Independent<D> {
    inner: Joined<D>,
}

/// [`Independent`] without conditions on the distribution inside.
#[derive(Clone, Copy, Debug)]
struct Joined<D> {
    base: D,
    axes: usize,
}

impl<D> Independent<D> {
    /// The distribution whose last `axes` independent axes belong to one element.
    ///
    /// # Errors
    /// If the distribution has fewer independent axes, or fewer axes than one element has.
    pub fn new<'t, F: Real>(base: D, axes: usize) -> DistributionResult<Self>
    where
        D: Distribution<'t, F>,
    {
        let (rank, own) = (base.event_shape().len(), base.element_rank());
        let Some(independent) = rank.checked_sub(own) else {
            let problem = format!(
                "expected {} with at least {own} event axes, which one element has, got {rank}; give it parameters \
                 with more axes",
                base.name()
            );
            return Err(crate::DistributionError::Unsupported { distribution: "Independent", problem });
        };
        if axes > independent {
            let problem = format!(
                "expected at most {independent} axes to join, since {} has no more independent ones, got {axes}",
                base.name()
            );
            return Err(crate::DistributionError::Unsupported { distribution: "Independent", problem });
        }
        Ok(Independent { inner: Joined { base, axes } })
    }

    /// The distribution inside.
    pub fn base(&self) -> &D {
        &self.inner.base
    }
}

impl<F: Real, S: Family<F>> Family<F> for Independent<S> {
    type On<'t> = Independent<S::On<'t>>;

    fn store(live: &Self::On<'_>) -> Self {
        Independent { inner: Joined { base: S::store(&live.inner.base), axes: live.inner.axes } }
    }

    fn bind<'t>(&self, tape: &'t Tape<F>, ids: &IdMap) -> DistributionResult<Self::On<'t>> {
        Ok(Independent { inner: Joined { base: self.inner.base.bind(tape, ids)?, axes: self.inner.axes } })
    }
}

impl<'t, F: Real, D: Live<'t, F>> Live<'t, F> for Independent<D> {
    type Family = Independent<D::Family>;
}

impl<F: Real, D: TensorDistribution<F>> TensorDistribution<F> for Independent<D> {
    type On<'t> = Independent<D::On<'t>>;

    fn on<'t>(&self, tape: &'t Tape<F>) -> Self::On<'t> {
        Independent { inner: Joined { base: self.inner.base.on(tape), axes: self.inner.axes } }
    }
}

impl<'t, F: Real, D: ToTensors<'t, F>> ToTensors<'t, F> for Independent<D> {
    type Tensors = Independent<D::Tensors>;

    fn to_tensors(&self) -> DistributionResult<Self::Tensors> {
        Ok(Independent { inner: Joined { base: self.inner.base.to_tensors()?, axes: self.inner.axes } })
    }
}

sampled_by_rand!([D: TensorDistribution<F>] Independent<D>);

impl<'t, F: Real, D: Distribution<'t, F>> Distribution<'t, F> for Joined<D> {
    fn name(&self) -> &'static str {
        "Independent"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        self.base.parameters()
    }

    fn event_shape(&self) -> Shape {
        self.base.event_shape()
    }

    fn element_rank(&self) -> usize {
        self.base.element_rank() + self.axes
    }

    fn support(&self) -> Support {
        self.base.support()
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.base.log_prob_each(value).sum_last(self.axes)
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.base.sample(draw)
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        self.base.mean()
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        self.base.variance()
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        self.base.mode()
    }

    fn validate(&self) -> DistributionResult<()> {
        self.base.validate()
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        let inside = self.base.capabilities();
        Capabilities {
            score: inside.score.map(|_| self as _),
            reparameterized: inside.reparameterized.map(|_| self as _),
            entropy: inside.entropy.map(|_| self as _),
            conditional_cdf: inside.cdf.filter(|_| self.has_vectors()).map(|_| self as _),
            ..Capabilities::default()
        }
    }
}

impl<D> Joined<D> {
    /// Whether an element is a vector of numbers.
    fn has_vectors<'t, F: Real>(&self) -> bool
    where
        D: Distribution<'t, F>,
    {
        self.axes == 1 && self.base.element_rank() == 0
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> ConditionalCumulative<'t, F> for Joined<D> {
    fn conditionals(&self, value: Var<'t, F>) -> Conditionals<'t, F> {
        let log_prob = self.base.log_prob_each(value);
        match self.base.capabilities().cdf.filter(|_| self.has_vectors()) {
            Some(base) => {
                Conditionals { log_prob, log_cdf: base.log_cdf(value), log_survival: base.log_survival(value) }
            }
            None => {
                let unknown = value * f64::NAN;
                Conditionals { log_prob, log_cdf: unknown, log_survival: unknown }
            }
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> ScoreDifferentiable<'t, F> for Joined<D> {}

impl<'t, F: Real, D: Distribution<'t, F>> Reparameterized<'t, F> for Joined<D> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        match self.base.capabilities().reparameterized {
            Some(path) => path.rsample(draw),
            None => Err(lacks("Independent", "a path", self.base.name())),
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> ClosedFormEntropy<'t, F> for Joined<D> {
    fn entropy(&self) -> Var<'t, F> {
        match (self.base.capabilities().entropy, self.base.tape()) {
            (Some(closed), _) => closed.entropy(),
            (None, Ok(tape)) => tape.constant(f64::NAN),
            (None, Err(_)) => unreachable!("a distribution without parameters has no log-probability either"),
        }
    }
}

delegate!([D: Distribution<'t, F>] Independent<D>);

impl<'t, F: Real, D: ScoreDifferentiable<'t, F>> ScoreDifferentiable<'t, F> for Independent<D> {}

impl<'t, F: Real, D: Reparameterized<'t, F>> Reparameterized<'t, F> for Independent<D> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.inner.base.rsample(draw)
    }
}

impl<'t, F: Real, D: CumulativeDistribution<'t, F>> ConditionalCumulative<'t, F> for Independent<D> {
    fn conditionals(&self, value: Var<'t, F>) -> Conditionals<'t, F> {
        self.inner.conditionals(value)
    }
}

impl<'t, F: Real, D: ClosedFormEntropy<'t, F>> ClosedFormEntropy<'t, F> for Independent<D> {
    fn entropy(&self) -> Var<'t, F> {
        self.inner.base.entropy()
    }
}

impl<'t, F: Real, P: KlDivergence<'t, F, Q>, Q> KlDivergence<'t, F, Independent<Q>> for Independent<P> {
    fn kl_to(&self, other: &Independent<Q>) -> Var<'t, F> {
        self.inner.base.kl_to(&other.inner.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuous::normal::Normal;
    use crate::multivariate::dirichlet_multinomial::DirichletMultinomial;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::check_family;
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Plates;

    #[test]
    fn elements_are_joined() {
        let tape = Tape::<f64>::new();
        let normal = Normal::new(tape.parameter([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]), 2.0);
        let distribution = Independent::new(normal, 1).unwrap();
        let value = tape.constant([[0.5, 1.0, 2.0], [3.0, 4.0, 6.0]]);
        let each = distribution.log_prob_each(value).peek().unwrap();
        assert_eq!(each, normal.log_prob_each(value).sum_last(1).peek().unwrap());
        assert_abs_diff_eq!(
            distribution.log_prob(value).item().unwrap(),
            normal.log_prob(value).item().unwrap(),
            epsilon = 1e-13
        );
        assert_eq!(distribution.entropy().item(), normal.entropy().item());
        assert_eq!(distribution.kl_to(&distribution).item(), Ok(0.0));
        let noise = KeyedNoise::new(1, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
        assert_eq!(distribution.rsample(&draw).unwrap().peek().unwrap(), normal.draw(&draw).unwrap());
        let can = distribution.capabilities();
        assert!(can.score.is_some() && can.reparameterized.is_some() && can.weak_derivative.is_none());
        check_family(&tape, &distribution, value);
        assert!(Independent::new(normal, 3).is_err());
    }

    #[test]
    fn what_the_distribution_inside_lacks_is_lacking() {
        let tape = Tape::<f64>::new();
        let inside = DirichletMultinomial::new(3.0, tape.parameter([[1.0, 2.0], [0.5, 3.0]]));
        let distribution = Independent::new(inside, 1).unwrap();
        assert!(distribution.capabilities().reparameterized.is_none() && distribution.capabilities().entropy.is_none());
    }
}
