//! The surrogate: a scalar whose derivatives estimate the derivatives of the expected cost.
//!
//! With the magic box $\square(l) = \exp(l - \operatorname{stop}(l))$, whose value is 1 and whose derivatives are those
//! of a density ratio,
//!
//! $$S = \sum_C R_{P(C)}\Big[\square\Big(\sum_{i \in \mathrm{anc}\,C} l_i\Big)\, C\Big]
//!     + \sum_j R_{P(j)}\Big[\square\Big(\sum_{i \in \mathrm{anc}\,j} l_i\Big)\, a_j\Big] + \text{gradient terms}$$
//!
//! * $l_i$ is the gradient function of node $i$, and $a_j$ the control variate of node $j$ (value and mean zero).
//! * $\mathrm{anc}\,C$ are the stochastic ancestors of the cost: only they are credited with it. $\mathrm{anc}\,j$ are
//!   the ancestors of node $j$ **without $j$ itself**: with its own $l_j$ in the box, all derivatives of order 2 and
//!   higher would be biased.
//! * $P$ are the plates that a scalar carries, and those that the weights of a reduced plate bring in. $R$ reduces each
//!   of them once, by its weights, the inner ones first. A plate that a scalar lacks is never reduced (see the module
//!   `reduction`).
//! * A cost that lacks a plate of an ancestor, or depends on several members along it, depends on all its members
//!   jointly: their $l$ are summed.
//!
//! The value of $S$ is the estimate of the expected cost, since every $\square$ is 1 and every $a_j$ and gradient term
//! is 0. Schulman et al. (2015) introduced surrogates, Foerster et al. (2018) the box, and van Krieken et al. (2021)
//! the composition with weights and control variates.
//!
//! The facts that the formula needs (ancestors, plates, gradient functions) are found in the folder `analysis`, and the
//! costs for other values of a node, which gradient terms are made of, in the folder `replay`.

use crate::analysis::boxes::Boxes;
use crate::analysis::facts::Analysis;
use crate::error::{GraphError, GraphResult};
use crate::method::context::CostContext;
use crate::method::group::{Group, GroupContext};
use crate::method::terms::{AuxiliaryLoss, GradientTerm, Update};
use crate::reduction::reduce;
use crate::replay::counterfactuals::Counterfactuals;
use std::sync::Arc;
use stochgrad_tape::{IdMap, PlateSet, Var};
use stochgrad_tensor::Real;

/// The surrogate of a graph, and what gradient methods return beside it.
pub(crate) struct Built<'t, F: Real> {
    /// The surrogate.
    pub(crate) surrogate: Var<'t, F>,
    /// The estimate of each named cost.
    pub(crate) estimates: Vec<(String, Var<'t, F>)>,
    /// Losses for the parameters of methods. They are never part of the surrogate.
    pub(crate) auxiliary: Vec<AuxiliaryLoss<'t, F>>,
    /// Changes of the methods' state.
    pub(crate) updates: Vec<Update<'t, F>>,
}

/// Records the formula at the top of this file.
///
/// # Errors
/// For a graph without costs, and the errors of methods.
pub(crate) fn build<'t, F: Real>(analysis: &Analysis<'_, 't, F>) -> GraphResult<Built<'t, F>> {
    if analysis.recording.costs.is_empty() {
        return Err(GraphError::NoCost);
    }
    let nothing = analysis.recording.tape.constant(0.0);
    let mut formula = Formula {
        analysis,
        boxes: Boxes::new(analysis),
        counterfactuals: Counterfactuals::new(analysis),
        built: Built { surrogate: nothing, estimates: Vec::new(), auxiliary: Vec::new(), updates: Vec::new() },
    };
    formula.add_costs()?;
    let groups = formula.add_terms()?;
    for (group, nodes) in groups {
        formula.add_terms_of_group(&*group, nodes)?;
    }
    analysis.recording.tape.check()?;
    Ok(formula.built)
}

/// A group, and the numbers of its nodes.
type GroupOfNodes<F> = (Arc<dyn Group<F>>, Vec<usize>);

/// The surrogate as far as it is recorded.
struct Formula<'a, 't, F: Real> {
    analysis: &'a Analysis<'a, 't, F>,
    boxes: Boxes<'a, 't, F>,
    counterfactuals: Counterfactuals<'a, 't, F>,
    built: Built<'t, F>,
}

impl<'t, F: Real> Formula<'_, 't, F> {
    /// The first sum of the formula, part by part of each cost $C$, and the estimates of the costs.
    fn add_costs(&mut self) -> GraphResult<()> {
        let recording = &self.analysis.recording;
        for cost in recording.costs {
            let mut estimate: Option<Var<'t, F>> = None;
            for part in &cost.parts {
                let ancestors = recording.tape.set_words(part.value.ancestors());
                let boxed = self.boxes.boxed(part.value, &ancestors, &part.plates, part.value)?;
                self.add(boxed, &part.plates);
                let value = reduced(part.value.stop_gradient(), &part.plates);
                estimate = Some(estimate.map_or(value, |sum| sum + value));
            }
            self.built.estimates.extend(estimate.map(|value| (cost.name.clone(), value)));
        }
        Ok(())
    }

    /// The second sum of the formula, over the control variates $a_j$ of each node $j$, and the gradient terms of the
    /// node. Returns the groups to which nodes belong.
    fn add_terms(&mut self) -> GraphResult<Vec<GroupOfNodes<F>>> {
        let Analysis { recording, has_costs, .. } = self.analysis;
        let ids = IdMap::identity();
        let mut groups: Vec<GroupOfNodes<F>> = Vec::new();
        for (index, node) in recording.nodes.iter().enumerate().filter(|(index, _)| has_costs[*index]) {
            let context = CostContext::new(&self.counterfactuals, index);
            let bind = recording.bind(index, &ids);
            let terms = recording.tape.located(node.at, || node.method.terms(bind, &context))?;
            // The ancestors of the node without the node itself.
            let mut ancestors = recording.tape.set_words(node.value.ancestors());
            ancestors[index / 64] &= !(1 << (index % 64));
            for a in terms.control_variates {
                let boxed = self.boxes.boxed(a, &ancestors, &node.plates, node.value)?;
                self.add(boxed, &node.plates);
            }
            for term in terms.gradient_terms {
                self.add_gradient_term(index, &term);
            }
            if let Some(group) = node.method.group() {
                match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &group)) {
                    Some((_, nodes)) => nodes.push(index),
                    None => groups.push((group, vec![index])),
                }
            }
            self.built.auxiliary.extend(terms.auxiliary);
            self.built.updates.extend(terms.updates);
        }
        Ok(groups)
    }

    /// The gradient terms that the nodes of a group have together.
    fn add_terms_of_group(&mut self, group: &dyn Group<F>, nodes: Vec<usize>) -> GraphResult<()> {
        let (recording, ids) = (&self.analysis.recording, IdMap::identity());
        let candidates = nodes.iter().map(|&index| {
            let node = &recording.nodes[index];
            let context = CostContext::new(&self.counterfactuals, index);
            let bind = recording.bind(index, &ids);
            recording.tape.located(node.at, || node.method.candidates(bind, &context))
        });
        let candidates = candidates.collect::<GraphResult<_>>()?;
        let terms = group.terms(&GroupContext::new(&self.counterfactuals, nodes.clone(), candidates)?)?;
        for (member, term) in terms {
            self.add_gradient_term(nodes[member], &term);
        }
        Ok(())
    }

    /// A gradient term of a node: summed over the plates that the term names, reduced over the other plates of the
    /// node.
    fn add_gradient_term(&mut self, node: usize, term: &GradientTerm<'t, F>) {
        // A plate that the term lacks is not summed, and weights may bring it in.
        let summed = PlateSet::from(&term.summed[..]).intersection(&term.value.plates());
        let value = summed.iter().fold(term.value, |sum, &plate| sum.sum_over(plate));
        self.add(value, &self.analysis.recording.nodes[node].plates.without(&summed));
    }

    /// Adds a scalar to the surrogate, reduced over its plates.
    fn add(&mut self, scalar: Var<'t, F>, plates: &PlateSet) {
        self.built.surrogate = self.built.surrogate + reduced(scalar, plates);
    }
}

/// The reduction $R$ of the formula: over those of the plates that a scalar carries, the inner ones first.
fn reduced<'t, F: Real>(scalar: Var<'t, F>, plates: &PlateSet) -> Var<'t, F> {
    reduce(scalar, plates, &IdMap::identity(), false)
}
