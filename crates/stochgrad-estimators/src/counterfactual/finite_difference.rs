//! Finite differences of a node's parameters, under common random numbers. Use it if nothing is known of the
//! distribution or the cost, or to check another method.
//!
//! $$g_j = \frac{f\big(x(\theta + h e_j)\big) - f\big(x(\theta - h e_j)\big)}{2h},$$
//!
//! The node is drawn again with the same noise and one coordinate $\theta_j$ of its parameters moved, and what is
//! downstream is computed again. The mean is the central difference of the expected cost given everything before the
//! node, whose error is $\tfrac{h^2}{6} \partial^3_j$. Along continuous paths the variance does not depend on $h$. For
//! a sample that jumps it is of order $1/h$; with independent noise it would be of order $1/h^2$. Glasserman and Yao
//! (1992) on common random numbers.
//!
//! **Assumptions.** The distribution exists at the moved parameters. Host code must not branch on a value downstream,
//! unless the model was given as a function.
//!
//! | | |
//! |---|---|
//! | bias | of the gradient, $O(h^2)$; none where the expected cost is quadratic in the parameter (a bit with its probability as parameter) |
//! | order | 1 |
//! | cost evaluations | 2 for each coordinate of the parameters, besides the sample's own |
//! | requirement on the cost | values |

use crate::common::sampling::Sampling;
use crate::counterfactual::shifted_parameters::{shifted_changes, trained_parameters};
use crate::sampling_setters;
use stochgrad_distributions::Family;
use stochgrad_graph::{
    Access, Bias, CostContext, Count, GradientMethod, GradientTerm, GraphResult, Guarantee, Method, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Size, Terms,
};
use stochgrad_tape::{Plates, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// Central differences for each coordinate of a node's parameters, for any distribution.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::FiniteDifference;
/// use stochgrad_graph::{Bias, Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let p = graph.param("p", 0.3)?;
/// let x = graph.sample("x", &Bernoulli::from_probabilities(p), &FiniteDifference::new(0.1))?;
/// graph.cost("loss", (x - 0.45).square())?;
/// assert_eq!(graph.backward()?.guarantee("p")?.bias, Bias::Gradient);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FiniteDifference {
    step: f64,
    sampling: Sampling,
}

impl FiniteDifference {
    /// Draws one sample, and takes this step to both sides.
    pub fn new(step: f64) -> Self {
        FiniteDifference { step, sampling: Sampling::default() }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }
}

impl Method for FiniteDifference {
    fn name(&self) -> String {
        format!("finite difference (step {}, {})", self.step, self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::biased(Bias::Gradient)
            .evaluations(Count::exactly(1).and(2, Size::Coordinates))
            .backward_passes(Count::exactly(0), Access::Values)
            .times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for FiniteDifference {
    fn guarantee(&self, _distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        check_step(self.step)?;
        Ok(self.profile().guarantee(path))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.sampling.draw(context, distribution)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let coupled = context.coupled_plates()?;
        let zero = context.tape().constant(0.0);
        let mut terms = Terms::default();
        for parameter in trained_parameters(distribution) {
            for unit in coordinates(parameter, &coupled) {
                for change in
                    shifted_changes::<F, D>(context, distribution, &self.sampling, &[(parameter, unit * self.step)])?
                {
                    let gradient = unit * change.value * (0.5 / self.step);
                    let value = zero.straight_through((gradient.stop_gradient() * parameter).sum());
                    terms.gradient_terms.push(GradientTerm { value, summed: change.summed });
                }
            }
        }
        Ok(terms)
    }
}

/// Checks that the step is positive and finite.
pub(crate) fn check_step(step: f64) -> Result<(), String> {
    if step > 0.0 && step.is_finite() {
        return Ok(());
    }
    Err(format!("expected a step above 0, got {step}; 0.01 is a good start"))
}

/// For each coordinate of a parameter, a tensor with 1 there and 0 elsewhere, over the event axes and the plates whose
/// members meet downstream.
fn coordinates<'t, F: Real>(parameter: Var<'t, F>, coupled: &Plates) -> Vec<Var<'t, F>> {
    let tape = parameter.tape();
    let plates: Plates = parameter.plates().iter().copied().filter(|plate| coupled.contains(plate)).collect();
    let sizes = plates.iter().map(|&plate| tape.plate_size(plate));
    let shape: Shape = sizes.chain(parameter.shape().iter().copied()).collect();
    let unit = |at: usize| Tensor::from_fn(shape.clone(), |i| if i == at { F::ONE } else { F::ZERO });
    let event = |unit: Var<'t, F>| plates.iter().fold(unit, |unit, &plate| unit.event_to_plate(plate));
    (0..shape.numel()).map(|at| event(tape.constant(unit(at)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_check::{Oracle, StatisticalTest};
    use stochgrad_distributions::{Bernoulli, Categorical, Gamma, Poisson};
    use stochgrad_graph::{Graph, GraphError, Seed};
    use stochgrad_tape::Tape;

    /// The expected cost is affine in the probabilities, so that the difference has no bias.
    #[test]
    fn probabilities_are_exact() {
        let model = |graph: &Graph<'_, f64>| {
            let method = FiniteDifference::new(0.05);
            let p = graph.param("p", [0.3, 0.6])?;
            let features = graph.data("data", [0.5, 0.9])?;
            let x = graph.sample("x", &Bernoulli::from_probabilities(p * features), &method)?;
            let y = graph.sample("y", &Bernoulli::from_probabilities(x.sum() * 0.3 + 0.1), &method)?;
            let z = graph.sample("z", &Bernoulli::from_logits(y + p.sum()), &ScoreFunction::new())?;
            graph.cost("cost", (x.sum() - y * 2.0 + z * features).square() * p.sum())
        };
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
    }

    #[test]
    fn members_that_meet_move_one_at_a_time() {
        let model = |graph: &Graph<'_, f64>| {
            let p = graph.param("p", [0.3, 0.6])?;
            let features = graph.data("data", [0.5, 0.9])?;
            let own = Bernoulli::from_probabilities(p.index(0, 0) * features);
            let x = graph.sample("x", &own, &FiniteDifference::new(0.05))?;
            graph.cost("cost", (x * features).sum_over(features.plates()[0]).square() * p.sum())
        };
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
    }

    /// The mean is the central difference of the expected cost, to the last digit.
    #[test]
    fn the_mean_is_that_of_the_difference() {
        let step = 0.3;
        let model = |graph: &Graph<'_, f64>, rate: f64| {
            let rate = graph.param("rate", rate)?;
            let x = graph.sample("x", &Poisson::from_log_rate(rate), &FiniteDifference::new(step))?;
            graph.cost("cost", (x - 1.0).square())
        };
        let expected = |rate: f64| Oracle::new().exact_cost(|graph: &Graph<'_, f64>| model(graph, rate)).unwrap();
        let difference = (expected(0.2 + step) - expected(0.2 - step)) / (2.0 * step);
        let found = Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, 0.2)).unwrap();
        let found = found.mean("rate").unwrap().as_slice()[0];
        assert_abs_diff_eq!(found, difference, epsilon = 1e-9);
        let exact = Oracle::new().exact_gradient(|graph: &Graph<'_, f64>| model(graph, 0.2)).unwrap();
        let exact = exact[0].1.as_slice()[0];
        assert!((found - exact).abs() > 0.01, "{found}, {exact}");
    }

    #[test]
    fn categories_are_right_up_to_the_square_of_the_step() {
        let bias = |step: f64| {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", [[0.3, -0.7, 1.1], [0.0, 0.2, -0.4]])?;
                let x = graph.sample("x", &Categorical::from_logits(t), &FiniteDifference::new(step))?;
                graph.cost("cost", (x.sum() - 1.0).square())
            };
            let found = Oracle::new().gradient(model).unwrap();
            let exact = &Oracle::new().exact_gradient(model).unwrap()[0].1;
            found
                .mean("t")
                .unwrap()
                .as_slice()
                .iter()
                .zip(exact.as_slice())
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max)
        };
        let (large, small) = (bias(0.2), bias(0.1));
        assert!(large < 0.02 && (large / small - 4.0).abs() < 0.2, "{large}, {small}");
    }

    #[test]
    fn distributions_of_which_nothing_else_is_known_have_a_gradient() {
        let model = |graph: &Graph<'_, f64>| {
            let shape = graph.param("shape", 2.0)?;
            let x = graph.sample("x", &Gamma::new(shape, 1.5), &FiniteDifference::new(0.05))?;
            graph.cost("cost", x.square())
        };
        // E x² = a (a + 1) / b²: quadratic, no bias.
        StatisticalTest::new().runs(4000).check(model, &[("shape", Tensor::scalar(5.0 / 2.25))]).unwrap();
    }

    #[test]
    fn steps_out_of_the_domain_are_errors_and_compiled_graphs_do_the_same() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let p = graph.param("p", 0.95).unwrap();
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &FiniteDifference::new(0.1)).unwrap();
        graph.cost("cost", x).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("smaller step"), "{error}");
        let graph = graph.sample("y", &Bernoulli::from_probabilities(p), &FiniteDifference::new(0.0));
        assert!(graph.is_ok());
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let p = graph.param("p", 0.5).unwrap();
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &FiniteDifference::new(-0.1)).unwrap();
        graph.cost("cost", x).unwrap();
        assert!(matches!(graph.backward(), Err(GraphError::Refused { .. })));
        models::assert_compiled(&(Arc::new(FiniteDifference::new(0.05).samples(2)) as BitMethod));
    }
}
