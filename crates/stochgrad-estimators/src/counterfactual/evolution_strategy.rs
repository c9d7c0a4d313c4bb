//! Evolution strategies: the gradient of the cost smoothed over the parameters of a node. Use it if nothing is known of
//! the distribution or the cost, and the smoothed objective is what you want to optimise.
//!
//! With standard normal $\varepsilon$,
//!
//! $$g = \frac{f\big(x(\theta + \sigma \varepsilon)\big) - f\big(x(\theta - \sigma \varepsilon)\big)}{2 \sigma}\, \varepsilon$$
//!
//! has the mean $\nabla_\theta\, \mathbb{E}_\varepsilon\, C(\theta + \sigma \varepsilon)$, where $C$ is the expected
//! cost given everything before the node. This is the unbiased gradient of the smoothed objective. Both evaluations use
//! the same noise, and $\varepsilon$ and $-\varepsilon$ are antithetic. Salimans, Ho, Chen, Sidor and Sutskever (2017);
//! Nesterov and Spokoiny (2017) on Gaussian smoothing. [`Spsa`](crate::Spsa) uses random signs for $\varepsilon$, and
//! has a smaller variance.
//!
//! **Assumptions.** The distribution exists at all real parameters (logits, logarithms). Host code must not branch on a
//! value downstream, unless the model was given as a function.
//!
//! | | |
//! |---|---|
//! | bias | of the gradient, $O(\sigma^2)$; none for the smoothed objective |
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
use stochgrad_tensor::Real;

/// Gaussian smoothing of a node's parameters, for any distribution.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::EvolutionStrategy;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0, 0.4])?;
/// let x = graph.sample("x", &Bernoulli::from_logits(logits), &EvolutionStrategy::new(0.1).directions(8))?;
/// graph.cost("loss", (x.sum() - 0.45).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EvolutionStrategy {
    directions: RandomDirections,
}

impl EvolutionStrategy {
    /// Draws one sample, and one antithetic pair of directions with this standard deviation.
    pub fn new(width: f64) -> Self {
        EvolutionStrategy { directions: RandomDirections::new(width) }
    }

    /// Averages over this number of directions.
    pub fn directions(self, directions: usize) -> Self {
        EvolutionStrategy { directions: self.directions.count(directions) }
    }

    sampling_setters! { self => self.directions.sampling; samples, on_plate, scheme, groups }
}

impl Method for EvolutionStrategy {
    fn name(&self) -> String {
        format!("evolution strategy ({})", self.directions.describe())
    }

    fn profile(&self) -> Profile {
        self.directions.profile()
    }

    fn sample_plate(&self) -> SamplePlate {
        self.directions.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for EvolutionStrategy {
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
        self.directions.terms::<F, D>(context, distribution, &|draw, event| draw.record_normal(tape, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, Poisson};
    use stochgrad_graph::Graph;

    /// E (x − 1)² = e²ᵗ − eᵗ + 1 for a Poisson count with the log-rate t. The smoothed derivative is 2 e^(2t + 2σ²) −
    /// e^(t + σ²/2).
    #[test]
    fn the_mean_is_that_of_the_smoothed_objective() {
        let (t, sigma) = (-0.2_f64, 0.3_f64);
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", t)?;
            let x = graph.sample("x", &Poisson::from_log_rate(t), &EvolutionStrategy::new(sigma))?;
            graph.cost("cost", (x - 1.0).square())
        };
        let found = Oracle::new().nodes(10).gradient(model).unwrap().mean("t").unwrap().as_slice()[0];
        let (s, smoothed) = (sigma * sigma, |s: f64| 2.0 * (2.0 * t + 2.0 * s).exp() - (t + s / 2.0).exp());
        assert!((found - smoothed(s)).abs() < 1e-7, "{found}, not {}", smoothed(s));
        assert!((smoothed(s) - smoothed(0.0)).abs() > 0.1);
    }

    /// The expected cost is quadratic in the means that one node passes to another, so that smoothing does not change
    /// the gradient.
    #[test]
    fn nothing_is_shifted_where_the_expected_cost_is_quadratic() {
        let model = |graph: &Graph<'_, f64>| {
            let p = graph.param("p", [0.4, 0.5])?;
            let method = EvolutionStrategy::new(0.02);
            let x = graph.sample("x", &Bernoulli::from_probabilities(p), &method)?;
            graph.cost("cost", (x.sum() - 0.3).square())
        };
        Oracle::new().nodes(3).verify(model, 0..=1, 1e-9).unwrap();
    }

    #[test]
    fn compiled_graphs_do_the_same() {
        models::assert_compiled(&(Arc::new(EvolutionStrategy::new(0.05).samples(2)) as BitMethod));
    }
}
