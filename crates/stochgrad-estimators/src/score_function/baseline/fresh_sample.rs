//! The cost of a further sample. Use it if the node must have a single sample; otherwise leave-one-out with as many
//! evaluations is usually better.
//!
//! $$b = f(x'), \qquad x' \sim p(x; \theta)$$
//!
//! independent of the sample, and evaluated by counterfactual replay under the same noise. All samples of a node share
//! one further draw. With one sample, the gradient is that of leave-one-out with two samples of which only one is used.

use super::{Baseline, Baselines, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, Count, GraphResult, Order, Profile};
use stochgrad_tape::Plate;
use stochgrad_tensor::Real;

/// The cost with another sample of the node, which all its samples share.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{FreshSample, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &ScoreFunction::new().baseline(FreshSample))?;
/// graph.cost("loss", (bits - 0.499).square().sum())?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FreshSample;

impl Memory for FreshSample {
    fn name(&self) -> Option<String> {
        Some("one fresh sample".into())
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any).evaluations(Count::exactly(1))
    }
}

impl<F: Real> Baseline<F> for FreshSample {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let plates: Vec<Plate> =
            distribution.parameters().iter().flat_map(|parameter| parameter.var.plates().to_vec()).collect();
        let draw = context.draw_on("fresh sample", &plates);
        let fresh = distribution.sample(&draw).map_err(|source| context.error(source))?;
        Ok(Baselines::new(context.replay(fresh.stop_gradient())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_graph::Graph;

    fn fresh(samples: usize) -> BitMethod {
        Arc::new(ScoreFunction::new().samples(samples).baseline(FreshSample))
    }

    #[test]
    fn every_shape_of_graph_is_exact_at_every_order() {
        let (one, two) = (fresh(1), fresh(2));
        let plain: BitMethod = Arc::new(ScoreFunction::new());
        models::assert_exact([&one, &plain, &plain], 2, true);
        models::assert_exact([&plain, &plain, &two], 2, false);
        Oracle::new().verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &two), 0..=3, 1e-9).unwrap();
        models::assert_compiled(&two);
    }

    #[test]
    fn the_variance_on_eight_categories_is_the_known_one() {
        for (phi, expected) in [(0.0, 1.2525e-2), (-4.0, 7.519415e-4)] {
            let found = models::variance_on_categories(phi, &ScoreFunction::new().baseline(FreshSample));
            assert!((found - expected).abs() < 1e-6 * expected, "{found:e}, not {expected:e}");
        }
    }
}
