//! Members of a node's plates that are independent of one another.

use stochgrad_graph::{CostContext, NodeCost};
use stochgrad_tape::{Plate, Plates, Var};
use stochgrad_tensor::Real;

/// The plates of a node's value along which members are independent. Where they share their noise or were drawn by a
/// sampling scheme (an antithetic pair, the states of an enumerated parent, strata), one of them says something about
/// the others.
pub(super) fn independent_plates<F: Real>(context: &CostContext<'_, '_, F>) -> Plates {
    let own = context.value().plates().into_iter();
    own.filter(|&plate| context.tape().plate_kind(plate).is_independent()).collect()
}

/// The sum over all other members along those of the plates that a value has, and how many they are; `None` if there is
/// no other one.
pub(super) fn sum_of_others<'t, F: Real>(value: Var<'t, F>, plates: &[Plate]) -> Option<(Var<'t, F>, usize)> {
    let carried = value.plates();
    let along: Plates = plates.iter().copied().filter(|plate| carried.contains(plate)).collect();
    let members: usize = along.iter().map(|&plate| value.tape().plate_size(plate)).product();
    let sum = along.iter().fold(value, |sum, &plate| sum.sum_over(plate));
    (members >= 2).then(|| (sum - value, members - 1))
}

/// The sum over the members that a cost saw jointly, of a value that each of them has, one after the other or alike.
pub(super) fn over_joint<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    cost: &NodeCost<'t, F>,
    value: Var<'t, F>,
) -> Var<'t, F> {
    let own = context.value().plates();
    cost.joint.iter().filter(|plate| own.contains(plate)).fold(value, |sum, &plate| sum.sum_over(plate))
}

/// What the memory of the total of some costs is filed under.
pub(super) fn total_key<F: Real>(context: &CostContext<'_, '_, F>, cost: &NodeCost<'_, F>) -> String {
    let joint: Vec<String> = cost.joint.iter().map(|&plate| context.tape().plate_name(plate)).collect();
    match joint[..] {
        [] => context.label(),
        _ => format!("{} / over {}", context.label(), joint.join(", ")),
    }
}
