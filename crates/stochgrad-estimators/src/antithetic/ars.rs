//! ARS (augment, reinforce, swap): antithetic samples of categories, for which every category swaps with one reference
//! category. It is [`Arsm`](crate::Arsm) with a number of cost evaluations that grows with $C$ and not with $C^2$, and
//! a larger variance.
//!
//! $$g_c = (1 - C \pi_j) \Big[f(z^{c \leftrightharpoons j}) - \frac1C \sum_{m=1}^C f(z^{m \leftrightharpoons j})\Big].$$
//!
//! Here $j$ is the reference category. The average of $g_c$ over all references is the gradient of ARSM. Yin, Yue and
//! Zhou (2019).
//!
//! **Assumptions.** Independent categories. A cost must not depend on several members of the set together.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | $C$ a set |
//! | requirement on the cost | values |

use crate::antithetic::swaps::{Swaps, categories, check_category};
use crate::common::sampling::Sampling;
use crate::sampling_setters;
use stochgrad_distributions::{Family, IndependentCategories};
use stochgrad_graph::{
    CostContext, Count, GradientMethod, GraphResult, Method, Order, Profile, SampleContext, SamplePlate, SampleSet,
    Size, Terms,
};
use stochgrad_tensor::Real;

/// Races in which every category swaps with a reference, for distributions of independent categories.
///
/// ```
/// use stochgrad_distributions::Categorical;
/// use stochgrad_estimators::Ars;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0, 0.5])?;
/// let x = graph.sample("x", &Categorical::from_logits(logits), &Ars::new().reference(2))?;
/// graph.cost("loss", (x - 1.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ars {
    reference: usize,
    sampling: Sampling,
}

impl Ars {
    /// Draws one race, with category 0 as the reference.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the reference category, counted from 0.
    pub fn reference(self, category: usize) -> Self {
        Ars { reference: category, ..self }
    }

    sampling_setters! { self => self.sampling; races, on_plate("race") }
}

impl Method for Ars {
    fn name(&self) -> String {
        format!("ARS (reference {}, {})", self.reference, self.sampling.describe_as("race"))
    }

    fn profile(&self) -> Profile {
        let evaluations = Count::exactly(0).and(1, Size::States);
        Profile::unbiased(Order::Finite(1)).evaluations(evaluations).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Ars
where
    for<'t> D::On<'t>: IndependentCategories<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        check_category(context, distribution, self.reference)?;
        Swaps::with(self.reference, categories(distribution)).sample(context, distribution, self.sampling.plate)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let count = categories(distribution);
        Swaps::with(self.reference, count).terms::<F, D>(context, distribution, |costs, pi| {
            let centred = costs - costs.mean_axis(0).unsqueeze(0);
            (1.0 - pi.slice(-1, self.reference..self.reference + 1) * count as f64) * centred
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::category_models;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_distributions::Categorical;
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    #[test]
    fn it_is_unbiased_on_every_shape_of_graph() {
        // The last of the models has four categories, the others three.
        category_models::assert_unbiased_by_samples(&Ars::new(), 1500);
        category_models::assert_unbiased_by_samples(&Ars::new().reference(2).races(2), 500);
    }

    #[test]
    fn a_reference_that_is_not_there_is_an_error() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let distribution = Categorical::from_logits(graph.constant([0.1, 0.2, 0.3]));
        let error = graph.sample("x", &distribution, &Ars::new().reference(3)).unwrap_err().to_string();
        assert!(error.contains("below 3"), "{error}");
    }

    #[test]
    fn extremes_are_finite_and_compiled_graphs_do_the_same() {
        category_models::assert_finite(&Ars::new().reference(1));
        models::assert_compiled(&(Arc::new(Ars::new().races(2)) as BitMethod));
    }
}
