//! Generalised Gumbel-softmax: a continuous relaxation of a count. Use it for Poisson, geometric, binomial and negative
//! binomial nodes with a cost that is smooth in the count, when a low variance matters more than a bias.
//!
//! The distribution is cut at a last count $n$, and its counts are the categories of a relaxation:
//!
//! $$z = \sum_{k=0}^{n} k\, w_k, \qquad w = \operatorname{softmax}\big((\ln \pi + G)/\tau\big), \qquad g = f'(z)\, \partial_\theta\, z,$$
//!
//! with Gumbel noise $G$ and $\pi_k = P(X = k)$ for $k < n$. The last count has the rest of the probability, $\pi_n =
//! P(X \ge n)$, or its own one, so that the distribution is that of the counts up to $n$
//! ([`renormalized`](GeneralizedGumbelSoftmax::renormalized)).
//!
//! Joo, Kim, Shin and Moon, "Generalized Gumbel-softmax gradient estimator for generic discrete random variables"
//! (2020).
//!
//! **Assumptions.** The cost is defined and differentiable between the counts (plain) or at them (straight-through).
//! Paths from the value are checked as for [`Pathwise`](crate::Pathwise).
//!
//! | | plain | straight-through |
//! |---|---|---|
//! | bias | another distribution is sampled, cut off and relaxed: costs and gradients are those of the relaxed model | another distribution is sampled, cut off at the last count; the gradient is that of the relaxation |
//! | order | 1 | 1 |
//! | cost evaluations | one a sample, and one backward pass | the same |
//! | requirement on the cost | values and derivatives between the counts | derivatives at the counts |
//!
//! Time and memory are those of $n + 1$ values for each element. A cost that is exact at the counts and cheap to
//! evaluate has an unbiased alternative with little variance in [`MeasureValued`](crate::MeasureValued), and
//! [`Fini`](crate::Fini) is exact for polynomial costs.

use crate::common::sampling::Sampling;
use crate::enumeration::enumerate::element_values;
use crate::relaxation::temperature::Temperature;
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, DistributionError, Family, IntegerSupport, Support};
use stochgrad_graph::{
    Access, Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, MethodSlots, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Terms, path_order,
};
use stochgrad_tape::{PlateKind, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// Relaxed counts, for distributions of counts with a distribution function.
///
/// ```
/// use stochgrad_distributions::Poisson;
/// use stochgrad_estimators::GeneralizedGumbelSoftmax;
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let rate = graph.param("rate", [1.5, 4.0])?;
/// let method = GeneralizedGumbelSoftmax::new(0.5, 15);
/// let spikes = graph.sample("spikes", &Poisson::from_rate(rate), &method)?;
/// graph.cost("loss", (spikes - 3.0).square().sum())?;
/// assert_eq!(graph.backward()?.guarantee("rate")?.bias, Bias::Distribution);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GeneralizedGumbelSoftmax {
    temperature: Temperature,
    last: usize,
    is_renormalized: bool,
    straight_through: bool,
    sampling: Sampling,
    assume_continuous: bool,
}

impl GeneralizedGumbelSoftmax {
    /// Draws one relaxed count at a temperature, from the counts up to `last`, which has the rest of the probability.
    pub fn new(temperature: impl Into<Temperature>, last: usize) -> Self {
        GeneralizedGumbelSoftmax {
            temperature: temperature.into(),
            last,
            is_renormalized: false,
            straight_through: false,
            sampling: Sampling::default(),
            assume_continuous: false,
        }
    }

    /// Draws from the distribution given that the count is at most the last one, instead of adding the rest of the
    /// probability to the last one.
    pub fn renormalized(self) -> Self {
        GeneralizedGumbelSoftmax { is_renormalized: true, ..self }
    }

    /// Uses hard counts, with the derivatives of the relaxed ones.
    pub fn straight_through(self) -> Self {
        GeneralizedGumbelSoftmax { straight_through: true, ..self }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        GeneralizedGumbelSoftmax { assume_continuous: true, ..self }
    }

    fn check<'t, F: Real>(&self, distribution: &dyn Distribution<'t, F>) -> Result<(), DistributionError> {
        let problem = if distribution.support() != Support::Counts {
            "expected counts 0, 1, 2, …; for bits and categories use GumbelSoftmax, and for other integers \
             ScoreFunction or MeasureValued"
        } else if self.last == 0 {
            "expected a last count of at least 1, got 0, which leaves a constant; take one that is hardly ever exceeded"
        } else {
            return Ok(());
        };
        Err(DistributionError::Unsupported { distribution: distribution.name(), problem: problem.into() })
    }

    /// The logarithms of the probabilities of the counts up to the last one, along a first axis.
    fn log_probs<'t, F: Real>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &dyn IntegerSupport<'t, F>,
    ) -> GraphResult<Var<'t, F>> {
        let (tape, states, event) = (context.tape(), self.last + 1, distribution.event_shape());
        tape.check_memory("relaxed counts", &[], states.saturating_mul(event.numel()))?;
        let counts = Tensor::from_fn([states], F::from_usize);
        let plate = tape.plate("counts", states, PlateKind::Enumerated, &[]);
        let values = tape.constant_on(&[plate], element_values(&counts, states, event.numel(), &event));
        let logs = distribution.log_prob_each(values).plate_to_event(plate);
        if self.is_renormalized {
            return Ok(logs);
        }
        let before = tape.constant(Tensor::full(event, F::from_usize(self.last - 1)));
        let rest = distribution.log_survival(before).unsqueeze(0);
        Ok(Var::concat(&[logs.slice(0, 0..self.last), rest], 0)?)
    }
}

impl Method for GeneralizedGumbelSoftmax {
    fn name(&self) -> String {
        let rest = if self.is_renormalized { ", renormalised" } else { "" };
        let form = if self.straight_through { "straight-through, " } else { "" };
        format!(
            "generalised Gumbel-softmax ({form}{}, counts up to {}{rest}, {})",
            self.temperature,
            self.last,
            self.sampling.describe()
        )
    }

    fn profile(&self) -> Profile {
        let access = if self.straight_through { Access::Derivatives } else { Access::Between };
        Profile { access, ..Profile::biased(Bias::Distribution) }.times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn is_rerecordable(&self) -> bool {
        true
    }

    fn slots(&self) -> MethodSlots {
        self.temperature.slots()
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for GeneralizedGumbelSoftmax
where
    for<'t> D::On<'t>: IntegerSupport<'t, F>,
{
    fn guarantee(&self, _distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        Ok(self.profile().guarantee(path).at_most(path_order(path, self.assume_continuous)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.check(distribution).map_err(|source| context.error(source))?;
        self.temperature.check(context, distribution)?;
        let (plate, draw) = self.sampling.members(context)?;
        let logs = self.log_probs(context, distribution)?;
        let shape = logs.shape();
        let gumbel = -draw.record_exponential(context.tape(), &shape).map_err(|source| context.error(source))?.ln();
        let perturbed = logs + gumbel;
        let ones = Shape::from(vec![1; shape.rank() - 1]);
        let numbers: Shape = std::iter::once(shape[0]).chain(ones.iter().copied()).collect();
        let counts = context.tape().constant(Tensor::from_fn(numbers, F::from_usize));
        let soft = ((perturbed / self.temperature.record(context.tape())).softmax(0) * counts).sum_axis(0);
        let value = if self.straight_through { perturbed.argmax(0).straight_through(soft) } else { soft };
        Ok(SampleSet::equal(value, plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        Ok(Terms { updates: self.temperature.updates(context.tape()), ..Terms::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_distributions::{Bernoulli, Binomial, Categorical, Geometric, NegativeBinomial, Poisson};
    use stochgrad_graph::{Graph, Order, Seed};
    use stochgrad_tape::Tape;

    const SAMPLES: usize = 100_000;

    /// The mean of the count, that of its squared distance to 1.3, and their derivatives with respect to the rate.
    fn moments(rate: f64, method: &GeneralizedGumbelSoftmax) -> [(f64, f64); 2] {
        [false, true].map(|squared| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(7));
            let rate = graph.param("rate", rate).unwrap();
            let z = graph.sample("z", &Poisson::from_rate(rate), &method.clone().samples(SAMPLES)).unwrap();
            graph.cost("cost", if squared { (z - 1.3).square() } else { z }).unwrap();
            let gradients = graph.backward().unwrap();
            (gradients.cost("cost").unwrap(), gradients.get("rate").unwrap().item().unwrap())
        })
    }

    #[test]
    fn cut_poisson_counts_have_the_known_moments() {
        let tail = |temperature| GeneralizedGumbelSoftmax::new(temperature, 2);
        for (rate, method, known) in [
            (0.8, tail(1.0), [(0.8151280117, 0.5997844887), (0.4228262533, -0.5138726608)]),
            (0.8, tail(0.5), [(0.7689131743, 0.7350911467), (0.6098073336, -0.6202452206)]),
            (1.5, tail(0.7), [(1.177330911, 0.4546757232), (0.2918985839, -0.1517487671)]),
            (0.8, tail(1.0).renormalized(), [(0.7636941958, 0.4973200676), (0.4623236465, -0.4762441855)]),
        ] {
            for (found, known) in moments(rate, &method).into_iter().zip(known) {
                // The counts lie within 2, and the derivatives of the terms within about 2.
                let error = 0.7 / (SAMPLES as f64).sqrt();
                assert!((found.0 - known.0).abs() < 4.0 * error, "{}: {found:?}, exact {known:?}", method.name());
                assert!((found.1 - known.1).abs() < 4.0 * error, "{}: {found:?}, exact {known:?}", method.name());
            }
        }
    }

    #[test]
    fn hard_counts_have_the_distribution_that_was_cut() {
        let hard = GeneralizedGumbelSoftmax::new(0.5, 2).straight_through();
        // With the rest on the last count: 0, 1 and 2 with the probabilities .4493, .3595 and .1912.
        let [(mean, slope), (square, _)] = moments(0.8, &hard);
        assert!((mean - 0.7418789005).abs() < 4.0 * 0.75 / (SAMPLES as f64).sqrt(), "{mean}");
        assert!((square - 0.8854094884).abs() < 4.0 * 0.7 / (SAMPLES as f64).sqrt(), "{square}");
        // The derivative is that of the relaxed counts.
        assert!((slope - 0.7350911467).abs() < 4.0 * 0.7 / (SAMPLES as f64).sqrt(), "{slope}");
        let [(mean, _), _] = moments(0.8, &hard.renormalized());
        assert!((mean - 0.679245283).abs() < 4.0 * 0.75 / (SAMPLES as f64).sqrt(), "{mean}");
    }

    #[test]
    fn every_distribution_of_counts_is_relaxed_element_by_element() {
        let tape = Tape::<f32>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let rows = graph.data("rows", [[0.1, 0.4], [0.2, -0.3], [0.0, 1.0]]).unwrap();
        let logits = graph.param("logits", [[0.2, -0.4], [0.0, 0.3]]).unwrap() + rows;
        let method = GeneralizedGumbelSoftmax::new(0.5, 20).samples(4);
        let a = graph.sample("a", &Geometric::from_logits(logits), &method).unwrap();
        let b = graph.sample("b", &NegativeBinomial::from_logits(2.5, logits), &method).unwrap();
        // Counts above the three trials have no probability.
        let c = graph.sample("c", &Binomial::from_logits(3.0, logits), &method).unwrap();
        let d = graph.sample("d", &Poisson::from_log_rate(logits), &method).unwrap();
        for x in [a, b, c, d] {
            assert_eq!(x.shape().to_vec(), [2, 2]);
            assert!(x.peek().unwrap().as_slice().iter().all(|&x| (0.0..=20.0).contains(&x)));
        }
        assert!(c.peek().unwrap().as_slice().iter().all(|&x| x <= 3.0));
        graph.cost("cost", (a + b * 0.1 + c * c + d.sin()).sum()).unwrap();
        let gradients = graph.backward().unwrap();
        assert!(gradients.get("logits").unwrap().all_finite());
        let guarantee = gradients.guarantee("logits").unwrap();
        assert_eq!((guarantee.bias, guarantee.order), (Bias::Distribution, Order::Finite(1)));
    }

    #[test]
    fn other_supports_and_constants_are_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let p = graph.param("p", 0.3).unwrap();
        let method = GeneralizedGumbelSoftmax::new(0.5, 3);
        let error = graph.sample("x", &Bernoulli::from_probabilities(p), &method).unwrap_err().to_string();
        assert!(error.contains("use GumbelSoftmax"), "{error}");
        let categories = Categorical::from_logits(graph.param("logits", [0.2, -0.4]).unwrap());
        assert!(graph.sample("y", &categories, &method).unwrap_err().to_string().contains("expected counts"));
        let constant = GeneralizedGumbelSoftmax::new(0.5, 0);
        let error = graph.sample("z", &Poisson::from_rate(p), &constant).unwrap_err().to_string();
        assert!(error.contains("at least 1"), "{error}");
        assert!(graph.sample("w", &Poisson::from_rate(p), &GeneralizedGumbelSoftmax::new(0.0, 3)).is_err());
    }
}
