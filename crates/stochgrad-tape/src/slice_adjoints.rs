//! Adjoints of values that are read slice by slice.
//!
//! The adjoint of a slice is zero outside the slice. Adding such adjoints one by one would cost a pass over the whole
//! value for each slice, which is quadratic for a sequence that a loop reads step by step. The adjoints of slices along
//! one axis that do not overlap are collected instead, and joined once.

use crate::adjoint::Adjoint;
use crate::id::Id;
use crate::op::Op;
use crate::op::broadcast::full;
use crate::tape::Tape;
use crate::var::Var;
use std::collections::BTreeMap;
use stochgrad_tensor::{Real, Shape};

/// The adjoints of slices of one value, by their first positions along the axis.
pub(crate) struct SliceAdjoints {
    axis: usize,
    parts: BTreeMap<usize, (usize, Id)>,
}

impl SliceAdjoints {
    pub(crate) fn new(axis: usize) -> Self {
        SliceAdjoints { axis, parts: BTreeMap::new() }
    }

    /// Whether a slice can be added: it lies along the same axis and overlaps with no other one.
    pub(crate) fn takes(&self, axis: usize, start: usize, len: usize) -> bool {
        let before = self.parts.range(..start + len).next_back();
        axis == self.axis && before.is_none_or(|(&first, &(count, _))| first + count <= start)
    }

    pub(crate) fn add(&mut self, start: usize, len: usize, adjoint: Id) {
        self.parts.insert(start, (len, adjoint));
    }

    /// The adjoints that were added.
    pub(crate) fn adjoints(&self) -> impl Iterator<Item = Adjoint> + '_ {
        self.parts.values().map(|&(_, id)| Adjoint::plain(id))
    }

    /// The adjoint of the value: the parts side by side, with zeros between them.
    pub(crate) fn joined<'t, F: Real>(&self, value: Var<'t, F>) -> Var<'t, F> {
        let (tape, axis) = (value.tape, self.axis);
        let size = value.shape()[axis];
        if let [(&start, &(_, id))] = self.parts.iter().collect::<Vec<_>>()[..] {
            return tape.at(id).apply(Op::PadInto { axis, start, full: size });
        }
        let gap = |len: usize| {
            let mut event = value.shape().to_vec();
            event[axis] = len;
            let event: Shape = event.into_iter().collect();
            tape.filled(Shape::scalar(), F::ZERO).apply(Op::Expand(value.plates(), event))
        };
        let (mut pieces, mut position) = (Vec::with_capacity(self.parts.len()), 0);
        for (&start, &(len, id)) in &self.parts {
            if len == 0 {
                continue;
            }
            if position < start {
                pieces.push(gap(start - position));
            }
            pieces.push(tape.at(id));
            position = start + len;
        }
        if position < size {
            pieces.push(gap(size - position));
        }
        match pieces[..] {
            [] => gap(size),
            [only] => only,
            [first, ref rest @ ..] => first.apply_with(Op::Concat(axis), rest),
        }
    }
}

impl<F: Real> Tape<F> {
    /// Adds the adjoint of a value that is a slice to those of the sliced value. Returns the adjoint as it was added;
    /// `None` if it has to be added on its own.
    pub(crate) fn collect_slice(
        &self,
        slices: &mut Option<SliceAdjoints>,
        slice: Var<'_, F>,
        adjoint: Adjoint,
    ) -> Option<Adjoint> {
        let Some(Op::Slice { axis, start, len }) = slice.op() else { return None };
        if adjoint.mask.is_some() || !slices.as_ref().is_none_or(|slices| slices.takes(axis, start, len)) {
            return None;
        }
        let whole = full(self.at(adjoint.id), slice);
        slices.get_or_insert_with(|| SliceAdjoints::new(axis)).add(start, len, whole.id);
        Some(Adjoint::plain(whole.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gradient of a weighted sum of squares of slices.
    fn gradient(ranges: &[std::ops::Range<usize>]) -> Vec<f64> {
        let tape = Tape::<f64>::new();
        let x = tape.parameter((0..8).map(f64::from).collect::<Vec<_>>());
        let terms =
            ranges.iter().enumerate().map(|(i, range)| x.slice(0, range.clone()).square().sum() * (i + 1) as f64);
        let total = terms.fold(tape.constant(0.0), |sum, term| sum + term);
        let [dx] = tape.grad(total, [x]).unwrap();
        let [again] = tape.backward(total, [x]).unwrap();
        let recorded = dx.peek().unwrap();
        assert_eq!(recorded.as_slice(), again.as_slice());
        // The second derivative of each square is 2.
        let [second] = tape.backward(dx.sum(), [x]).unwrap();
        let curvature = |at: usize| -> f64 {
            let parts = ranges.iter().enumerate().filter(|(_, range)| range.contains(&at));
            parts.map(|(i, _)| 2.0 * (i + 1) as f64).sum()
        };
        let expected: Vec<f64> = (0..8).map(curvature).collect();
        assert_eq!(second.as_slice(), expected);
        recorded.to_vec()
    }

    #[test]
    fn slices_side_by_side_apart_and_overlapping() {
        let cases: [&[std::ops::Range<usize>]; 6] = [
            &[0..4, 4..8],
            &[4..8, 0..4],
            &[1..3, 5..6],
            &[0..5, 3..8],
            &[2..2, 0..3, 6..8],
            std::slice::from_ref(&(3..4)),
        ];
        for ranges in cases {
            for (at, slope) in gradient(ranges).into_iter().enumerate() {
                let parts = ranges.iter().enumerate().filter(|(_, range)| range.contains(&at));
                let exact: f64 = parts.map(|(i, _)| 2.0 * (i + 1) as f64 * at as f64).sum();
                assert_eq!(slope, exact, "{ranges:?} at {at}");
            }
        }
    }

    #[test]
    fn a_value_that_is_also_read_as_a_whole_has_both_adjoints() {
        let tape = Tape::<f64>::new();
        let x = tape.parameter([1.0, 2.0, 3.0]);
        let total = x.slice(0, 0..1).sum() * 10.0 + x.sum() + x.slice(0, 2..3).sum() * 100.0;
        let [dx] = tape.backward(total, [x]).unwrap();
        assert_eq!(dx.as_slice(), &[11.0, 1.0, 101.0]);
    }

    #[test]
    fn no_adjoint_of_a_slice_is_extended_to_the_whole_value() {
        let tape = Tape::<f64>::new();
        let x = tape.parameter(vec![0.5; 100]);
        let total = (0..100).fold(tape.constant(0.0), |sum, at| sum + x.index(0, at).square());
        let before = tape.len();
        tape.grad(total, [x]).unwrap();
        let whole = (before..tape.len()).filter(|&at| tape.var_at(at).unwrap().shape().numel() == 100).count();
        assert_eq!(whole, 1);
    }
}
