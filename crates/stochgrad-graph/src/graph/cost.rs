//! Costs, and how they are split into parts that keep their plates.

use crate::error::GraphResult;
use crate::reduction::reduced_plates;
use std::panic::Location;
use stochgrad_tape::{IdMap, Op, PlateReduction, PlateSet, Var, Weights};
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::zip::Zip;

/// A named cost: a sum of parts, each with ancestors and plates of its own.
pub(crate) struct Cost<'t, F: Real> {
    pub(crate) name: String,
    /// The value as it was passed.
    pub(crate) passed: Var<'t, F>,
    pub(crate) parts: Vec<Part<'t, F>>,
    pub(crate) at: &'static Location<'static>,
}

#[derive(Clone)]
pub(crate) struct Part<'t, F: Real> {
    /// A scalar for each combination of plate members, before any plate is reduced.
    pub(crate) value: Var<'t, F>,
    /// The plates over which the value is reduced.
    pub(crate) plates: PlateSet,
}

/// The depth to which a linear expression is searched for reductions of plates.
const DEPTH: usize = 16;

/// An expression as a sum of terms without its outer reductions of plates.
struct Split<'t, F: Real> {
    terms: Vec<Term<'t, F>>,
    /// The plates over which the expression itself is reduced.
    plates: PlateSet,
}

struct Term<'t, F: Real> {
    value: Var<'t, F>,
    /// The plates that the term carries and over which the expression reduced it.
    peeled: PlateSet,
}

/// Removes reductions of plates from a cost if the surrogate applies the same reductions anyway.
///
/// With `mean_over(samples)` before `cost`, the surrogate could not credit each member with its own cost, and the
/// variance would be multiplied by the number of members. The surrogate reduces the plate itself, with the plate's
/// weights. Therefore, sums and multiples of reductions are split into terms that still carry the plates. The sum of
/// the terms, each reduced over the plates that it carries, is the cost, reduced over the plates that it carries.
pub(crate) fn peel<'t, F: Real>(value: Var<'t, F>) -> Vec<Var<'t, F>> {
    split(value, DEPTH).map_or_else(|| vec![value], |split| split.terms.into_iter().map(|term| term.value).collect())
}

fn split<'t, F: Real>(value: Var<'t, F>, depth: usize) -> Option<Split<'t, F>> {
    if depth == 0 {
        return None;
    }
    let op = value.op()?;
    let inputs = value.inputs();
    let tape = value.tape();
    match op {
        // The parts of all shards are combined when the surrogate reduces the plate itself.
        Op::AllReduce(_) => split(inputs[0], depth - 1),
        Op::PlateReduce(plate, how) => {
            let is_own = match (tape.weights(plate), how) {
                (Weights::Mean, PlateReduction::Mean) | (Weights::Sum, PlateReduction::Sum) => true,
                (Weights::Given { id, .. }, PlateReduction::Weighted) => inputs[1].id() == id,
                _ => false,
            };
            let mut reduced = split(inputs[0], depth - 1).unwrap_or_else(|| whole(inputs[0]));
            // The states of an enumerated node carry the plates of its parameters only through their weights.
            if !is_own || !reduced.plates.contains(&plate) {
                return None;
            }
            reduced.terms.iter_mut().for_each(|term| term.peeled.merge(&[plate]));
            reduced.plates.remove(plate);
            Some(reduced)
        }
        Op::Map(Map::Neg | Map::MulScalar(_)) | Op::Reduce(Reduce::Sum, _) => {
            let mut split = split(inputs[0], depth - 1)?;
            for term in &mut split.terms {
                let mut map = IdMap::identity();
                map.insert(inputs[0].id(), term.value.id());
                term.value = tape.rerecord(value, &map);
            }
            Some(split)
        }
        Op::Map(Map::AddScalar(number)) => add(value, split(inputs[0], depth - 1)?, whole(tape.constant(number))),
        Op::Zip(zip @ (Zip::Add | Zip::Sub)) => {
            let (left, right) = (split(inputs[0], depth - 1), split(inputs[1], depth - 1));
            if left.is_none() && right.is_none() {
                return None;
            }
            let left = left.unwrap_or_else(|| whole(inputs[0]));
            let mut right = right.unwrap_or_else(|| whole(inputs[1]));
            if zip == Zip::Sub {
                right.terms.iter_mut().for_each(|term| term.value = -term.value);
            }
            add(value, left, right)
        }
        _ => None,
    }
}

/// An expression as its only term.
fn whole<F: Real>(value: Var<'_, F>) -> Split<'_, F> {
    Split {
        plates: reduced_plates(value.tape(), &value.plates()),
        terms: vec![Term { value, peeled: PlateSet::new() }],
    }
}

/// The terms of both operands as terms of their sum, which lies on the plates of both: a constant counts once for each
/// member.
///
/// The sum may lie on a plate over which an operand was reduced, as in `x + x.sum_over(plate)`. The operand is then
/// constant along the plate, and is counted once for each unit of the weights of the plate. Returns `None` if these
/// weights are recorded values; such a sum is not split.
fn add<'t, F: Real>(sum: Var<'t, F>, left: Split<'t, F>, right: Split<'t, F>) -> Option<Split<'t, F>> {
    let tape = sum.tape();
    let plates = left.plates.union(&right.plates);
    let all = reduced_plates(tape, &sum.plates());
    let count = |mut term: Term<'t, F>| {
        let own = reduced_plates(tape, &term.value.plates());
        let again = term.peeled.intersection(&plates);
        term.peeled = term.peeled.without(&again);
        // Weights on the plates of the sum may bring in a plate over which all of its terms were reduced. A term that
        // lacks the plate must not be repeated along it: it is multiplied by its count instead.
        let repeats = all.iter().all(|plate| plates.contains(plate) || own.contains(plate));
        let counted = match repeats {
            true => again.clone(),
            false => plates.filtered(|plate| again.contains(&plate) || !own.contains(&plate)),
        };
        let mut count = 1.0;
        for &plate in &counted {
            match tape.weights(plate) {
                Weights::Mean => {}
                Weights::Sum => count *= tape.whole_plate_size(plate) as f64,
                // The weights add up to one in expectation.
                Weights::Given { .. } if !again.contains(&plate) => {}
                Weights::Given { .. } => return None,
            }
        }
        let value = if count == 1.0 { term.value } else { term.value * count };
        let value = if repeats { value.expand_plates(&PlateSet::from(sum.plates()).without(&again)) } else { value };
        term.value = value.broadcast_to(sum.shape());
        Some(term)
    };
    let terms = left.terms.into_iter().chain(right.terms).map(count).collect::<Option<_>>()?;
    Some(Split { terms, plates })
}

/// The position of the first NaN of a cost whose weight is not 0.
pub(crate) fn first_nan<F: Real>(value: Var<'_, F>) -> GraphResult<Option<usize>> {
    let nan = |x: &F| x.is_nan();
    let members = value.inspect()?;
    if !members.as_slice().iter().any(nan) {
        return Ok(None);
    }
    let tape = value.tape();
    let mark = tape.len();
    // Weights on other plates than those of the cost vary along a plate that the cost lacks, so the NaN counts for some
    // member of it.
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
