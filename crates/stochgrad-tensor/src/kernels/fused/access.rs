//! How the operands of a chain are read.

use smallvec::SmallVec;

use crate::kernels::broadcast::{repeat, repeat_row};
use crate::kernels::fused::view::{Elements, View};
use crate::kernels::layout::{interleave, pick};
use crate::real::Real;
use crate::storage::shape::Shape;

/// How an operand is read along the shape of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Element by element.
    Same,
    /// A single element, which is the same for all elements of the chain.
    Single,
    /// Every block lies in one run of the innermost axis, along which the operand advances by one element or is
    /// constant. It is read in place.
    Within(Strided),
    /// By strides, copied to this register. `still` if all blocks read the same elements.
    Copied { strided: Strided, register: u16, still: bool },
    /// Alternately from this input and the following ones, copied to this register.
    Stacked { buffers: usize, turn: usize, register: u16 },
    /// A part of a stack, which is read through its first input.
    Part,
}

/// The axes of a chain, innermost last, with the strides of an operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Strided {
    axes: SmallVec<[(usize, usize); 6]>,
    offset: usize,
}

impl Access {
    /// The access along a chain whose blocks begin at multiples of `block` elements in rows of `row` elements, or in
    /// the whole of it if `row` is 0. What is copied goes to `register`.
    pub(super) fn new(shape: &Shape, view: &View, row: usize, block: usize, register: u16) -> Self {
        let (view, offset) = match &view.0 {
            Elements::Strided { axes, offset } => (axes, *offset),
            &Elements::Stacked { buffers, turn } => return Access::Stacked { buffers, turn, register },
        };
        assert_eq!(shape.rank(), view.len(), "rank of an operand of a chain over {shape}");
        let mut axes: SmallVec<[(usize, usize); 6]> = SmallVec::new();
        for (&size, &(own, stride)) in shape.iter().zip(view).rev() {
            assert!(own == size || own == 1, "operand of sizes and strides {view:?} in a chain over {shape}");
            let stride = if own == 1 { 0 } else { stride };
            if size == 1 {
                continue;
            }
            match axes.last_mut() {
                Some((last, step)) if stride == *step * *last => *last *= size,
                _ => axes.push((size, stride)),
            }
        }
        axes.reverse();
        let fixed = axes.iter().all(|&(_, stride)| stride == 0);
        match axes[..] {
            _ if fixed && offset == 0 => return Access::Single,
            [(_, 1)] if offset == 0 => return Access::Same,
            _ if axes.is_empty() => axes.push((1, 0)),
            _ => {}
        }
        let (run, step) = axes[axes.len() - 1];
        let strided = Strided { axes, offset };
        let unit = if row > block { row } else { block };
        if step <= 1 && (run == shape.numel() || run.is_multiple_of(unit)) {
            return Access::Within(strided);
        }
        let repeats = strided.axes[..strided.axes.len() - 1].iter().all(|&(_, stride)| stride == 0);
        let still = row <= block && repeats && block.is_multiple_of(run);
        Access::Copied { strided, register, still }
    }
}

impl Strided {
    /// The position in the buffer of the element at a position of the chain.
    pub(super) fn start(&self, mut position: usize) -> usize {
        let mut start = self.offset;
        for &(size, stride) in self.axes.iter().rev() {
            start += position % size * stride;
            position /= size;
        }
        start
    }

    /// Whether the operand advances along the innermost axis.
    pub(super) fn advances(&self) -> bool {
        self.axes.last().is_some_and(|&(_, stride)| stride > 0)
    }

    /// Copies `out.len()` elements, starting at a position of the chain.
    pub(super) fn copy<F: Real>(&self, from: usize, operand: &[F], out: &mut [F]) {
        let Some((&(inner, step), outer)) = self.axes.split_last() else { return };
        if let ([(_, 1)], 0, true) = (outer, step, from.is_multiple_of(inner)) {
            return repeat(inner, &operand[self.offset + from / inner..], out);
        }
        let mut column = from % inner;
        // The multi-dimensional index of the row, and its start in the buffer.
        let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, outer.len());
        let mut row = from / inner;
        let mut start = self.offset;
        for (i, &(size, stride)) in index.iter_mut().zip(outer).rev() {
            *i = row % size;
            row /= size;
            start += *i * stride;
        }
        let mut rest = out;
        while !rest.is_empty() {
            if let (1, 0, [.., (size, 0)], [.., at]) = (step, column, outer, &mut index[..]) {
                // The same row for all positions along the axis outside of it.
                let (rows, after) = rest.split_at_mut(((size - *at) * inner).min(rest.len()));
                repeat_row(&operand[start..start + inner], rows);
                rest = after;
                *at = size - 1;
                next_row(outer, &mut index, &mut start);
                continue;
            }
            let (run, after) = rest.split_at_mut((inner - column).min(rest.len()));
            let begin = start + column * step;
            match step {
                0 => run.fill(operand[start]),
                1 => run.copy_from_slice(&operand[begin..begin + run.len()]),
                _ => {
                    // The same element of each group of `step` elements.
                    let at = self.offset % step;
                    pick(step, at, &operand[begin - at..begin - at + run.len() * step], run);
                }
            }
            rest = after;
            column = 0;
            next_row(outer, &mut index, &mut start);
        }
    }
}

/// Advances the index of a row and its start in the buffer.
fn next_row(outer: &[(usize, usize)], index: &mut [usize], start: &mut usize) {
    for (i, &(size, stride)) in index.iter_mut().zip(outer).rev() {
        *i += 1;
        *start += stride;
        if *i < size {
            break;
        }
        *start -= size * stride;
        *i = 0;
    }
}

/// Copies elements of a stack of buffers, starting at a position of the chain. Each buffer contributes `turn` elements
/// in turn.
pub(super) fn copy_stacked<F: Real>(turn: usize, from: usize, buffers: &[&[F]], out: &mut [F]) {
    if let ([a, b], 1, 0, 0) = (buffers, turn, from % 2, out.len() % 2) {
        return interleave(&a[from / 2..], &b[from / 2..], out);
    }
    let (mut at, mut rest) = (from, out);
    while !rest.is_empty() {
        let (turns, within) = (at / turn, at % turn);
        let (run, after) = rest.split_at_mut((turn - within).min(rest.len()));
        let start = turns / buffers.len() * turn + within;
        run.copy_from_slice(&buffers[turns % buffers.len()][start..start + run.len()]);
        at += run.len();
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The elements that a chain reads for one block.
    fn block(access: &Access, from: usize, len: usize, operand: &[f64]) -> Vec<f64> {
        match access {
            Access::Same => operand[from..from + len].to_vec(),
            Access::Single => vec![operand[0]; len],
            Access::Within(strided) if strided.advances() => operand[strided.start(from)..][..len].to_vec(),
            Access::Within(strided) => vec![operand[strided.start(from)]; len],
            Access::Copied { strided, still, .. } => {
                let mut out = vec![f64::NAN; len];
                strided.copy(if *still { 0 } else { from }, operand, &mut out);
                out
            }
            Access::Stacked { .. } | Access::Part => unreachable!("one operand in one buffer"),
        }
    }

    proptest! {
        #[test]
        fn every_access_finds_the_elements_of_its_view(
            sizes in [1..5_usize, 1..5, 1..5],
            ones in any::<[bool; 3]>(),
            member in prop::option::of((0..4_usize, 2..4_usize, 0..2_usize)),
            block_length in 1..70_usize,
        ) {
            let shape = Shape::from(sizes);
            let own: Vec<usize> = sizes.iter().zip(ones).map(|(&size, one)| if one { 1 } else { size }).collect();
            let (owner, view) = match member {
                None => (own.clone(), View::whole(&Shape::from(&own[..]))),
                Some((axis, size, position)) => {
                    let mut owner = own.clone();
                    owner.insert(axis, size);
                    let view = View::member(&Shape::from(&owner[..]), axis, position);
                    (owner, view)
                }
            };
            let operand: Vec<f64> = (0..owner.iter().product()).map(|i: usize| i as f64).collect();
            let strides = Shape::from(&owner[..]).strides();
            let access = Access::new(&shape, &view, 0, block_length, 0);
            let len = shape.numel();
            for from in (0..len).step_by(block_length) {
                let found = block(&access, from, block_length.min(len - from), &operand);
                for (i, found) in (from..).zip(found) {
                    let index = [i / (sizes[1] * sizes[2]), i / sizes[2] % sizes[1], i % sizes[2]];
                    let mut at: Vec<usize> =
                        index.iter().zip(&own).map(|(&i, &size)| if size == 1 { 0 } else { i }).collect();
                    if let Some((axis, _, position)) = member {
                        at.insert(axis, position);
                    }
                    let expected: usize = at.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
                    prop_assert_eq!(found, expected as f64, "{:?} at {}", access, i);
                }
            }
        }
    }

    #[test]
    fn blocks_that_lie_in_a_run_are_read_in_place() {
        let shape = Shape::from([6, 32]);
        let access = |view: &View| Access::new(&shape, view, 0, 16, 3);
        assert_eq!(access(&View::whole(&shape)), Access::Same);
        assert_eq!(access(&View::whole(&Shape::from([1, 1]))), Access::Single);
        assert!(matches!(access(&View::whole(&Shape::from([6, 1]))), Access::Within(_)));
        assert!(matches!(access(&View::member(&Shape::from([6, 2, 32]), 1, 1)), Access::Within(_)));
        assert!(matches!(
            access(&View::member(&Shape::from([6, 32, 2]), 2, 1)),
            Access::Copied { still: false, register: 3, .. }
        ));
        let row = Access::new(&shape, &View::whole(&Shape::from([1, 32])), 0, 64, 3);
        assert!(matches!(row, Access::Copied { still: true, .. }));
    }

    #[test]
    fn stacks_are_read_alternately() {
        for sizes in [[7, 2, 1], [3, 2, 5], [4, 3, 2], [1, 3, 1]] {
            let [outer, buffers, turn] = sizes;
            let view = View::stack(&Shape::from(sizes), 1);
            assert_eq!(view.inputs(), buffers);
            assert_eq!(view, View(Elements::Stacked { buffers, turn }));
            let parts: Vec<Vec<f64>> =
                (0..buffers).map(|part| (0..outer * turn).map(|i| (100 * part + i) as f64).collect()).collect();
            let parts: Vec<&[f64]> = parts.iter().map(Vec::as_slice).collect();
            let len = outer * buffers * turn;
            for block in 1..=len {
                for from in (0..len).step_by(block) {
                    let mut out = vec![f64::NAN; block.min(len - from)];
                    copy_stacked(turn, from, &parts, &mut out);
                    for (at, found) in (from..).zip(out) {
                        let (row, part, i) = (at / (buffers * turn), at / turn % buffers, at % turn);
                        assert_eq!(found, (100 * part + row * turn + i) as f64, "{sizes:?} at {at}");
                    }
                }
            }
        }
    }
}
