//! The costs for another value of a node, as opposed to their differences.

use crate::error::GraphResult;
use crate::method::cost_queries::PartNumber;
use crate::method::node_cost::NodeCost;
use crate::reduction::{reduce, reduced_plates};
use crate::replay::counterfactuals::Counterfactuals;
use crate::replay::differentiable::Derivatives;
use stochgrad_tape::{Id, IdMap, Op, Plate, PlateKind, PlateSet, Var};
use stochgrad_tensor::Real;

impl<'t, F: Real> Counterfactuals<'_, 't, F> {
    /// The parts that belong to a cost of the node: those of the same name on which its members act jointly along the
    /// same plates.
    fn parts_of<'b>(
        &'b self,
        node: usize,
        parts: &'b [PartNumber],
        cost: &NodeCost<'t, F>,
    ) -> impl Iterator<Item = PartNumber> + use<'b, 't, F> {
        let (name, joint) = (cost.name.clone(), PlateSet::from(&cost.joint[..]));
        let costs = self.recording().costs;
        parts.iter().copied().filter(move |&at| costs[at.0].name == name && self.analysis.joint_with(node, at) == joint)
    }

    /// The plates of a part that a node does not keep, given the plates along which its members act jointly.
    fn outside(&self, node: usize, part: &PlateSet, joint: &[Plate]) -> PlateSet {
        part.without(&self.stochastic_node(node).plates.without(joint))
    }

    /// See [`CostContext::recorded_replay`](crate::CostContext::recorded_replay).
    pub(crate) fn recorded_costs(
        &self,
        node: usize,
        parts: &[PartNumber],
        value: Var<'t, F>,
        derivatives: Derivatives,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        let mut replay = self.differentiable_replay(node, value, derivatives)?;
        let mut costs = self.credit.costs(node, parts)?;
        for cost in &mut costs {
            let mut sum: Option<Var<'t, F>> = None;
            for at in self.parts_of(node, parts, cost) {
                let value = replay.part(at, &self.outside(node, &self.recording().part(at).plates, &cost.joint))?;
                sum = Some(sum.map_or(value, |sum| sum + value));
            }
            cost.value = sum.unwrap_or(cost.value);
        }
        Ok(costs)
    }

    /// See [`CostContext::recorded_replays`](crate::CostContext::recorded_replays).
    pub(crate) fn recorded_costs_of_each(
        &self,
        node: usize,
        parts: &[PartNumber],
        values: &[Var<'t, F>],
    ) -> GraphResult<Vec<Vec<Var<'t, F>>>> {
        let own = self.stochastic_node(node).value.plates();
        let plate = self.tape().plate("alternatives", values.len(), PlateKind::Alternatives, &own);
        let together = Var::stack(values)?.event_to_plate(plate);
        let each = |cost: NodeCost<'t, F>| match cost.value.plates().contains(&plate) {
            true => (0..values.len()).map(|value| cost.value.member(plate, value)).collect(),
            false => vec![cost.value; values.len()],
        };
        let costs = self.recorded_costs(node, parts, together, Derivatives::ThroughValue)?;
        Ok(costs.into_iter().map(each).collect())
    }

    /// See [`CostContext::replay`](crate::CostContext::replay).
    pub(crate) fn replayed_totals(
        &self,
        node: usize,
        parts: &[PartNumber],
        value: Var<'t, F>,
    ) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>> {
        let plates = &self.stochastic_node(node).plates;
        let cone = self.cone(node);
        let primal = self.stochastic_node(node).value;
        let value = value.broadcast_to(primal.shape()).expand_plates(&self.distinct_plates(node, &cone)?);
        let ids = self.rerecord(node, value, &cone)?;
        let mut found = Vec::new();
        for total in self.credit.totals(node, parts)? {
            let mut sum: Option<Var<'t, F>> = None;
            for &at in parts.iter().filter(|part| self.analysis.joint_with(node, **part)[..] == total.joint[..]) {
                let part = self.recording().part(at);
                let again = self.tape().var(ids.get(part.value.id()))?;
                let carried = part.plates.union(&again.plates());
                let outside = reduced_plates(self.tape(), &carried).without(&plates.without(&total.joint));
                let again = reduce(again, &outside, &ids, true);
                sum = Some(sum.map_or(again, |sum| sum + again));
            }
            let again = sum.unwrap_or(total.value);
            found.push((total, again));
        }
        Ok(found)
    }

    /// See [`CostContext::replayed_reductions`](crate::CostContext::replayed_reductions).
    pub(crate) fn costs_with_replayed_reductions(
        &self,
        node: usize,
        parts: &[PartNumber],
        plate: Plate,
        value: Var<'t, F>,
        change: &dyn Fn(Var<'t, F>, Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        let (cone, primal) = (self.cone(node), self.stochastic_node(node).value);
        let mut plates = self.redrawn_plates(node, &cone)?;
        for &id in &cone {
            // Of the operations on plates, only this one needs its plate.
            if let Some(Op::PlateToEvent(moved)) = self.tape().var(id)?.op()
                && primal.plates().contains(&moved)
            {
                plates = primal.plates().into();
            }
        }
        let again = self.rerecord(node, value.broadcast_to(primal.shape()).expand_plates(&plates), &cone)?;
        self.costs_with_changed_reductions(node, parts, plate, &|recorded, operand| {
            // The cone has been recorded again, so that the position is on the tape.
            self.tape().var(again.get(recorded)).map_or(operand, |replayed| change(operand, replayed.stop_gradient()))
        })
    }

    /// See [`CostContext::changed_reductions`](crate::CostContext::changed_reductions). The change also gets the
    /// recorded position of the operand.
    pub(crate) fn costs_with_changed_reductions(
        &self,
        node: usize,
        parts: &[PartNumber],
        plate: Plate,
        change: &dyn Fn(Id, Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        let Some(ids) = self.change_reductions(node, plate, change)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for mut cost in self.credit.costs(node, parts)? {
            if let Some(value) = self.cost_of_reductions(node, parts, plate, &cost, &ids)? {
                cost.value = value;
                if cost.joint.contains(&plate) {
                    found.push(cost);
                }
            }
        }
        Ok(found)
    }

    /// Records the cone of a node again where a reduction of the plate changes. `None` if it is not known how a value
    /// depends on the reduced members.
    fn change_reductions(
        &self,
        node: usize,
        plate: Plate,
        change: &dyn Fn(Id, Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Option<IdMap>> {
        let (tape, value) = (self.tape(), self.stochastic_node(node).value);
        let cone = self.cone(node);
        self.check_host_reads(node, &cone)?;
        let mut ids = IdMap::identity();
        for &id in &cone {
            let var = tape.var(id)?;
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
                    let (mut here, recorded) = (ids.clone(), inputs[0].id());
                    here.insert(recorded, change(recorded, tape.var(ids.get(recorded))?.stop_gradient()).id());
                    tape.rerecord(var, &here)
                }
                // Nothing between the node and this value depends on several members.
                (0, _) if !changed => continue,
                // The draw of this node used all members, the one that is left out included.
                (0, Some(Op::Sample(site))) if self.is_redrawn(site) => return Ok(None),
                (0, _) => tape.rerecord(var, &ids),
                // Some members were picked out, or weigh one another: what depends on which of them is not known.
                _ => return Ok(None),
            };
            ids.insert(id, again.id());
        }
        tape.check()?;
        Ok(Some(ids))
    }

    /// The value of a cost after a change of reductions; `None` for a cost that carries the plate.
    fn cost_of_reductions(
        &self,
        node: usize,
        parts: &[PartNumber],
        plate: Plate,
        cost: &NodeCost<'t, F>,
        ids: &IdMap,
    ) -> GraphResult<Option<Var<'t, F>>> {
        let mut sum: Option<Var<'t, F>> = None;
        for at in self.parts_of(node, parts, cost) {
            let part = self.recording().part(at);
            if part.plates.contains(&plate) {
                return Ok(None);
            }
            let again = self.tape().var(ids.get(part.value.id()))?.stop_gradient();
            let outside = self.outside(node, &part.plates, &cost.joint);
            let value = reduce(again, &outside, &IdMap::identity(), true);
            sum = Some(sum.map_or(value, |sum| sum + value));
        }
        Ok(sum)
    }
}
