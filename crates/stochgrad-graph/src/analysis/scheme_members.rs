//! Costs of several samples that were drawn by a sampling scheme.
//!
//! The members of such a plate depend on one another. A cost of several of them has another expectation than a cost of
//! independent members, whatever its gradient, and is refused.

use crate::analysis::mixing::Mixing;
use crate::analysis::recording::Recording;
use crate::error::{GraphError, GraphResult};
use stochgrad_tape::{Plate, PlateKind, PlateSet};
use stochgrad_tensor::Real;

/// Refuses costs that depend on several members of a plate with a sampling scheme.
pub(crate) fn check_scheme_members<F: Real>(recording: &Recording<'_, '_, F>, mixing: &Mixing) -> GraphResult<()> {
    for (index, node) in recording.nodes.iter().enumerate() {
        let by_scheme = |plate: &Plate| recording.tape.plate_kind(*plate) == PlateKind::SchemeSamples;
        let drawn: PlateSet = node.value.plates().into_iter().filter(by_scheme).collect();
        if drawn.is_empty() {
            continue;
        }
        for at in recording.downstream(index) {
            let part = recording.part(at);
            if let Some(&plate) = mixing.joint_plates(index, &drawn, &part.plates, part.value.id()).first() {
                return Err(dependent_members(recording, index, plate));
            }
        }
    }
    Ok(())
}

/// The error of a cost of several members that are not independent.
pub(crate) fn dependent_members<F: Real>(recording: &Recording<'_, '_, F>, node: usize, plate: Plate) -> GraphError {
    recording.nodes[node].refused(format!(
        "a cost depends on several members of plate \"{}\" together, and these members are not independent draws; keep \
         the plate in the cost, or use a method with independent samples there",
        recording.tape.plate_name(plate)
    ))
}
