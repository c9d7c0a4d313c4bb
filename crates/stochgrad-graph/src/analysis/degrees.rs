//! The degree of the costs as polynomials in the value of a node, for the methods that are exact for polynomials.
//!
//! The degree follows from the recorded operations. If the value of a node in between is a recorded function of its
//! parameters, the path continues through the node. Any other node is drawn again for another value, and the dependence
//! of its distribution on the value is not a known polynomial. A path with a branch of host code counts as a jump, and
//! is left out here.

use crate::analysis::mixing::Mixing;
use crate::analysis::recording::Recording;
use crate::guarantee::{Bias, Path};
use stochgrad_tape::{Degree, Op, PlateKind, Smoothness, Weights};
use stochgrad_tensor::Real;

/// How many nodes share a pass over the tape.
const LANES: usize = 16;

/// One degree for each node of a pass.
type Degrees = [Degree; LANES];

const CONSTANT: Degrees = [Degree::CONSTANT; LANES];

/// Sets the degree of the path of every node with a biased method.
pub(crate) fn find_degrees<F: Real>(recording: &Recording<'_, '_, F>, mixing: &Mixing, paths: &mut [Path]) {
    let asks = |index: &usize| {
        recording.nodes[*index].method.profile().bias != Bias::Unbiased && paths[*index].smoothness != Smoothness::Jump
    };
    let asking: Vec<usize> = (0..recording.nodes.len()).filter(asks).collect();
    for chunk in asking.chunks(LANES) {
        for (&node, degree) in chunk.iter().zip(sweep(recording, paths, chunk)) {
            let dependent = meets_dependent_draws(recording, mixing, node);
            paths[node].degree = if dependent { Degree::UNBOUNDED } else { degree };
        }
    }
}

/// Whether a cost depends jointly on members that are not independent draws: the members of a node below an enumerated
/// node share their noise, for instance, so that a product of two of them is not a product of independent values.
fn meets_dependent_draws<F: Real>(recording: &Recording<'_, '_, F>, mixing: &Mixing, node: usize) -> bool {
    let dependent = |plate| !recording.tape.plate_kind(plate).is_independent();
    recording.nodes[node].plates.iter().any(|&plate| dependent(plate))
        && recording.downstream(node).any(|at| mixing.joint_with(recording, node, at).into_iter().any(dependent))
}

/// The degrees of the costs in the values of some nodes.
fn sweep<F: Real>(recording: &Recording<'_, '_, F>, paths: &[Path], chunk: &[usize]) -> Degrees {
    let Recording { tape, nodes, end, .. } = *recording;
    // Values before the first node depend on none of them.
    let start = chunk.iter().map(|&node| nodes[node].value.id().index()).min().unwrap_or(end);
    let mut degrees = vec![CONSTANT; end - start];
    for (lane, &node) in chunk.iter().enumerate() {
        degrees[nodes[node].value.id().index() - start][lane] = Degree::new(1);
    }
    let mut operands: Vec<Degrees> = Vec::new();
    let mut lane_operands: Vec<Degree> = Vec::new();
    tape.visit(end, &mut |visit| {
        let Some(at) = visit.id.index().checked_sub(start) else { return };
        operands.clear();
        operands.extend(visit.inputs.iter().map(|id| id.index().checked_sub(start).map_or(CONSTANT, |at| degrees[at])));
        if operands.iter().all(|operand| *operand == CONSTANT) {
            return;
        }
        let continues = match visit.op {
            Op::Sample(site) => {
                let index = site.0 as usize;
                nodes
                    .get(index)
                    .is_some_and(|node| node.method.is_rerecordable() && node.method.passes_gradient(&paths[index]))
            }
            _ => true,
        };
        for lane in 0..chunk.len() {
            lane_operands.clear();
            lane_operands.extend(operands.iter().map(|operand| operand[lane]));
            let degree = match visit.op {
                Op::Sample(_) if continues => lane_operands[0],
                Op::Sample(_) => Degree::of_function(&lane_operands),
                _ => visit.degree(&lane_operands),
            };
            degrees[at][lane] = degrees[at][lane].max(degree);
        }
    });
    let mut found = CONSTANT;
    let mut see = |index: usize, degree_of: fn(Degree) -> Degree| {
        if let Some(at) = index.checked_sub(start) {
            found.iter_mut().zip(degrees[at]).for_each(|(found, degree)| *found = (*found).max(degree_of(degree)));
        }
    };
    for (_, part) in recording.parts() {
        see(part.value.id().index(), |degree| degree);
    }
    for plate in nodes.iter().filter_map(|node| node.plate) {
        if tape.plate_kind(plate) != PlateKind::Data
            && let Weights::Given { id, .. } = tape.weights(plate)
        {
            // A weight multiplies whatever lies on its plate.
            see(id.index(), |degree| Degree::of_function(&[degree]));
        }
    }
    found
}
