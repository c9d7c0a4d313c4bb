//! A budget of replays: evaluates alternatives for a few randomly picked elements of all nodes. Use it to make a
//! measure-valued or stochastic derivative affordable in a graph with many nodes.
//!
//! Of all elements $j$ of all nodes that share the budget, $B$ are picked independently with probabilities $\pi_j$.
//! Each of them is weighted by $1/\pi_j$, so that it also stands for those that were not picked:
//!
//! $$g = \frac1B \sum_{b=1}^{B} \frac{1}{\pi_{j_b}}\, w_{j_b}\, \big(f(y_{j_b}) - f(x)\big).$$
//!
//! The probabilities are in proportion to the absolute weights, which are known once the sample is drawn, or uniform.
//! One pick in each step has a lower variance than the score function with the best constant baseline on a random walk
//! of fifty steps. [`Reservoir`](crate::Reservoir) also evaluates one alternative world, and stops following it where
//! it has become equal to the sample.
//!
//! **Assumptions.** Those of the method inside. Where all nodes carry a plate whose members meet nowhere downstream,
//! every member has its own picks. Host code must not branch on a value downstream.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1: the replays are detached |
//! | cost evaluations | $B$ times the alternatives of an element, besides the sample's own, however many nodes there are |
//! | requirement on the cost | values |

use crate::common::unrolled::check_unrolled;
use crate::counterfactual::forwarded::forwarded;
use crate::counterfactual::perturbation::Perturbation;
use crate::counterfactual::shared_replays::{Ledger, choose, in_a_row, replaced_elements, sum, total_strengths};
use std::sync::Arc;
use stochgrad_distributions::Family;
use stochgrad_graph::{
    AlternativeWorld, Count, GradientMethod, GradientTerm, GraphResult, Group, GroupContext, Jump, Method, Profile,
    Size,
};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The probability that an element is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Importance {
    /// In proportion to the sum of the absolute weights of its alternatives.
    #[default]
    Weight,
    /// Uniform over the elements that have an alternative.
    Uniform,
}

/// A fixed number of replays for all nodes that share the budget, with the alternatives of a [`Perturbation`].
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{MeasureValued, ReplayBudget};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.1, -0.2, 0.3, 0.5])?;
/// let method = ReplayBudget::of(MeasureValued::new(), 2);
/// let x = graph.sample("x", &Bernoulli::from_logits(logits), &method)?;
/// let y = graph.sample("y", &Bernoulli::from_logits(x.sum() - logits), &method)?;
/// graph.cost("loss", (x - y).square().sum())?;
/// assert!(graph.backward()?.get("logits")?.all_finite());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ReplayBudget<M> {
    method: M,
    picks: Arc<Picks>,
}

impl<M: Method> ReplayBudget<M> {
    /// Picks this number of elements by the weights of the alternatives of a method, which also draws the samples.
    /// Clones share the budget.
    pub fn of(method: M, picks: usize) -> Self {
        ReplayBudget { method, picks: Arc::new(Picks { count: picks.max(1), importance: Importance::Weight }) }
    }

    /// Sets how elements are picked.
    pub fn importance(self, importance: Importance) -> Self {
        ReplayBudget { picks: Arc::new(Picks { count: self.picks.count, importance }), ..self }
    }
}

/// The group of all nodes with one budget.
#[derive(Debug)]
struct Picks {
    count: usize,
    importance: Importance,
}

impl<M: Method> Method for ReplayBudget<M> {
    fn name(&self) -> String {
        let how = match self.picks.importance {
            Importance::Weight => "by weight",
            Importance::Uniform => "uniformly",
        };
        format!("budget of {} picked {how}, {}", self.picks.count, self.method.name())
    }

    fn profile(&self) -> Profile {
        // A pick evaluates all alternatives of its element.
        let replays = Count::exactly(1).and(self.picks.count.saturating_mul(2), Size::Coordinates);
        self.method.profile().evaluations(replays.times(self.sample_plate().samples()))
    }

    forwarded!(Method, method);
}

impl<F: Real, D: Family<F>, M: Perturbation<F, D>> GradientMethod<F, D> for ReplayBudget<M> {
    forwarded!(GradientMethod, method);

    fn group(&self) -> Option<Arc<dyn Group<F>>> {
        Some(self.picks.clone())
    }
}

impl<F: Real> Group<F> for Picks {
    fn terms<'t>(&self, context: &GroupContext<'_, 't, F>) -> GraphResult<Vec<(usize, GradientTerm<'t, F>)>> {
        let zero = context.tape().constant(0.0);
        let strengths: Vec<Vec<Var<'t, F>>> =
            (0..context.len()).map(|member| total_strengths(context, member)).collect();
        // The importance of the elements of all nodes, one after the other.
        let of_node = |strengths: &Vec<Var<'t, F>>| strengths.iter().copied().reduce(|sum, each| sum + each);
        let mut importances: Vec<Var<'t, F>> = Vec::new();
        for (member, strengths) in strengths.iter().enumerate() {
            let weight = of_node(strengths).unwrap_or_else(|| context.fold(member, zero));
            importances.push(match self.importance {
                Importance::Weight => weight,
                Importance::Uniform => weight.gt(zero),
            });
        }
        let mut ledger = Ledger::new(context);
        let most = strengths.iter().map(Vec::len).max().unwrap_or(0);
        if most == 0 {
            return Ok(Vec::new());
        }
        let importance = in_a_row(&importances)?;
        let total = importance.sum();
        // If all importances are 0, no element has an alternative, and any pick will do.
        let chances = importance + (1.0 - total.gt(zero));
        let instead = "use a smaller budget, or average over samples";
        check_unrolled("a group of nodes", "picks", self.count, instead)
            .map_err(|source| context.member(0).error(source))?;
        for pick in 0..self.count {
            let picked = choose(context, 0, &format!("pick {pick}"), chances)?;
            let own = (picked * importance).sum();
            let factor = own.select(total / own * (1.0 / self.count as f64), zero);
            for alternative in 0..most {
                let mut start = 0;
                let chosen = (0..context.len()).map(|member| {
                    let places = context.places(member);
                    start += places;
                    let picked = picked.slice(0, start - places..start);
                    strengths[member].get(alternative).map(|strength| picked * strength.gt(zero))
                });
                let chosen: Vec<Option<Var<'t, F>>> = chosen.collect();
                let mut world = Picked { context, alternative, chosen: &chosen, here: zero, change: None };
                context.sweep(&mut world)?;
                let (here, Some(change)) = (world.here, world.change) else { continue };
                let change = here.select(factor * change, zero);
                for (member, chosen) in chosen.iter().enumerate() {
                    if let Some(chosen) = chosen {
                        ledger.add(context, member, alternative, *chosen * change);
                    }
                }
            }
        }
        Ok(ledger.finish(context))
    }
}

/// The world of one alternative of the picked elements.
struct Picked<'a, 'c, 't, F: Real> {
    context: &'c GroupContext<'a, 't, F>,
    alternative: usize,
    /// For each node, 1 at the picked element of a lane if it has that alternative; `None` if no element has it.
    chosen: &'c [Option<Var<'t, F>>],
    /// 1 in the lanes whose world has started.
    here: Var<'t, F>,
    change: Option<Var<'t, F>>,
}

impl<'t, F: Real> AlternativeWorld<'t, F> for Picked<'_, '_, 't, F> {
    fn at_node(
        &mut self,
        member: usize,
        _ended: Option<&dyn Fn() -> GraphResult<Var<'t, F>>>,
    ) -> GraphResult<Option<Jump<'t, F>>> {
        let Some(chosen) = self.chosen[member] else { return Ok(None) };
        let starts = sum(chosen);
        self.here = self.here + starts;
        let mut all = vec![chosen * 0.0; self.context.candidates()[member].values.len()];
        all[self.alternative] = chosen;
        Ok(Some(Jump { starts, value: replaced_elements(self.context, member, &all), ends_others: false }))
    }

    fn at_cost(&mut self, change: Var<'t, F>) {
        self.change = Some(self.change.map_or(change, |sum| sum + change));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::counterfactual::stochastic_derivatives::StochasticDerivatives;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, Categorical, OneHotCategorical};
    use stochgrad_graph::Graph;

    #[test]
    fn picks_are_unbiased_on_every_shape_of_graph() {
        let weighted: BitMethod = Arc::new(ReplayBudget::of(StochasticDerivatives::new(), 1));
        let uniform: BitMethod = Arc::new(ReplayBudget::of(MeasureValued::new(), 1).importance(Importance::Uniform));
        let score: BitMethod = Arc::new(ScoreFunction::new());
        models::assert_unbiased([&weighted, &weighted, &weighted]);
        models::assert_unbiased([&uniform, &score, &uniform]);
        models::assert_unbiased([&score, &uniform, &weighted]);
    }

    #[test]
    fn several_picks_and_several_elements_are_exact() {
        let model = |graph: &Graph<'_, f64>| {
            let method = ReplayBudget::of(MeasureValued::new(), 2);
            let t = graph.param("t", [[0.3, -0.7, 1.1], [0.0, 0.2, -0.4]])?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(t), &method)?;
            let score = (x * graph.constant([1.0, -2.0, 0.5])).sum_axis(-1);
            let y = graph.sample("y", &Bernoulli::from_logits(score.sum()), &method)?;
            graph.cost("cost", (score.index(0, 0) * score.index(0, 1) + y).square())
        };
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
        let on_data = |graph: &Graph<'_, f64>| {
            let method = ReplayBudget::of(StochasticDerivatives::new(), 1);
            let t = graph.param("t", [0.3, -0.7, 1.1])?;
            let features = graph.data("data", [0.5, -1.0])?;
            let x = graph.sample("x", &Categorical::from_logits(t * features), &method)?;
            graph.cost("cost", (x - features).square())?;
            graph.cost("of all", (x * features).sum_over(features.plates()[0]).square())
        };
        Oracle::new().verify(on_data, 0..=1, 1e-9).unwrap();
    }
}
