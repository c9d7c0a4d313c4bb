//! The next values of slots, collected from all nodes.

use crate::analysis::finite::{UPDATE, check_recorded};
use crate::error::{GraphError, GraphResult};
use crate::method::terms::Update;
use stochgrad_tape::Slot;
use stochgrad_tensor::{Real, Tensor};

/// The updates of all nodes, one for each slot.
///
/// # Errors
/// For a value that does not fit its slot, and for a slot that is written twice.
pub(crate) fn one_for_each_slot<'t, F: Real>(updates: Vec<Update<'t, F>>) -> GraphResult<Vec<Update<'t, F>>> {
    let mut kept: Vec<Update<'t, F>> = Vec::with_capacity(updates.len());
    for update in updates {
        update.value.tape().check()?;
        let refused = |problem: String| {
            Err(GraphError::State { method: format!("with slot \"{}\"", update.slot.name()), problem })
        };
        if !update.value.plates().is_empty() || update.value.shape() != *update.slot.shape() {
            return refused(format!(
                "expected a next value of shape {} without plates, got shape {} with {} plates; reduce the plates in \
                 the method",
                update.slot.shape(),
                update.value.shape(),
                update.value.plates().len()
            ));
        }
        match kept.iter().find(|known| known.slot.is(&update.slot)) {
            None => kept.push(update),
            Some(known) if known.is_shared && update.is_shared => {}
            Some(_) => {
                return refused(
                    "expected one next value in each step, got two; name the slots of a method that several nodes \
                     share after the node"
                        .into(),
                );
            }
        }
    }
    Ok(kept)
}

/// The values that slots get at the end of a recorded step.
///
/// # Errors
/// For a value that is NaN or infinite, with the operation that first produced it.
pub(crate) fn next_values<F: Real>(updates: Vec<Update<'_, F>>) -> GraphResult<Vec<(Slot, Tensor<F>)>> {
    let value = |update: Update<'_, F>| {
        check_recorded(&[update.value], |_| in_words(&update.slot))?;
        Ok((update.slot, update.value.inspect()?))
    };
    updates.into_iter().map(value).collect()
}

/// The description of the next value of a slot.
pub(crate) fn in_words(slot: &Slot) -> String {
    format!("the next value of \"{}\", {UPDATE}", slot.name())
}
