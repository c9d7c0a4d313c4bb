//! The adjoint of a value during a backward pass, and the mask of the elements that take part in it.

use crate::id::Id;
use crate::tape::Tape;
use crate::var::Var;
use smallvec::SmallVec;
use stochgrad_tensor::{Real, Shape};

/// The result of a derivative rule: the adjoints of the operands.
pub(crate) type Adjoints<'t, F> = SmallVec<[Option<Var<'t, F>>; 3]>;

/// The elements that take part in an adjoint: those where a condition is not 0 or, if inverted, those where it is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mask {
    pub(crate) condition: Id,
    pub(crate) inverted: bool,
}

/// The adjoint of a value: the sum of the contributions so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adjoint {
    pub(crate) id: Id,
    pub(crate) mask: Option<Mask>,
    /// Whether the elements outside the mask are 0. Otherwise they have arbitrary values.
    pub(crate) clean: bool,
}

/// Adjoints without masks.
pub(crate) fn plain<F: Real>(parts: Adjoints<'_, F>) -> SmallVec<[Option<Adjoint>; 3]> {
    parts.into_iter().map(|part| part.map(|part| Adjoint::plain(part.id))).collect()
}

impl Adjoint {
    pub(crate) fn plain(id: Id) -> Self {
        Adjoint { id, mask: None, clean: true }
    }

    /// The values on the tape that represent it.
    pub(crate) fn ids(self) -> impl Iterator<Item = Id> {
        std::iter::once(self.id).chain(self.mask.map(|mask| mask.condition))
    }
}

impl Mask {
    /// The elements where a value is not 0.
    pub(crate) fn of<F: Real>(condition: Var<'_, F>) -> Self {
        Mask { condition: condition.id, inverted: false }
    }
}

impl<F: Real> Tape<F> {
    pub(crate) fn at(&self, id: Id) -> Var<'_, F> {
        Var { tape: self, id }
    }

    /// The adjoint with zeros outside the mask.
    pub(crate) fn masked<'t>(&'t self, adjoint: Var<'t, F>, mask: Mask) -> Var<'t, F> {
        let zero = self.filled(Shape::scalar(), F::ZERO);
        let condition = self.at(mask.condition);
        if mask.inverted { condition.select(zero, adjoint) } else { condition.select(adjoint, zero) }
    }
}
