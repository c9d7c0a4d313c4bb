//! The reservoir: one alternative world for all nodes of a graph. Use it to make a measure-valued or stochastic
//! derivative affordable in long chains of nodes.
//!
//! Stochastic and measure-valued derivatives need one replay for every alternative of every node: over a chain of $n$
//! nodes, $n$ replays. The reservoir follows a single alternative world through the graph. At each node the jumps
//! $y_j$, with weights $w_j$, compete with the current world. It survives with probability $s / (s + \sum_j |w_j|)$,
//! and jump $j$ replaces it with probability $|w_j| / (s + \sum_j |w_j|)$. The strength $s$ of the current world
//! becomes $s + \sum_j |w_j|$. A change of a cost counts
//!
//! $$\frac{s}{|w|}\, w\, \big(f(\text{alternative world}) - f(\text{recording})\big)$$
//!
//! for the node where the world began: the weight divided by the probability that the world has survived so far. Where
//! the world has become equal to the recording everywhere that is still used (coalescence), it ends. The strengths
//! depend on the weights only: strengths that depended on the costs would bias the gradient in reverse mode. Arya,
//! Schauer, Schäfer and Rackauckas (2022) call it pruning.
//!
//! All nodes sampled with clones of one reservoir share its world.
//!
//! **Assumptions.** Those of the method inside. Members of plates that all nodes carry and that meet nowhere downstream
//! have separate worlds; all others share one. Host code must not branch on a value downstream.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1: the world is detached |
//! | cost evaluations | about one, besides the sample's own, however many nodes there are |
//! | requirement on the cost | values |

use crate::counterfactual::forwarded::forwarded;
use crate::counterfactual::perturbation::Perturbation;
use crate::counterfactual::shared_replays::{Ledger, choose, in_a_row, replaced_elements, sum, total_strengths};
use std::sync::Arc;
use stochgrad_distributions::Family;
use stochgrad_graph::{
    AlternativeWorld, Count, GradientMethod, GradientTerm, GraphResult, Group, GroupContext, Jump, Method, Profile,
};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

/// One alternative world for all nodes that share the reservoir, with the alternatives of a [`Perturbation`].
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Side};
/// use stochgrad_estimators::{Reservoir, StochasticDerivatives};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let p = graph.param("p", 20.0)?;
/// let method = Reservoir::of(StochasticDerivatives::new().side(Side::Right));
/// let mut x = graph.constant(0.0);
/// for step in 0..10 {
///     let up = graph.sample(("up", step), &Bernoulli::from_probabilities((-x / p).exp()), &method)?;
///     x = x + up * 2.0 - 1.0;
/// }
/// graph.cost("end", x.square())?;
/// assert!(graph.backward()?.get("p")?.all_finite());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Reservoir<M> {
    method: M,
    shared: Arc<OneWorld>,
}

impl<M: Method> Reservoir<M> {
    /// A reservoir for the alternatives of a method, which also draws the samples. Clones are the same reservoir.
    pub fn of(method: M) -> Self {
        Reservoir { method, shared: Arc::new(OneWorld { purpose: "reservoir" }) }
    }
}

/// The group of all nodes of a reservoir.
#[derive(Debug)]
struct OneWorld {
    /// The name of the noise of the choices.
    purpose: &'static str,
}

impl<M: Method> Method for Reservoir<M> {
    fn name(&self) -> String {
        format!("reservoir of {}", self.method.name())
    }

    fn profile(&self) -> Profile {
        self.method.profile().evaluations(Count::exactly(2).times(self.sample_plate().samples()))
    }

    forwarded!(Method, method);
}

impl<F: Real, D: Family<F>, M: Perturbation<F, D>> GradientMethod<F, D> for Reservoir<M> {
    forwarded!(GradientMethod, method);

    fn group(&self) -> Option<Arc<dyn Group<F>>> {
        Some(self.shared.clone())
    }
}

impl<F: Real> Group<F> for OneWorld {
    fn terms<'t>(&self, context: &GroupContext<'_, 't, F>) -> GraphResult<Vec<(usize, GradientTerm<'t, F>)>> {
        let mut world = Survivors { context, purpose: self.purpose, total: None, events: Vec::new() };
        context.sweep(&mut world)?;
        Ok(world.ledger().finish(context))
    }
}

/// What happens to the worlds of all lanes, in the order of recording.
enum Event<'t, F: Real> {
    /// Worlds may start at a node.
    Starts {
        member: usize,
        /// 1 in the lanes whose world starts here.
        starts: Var<'t, F>,
        /// For each alternative, 1 at the element that jumps to it.
        chosen: Vec<Var<'t, F>>,
        /// The strength of the jump.
        own: Var<'t, F>,
    },
    /// The change of a cost times the strength of the world, which is 0 without a world.
    Cost(Var<'t, F>),
}

struct Survivors<'a, 'c, 't, F: Real> {
    context: &'c GroupContext<'a, 't, F>,
    purpose: &'static str,
    /// The strength of the current world of each lane: the sum of the strengths of all jumps that it stands for. It is 0
    /// in lanes without a world. `None` before any world has started.
    total: Option<Var<'t, F>>,
    events: Vec<Event<'t, F>>,
}

impl<'t, F: Real> AlternativeWorld<'t, F> for Survivors<'_, '_, 't, F> {
    fn at_node(
        &mut self,
        member: usize,
        ended: Option<&dyn Fn() -> GraphResult<Var<'t, F>>>,
    ) -> GraphResult<Option<Jump<'t, F>>> {
        let (context, zero) = (self.context, self.context.tape().constant(0.0));
        // Worlds that have become equal to the recording end.
        let before = match (self.total, ended) {
            (Some(total), Some(ended)) => ended()?.select(zero, total),
            _ => zero,
        };
        let strengths = total_strengths(context, member);
        if strengths.is_empty() {
            self.total = ended.is_some().then_some(before);
            return Ok(None);
        }
        let Choice { chosen, starts, own, total } = compete(context, member, self.purpose, before, &strengths)?;
        self.total = Some(total);
        let value = replaced_elements(context, member, &chosen);
        self.events.push(Event::Starts { member, starts, chosen, own });
        Ok(Some(Jump { starts, value, ends_others: ended.is_some() }))
    }

    fn at_cost(&mut self, change: Var<'t, F>) {
        if let Some(total) = self.total {
            self.events.push(Event::Cost(total.select(total * change, change.tape().constant(0.0))));
        }
    }
}

impl<'t, F: Real> Survivors<'_, '_, 't, F> {
    /// The gradients, from the changes of the costs between the start of each world and its end.
    fn ledger(self) -> Ledger<'t, F> {
        let zero = self.context.tape().constant(0.0);
        let mut ledger = Ledger::new(self.context);
        // The sum of the changes from here to the end of the world of each lane.
        let mut rest: Option<Var<'t, F>> = None;
        for event in self.events.into_iter().rev() {
            match event {
                Event::Cost(change) => rest = Some(rest.map_or(change, |rest| rest + change)),
                Event::Starts { member, starts, chosen, own } => {
                    let Some(after) = rest else { continue };
                    let share = starts.select(after / own, zero);
                    // Where the only jump of a node did not win, the share is 0.
                    if chosen.len() == 1 && chosen[0].shape().is_empty() {
                        ledger.add(self.context, member, 0, share);
                    } else {
                        for (alternative, chosen) in chosen.into_iter().enumerate() {
                            ledger.add(self.context, member, alternative, chosen * share);
                        }
                    }
                    rest = Some(starts.select(zero, after));
                }
            }
        }
        ledger
    }
}

/// What wins in each lane: a jump, or the current world.
struct Choice<'t, F: Real> {
    /// For each alternative, 1 at the element that jumps to it.
    chosen: Vec<Var<'t, F>>,
    /// 1 where a jump wins.
    starts: Var<'t, F>,
    /// The strength of this jump.
    own: Var<'t, F>,
    /// The sum of the strengths of the current world and of all jumps.
    total: Var<'t, F>,
}

/// Chooses among the jumps of a node and the current world, which has the strength `before`.
fn compete<'t, F: Real>(
    context: &GroupContext<'_, 't, F>,
    member: usize,
    purpose: &str,
    before: Var<'t, F>,
    strengths: &[Var<'t, F>],
) -> GraphResult<Choice<'t, F>> {
    let tape = context.tape();
    let draw = context.draw(member, purpose);
    if let ([only], 1, true) = (strengths, context.places(member), draw.records_noise(tape)) {
        // The same choice as below, in fewer operations.
        let own = sum(*only);
        let total = before + own;
        let noise =
            draw.record_uniform(tape, &Shape::scalar()).map_err(|source| context.member(member).error(source))?;
        let starts = (noise * total).gt(before);
        let chosen = if only.shape().is_empty() { starts } else { starts.reshape([1]) };
        return Ok(Choice { chosen: vec![chosen], starts, own, total });
    }
    let jumps = in_a_row(strengths)?;
    let total = before + jumps.sum();
    // The first option of each lane is to keep the current world. Without a jump, it is the only one.
    let keep = before + (1.0 - total.gt(tape.constant(0.0)));
    let choice = choose(context, member, purpose, in_a_row(&[keep, jumps])?)?;
    let jumped = choice.slice(0, 1..choice.shape().numel());
    let places = context.places(member);
    let chosen = (0..strengths.len()).map(|number| jumped.slice(0, number * places..(number + 1) * places));
    Ok(Choice { chosen: chosen.collect(), starts: jumped.sum(), own: (jumped * jumps).sum(), total })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antithetic::arm::Arm;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::counterfactual::replay_budget::ReplayBudget;
    use crate::counterfactual::stochastic_derivatives::StochasticDerivatives;
    use crate::enumeration::enumerate::Enumerate;
    use crate::pathwise::Pathwise;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, Categorical, Normal, OneHotCategorical, Poisson, Side};
    use stochgrad_graph::{Graph, GraphError, Seed};
    use stochgrad_tape::Tape;

    fn reservoirs() -> [BitMethod; 3] {
        [
            Arc::new(Reservoir::of(StochasticDerivatives::new())),
            Arc::new(Reservoir::of(StochasticDerivatives::new().side(Side::Right))),
            Arc::new(Reservoir::of(MeasureValued::new())),
        ]
    }

    #[test]
    fn one_world_is_unbiased_on_every_shape_of_graph() {
        let score: BitMethod = Arc::new(ScoreFunction::new());
        let all: BitMethod = Arc::new(Enumerate::new());
        for reservoir in reservoirs() {
            models::assert_unbiased([&reservoir, &reservoir, &reservoir]);
            models::assert_unbiased([&reservoir, &score, &reservoir]);
            models::assert_unbiased([&score, &reservoir, &all]);
            models::assert_unbiased([&reservoir, &all, &reservoir]);
        }
    }

    /// ARM weights by its uniform variate, which the replay of the node above it must reproduce.
    #[test]
    fn uniform_numbers_that_a_later_replay_inverts_are_integrated_exactly() {
        let arm: BitMethod = Arc::new(Arm::new());
        let budget: BitMethod = Arc::new(ReplayBudget::of(MeasureValued::new(), 1));
        for above in [&reservoirs()[0], &reservoirs()[2], &budget] {
            models::assert_unbiased([above, &arm, &arm]);
            models::assert_unbiased([&arm, above, &arm]);
        }
    }

    #[test]
    fn two_reservoirs_in_one_graph_have_a_world_each() {
        let [a, b, _] = reservoirs();
        models::assert_unbiased([&a, &b, &a]);
    }

    #[test]
    fn longer_chains_with_costs_on_the_way_are_exact() {
        for reservoir in reservoirs() {
            let model = |graph: &Graph<'_, f64>| {
                let p = graph.param("p", 3.0)?;
                let mut x = graph.constant(0.5);
                for step in 0..4_usize {
                    let distribution = Bernoulli::from_probabilities((-x.square() / p).exp() * 0.9);
                    x = x + graph.sample(("up", step), &distribution, &reservoir)? * 2.0 - 1.0;
                    graph.cost(&format!("cost {step}"), (x - 0.3).square() * p)?;
                }
                Ok(())
            };
            Oracle::new().verify(model, 0..=1, 1e-9).unwrap_or_else(|error| panic!("{}: {error}", reservoir.name()));
        }
    }

    #[test]
    fn several_elements_categories_and_counts_compete_in_one_world() {
        let model = |graph: &Graph<'_, f64>| {
            let method = Reservoir::of(StochasticDerivatives::new());
            let t = graph.param("t", [0.3, -0.7, 1.1])?;
            let x = graph.sample("x", &Categorical::from_logits(t), &method)?;
            let y = graph.sample("y", &Bernoulli::from_logits(t.slice(0, 0..2) * x), &method)?;
            let z = graph.sample("z", &Poisson::from_log_rate(y.sum() * 0.3 - 2.0 + t.index(0, 0)), &method)?;
            graph.cost("cost", (x - y.sum() * 2.0 + z).square())
        };
        Oracle::new().max_outcomes(200_000).verify(model, 0..=1, 1e-9).unwrap();
        let vectors = |graph: &Graph<'_, f64>| {
            let method = Reservoir::of(MeasureValued::new());
            let t = graph.param("t", [[0.3, -0.7, 1.1], [0.0, 0.2, -0.4]])?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(t), &method)?;
            let score = (x * graph.constant([1.0, -2.0, 0.5])).sum_axis(-1);
            graph.cost("cost", score.index(0, 0) * score.index(0, 1))
        };
        Oracle::new().verify(vectors, 0..=1, 1e-9).unwrap();
    }

    #[test]
    fn members_have_worlds_of_their_own_unless_they_meet() {
        for met in [false, true] {
            let model = |graph: &Graph<'_, f64>| {
                let method = Reservoir::of(MeasureValued::new());
                let t = graph.param("t", [0.3, -0.8])?;
                let features = graph.data("data", [0.5, -1.5])?;
                let x = graph.sample("x", &Bernoulli::from_logits(t.index(0, 0) * features), &method)?;
                let y = graph.sample("y", &Bernoulli::from_logits(t.index(0, 1) + x * features), &method)?;
                let cost = (x - y * features - 0.2).square();
                if met {
                    graph.cost("of all", (cost * 2.0 - x).sum_over(features.plates()[0]).square())?;
                }
                graph.cost("cost", cost)
            };
            Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
        }
        let samples = |graph: &Graph<'_, f64>| {
            let method = Reservoir::of(StochasticDerivatives::new().samples(2));
            let t = graph.param("t", 0.3)?;
            let x = graph.sample("x", &Bernoulli::from_logits(t), &method)?;
            let one = Reservoir { method: StochasticDerivatives::new(), shared: method.shared.clone() };
            let y = graph.sample("y", &Bernoulli::from_logits(x - t), &one)?;
            graph.cost("cost", (x + y * 2.0 - 0.3).square())
        };
        Oracle::new().verify(samples, 0..=1, 1e-9).unwrap();
    }

    #[test]
    fn a_world_that_changes_nothing_but_weights_is_seen() {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let u = graph.sample("u", &Bernoulli::from_logits(t), &Reservoir::of(MeasureValued::new()))?;
            let v = graph.sample("v", &Bernoulli::from_logits(u * 2.0 - 0.5), &Enumerate::new())?;
            graph.cost("of v alone", (v * 3.0 - 1.0).square())
        };
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
    }

    /// The exact variance for one bit. Nothing competes, so that it equals that of the method inside.
    #[test]
    fn alone_it_is_the_method_that_it_is_made_of() {
        let alone: BitMethod = Arc::new(StochasticDerivatives::new());
        let shared: BitMethod = Arc::new(Reservoir::of(StochasticDerivatives::new()));
        let (alone, shared) = (models::moments(&alone, 0.45, 0.1), models::moments(&shared, 0.45, 0.1));
        assert!((alone.0 - shared.0).abs() < 1e-14 && (alone.1 - shared.1).abs() < 1e-14, "{alone:?}, {shared:?}");
    }

    #[test]
    fn paths_are_followed_and_branches_are_refused() {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let u = graph.sample("u", &Bernoulli::from_logits(t), &Reservoir::of(MeasureValued::new()))?;
            let z = graph.sample("z", &Normal::new(u * t, 0.5), &Pathwise::new())?;
            graph.cost("cost", (z - 1.0).square() + u * z)
        };
        Oracle::new().nodes(3).verify(model, 0..=1, 1e-9).unwrap();
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let t = graph.param("t", 0.3).unwrap();
        let x = graph.sample("x", &Bernoulli::from_logits(t), &Reservoir::of(MeasureValued::new())).unwrap();
        let read = x.item().unwrap();
        graph.cost("cost", graph.constant(if read == 1.0 { 5.0 } else { 1.0 })).unwrap();
        assert!(matches!(graph.backward(), Err(GraphError::Replay { .. })));
        assert!(graph.compile().is_err());
    }
}
