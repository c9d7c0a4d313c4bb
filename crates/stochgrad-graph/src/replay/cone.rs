//! The part of a recording that is downstream of a group of nodes, in the order of recording.

use crate::analysis::recording::Recording;
use crate::method::cost_queries::PartNumber;
use std::collections::HashMap;
use stochgrad_tape::{Id, Op, PlateSet, SiteId, Weights};
use stochgrad_tensor::Real;

/// What a sweep does at a position of the tape.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The node with this number in the group.
    Member(usize),
    /// Another node, which is drawn again.
    Node(SiteId),
    Operation,
}

/// A position of the cone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) id: Id,
    pub(crate) kind: Kind,
    /// Whether this value is a part of a cost.
    pub(crate) costs: bool,
}

/// The values downstream of a group of nodes on which a cost depends.
pub(crate) struct Cone {
    pub(crate) positions: Vec<Position>,
    /// The last position that uses each value, 0 for none.
    pub(crate) last_use: Vec<usize>,
    /// Plates that something in the cone reduces: their members meet downstream of the nodes.
    pub(crate) reduced: PlateSet,
    /// The parts of costs at a position.
    pub(crate) costs: HashMap<Id, Vec<PartNumber>>,
}

impl Cone {
    pub(crate) fn new<F: Real>(recording: &Recording<'_, '_, F>, members: &[usize]) -> Self {
        let Recording { tape, end, .. } = *recording;
        let mut costs: HashMap<Id, Vec<PartNumber>> = HashMap::new();
        let mut last_use = vec![0; end];
        let mut needed = vec![false; end];
        let mut reached = vec![false; end];
        for (at, part) in recording.parts() {
            costs.entry(part.value.id()).or_default().push(at);
            needed[part.value.id().index()] = true;
            for &plate in &part.plates {
                if let Weights::Given { id, .. } = tape.weights(plate) {
                    needed[id.index()] = true;
                    last_use[id.index()] = end;
                }
            }
        }
        // A node that its method draws again uses its parameters; what the first draw was made of is not needed.
        let redrawn = |site: SiteId| {
            let node = recording.nodes.get(site.0 as usize).filter(|node| node.site == site);
            node.is_some_and(|node| !node.method.is_rerecordable())
        };
        tape.visit_backwards(end, &mut |visit| {
            if !needed[visit.id.index()] {
                return;
            }
            let skipped = usize::from(matches!(visit.op, Op::Sample(site) if redrawn(*site)));
            for input in &visit.inputs[skipped..] {
                needed[input.index()] = true;
                last_use[input.index()] = last_use[input.index()].max(visit.id.index());
            }
        });
        // Both the members and what is visited are in the order of recording.
        let mut numbers =
            members.iter().enumerate().map(|(number, &node)| (recording.nodes[node].value.id(), number)).peekable();
        let (mut positions, mut reduced) = (Vec::new(), PlateSet::new());
        tape.visit(end, &mut |visit| {
            let member = numbers.next_if(|(id, _)| *id == visit.id).map(|(_, number)| number);
            let mut here = member.is_some();
            for (number, _) in visit.inputs.iter().enumerate().filter(|(_, input)| reached[input.index()]) {
                here = true;
                reduced
                    .extend(visit.input_plates(number).iter().copied().filter(|plate| !visit.plates.contains(plate)));
            }
            reached[visit.id.index()] = here;
            if here && (needed[visit.id.index()] || member.is_some()) {
                let kind = match (member, visit.op) {
                    (Some(number), _) => Kind::Member(number),
                    (None, Op::Sample(site)) => Kind::Node(*site),
                    _ => Kind::Operation,
                };
                positions.push(Position { id: visit.id, kind, costs: costs.contains_key(&visit.id) });
            }
        });
        Cone { positions, last_use, reduced, costs }
    }
}
