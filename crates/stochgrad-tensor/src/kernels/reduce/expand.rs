//! Broadcasting to a larger shape, and its adjoint.

use smallvec::SmallVec;

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::reduce::reduction::{Reduce, reduce};
use crate::kernels::zip::fill_rows;
use crate::parallel::{ARITHMETIC, threads_for};
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// Sums over the axes that broadcasting from `shape` to the shape of `x` would stretch. This is the adjoint of
/// [`expand`].
///
/// # Panics
/// If `shape` does not broadcast to the shape of `x`.
pub fn sum_to<F: Real>(pool: &Pool<F>, x: &Tensor<F>, shape: &Shape) -> Tensor<F> {
    if x.shape() == shape {
        return x.clone();
    }
    assert_expands(shape, x.shape());
    let lead = x.rank() - shape.rank();
    let axes: SmallVec<[usize; 8]> =
        (0..x.rank()).filter(|&axis| axis < lead || (shape[axis - lead] == 1 && x.shape()[axis] != 1)).collect();
    reduce(pool, Reduce::Sum, x, &axes, true).with_shape(shape.clone())
}

/// Broadcasts to `shape`, as a new tensor.
///
/// # Panics
/// If the shape of `x` does not broadcast to `shape`.
pub fn expand<F: Real>(pool: &Pool<F>, x: &Tensor<F>, shape: &Shape) -> Tensor<F> {
    if x.shape() == shape {
        return x.clone();
    }
    assert_expands(x.shape(), shape);
    let mut out = pool.take(shape.clone());
    if out.is_empty() {
        return out;
    }
    let iter = BroadcastIter::new(shape, [x.shape()]);
    let threads = threads_for(pool.threads(), out.len(), ARITHMETIC);
    let x = x.as_slice();
    fill_rows(threads, &iter, out.make_mut(), |out, [at]| {
        if iter.steps == [0] {
            out.fill(x[at]);
        } else {
            out.copy_from_slice(&x[at..at + out.len()]);
        }
    });
    out
}

fn assert_expands(small: &Shape, large: &Shape) {
    assert!(Shape::broadcast(small, large).as_ref() == Some(large), "shape {small} does not broadcast to {large}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{broadcast_at, scrambled, shape_and_part, tensor_of};

    proptest! {
        #[test]
        fn expand_agrees_with_index_arithmetic((shape, part) in shape_and_part()) {
            let x = scrambled(&part);
            let expected = tensor_of(&shape, |index| broadcast_at(&x, index));
            prop_assert_eq!(expand(&Pool::new(), &x, &shape.as_slice().into()), expected);
        }

        #[test]
        fn sum_to_is_the_adjoint_of_expand((shape, part) in shape_and_part()) {
            let pool = Pool::new();
            let (x, y) = (scrambled(&part), scrambled(&shape).map(|x| x.cos()));
            let dot = |a: &Tensor<f64>, b: &Tensor<f64>| -> f64 {
                a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum()
            };
            let expanded = expand(&pool, &x, y.shape());
            let summed = sum_to(&pool, &y, x.shape());
            prop_assert_eq!(summed.shape(), x.shape());
            prop_assert!((dot(&expanded, &y) - dot(&x, &summed)).abs() < 1e-9);
        }
    }
}
