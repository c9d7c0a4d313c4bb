//! One-hot vectors of indices.

use crate::kernels::layout::position::position;
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// One-hot vectors: for each index a row of `classes` values, 1 at the index and 0 elsewhere. If the index is not an
/// integer in 0..`classes`, the row is all zeros. The result has the shape of `index` with an additional last axis of
/// size `classes`.
pub fn one_hot<F: Real>(pool: &Pool<F>, index: &Tensor<F>, classes: usize) -> Tensor<F> {
    let mut shape = index.shape().clone();
    shape.extend([classes]);
    let mut out = pool.full(shape, F::ZERO);
    let data = out.make_mut();
    for (row, &index) in index.as_slice().iter().enumerate() {
        if let Some(p) = position(index, classes) {
            data[row * classes + p] = F::ONE;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_indices_give_rows_of_zeros() {
        let pool = Pool::new();
        let rows = one_hot(&pool, &Tensor::from([1.0, 2.0, 0.5, -1.0]), 2);
        assert_eq!(rows, Tensor::from([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]));
        assert_eq!(one_hot(&pool, &Tensor::scalar(1.0), 3).to_vec(), [0.0, 1.0, 0.0]);
    }
}
