//! Selection of positions of an axis, and its adjoint.

use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// Selects the given positions of an axis.
///
/// # Panics
/// If there is no such axis, or a position is outside it.
pub fn index_select<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, indices: &[usize]) -> Tensor<F> {
    let (outer, size, inner) = x.shape().around(axis);
    let mut out = pool.take(x.shape().with_size(axis, indices.len()));
    let x = x.as_slice();
    let data = out.make_mut();
    for row in 0..outer {
        for (position, &index) in indices.iter().enumerate() {
            assert!(index < size, "expected a position below the axis size {size}, got {index}");
            let to = (row * indices.len() + position) * inner;
            let from = (row * size + index) * inner;
            data[to..to + inner].copy_from_slice(&x[from..from + inner]);
        }
    }
    out
}

/// Adds the elements of `x` along an axis to the given positions of an axis of size `len`, which starts as zeros. This
/// is the adjoint of [`index_select`].
///
/// # Panics
/// If there is no such axis, its size is not the length of `indices`, or a position is not below `len`.
pub fn index_add<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, indices: &[usize], len: usize) -> Tensor<F> {
    let (outer, size, inner) = x.shape().around(axis);
    assert_eq!(size, indices.len(), "expected one position for each element of axis {axis} of shape {}", x.shape());
    let mut out = pool.full(x.shape().with_size(axis, len), F::ZERO);
    let x = x.as_slice();
    let data = out.make_mut();
    for row in 0..outer {
        for (position, &index) in indices.iter().enumerate() {
            assert!(index < len, "expected a position below the axis size {len}, got {index}");
            let to = (row * len + index) * inner;
            let from = (row * size + position) * inner;
            for (out, &x) in data[to..to + inner].iter_mut().zip(&x[from..from + inner]) {
                *out += x;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{scrambled, shape_axis_permutation, tensor_of};

    fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
        assert_eq!(a.shape(), b.shape());
        a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum()
    }

    proptest! {
        #[test]
        fn index_add_is_the_adjoint_of_index_select(
            (shape, axis, _) in shape_axis_permutation(),
            positions in prop::collection::vec(0..100_usize, 0..6),
        ) {
            let pool = Pool::new();
            let size = shape[axis];
            prop_assume!(size > 0);
            let positions: Vec<usize> = positions.iter().map(|&p| p % size).collect();
            let x = scrambled(&shape);
            let selected = index_select(&pool, &x, axis, &positions);
            let expected = tensor_of(selected.shape(), |index| {
                let mut source = index.to_vec();
                source[axis] = positions[index[axis]];
                x.get(&source).unwrap()
            });
            prop_assert_eq!(&selected, &expected);
            let y = selected.map(|x| (x * 2.0).cos());
            let back = index_add(&pool, &y, axis, &positions, size);
            prop_assert!((dot(&selected, &y) - dot(&x, &back)).abs() < 1e-9);
        }
    }
}
