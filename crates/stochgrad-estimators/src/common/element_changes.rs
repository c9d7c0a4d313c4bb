//! The change of the costs when a single element of a sample is replaced.

use stochgrad_graph::{CostContext, GraphResult, RecordedDifference};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The change of the costs downstream when one element of the node's value takes the value of an alternative, for each
/// element and each alternative. The alternatives have the event shape of the value, and `element_rank` is that of the
/// distribution.
///
/// The replay is recorded where possible; otherwise it runs on the host, and the result is recorded as constants.
///
/// # Errors
/// Those of [`CostContext::element_differences`].
pub fn element_changes<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    alternatives: &[Var<'t, F>],
    element_rank: usize,
) -> GraphResult<Vec<RecordedDifference<'t, F>>> {
    if let Some(found) = context.recorded_differences(alternatives, element_rank)? {
        return Ok(found);
    }
    let (event, plates) = (context.value().shape(), context.value().plates());
    let values = alternatives.iter().map(|&alternative| {
        Ok(alternative.stop_gradient().broadcast_to(event.clone()).expand_plates(&plates).peek()?)
    });
    let values = values.collect::<GraphResult<Vec<_>>>()?;
    let found = context.element_differences(&values, element_rank)?.into_iter().map(|found| RecordedDifference {
        values: found.values.into_iter().map(|change| context.tape().constant_on(&found.plates, change)).collect(),
        summed: found.summed,
    });
    Ok(found.collect())
}
