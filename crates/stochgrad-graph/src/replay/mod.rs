//! Counterfactual replay: the costs, if a node's value were another one.
//!
//! The part of the tape downstream of the node is recorded again with the value replaced. Every other node draws with
//! the same noise: a node whose values are recorded functions of its parameters is recorded again; any other node (one
//! with implicit paths, for example) is drawn again by its own method, with the plate of the primal run and new
//! weights. Costs that the change cannot reach are left as they are.
//!
//! This module answers the questions of gradient methods, which [`CostQueries`] lists.

mod cone;
mod costs;
pub(crate) mod counterfactuals;
pub(crate) mod differentiable;
mod element_products;
mod elements;
mod impossible;
mod recorded;
mod reruns;
mod sweep;

use crate::analysis::hidden_outcomes::check_hidden_outcomes;
use crate::error::{GraphError, GraphResult};
use crate::method::cost_queries::{CostQueries, NodeFacts, PartNumber, Sweeps};
use crate::method::node_cost::{CostChange, ElementDifference, NodeCost};
use crate::replay::counterfactuals::Counterfactuals;
use crate::replay::differentiable::Derivatives;
use crate::replay::sweep::Walk;
use stochgrad_distributions::NoiseSource;
use stochgrad_tape::{Plate, Plates, Tape, Var};
use stochgrad_tensor::Real;

impl<'t, F: Real> CostQueries<'t, F> for Counterfactuals<'_, 't, F> {
    fn tape(&self) -> &'t Tape<F> {
        self.tape()
    }

    fn noise(&self) -> &dyn NoiseSource<F> {
        self.recording().graph.noise()
    }

    fn data(&self, name: &str) -> Option<Var<'t, F>> {
        self.recording().state.data.iter().find(|(known, _)| known == name).map(|(_, data)| *data)
    }

    fn critic_value(&self, node: usize, name: &str) -> GraphResult<Var<'t, F>> {
        let address = self.stochastic_node(node).address.renamed(name);
        let known = &self.recording().state.critic_values;
        known.get(&address).map(|(value, _)| *value).ok_or_else(|| {
            let mut names: Vec<String> = known.keys().take(8).map(|known| known.to_string()).collect();
            if known.len() > names.len() {
                names.push("…".into());
            }
            let names = if names.is_empty() { "none".into() } else { names.join(", ") };
            let problem = format!(
                "expected a critic value \"{address}\", which has the index of the node, got {names}; name it with \
                 graph.set_critic_value(address, value)"
            );
            self.refused(node, problem)
        })
    }

    fn node(&self, node: usize) -> NodeFacts<'_, 't, F> {
        let (facts, found) = (self.analysis, self.stochastic_node(node));
        NodeFacts {
            address: &found.address,
            value: found.value,
            plate: found.plate,
            plates: &found.plates,
            path: &facts.paths[node],
            gradient_function: facts.gradient_functions[node],
            at: found.at,
        }
    }

    fn refused(&self, node: usize, problem: String) -> GraphError {
        self.stochastic_node(node).refused(problem)
    }

    fn check_hidden_outcomes(&self, node: usize) -> GraphResult<()> {
        check_hidden_outcomes(self.stochastic_node(node))
    }

    fn thresholds(&self, node: usize) -> Vec<Var<'t, F>> {
        self.analysis.crossings.thresholds(self.recording(), node)
    }

    fn parts(&self, node: usize) -> Vec<PartNumber> {
        self.recording().downstream(node).collect()
    }

    fn cost_name(&self, cost: usize) -> &str {
        &self.recording().costs[cost].name
    }

    fn costs(&self, node: usize, parts: &[PartNumber]) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.credit.costs(node, parts)
    }

    fn totals(&self, node: usize, parts: &[PartNumber]) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.credit.totals(node, parts)
    }

    fn cost_gradients(&self, node: usize, parts: &[PartNumber]) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>> {
        self.credit.cost_gradients(node, parts)
    }

    fn replay(
        &self,
        node: usize,
        parts: &[PartNumber],
        value: Var<'t, F>,
    ) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>> {
        self.replayed_totals(node, parts, value)
    }

    fn recorded_replay(
        &self,
        node: usize,
        parts: &[PartNumber],
        value: Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.recorded_costs(node, parts, value, Derivatives::Full)
    }

    fn recorded_replays(
        &self,
        node: usize,
        parts: &[PartNumber],
        values: &[Var<'t, F>],
    ) -> GraphResult<Vec<Vec<Var<'t, F>>>> {
        self.recorded_costs_of_each(node, parts, values)
    }

    fn changed_reductions(
        &self,
        node: usize,
        parts: &[PartNumber],
        plate: Plate,
        change: &dyn Fn(Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.costs_with_changed_reductions(node, parts, plate, &|_, operand| change(operand))
    }

    fn replayed_reductions(
        &self,
        node: usize,
        parts: &[PartNumber],
        plate: Plate,
        value: Var<'t, F>,
        change: &dyn Fn(Var<'t, F>, Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.costs_with_replayed_reductions(node, parts, plate, value, change)
    }

    fn coupled_plates(&self, node: usize) -> GraphResult<Plates> {
        self.plates_to_choose_from(node)
    }

    fn change(&self, node: usize, parts: &[PartNumber], value: Var<'t, F>) -> GraphResult<Vec<CostChange<'t, F>>> {
        self.changed_costs(node, parts, value)
    }

    fn element_differences(
        &self,
        node: usize,
        parts: &[PartNumber],
        alternatives: &[Var<'t, F>],
        element_rank: usize,
    ) -> GraphResult<Vec<ElementDifference<'t, F>>> {
        self.differences_of_elements(node, parts, alternatives, element_rank)
    }

    fn sweeps<'b>(&'b self, nodes: &[usize]) -> GraphResult<Box<dyn Sweeps<'t, F> + 'b>> {
        self.check_branches(nodes)?;
        Ok(Box::new(Walk::new(self, nodes)))
    }
}
