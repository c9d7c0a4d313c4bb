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
use std::collections::HashSet;
use stochgrad_tape::{Id, Op, Plate, PlateSet, Var, Weights};
use stochgrad_tensor::Real;

/// Refuses operations that have no meaning on the sets of values of some nodes.
pub(crate) fn check_weighted_sets<F: Real>(recording: &Recording<'_, '_, F>) -> GraphResult<()> {
    let tape = recording.tape;
    for (index, node) in recording.nodes.iter().enumerate() {
        let is_set = |plate: &Plate| {
            matches!(tape.weights(*plate), Weights::Given { .. }) || !tape.plate_kind(*plate).is_independent()
        };
        let Some(set) = node.plate.filter(is_set) else { continue };
        check_reads_of_set(recording, node, set)?;
        // The weights of an enumerated node below another one carry the states of that one, whose weights carry further
        // plates.
        let varying = reduced_plates(tape, &[set]).without(&[set]);
        if !varying.is_empty() {
            check_operations_on_set(recording, index, set, &varying)?;
        }
    }
    Ok(())
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

/// Goes back from the costs to the node, over everything that carries the set, and refuses operations in which several
/// members of the varying plates meet.
fn check_operations_on_set<F: Real>(
    recording: &Recording<'_, '_, F>,
    index: usize,
    set: Plate,
    varying: &PlateSet,
) -> GraphResult<()> {
    let (tape, node) = (recording.tape, &recording.nodes[index]);
    let cone = tape.cone(node.value.id(), recording.end);
    let mut pending: Vec<Id> = recording.downstream(index).map(|at| recording.part(at).value.id()).collect();
    let mut seen = HashSet::new();
    while let Some(id) = pending.pop() {
        if cone.binary_search(&id).is_err() || !seen.insert(id) {
            continue;
        }
        let var = tape.var(id)?;
        let op = var.op();
        let is_node = matches!(op, Some(Op::Sample(_)));
        for (at, input) in var.inputs().into_iter().enumerate() {
            pending.push(input.id());
            // The states of a node downstream lack the plates of its parameters, which its weights carry.
            if is_node && at > 0 {
                continue;
            }
            let met = met_plate(var, op.as_ref(), input, varying);
            if let (Some(met), true) = (met, input.plates().contains(&set)) {
                return Err(node.refused(format!(
                    "an operation{} depends on several members of plate \"{}\" together, and each of them has a \
                     weighted set of values of its own; keep that plate in the cost, average over plate \"{}\" first, \
                     or use a method with independent samples, such as ScoreFunction",
                    var.location().map_or(String::new(), |at| format!(" ({at})")),
                    tape.plate_name(met),
                    tape.plate_name(set)
                )));
            }
        }
    }
    Ok(())
}

/// The plate whose members meet in an operation: a plate that an operand loses, or a plate over which the operand is
/// reduced although it lacks the plate.
fn met_plate<F: Real>(var: Var<'_, F>, op: Option<&Op>, input: Var<'_, F>, varying: &PlateSet) -> Option<Plate> {
    let kept = var.plates();
    let lost = input.plates().into_iter().find(|plate| varying.contains(plate) && !kept.contains(plate));
    match op {
        Some(Op::PlateReduce(plate, _)) if varying.contains(plate) => Some(*plate),
        _ => lost,
    }
}
