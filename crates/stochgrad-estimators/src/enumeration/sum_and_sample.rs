//! Sum and sample: sums over the likeliest states, and samples the others. Use it for discrete nodes with too many
//! joint states to enumerate, of which few carry most of the probability.
//!
//! With the set $C$ of the $k$ likeliest states and $m$ draws $x_i$ from the others,
//!
//! $$\mathbb{E}[f] \approx \sum_{s \in C} p(s) f(s) + \big(1 - p(C)\big) \frac1m \sum_{i=1}^m f(x_i), \qquad x_i \sim p(\cdot \mid x \notin C).$$
//!
//! The weights are detached, and $\ln p$ is the gradient function of all members, so that derivatives of every order
//! are unbiased. With $m \ge 2$, the baseline of each draw is the estimate of $\mathbb{E}[f]$ from the other members,
//! and that of each summed state the estimate from all members. No evaluation is spent on a baseline, and there is no
//! variance where the other states have probability zero. Liu, Regier, Tripuraneni, Jordan and McAuliffe (2019).
//!
//! [`random`](SumAndSample::random) draws the summed states without replacement instead of taking the likeliest: the
//! stochastic form of Kool, van Hoof and Welling (2020), of which [`UnorderedSet`](crate::UnorderedSet) is the average
//! over all orders. [`shared_baseline`](SumAndSample::shared_baseline) uses one more draw, from the whole distribution,
//! as a baseline for all members.
//!
//! **Assumptions.** A finite support; the joint states of all elements are the states. A cost must not depend on the
//! sets of several plate members together.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | any |
//! | cost evaluations | $k + m$, and 1 for a shared baseline |
//! | requirement on the cost | values |

pub(crate) mod around;
mod rest_family;

use crate::common::unrolled::check_unrolled;
use crate::enumeration::distinct_states::{DistinctStates, pick_draw, weighted};
use crate::enumeration::sum_and_sample::around::SumAndSampleAround;
use stochgrad_distributions::{Distribution, DistributionError, Family, FiniteSupport, ScoreDifferentiable};
use stochgrad_graph::{
    CostContext, GradientMethod, GraphResult, Method, Order, Path, Profile, SampleContext, SampleSet, Terms,
};
use stochgrad_tape::{PlateKind, Var};
use stochgrad_tensor::{Real, instantiated};

/// The sum over the likeliest states and samples of the others, for distributions with a finite support.
///
/// ```
/// use stochgrad_distributions::Categorical;
/// use stochgrad_estimators::SumAndSample;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [3.0, -1.0, 0.5, 0.0])?;
/// let x = graph.sample("x", &Categorical::from_logits(logits), &SumAndSample::new(1, 2))?;
/// graph.cost("loss", (x - 1.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumAndSample {
    summed: usize,
    sampled: usize,
    random: bool,
    shared_baseline: bool,
    limit: usize,
}

impl SumAndSample {
    /// Sums over the `summed` likeliest states and draws `sampled` of the others, for nodes with up to 4096 joint
    /// states.
    pub fn new(summed: usize, sampled: usize) -> Self {
        SumAndSample { summed, sampled, random: false, shared_baseline: false, limit: 4096 }
    }

    /// Sums over the `summed` likeliest states, and leaves the others to another method, whose guarantee and order the
    /// sum has. The method is one for one-hot vectors, such as `ScoreFunction::new().samples(3).baseline(LeaveOneOut)`,
    /// [`UnorderedSet`](crate::UnorderedSet), [`MeasureValued`](crate::MeasureValued) or
    /// [`GumbelSoftmax`](crate::GumbelSoftmax), or one for the [numbers](SumAndSampleAround::numbered) of the states.
    pub fn around<M>(summed: usize, method: M) -> SumAndSampleAround<M> {
        SumAndSampleAround::new(summed, method)
    }

    /// Sums over states that are drawn without replacement, by their probabilities, instead of the likeliest states.
    pub fn random(self) -> Self {
        SumAndSample { random: true, ..self }
    }

    /// Uses the cost of one more draw as the baseline of all members.
    pub fn shared_baseline(self) -> Self {
        SumAndSample { shared_baseline: true, ..self }
    }

    /// Sets the largest number of joint states; a node with more of them is an error.
    pub fn limit(self, states: usize) -> Self {
        SumAndSample { limit: states, ..self }
    }

    fn sample_body<'t, F: Real>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &dyn FiniteSupport<'t, F>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let mut states =
            DistinctStates::new(context.tape(), distribution, self.limit).map_err(|source| context.error(source))?;
        if self.sampled == 0 || self.summed >= states.total() {
            return Err(context.error(DistributionError::Unsupported {
                distribution: distribution.name(),
                problem: format!(
                    "expected at least 1 sample and fewer summed states than the {} there are, got {} and {}; for all \
                     states use Enumerate",
                    states.total(),
                    self.sampled,
                    self.summed
                ),
            }));
        }
        let refused = |source| context.error(source);
        let drawn = self.summed.saturating_add(self.sampled);
        let instead = "draw fewer, or draw them along a plate with ScoreFunction";
        check_unrolled(distribution.name(), "states and draws together", drawn, instead).map_err(refused)?;
        let baseline = match self.shared_baseline {
            true => Some(states.draw_rest(&pick_draw(context, drawn)).map_err(refused)?),
            false => None,
        };
        for number in 0..self.summed {
            match self.random {
                true => states.pick_randomly(&pick_draw(context, number)).map_err(refused)?,
                false => states.pick_likeliest(),
            }
        }
        let mut chosen = states.picked().to_vec();
        let mut weights: Vec<Var<'t, F>> = chosen.iter().map(|&chosen| states.probability(chosen)).collect();
        for number in self.summed..drawn {
            chosen.push(states.draw_rest(&pick_draw(context, number)).map_err(refused)?);
            weights.push(states.rest() * (1.0 / self.sampled as f64));
        }
        // The state of the baseline is in the set for its cost only.
        weights.extend(baseline.map(|_| states.rest() * 0.0));
        chosen.extend(baseline);
        let plate = context.plate(chosen.len(), PlateKind::JointSamples)?;
        let value = states.members(&chosen, plate, &distribution.event_shape())?;
        weighted(value, &weights, plate)
    }

    fn terms_body<'t, F: Real>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn FiniteSupport<'t, F>,
    ) -> GraphResult<Terms<'t, F>> {
        context.check_hidden_outcomes()?;
        let mut terms = Terms::default();
        let Some(plate) = context.plate() else { return Ok(terms) };
        if self.shared_baseline {
            for cost in context.totals()? {
                let Some(l) = cost.gradient_function else { continue };
                let baseline = cost.value.member(plate, self.summed + self.sampled).stop_gradient();
                terms.control_variates.push((1.0 - l.magic_box()) * baseline);
            }
            return Ok(terms);
        }
        if self.sampled < 2 {
            return Ok(terms);
        }
        let mut states =
            DistinctStates::new(context.tape(), distribution, self.limit).map_err(|source| context.error(source))?;
        states.pick_members(context.value(), plate, self.summed);
        let chances: Vec<Var<'t, F>> = states.picked().iter().map(|&chosen| states.probability(chosen)).collect();
        for cost in context.totals()? {
            let Some(l) = cost.gradient_function else { continue };
            let f = |member: usize| cost.value.member(plate, member);
            let summed = (0..self.summed).fold(states.rest() * 0.0, |sum, s| sum + chances[s] * f(s));
            let drawn = (0..self.sampled).map(|i| f(self.summed + i)).reduce(|sum, f| sum + f).unwrap_or(summed);
            let all = summed + states.rest() * drawn * (1.0 / self.sampled as f64);
            let without =
                |i: usize| summed + states.rest() * (drawn - f(self.summed + i)) * (1.0 / (self.sampled - 1) as f64);
            let baselines: Vec<Var<'t, F>> =
                std::iter::repeat_n(all, self.summed).chain((0..self.sampled).map(without)).collect();
            let baseline = Var::stack(&baselines)?.event_to_plate(plate).stop_gradient();
            terms.control_variates.push((1.0 - l.magic_box()) * baseline);
        }
        Ok(terms)
    }
}

impl Method for SumAndSample {
    fn name(&self) -> String {
        let which = if self.random { " random" } else { "" };
        let baseline = if self.shared_baseline { ", a shared baseline" } else { "" };
        format!("sum and sample ({}{which} states summed, {} sampled{baseline})", self.summed, self.sampled)
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any)
            .times(self.summed.saturating_add(self.sampled).saturating_add(usize::from(self.shared_baseline)))
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for SumAndSample
where
    for<'t> D::On<'t>: FiniteSupport<'t, F> + ScoreDifferentiable<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        instantiated!(
            F: for<'t> fn(&SumAndSample, &SampleContext<'_, 't, F>, &dyn FiniteSupport<'t, F>) -> GraphResult<SampleSet<'t, F>> =
                SumAndSample::sample_body
        )(self, context, distribution)
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, _path: &Path) -> Option<Var<'t, F>> {
        Some(distribution.log_prob(value))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        instantiated!(
            F: for<'t> fn(&SumAndSample, &CostContext<'_, 't, F>, &dyn FiniteSupport<'t, F>) -> GraphResult<Terms<'t, F>> =
                SumAndSample::terms_body
        )(self, context, distribution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enumeration::unordered_set::UnorderedSet;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::LeaveOneOut;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Categorical;
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    #[test]
    fn every_order_is_exact_on_every_shape_of_graph() {
        let [one, two] = [1, 2].map(|sampled| Arc::new(SumAndSample::new(1, sampled)) as BitMethod);
        let none: BitMethod = Arc::new(SumAndSample::new(0, 2));
        let score: BitMethod = Arc::new(ScoreFunction::new());
        for [first, second] in [[&one, &two], [&two, &score], [&none, &none]] {
            let model = |graph: &Graph<'_, f64>| models::chain(graph, first, second);
            Oracle::new()
                .verify(model, 0..=3, 1e-9)
                .unwrap_or_else(|error| panic!("{}: {error}", models::names(&[first, second])));
        }
        models::assert_unbiased([&two, &one, &score]);
        let random: BitMethod = Arc::new(SumAndSample::new(1, 1).random());
        let several: BitMethod = Arc::new(SumAndSample::new(1, 2).random());
        let shared: BitMethod = Arc::new(SumAndSample::new(1, 1).shared_baseline());
        let both: BitMethod = Arc::new(SumAndSample::new(1, 1).random().shared_baseline());
        for [first, second] in [[&random, &several], [&shared, &score], [&both, &random], [&score, &both]] {
            let model = |graph: &Graph<'_, f64>| models::chain(graph, first, second);
            Oracle::new()
                .verify(model, 0..=2, 1e-9)
                .unwrap_or_else(|error| panic!("{}: {error}", models::names(&[first, second])));
        }
        models::assert_unbiased([&random, &score, &shared]);
        models::assert_unbiased([&both, &random, &score]);
    }

    fn variance(method: &SumAndSample, phi: f64) -> f64 {
        let model = |graph: &Graph<'_, f64>| models::three_bits(graph, phi, method);
        Oracle::new().gradient(model).unwrap().variance("phi").unwrap().as_slice()[0]
    }

    fn assert_known(method: SumAndSample, phi: f64, expected: f64) {
        let found = variance(&method, phi);
        assert!((found - expected).abs() < 1e-6 * expected, "{} at {phi}: {found} where {expected}", method.name());
    }

    #[test]
    fn variances_are_the_known_ones() {
        for (phi, alone, with_baseline, random) in [
            (
                0.0,
                [0.1942745, 0.1302240, 6.986957e-2],
                [1.2525e-2, 6.99375e-3, 5.290625e-3, 3.71875e-3],
                [0.3288151, 0.1565786],
            ),
            (
                -4.0,
                [5.062519e-5, 2.782161e-5, 1.161928e-5],
                [7.519415e-4, 2.925374e-5, 1.089118e-5, 7.393066e-7],
                [1.277851e-3, 9.138358e-6],
            ),
        ] {
            for (summed, expected) in alone.into_iter().enumerate() {
                assert_known(SumAndSample::new(summed + 1, 1), phi, expected);
            }
            for (summed, expected) in with_baseline.into_iter().enumerate() {
                assert_known(SumAndSample::new(summed, 1).shared_baseline(), phi, expected);
            }
            for (draws, expected) in [2, 4].into_iter().zip(random) {
                assert_known(SumAndSample::new(draws - 1, 1).random(), phi, expected);
            }
        }
    }

    /// The unordered set is the average of the stochastic form over the orders of its states.
    #[test]
    fn the_stochastic_form_is_never_better_than_the_unordered_set() {
        for phi in [0.0, -1.0, -4.0] {
            for draws in [2, 3] {
                let set = UnorderedSet::new(draws).without_baseline();
                let model = |graph: &Graph<'_, f64>| models::three_bits(graph, phi, &set);
                let unordered = Oracle::new().gradient(model).unwrap().variance("phi").unwrap().as_slice()[0];
                let ordered = variance(&SumAndSample::new(draws - 1, 1).random(), phi);
                assert!(unordered < ordered, "{draws} draws at {phi}: {unordered} and {ordered}");
            }
        }
    }

    #[test]
    fn without_summed_states_it_is_leave_one_out() {
        let leave_one_out: BitMethod = Arc::new(ScoreFunction::new().samples(3).baseline(LeaveOneOut));
        let none: BitMethod = Arc::new(SumAndSample::new(0, 3));
        let (expected, found) = (models::moments(&leave_one_out, 0.45, 0.1), models::moments(&none, 0.45, 0.1));
        assert!((expected.1 - found.1).abs() < 1e-14, "{expected:?}, {found:?}");
    }

    #[test]
    fn wrong_numbers_are_errors_and_compiled_graphs_do_the_same() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let distribution = Categorical::from_logits(graph.constant([0.1, 0.2]));
        for (number, method) in [SumAndSample::new(2, 1), SumAndSample::new(1, 0)].iter().enumerate() {
            let error = graph.sample(("x", number), &distribution, method).unwrap_err().to_string();
            assert!(error.contains("Enumerate"), "{error}");
        }
        models::assert_compiled(&(Arc::new(SumAndSample::new(1, 2)) as BitMethod));
        models::assert_compiled(&(Arc::new(SumAndSample::new(1, 1).random().shared_baseline()) as BitMethod));
    }
}
