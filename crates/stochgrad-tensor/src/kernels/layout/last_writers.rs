//! Which element is written last to each position of an axis.

use crate::kernels::layout::position::position;
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// For each position of an axis of size `len`, the number of the last element along the axis of `index` that names it,
/// counted from 1, or 0 if none does. An index that is not an integer in 0..`len` is ignored.
///
/// # Panics
/// If there is no such axis.
pub fn last_writers<F: Real>(pool: &Pool<F>, index: &Tensor<F>, axis: usize, len: usize) -> Tensor<F> {
    let (_, size, inner) = index.shape().around(axis);
    let mut out = pool.full(index.shape().with_size(axis, len), F::ZERO);
    if out.is_empty() || index.is_empty() {
        return out;
    }
    let blocks = out.make_mut().chunks_exact_mut(len * inner).zip(index.as_slice().chunks_exact(size * inner));
    for (out, index) in blocks {
        for (at, &index) in index.iter().enumerate() {
            if let Some(to) = position(index, len) {
                out[to * inner + at % inner] = F::from_usize(at / inner + 1);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_writer_wins() {
        let pool = Pool::new();
        let index = Tensor::from([[2.0, 0.0], [2.0, 5.0], [0.0, -1.0]]);
        let along_rows = last_writers(&pool, &index, 0, 3);
        assert_eq!(along_rows, Tensor::from([[3.0, 1.0], [0.0, 0.0], [2.0, 0.0]]));
        let along_columns = last_writers(&pool, &index, 1, 3);
        assert_eq!(along_columns, Tensor::from([[2.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
        assert_eq!(last_writers(&pool, &Tensor::zeros([0]), 0, 2).to_vec(), [0.0, 0.0]);
        assert!(last_writers(&pool, &index, 0, 0).is_empty());
    }
}
