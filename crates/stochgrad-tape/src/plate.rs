//! Plates: named axes of members that are treated alike.

use crate::id::Id;
use smallvec::SmallVec;

/// A named axis: the minibatch, the samples of a node, the alternatives of a replay.
///
/// This is a handle to an entry of the tape. Two plates of the same size are still different plates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Plate {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// The plate axes of a value, in the order in which the plates were created.
pub type Plates = SmallVec<[Plate; 6]>;

/// The kind of the members of a plate. It decides how they share noise, and whether they are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlateKind {
    /// Members of a data set. Noise is independent, and indexed by the position in the whole data set.
    Data,
    /// Independent draws of a node. Noise is independent.
    Samples,
    /// Groups of draws of a node, each drawn by a sampling scheme. The groups are independent, as is their noise.
    SampleGroups,
    /// Draws of a node that a sampling scheme makes jointly, each with the distribution of the node. Noise downstream
    /// is independent, so that an average over the members averages it too.
    SchemeSamples,
    /// Dependent draws of a node (without replacement, antithetic …), made by its gradient method. Noise downstream is
    /// shared, so that the members differ in these draws only.
    JointSamples,
    /// The states of a node, enumerated. Noise is shared.
    Enumerated,
    /// Alternative values of a node in a counterfactual replay. Noise is shared.
    Alternatives,
}

impl PlateKind {
    /// Whether every member of the plate has its own noise.
    pub fn has_own_noise(self) -> bool {
        matches!(self, PlateKind::Data | PlateKind::Samples | PlateKind::SampleGroups | PlateKind::SchemeSamples)
    }

    /// Whether the members are independent. Only then may a cost combine several of them.
    pub fn is_independent(self) -> bool {
        matches!(self, PlateKind::Data | PlateKind::Samples | PlateKind::SampleGroups)
    }
}

/// The weights of the members in a reduction of the plate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights {
    /// One over the number of members: the average.
    Mean,
    /// One for each member: the sum.
    Sum,
    /// A recorded value on the plate.
    Given {
        /// The weights.
        id: Id,
        /// Whether gradients flow through them. If not, the caller must detach them before setting them.
        differentiable: bool,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct PlateEntry {
    pub(crate) name: String,
    pub(crate) size: usize,
    pub(crate) kind: PlateKind,
    /// The plates that this one was created in, and all plates that those were created in.
    pub(crate) inside: Plates,
    pub(crate) weights: Weights,
    /// The plate whose members are the last ones of this plate, too.
    pub(crate) part: Option<Plate>,
    /// The position of the first member among all members. It is not 0 for a later shard of a batch.
    pub(crate) offset: u64,
    /// The number of all members, if the plate is a shard: if other tapes hold the other members.
    pub(crate) whole: Option<usize>,
}

/// The members of a plate, as far as their noise is concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// The number of members on this tape.
    pub(crate) size: usize,
    /// The number of all members.
    pub(crate) whole: usize,
    pub(crate) kind: PlateKind,
    /// The position of the first member on this tape among all members.
    pub(crate) offset: u64,
}

impl PlateEntry {
    /// The number of all members, those of other shards included.
    pub(crate) fn whole(&self) -> usize {
        self.whole.unwrap_or(self.size)
    }

    pub(crate) fn extent(&self) -> Extent {
        Extent { size: self.size, whole: self.whole(), kind: self.kind, offset: self.offset }
    }
}

/// Adds the plates of a list to a sorted list.
pub(crate) fn merge(into: &mut Plates, other: &[Plate]) {
    for &plate in other {
        if let Err(at) = into.binary_search(&plate) {
            into.insert(at, plate);
        }
    }
}
