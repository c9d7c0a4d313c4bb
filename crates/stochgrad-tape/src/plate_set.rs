//! Sets of plates.

use crate::plate::{Plate, Plates};
use std::ops::Deref;

/// A small set of plates, in the order in which the plates were created.
///
/// It dereferences to a slice: it can be iterated over, indexed, and passed to functions that take plates.
///
/// ```
/// use stochgrad_tape::{PlateKind, PlateSet, Tape};
///
/// let tape = Tape::<f64>::new();
/// let batch = tape.plate("batch", 8, PlateKind::Data, &[]);
/// let samples = tape.plate("samples", 4, PlateKind::Samples, &[]);
/// let both = PlateSet::from([samples, batch]);
/// assert_eq!(both[..], [batch, samples]);
/// assert_eq!(both.without(&[batch])[..], [samples]);
/// assert_eq!(both.intersection(&[batch])[..], [batch]);
/// assert!(both.contains_all(&[batch, samples]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlateSet {
    /// Sorted, each plate once.
    plates: Plates,
}

impl PlateSet {
    /// The empty set.
    pub fn new() -> Self {
        PlateSet::default()
    }

    /// Adds a plate. Returns whether it was not in the set before.
    pub fn insert(&mut self, plate: Plate) -> bool {
        match self.plates.binary_search(&plate) {
            Ok(_) => false,
            Err(at) => {
                self.plates.insert(at, plate);
                true
            }
        }
    }

    /// Removes a plate. Returns whether it was in the set before.
    pub fn remove(&mut self, plate: Plate) -> bool {
        let found = self.plates.binary_search(&plate);
        found.map(|at| self.plates.remove(at)).is_ok()
    }

    /// Adds the given plates.
    pub fn merge(&mut self, others: &[Plate]) {
        for &plate in others {
            self.insert(plate);
        }
    }

    /// The plates of both sets.
    pub fn union(&self, others: &[Plate]) -> Self {
        let mut union = self.clone();
        union.merge(others);
        union
    }

    /// The plates of this set that are not among the given ones.
    pub fn without(&self, removed: &[Plate]) -> Self {
        self.filtered(|plate| !removed.contains(&plate))
    }

    /// The plates of this set that are among the given ones.
    pub fn intersection(&self, others: &[Plate]) -> Self {
        self.filtered(|plate| others.contains(&plate))
    }

    /// The plates of this set for which a condition holds.
    pub fn filtered(&self, keep: impl Fn(Plate) -> bool) -> Self {
        PlateSet { plates: self.plates.iter().copied().filter(|&plate| keep(plate)).collect() }
    }

    /// Whether the set contains a plate.
    pub fn contains(&self, plate: &Plate) -> bool {
        self.plates.binary_search(plate).is_ok()
    }

    /// Whether the set contains all given plates.
    pub fn contains_all(&self, others: &[Plate]) -> bool {
        others.iter().all(|plate| self.contains(plate))
    }

    /// The index of a member of these plates in the plates of a subset. Members are counted row-major, and `sizes` are
    /// the sizes of the plates of this set.
    pub fn project(&self, member: usize, sizes: &[usize], subset: &[Plate]) -> usize {
        let mut index = 0;
        let mut rest = member;
        let mut stride: usize = sizes.iter().product();
        for (plate, &size) in self.iter().zip(sizes) {
            stride /= size.max(1);
            let at = rest / stride.max(1);
            rest %= stride.max(1);
            if subset.contains(plate) {
                index = index * size + at;
            }
        }
        index
    }

    /// The set as the plate axes of a value.
    pub fn as_plates(&self) -> &Plates {
        &self.plates
    }
}

impl Deref for PlateSet {
    type Target = [Plate];

    fn deref(&self) -> &[Plate] {
        &self.plates
    }
}

impl From<&[Plate]> for PlateSet {
    fn from(plates: &[Plate]) -> Self {
        plates.iter().copied().collect()
    }
}

impl<const N: usize> From<[Plate; N]> for PlateSet {
    fn from(plates: [Plate; N]) -> Self {
        plates.into_iter().collect()
    }
}

impl From<Plates> for PlateSet {
    fn from(mut plates: Plates) -> Self {
        plates.sort_unstable();
        plates.dedup();
        PlateSet { plates }
    }
}

impl From<PlateSet> for Plates {
    fn from(set: PlateSet) -> Self {
        set.plates
    }
}

impl FromIterator<Plate> for PlateSet {
    fn from_iter<I: IntoIterator<Item = Plate>>(plates: I) -> Self {
        PlateSet::from(plates.into_iter().collect::<Plates>())
    }
}

impl Extend<Plate> for PlateSet {
    fn extend<I: IntoIterator<Item = Plate>>(&mut self, plates: I) {
        for plate in plates {
            self.insert(plate);
        }
    }
}

impl IntoIterator for PlateSet {
    type Item = Plate;
    type IntoIter = <Plates as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.plates.into_iter()
    }
}

impl<'a> IntoIterator for &'a PlateSet {
    type Item = &'a Plate;
    type IntoIter = std::slice::Iter<'a, Plate>;

    fn into_iter(self) -> Self::IntoIter {
        self.plates.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plate(index: u32) -> Plate {
        Plate { index, generation: 0 }
    }

    #[test]
    fn a_set_is_sorted_and_has_each_plate_once() {
        let mut set = PlateSet::from([plate(3), plate(1), plate(3)]);
        assert_eq!(set[..], [plate(1), plate(3)]);
        assert!(set.insert(plate(2)) && !set.insert(plate(2)));
        assert_eq!(set.iter().copied().collect::<PlateSet>(), set);
        assert!(set.remove(plate(1)) && !set.remove(plate(1)));
        assert_eq!(Plates::from(set)[..], [plate(2), plate(3)]);
    }

    #[test]
    fn set_operations_agree_with_membership() {
        let (left, right) = (PlateSet::from([plate(0), plate(2), plate(4)]), PlateSet::from([plate(4), plate(1)]));
        let (union, both, rest) = (left.union(&right), left.intersection(&right), left.without(&right));
        for plate in (0..6).map(plate) {
            let (in_left, in_right) = (left.contains(&plate), right.contains(&plate));
            assert_eq!(union.contains(&plate), in_left || in_right);
            assert_eq!(both.contains(&plate), in_left && in_right);
            assert_eq!(rest.contains(&plate), in_left && !in_right);
        }
        assert!(union.contains_all(&left) && union.contains_all(&right) && !left.contains_all(&right));
        assert!(left.contains_all(&[]));
    }

    #[test]
    fn members_are_projected_to_a_subset_of_the_plates() {
        let (set, sizes) = (PlateSet::from([plate(0), plate(1), plate(2)]), [2, 3, 4]);
        for member in 0..24 {
            let (first, second, third) = (member / 12, member / 4 % 3, member % 4);
            assert_eq!(set.project(member, &sizes, &[]), 0);
            assert_eq!(set.project(member, &sizes, &[plate(1)]), second);
            assert_eq!(set.project(member, &sizes, &[plate(0), plate(2)]), first * 4 + third);
            assert_eq!(set.project(member, &sizes, &set), member);
        }
    }
}
