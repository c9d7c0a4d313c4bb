//! Counterfactual replay: the costs, had a node's value been another one.
//!
//! The part of the tape downstream of the node is recorded again with the value replaced. Every other node draws the
//! same noise: a node whose values are recorded functions of its parameters is recorded again, any other (those with
//! implicit paths among them) is drawn again by its own method, with the plate of the primal run and new weights. Costs
//! that the change cannot reach are not touched.

mod elements;
mod recorded;
pub(crate) mod sweep;

use crate::analysis::impossible::Impossible;
use crate::analysis::reduction::{reduce, reduced_plates};
use crate::error::{GraphError, GraphResult};
use crate::graph::node::StochasticNode;
use crate::method::node_cost::NodeCost;
use crate::method::sample_context::SampleContext;
use crate::surrogate::Builder;
use std::collections::HashMap;
use stochgrad_distributions::SamplePath;
use stochgrad_tape::{Id, IdMap, Op, Plate, PlateKind, PlateSet, SiteId, Var, Weights};
use stochgrad_tensor::Real;

/// How many members all plates of a replayed value may have together; more alternatives are replayed in several passes.
pub(crate) const MEMBERS_PER_PASS: usize = 1 << 15;

impl<'t, F: Real> Builder<'_, 't, F> {
    /// Records what is downstream of a node again, with `value` in the place of its sample.
    pub(crate) fn replay(&self, node: usize, value: Var<'t, F>, cone: &[Id], recorded: bool) -> GraphResult<IdMap> {
        let replaced = &self.nodes[node];
        self.check_host_reads(node, cone)?;
        let mut ids = IdMap::identity();
        ids.insert(replaced.value.id(), value.id());
        for &id in cone {
            let var = self.tape.var(id)?;
            let again = match var.op() {
                Some(Op::Sample(site)) => self.resample(node, site, var, &mut ids, recorded)?,
                _ => self.tape.rerecord(var, &ids),
            };
            ids.insert(id, again.id());
        }
        self.tape.check()?;
        Ok(ids)
    }

    pub(crate) fn resample(
        &self,
        replaced: usize,
        site: SiteId,
        var: Var<'t, F>,
        ids: &mut IdMap,
        recorded: bool,
    ) -> GraphResult<Var<'t, F>> {
        // Sites are numbered in the order of the nodes; one of another graph on the same tape is left as it is.
        let index = site.0 as usize;
        let Some(node) = self.nodes.get(index).filter(|node| node.site == site) else {
            return Ok(self.tape.rerecord(var, ids));
        };
        let implicit = node.parameters.iter().any(|parameter| match parameter.path {
            SamplePath::Implicit(_) => true,
            SamplePath::None | SamplePath::Recorded(_) => false,
        });
        if node.method.is_rerecordable() && !implicit {
            return Ok(self.tape.rerecord(var, ids));
        }
        if recorded && !node.method.is_rerecordable() {
            return Err(GraphError::Replay {
                node: self.nodes[replaced].address.to_string(),
                problem: format!(
                    "node \"{}\" downstream is drawn again, and a differentiable replay would miss how its distribution depends on the change; \
                     use Pathwise or a relaxation there, or a method with a detached replay (MeasureValued) here",
                    node.address
                ),
                at: node.at,
            });
        }
        let parameters = node.method.parameters(self.bind(index, ids))?;
        let plates = parameters.iter().flat_map(|parameter| parameter.var.plates()).collect();
        let context = SampleContext {
            tape: self.tape,
            noise: self.noise,
            address: &node.address,
            plates,
            replayed: Some(node.plate),
            at: node.at,
        };
        let set = self.tape.located(node.at, || node.method.resample(self.bind(index, ids), &context))?;
        if let (Some(plate), Some((weights, _))) = (set.plate, set.weights)
            && let Weights::Given { id, .. } = self.tape.weights(plate)
        {
            ids.insert(id, weights.id());
        }
        let parameters: Vec<Var<'t, F>> = parameters.iter().map(|parameter| parameter.var).collect();
        Ok(self.tape.sample(site, set.value, &parameters))
    }

    /// A value that host code branched on must not change.
    pub(crate) fn check_host_reads(&self, node: usize, cone: &[Id]) -> GraphResult<()> {
        let changed = |id: Id| id == self.nodes[node].value.id() || cone.binary_search(&id).is_ok();
        match self.tape.host_reads().iter().find(|read| read.recorded_before < self.end && changed(read.id)) {
            None => Ok(()),
            Some(read) => Err(GraphError::Replay {
                node: self.nodes[node].address.to_string(),
                problem: "host code read a value that the replay changes, and may have branched on it; read it with peek() if nothing depends on it, \
                          write the branch with select(), give the model as a function with Graph::from_model, or use a method without replay (ScoreFunction, Enumerate) here"
                    .into(),
                at: read.location,
            }),
        }
    }

    /// No value downstream of some nodes must have been branched on.
    pub(crate) fn check_branches(&self, nodes: &[usize]) -> GraphResult<()> {
        for read in self.tape.host_reads() {
            let ancestors = self.tape.var(read.id)?.ancestors();
            if let Some(&node) = nodes.iter().find(|&&node| self.tape.set_contains(ancestors, self.nodes[node].site)) {
                self.check_host_reads(node, &self.tape.cone(self.nodes[node].value.id(), self.end))?;
            }
        }
        Ok(())
    }

    /// Plates of the node's value that something downstream reduces: their members must be changed one at a time.
    pub(crate) fn coupled_plates(&self, node: usize, cone: &[Id]) -> GraphResult<PlateSet> {
        let own = self.nodes[node].value.plates();
        let mut coupled = PlateSet::new();
        for &id in cone {
            let var = self.tape.var(id)?;
            let plates = var.plates();
            for input in var.inputs() {
                let changed = input.id() == self.nodes[node].value.id() || cone.binary_search(&input.id()).is_ok();
                if changed {
                    let lost = PlateSet::from(input.plates()).intersection(&own).without(&plates);
                    coupled.merge(&lost);
                }
            }
        }
        Ok(coupled)
    }

    /// See [`CostContext::recorded_replay`](crate::CostContext::recorded_replay).
    pub(crate) fn recorded_replay(
        &self,
        node: usize,
        parts: &[(usize, usize)],
        value: Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        let cone = self.tape.cone(self.nodes[node].value.id(), self.end);
        let ids = self.replay(node, value, &cone, true)?;
        let plates = &self.nodes[node].plates;
        let mut costs = self.costs_of(node, parts)?;
        for cost in &mut costs {
            let mut sum: Option<Var<'t, F>> = None;
            for &(at, number) in parts {
                let joint = self.joint_with(node, (at, number));
                if self.costs[at].name == cost.name && joint[..] == cost.joint[..] {
                    let part = &self.costs[at].parts[number];
                    let again = self.tape.var(ids.get(part.value.id()))?;
                    let outside = part.plates.without(&plates.without(&joint));
                    let value = reduce(again, &outside, &ids, true);
                    sum = Some(sum.map_or(value, |sum| sum + value));
                }
            }
            cost.value = sum.unwrap_or(cost.value);
        }
        Ok(costs)
    }

    /// See [`CostContext::recorded_replays`](crate::CostContext::recorded_replays).
    pub(crate) fn recorded_replays<const N: usize>(
        &self,
        node: usize,
        parts: &[(usize, usize)],
        values: [Var<'t, F>; N],
    ) -> GraphResult<Vec<[Var<'t, F>; N]>> {
        let plate = self.tape.plate("alternatives", N, PlateKind::Alternatives, &self.nodes[node].value.plates());
        let together = Var::stack(&values)?.event_to_plate(plate);
        let costs = self.recorded_replay(node, parts, together)?.into_iter();
        let each = |cost: Var<'t, F>| match cost.plates().contains(&plate) {
            true => std::array::from_fn(|value| cost.member(plate, value)),
            false => [cost; N],
        };
        Ok(costs.map(|cost| each(cost.value)).collect())
    }

    /// See [`CostContext::replay`](crate::CostContext::replay).
    pub(crate) fn replayed_totals(
        &self,
        node: usize,
        parts: &[(usize, usize)],
        value: Var<'t, F>,
    ) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>> {
        let StochasticNode { value: primal, plates, .. } = &self.nodes[node];
        let cone = self.tape.cone(primal.id(), self.end);
        let value = value.broadcast_to(primal.shape()).expand_plates(&self.distinct_plates(node, &cone)?);
        let ids = self.replay(node, value, &cone, false)?;
        let mut found = Vec::new();
        for total in self.totals_of(node, parts)? {
            let mut sum: Option<Var<'t, F>> = None;
            for &(cost, number) in parts.iter().filter(|part| self.joint_with(node, **part)[..] == total.joint[..]) {
                let part = &self.costs[cost].parts[number];
                let again = self.tape.var(ids.get(part.value.id()))?;
                let carried = part.plates.union(&again.plates());
                let outside = reduced_plates(self.tape, &carried).without(&plates.without(&total.joint));
                let again = reduce(again, &outside, &ids, true);
                sum = Some(sum.map_or(again, |sum| sum + again));
            }
            let again = sum.unwrap_or(total.value);
            found.push((total, again));
        }
        Ok(found)
    }

    /// Whether the values of a node are drawn again, and are not recorded functions of its parameters.
    fn is_redrawn(&self, site: SiteId) -> bool {
        let node = self.nodes.get(site.0 as usize).filter(|node| node.site == site);
        node.is_none_or(|node| !node.method.is_rerecordable())
    }

    /// Plates of the node's value whose members a replay must tell apart: something downstream reduces them, or picks
    /// members out, or has noise of its own for each of them.
    fn distinct_plates(&self, node: usize, cone: &[Id]) -> GraphResult<PlateSet> {
        for &id in cone {
            let redrawn = match self.tape.var(id)?.op() {
                Some(Op::Sample(site)) => self.is_redrawn(site),
                Some(Op::Custom(_)) => true,
                _ => false,
            };
            if redrawn {
                return Ok(self.nodes[node].value.plates().into());
            }
        }
        self.coupled_plates(node, cone)
    }

    /// See [`CostContext::changed_reductions`](crate::CostContext::changed_reductions).
    pub(crate) fn changed_reductions(
        &self,
        node: usize,
        parts: &[(usize, usize)],
        plate: Plate,
        change: &dyn Fn(Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        let value = self.nodes[node].value;
        let cone = self.tape.cone(value.id(), self.end);
        self.check_host_reads(node, &cone)?;
        let mut ids = IdMap::identity();
        for &id in &cone {
            let var = self.tape.var(id)?;
            let inputs = var.inputs();
            let loses = |input: &Var<'t, F>| {
                let below = input.id() == value.id() || cone.binary_search(&input.id()).is_ok();
                below && input.plates().contains(&plate) && !var.plates().contains(&plate)
            };
            let lost: Vec<bool> = inputs.iter().map(loses).collect();
            let changed = inputs.iter().any(|input| ids.changes(input.id()));
            let again = match (lost.iter().filter(|lost| **lost).count(), var.op()) {
                // What is reduced may contain other reductions, which have been changed already.
                (1, Some(Op::PlateReduce(..))) if lost[0] => {
                    let mut here = ids.clone();
                    here.insert(inputs[0].id(), change(self.tape.var(ids.get(inputs[0].id()))?.stop_gradient()).id());
                    self.tape.rerecord(var, &here)
                }
                // Nothing on the way depends on several members.
                (0, _) if !changed => continue,
                // A node that is drawn again has taken its value from all members, the one that is left out included.
                (0, Some(Op::Sample(site))) if self.is_redrawn(site) => return Ok(Vec::new()),
                (0, _) => self.tape.rerecord(var, &ids),
                // Some members were picked out, or weigh one another: what depends on which of them is not known.
                _ => return Ok(Vec::new()),
            };
            ids.insert(id, again.id());
        }
        self.tape.check()?;
        let mut costs = self.costs_of(node, parts)?;
        let mut error = None;
        costs.retain_mut(|cost| {
            let own = parts.iter().filter(|&&(at, number)| {
                self.costs[at].name == cost.name && self.joint_with(node, (at, number))[..] == cost.joint[..]
            });
            let mut sum: Option<Var<'t, F>> = None;
            for &(at, number) in own {
                let part = &self.costs[at].parts[number];
                if part.plates.contains(&plate) {
                    return false;
                }
                match self.tape.var(ids.get(part.value.id())) {
                    Ok(again) => {
                        let outside = part.plates.without(&self.nodes[node].plates.without(&cost.joint));
                        let value = reduce(again.stop_gradient(), &outside, &IdMap::identity(), true);
                        sum = Some(sum.map_or(value, |sum| sum + value));
                    }
                    Err(problem) => error = Some(problem),
                }
            }
            sum.is_some_and(|sum| {
                cost.value = sum;
                cost.joint.contains(&plate)
            })
        });
        match error {
            Some(error) => Err(error.into()),
            None => Ok(costs),
        }
    }

    /// The differences between replayed and primal costs, grouped by the plates of the node that the cost lacks:
    /// averaged over every plate but the node's own uncoupled ones and that of the alternatives.
    pub(crate) fn differences(
        &self,
        node: usize,
        parts: &[(usize, usize)],
        ids: &IdMap,
        coupled: &PlateSet,
        alternatives: Option<Plate>,
        impossible: &Impossible<'_, 't, F>,
    ) -> GraphResult<Vec<(PlateSet, Var<'t, F>)>> {
        let own = &self.nodes[node].plates;
        let mut groups: HashMap<PlateSet, Var<'t, F>> = HashMap::new();
        let mut order: Vec<PlateSet> = Vec::new();
        for &(cost, part) in parts {
            let part = &self.costs[cost].parts[part];
            if !ids.changes(part.value.id()) {
                continue;
            }
            let again = impossible.cleared(self.tape.var(ids.get(part.value.id()))?.stop_gradient())?;
            let missing = own.without(&part.plates);
            let kept = own.without(coupled).without(&missing);
            let carried = part.plates.union(&again.plates());
            let outside = reduced_plates(self.tape, &carried).without(&kept).without(alternatives.as_slice());
            let replayed = reduce(again, &outside, ids, true);
            let primal = reduce(part.value.stop_gradient(), &part.plates.without(&kept), &IdMap::identity(), true);
            let difference = (replayed - primal).expand_plates(&kept.union(alternatives.as_slice()));
            match groups.get_mut(&missing) {
                Some(sum) => *sum = *sum + difference,
                None => {
                    order.push(missing.clone());
                    groups.insert(missing, difference);
                }
            }
        }
        Ok(order.into_iter().map(|missing| (missing.clone(), groups[&missing])).collect())
    }
}
