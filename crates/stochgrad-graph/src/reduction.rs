//! How a scalar is reduced over its plates: which plates, in which order, and by which weights.
//!
//! A scalar is reduced over the plates that it carries, and over those that the weights of a reduced plate bring in:
//! the states of an enumerated node lack the plates of its parameters, but their weights carry these plates. A plate
//! that a scalar lacks is never reduced. In particular, a cost of a node that was sampled inside a summed plate is not
//! multiplied by the size of that plate.

use stochgrad_tape::{IdMap, Plate, PlateSet, Tape, Var, Weights};
use stochgrad_tensor::Real;

/// How costs are reduced over a plate.
///
/// ```
/// use stochgrad_graph::{Graph, Reduction, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> stochgrad_graph::GraphResult<()> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let returns = graph.data("time", [1.0, 2.0, 4.0])?;
/// graph.set_reduction(returns.plates()[0], Reduction::Sum)?;
/// graph.cost("return", returns)?;
/// assert_eq!(graph.backward()?.cost("return")?, 7.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// The average over the members: the default.
    Mean,
    /// The sum over the members, as for time steps.
    Sum,
}

/// The plates over which a scalar on the given plates is reduced.
pub(crate) fn reduced_plates<F: Real>(tape: &Tape<F>, plates: &[Plate]) -> PlateSet {
    let mut reduced = PlateSet::from(plates);
    let mut open = plates.to_vec();
    while let Some(plate) = open.pop() {
        open.extend(weight_plates(tape, plate).iter().filter(|plate| reduced.insert(**plate)));
    }
    reduced
}

/// The other plates that the weights of a plate carry.
fn weight_plates<F: Real>(tape: &Tape<F>, plate: Plate) -> PlateSet {
    let Weights::Given { id, .. } = tape.weights(plate) else { return PlateSet::new() };
    let Ok(weights) = tape.var(id) else { return PlateSet::new() };
    PlateSet::from(weights.plates()).without(&[plate])
}

/// Reduces those of the given plates that a scalar carries, and those that weights bring in on the way.
///
/// `ids` maps the weights to those of a replay. With `detached`, no gradient flows through the weights.
pub(crate) fn reduce<'t, F: Real>(value: Var<'t, F>, plates: &[Plate], ids: &IdMap, detached: bool) -> Var<'t, F> {
    let tape = value.tape();
    let mut value = value;
    while let Some(plate) = next_plate(tape, &value.plates(), plates) {
        value = match tape.weights(plate) {
            Weights::Sum => value.sum_over(plate),
            Weights::Given { id, .. } => match tape.var(ids.get(id)) {
                Ok(weights) => value.weighted_sum_over(plate, if detached { weights.stop_gradient() } else { weights }),
                Err(error) => return tape.fail(error),
            },
            Weights::Mean => value.mean_over(plate),
        };
    }
    value
}

/// The plate that is reduced next: the innermost plate that no remaining weights carry. Weights must be applied before
/// the plates that they carry are reduced.
fn next_plate<F: Real>(tape: &Tape<F>, carried: &[Plate], wanted: &[Plate]) -> Option<Plate> {
    let left = PlateSet::from(carried).intersection(wanted);
    let is_free =
        |plate: &Plate| left.iter().all(|other| other == plate || !weight_plates(tape, *other).contains(plate));
    left.iter().rev().copied().find(is_free).or_else(|| left.last().copied())
}
