//! The plates of a tape.

use crate::error::{TapeError, TapeResult};
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
        inner.plates.push(PlateEntry {
            name: name.into(),
            size,
            kind,
            inside,
            weights: Weights::Mean,
            part: None,
            offset: 0,
            whole: None,
        });
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

    /// The number of members on this tape, which is the length of the axis of the plate; 0 for a plate of another tape.
    pub fn plate_size(&self, plate: Plate) -> usize {
        self.entry(plate, |entry| entry.size).unwrap_or(0)
    }

    /// The number of all members, which is larger than [`plate_size`](Self::plate_size) for a
    /// [shard](Self::shard_plate). Averages over the plate divide by this number.
    pub fn whole_plate_size(&self, plate: Plate) -> usize {
        self.entry(plate, |entry| entry.whole()).unwrap_or(0)
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

    /// Sets the position of the first member among all members, which selects the noise of the members. Reductions of
    /// the plate remain those of the members on this tape; see [`shard_plate`](Self::shard_plate).
    pub fn set_plate_offset(&self, plate: Plate, offset: u64) {
        self.entry(plate, |entry| entry.offset = offset);
    }

    /// Makes a plate of data a shard: its members are those from position `offset` on of `whole` members, and the other
    /// members are on tapes of their own, which record the same operations. Call it right after making the plate.
    ///
    /// Values on the plate are those of the members of this shard. All other values are equal on all shards: an
    /// operation that removes the plate computes the part of this shard, and [`Op::AllReduce`](crate::Op::AllReduce)
    /// combines the parts of all shards. Gradients are therefore those of the whole plate. Operations that need
    /// individual members of other shards, such as [`Var::plate_to_event`](crate::Var::plate_to_event), are errors.
    ///
    /// The other shards are known only to a compiled program, which [`Shards::run`](crate::Shards::run) runs together
    /// with those of the other shards. While it is recorded, the part of this shard stands for the result of a
    /// reduction. Functions that would return such a value are errors.
    ///
    /// # Errors
    /// If the plate does not hold data, or ends after the last of all members.
    #[track_caller]
    pub fn shard_plate(&self, plate: Plate, offset: usize, whole: usize) -> TapeResult<()> {
        let at = Location::caller();
        self.own_plates(&[plate], at)?;
        let (size, kind) = (self.plate_size(plate), self.plate_kind(plate));
        let problem = if kind != PlateKind::Data {
            format!("expected a plate of data, got {kind:?}; shard the minibatch")
        } else if offset.checked_add(size).is_none_or(|end| end > whole) {
            format!("expected {size} of {whole} members, got those from position {offset} on")
        } else {
            self.entry(plate, |entry| {
                entry.offset = offset as u64;
                entry.whole = (size < whole).then_some(whole);
            });
            self.inner.borrow_mut().has_shards |= size < whole;
            return Ok(());
        };
        let message = format!("a shard of plate \"{}\": {problem}", self.plate_name(plate));
        Err(TapeError::Other { message, at })
    }

    /// Whether a plate is a [shard](Self::shard_plate).
    pub fn is_shard(&self, plate: Plate) -> bool {
        self.entry(plate, |entry| entry.whole.is_some()).unwrap_or(false)
    }

    /// The weights of the members in a reduction of the plate.
    pub fn weights(&self, plate: Plate) -> Weights {
        self.entry(plate, |entry| entry.weights).unwrap_or(Weights::Mean)
    }

    /// Sets the weights of the members in a reduction of the plate.
    pub fn set_weights(&self, plate: Plate, weights: Weights) {
        self.entry(plate, |entry| entry.weights = weights);
    }

    /// The plate whose members are the last ones of this plate, too, as [`set_plate_part`](Self::set_plate_part) has
    /// stated.
    pub fn plate_part(&self, plate: Plate) -> Option<Plate> {
        self.entry(plate, |entry| entry.part).flatten()
    }

    /// States that the last members of a plate are those of another one: a set of values of which one gradient method
    /// drew a part, for example. It has no effect on operations.
    pub fn set_plate_part(&self, plate: Plate, part: Option<Plate>) {
        self.entry(plate, |entry| entry.part = part);
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
