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

use crate::counterfactual::forwarded::forwarded;
use crate::counterfactual::perturbation::Perturbation;
use crate::counterfactual::shared_replays::{Ledger, choose, total_strengths};
use std::sync::Arc;
use stochgrad_distributions::Family;
use stochgrad_graph::{
    AlternativeWorld, Count, GradientMethod, GradientTerm, GraphResult, Group, GroupContext, Jump, Method, Profile,
    Size,
};
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
        let replays = Count::exactly(1).and(2 * self.picks.count, Size::Coordinates);
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

/// An element of a node.
#[derive(Clone, Copy)]
struct Element {
    member: usize,
    place: usize,
    importance: f64,
}

impl<F: Real> Group<F> for Picks {
    fn terms<'t>(&self, context: &GroupContext<'_, 't, F>) -> GraphResult<Vec<(usize, GradientTerm<'t, F>)>> {
        let strengths: Vec<Vec<Vec<f64>>> = (0..context.len()).map(|member| total_strengths(context, member)).collect();
        let mut elements: Vec<Vec<Element>> = vec![Vec::new(); context.lane_count()];
        for (member, strengths) in strengths.iter().enumerate() {
            for place in 0..context.places(member) {
                let weight: f64 = strengths.iter().map(|alternative| alternative[place]).sum();
                let importance = match self.importance {
                    Importance::Weight => weight,
                    Importance::Uniform => f64::from(weight > 0.0),
                };
                elements[context.lane(member, place)].push(Element { member, place, importance });
            }
        }
        let options = elements.first().map_or(0, Vec::len);
        let most = strengths.iter().map(Vec::len).max().unwrap_or(0);
        let mut ledger = Ledger::new(context);
        if options == 0 {
            return Ok(Vec::new());
        }
        let flat: Vec<f64> = elements.iter().flatten().map(|element| element.importance).collect();
        let totals: Vec<f64> = flat.chunks(options).map(|lane| lane.iter().sum()).collect();
        // If all importances are 0, no element has an alternative, and any pick will do.
        let chance = |i: usize| if totals[i / options] == 0.0 { 1.0 } else { flat[i] };
        let chances: Vec<f64> = (0..flat.len()).map(chance).collect();
        for pick in 0..self.count {
            let chosen = choose(context, 0, &format!("pick {pick}"), options, &chances)?;
            let picked: Vec<Element> = elements.iter().zip(chosen).map(|(lane, chosen)| lane[chosen]).collect();
            for alternative in 0..most {
                let possible = |element: &Element| {
                    let strengths = strengths[element.member].get(alternative);
                    strengths.is_some_and(|strengths| strengths[element.place] > 0.0)
                };
                let picked: Vec<Option<Element>> =
                    picked.iter().map(|element| Some(*element).filter(possible)).collect();
                if picked.iter().all(Option::is_none) {
                    continue;
                }
                let factors = picked.iter().zip(&totals).map(|(element, total)| {
                    element.map_or(0.0, |element| total / element.importance / self.count as f64)
                });
                let factors = factors.collect();
                context.sweep(&mut Picked { context, alternative, picked, factors, ledger: &mut ledger })?;
            }
        }
        Ok(ledger.finish(context))
    }
}

/// The world of one alternative of the picked elements.
struct Picked<'a, 'c, 't, F: Real> {
    context: &'c GroupContext<'a, 't, F>,
    alternative: usize,
    /// The picked element of each lane, if it has that alternative.
    picked: Vec<Option<Element>>,
    factors: Vec<f64>,
    ledger: &'c mut Ledger<F>,
}

impl<F: Real> AlternativeWorld<F> for Picked<'_, '_, '_, F> {
    fn at_node(&mut self, member: usize, _live: &[bool]) -> GraphResult<Vec<Jump>> {
        let here = self.picked.iter().flatten().filter(|element| element.member == member);
        Ok(here.map(|element| Jump { alternative: self.alternative, place: element.place }).collect())
    }

    fn at_cost(&mut self, changes: &[F]) {
        for ((element, factor), change) in self.picked.iter().zip(&self.factors).zip(changes) {
            if let Some(element) = element {
                let jump = Jump { alternative: self.alternative, place: element.place };
                self.ledger.add(self.context, element.member, jump, factor * change.to_f64());
            }
        }
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
