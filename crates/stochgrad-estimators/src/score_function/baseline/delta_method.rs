//! The delta method: a quadratic model of the cost at the mean of the node, as a control variate. Use it for nodes with
//! few elements and a smooth cost.
//!
//! With $\mu = \mathbb{E}[x]$, independent elements of variance $v$, and the gradient $g$ and the Hessian $H$ of the
//! cost at $\mu$,
//!
//! $$c(x) = f(\mu) + g^\top (x - \mu) + \tfrac12 (x - \mu)^\top H (x - \mu), \qquad
//!     \mathbb{E}[c(x)] = f(\mu) + g^\top (m - \mu) + \tfrac12 (m - \mu)^\top H (m - \mu) + \tfrac12 \sum_i H_{ii}\, v_i.$$
//!
//! $\mu$, $f(\mu)$, $g$ and $H$ are constants to the gradient; the mean $m = m(\theta)$, which equals $\mu$, and the
//! variance $v(\theta)$ are not. The gradient is therefore unbiased at every order. Paisley, Blei and Jordan (2012),
//! for normal nodes; it holds for all independent elements with known mean and variance: bits, counts, gamma variates.
//!
//! $f(\mu)$ is evaluated by a counterfactual replay with every member at its mean; the Hessian takes one more backward
//! pass for each element of the node. Costs that are quadratic in the sample have no variance. The model of a cost of
//! several members jointly is linear, as in [`MuProp`](crate::MuProp). A node downstream that is drawn again passes no
//! derivative.

use super::taylor::{Expansion, no_mean};
use super::{Baseline, Baselines, CostBaseline, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{Access, CostContext, Count, GraphResult, Order, Profile, Size};
use stochgrad_tensor::{Real, Shape};

/// The second-order Taylor polynomial of the cost at the mean of the node, as a control variate. It needs independent
/// elements with known mean and variance, and a cost that is defined between the states.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::{DeltaMethod, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let location = graph.param("location", [0.3, -1.0])?;
/// let x = graph.sample("x", &Normal::new(location, 0.5), &ScoreFunction::new().baseline(DeltaMethod::new()))?;
/// graph.cost("loss", (x.sum() - 0.5).square())?;
/// // The cost is quadratic, so that the gradient is exact.
/// let gradients = graph.backward()?;
/// assert!((gradients.get("location")?.as_slice()[0] - 2.0 * (0.3 - 1.0 - 0.5)).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DeltaMethod;

impl DeltaMethod {
    /// A quadratic model at the mean.
    pub fn new() -> Self {
        DeltaMethod
    }
}

/// The error for a distribution without a known variance of each element.
fn unsuitable<F: Real>(distribution: &dyn Distribution<'_, F>) -> Option<String> {
    if distribution.mean().is_none() {
        return Some(no_mean(distribution.name()));
    }
    if distribution.element_rank() > 0 || distribution.variance().is_none() {
        return Some(format!(
            "the delta method needs elements that are single numbers with a known variance, which {} does not have; \
             use MuProp, which needs the mean only",
            distribution.name()
        ));
    }
    None
}

impl Memory for DeltaMethod {
    fn name(&self) -> Option<String> {
        Some("delta method".into())
    }

    fn profile(&self) -> Profile {
        let replay = Profile::unbiased(Order::Any).evaluations(Count::exactly(1));
        replay.backward_passes(Count::exactly(1).and(1, Size::Elements), Access::Between)
    }
}

impl<F: Real> Baseline<F> for DeltaMethod {
    fn check_distribution(&self, distribution: &dyn Distribution<'_, F>) -> Result<(), String> {
        unsuitable(distribution).map_or(Ok(()), Err)
    }

    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let variance = match (unsuitable(distribution), distribution.variance()) {
            (None, Some(variance)) => variance,
            (problem, _) => return Err(context.refused(problem.unwrap_or_default())),
        };
        let expansion = Expansion::new(context, distribution)?;
        let flat = Shape::from(&[expansion.at.shape().numel()][..]);
        let mut values = Vec::new();
        for (cost, at_mean, slope) in &expansion.costs {
            let (linear, mut mean) = expansion.linear(context, cost, *slope);
            let mut value = *at_mean + linear;
            if cost.joint.is_empty() {
                let hessian = expansion.hessian(context, cost, *slope)?;
                let quadratic = |x: stochgrad_tape::Var<'t, F>| (hessian.matmul(x) * x).sum() * 0.5;
                let drift = (expansion.mean - expansion.at).reshape(flat.clone());
                let spread = (hessian.diagonal() * variance.reshape(flat.clone())).sum() * 0.5;
                value = value + quadratic(expansion.deviation.reshape(flat.clone()));
                mean = mean + quadratic(drift) + spread;
            }
            values.push(CostBaseline::with_mean(cost.clone(), value, mean));
        }
        Ok(Baselines { values, ..Baselines::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Normal, OneHotCategorical};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    fn delta(samples: usize) -> BitMethod {
        Arc::new(ScoreFunction::new().samples(samples).baseline(DeltaMethod::new()))
    }

    #[test]
    fn every_shape_of_graph_is_exact_at_every_order() {
        let (one, two) = (delta(1), delta(2));
        let plain: BitMethod = Arc::new(ScoreFunction::new());
        models::assert_exact([&one, &one, &plain], 3, true);
        models::assert_exact([&plain, &one, &two], 2, false);
        Oracle::new().verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &two), 0..=2, 1e-9).unwrap();
        models::assert_compiled(&two);
    }

    fn normals(graph: &Graph<'_, f64>, samples: usize, cubic: f64) -> GraphResult<()> {
        let (location, scale) = (graph.param("location", [0.7, -0.3])?, graph.param("scale", 0.8)?);
        let features = graph.data("data", [1.0, -0.5])?;
        let method = ScoreFunction::new().samples(samples).baseline(DeltaMethod::new());
        let x = graph.sample("x", &Normal::new(location * features, scale), &method)?;
        let product = x.index(0, 0) * x.index(0, 1);
        graph.cost("cost", (x.sum() - features).square() + product + product * x.index(0, 0) * cubic)
    }

    #[test]
    fn normal_nodes_are_exact_and_quadratic_costs_have_no_variance() {
        let oracle = Oracle::new().nodes(5);
        oracle.verify(|graph: &Graph<'_, f64>| normals(graph, 1, 0.4), 0..=2, 1e-8).unwrap();
        let moments = Oracle::new().nodes(3).gradient(|graph: &Graph<'_, f64>| normals(graph, 1, 0.0)).unwrap();
        for name in ["location", "scale"] {
            let variance = moments.variance(name).unwrap().to_vec();
            assert!(variance.iter().all(|variance| *variance < 1e-20), "{name}: {variance:?}");
        }
    }

    #[test]
    fn the_square_on_one_bit_has_no_variance() {
        for (target, theta) in [(0.499, 0.5), (0.45, 0.1)] {
            models::assert_variance(&delta(1), target, theta, 0.0);
            models::assert_variance(&delta(3), target, theta, 0.0);
        }
    }

    #[test]
    fn elements_that_are_vectors_are_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let distribution = OneHotCategorical::from_logits(graph.param("t", [0.3, 0.1]).unwrap());
        let x = graph.sample("x", &distribution, &ScoreFunction::new().baseline(DeltaMethod::new())).unwrap();
        graph.cost("cost", x.index(0, 0)).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("single numbers") && error.contains("MuProp"), "{error}");
    }
}
