//! Local expectation gradients: sums over the states of each element, given the sampled values of the others. Use it
//! for discrete nodes with few elements and states, when you can afford one evaluation of the cost for each of them.
//!
//! $$g = \sum_i \sum_s \nabla_\theta\, p_i(s; \theta)\, f(x_{-i}, x_i = s), \qquad x \sim p_\theta.$$
//!
//! Each element in turn goes through all its states while the others keep their sampled values, and what is downstream
//! is computed again under the same noise. A cost that is a sum of functions of one element each has no variance.
//! Titsias and Lázaro-Gredilla (2015); for bits with common random numbers, Tokui and Sato (2017) show that no
//! reparameterised estimator of its kind has a smaller variance. For a bit it equals
//! [`MeasureValued`](crate::MeasureValued).
//!
//! **Assumptions.** A finite support that is the same for all elements; the cost is finite in every state that a single
//! element may take.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1: the replays are detached |
//! | cost evaluations | one for each state of each element (for bits: one a bit), besides the sample's own |
//! | requirement on the cost | values |

use crate::common::sampling::Sampling;
use crate::enumeration::constant_support::constant_support;
use crate::sampling_setters;
use stochgrad_distributions::{DistributionResult, Family, FiniteSupport};
use stochgrad_graph::{
    CostContext, Count, GradientMethod, GradientTerm, GraphResult, Method, Order, Profile, SampleContext, SamplePlate,
    SampleSet, Size, Terms,
};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor, instantiated};

/// The sum over the states of each element given the others, for distributions with a finite support.
///
/// ```
/// use stochgrad_distributions::OneHotCategorical;
/// use stochgrad_estimators::LocalExpectation;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [[0.0, 0.0, 0.0], [0.5, -0.5, 0.0]])?;
/// let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &LocalExpectation::new())?;
/// let values = graph.constant([[1.0, 2.0, 6.0], [0.0, 1.0, 0.0]]);
/// graph.cost("loss", (x * values).sum())?;
/// // The cost is a sum over the elements, so that the gradient is exact.
/// let gradients = graph.backward()?;
/// let first = &gradients.get("logits")?.as_slice()[..3];
/// assert!(first.iter().zip([-2.0, -1.0, 3.0]).all(|(found, exact)| (found - exact / 3.0).abs() < 1e-12));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalExpectation {
    sampling: Sampling,
    limit: usize,
}

/// The largest number of states of an element that is gone through by default.
pub(crate) const MOST_STATES: usize = 4096;

impl Default for LocalExpectation {
    fn default() -> Self {
        LocalExpectation { sampling: Sampling::default(), limit: MOST_STATES }
    }
}

impl LocalExpectation {
    /// Draws one sample.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }

    /// Sets the largest number of states of an element, 4096 by default; a node with more of them is an error.
    pub fn limit(self, states: usize) -> Self {
        LocalExpectation { limit: states, ..self }
    }
}

impl Method for LocalExpectation {
    fn name(&self) -> String {
        format!("local expectation ({})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        // With more than two states, that of the sample is evaluated again.
        Profile::unbiased(Order::Finite(1))
            .evaluations(Count::exactly(1).and(2, Size::OtherStates))
            .times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for LocalExpectation
where
    for<'t> D::On<'t>: FiniteSupport<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.sampling.draw(context, distribution)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        Ok(Terms { gradient_terms: local_terms(context, distribution, self.limit, None)?, ..Terms::default() })
    }
}

/// The gradient terms for elements that go through all their states, one element at a time: all elements, or those
/// where the mask `only` (of the shape of the independent axes) is 1.
pub(crate) fn local_terms<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    distribution: &dyn FiniteSupport<'t, F>,
    limit: usize,
    only: Option<Var<'t, F>>,
) -> GraphResult<Vec<GradientTerm<'t, F>>> {
    instantiated!(
        F: for<'t> fn(
            &CostContext<'_, 't, F>,
            &dyn FiniteSupport<'t, F>,
            usize,
            Option<Var<'t, F>>,
        ) -> GraphResult<Vec<GradientTerm<'t, F>>> = local_terms_body
    )(context, distribution, limit, only)
}

fn local_terms_body<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    distribution: &dyn FiniteSupport<'t, F>,
    limit: usize,
    only: Option<Var<'t, F>>,
) -> GraphResult<Vec<GradientTerm<'t, F>>> {
    let tape = context.tape();
    let states = states(distribution, limit).map_err(|source| context.error(source))?;
    // One of two states is the sample, whose cost is known.
    let alternatives: Vec<Var<'t, F>> = match &states[..] {
        [first, second] => vec![tape.constant(add(first, second)) - context.value().stop_gradient()],
        states => states.iter().map(|state| tape.constant(state.clone())).collect(),
    };
    let zero = tape.constant(0.0);
    let terms = context.element_differences(&alternatives, distribution.element_rank())?.into_iter().map(|change| {
        let value = alternatives.iter().zip(change.values).fold(zero, |sum, (&alternative, change)| {
            let chance = distribution.probability_each(alternative);
            let change = only.map_or(change, |only| only.select(change, zero));
            sum + zero.straight_through((chance * change.stop_gradient()).sum())
        });
        GradientTerm { value, summed: change.summed }
    });
    Ok(terms.collect())
}

/// The values in which all elements are in the same state, one for each state.
pub(crate) fn states<'t, F: Real>(
    distribution: &dyn FiniteSupport<'t, F>,
    limit: usize,
) -> DistributionResult<Vec<Tensor<F>>> {
    let (support, event) = (constant_support(distribution, limit)?, distribution.event_shape());
    let states = support.shape().first().copied().unwrap_or(0);
    let elements = states.saturating_mul(event.numel());
    distribution.tape()?.check_memory("the states of the elements of a node", &[], elements)?;
    let width = (support.len() / states.max(1)).max(1);
    let state = |number: usize| Tensor::from_fn(event.clone(), |i| support.as_slice()[number * width + i % width]);
    Ok((0..states).map(state).collect())
}

fn add<F: Real>(a: &Tensor<F>, b: &Tensor<F>) -> Tensor<F> {
    Tensor::from_fn(a.shape().clone(), |i| a.as_slice()[i] + b.as_slice()[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterfactual::bit_flip::BitFlip;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, Binomial, Categorical, OneHotCategorical};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    #[test]
    fn it_is_unbiased_on_every_shape_of_graph() {
        let local: BitMethod = Arc::new(LocalExpectation::new());
        let two: BitMethod = Arc::new(LocalExpectation::new().samples(2));
        let score: BitMethod = Arc::new(ScoreFunction::new());
        let weak: BitMethod = Arc::new(MeasureValued::new());
        models::assert_unbiased([&local, &local, &local]);
        models::assert_unbiased([&score, &two, &weak]);
        Oracle::new().verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &two), 0..=1, 1e-9).unwrap();
    }

    #[test]
    fn categories_and_counts_are_exact_with_several_elements_and_data() {
        let vectors = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [[0.3, -0.7, 1.1], [0.0, 0.2, -0.4]])?;
            let features = graph.data("data", [0.5, -1.0])?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(t * features), &LocalExpectation::new())?;
            let score = (x * graph.constant([1.0, -2.0, 0.5])).sum_axis(-1);
            graph.cost("cost", (score.index(0, 0) * score.index(0, 1) + features).square())
        };
        Oracle::new().verify(vectors, 0..=1, 1e-9).unwrap();
        let numbers = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [[0.3, -0.7, 1.1], [0.0, 0.2, -0.4]])?;
            let p = graph.param("p", [0.3, 0.6])?;
            let x = graph.sample("x", &Categorical::from_logits(t), &LocalExpectation::new())?;
            let n = graph.sample("n", &Binomial::from_probabilities(3.0, p), &LocalExpectation::new())?;
            let y = graph.sample("y", &Bernoulli::from_logits(x.sum() - n.sum()), &ScoreFunction::new())?;
            graph.cost("cost", (x * n).sum() + y * p.sum())
        };
        Oracle::new().verify(numbers, 0..=1, 1e-9).unwrap();
    }

    #[test]
    fn costs_that_are_sums_over_the_elements_have_no_variance() {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [[0.3, -0.7, 1.1], [0.0, 0.2, -0.4]])?;
            let x = graph.sample("x", &Categorical::from_logits(t), &LocalExpectation::new())?;
            graph.cost("cost", (x * graph.constant([1.0, -3.0])).exp().sum())
        };
        let moments = Oracle::new().gradient(model).unwrap();
        assert!(moments.variance("t").unwrap().as_slice().iter().all(|&variance| variance < 1e-20));
    }

    /// A flip of one bit of D has the variance D E[g²] − (E g)², with the g of all flips.
    #[test]
    fn its_variance_is_that_of_all_flips() {
        let moments = |method: BitMethod| {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", [0.3, -1.4, 2.0])?;
                let x = graph.sample("x", &Bernoulli::from_logits(t), &method)?;
                graph.cost("cost", (x * graph.constant([1.0, -2.0, 0.7])).sum().exp())
            };
            Oracle::new().gradient(model).unwrap()
        };
        let (all, one) = (moments(Arc::new(LocalExpectation::new())), moments(Arc::new(BitFlip::new())));
        for i in 0..3 {
            let mean = all.mean("t").unwrap().as_slice()[i];
            let square = all.variance("t").unwrap().as_slice()[i] + mean * mean;
            let flip = one.variance("t").unwrap().as_slice()[i];
            assert_abs_diff_eq!(flip, (3.0 * square - mean * mean), epsilon = 1e-12);
        }
    }

    #[test]
    fn impossible_states_have_the_right_derivative() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let p = graph.param("p", [0.0, 0.25, 0.75]).unwrap();
        let x = graph.sample("x", &OneHotCategorical::from_probabilities(p), &LocalExpectation::new()).unwrap();
        graph.cost("cost", (x * graph.constant([3.0, 5.0, 7.0])).sum()).unwrap();
        let found = graph.backward().unwrap().get("p").unwrap().to_vec();
        // Along directions that keep the sum of the probabilities.
        assert!((found[0] - found[1] + 2.0).abs() < 1e-12 && (found[2] - found[1] - 2.0).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn compiled_graphs_do_the_same() {
        models::assert_compiled(&(Arc::new(LocalExpectation::new().samples(2)) as BitMethod));
    }
}
