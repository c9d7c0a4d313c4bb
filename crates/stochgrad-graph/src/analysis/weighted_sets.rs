//! Operations that are refused on a weighted set of values: the states of an enumerated node, a sample without
//! replacement, samples with importance weights, or the two halves of an antithetic pair.
//!
//! The members of such a set are not independent draws from the node's distribution; only their weighted average is
//! meaningful. If the parameters of the node lie on other plates, each member of those plates has a set of its own: the
//! first state of one image is not drawn together with the first state of another image. The values may even lack those
//! plates, since the states are the same for all images and only their weights differ; a reduction over the images then
//! does nothing. Therefore, until the set has been averaged, no operation may reduce or index the plates that its
//! weights carry, and host code may not read a member.

use crate::analysis::recording::Recording;
use crate::error::{GraphError, GraphResult};
use crate::graph::node::StochasticNode;
use crate::reduction::reduced_plates;
use std::collections::HashMap;
use stochgrad_tape::{Op, Plate, PlateSet, Visit, Weights};
use stochgrad_tensor::Real;

/// A set whose weights carry other plates.
struct WeightedSet {
    node: usize,
    /// The plates that the weights carry, and those that the weights of these carry: the weights of an enumerated node
    /// below another one carry the states of that one, whose weights carry further plates.
    varying: PlateSet,
}

/// An operation in which members of a plate meet that have a set each.
struct Meeting {
    node: usize,
    operation: usize,
    set: Plate,
    met: Plate,
}

/// Refuses operations that have no meaning on the sets of values of some nodes.
pub(crate) fn check_weighted_sets<F: Real>(recording: &Recording<'_, '_, F>) -> GraphResult<()> {
    let tape = recording.tape;
    let mut sets = HashMap::new();
    for (index, node) in recording.nodes.iter().enumerate() {
        let is_set = |plate: &Plate| {
            matches!(tape.weights(*plate), Weights::Given { .. }) || !tape.plate_kind(*plate).is_independent()
        };
        let Some(set) = node.plate.filter(is_set) else { continue };
        check_reads_of_set(recording, node, set)?;
        let varying = reduced_plates(tape, &[set]).without(&[set]);
        if !varying.is_empty() {
            sets.insert(set, WeightedSet { node: index, varying });
        }
    }
    if sets.is_empty() { Ok(()) } else { check_operations_on_sets(recording, &sets) }
}

/// Refuses host code that reads the set: its members are not draws, so what the code computes from one of them has no
/// expectation.
fn check_reads_of_set<'t, F: Real>(
    recording: &Recording<'_, 't, F>,
    node: &StochasticNode<'t, F>,
    set: Plate,
) -> GraphResult<()> {
    let tape = recording.tape;
    for read in tape.host_reads().iter().filter(|read| read.recorded_before < recording.end) {
        let var = tape.var(read.id)?;
        if var.plates().contains(&set) && tape.set_contains(var.ancestors(), node.site) {
            return Err(GraphError::HostRead {
                node: node.address.to_string(),
                method: node.method.name(),
                plate: tape.plate_name(set),
                at: read.location,
            });
        }
    }
    Ok(())
}

/// Refuses operations on the way from a node to a cost in which several members of the varying plates of its set meet.
fn check_operations_on_sets<F: Real>(
    recording: &Recording<'_, '_, F>,
    sets: &HashMap<Plate, WeightedSet>,
) -> GraphResult<()> {
    let Recording { tape, nodes, end, .. } = *recording;
    let reaches_cost = reaching_costs(recording);
    let mut first: Option<Meeting> = None;
    tape.visit(end, &mut |visit| {
        if !reaches_cost[visit.id.index()] {
            return;
        }
        // The states of a node downstream lack the plates of its parameters, which its weights carry.
        let operands = if matches!(visit.op, Op::Sample(_)) { 1 } else { visit.inputs.len() };
        for input in 0..operands.min(visit.inputs.len()) {
            for plate in visit.input_plates(input) {
                let Some(set) = sets.get(plate) else { continue };
                let Some(met) = met_plate(&visit, input, &set.varying) else { continue };
                let site = nodes[set.node].site;
                let descends = (0..visit.inputs.len()).any(|at| tape.set_contains(visit.input_ancestors(at), site));
                if descends && first.as_ref().is_none_or(|first| set.node < first.node) {
                    first = Some(Meeting { node: set.node, operation: visit.id.index(), set: *plate, met });
                }
            }
        }
    });
    let Some(Meeting { node, operation, set, met }) = first else { return Ok(()) };
    let at = tape.var_at(operation)?.location().map_or(String::new(), |at| format!(" ({at})"));
    Err(nodes[node].refused(format!(
        "an operation{at} depends on several members of plate \"{}\" together, and each of them has a weighted set of \
         values of its own; keep that plate in the cost, average over plate \"{}\" first, or use a method with \
         independent samples, such as ScoreFunction",
        tape.plate_name(met),
        tape.plate_name(set)
    )))
}

/// Whether a cost depends on each value.
fn reaching_costs<F: Real>(recording: &Recording<'_, '_, F>) -> Vec<bool> {
    let mut reaches = vec![false; recording.end];
    for (_, part) in recording.parts() {
        if let Some(reaches) = reaches.get_mut(part.value.id().index()) {
            *reaches = true;
        }
    }
    recording.tape.visit_backwards(recording.end, &mut |visit| {
        if reaches[visit.id.index()] {
            // The estimate of a derivative does not affect the value.
            let operands = if matches!(visit.op, Op::Estimated(_)) { 1 } else { visit.inputs.len() };
            visit.inputs[..operands].iter().for_each(|input| reaches[input.index()] = true);
        }
    });
    reaches
}

/// The plate whose members meet in an operation: a plate that an operand loses, or a plate over which the operand is
/// reduced although it lacks the plate.
fn met_plate<F: Real>(visit: &Visit<'_, F>, input: usize, varying: &PlateSet) -> Option<Plate> {
    let is_lost = |plate: &&Plate| varying.contains(plate) && !visit.plates.contains(plate);
    match visit.op {
        Op::PlateReduce(plate, _) if varying.contains(plate) => Some(*plate),
        _ => visit.input_plates(input).iter().find(is_lost).copied(),
    }
}
