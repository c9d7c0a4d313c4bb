//! ARSM (augment, reinforce, swap, merge): antithetic samples of categories, for which every pair of categories swaps.
//! Use it for independent categories when they are few.
//!
//! A category wins a race with the variates $\pi \sim \operatorname{Dir}(1, \dots, 1)$: $z = \operatorname{argmin}_c
//! (\ln \pi_c - \varphi_c)$. Let $z^{c \leftrightharpoons j}$ be the winner after the categories $c$ and $j$ have
//! swapped their variates. The gradient with respect to the logit of category $c$ is
//!
//! $$g_c = \sum_{j=1}^C \Big(\frac1C - \pi_j\Big) \Big[f(z^{c \leftrightharpoons j}) - \frac1C \sum_{m=1}^C f(z^{m \leftrightharpoons j})\Big].$$
//!
//! All variables of a node swap the same two categories at the same time, each with its own variates, so that the
//! number of evaluations does not depend on the number of variables. Two categories give [`Arm`](crate::Arm). Yin, Yue
//! and Zhou (2019).
//!
//! **Assumptions.** Independent categories. A cost must not depend on several members of the set together.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | $C(C - 1)/2 + 1$ a set |
//! | requirement on the cost | values |

use crate::antithetic::swaps::{Swaps, categories};
use crate::common::sampling::Sampling;
use crate::sampling_setters;
use stochgrad_distributions::{Family, IndependentCategories};
use stochgrad_graph::{
    CostContext, Count, GradientMethod, GraphResult, Method, Order, Profile, SampleContext, SamplePlate, SampleSet,
    Size, Terms,
};
use stochgrad_tensor::Real;

/// Races in which all pairs of categories swap, for distributions of independent categories.
///
/// ```
/// use stochgrad_distributions::Categorical;
/// use stochgrad_estimators::Arsm;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0, 0.5])?;
/// let x = graph.sample("x", &Categorical::from_logits(logits), &Arsm::new())?;
/// graph.cost("loss", (x - 1.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arsm {
    sampling: Sampling,
}

impl Arsm {
    /// Draws one race and its swaps.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; races, on_plate("race") }
}

impl Method for Arsm {
    fn name(&self) -> String {
        format!("ARSM ({})", self.sampling.describe_as("race"))
    }

    fn profile(&self) -> Profile {
        let evaluations = Count::exactly(1).and(1, Size::StatePairs);
        Profile::unbiased(Order::Finite(1)).evaluations(evaluations).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Arsm
where
    for<'t> D::On<'t>: IndependentCategories<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        Swaps::all(categories(distribution)).sample(context, distribution, self.sampling.plate)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let count = categories(distribution);
        let swaps = Swaps::all(count);
        let table: Vec<usize> = (0..count * count).map(|at| swaps.member(at / count, at % count)).collect();
        swaps.terms::<F, D>(context, distribution, |costs, pi| {
            let after = costs.index_select(0, &table).reshape([count, count]);
            let centred = after - after.mean_axis(0).unsqueeze(0);
            (1.0 / count as f64 - pi).matmul(centred.transpose())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antithetic::ars::Ars;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::testing::category_models;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::StatisticalTest;
    use stochgrad_distributions::{Bernoulli, OneHotCategorical};
    use stochgrad_graph::{DynMethod, Graph, Seed};
    use stochgrad_tape::{Id, Tape};
    use stochgrad_tensor::Tensor;

    #[test]
    fn it_is_unbiased_on_every_shape_of_graph() {
        category_models::assert_unbiased_by_samples(&Arsm::new(), 1500);
        category_models::assert_unbiased_by_samples(&Arsm::new().races(2), 500);
    }

    /// Two categories are ARM, with its known variance.
    #[test]
    fn two_categories_are_arm() {
        for method in [Arc::new(Arsm::new()) as BitMethod, Arc::new(Ars::new()), Arc::new(Ars::new().reference(1))] {
            for (target, theta, expected) in [(0.45, 0.5, 2.08333e-4), (0.45, 0.1, 3.256667e-4)] {
                let model = |graph: &Graph<'_, f64>| {
                    let logit = graph.param("logit", f64::ln(theta / (1.0 - theta)))?;
                    let b = graph.sample("b", &Bernoulli::from_logits(logit), &method)?;
                    graph.cost("cost", (b - target).square())
                };
                let mean = theta * (1.0 - theta) * (1.0 - 2.0 * target);
                let test = StatisticalTest::new().runs(4000);
                test.check(model, &[("logit", Tensor::scalar(mean))]).unwrap();
                test.check_variance(model, &[("logit", Tensor::scalar(expected))], 0.15).unwrap();
            }
        }
    }

    #[test]
    fn merging_all_references_lowers_the_variance() {
        let total = |method: DynMethod<f64, OneHotCategorical<Id>>| {
            let run = |step: u64| {
                let tape = Tape::<f64>::new();
                let graph = Graph::new(&tape, Seed::new(2).step(step as usize));
                let logits = graph.param("logits", [0.2, -0.4, 1.0, 0.1]).unwrap();
                let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method).unwrap();
                graph.cost("cost", (x * graph.constant([1.0, -2.0, 0.5, 0.0])).sum().square()).unwrap();
                graph.backward().unwrap().get("logits").unwrap().to_vec()
            };
            StatisticalTest::new().runs(4000).sample(run).unwrap().variance.iter().sum::<f64>()
        };
        let merged = total(Arc::new(Arsm::new()));
        for reference in 0..4 {
            let single = total(Arc::new(Ars::new().reference(reference)));
            assert!(merged < single, "{merged}, {single} with reference {reference}");
        }
    }

    #[test]
    fn it_is_drawn_again_in_the_replays_of_another_node() {
        let model = |graph: &Graph<'_, f64>| {
            let races: BitMethod = Arc::new(Arsm::new().races(2));
            models::chain(graph, &(Arc::new(MeasureValued::new()) as BitMethod), &races)
        };
        let exact = Tensor::scalar(models::CHAIN[1]);
        StatisticalTest::new().runs(2000).check(model, &[("t", exact)]).unwrap();
    }

    #[test]
    fn a_cost_of_several_members_is_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        models::importance_weighted(&graph, &(Arc::new(Arsm::new()) as BitMethod)).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("several samples together"), "{error}");
    }

    #[test]
    fn extremes_are_finite_and_compiled_graphs_do_the_same() {
        category_models::assert_finite(&Arsm::new());
        models::assert_compiled(&(Arc::new(Arsm::new().races(2)) as BitMethod));
    }
}
