//! The plates of a tape.

use crate::plate::{Plate, PlateEntry, PlateKind, Plates, Weights, merge};
use crate::tape::Tape;
use std::panic::Location;
use stochgrad_tensor::Real;

/// Plates.
impl<F: Real> Tape<F> {
    /// Creates a plate of `size` members inside other plates: the samples of a node lie inside the plates of its
    /// parameters, for example.
    #[track_caller]
    pub fn plate(&self, name: &str, size: usize, kind: PlateKind, inside: &[Plate]) -> Plate {
        if let Err(error) = self.own_plates(inside, Location::caller()) {
            self.fail(error);
        }
        let inside = self.closure(inside);
        let inner = &mut *self.inner.borrow_mut();
        inner.plates.push(PlateEntry { name: name.into(), size, kind, inside, weights: Weights::Mean, offset: 0 });
        Plate { index: inner.plates.len() as u32 - 1, generation: inner.generation }
    }

    fn entry<R>(&self, plate: Plate, read: impl FnOnce(&mut PlateEntry) -> R) -> Option<R> {
        let inner = &mut *self.inner.borrow_mut();
        if plate.generation != inner.generation {
            return None;
        }
        inner.plates.get_mut(plate.index as usize).map(read)
    }

    /// A number that changes when the tape is cleared, which makes positions on the tape invalid.
    pub fn generation(&self) -> u32 {
        self.inner.borrow().generation
    }

    /// The number of members; 0 for a plate of another tape.
    pub fn plate_size(&self, plate: Plate) -> usize {
        self.entry(plate, |entry| entry.size).unwrap_or(0)
    }

    /// The name.
    pub fn plate_name(&self, plate: Plate) -> String {
        self.entry(plate, |entry| entry.name.clone()).unwrap_or_default()
    }

    /// The kind of the members.
    pub fn plate_kind(&self, plate: Plate) -> PlateKind {
        self.entry(plate, |entry| entry.kind).unwrap_or(PlateKind::Samples)
    }

    /// The position of the first member among all members. It is not 0 for a shard of a batch.
    pub fn plate_offset(&self, plate: Plate) -> u64 {
        self.entry(plate, |entry| entry.offset).unwrap_or(0)
    }

    /// Makes the plate a shard: sets the position of its first member among all members.
    pub fn set_plate_offset(&self, plate: Plate, offset: u64) {
        self.entry(plate, |entry| entry.offset = offset);
    }

    /// The weights of the members in a reduction of the plate.
    pub fn weights(&self, plate: Plate) -> Weights {
        self.entry(plate, |entry| entry.weights).unwrap_or(Weights::Mean)
    }

    /// Sets the weights of the members in a reduction of the plate.
    pub fn set_weights(&self, plate: Plate, weights: Weights) {
        self.entry(plate, |entry| entry.weights = weights);
    }

    /// The plates, together with all plates that they were created in.
    pub fn closure(&self, plates: &[Plate]) -> Plates {
        let inner = self.inner.borrow();
        let mut closed = Plates::new();
        for &plate in plates {
            if plate.generation == inner.generation
                && let Some(entry) = inner.plates.get(plate.index as usize)
            {
                merge(&mut closed, &entry.inside);
                merge(&mut closed, &[plate]);
            }
        }
        closed
    }

    /// The plates in words, for messages.
    pub fn plate_names(&self, plates: &[Plate]) -> String {
        let names: Vec<String> =
            plates.iter().map(|&plate| format!("{}({})", self.plate_name(plate), self.plate_size(plate))).collect();
        names.join(", ")
    }
}
