//! The unordered-set estimator: draws states without replacement, and averages over the order in which they were drawn.
//! Use it for discrete nodes with many joint states and a small number $k$ of evaluations.
//!
//! $k$ different states $S$ are drawn one after the other, each by its probability among the remaining ones. Let $P(S)$
//! be the sum over all orders in which $S$ can be drawn, and $R(S, s) = P^{D \setminus s}(S \setminus s) / P(S)$ the
//! leave-one-out ratio. Then
//!
//! $$\mathbb{E}[f] = \mathbb{E}_S \sum_{s \in S} p(s)\, R(S, s)\, f(s), \qquad
//!     g = \sum_{s \in S} R(S, s)\, \nabla p(s) \Big[f(s) - \sum_{s' \in S} p(s')\, R^{D \setminus s}(S, s')\, f(s')\Big],$$
//!
//! with $R^{D \setminus s}(S, s) = 1$. The weights $p(s) R(S, s)$ are detached, and $\ln p(s)$ is the gradient
//! function, so that derivatives of every order are unbiased. So is the baseline, whose inner sum estimates
//! $\mathbb{E}[f]$ given that $s$ was drawn first, as long as another state was drawn after it. Kool, van Hoof and
//! Welling (2020).
//!
//! **Assumptions.** A finite support; the joint states of all elements are the states. A cost must not depend on the
//! sets of several plate members together.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | any |
//! | cost evaluations | $k$; ratios cost $O(k\, 2^k)$ |
//! | requirement on the cost | values |

use crate::enumeration::distinct_states::{DistinctStates, pick_draw, weighted};
use crate::enumeration::set_probabilities::{LARGEST, SetProbabilities};
use stochgrad_distributions::{Distribution, DistributionError, Family, FiniteSupport, ScoreDifferentiable};
use stochgrad_graph::{
    CostContext, GradientMethod, GraphResult, Method, Order, Path, Profile, SampleContext, SampleSet, Terms,
};
use stochgrad_tape::{PlateKind, TapeResult, Var};
use stochgrad_tensor::{Real, instantiated};

/// States without replacement, for distributions with a finite support.
///
/// ```
/// use stochgrad_distributions::Categorical;
/// use stochgrad_estimators::UnorderedSet;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0, 0.5, 0.0])?;
/// let x = graph.sample("x", &Categorical::from_logits(logits), &UnorderedSet::new(2))?;
/// graph.cost("loss", (x - 1.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnorderedSet {
    size: usize,
    baseline: bool,
    limit: usize,
}

impl UnorderedSet {
    /// Draws sets of this number of states, for nodes with up to 4096 joint states. From two states on, they have the
    /// built-in baseline.
    pub fn new(size: usize) -> Self {
        UnorderedSet { size, baseline: true, limit: 4096 }
    }

    /// Leaves out the built-in baseline.
    pub fn without_baseline(self) -> Self {
        UnorderedSet { baseline: false, ..self }
    }

    /// Sets the largest number of joint states; a node with more of them is an error.
    pub fn limit(self, states: usize) -> Self {
        UnorderedSet { limit: states, ..self }
    }

    fn sample_body<'t, F: Real>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &dyn FiniteSupport<'t, F>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let unsupported = |problem: String| {
            context.error(DistributionError::Unsupported { distribution: distribution.name(), problem })
        };
        let mut states =
            DistinctStates::new(context.tape(), distribution, self.limit).map_err(|source| context.error(source))?;
        if self.size == 0 || self.size > LARGEST.min(states.total()) {
            return Err(unsupported(format!(
                "expected a set of 1 to {} states, got {}; for all states use Enumerate",
                LARGEST.min(states.total()),
                self.size
            )));
        }
        for number in 0..self.size {
            states.pick_randomly(&pick_draw(context, number)).map_err(|source| context.error(source))?;
        }
        let plate = context.plate(self.size, PlateKind::JointSamples)?;
        let value = states.members(states.picked(), plate, &distribution.event_shape())?;
        let set = set_of(&states)?.1;
        let weights: Vec<Var<'t, F>> = (0..self.size).map(|s| set.weight(s)).collect();
        weighted(value, &weights, plate)
    }

    fn terms_body<'t, F: Real>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn FiniteSupport<'t, F>,
    ) -> GraphResult<Terms<'t, F>> {
        context.check_hidden_outcomes()?;
        let mut terms = Terms::default();
        let Some(plate) = context.plate().filter(|_| self.baseline && self.size >= 2) else { return Ok(terms) };
        let mut states =
            DistinctStates::new(context.tape(), distribution, self.limit).map_err(|source| context.error(source))?;
        states.pick_members(context.value(), plate, self.size);
        let (chances, set) = set_of(&states)?;
        for cost in context.totals()? {
            let Some(l) = cost.gradient_function else { continue };
            let baselines = set.baselines(&chances, |s| cost.value.member(plate, s))?;
            let baseline = baselines.event_to_plate(plate).stop_gradient();
            terms.control_variates.push((1.0 - l.magic_box()) * baseline);
        }
        Ok(terms)
    }
}

impl Method for UnorderedSet {
    fn name(&self) -> String {
        let baseline = if self.baseline { "" } else { ", no baseline" };
        format!("unordered set ({} states{baseline})", self.size)
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any).times(self.size)
    }
}

/// The probabilities of the picked states, and those of the orders in which they can be drawn.
fn set_of<'t, F: Real>(states: &DistinctStates<'t, F>) -> TapeResult<(Vec<Var<'t, F>>, SetProbabilities<'t, F>)> {
    let chances: Vec<Var<'t, F>> = states.picked().iter().map(|&chosen| states.probability(chosen)).collect();
    let logs: Vec<Var<'t, F>> = chances.iter().map(|chance| chance.ln()).collect();
    let set = SetProbabilities::new(&logs, states.rest().ln())?;
    Ok((chances, set))
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for UnorderedSet
where
    for<'t> D::On<'t>: FiniteSupport<'t, F> + ScoreDifferentiable<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        instantiated!(
            F: for<'t> fn(&UnorderedSet, &SampleContext<'_, 't, F>, &dyn FiniteSupport<'t, F>) -> GraphResult<SampleSet<'t, F>> =
                UnorderedSet::sample_body
        )(self, context, distribution)
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, _path: &Path) -> Option<Var<'t, F>> {
        Some(distribution.log_prob(value))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        instantiated!(
            F: for<'t> fn(&UnorderedSet, &CostContext<'_, 't, F>, &dyn FiniteSupport<'t, F>) -> GraphResult<Terms<'t, F>> =
                UnorderedSet::terms_body
        )(self, context, distribution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::LeaveOneOut;
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use rand_chacha::ChaCha8Rng;
    use std::collections::HashMap;
    use std::rc::Rc;
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{
        Bernoulli, Categorical, DistributionResult, NoiseKey, NoiseLayout, NoiseSource, OneHotCategorical,
    };
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    #[test]
    fn every_order_is_exact_on_every_shape_of_graph() {
        let set: BitMethod = Arc::new(UnorderedSet::new(1));
        let both: BitMethod = Arc::new(UnorderedSet::new(2));
        let plain: BitMethod = Arc::new(UnorderedSet::new(2).without_baseline());
        let score: BitMethod = Arc::new(ScoreFunction::new().samples(2).baseline(LeaveOneOut));
        for [first, second] in [[&set, &both], [&both, &score], [&score, &plain], [&plain, &both]] {
            let model = |graph: &Graph<'_, f64>| models::chain(graph, first, second);
            Oracle::new()
                .verify(model, 0..=3, 1e-9)
                .unwrap_or_else(|error| panic!("{}: {error}", models::names(&[first, second])));
        }
        models::assert_unbiased([&both, &score, &set]);
    }

    #[test]
    fn variances_are_the_known_ones() {
        for (phi, gradient, rows) in [
            (0.0, -0.045, [(2, 0.1878944, 6.1125e-3), (4, 6.263146e-2, 1.130833e-3), (6, 2.087715e-2, 3.165e-4)]),
            (
                -4.0,
                -3.179287e-3,
                [(2, 1.209589e-3, 2.978239e-5), (4, 5.105935e-6, 1.055492e-6), (6, 2.012079e-8, 1.024781e-8)],
            ),
        ] {
            for (size, plain, with_baseline) in rows {
                let methods =
                    [(UnorderedSet::new(size).without_baseline(), plain), (UnorderedSet::new(size), with_baseline)];
                for (method, expected) in methods {
                    let (mean, variance) = moments(&method, phi);
                    assert!((mean - gradient).abs() < 1e-6 * gradient.abs(), "{}: {mean}", method.name());
                    assert!((variance - expected).abs() < 1e-6 * expected, "{} at {phi}: {variance}", method.name());
                    if size == 2 {
                        let model = |graph: &Graph<'_, f64>| models::three_bits(graph, phi, &method);
                        let exact = Oracle::new().gradient(model).unwrap().variance("phi").unwrap().as_slice()[0];
                        assert!((variance - exact).abs() < 1e-12 * exact);
                    }
                }
            }
        }
    }

    /// The mean and the variance of the gradient, set by set: the 20 160 ways to draw six states make 28 sets.
    fn moments(method: &UnorderedSet, phi: f64) -> (f64, f64) {
        let one = 1.0 / (1.0 + (-phi).exp());
        let chance = |state: usize| {
            let ones = state.count_ones() as i32;
            one.powi(ones) * (1.0 - one).powi(3 - ones)
        };
        let (mut mean, mut square) = (0.0, 0.0);
        for set in (0..1_usize << 8).filter(|set| set.count_ones() as usize == method.size) {
            let states: Vec<usize> = (0..8).filter(|state| set >> state & 1 == 1).collect();
            // The probability of the set, over the orders of its states: by what was drawn so far.
            let mut reached = vec![0.0; 1 << states.len()];
            reached[0] = 1.0;
            for drawn in 0..reached.len() {
                let mass: f64 = (0..states.len()).filter(|s| drawn >> s & 1 == 1).map(|s| chance(states[s])).sum();
                for next in (0..states.len()).filter(|s| drawn >> s & 1 == 0) {
                    reached[drawn | 1 << next] += reached[drawn] * chance(states[next]) / (1.0 - mass);
                }
            }
            let probability = reached[reached.len() - 1];
            let keys = (0..states.len()).map(|pick| NoiseKey::new("x", None).purpose(&format!("pick {pick}")));
            let noise = Picks(keys.zip(states.iter().copied()).collect());
            let tape = Tape::<f64>::new();
            let graph = Graph::with_noise(&tape, Rc::new(noise));
            models::three_bits(&graph, phi, method).unwrap();
            let gradient = graph.backward().unwrap().get("phi").unwrap().as_slice()[0];
            mean += probability * gradient;
            square += probability * gradient * gradient;
        }
        (mean, square - mean * mean)
    }

    /// A source that hands out given states.
    struct Picks(HashMap<NoiseKey, usize>);

    impl NoiseSource<f64> for Picks {
        fn uniform(&self, _: NoiseKey, _: &NoiseLayout, _: &mut [f64]) -> DistributionResult<()> {
            Err(DistributionError::Noise("there are states only".into()))
        }

        fn normal(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [f64]) -> DistributionResult<()> {
            self.uniform(key, layout, out)
        }

        fn invert(
            &self,
            key: NoiseKey,
            _: &NoiseLayout,
            _: &dyn Fn(usize, u64) -> f64,
            out: &mut [f64],
        ) -> DistributionResult<()> {
            out[0] = self.0[&key] as f64;
            Ok(())
        }

        fn generator(&self, _: NoiseKey, _: u64) -> DistributionResult<ChaCha8Rng> {
            Err(DistributionError::Noise("there are states only".into()))
        }
    }

    #[test]
    fn categories_are_exact_to_the_second_order_and_whole_supports_have_no_variance() {
        for size in 1..=4 {
            let method = UnorderedSet::new(size);
            let model = |graph: &Graph<'_, f64>| {
                let logits = graph.param("logits", [0.3, -1.0, 0.5, -2.0])?;
                let x = graph.sample("x", &Categorical::from_logits(logits), &method)?;
                graph.cost("cost", (x - 0.7).exp() * logits.index(0, 1))
            };
            Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
            let variance =
                Oracle::new().gradient(model).unwrap().variance("logits").unwrap().as_slice().iter().sum::<f64>();
            assert!(size < 4 || variance < 1e-18, "{variance}");
        }
        let vectors = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [[0.3, -1.0, 0.5], [0.0, 0.2, 0.9]])?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &UnorderedSet::new(2))?;
            let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 1.0, 1.5]])).sum_axis(-1);
            graph.cost("cost", (y.index(0, 0) - y.index(0, 1) * 0.5).exp())
        };
        Oracle::new().verify(vectors, 0..=2, 1e-9).unwrap();
    }

    #[test]
    fn impossible_states_and_wrong_sizes() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let logits = graph.param("logits", [f64::NEG_INFINITY, 0.0, f64::NEG_INFINITY]).unwrap();
        let distribution = Categorical::from_logits(logits);
        let x = graph.sample("x", &distribution, &UnorderedSet::new(3)).unwrap();
        graph.cost("cost", x.square()).unwrap();
        let gradients = graph.backward().unwrap();
        assert_abs_diff_eq!(gradients.cost("cost").unwrap(), 1.0, epsilon = 1e-12);
        assert!(gradients.get("logits").unwrap().all_finite());
        for size in [0, 4] {
            let error = graph.sample(("y", size), &distribution, &UnorderedSet::new(size)).unwrap_err().to_string();
            assert!(error.contains("1 to 3"), "{error}");
        }
    }

    #[test]
    fn sets_of_several_members_must_stay_apart() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let t = graph.param("t", 0.3).unwrap();
        let features = graph.data("data", [0.5, -1.5]).unwrap();
        let x = graph.sample("x", &Bernoulli::from_logits(t * features), &UnorderedSet::new(2)).unwrap();
        graph.cost("cost", (x * features).sum_over(features.plates()[0]).square()).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("a weighted set of values of its own"), "{error}");
    }

    #[test]
    fn compiled_graphs_do_the_same() {
        models::assert_compiled(&(Arc::new(UnorderedSet::new(2)) as BitMethod));
    }
}
