//! The plates of a tape.

use crate::plate::{Plate, PlateEntry, PlateKind, Plates, Weights, merge};
use crate::tape::Tape;
use std::panic::Location;
use stochgrad_tensor::Real;

/// Plates.
impl<F: Real> Tape<F> {
    /// A new plate, made inside others (a sample of a node whose parameters carry them, say).
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

    /// A number that changes when the tape is cleared: positions on the tape mean something else then.
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

    /// What the members are.
    pub fn plate_kind(&self, plate: Plate) -> PlateKind {
        self.entry(plate, |entry| entry.kind).unwrap_or(PlateKind::Samples)
    }

    /// The position of the first member among all members: not 0 for a shard of a batch.
    pub fn plate_offset(&self, plate: Plate) -> u64 {
        self.entry(plate, |entry| entry.offset).unwrap_or(0)
    }

    /// Says that the plate is a shard, whose first member has this position among all.
    pub fn set_plate_offset(&self, plate: Plate, offset: u64) {
        self.entry(plate, |entry| entry.offset = offset);
    }

    /// How the plate is reduced.
    pub fn weights(&self, plate: Plate) -> Weights {
        self.entry(plate, |entry| entry.weights).unwrap_or(Weights::Mean)
    }

    /// Sets how the plate is reduced.
    pub fn set_weights(&self, plate: Plate, weights: Weights) {
        self.entry(plate, |entry| entry.weights = weights);
    }

    /// The plates and those that they were made inside of.
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
