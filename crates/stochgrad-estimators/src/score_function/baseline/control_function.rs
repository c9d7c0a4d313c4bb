//! A function of the sample with a known mean, as a control variate. Use it if you know a function that resembles the
//! cost.
//!
//! For any $h$ with $\mathbb{E}[h(x)] = m(\theta)$ in closed form, $(f - h)\, \nabla \ln p + \nabla m$ has the gradient
//! of $\mathbb{E}[f]$ as its mean. The reduction of the variance depends on the coefficient of $h$, which
//! [`LinearControlVariates`](crate::LinearControlVariates) fits.

use super::members::over_joint;
use super::{Baseline, Baselines, CostBaseline, Memory};
use std::sync::Arc;
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

type Function<F> =
    dyn for<'a, 't> Fn(Var<'t, F>, &'a dyn Distribution<'t, F>) -> GraphResult<(Var<'t, F>, Var<'t, F>)> + Send + Sync;

/// A closure of the sample and the distribution that returns a number for each member, and its mean as a differentiable
/// function of the parameters. A wrong mean makes the gradient biased.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::{ControlFunction, LinearControlVariates, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let square = ControlFunction::new("x²", |x, distribution| {
///     let parameters = distribution.parameters();
///     let (location, scale) = (parameters[0].var, parameters[1].var);
///     Ok((x.square().sum(), (location.square() + scale.square()).sum()))
/// });
/// let method = ScoreFunction::new().samples(8).baseline(LinearControlVariates::cross_fitted().with(square));
/// let x = graph.sample("x", &Normal::new(graph.param("location", 0.3)?, 1.0), &method)?;
/// graph.cost("loss", (x - 1.0).square().exp())?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ControlFunction<F: Real> {
    name: String,
    function: Arc<Function<F>>,
}

impl<F: Real> ControlFunction<F> {
    /// A control variate from a function that returns the value for each member and the mean. The name is used in
    /// messages.
    pub fn new(
        name: impl Into<String>,
        function: impl for<'a, 't> Fn(Var<'t, F>, &'a dyn Distribution<'t, F>) -> GraphResult<(Var<'t, F>, Var<'t, F>)>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        ControlFunction { name: name.into(), function: Arc::new(function) }
    }
}

impl<F: Real> std::fmt::Debug for ControlFunction<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<F: Real> Memory for ControlFunction<F> {
    fn name(&self) -> Option<String> {
        Some(self.name.clone())
    }
}

impl<F: Real> Baseline<F> for ControlFunction<F> {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let (value, mean) = (self.function)(context.value().stop_gradient(), distribution)?;
        for (what, number) in [("value", value), ("mean", mean)] {
            if !number.shape().is_empty() {
                return Err(context.refused(format!(
                    "expected one number for each member as the {what} of \"{}\", got the event shape {}; add up its \
                     elements with sum()",
                    self.name,
                    number.shape()
                )));
            }
        }
        let plates = context.value().plates();
        let values = context.totals()?.into_iter().map(|cost| {
            // For a cost of several members jointly, the sum of their functions is subtracted.
            let [value, mean] = [value, mean].map(|number| over_joint(context, &cost, number.expand_plates(&plates)));
            CostBaseline::with_mean(cost, value, mean)
        });
        Ok(Baselines { values: values.collect(), ..Baselines::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use stochgrad_check::{CheckError, Oracle};
    use stochgrad_distributions::{Bernoulli, Normal};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    /// 2 x, and its mean times a factor that should be 1.
    fn twice(factor: f64) -> ControlFunction<f64> {
        ControlFunction::new("2 x", move |x, distribution| {
            let mean = distribution.mean().expect("a mean");
            Ok((x.sum() * 2.0, mean.sum() * (2.0 * factor)))
        })
    }

    #[test]
    fn every_shape_of_graph_is_exact_at_every_order() {
        let method = |samples| Arc::new(ScoreFunction::new().samples(samples).baseline(twice(1.0))) as BitMethod;
        models::assert_exact([&method(1), &method(1), &method(2)], 2, true);
        Oracle::new()
            .verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &method(2)), 0..=3, 1e-9)
            .unwrap();
        models::assert_compiled(&method(2));
        let wrong: BitMethod = Arc::new(ScoreFunction::new().baseline(twice(1.5)));
        let error = Oracle::new()
            .verify(|graph: &Graph<'_, f64>| models::chain(graph, &wrong, &wrong), 0..=1, 1e-9)
            .unwrap_err();
        assert!(matches!(error, CheckError::Expectation { order: 1, .. }), "{error}");
    }

    #[test]
    fn the_cost_itself_leaves_the_gradient_of_its_mean() {
        let model = |graph: &Graph<'_, f64>| {
            let (location, scale) = (graph.param("location", 0.7)?, graph.param("scale", 1.2)?);
            let cube = ControlFunction::new("x³", |x, distribution| {
                let parameters = distribution.parameters();
                let (m, s) = (parameters[0].var, parameters[1].var);
                Ok((x * x.square(), m * m.square() + m * s.square() * 3.0))
            });
            let x = graph.sample("x", &Normal::new(location, scale), &ScoreFunction::new().baseline(cube))?;
            graph.cost("cost", x * x.square())
        };
        Oracle::new().nodes(6).verify(model, 0..=2, 1e-8).unwrap();
        let moments = Oracle::new().nodes(6).gradient(model).unwrap();
        let (mean, variance) = (moments.mean("location").unwrap(), moments.variance("location").unwrap());
        assert_abs_diff_eq!(mean.item().unwrap(), 3.0 * (0.49 + 1.44), epsilon = 1e-12);
        assert!(variance.item().unwrap() < 1e-20);
    }

    #[test]
    fn several_numbers_for_a_member_are_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let vector = ControlFunction::<f64>::new("x", |x, distribution| Ok((x, distribution.mean().expect("a mean"))));
        let bits = Bernoulli::from_logits(graph.param("t", [0.3, 0.1]).unwrap());
        let x = graph.sample("x", &bits, &ScoreFunction::new().baseline(vector)).unwrap();
        graph.cost("cost", x.sum()).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("\"x\"") && error.contains("sum()"), "{error}");
    }
}
