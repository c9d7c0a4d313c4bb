//! The constant baseline with the least variance, estimated from past steps. Use it for a node with a single sample.
//!
//! With the score $s = \nabla \ln p$, the variance of $(f - b)\, s$ for one element $j$ of the node's parameters, and
//! for all of them together, is least at
//!
//! $$b_j^* = \frac{\mathbb{E}[f\, s_j^2]}{\mathbb{E}[s_j^2]}, \qquad b^* = \frac{\mathbb{E}[f\, \lVert s \rVert^2]}{\mathbb{E}[\lVert s \rVert^2]}.$$
//!
//! Neither is the expected cost, which can be worse than no baseline. Weaver and Tao (2001); Greensmith, Bartlett and
//! Baxter (2004).
//!
//! Both expectations are running means over the members of past steps, never of the current one, so that the gradient
//! is unbiased: at every order with one number for all elements, and at first order with a number for each. The
//! elements are those of the parameters of the node's *distribution* (its logits, its location and scale), through
//! which other parameters of the model get their gradients. The baseline of a cost of several members jointly is
//! weighted by the members' own scores.

use super::members::total_key;
use super::{Baseline, Baselines, CostBaseline, Memory};
use crate::common::member_gradients::sum_over_plates;
use crate::common::running_means::{RunningMeans, WEIGHT};
use stochgrad_distributions::{Distribution, Parameter};
use stochgrad_graph::{
    CostContext, Count, GradientTerm, GraphResult, MethodSlots, Order, Profile, SlotDomain, SlotPart, Update,
};
use stochgrad_tape::{Smoothness, Var};
use stochgrad_tensor::Real;

/// The mean of the cost times the squared score.
const ABOVE: SlotPart = SlotPart { name: "weighted cost", domain: SlotDomain::Finite };
/// The mean of the squared score.
const BELOW: SlotPart = SlotPart { name: "squared score", domain: SlotDomain::NotNegative };
const PARTS: &[SlotPart] = &[ABOVE, BELOW, WEIGHT];

/// The mean of the cost over past steps, weighted by the squared score. It changes when the user calls
/// [`Gradients::advance`](stochgrad_graph::Gradients::advance). Clones share it.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::{OptimalBaseline, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let method = ScoreFunction::new().samples(10).baseline(OptimalBaseline::new(0.9).by_element());
/// for step in 0..3 {
///     let tape = Tape::<f64>::new();
///     let graph = Graph::new(&tape, Seed::new(7).step(step));
///     let (location, scale) = (graph.param("location", 0.3)?, graph.param("scale", 1.0)?);
///     let x = graph.sample("x", &Normal::new(location, scale), &method)?;
///     graph.cost("loss", (x - 1.0).square())?;
///     graph.backward()?.advance();
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OptimalBaseline {
    means: RunningMeans,
    by_element: bool,
}

impl OptimalBaseline {
    /// One number for all elements, from running means in which the step `n` steps ago has the weight `decayⁿ`, with a
    /// decay in [0, 1).
    pub fn new(decay: f64) -> Self {
        OptimalBaseline { means: RunningMeans::new(decay, PARTS), by_element: false }
    }

    /// Uses a number for each element of the node's parameters, at order 1.
    pub fn by_element(self) -> Self {
        OptimalBaseline { by_element: true, ..self }
    }

    /// The quotients of two running means, and the updates of these.
    fn quotient<'t, F: Real>(
        &self,
        key: &str,
        above: Var<'t, F>,
        below: Var<'t, F>,
    ) -> (Var<'t, F>, Vec<Update<'t, F>>) {
        let tape = above.tape();
        let mean = |part: SlotPart| self.means.mean(tape, key, part.name, below.shape());
        let (known, zero) = (mean(BELOW).gt(tape.constant(0.0)), tape.constant(0.0));
        let quotient = known.select(mean(ABOVE) / known.select(mean(BELOW), tape.constant(1.0)), zero);
        (quotient, self.means.updates(key, &[(ABOVE.name, above), (BELOW.name, below)]))
    }
}

/// The differentiable parameters of a distribution, each with the score of each member. They must be those of
/// single members: see [`Memory::by_member`].
///
/// # Errors
/// Those of the tape.
pub fn member_scores<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    distribution: &dyn Distribution<'t, F>,
) -> GraphResult<Vec<(Parameter<'t, F>, Var<'t, F>)>> {
    let mut parameters = distribution.parameters();
    parameters.retain(|parameter| parameter.score != Smoothness::Constant);
    let vars: Vec<Var<'t, F>> = parameters.iter().map(|parameter| parameter.var).collect();
    let l = distribution.log_prob(context.value().stop_gradient());
    let scores = context.tape().gradients(sum_over_plates(l), &vars)?;
    Ok(parameters.into_iter().zip(scores).map(|(parameter, score)| (parameter, score.stop_gradient())).collect())
}

impl Memory for OptimalBaseline {
    fn name(&self) -> Option<String> {
        let each = if self.by_element { " of each element" } else { "" };
        Some(format!("optimal baseline{each}, decay {}", self.means.decay))
    }

    fn profile(&self) -> Profile {
        let order = if self.by_element { Order::Finite(1) } else { Order::Any };
        Profile::unbiased(order).evaluations(Count::exactly(0))
    }

    fn check(&self, _members: usize) -> Result<(), String> {
        self.means.check()
    }

    fn by_member(&self) -> bool {
        true
    }

    fn slots(&self) -> MethodSlots {
        self.means.slots()
    }
}

impl<F: Real> Baseline<F> for OptimalBaseline {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let scores = member_scores(context, distribution)?;
        let mut baselines = Baselines::default();
        for cost in context.totals()? {
            let key = total_key(context, &cost);
            if !self.by_element {
                let squares = scores.iter().map(|(_, score)| score.square().sum()).reduce(|sum, square| sum + square);
                let Some(squares) = squares else { continue };
                let (best, updates) = self.quotient(&key, cost.value * squares, squares);
                baselines.values.push(CostBaseline::new(cost, best));
                baselines.updates.extend(updates);
                continue;
            }
            let mut sum = context.tape().constant(0.0);
            for (parameter, score) in &scores {
                let square = score.square();
                let key = format!("{key} / {}", parameter.name);
                let (best, updates) = self.quotient(&key, cost.value * square, square);
                sum = sum - (best * *score * parameter.var).sum();
                baselines.updates.extend(updates);
            }
            let value = context.tape().constant(0.0).straight_through(sum);
            baselines.gradient_terms.push(GradientTerm { value, summed: cost.joint });
        }
        Ok(baselines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Normal, OneHotCategorical};
    use stochgrad_graph::{Graph, GraphError, Method, MethodState, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    type Shape<'a> = &'a dyn for<'g> Fn(&Graph<'g, f64>) -> GraphResult<()>;

    /// A state of these means, half decayed.
    fn state(means: &[(&str, [f64; 2])]) -> MethodState {
        let parts = |(key, [above, below]): &(&str, [f64; 2])| {
            [(ABOVE, *above), (BELOW, *below), (WEIGHT, 0.5)]
                .map(|(part, x)| (format!("{key} / {}", part.name), vec![x]))
        };
        means.iter().flat_map(parts).collect()
    }

    #[test]
    fn every_shape_of_graph_is_exact_after_some_steps() {
        for (by_element, top) in [(false, 2), (true, 1)] {
            let baseline = || match by_element {
                false => OptimalBaseline::new(0.8),
                true => OptimalBaseline::new(0.8).by_element(),
            };
            let one: BitMethod = Arc::new(ScoreFunction::new().baseline(baseline()));
            let two: BitMethod = Arc::new(ScoreFunction::new().samples(2).baseline(baseline()));
            let shapes: [Shape<'_>; 3] = [
                &|graph| models::on_data(graph, &one, &two),
                &|graph| models::importance_weighted(graph, &two),
                &|graph| models::chain(graph, &one, &two),
            ];
            for shape in shapes {
                for step in 0..3 {
                    let tape = Tape::<f64>::new();
                    let graph = Graph::new(&tape, Seed::new(5).step(step));
                    shape(&graph).unwrap();
                    let before = (one.state(), two.state());
                    let gradients = graph.backward().unwrap();
                    assert_eq!(before, (one.state(), two.state()));
                    gradients.advance();
                    assert_ne!(before.1, two.state());
                }
                Oracle::new().verify(|graph: &Graph<'_, f64>| shape(graph), 0..=top, 1e-9).unwrap();
            }
            models::assert_compiled(&(Arc::new(ScoreFunction::new().samples(2).baseline(baseline())) as BitMethod));
        }
    }

    #[test]
    fn one_number_for_all_elements_has_the_known_variance() {
        // One bit: E[f s²] / E[s²] leaves no variance at all.
        for (target, theta) in [(0.499, 0.5), (0.45, 0.1)] {
            let f = |b: f64| (b - target) * (b - target);
            let above = theta * (1.0 - theta) * ((1.0 - theta) * f(1.0) + theta * f(0.0));
            let baseline = OptimalBaseline::new(0.9);
            baseline.load_state(&state(&[("b", [above, theta * (1.0 - theta)])])).unwrap();
            models::assert_variance(
                &(Arc::new(ScoreFunction::new().baseline(baseline)) as BitMethod),
                target,
                theta,
                0.0,
            );
        }
        for (phi, expected) in [(0.0, 4.65e-3), (-4.0, 5.353531e-4)] {
            let (above, below) = models::squared_score_on_categories(phi);
            let baseline = OptimalBaseline::new(0.9);
            baseline.load_state(&state(&[("x", [above, below])])).unwrap();
            let found = models::variance_on_categories(phi, &ScoreFunction::new().baseline(baseline));
            assert!((found - expected).abs() < 1e-6 * expected, "{found:e}, not {expected:e}");
        }
    }

    #[test]
    fn a_number_for_each_element_has_the_known_variance() {
        for a in [-2.0_f64, 0.0, 0.5, 3.0] {
            let baseline = OptimalBaseline::new(0.9).by_element();
            // E[s²] is 1 with respect to the location and 2 with respect to the scale.
            let a2 = a * a;
            let means = state(&[("x / location", [a2 + 3.0, 1.0]), ("x / scale", [2.0 * (a2 + 5.0), 2.0])]);
            baseline.load_state(&means).unwrap();
            let method = ScoreFunction::new().baseline(baseline);
            let model = |graph: &Graph<'_, f64>| {
                let (mu, sigma) = (graph.param("mu", 1.0)?, graph.param("sigma", 1.0)?);
                let x = graph.sample("x", &Normal::new(mu, sigma), &method)?;
                graph.cost("cost", (x - (1.0 - a)).square())
            };
            let moments = Oracle::new().gradient(model).unwrap();
            let number = |tensor: &Tensor<f64>| tensor.item().unwrap();
            for (name, mean, expected) in [("mu", 2.0 * a, 8.0 * a2 + 6.0), ("sigma", 2.0, 40.0 * a2 + 24.0)] {
                let found = number(moments.variance(name).unwrap());
                assert_abs_diff_eq!(number(moments.mean(name).unwrap()), mean, epsilon = 1e-9);
                assert!((found - expected).abs() < 1e-8 * expected, "{name} at {a}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn running_means_come_near_the_expectations() {
        let baseline = OptimalBaseline::new(0.98);
        let method = ScoreFunction::new().samples(50).baseline(baseline.clone());
        for step in 0..200 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(5).step(step));
            let logits = graph.param("logits", [0.2, -0.4, 1.0]).unwrap();
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method).unwrap();
            graph.cost("cost", (x * graph.constant([1.0, -2.0, 0.5])).sum().exp()).unwrap();
            graph.backward().unwrap().advance();
        }
        let weights: Vec<f64> = [0.2, -0.4, 1.0].iter().map(|logit: &f64| logit.exp()).collect();
        let p: Vec<f64> = weights.iter().map(|w| w / weights.iter().sum::<f64>()).collect();
        let square = |i: usize| (0..3).map(|j| (f64::from(u8::from(i == j)) - p[j]).powi(2)).sum::<f64>();
        let f = [1.0_f64.exp(), (-2.0_f64).exp(), 0.5_f64.exp()];
        let above: f64 = (0..3).map(|i| p[i] * f[i] * square(i)).sum();
        let below: f64 = (0..3).map(|i| p[i] * square(i)).sum();
        let known = baseline.state();
        let found = known["x / weighted cost"][0] / known["x / squared score"][0];
        assert!((found - above / below).abs() < 0.03, "{found}, {}", above / below);
    }

    #[test]
    fn nonsense_is_refused() {
        let baseline = OptimalBaseline::new(0.9);
        assert!(matches!(baseline.load_state(&state(&[("x", [1.0, -1.0])])), Err(GraphError::State { .. })));
        assert!(OptimalBaseline::new(1.5).check(1).is_err());
        assert!(baseline.name().is_some_and(|name| name.contains("0.9")));
    }
}
