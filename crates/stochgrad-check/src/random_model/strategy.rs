//! Random models for property tests, which shrink to small ones.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::select;

use super::{Cost, Node, RandomModel};

/// A node before the number of nodes is known.
#[derive(Clone, Debug)]
struct NodeDraft {
    offset: f64,
    slope: f64,
    element: usize,
    /// The distance to a node before, modulo the number of these nodes, its factor, and whether it is multiplied by `t`.
    /// A distance has a meaning also after other nodes were left out, so that failures shrink further.
    parents: Vec<(usize, f64, bool)>,
    has_rows: bool,
}

/// A cost before the number of nodes is known. Positions are taken modulo the number of nodes.
#[derive(Clone, Debug)]
struct CostDraft {
    last: usize,
    factor: f64,
    others: Vec<Option<f64>>,
    offset: f64,
    product: Option<usize>,
    scale: Option<usize>,
}

/// The most nodes of a model.
const NODES: usize = 3;

/// A factor between 1/4 and 1. The simplest one is 1.
fn factors() -> impl Strategy<Value = f64> {
    select(vec![1.0, -1.0, 0.5, -0.5, 0.25, -0.25, 0.75, -0.75, 0.375, -0.625, 0.875])
}

fn nodes() -> impl Strategy<Value = NodeDraft> {
    let parents = vec((0..NODES - 1, factors(), any::<bool>()), 0..NODES);
    (factors(), factors(), 0..2_usize, parents, any::<bool>())
        .prop_map(|(offset, slope, element, parents, has_rows)| NodeDraft { offset, slope, element, parents, has_rows })
}

fn costs() -> impl Strategy<Value = CostDraft> {
    let others = vec(proptest::option::of(factors()), NODES - 1);
    let (product, scale) = (proptest::option::of(0..NODES), proptest::option::of(0..2_usize));
    (0..NODES, factors(), others, factors(), product, scale).prop_map(
        |(last, factor, others, offset, product, scale)| CostDraft { last, factor, others, offset, product, scale },
    )
}

/// Random models of the kind of [`RandomModel::new`], for property tests with the crate `proptest`. With the feature
/// `proptest`.
///
/// A failing model shrinks: to fewer nodes, fewer edges and costs, and factors of 1, so that the formulas that
/// [`Display`](std::fmt::Display) writes show what the failure needs.
///
/// ```
/// use proptest::prelude::*;
/// use stochgrad_check::{Oracle, models, random_models};
/// use stochgrad_graph::Graph;
/// # use stochgrad_distributions::{Distribution, Family};
/// # use stochgrad_graph::{GradientMethod, GraphResult, Method, Order, Path, Profile};
/// # use stochgrad_graph::{SampleContext, SamplePlate, SampleSet};
/// # use stochgrad_tape::Var;
/// # #[derive(Clone)]
/// # struct Score;
/// # impl Method for Score {
/// #     fn name(&self) -> String { "score".into() }
/// #     fn profile(&self) -> Profile { Profile::unbiased(Order::Any) }
/// # }
/// # impl<D: Family<f64>> GradientMethod<f64, D> for Score {
/// #     fn sample<'t>(&self, context: &SampleContext<'_, 't, f64>, d: &D::On<'t>) -> GraphResult<SampleSet<'t, f64>> {
/// #         context.independent(d, SamplePlate::Single)
/// #     }
/// #     fn gradient_function<'t>(&self, d: &D::On<'t>, x: Var<'t, f64>, _: &Path) -> Option<Var<'t, f64>> {
/// #         Some(d.log_prob(x))
/// #     }
/// # }
///
/// // `Score` is the gradient method under test.
/// proptest!(ProptestConfig::with_cases(20), |(model in random_models())| {
///     let verified = Oracle::new()
///         .verify(|graph: &Graph<'_, f64>| model.record(graph, &models::bits(|_| Score)), 0..=1, 1e-9);
///     prop_assert!(verified.is_ok(), "{model}: {}", verified.unwrap_err());
/// });
/// ```
pub fn random_models() -> impl Strategy<Value = RandomModel> {
    (vec(nodes(), 1..=NODES), vec(costs(), 1..=2)).prop_map(|(nodes, costs)| {
        let count = nodes.len();
        let mut has_plate = false;
        let nodes: Vec<Node> = (0..)
            .zip(nodes)
            .map(|(at, NodeDraft { offset, slope, element, parents: drafts, has_rows })| {
                let mut parents: Vec<(usize, f64, bool)> = Vec::new();
                for (distance, factor, is_scaled) in drafts.into_iter().filter(|_| at > 0) {
                    let parent = at - 1 - distance % at;
                    if parents.iter().all(|&(known, ..)| known != parent) {
                        parents.push((parent, factor, is_scaled));
                    }
                }
                // One node on the plate of the data, and not in the largest models, whose outcomes would be many.
                let has_rows = has_rows && !has_plate && count < NODES;
                has_plate |= has_rows;
                Node { offset, slope, element, parents, has_rows }
            })
            .collect();
        let cost = |(number, draft): (usize, CostDraft)| {
            let CostDraft { last, factor, others, offset, product, scale } = draft;
            // The first cost depends on the last node, so that no node is without an effect for its place alone.
            let last = if number == 0 { count - 1 } else { last % count };
            let mut terms = vec![(last, factor)];
            terms.extend((0..last).rev().zip(others).filter_map(|(node, factor)| Some((node, factor?))));
            let product = product.map(|first| (first % (last + 1), last)).filter(|(first, last)| first != last);
            Cost { terms, offset, product, factor: scale }
        };
        RandomModel { costs: costs.into_iter().enumerate().map(cost).collect(), nodes }
    })
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

    use super::*;

    #[test]
    fn models_of_every_structure_are_drawn() {
        let mut runner = TestRunner::deterministic();
        let models: Vec<RandomModel> =
            (0..200).map(|_| random_models().new_tree(&mut runner).unwrap().current()).collect();
        for count in 1..=NODES {
            assert!(models.iter().filter(|model| model.nodes.len() == count).count() > 20);
        }
        assert!(models.iter().any(|model| model.costs.len() == 2));
        assert!(models.iter().any(|model| model.nodes.iter().any(|node| node.parents.len() == 2)));
        assert!(models.iter().any(|model| model.costs.iter().any(|cost| cost.product.is_some())));
        for model in &models {
            assert!(model.nodes.iter().filter(|node| node.has_rows).count() <= 1);
            assert_eq!(model.costs[0].terms[0].0, model.nodes.len() - 1);
        }
    }

    #[test]
    fn a_failure_shrinks_to_what_it_needs() {
        // "Fails" for models with a node that has a parent.
        let fails = |model: &RandomModel| model.nodes.iter().any(|node| !node.parents.is_empty());
        let config = Config { failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let found = runner
            .run(&random_models(), |model| if fails(&model) { Err(TestCaseError::fail("a parent")) } else { Ok(()) });
        let Err(TestError::Fail(_, least)) = found else { panic!("expected a failing model, got {found:?}") };
        let expected = "x0 ~ D(1 t0 + 1); x1 ~ D(1 t0 + 1 + 1 x0); cost 0 = ((1 x1 + 1)²); t = [0.3, -0.45]";
        assert_eq!(least.to_string(), expected);
    }
}
