//! SPSA: simultaneous perturbation of all parameters of a node. Use it if nothing is known of the distribution or the
//! cost, and there are too many parameters for [`FiniteDifference`](crate::FiniteDifference), which moves one
//! coordinate at a time.
//!
//! With independent fair signs $\varepsilon$,
//!
//! $$g = \frac{f\big(x(\theta + h \varepsilon)\big) - f\big(x(\theta - h \varepsilon)\big)}{2h}\, \varepsilon.$$
//!
//! This takes two evaluations for all coordinates together, drawn with the same noise. Spall (1992).
//!
//! **Assumptions.** The distribution exists at the moved parameters. Host code must not branch on a value downstream,
//! unless the model was given as a function.
//!
//! | | |
//! |---|---|
//! | bias | of the gradient, $O(h^2)$; none where the expected cost is affine in each coordinate (bits with probabilities as parameters) |
//! | order | 1 |
//! | cost evaluations | 2 for each direction, besides the sample's own |
//! | requirement on the cost | values |

use crate::counterfactual::random_directions::RandomDirections;
use crate::sampling_setters;
use stochgrad_distributions::Family;
use stochgrad_graph::{
    CostContext, GradientMethod, GraphResult, Guarantee, Method, Path, Profile, SampleContext, SamplePlate, SampleSet,
    Terms,
};
use stochgrad_tensor::{Real, Tensor};

/// Random signs for all coordinates of a node's parameters at once, for any distribution.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::Spsa;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0, 0.4])?;
/// let x = graph.sample("x", &Bernoulli::from_logits(logits), &Spsa::new(0.1).directions(4))?;
/// graph.cost("loss", (x.sum() - 0.45).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spsa {
    directions: RandomDirections,
}

impl Spsa {
    /// Draws one sample, and one direction with this step.
    pub fn new(width: f64) -> Self {
        Spsa { directions: RandomDirections::new(width) }
    }

    /// Averages over this number of directions.
    pub fn directions(self, directions: usize) -> Self {
        Spsa { directions: self.directions.count(directions) }
    }

    sampling_setters! { self => self.directions.sampling; samples, on_plate, scheme, groups }
}

impl Method for Spsa {
    fn name(&self) -> String {
        format!("SPSA ({})", self.directions.describe())
    }

    fn profile(&self) -> Profile {
        self.directions.profile()
    }

    fn sample_plate(&self) -> SamplePlate {
        self.directions.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Spsa {
    fn guarantee(&self, _distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        self.directions.guarantee(path)
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.directions.sampling.draw(context, distribution)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let tape = context.tape();
        self.directions.terms::<F, D>(context, distribution, &|draw, event| {
            if draw.records_noise(tape) {
                let half = tape.constant(0.5);
                return Ok(draw.record_uniform(tape, event)?.ge(half) * 2.0 - 1.0);
            }
            let fair = Tensor::full(draw.shape(event), F::from_f64(0.5));
            Ok(draw.record(tape, draw.bernoulli(event, &fair)?) * 2.0 - 1.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::Graph;

    /// The expected cost is affine in each probability, and odd products of different signs have mean zero.
    #[test]
    fn probabilities_are_exact() {
        let model = |graph: &Graph<'_, f64>| {
            let method = Spsa::new(0.05);
            let p = graph.param("p", [0.3, 0.6, 0.4])?;
            let x = graph.sample("x", &Bernoulli::from_probabilities(p), &method)?;
            let y = graph.sample("y", &Bernoulli::from_probabilities(x.sum() * 0.2 + 0.1), &method)?;
            let z = graph.sample("z", &Bernoulli::from_logits(y + p.sum()), &ScoreFunction::new())?;
            graph.cost("cost", (x.sum() - y * 2.0 + z).square() * p.sum())
        };
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
        for joint in [false, true] {
            let on_data = |graph: &Graph<'_, f64>| {
                let p = graph.param("p", [0.3, 0.6])?;
                let features = graph.data("data", [0.5, 0.9])?;
                let own = Bernoulli::from_probabilities(p.index(0, 0) * features);
                let x = graph.sample("x", &own, &Spsa::new(0.05).samples(2))?;
                let y = graph.sample("y", &Bernoulli::from_probabilities(p.index(0, 1)), &Spsa::new(0.05))?;
                let cost = (x * features - y).square();
                graph.cost("cost", if joint { cost.sum_over(features.plates()[0]).square() } else { cost })
            };
            Oracle::new().verify(on_data, 0..=1, 1e-9).unwrap();
        }
    }

    #[test]
    fn logits_have_a_bias_of_the_square_of_the_step() {
        let bias = |step: f64| {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", [0.3, -0.7])?;
                let x = graph.sample("x", &Bernoulli::from_logits(t), &Spsa::new(step).directions(2))?;
                graph.cost("cost", (x.sum() - 0.3).exp())
            };
            let found = Oracle::new().gradient(model).unwrap();
            let exact = Oracle::new().exact_gradient(model).unwrap();
            found.mean("t").unwrap().as_slice()[0] - exact[0].1.as_slice()[0]
        };
        let (large, small) = (bias(0.2), bias(0.1));
        assert!(large.abs() > 1e-5 && (large / small - 4.0).abs() < 0.2, "{large}, {small}");
    }

    #[test]
    fn compiled_graphs_do_the_same() {
        models::assert_compiled(&(Arc::new(Spsa::new(0.05).samples(2).directions(2)) as BitMethod));
    }
}
