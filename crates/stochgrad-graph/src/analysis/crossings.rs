//! Comparisons of the value of a node with a threshold, whose jumps the method of the node accounts for.
//!
//! A comparison is a *crossing* of a node if one operand is the value of the node itself, and the other, the
//! *threshold*, does not depend on the node. The cost then jumps where the value equals the threshold, which is all
//! that a method needs to know. If both operands are nodes whose methods account for crossings, the later one carries
//! the comparison: its threshold is the value of the other. Two nodes whose thresholds depend on each other carry
//! neither.

use crate::analysis::recording::Recording;
use std::collections::{HashMap, HashSet};
use stochgrad_tape::{Id, Op, Var};
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Shape};

/// The crossings of a recorded graph.
#[derive(Default)]
pub(crate) struct Crossings {
    /// The threshold of each crossing, with the number of its node. Each threshold of a node is listed once.
    thresholds: Vec<(usize, Id)>,
    /// The comparisons.
    comparisons: HashSet<Id>,
}

impl Crossings {
    /// Finds the crossings of all nodes whose methods account for them.
    pub(crate) fn new<F: Real>(recording: &Recording<'_, '_, F>) -> Self {
        let Recording { tape, nodes, end, .. } = *recording;
        let carriers: HashMap<Id, usize> = nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.method.carries_crossings())
            .map(|(index, node)| (node.value.id(), index))
            .collect();
        if carriers.is_empty() {
            return Crossings::default();
        }
        let mut candidates: Vec<(Id, usize, Id)> = Vec::new();
        tape.visit(end, &mut |visit| {
            let Op::Zip(Zip::Greater | Zip::GreaterEqual | Zip::Less | Zip::LessEqual) = visit.op else { return };
            let carrier = |side: usize| {
                let &node = carriers.get(&visit.inputs[side])?;
                let other = 1 - side;
                let plates = visit.input_plates(side);
                let is_threshold = !tape.set_contains(visit.input_ancestors(other), nodes[node].site)
                    && visit.input_plates(other).iter().all(|plate| plates.contains(plate));
                is_threshold.then(|| (visit.id, node, visit.inputs[other]))
            };
            // Nodes are numbered in the order of recording.
            candidates.extend(carrier(0).into_iter().chain(carrier(1)).max_by_key(|&(_, node, _)| node));
        });
        // A threshold with more event axes than the value would be crossed several times by one element.
        candidates.retain(|&(_, node, threshold)| {
            let shape = nodes[node].value.shape();
            tape.var(threshold).is_ok_and(|var| Shape::broadcast(&var.shape(), &shape).as_ref() == Some(&shape))
        });
        // Thresholds of two nodes that depend on each other may be the same jump, which both nodes would account for.
        let depends = |threshold: Id, node: usize| {
            tape.var(threshold).is_ok_and(|var| tape.set_contains(var.ancestors(), nodes[node].site))
        };
        let is_mutual = |&(_, node, threshold): &(Id, usize, Id)| {
            let others = candidates.iter().filter(|(_, other, _)| *other != node);
            others.into_iter().any(|&(_, other, own)| depends(threshold, other) && depends(own, node))
        };
        let mut crossings = Crossings::default();
        for &(comparison, node, threshold) in candidates.iter().filter(|candidate| !is_mutual(candidate)) {
            crossings.comparisons.insert(comparison);
            if !crossings.thresholds.contains(&(node, threshold)) {
                crossings.thresholds.push((node, threshold));
            }
        }
        crossings
    }

    /// Whether a recorded operation is a crossing.
    pub(crate) fn contains(&self, operation: Id) -> bool {
        self.comparisons.contains(&operation)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.comparisons.is_empty()
    }

    /// The thresholds that the value of a node is compared with.
    pub(crate) fn thresholds<'t, F: Real>(&self, recording: &Recording<'_, 't, F>, node: usize) -> Vec<Var<'t, F>> {
        let own = self.thresholds.iter().filter(|(index, _)| *index == node);
        own.filter_map(|&(_, threshold)| recording.tape.var(threshold).ok()).collect()
    }

    /// The thresholds of all nodes, with the numbers of the nodes.
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, Id)> {
        self.thresholds.iter().copied()
    }
}
