//! A random element of a node's value, for methods that change one element at a time.

use stochgrad_graph::{CostContext, GraphResult};
use stochgrad_tape::{Plates, Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// A random element of a node's value: one for each combination of members that do not meet downstream.
#[derive(Debug)]
pub struct PickedElement<'t, F: Real> {
    /// 1 at the picked element and 0 elsewhere, on the plates and the independent axes of the value.
    pub chosen: Var<'t, F>,
    /// One over the probability of the picked element there, and 0 elsewhere.
    pub inverse: Var<'t, F>,
}

/// Picks an element at random. The probabilities are in proportion to `importance` (of the shape `elements`, on some
/// plates of the value) if it is given, and uniform otherwise. `elements` are the independent axes of the value.
/// `None` for a node without elements.
///
/// # Errors
/// Those of the noise source.
pub fn pick_element<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    purpose: &str,
    importance: Option<Var<'t, F>>,
    elements: &Shape,
) -> GraphResult<Option<PickedElement<'t, F>>> {
    let tape = context.tape();
    let own = context.value().plates();
    let coupled = context.coupled_plates()?;
    let free: Plates = own.iter().copied().filter(|plate| !coupled.contains(plate)).collect();
    let choice = Choice::new(tape, &coupled, elements);
    if choice.total == 0 {
        return Ok(None);
    }
    let table = match importance {
        None => tape.constant(Tensor::full([choice.total], F::ONE)),
        Some(importance) => choice.flatten(importance.stop_gradient().broadcast_to(elements.clone())),
    };
    let sum = table.sum();
    // If all importances are 0, any element may be picked, since its weight is 0.
    let likely = table + (1.0 - sum.gt(sum * 0.0));
    let position = context.draw_on(purpose, &free).record_categorical(tape, &Shape::scalar(), likely);
    let position = position.map_err(|source| context.error(source))?;
    let chosen = position.one_hot(choice.total);
    let inverse = chosen * table.select(sum / table, table);
    Ok(Some(PickedElement { chosen: choice.unfold(chosen), inverse: choice.unfold(inverse) }))
}

/// The elements among which one is picked, as a single axis: members of coupled plates, then independent axes.
struct Choice<'a> {
    coupled: &'a Plates,
    shape: Shape,
    total: usize,
}

impl<'a> Choice<'a> {
    fn new<F: Real>(tape: &Tape<F>, coupled: &'a Plates, elements: &Shape) -> Self {
        let shape: Shape =
            coupled.iter().map(|&plate| tape.plate_size(plate)).chain(elements.iter().copied()).collect();
        Choice { coupled, total: shape.numel(), shape }
    }

    fn flatten<'t, F: Real>(&self, value: Var<'t, F>) -> Var<'t, F> {
        let value = value.expand_plates(self.coupled);
        self.coupled.iter().rev().fold(value, |value, &plate| value.plate_to_event(plate)).reshape([self.total])
    }

    fn unfold<'t, F: Real>(&self, flat: Var<'t, F>) -> Var<'t, F> {
        let value = flat.reshape(self.shape.clone());
        self.coupled.iter().fold(value, |value, &plate| value.event_to_plate(plate))
    }
}
