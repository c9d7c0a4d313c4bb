//! Alignment of operands: plates by identity, event shapes by broadcasting.

use crate::node::Node;
use crate::op::fault::Fault;
use crate::plate::{Plate, Plates, merge};
use crate::tape::Inner;
use smallvec::SmallVec;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Operands with the same plate axes and the same event rank. Missing event axes are added on the left.
pub(crate) struct Aligned<F: Real> {
    pub(crate) plates: Plates,
    pub(crate) values: SmallVec<[Tensor<F>; 5]>,
}

impl<F: Real> Inner<F> {
    pub(crate) fn plate_size(&self, plate: Plate) -> usize {
        self.plates[plate.index as usize].size
    }

    /// The plates in words, for messages.
    pub(crate) fn words(&self, plates: &[Plate]) -> String {
        if plates.is_empty() {
            return String::new();
        }
        let names: Vec<String> =
            plates.iter().map(|&p| format!("{}({})", self.plates[p.index as usize].name, self.plate_size(p))).collect();
        format!(", plates {}", names.join(", "))
    }

    pub(crate) fn operand(&self, node: &Node<F>, problem: impl Into<String>) -> Fault {
        Fault::Operand { problem: problem.into(), shape: node.event(), plates: self.words(&node.plates) }
    }

    pub(crate) fn axis(&self, node: &Node<F>, axis: usize) -> Result<usize, Fault> {
        let rank = node.value.shape().len() - node.plates.len();
        if axis < rank {
            Ok(axis + node.plates.len())
        } else {
            Err(self.operand(node, format!("expected an event axis below {rank}, got axis {axis}")))
        }
    }

    /// The value with an axis for each of `plates` (of size 1 where it lacks one) and event rank `rank`.
    pub(crate) fn spread(&self, node: &Node<F>, plates: &[Plate], rank: usize) -> Tensor<F> {
        let shape = node.value.shape();
        let own = node.plates.len();
        let event = &shape[own..];
        if own == plates.len() && event.len() == rank {
            return node.value.clone();
        }
        let mut wide: SmallVec<[usize; 8]> = SmallVec::new();
        wide.extend(plates.iter().map(|plate| node.plates.binary_search(plate).map_or(1, |at| shape[at])));
        wide.extend(std::iter::repeat_n(1, rank - event.len()));
        wide.extend_from_slice(event);
        node.value.clone().with_shape(Shape::from(wide.as_slice()))
    }

    pub(crate) fn align(&self, nodes: &[&Node<F>]) -> Aligned<F> {
        let mut plates = Plates::new();
        let mut rank = 0;
        for node in nodes {
            merge(&mut plates, &node.plates);
            rank = rank.max(node.value.shape().len() - node.plates.len());
        }
        let values = nodes.iter().map(|node| self.spread(node, &plates, rank)).collect();
        Aligned { plates, values }
    }

    pub(crate) fn broadcast(&self, nodes: &[&Node<F>]) -> Result<Shape, Fault> {
        let mut shape = nodes[0].event();
        for node in &nodes[1..] {
            let right = node.event();
            let Some(joint) = Shape::broadcast(&shape, &right) else {
                let mut plates = Plates::new();
                nodes.iter().for_each(|node| merge(&mut plates, &node.plates));
                return Err(Fault::Broadcast { left: shape, right, plates: self.words(&plates) });
            };
            shape = joint;
        }
        Ok(shape)
    }

    pub(crate) fn full_shape(&self, plates: &[Plate], event: &[usize]) -> Shape {
        plates.iter().map(|&plate| self.plate_size(plate)).chain(event.iter().copied()).collect()
    }
}
