//! The position of the largest element along an axis.

use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// The index of the largest element along an axis, which is removed. It is the first of equal elements, or the first
/// NaN.
///
/// # Panics
/// If there is no such axis, or its size is 0.
pub fn argmax<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize) -> Tensor<F> {
    let (_, size, inner) = x.shape().around(axis);
    assert!(size > 0, "expected a nonempty axis for argmax, got axis {axis} of shape {}", x.shape());
    let mut out = pool.take(x.shape().without(axis));
    if out.is_empty() {
        return out;
    }
    let x = x.as_slice();
    for (row, out) in out.make_mut().chunks_exact_mut(inner).enumerate() {
        let x = &x[row * size * inner..(row + 1) * size * inner];
        for (column, out) in out.iter_mut().enumerate() {
            let mut best = 0;
            let mut largest = x[column];
            for index in 1..size {
                let value = x[index * inner + column];
                if value > largest || (value.is_nan() && !largest.is_nan()) {
                    best = index;
                    largest = value;
                }
            }
            *out = F::from_usize(best);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::reduce::{Reduce, reduce};
    use crate::testing::{index_of, scrambled, shapes};

    const INF: f64 = f64::INFINITY;

    proptest! {
        #[test]
        fn argmax_agrees_with_index_arithmetic(shape in shapes(), axis in 0..5_usize) {
            prop_assume!(axis < shape.len() && shape[axis] > 0);
            let pool = Pool::new();
            let x = scrambled(&shape);
            let at = |index: &[usize], i: usize| {
                let mut index = index.to_vec();
                index[axis] = i;
                x.get(&index).unwrap()
            };
            let best = argmax(&pool, &x, axis);
            let largest = reduce(&pool, Reduce::Max, &x, &[axis], false);
            for flat in 0..best.len() {
                let mut index = index_of(best.shape(), flat);
                index.insert(axis, 0);
                let chosen = best.as_slice()[flat] as usize;
                prop_assert_eq!(at(&index, chosen), largest.as_slice()[flat]);
            }
        }
    }

    #[test]
    fn argmax_takes_the_first_of_equals_and_the_first_nan() {
        let pool = Pool::new();
        let nan = f64::NAN;
        let x = Tensor::from([[1.0, 3.0, 3.0], [2.0, nan, nan], [-INF, -INF, -INF]]);
        assert_eq!(argmax(&pool, &x, 1).to_vec(), [1.0, 1.0, 0.0]);
    }
}
