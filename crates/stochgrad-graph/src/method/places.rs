//! The elements of a node's value, with those of members that belong together along a single axis.

use stochgrad_tape::{PlateSet, Var};
use stochgrad_tensor::{Real, Shape};

/// The elements of a value as a single axis: the members of some of its plates, then its independent axes. The other
/// plates remain plates.
pub(crate) struct Places {
    pub(crate) folded: PlateSet,
    /// The sizes of these plates.
    pub(crate) sizes: Shape,
    pub(crate) independent: Shape,
    pub(crate) event: Shape,
}

impl Places {
    /// The elements of a value. Of its plates, those in `folded` become a part of the axis.
    pub(crate) fn new<F: Real>(value: Var<'_, F>, element_rank: usize, folded: &PlateSet) -> Self {
        let event = value.shape();
        Places {
            folded: folded.clone(),
            sizes: folded.iter().map(|&plate| value.tape().plate_size(plate)).collect(),
            independent: Shape::from(&event[..event.len().saturating_sub(element_rank)]),
            event,
        }
    }

    /// How many elements there are, for each member of the other plates.
    pub(crate) fn count(&self) -> usize {
        self.sizes.numel() * self.independent.numel()
    }

    /// Whether there is a single number, so that no axis is needed.
    fn is_number(&self) -> bool {
        self.folded.is_empty() && self.independent.is_empty()
    }

    /// A value with the independent axes of the elements, along the single axis; without an axis for a single number.
    pub(crate) fn fold<'t, F: Real>(&self, value: Var<'t, F>) -> Var<'t, F> {
        if self.is_number() {
            return value;
        }
        let value = value.broadcast_to(self.independent.clone()).expand_plates(&self.folded);
        self.folded.iter().rev().fold(value, |value, &plate| value.plate_to_event(plate)).reshape([self.count()])
    }

    /// The inverse of [`fold`](Self::fold).
    pub(crate) fn unfold<'t, F: Real>(&self, flat: Var<'t, F>) -> Var<'t, F> {
        if self.is_number() && flat.shape().is_empty() {
            return flat;
        }
        let shape: Shape = self.sizes.iter().chain(&*self.independent).copied().collect();
        self.folded.iter().fold(flat.reshape(shape), |value, &plate| value.event_to_plate(plate))
    }
}
