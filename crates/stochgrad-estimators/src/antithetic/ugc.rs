//! UGC (unbiased gradient clipping): flips one of the nearly certain bits, and uses antithetic pairs for the others.
//! Use it for independent bits of which some are nearly certain, when you can afford four evaluations of the cost.
//!
//! A pair $b, \tilde b$ is drawn as for [`DisArm`](crate::DisArm). For nearly certain bits, the gradient of a pair has
//! a variance of the order of $m_i = \min(\theta_i, 1 - \theta_i)$. A flip ([`BitFlip`](crate::BitFlip)) has a variance
//! of the order of $a_i \sum_j a_j$, over all bits $j$ that may be flipped, with $a_j = \theta_j (1 - \theta_j)$. Each
//! bit gets the estimator that is better for it. From the set
//!
//! $$S = \Big\{ i : \sum_{j\,:\, m_j \le m_i} a_j \le \tfrac12 (1 - m_i) \Big\}$$
//!
//! one bit $j$ is picked with probability $\pi_j = a_j / \sum_S a$ and flipped in both values of the pair. It gets the
//! gradient $\tfrac{a_j}{\pi_j} \tfrac12 (\Delta_j f(b) + \Delta_j f(\tilde b))$. Bits outside $S$ have the gradient of
//! the pair. After Kunes, Yin, Land, Haviv, Pe'er and Tavaré (2023).
//!
//! The variance is never above that of DisARM, whatever the cost. With $P = f(b_{-i}, 1) - f(\tilde b_{-i}, 0)$ the
//! pair has the second moment $\tfrac12 a_i (1 - m_i)\, \mathbb{E}[P^2]$. The sum of the two flips equals the sum of
//! $P$ and its mirror image, so that the flip has at most $a_i \sum_S a\, \mathbb{E}[P^2]$.
//!
//! **Assumptions.** Independent bits. A cost must not depend on both members of a pair together.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | 4 a pair: its two values, and a flip of each |
//! | requirement on the cost | values |

use crate::antithetic::disarm::{pair_gradient, pair_terms, sample_pairs};
use crate::common::sampling::Sampling;
use crate::counterfactual::bit_flip::{chances, flip_terms};
use crate::enumeration::boundary::Boundary;
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, Family, IndependentBits};
use stochgrad_graph::{
    CostContext, Count, GradientMethod, GraphResult, Method, Order, Profile, SampleContext, SamplePlate, SampleSet,
    Terms,
};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// Flips of nearly certain bits and antithetic pairs of the others, for distributions of independent bits.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::Ugc;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -4.0])?;
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &Ugc::new())?;
/// graph.cost("loss", (bits.sum() - 0.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ugc {
    sampling: Sampling,
}

impl Ugc {
    /// Draws one pair.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; pairs, on_plate("pair") }
}

impl Method for Ugc {
    fn name(&self) -> String {
        format!("UGC ({})", self.sampling.describe_as("pair"))
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1)).evaluations(Count::exactly(4)).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

/// The importance of each bit's flip: its variance if it is flipped at all, 0 for a bit that has the gradient of the
/// pair.
fn importance<F: Real>(chances: Var<'_, F>) -> Var<'_, F> {
    let p = chances.stop_gradient();
    let event = p.shape();
    let flat = p.reshape([event.numel()]);
    let (smaller, variance) = (flat.minimum(1.0 - flat), flat * (1.0 - flat));
    let as_certain = smaller.unsqueeze(1).ge(smaller.unsqueeze(0));
    let together = (as_certain * variance.unsqueeze(0)).sum_axis(1);
    let flipped = together.le((1.0 - smaller) * 0.5);
    (flipped * variance).reshape(event)
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Ugc
where
    for<'t> D::On<'t>: IndependentBits<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        sample_pairs(context, distribution, self.sampling.plate)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let logits = distribution.logits();
        let importance = importance(chances(distribution).broadcast_to(distribution.event_shape()));
        let paired = 1.0 - importance.gt(importance * 0.0);
        let boundary = Boundary::split(context, distribution)?;
        let mut terms = pair_terms(context, boundary.inside.logits(), |difference, first, second| {
            paired.select(pair_gradient(logits, difference, first, second), paired)
        })?;
        // A certain bit has importance 0 and is not flipped.
        terms.gradient_terms.extend(flip_terms(context, distribution, Some(importance))?);
        terms.gradient_terms.extend(boundary.terms);
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antithetic::disarm::DisArm;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    #[test]
    fn both_kinds_of_bits_are_unbiased_on_every_shape_of_graph() {
        let ugc: BitMethod = Arc::new(Ugc::new());
        let score: BitMethod = Arc::new(ScoreFunction::new());
        models::assert_unbiased([&ugc, &score, &ugc]);
        models::assert_unbiased([&score, &ugc, &score]);
        // Some bits are flipped here and some are not.
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -3.0, 4.0, 0.1])?;
            let x = graph.sample("x", &Bernoulli::from_logits(t), &Ugc::new())?;
            graph.cost("cost", (x * graph.constant([1.0, -2.0, 0.7, 0.4])).sum().exp())
        };
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
    }

    fn variance(method: BitMethod, theta: [f64; 4], cost: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>) -> Vec<f64> {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", theta.map(|p| (p / (1.0 - p)).ln()))?;
            graph.cost("cost", cost(graph.sample("x", &Bernoulli::from_logits(t), &method)?))
        };
        Oracle::new().gradient(model).unwrap().variance("t").unwrap().to_vec()
    }

    /// A table of arbitrary numbers, one for each of the sixteen states.
    fn table(x: Var<'_, f64>, seed: usize) -> Var<'_, f64> {
        let state = (x * x.tape().constant([1.0, 2.0, 4.0, 8.0])).sum();
        let number = |state: usize| ((state * 37 + seed * 101 + state * state * 11) % 23) as f64 / 7.0;
        let values = Tensor::from_fn([16], number);
        (state.one_hot(16) * x.tape().constant(values)).sum()
    }

    #[test]
    fn its_variance_is_never_larger_than_that_of_pairs_whatever_the_cost() {
        let chances =
            [[0.5; 4], [0.5, 0.01, 0.99, 0.3], [0.02; 4], [0.1, 0.2, 0.3, 0.4], [0.001, 0.999, 0.5, 0.05], [0.1; 4]];
        for theta in chances {
            for seed in 0..5 {
                let pairs = variance(Arc::new(DisArm::new()), theta, |x| table(x, seed));
                let ugc = variance(Arc::new(Ugc::new()), theta, |x| table(x, seed));
                let below = ugc.iter().zip(&pairs).all(|(ugc, pairs)| *ugc <= pairs * (1.0 + 1e-9) + 1e-15);
                assert!(below, "{theta:?}: {ugc:?}, {pairs:?}");
            }
        }
    }

    #[test]
    fn nearly_certain_bits_gain_most() {
        let theta = [0.01, 0.005, 0.02, 0.5];
        let pairs = variance(Arc::new(DisArm::new()), theta, |x| x.sum());
        let ugc = variance(Arc::new(Ugc::new()), theta, |x| x.sum());
        assert!((0..3).all(|i| ugc[i] < pairs[i] / 10.0), "{ugc:?}, {pairs:?}");
    }

    #[test]
    fn where_no_bit_is_nearly_certain_it_is_the_pair() {
        let theta = [0.5, 0.45, 0.55, 0.5];
        let pairs = variance(Arc::new(DisArm::new()), theta, |x| x.sum().square());
        let ugc = variance(Arc::new(Ugc::new()), theta, |x| x.sum().square());
        assert!(ugc.iter().zip(&pairs).all(|(ugc, pairs)| (ugc - pairs).abs() < 1e-12), "{ugc:?}, {pairs:?}");
    }

    #[test]
    fn certain_bits_give_no_nan_and_compiled_graphs_do_the_same() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let logits = graph.param("logits", [f64::INFINITY, f64::NEG_INFINITY, 0.0]).unwrap();
        let x = graph.sample("x", &Bernoulli::from_logits(logits), &Ugc::new().pairs(5)).unwrap();
        graph.cost("cost", x.sum().square()).unwrap();
        assert!(graph.backward().unwrap().get("logits").unwrap().all_finite());
        models::assert_compiled(&(Arc::new(Ugc::new().pairs(2)) as BitMethod));
    }
}
