//! The independent members of a node's plates, for baselines made of other members.

use stochgrad_graph::{CostContext, NodeCost, groups_around};
use stochgrad_tape::{Plate, PlateKind, Plates, Tape, Var};
use stochgrad_tensor::Real;

/// The plates of a node's value whose members are independent. A baseline may be made of the other members of these
/// only: members that share their noise or were drawn jointly (an antithetic pair, the states of an enumerated parent,
/// strata) carry information about one another.
pub fn independent_plates<F: Real>(context: &CostContext<'_, '_, F>) -> Plates {
    let own = context.value().plates().into_iter();
    own.filter(|&plate| context.tape().plate_kind(plate).is_independent()).collect()
}

/// The number of independent draws among the members of a node's plate: the number of groups, where each group is drawn
/// by a sampling scheme.
pub fn independent_members<F: Real>(tape: &Tape<F>, plate: Plate) -> usize {
    match tape.plate_kind(plate) {
        PlateKind::SchemeSamples => groups_around(tape, plate).map_or(1, |groups| tape.whole_plate_size(groups)),
        kind if kind.is_independent() => tape.whole_plate_size(plate),
        _ => 1,
    }
}

/// For each member, the sum of a value over all other members, along those of the plates that the value has; and the
/// number of other members. `None` if there is no other member.
pub fn sum_of_others<'t, F: Real>(value: Var<'t, F>, plates: &[Plate]) -> Option<(Var<'t, F>, usize)> {
    let carried = value.plates();
    let along: Plates = plates.iter().copied().filter(|plate| carried.contains(plate)).collect();
    let members: usize = along.iter().map(|&plate| value.tape().whole_plate_size(plate)).product();
    let sum = along.iter().fold(value, |sum, &plate| sum.sum_over(plate));
    (members >= 2).then(|| (sum - value, members - 1))
}

/// The sum of a value over the members that a cost depends on together ([`NodeCost::joint`]). A plate that the value
/// lacks counts once for each member.
pub fn over_joint<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    cost: &NodeCost<'t, F>,
    value: Var<'t, F>,
) -> Var<'t, F> {
    let own = context.value().plates();
    cost.joint.iter().filter(|plate| own.contains(plate)).fold(value, |sum, &plate| sum.sum_over(plate))
}

/// The name under which a baseline stores what it remembers about an entry of [`CostContext::totals`].
pub fn total_key<F: Real>(context: &CostContext<'_, '_, F>, cost: &NodeCost<'_, F>) -> String {
    let joint: Vec<String> = cost.joint.iter().map(|&plate| context.tape().plate_name(plate)).collect();
    match joint[..] {
        [] => context.label(),
        _ => format!("{} / over {}", context.label(), joint.join(", ")),
    }
}
