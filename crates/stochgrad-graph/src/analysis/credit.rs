//! Costs as a node's method gets them: those downstream of the node, detached, averaged over the plates that it lacks.

use crate::analysis::facts::Analysis;
use crate::analysis::sums::SubsetSums;
use crate::error::GraphResult;
use crate::graph::cost::{Cost, Part};
use crate::method::cost_queries::PartNumber;
use crate::method::node_cost::NodeCost;
use crate::reduction::reduce;
use std::cell::RefCell;
use std::collections::HashMap;
use stochgrad_tape::{IdMap, PlateSet, Var};
use stochgrad_tensor::Real;

/// Totals of costs, for the plates of a node and those along which the costs depend on several members.
type Totals<'t, F> = HashMap<(PlateSet, PlateSet), SubsetSums<'t, F>>;

/// The costs with which nodes are credited. Averages and totals are recorded once and shared by all nodes.
pub(crate) struct Credit<'a, 't, F: Real> {
    analysis: &'a Analysis<'a, 't, F>,
    numbering: Numbering,
    averages: RefCell<HashMap<(PartNumber, PlateSet), Var<'t, F>>>,
    totals: RefCell<Totals<'t, F>>,
}

impl<'a, 't, F: Real> Credit<'a, 't, F> {
    pub(crate) fn new(analysis: &'a Analysis<'a, 't, F>) -> Self {
        let numbering = Numbering::new(analysis.recording.costs);
        Credit { analysis, numbering, averages: RefCell::default(), totals: RefCell::default() }
    }

    /// A part of a cost as a node on these plates gets it: detached, averaged over the plates that the node lacks.
    fn averaged(&self, part: PartNumber, plates: &PlateSet) -> Var<'t, F> {
        let Part { value, plates: own } = self.analysis.recording.part(part);
        let outside = own.without(plates);
        let key = (part, own.without(&outside));
        *self
            .averages
            .borrow_mut()
            .entry(key)
            .or_insert_with(|| reduce(value.stop_gradient(), &outside, &IdMap::identity(), true))
    }

    fn node_cost(&self, node: usize, name: String, value: Var<'t, F>, joint: PlateSet) -> GraphResult<NodeCost<'t, F>> {
        let l = self.analysis.gradient_functions[node];
        let gradient_function = l.map(|l| self.analysis.joint(node, l, &joint)).transpose()?;
        Ok(NodeCost { name, value, joint: joint.into(), gradient_function })
    }

    /// See [`CostContext::costs`](crate::CostContext::costs).
    pub(crate) fn costs(&self, node: usize, parts: &[PartNumber]) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.sums(node, parts, |(cost, _)| Some(cost))
    }

    /// See [`CostContext::totals`](crate::CostContext::totals).
    pub(crate) fn totals(&self, node: usize, parts: &[PartNumber]) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.sums(node, parts, |_| None)
    }

    /// The sums of those parts that `cost_of` gives the same cost, and on which the node acts jointly along the same
    /// plates.
    fn sums(
        &self,
        node: usize,
        parts: &[PartNumber],
        cost_of: fn(PartNumber) -> Option<usize>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        let mut groups: Vec<(Option<usize>, PlateSet, Vec<u64>)> = Vec::new();
        let numbering = &self.numbering;
        for &at in parts {
            let (cost, joint) = (cost_of(at), self.analysis.joint_with(node, at));
            // Parts are in the order of their costs, so that the groups of a cost are the last ones.
            let of_cost = groups.iter().enumerate().rev().take_while(|(_, (other, ..))| *other == cost);
            let known = of_cost.into_iter().find(|(_, (_, plates, _))| *plates == joint).map(|(group, _)| group);
            let group = known.unwrap_or_else(|| {
                groups.push((cost, joint, vec![0; numbering.words()]));
                groups.len() - 1
            });
            let number = numbering.number(at);
            groups[group].2[number / 64] |= 1 << (number % 64);
        }
        let recording = &self.analysis.recording;
        let plates = &recording.nodes[node].plates;
        let mut found = Vec::new();
        for (cost, joint, words) in groups {
            let kept = plates.without(&joint);
            let mut sums = self.totals.borrow_mut();
            let sums = sums.entry((plates.clone(), joint.clone())).or_insert_with(SubsetSums::new);
            if let Some(value) = sums.sum(&words, &|number| Some(self.averaged(numbering.at(number), &kept))) {
                let name = cost.map(|cost| recording.costs[cost].name.clone()).unwrap_or_default();
                found.push(self.node_cost(node, name, value, joint)?);
            }
        }
        Ok(found)
    }

    /// See [`CostContext::cost_gradients`](crate::CostContext::cost_gradients).
    pub(crate) fn cost_gradients(
        &self,
        node: usize,
        parts: &[PartNumber],
    ) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>> {
        let recording = &self.analysis.recording;
        let (value, plates) = (recording.nodes[node].value, &recording.nodes[node].plates);
        let mut found = Vec::new();
        for total in self.totals(node, parts)? {
            let mut sum = recording.tape.constant(0.0);
            for &at in parts.iter().filter(|at| self.analysis.joint_with(node, **at)[..] == total.joint[..]) {
                let part = recording.part(at);
                let outside = part.plates.without(&plates.without(&total.joint));
                let average = reduce(part.value, &outside, &IdMap::identity(), true);
                sum = sum + average.plates().iter().fold(average, |sum, &plate| sum.sum_over(plate));
            }
            let gradient = recording.tape.gradients(sum, &[value])?[0];
            found.push((total, gradient));
        }
        Ok(found)
    }
}

/// Numbers the parts of all costs consecutively.
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

    fn number(&self, (cost, part): PartNumber) -> usize {
        self.starts[cost] + part
    }

    fn at(&self, number: usize) -> PartNumber {
        let cost = self.starts.partition_point(|&start| start <= number) - 1;
        (cost, number - self.starts[cost])
    }
}
