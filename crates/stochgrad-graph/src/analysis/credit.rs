//! Costs as a node sees them: those downstream of it, detached, averaged over the plates that it lacks.

use crate::analysis::reduction::reduce;
use crate::analysis::sums::SubsetSums;
use crate::error::{GraphError, GraphResult};
use crate::graph::cost::{Cost, Part};
use crate::graph::node::StochasticNode;
use crate::method::node_cost::NodeCost;
use crate::surrogate::Builder;
use stochgrad_tape::{IdMap, Plate, PlateKind, PlateSet, Var};
use stochgrad_tensor::Real;

impl<'t, F: Real> Builder<'_, 't, F> {
    /// The costs that descend from a node, as the numbers of cost and part.
    pub(crate) fn downstream(&self, node: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let site = self.nodes[node].site;
        let parts = self.costs.iter().enumerate().flat_map(|(cost, recorded)| {
            recorded.parts.iter().enumerate().map(move |(part, recorded)| ((cost, part), recorded))
        });
        parts.filter(move |(_, part)| self.tape.set_contains(part.value.ancestors(), site)).map(|(at, _)| at)
    }

    /// A cost as a node sees it: detached, averaged over the plates that the node lacks.
    pub(crate) fn averaged(&self, (cost, part): (usize, usize), plates: &PlateSet) -> Var<'t, F> {
        let Part { value, plates: own } = &self.costs[cost].parts[part];
        let outside = own.without(plates);
        let key = (cost, part, own.without(&outside));
        *self
            .averages
            .borrow_mut()
            .entry(key)
            .or_insert_with(|| reduce(value.stop_gradient(), &outside, &IdMap::identity(), true))
    }

    /// The plates of a node whose members a cost saw jointly.
    pub(crate) fn joint_with(&self, node: usize, (cost, part): (usize, usize)) -> PlateSet {
        let Part { value, plates } = &self.costs[cost].parts[part];
        self.joint_plates(node, &self.nodes[node].plates, plates, value.id())
    }

    /// Members drawn by a plan depend on one another: a cost of several of them has another mean than one of
    /// independent members, whatever its gradient.
    pub(crate) fn check_planned_members(&self) -> GraphResult<()> {
        for (index, node) in self.nodes.iter().enumerate() {
            let is_planned = |plate: &Plate| self.tape.plate_kind(*plate) == PlateKind::SchemeSamples;
            let planned: PlateSet = node.value.plates().into_iter().filter(is_planned).collect();
            if planned.is_empty() {
                continue;
            }
            for (cost, part) in self.downstream(index) {
                let Part { value, plates } = &self.costs[cost].parts[part];
                if let Some(&plate) = self.joint_plates(index, &planned, plates, value.id()).first() {
                    return Err(self.dependent_members(index, plate));
                }
            }
        }
        Ok(())
    }

    /// The refusal of a cost of several members that are not independent.
    pub(crate) fn dependent_members(&self, node: usize, plate: Plate) -> GraphError {
        self.nodes[node].refused(format!(
            "a cost depends on several members of plate \"{}\" together, and these members are not independent \
             draws; keep the plate in the cost, or use a method with independent samples there",
            self.tape.plate_name(plate)
        ))
    }

    fn node_cost(&self, node: usize, name: String, value: Var<'t, F>, joint: PlateSet) -> GraphResult<NodeCost<'t, F>> {
        let gradient_function = self.gradient_functions[node].map(|l| self.joint(node, l, &joint)).transpose()?;
        Ok(NodeCost { name, value, joint: joint.into(), gradient_function })
    }

    pub(crate) fn costs_of(&self, node: usize, parts: &[(usize, usize)]) -> GraphResult<Vec<NodeCost<'t, F>>> {
        let mut groups: Vec<(usize, PlateSet, Var<'t, F>)> = Vec::new();
        for &at in parts {
            let joint = self.joint_with(node, at);
            let value = self.averaged(at, &self.nodes[node].plates.without(&joint));
            match groups.iter_mut().find(|(cost, plates, _)| *cost == at.0 && *plates == joint) {
                Some((_, _, sum)) => *sum = *sum + value,
                None => groups.push((at.0, joint, value)),
            }
        }
        groups
            .into_iter()
            .map(|(cost, joint, value)| self.node_cost(node, self.costs[cost].name.clone(), value, joint))
            .collect()
    }

    /// See [`CostContext::cost_gradients`](crate::CostContext::cost_gradients).
    pub(crate) fn cost_gradients_of(
        &self,
        node: usize,
        parts: &[(usize, usize)],
    ) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>> {
        let StochasticNode { value, plates, .. } = &self.nodes[node];
        let mut found = Vec::new();
        for total in self.totals_of(node, parts)? {
            let mut sum = self.tape.constant(0.0);
            for at in parts.iter().filter(|at| self.joint_with(node, **at)[..] == total.joint[..]) {
                let part = &self.costs[at.0].parts[at.1];
                let outside = part.plates.without(&plates.without(&total.joint));
                let average = reduce(part.value, &outside, &IdMap::identity(), true);
                sum = sum + average.plates().iter().fold(average, |sum, &plate| sum.sum_over(plate));
            }
            let gradient = self.tape.gradients(sum, &[*value])?[0];
            found.push((total, gradient));
        }
        Ok(found)
    }

    pub(crate) fn totals_of(&self, node: usize, parts: &[(usize, usize)]) -> GraphResult<Vec<NodeCost<'t, F>>> {
        let mut groups: Vec<(PlateSet, Vec<u64>)> = Vec::new();
        let numbers = Numbering::new(self.costs);
        for &at in parts {
            let joint = self.joint_with(node, at);
            let group = groups.iter().position(|(plates, _)| *plates == joint).unwrap_or_else(|| {
                groups.push((joint, vec![0; numbers.words()]));
                groups.len() - 1
            });
            let number = numbers.number(at);
            groups[group].1[number / 64] |= 1 << (number % 64);
        }
        let plates = &self.nodes[node].plates;
        let mut totals = Vec::new();
        for (joint, words) in groups {
            let seen = plates.without(&joint);
            let mut sums = self.totals.borrow_mut();
            let sums = sums.entry((plates.clone(), joint.clone())).or_insert_with(SubsetSums::new);
            if let Some(value) = sums.sum(&words, &|number| Some(self.averaged(numbers.at(number), &seen))) {
                totals.push(self.node_cost(node, String::new(), value, joint)?);
            }
        }
        Ok(totals)
    }
}

/// One number for each part of each cost.
struct Numbering {
    starts: Vec<usize>,
}

impl Numbering {
    fn new<F: Real>(costs: &[Cost<'_, F>]) -> Self {
        let mut starts = vec![0];
        for cost in costs {
            starts.push(starts[starts.len() - 1] + cost.parts.len());
        }
        Numbering { starts }
    }

    fn words(&self) -> usize {
        self.starts[self.starts.len() - 1].div_ceil(64)
    }

    fn number(&self, (cost, part): (usize, usize)) -> usize {
        self.starts[cost] + part
    }

    fn at(&self, number: usize) -> (usize, usize) {
        let cost = self.starts.partition_point(|&start| start <= number) - 1;
        (cost, number - self.starts[cost])
    }
}
