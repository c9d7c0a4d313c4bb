//! The GO gradient of integers: the change of the cost one step up, weighted by the probability mass that crosses this
//! step. Use it for counts whose parameters have no stochastic derivative, such as the number of successes of
//! `NegativeBinomial`.
//!
//! With the distribution function $Q_\theta$ and the probabilities $q_\theta$ of each independent element,
//!
//! $$\nabla_\theta\, \mathbb{E}[f(y)] = \mathbb{E}\Big[\sum_i -\frac{\nabla_\theta\, Q_\theta(y_i)}{q_\theta(y_i)}\, \big(f(y_{-i}, y_i + 1) - f(y)\big)\Big].$$
//!
//! When $\theta$ changes, the mass $-\nabla_\theta Q(y)$ moves from $y$ to $y + 1$. This is summation by parts, where a
//! sample path has integration by parts. Cong, Zhao, Bai and Carin (2019), "general and one-sample". Categories are
//! taken in their order. For counts whose distribution moves in one direction it is one of the sides of
//! [`StochasticDerivatives`](crate::StochasticDerivatives); for categories it is "always up". It needs only the
//! distribution function.
//!
//! Values of probability zero are skipped. If none of $y + 1, \dots, y' - 1$ is possible and none of their
//! probabilities has a derivative, $\nabla_\theta\, Q_\theta$ is the same for all of $y, \dots, y' - 1$, and the steps
//! add up to $f(y') - f(y)$. Elements for which a probability of zero has a derivative (a probability as a parameter,
//! at 0 or 1) go through all their values instead.
//!
//! **Assumptions.** Integers with a known distribution function. The cost is finite one step above every possible
//! value.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1: the replays are detached |
//! | cost evaluations | one for each element, besides the sample's own |
//! | requirement on the cost | values |

use crate::common::sampling::Sampling;
use crate::enumeration::boundary::Boundary;
use crate::sampling_setters;
use stochgrad_distributions::{CumulativeDistribution, Distribution, Family, IntegerSupport};
use stochgrad_graph::{
    CostContext, Count, GradientMethod, GradientTerm, GraphResult, Method, Order, Profile, SampleContext, SamplePlate,
    SampleSet, Size, Terms,
};
use stochgrad_tensor::Real;

/// The GO gradient, for distributions of integers.
///
/// ```
/// use stochgrad_distributions::Poisson;
/// use stochgrad_estimators::DiscreteGo;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let rate = graph.param("rate", 2.5)?;
/// let count = graph.sample("count", &Poisson::from_rate(rate), &DiscreteGo::new())?;
/// graph.cost("loss", count * 3.0)?;
/// assert!((graph.backward()?.get("rate")?.as_slice()[0] - 3.0).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiscreteGo {
    sampling: Sampling,
}

impl DiscreteGo {
    /// Draws one sample.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }
}

impl Method for DiscreteGo {
    fn name(&self) -> String {
        format!("discrete GO ({})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1))
            .evaluations(Count::exactly(1).and(1, Size::Elements))
            .times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for DiscreteGo
where
    for<'t> D::On<'t>: IntegerSupport<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.sampling.draw(context, distribution)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let value = context.value().stop_gradient();
        let zero = context.tape().constant(0.0);
        let next = distribution.successor(value).stop_gradient();
        let below_another = next.gt(value);
        let chance = distribution.log_prob_each(value).exp().stop_gradient();
        let boundary = Boundary::split(context, distribution)?;
        let cumulative = boundary.inside.cdf(value);
        let mut terms = Terms { gradient_terms: boundary.terms, ..Terms::default() };
        for change in context.element_differences(&[next], distribution.element_rank())? {
            let up = change.values.into_iter().fold(zero, |sum, up| sum + up);
            let flow = below_another.select(-up / chance, zero);
            let value = zero.straight_through((flow.stop_gradient() * cumulative).sum());
            terms.gradient_terms.push(GradientTerm { value, summed: change.summed });
        }
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::counterfactual::stochastic_derivatives::StochasticDerivatives;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, Binomial, Categorical, Geometric, Id, NegativeBinomial, Poisson, Side};
    use stochgrad_graph::{DynMethod, Graph, Seed};
    use stochgrad_tape::{Tape, Var};

    #[test]
    fn bits_are_exact_on_every_shape_of_graph() {
        let go: BitMethod = Arc::new(DiscreteGo::new());
        let two: BitMethod = Arc::new(DiscreteGo::new().samples(2));
        let score: BitMethod = Arc::new(ScoreFunction::new());
        models::assert_unbiased([&go, &go, &go]);
        models::assert_unbiased([&score, &two, &score]);
        Oracle::new().verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &two), 0..=1, 1e-9).unwrap();
    }

    #[test]
    fn every_distribution_of_whole_numbers_is_exact_by_every_parameter() {
        macro_rules! check {
            ($what:literal, $start:expr, $distribution:expr) => {
                let model = |graph: &Graph<'_, f64>| {
                    let t = graph.param("t", $start)?;
                    let x = graph.sample("x", &$distribution(t), &DiscreteGo::new())?;
                    let y = graph.sample("y", &Bernoulli::from_logits(x.sum() * 0.4 - 1.0), &ScoreFunction::new())?;
                    graph.cost("cost", (x.sum() + 1.0 - y * 2.0).square() * 0.1 + t.sum() * x.sum() * y)
                };
                if let Err(error) = Oracle::new().max_outcomes(200_000).verify(model, 0..=1, 1e-9) {
                    panic!("{}: {error}", $what);
                }
            };
        }
        check!("Poisson", 0.6, Poisson::from_rate);
        check!("Poisson by log-rate", -0.3, Poisson::from_log_rate);
        check!("Binomial", [0.6, 0.3], |p| Binomial::from_probabilities(3.0, p));
        check!("Binomial by logit", 0.6, |p| Binomial::from_logits(3.0, p));
        check!("Geometric", 0.6, Geometric::from_probabilities);
        check!("Geometric by logit", 0.6, Geometric::from_logits);
        check!("NegativeBinomial", 0.7, |p| NegativeBinomial::from_probabilities(2.5, p));
        fn by_successes(successes: Var<'_, f64>) -> NegativeBinomial<Var<'_, f64>> {
            NegativeBinomial::from_probabilities(successes, successes * 0.0 + 0.7)
        }
        check!("successes of a NegativeBinomial", 1.5, by_successes);
        check!("Categorical", [[0.3, -0.7, 1.1], [0.0, 0.2, -0.4]], Categorical::from_logits);
    }

    /// The cost (x − 3)² of a Poisson count and the log-rate. The variance is that of a coupled measure-valued
    /// derivative, since the two methods coincide.
    #[test]
    fn the_variance_is_the_known_one() {
        for (rate, mean, variance) in [(3.0_f64, 3.0, 108.0), (0.5, -2.0, 0.5)] {
            let model = |graph: &Graph<'_, f64>| {
                let log_rate = graph.param("log rate", rate.ln())?;
                let x = graph.sample("x", &Poisson::from_log_rate(log_rate), &DiscreteGo::new())?;
                graph.cost("cost", (x - 3.0).square())
            };
            let moments = Oracle::new().gradient(model).unwrap();
            assert_abs_diff_eq!(moments.mean("log rate").unwrap().as_slice()[0], mean, epsilon = 1e-9);
            let found = moments.variance("log rate").unwrap().as_slice()[0];
            assert!((found - variance).abs() < 1e-8 * variance, "{found}");
        }
    }

    #[test]
    fn it_is_one_side_of_a_stochastic_derivative() {
        fn variance(method: DynMethod<f64, Geometric<Id>>) -> f64 {
            let model = |graph: &Graph<'_, f64>| {
                let p = graph.param("p", 0.6)?;
                let x = graph.sample("x", &Geometric::from_probabilities(p), &method)?;
                graph.cost("cost", (x + 1.0).sqrt())
            };
            Oracle::new().gradient(model).unwrap().variance("p").unwrap().as_slice()[0]
        }
        let go = variance(Arc::new(DiscreteGo::new()));
        let left = variance(Arc::new(StochasticDerivatives::new().side(Side::Left)));
        assert!((go - left).abs() < 1e-9 && go > 1e-3, "{go}, {left}");
        assert!(variance(Arc::new(MeasureValued::new())) > 0.0);
    }

    #[test]
    fn ends_of_the_support_give_no_nan() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let p = graph.param("p", [0.0, 0.5, 1.0]).unwrap();
        let x = graph.sample("x", &Binomial::from_probabilities(2.0, p), &DiscreteGo::new().samples(20)).unwrap();
        let q = graph.param("q", [f64::NEG_INFINITY, 0.0, f64::NEG_INFINITY]).unwrap();
        let y = graph.sample("y", &Categorical::from_logits(q), &DiscreteGo::new().samples(20)).unwrap();
        let r = graph.param("r", [0.0, 2.0]).unwrap();
        let z = graph.sample("z", &Poisson::from_rate(r), &DiscreteGo::new().samples(20)).unwrap();
        graph.cost("of x", x.sum().square()).unwrap();
        graph.cost("of y", (y + 1.0).sqrt()).unwrap();
        graph.cost("of z", z.sum().square()).unwrap();
        let gradients = graph.backward().unwrap();
        assert!(["p", "q", "r"].iter().all(|name| gradients.get(name).unwrap().all_finite()), "{gradients:?}");
    }

    #[test]
    fn compiled_graphs_do_the_same() {
        models::assert_compiled(&(Arc::new(DiscreteGo::new().samples(2)) as BitMethod));
    }
}
