//! Plates: named axes of members that are treated alike.

use crate::id::Id;
use smallvec::SmallVec;

/// A named axis: the minibatch, the samples of a node, the alternatives of a replay.
///
/// A handle to an entry of its tape. Two plates are the same only if they are the same plate, whatever their sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Plate {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// The plate axes of a value, in the order in which the plates were made.
pub type Plates = SmallVec<[Plate; 4]>;

/// What the members of a plate are, which decides how they share noise and whether they can be treated as independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlateKind {
    /// Members of a data set: noise is independent, and indexed by the position in the whole data set.
    Data,
    /// Independent draws of a node: noise is independent.
    Samples,
    /// Draws of a node by a plan, each with the distribution of the node, that depend on one another. Noise downstream
    /// is independent, so that an average over the members averages it too.
    SchemeSamples,
    /// Draws of a node that depend on one another (without replacement, antithetic …), made by its method. Noise
    /// downstream is shared, so that the members differ in these draws alone.
    JointSamples,
    /// The states of a node, one after the other: noise is shared.
    Enumerated,
    /// Alternative values of a node in a counterfactual replay: noise is shared.
    Alternatives,
}

impl PlateKind {
    /// Whether every member of the plate has noise of its own.
    pub fn has_own_noise(self) -> bool {
        matches!(self, PlateKind::Data | PlateKind::Samples | PlateKind::SchemeSamples)
    }

    /// Whether the members are independent of one another: only then may something be made of several of them together.
    pub fn is_independent(self) -> bool {
        matches!(self, PlateKind::Data | PlateKind::Samples)
    }
}

/// How a plate is reduced: the weight of each member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights {
    /// One over the size.
    Mean,
    /// One each.
    Sum,
    /// A recorded value that carries the plate.
    Given {
        /// The weights.
        id: Id,
        /// Whether gradients flow through them; detached weights are stopped by whoever registers them.
        differentiable: bool,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct PlateEntry {
    pub(crate) name: String,
    pub(crate) size: usize,
    pub(crate) kind: PlateKind,
    /// The plates inside which this one was made, closed under itself.
    pub(crate) inside: Plates,
    pub(crate) weights: Weights,
    /// The position of the first member among all members: not 0 for a shard of a batch.
    pub(crate) offset: u64,
}

/// Adds to a sorted list of plates those of another one.
pub(crate) fn merge(into: &mut Plates, other: &[Plate]) {
    for &plate in other {
        if let Err(at) = into.binary_search(&plate) {
            into.insert(at, plate);
        }
    }
}
