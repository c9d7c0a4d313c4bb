//! Bit-flip: the cost at both values of one bit, picked at random. Use it for independent bits that are nearly certain,
//! when one additional evaluation of the cost is affordable.
//!
//! Of $D$ bits, one is picked uniformly. Bit $i$ gets the following gradient if it is picked, and 0 otherwise:
//!
//! $$g_i = D\, \theta_i (1 - \theta_i)\, \big(f(b_{i \to 1}) - f(b_{i \to 0})\big), \qquad \theta = \sigma(\eta).$$
//!
//! Its variance vanishes with $\theta_i (1 - \theta_i)$, unlike that of antithetic pairs. Kunes, Yin, Land, Haviv,
//! Pe'er and Tavaré (2023). [`LocalExpectation`](crate::LocalExpectation) flips every bit, with $D$ evaluations.
//!
//! **Assumptions.** Independent bits. Where a cost depends on several members of a plate together, one bit is picked
//! among those of all these members.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1: the replay is detached |
//! | cost evaluations | 2: the sample's and that of one flip |
//! | requirement on the cost | values |

use crate::common::sampling::Sampling;
use crate::counterfactual::picked_element::pick_element;
use crate::sampling_setters;
use stochgrad_distributions::{Family, IndependentBits};
use stochgrad_graph::{
    CostContext, Count, GradientMethod, GradientTerm, GraphResult, Method, Order, Profile, SampleContext, SamplePlate,
    SampleSet, Terms,
};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The gradient from the flip of one random bit, for distributions of independent bits.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::BitFlip;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0, 4.0])?;
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &BitFlip::new())?;
/// graph.cost("loss", (bits.sum() - 0.5).square())?;
/// let gradients = graph.backward()?;
/// assert_eq!(gradients.get("logits")?.as_slice().iter().filter(|&&g| g != 0.0).count(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitFlip {
    sampling: Sampling,
}

impl BitFlip {
    /// Draws one sample.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! {
        self => self.sampling;
        /// One bit of each sample is flipped.
        samples,
        on_plate,
        scheme,
        groups
    }
}

impl Method for BitFlip {
    fn name(&self) -> String {
        format!("bit-flip ({})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1)).evaluations(Count::exactly(2)).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for BitFlip
where
    for<'t> D::On<'t>: IndependentBits<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.sampling.draw(context, distribution)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        Ok(Terms { gradient_terms: flip_terms(context, distribution, None)?, ..Terms::default() })
    }
}

/// The probability of a 1, as a differentiable function of the parameters.
pub(crate) fn chances<'t, F: Real>(distribution: &impl IndependentBits<'t, F>) -> Var<'t, F> {
    distribution.mean().unwrap_or_else(|| distribution.logits().sigmoid())
}

/// The gradient terms of the flip of one bit, picked uniformly or by importance; see [`pick_element`].
pub(crate) fn flip_terms<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    distribution: &impl IndependentBits<'t, F>,
    importance: Option<Var<'t, F>>,
) -> GraphResult<Vec<GradientTerm<'t, F>>> {
    let picked = pick_element(context, "flipped bit", importance, &distribution.event_shape())?;
    let Some(picked) = picked else { return Ok(Vec::new()) };
    let zero = context.tape().constant(0.0);
    let bits = context.value().stop_gradient();
    let other = 1.0 - bits;
    let changes = context.change(picked.chosen.select(other, bits))?;
    let terms = changes.into_iter().map(|change| {
        let gradient = picked.inverse * (other - bits) * change.value;
        let value = zero.straight_through((gradient.stop_gradient() * chances(distribution)).sum());
        GradientTerm { value, summed: change.summed }
    });
    Ok(terms.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    #[test]
    fn flips_are_unbiased_on_every_shape_of_graph() {
        let flip: BitMethod = Arc::new(BitFlip::new());
        let two: BitMethod = Arc::new(BitFlip::new().samples(2));
        let score: BitMethod = Arc::new(ScoreFunction::new());
        let weak: BitMethod = Arc::new(MeasureValued::new());
        models::assert_unbiased([&flip, &flip, &score]);
        models::assert_unbiased([&score, &two, &weak]);
        Oracle::new().verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &two), 0..=1, 1e-9).unwrap();
    }

    #[test]
    fn members_that_meet_share_one_flip() {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.8])?;
            let features = graph.data("data", [0.5, -1.5])?;
            let x = graph.sample("x", &Bernoulli::from_logits(t * features), &BitFlip::new())?;
            let plate = features.plates()[0];
            graph.cost("cost", ((x * t).sum() * features).sum_over(plate).square() + t.sum())
        };
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
    }

    /// The bits of f = Σ (b − c)² have the variance D a² d² − (a d)², with a = θ (1 − θ) and d = 1 − 2 c.
    #[test]
    fn the_variance_is_that_of_the_formula() {
        let (theta, target) = ([0.5, 0.1, 0.01], [0.499, 0.2, 0.9]);
        let model = |graph: &Graph<'_, f64>| {
            let p = graph.param("logits", theta.map(|p: f64| (p / (1.0 - p)).ln()))?;
            let x = graph.sample("x", &Bernoulli::from_logits(p), &BitFlip::new())?;
            graph.cost("cost", (x - graph.constant(target)).square().sum())
        };
        let moments = Oracle::new().gradient(model).unwrap();
        for i in 0..3 {
            let mean = theta[i] * (1.0 - theta[i]) * (1.0 - 2.0 * target[i]);
            assert_abs_diff_eq!(moments.mean("logits").unwrap().as_slice()[i], mean, epsilon = 1e-12);
            assert_abs_diff_eq!(moments.variance("logits").unwrap().as_slice()[i], 2.0 * mean * mean, epsilon = 1e-12);
        }
        // One bit has no variance.
        models::assert_variance(&(Arc::new(BitFlip::new()) as BitMethod), 0.45, 0.1, 0.0);
    }

    #[test]
    fn certain_bits_give_no_nan() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let p = graph.param("p", [0.0, 0.5, 1.0]).unwrap();
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &BitFlip::new().samples(20)).unwrap();
        let logits = graph.param("logits", [f64::NEG_INFINITY, 0.0, f64::INFINITY]).unwrap();
        let y = graph.sample("y", &Bernoulli::from_logits(logits), &BitFlip::new().samples(20)).unwrap();
        graph.cost("of x", x.sum().square()).unwrap();
        graph.cost("of y", y.sum().square()).unwrap();
        let gradients = graph.backward().unwrap();
        assert!(["p", "logits"].iter().all(|name| gradients.get(name).unwrap().all_finite()), "{gradients:?}");
    }

    #[test]
    fn compiled_graphs_do_the_same() {
        models::assert_compiled(&(Arc::new(BitFlip::new().samples(2)) as BitMethod));
    }
}
