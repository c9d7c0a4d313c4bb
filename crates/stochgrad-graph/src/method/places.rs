//! The elements of a node's value, and the lanes of its group in which they lie.

use stochgrad_tape::{PlateSet, Var};
use stochgrad_tensor::Real;

/// The elements of a value, counted over its plates and then over its independent axes.
pub(crate) struct Places {
    plates: PlateSet,
    sizes: Vec<usize>,
    /// How many elements one member of the plates has.
    elements: usize,
}

impl Places {
    pub(crate) fn new<F: Real>(value: Var<'_, F>, element_rank: usize) -> Self {
        let plates = PlateSet::from(value.plates());
        let sizes = plates.iter().map(|&plate| value.tape().plate_size(plate)).collect();
        let event = value.shape();
        let independent = &event[..event.len().saturating_sub(element_rank)];
        Places { plates, sizes, elements: independent.iter().product() }
    }

    /// How many elements there are.
    pub(crate) fn count(&self) -> usize {
        self.sizes.iter().product::<usize>() * self.elements
    }

    /// The lane in which an element lies.
    pub(crate) fn lane(&self, place: usize, lanes: &PlateSet) -> usize {
        self.plates.project(place / self.elements.max(1), &self.sizes, lanes)
    }
}
