//! Finds the values that depend on several members of a node's plate at once.
//!
//! A cost may carry a plate and still depend on *all* members along it, such as $(2 x_k + \bar x)^2$, or a cost of a
//! node whose parameters depend on $\bar x$. The members act jointly on every such cost, as they do on a cost that
//! lacks the plate. One pass over the tape finds, for every value, the pairs of node and plate that were mixed: an
//! operation removed the plate from a descendant of the node, or host code read a descendant.

use crate::analysis::recording::Recording;
use crate::method::cost_queries::PartNumber;
use std::collections::{BTreeSet, HashMap};
use stochgrad_tape::{Id, Op, Plate, PlateSet, Plates};
use stochgrad_tensor::Real;

/// Pairs of node and plate.
type Pairs = BTreeSet<(usize, Plate)>;

/// The mixed pairs of every value on a tape. Equal sets are stored once.
pub(crate) struct Mixing {
    of_value: Vec<u32>,
    sets: Vec<Pairs>,
    /// The pairs mixed by host code, and the position on the tape from which they count.
    read: Vec<(usize, Pairs)>,
}

impl Mixing {
    pub(crate) fn new<F: Real>(recording: &Recording<'_, '_, F>) -> Self {
        let tape = recording.tape;
        let mut mixing = Mixing { of_value: Vec::new(), sets: vec![Pairs::new()], read: Vec::new() };
        let plates: Vec<Plates> = recording.nodes.iter().map(|node| node.value.plates()).collect();
        if plates.iter().all(|plates| plates.is_empty()) {
            return mixing;
        }
        let pairs = |ancestors, removed: &dyn Fn(Plate) -> bool| -> Pairs {
            let sites =
                tape.sites(ancestors).into_iter().map(|site| site.0 as usize).filter(|&site| site < plates.len());
            sites
                .flat_map(|site| plates[site].iter().filter(|plate| removed(**plate)).map(move |&plate| (site, plate)))
                .collect()
        };
        for read in tape.host_reads() {
            if let Ok(var) = tape.var(read.id) {
                mixing.read.push((read.recorded_before, pairs(var.ancestors(), &|_| true)));
            }
        }
        mixing.of_value = vec![0; recording.end];
        let mut known: HashMap<Pairs, u32> = HashMap::from([(Pairs::new(), 0)]);
        let mut unions: HashMap<(u32, u32), u32> = HashMap::new();
        tape.visit(recording.end, &mut |visit| {
            let mut set = 0_u32;
            // The estimate of a derivative does not affect the value.
            let operands = if matches!(visit.op, Op::Estimated(_)) { 1 } else { visit.inputs.len() };
            for input in 0..operands {
                let own = visit.input_plates(input);
                let mut joined = mixing.of_value[visit.inputs[input].index()];
                // The states of an enumerated node lack the plates of its parameters, which its weights carry.
                let is_parameter = input > 0 && matches!(visit.op, Op::Sample(_));
                if !is_parameter && own.iter().any(|plate| !visit.plates.contains(plate)) {
                    let lost = pairs(visit.input_ancestors(input), &|plate| {
                        own.contains(&plate) && !visit.plates.contains(&plate)
                    });
                    let sum: Pairs = mixing.sets[joined as usize].union(&lost).copied().collect();
                    joined = mixing.intern(sum, &mut known);
                }
                if set == 0 || set == joined {
                    set = joined;
                } else if joined != 0 {
                    let key = (set.min(joined), set.max(joined));
                    set = match unions.get(&key) {
                        Some(&union) => union,
                        None => {
                            let sum = mixing.sets[set as usize].union(&mixing.sets[joined as usize]).copied().collect();
                            let union = mixing.intern(sum, &mut known);
                            unions.insert(key, union);
                            union
                        }
                    };
                }
            }
            mixing.of_value[visit.id.index()] = set;
        });
        mixing
    }

    fn intern(&mut self, pairs: Pairs, known: &mut HashMap<Pairs, u32>) -> u32 {
        *known.entry(pairs).or_insert_with_key(|pairs| {
            self.sets.push(pairs.clone());
            self.sets.len() as u32 - 1
        })
    }

    /// Whether nothing is mixed in the value at a position.
    pub(crate) fn is_plain(&self, value: usize) -> bool {
        self.of_value.get(value).is_none_or(|&set| set == 0)
            && self.read.iter().all(|(from, pairs)| *from > value || pairs.is_empty())
    }

    /// Whether the value at a position depends on several members of a node along a plate.
    pub(crate) fn mixes(&self, value: usize, node: usize, plate: Plate) -> bool {
        let recorded = self.of_value.get(value).is_some_and(|&set| self.sets[set as usize].contains(&(node, plate)));
        recorded || self.read.iter().any(|(from, pairs)| *from <= value && pairs.contains(&(node, plate)))
    }

    /// The plates among `own` along which the members of a node act jointly on a value that is reduced over `plates`:
    /// the value lacks the plate, or depends on several members along it.
    pub(crate) fn joint_plates(&self, node: usize, own: &[Plate], plates: &PlateSet, value: Id) -> PlateSet {
        let joint = |plate: &Plate| !plates.contains(plate) || self.mixes(value.index(), node, *plate);
        own.iter().copied().filter(joint).collect()
    }

    /// The plates of a node along which a part of a cost depends on several members.
    pub(crate) fn joint_with<F: Real>(
        &self,
        recording: &Recording<'_, '_, F>,
        node: usize,
        part: PartNumber,
    ) -> PlateSet {
        let part = recording.part(part);
        self.joint_plates(node, &recording.nodes[node].plates, &part.plates, part.value.id())
    }
}
