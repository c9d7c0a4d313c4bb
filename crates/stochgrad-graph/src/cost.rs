//! Costs: what is differentiated.

use crate::error::GraphResult;
use std::panic::Location;
use stochgrad_tape::{IdMap, Op, PlateReduction, Plates, Var, Weights};
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::zip::Zip;

/// A named cost: a sum of parts, each with ancestors and plates of its own.
pub(crate) struct Cost<'t, F: Real> {
    pub(crate) name: String,
    pub(crate) parts: Vec<Part<'t, F>>,
    pub(crate) at: &'static Location<'static>,
}

#[derive(Clone)]
pub(crate) struct Part<'t, F: Real> {
    /// One number for each combination of plate members, before any plate is averaged.
    pub(crate) value: Var<'t, F>,
    /// The plates of the value, closed under "was sampled inside".
    pub(crate) plates: Plates,
}

/// How deep a linear expression is searched for averages over plates.
const DEPTH: usize = 16;

/// Takes averages over plates off a cost.
///
/// `mean_over(samples)` before `cost` would hide from the surrogate which member caused which cost, and multiply the variance
/// by the number of members. The average is taken by the surrogate anyway, with the plate's weights; so sums and
/// multiples of averages are split into parts that still have the plates.
pub(crate) fn peel<'t, F: Real>(value: Var<'t, F>) -> Vec<Var<'t, F>> {
    peeled(value, DEPTH).unwrap_or_else(|| vec![value])
}

fn peeled<'t, F: Real>(value: Var<'t, F>, depth: usize) -> Option<Vec<Var<'t, F>>> {
    if depth == 0 {
        return None;
    }
    let op = value.op()?;
    let inputs = value.inputs();
    let tape = value.tape();
    let again = |part: Var<'t, F>| {
        let mut map = IdMap::identity();
        map.insert(inputs[0].id(), part.id());
        tape.record_again(value, &map)
    };
    match op {
        Op::PlateReduce(plate, how) => {
            let average = match (tape.weights(plate), how) {
                (Weights::Mean, PlateReduction::Mean) | (Weights::Sum, PlateReduction::Sum) => true,
                (Weights::Given { id, .. }, PlateReduction::Weighted) => inputs[1].id() == id,
                _ => false,
            };
            let unreduced = inputs[0];
            (average && unreduced.plates().contains(&plate))
                .then(|| peeled(unreduced, depth - 1).unwrap_or_else(|| vec![unreduced]))
        }
        Op::Map(Map::Neg | Map::MulScalar(_)) | Op::Reduce(Reduce::Sum, _) => {
            Some(peeled(inputs[0], depth - 1)?.into_iter().map(again).collect())
        }
        Op::Map(Map::AddScalar(number)) => {
            let mut parts = peeled(inputs[0], depth - 1)?;
            parts.push(tape.constant(number).expand_plates(&value.plates()).broadcast_to(value.shape()));
            Some(parts)
        }
        Op::Zip(zip @ (Zip::Add | Zip::Sub)) => {
            let (left, right) = (peeled(inputs[0], depth - 1), peeled(inputs[1], depth - 1));
            if left.is_none() && right.is_none() {
                return None;
            }
            // Both sides must lie on the plates of the sum: a constant counts once for each member.
            let spread = |parts: Vec<Var<'t, F>>| {
                parts.into_iter().map(|part| part.expand_plates(&value.plates()).broadcast_to(value.shape()))
            };
            let mut parts: Vec<Var<'t, F>> = spread(left.unwrap_or_else(|| vec![inputs[0]])).collect();
            let right = spread(right.unwrap_or_else(|| vec![inputs[1]]));
            parts.extend(right.map(|part| if zip == Zip::Sub { -part } else { part }));
            Some(parts)
        }
        _ => None,
    }
}

/// The position of the first NaN of a cost that no weight of 0 takes away.
pub(crate) fn first_nan<F: Real>(value: Var<'_, F>) -> GraphResult<Option<usize>> {
    let nan = |x: &F| x.is_nan();
    let members = value.inspect()?;
    if !members.as_slice().iter().any(nan) {
        return Ok(None);
    }
    let tape = value.tape();
    let mark = tape.len();
    // Weights on other plates than those of the cost vary with what the cost lacks: some member is there.
    let mut kept = value;
    for plate in value.plates() {
        if let Weights::Given { id, .. } = tape.weights(plate) {
            let weights = tape.var(id)?;
            if weights.plates().iter().all(|plate| value.plates().contains(plate)) {
                kept = kept.zip(Zip::Weigh, weights);
            }
        }
    }
    let kept = kept.inspect();
    tape.truncate(mark);
    Ok(kept?.as_slice().iter().position(nan))
}
