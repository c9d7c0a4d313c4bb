//! Structures of triples: what control flow decides on, and what it returns.

use crate::triple::Triple;

/// A triple, or an array, a vector or a tuple of structures of triples.
///
/// [`Run::branch`](crate::Run::branch) decides on such a structure, and returns one.
pub trait Triples: Clone {
    /// The same structure with a value in place of each triple.
    type Values: PartialEq;

    /// A value for each triple.
    fn values(&self, of: &mut impl FnMut(Triple) -> f64) -> Self::Values;

    /// A triple for each pair of triples at the same place, in the first of two structures. A place that the other
    /// structure lacks keeps its triple.
    fn zip_with(&mut self, other: &Self, with: &mut impl FnMut(Triple, Triple) -> Triple);

    /// The number of triples.
    fn count(&self) -> usize;
}

impl Triples for Triple {
    type Values = f64;

    fn values(&self, of: &mut impl FnMut(Triple) -> f64) -> f64 {
        of(*self)
    }

    fn zip_with(&mut self, other: &Self, with: &mut impl FnMut(Triple, Triple) -> Triple) {
        *self = with(*self, *other);
    }

    fn count(&self) -> usize {
        1
    }
}

impl<T: Triples, const N: usize> Triples for [T; N] {
    type Values = [T::Values; N];

    fn values(&self, of: &mut impl FnMut(Triple) -> f64) -> Self::Values {
        std::array::from_fn(|index| self[index].values(of))
    }

    fn zip_with(&mut self, other: &Self, with: &mut impl FnMut(Triple, Triple) -> Triple) {
        self.iter_mut().zip(other).for_each(|(own, other)| own.zip_with(other, with));
    }

    fn count(&self) -> usize {
        self.iter().map(T::count).sum()
    }
}

impl<T: Triples> Triples for Vec<T> {
    type Values = Vec<T::Values>;

    fn values(&self, of: &mut impl FnMut(Triple) -> f64) -> Self::Values {
        self.iter().map(|entry| entry.values(of)).collect()
    }

    fn zip_with(&mut self, other: &Self, with: &mut impl FnMut(Triple, Triple) -> Triple) {
        self.iter_mut().zip(other).for_each(|(own, other)| own.zip_with(other, with));
    }

    fn count(&self) -> usize {
        self.iter().map(T::count).sum()
    }
}

macro_rules! tuple {
    ($($name:ident $index:tt),+) => {
        impl<$($name: Triples),+> Triples for ($($name,)+) {
            type Values = ($($name::Values,)+);

            fn values(&self, of: &mut impl FnMut(Triple) -> f64) -> Self::Values {
                ($(self.$index.values(of),)+)
            }

            fn zip_with(&mut self, other: &Self, with: &mut impl FnMut(Triple, Triple) -> Triple) {
                $(self.$index.zip_with(&other.$index, with);)+
            }

            fn count(&self) -> usize {
                0 $(+ self.$index.count())+
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
