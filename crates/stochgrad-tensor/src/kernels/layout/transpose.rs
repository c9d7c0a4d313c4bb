//! Permutation of axes.

use smallvec::SmallVec;
use std::cell::Cell;

use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The side of the square tiles in which a transposition proceeds.
const TILE: usize = 16;

/// Permutes axes: axis i of the result is axis `axes[i]` of `x`.
///
/// # Panics
/// If `axes` is not a permutation of the axes of `x`.
pub fn transpose<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axes: &[usize]) -> Tensor<F> {
    let rank = x.rank();
    let mut seen: SmallVec<[bool; 8]> = SmallVec::from_elem(false, rank);
    let valid = axes.len() == rank && axes.iter().all(|&axis| axis < rank && !std::mem::replace(&mut seen[axis], true));
    assert!(valid, "{axes:?} is not a permutation of the axes of shape {}", x.shape());
    let shape: Shape = axes.iter().map(|&axis| x.shape()[axis]).collect();
    if x.is_empty() {
        return pool.take(shape);
    }

    let strides = x.shape().strides();
    let mut merged: SmallVec<[(usize, usize); 6]> = SmallVec::new();
    for &axis in axes {
        let (size, stride) = (x.shape()[axis], strides[axis]);
        if size == 1 {
            continue;
        }
        match merged.last_mut() {
            Some(last) if last.1 == stride * size => *last = (last.0 * size, stride),
            _ => merged.push((size, stride)),
        }
    }
    let Some(last) = merged.pop().filter(|_| merged.len() > 1 || !merged.is_empty()) else {
        return x.clone().with_shape(shape);
    };
    let mut out = pool.take(shape);
    copy_strided(x.as_slice(), &merged, last, out.make_mut());
    out
}

/// Copies elements from a source whose outer axes and last axis have the given (size, stride).
fn copy_strided<F: Real>(x: &[F], outer: &[(usize, usize)], last: (usize, usize), out: &mut [F]) {
    let (columns, column_stride) = last;
    if column_stride == 1 {
        let mut at = 0;
        for_offsets(outer, |_, from| {
            out[at..at + columns].copy_from_slice(&x[from..from + columns]);
            at += columns;
        });
        return;
    }
    let near = outer.iter().position(|&(_, stride)| stride == 1).unwrap_or(outer.len() - 1);
    let (rows, row_stride) = outer[near];
    let row_step = outer[near + 1..].iter().map(|&(size, _)| size).product::<usize>() * columns;
    let mut others: SmallVec<[(usize, usize); 6]> = SmallVec::from_slice(outer);
    let mut steps: SmallVec<[(usize, usize); 6]> = SmallVec::new();
    let mut step = columns;
    for &(size, _) in outer.iter().rev() {
        steps.push((size, step));
        step *= size;
    }
    steps.reverse();
    others.remove(near);
    steps.remove(near);

    let mut bases = BASES.take();
    bases.clear();
    for_offsets(&steps, |_, to| bases.push(to));
    for_offsets(&others, |index, from| {
        let to = bases[index];
        for row_block in (0..rows).step_by(TILE) {
            for column_block in (0..columns).step_by(TILE) {
                for row in row_block..rows.min(row_block + TILE) {
                    let begin = to + row * row_step;
                    let source = from + row * row_stride;
                    let end = columns.min(column_block + TILE);
                    for (column, out) in (column_block..end).zip(&mut out[begin + column_block..begin + end]) {
                        *out = x[source + column * column_stride];
                    }
                }
            }
        }
    });
    BASES.set(bases);
}

thread_local! {
    /// The positions of the blocks of a transposition, kept so that a repeated one allocates nothing.
    static BASES: Cell<Vec<usize>> = const { Cell::new(Vec::new()) };
}

/// Calls `visit(index, offset)` for every position of the axes (size, stride), in row-major order.
fn for_offsets(axes: &[(usize, usize)], mut visit: impl FnMut(usize, usize)) {
    let total: usize = axes.iter().map(|axis| axis.0).product();
    let mut position: SmallVec<[usize; 8]> = SmallVec::from_elem(0, axes.len());
    let mut offset = 0;
    for index in 0..total {
        visit(index, offset);
        for (i, &(size, stride)) in position.iter_mut().zip(axes).rev() {
            *i += 1;
            offset += stride;
            if *i < size {
                break;
            }
            offset -= size * stride;
            *i = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{scrambled, shape_axis_permutation, tensor_of};

    proptest! {
        #[test]
        fn transposition_agrees_with_index_arithmetic((shape, _, axes) in shape_axis_permutation()) {
            let x = scrambled(&shape);
            let turned: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
            let expected = tensor_of(&turned, |index| {
                let mut source = vec![0; index.len()];
                for (&axis, &i) in axes.iter().zip(index) {
                    source[axis] = i;
                }
                x.get(&source).unwrap()
            });
            prop_assert_eq!(transpose(&Pool::new(), &x, &axes), expected);
        }
    }

    #[test]
    fn large_transpositions_cross_tiles() {
        let pool = Pool::new();
        let x = scrambled(&[3, 37, 50]);
        let turned = transpose(&pool, &x, &[2, 0, 1]);
        for index in [[0, 0, 0], [49, 2, 36], [17, 1, 16], [31, 2, 33]] {
            assert_eq!(turned.get(&index), x.get(&[index[1], index[2], index[0]]));
        }
        assert_eq!(transpose(&pool, &turned, &[1, 2, 0]), x);
    }

    #[test]
    fn transposing_axes_of_size_one_shares_the_buffer() {
        let x = scrambled(&[1, 5, 1]);
        let turned = transpose(&Pool::new(), &x, &[2, 0, 1]);
        assert_eq!(**turned.shape(), [1, 1, 5]);
        assert!(turned.shares_buffer_with(&x));
    }

    #[test]
    #[should_panic(expected = "is not a permutation")]
    fn a_repeated_axis_is_a_bug_of_the_caller() {
        transpose(&Pool::<f64>::new(), &Tensor::zeros([2, 2]), &[0, 0]);
    }
}
