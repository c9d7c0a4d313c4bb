//! Cumulative sums along an axis.

use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// Cumulative sums along an axis, from its start, or from its end with `reverse`.
///
/// # Panics
/// If there is no such axis.
pub fn cumsum<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, reverse: bool) -> Tensor<F> {
    let (_, size, inner) = x.shape().around(axis);
    let mut out = pool.take(x.shape().clone());
    if out.is_empty() {
        return out;
    }
    let x = x.as_slice();
    for (row, out) in out.make_mut().chunks_exact_mut(size * inner).enumerate() {
        out.copy_from_slice(&x[row * size * inner..(row + 1) * size * inner]);
        for step in 1..size {
            let (from, to) = if reverse { (size - step, size - step - 1) } else { (step - 1, step) };
            for column in 0..inner {
                let previous = out[from * inner + column];
                out[to * inner + column] += previous;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{scrambled, shapes, tensor_of};

    fn close(a: &Tensor<f64>, b: &Tensor<f64>) -> bool {
        a.max_abs_difference(b).is_some_and(|largest| largest < 1e-9)
    }

    proptest! {
        #[test]
        fn cumsum_agrees_with_index_arithmetic(shape in shapes(), axis in 0..5_usize) {
            prop_assume!(axis < shape.len());
            let pool = Pool::new();
            let x = scrambled(&shape);
            let at = |index: &[usize], i: usize| {
                let mut index = index.to_vec();
                index[axis] = i;
                x.get(&index).unwrap()
            };
            let forward = tensor_of(&shape, |index| (0..=index[axis]).map(|i| at(index, i)).sum());
            let backward = tensor_of(&shape, |index| (index[axis]..shape[axis]).map(|i| at(index, i)).sum());
            prop_assert!(close(&cumsum(&pool, &x, axis, false), &forward));
            prop_assert!(close(&cumsum(&pool, &x, axis, true), &backward));
        }
    }
}
