//! Shapes of adjoints: summing an adjoint down to its operand, and repeating it to the shape of its value.

use crate::op::{Axes, Op};
use crate::plate::Plates;
use crate::var::Var;
use stochgrad_tensor::{Real, Shape};

/// Sums `adjoint`, which belongs to a value on `plates` with event shape `event`, to the plates and the event shape of
/// `operand`, which broadcasts to the value.
pub(crate) fn unbroadcast<'t, F: Real>(
    adjoint: Var<'t, F>,
    plates: &Plates,
    event: &Shape,
    operand: Var<'t, F>,
) -> Var<'t, F> {
    let (own_plates, own_event) = (operand.plates(), operand.shape());
    let adjoint = with_rank(adjoint, event.len());
    if adjoint.is_poisoned() || (own_plates == *plates && own_event == *event) {
        return adjoint;
    }
    let (has_plates, has_event) = (adjoint.plates(), adjoint.shape());
    let tape = adjoint.tape;
    let mut factor = 1.0;
    let mut removed = Plates::new();
    for plate in plates.iter().filter(|plate| !own_plates.contains(plate)) {
        if has_plates.contains(plate) {
            removed.push(*plate);
        } else {
            factor *= tape.whole_plate_size(*plate) as f64;
        }
    }
    let missing = event.len() - own_event.len();
    let mut axes = Axes::new();
    for axis in 0..event.len() {
        let own = if axis < missing { 1 } else { own_event[axis - missing] };
        if own == 1 && event[axis] != 1 {
            if has_event[axis] == 1 {
                factor *= event[axis] as f64;
            } else {
                axes.push(axis);
            }
        }
    }
    let mut result = adjoint;
    if !removed.is_empty() || !axes.is_empty() {
        result = result.apply(Op::SumOut(removed, axes));
    }
    if missing > 0 {
        let kept: Shape = result.shape()[missing..].iter().copied().collect();
        result = result.reshape(kept);
    }
    if factor == 1.0 { result } else { result * factor }
}

/// The adjoint repeated to the full plates and event shape of its value.
pub(crate) fn full<'t, F: Real>(adjoint: Var<'t, F>, value: Var<'t, F>) -> Var<'t, F> {
    let (plates, event) = (value.plates(), value.shape());
    if adjoint.plates() == plates && adjoint.shape() == event {
        adjoint
    } else {
        adjoint.apply(Op::Expand(plates, event))
    }
}

/// The value with event axes of size 1 added on the left, up to the given rank.
pub(crate) fn with_rank<F: Real>(value: Var<'_, F>, rank: usize) -> Var<'_, F> {
    let event = value.shape();
    if event.len() >= rank {
        return value;
    }
    value.reshape(std::iter::repeat_n(1, rank - event.len()).chain(event.iter().copied()).collect::<Shape>())
}

/// The event shape of a reduced value, or of its adjoint, with axes of size 1 in place of those that were removed.
pub(crate) fn restored(reduced: &Shape, axes: &[usize]) -> Shape {
    let mut sizes = reduced.iter().copied();
    (0..reduced.len() + axes.len())
        .map(|axis| if axes.contains(&axis) { 1 } else { sizes.next().unwrap_or(1) })
        .collect()
}
