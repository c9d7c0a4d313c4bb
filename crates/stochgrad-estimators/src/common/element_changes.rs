//! Changes of the costs when single elements of a sample take other values.

use stochgrad_graph::{CostContext, GraphResult, RecordedDifference};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The change of the costs when each element takes the value of each alternative: recorded where that is possible, else
/// numbers from the host.
pub(crate) fn element_changes<'t, F: Real>(
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
