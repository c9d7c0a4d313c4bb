//! A closure as a baseline.

use super::{Baseline, Baselines, Memory};
use std::sync::Arc;
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult, NodeCost};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

type Function<F> = dyn for<'a, 'b, 't> Fn(
        &'a CostContext<'b, 't, F>,
        &'a dyn Distribution<'t, F>,
        &'a NodeCost<'t, F>,
    ) -> GraphResult<Var<'t, F>>
    + Send
    + Sync;

/// A closure of the context, the distribution and a cost. It may use the parameters of the distribution, which depend
/// on ancestors only; a result that depends on the node's own sample would make the gradient biased.
///
/// ```
/// use stochgrad_estimators::{FnBaseline, ScoreFunction};
///
/// let expected_bits = FnBaseline::<f64>::new("the sum of the parameters", |_context, distribution, _cost| {
///     Ok(distribution.parameters()[0].var.sum())
/// });
/// let method = ScoreFunction::new().baseline(expected_bits);
/// ```
#[derive(Clone)]
pub struct FnBaseline<F: Real> {
    name: String,
    function: Arc<Function<F>>,
}

impl<F: Real> FnBaseline<F> {
    /// A baseline for each cost downstream, computed by a closure. The name is used in messages.
    pub fn new(
        name: impl Into<String>,
        function: impl for<'a, 'b, 't> Fn(
            &'a CostContext<'b, 't, F>,
            &'a dyn Distribution<'t, F>,
            &'a NodeCost<'t, F>,
        ) -> GraphResult<Var<'t, F>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        FnBaseline { name: name.into(), function: Arc::new(function) }
    }
}

impl<F: Real> std::fmt::Debug for FnBaseline<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FnBaseline").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<F: Real> Memory for FnBaseline<F> {
    fn name(&self) -> Option<String> {
        Some(self.name.clone())
    }
}

impl<F: Real> Baseline<F> for FnBaseline<F> {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let mut values = Vec::new();
        for cost in context.costs()? {
            let b = (self.function)(context, distribution, &cost)?;
            values.push((cost, b));
        }
        Ok(Baselines::new(values))
    }
}
