//! Factorisations and linear solves for batches of small matrices.

use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The numbers of rows and columns of the matrices in the last two axes.
fn matrix<F: Real>(x: &Tensor<F>) -> (usize, usize) {
    let shape = x.shape();
    (shape[shape.rank() - 2], shape[shape.rank() - 1])
}

/// The lower Cholesky factors L, with L Lᵀ = A, of symmetric positive definite matrices A in the last two axes. Only
/// the lower triangles of the matrices are read.
///
/// The residual satisfies |A − L Lᵀ| ≤ (n + 1) ε |L| |L|ᵀ (Higham, "Accuracy and stability of numerical algorithms",
/// theorem 10.3).
///
/// # Errors
/// If a matrix is not positive definite: the index of the first such matrix, and the row in which the factorisation
/// failed.
///
/// # Panics
/// If the matrices are not square.
///
/// ```
/// use stochgrad_tensor::{Pool, Tensor, linalg};
///
/// let a = Tensor::from([[4.0, 2.0], [2.0, 5.0]]);
/// let factor = linalg::cholesky(&Pool::new(), &a).unwrap();
/// assert_eq!(factor.as_slice(), &[2.0, 0.0, 1.0, 2.0]);
/// ```
pub fn cholesky<F: Real>(pool: &Pool<F>, a: &Tensor<F>) -> Result<Tensor<F>, (usize, usize)> {
    let (n, columns) = matrix(a);
    assert_eq!(n, columns, "expected square matrices for a Cholesky factorisation, got shape {}", a.shape());
    let mut out = pool.full(a.shape().clone(), F::ZERO);
    if out.is_empty() {
        return Ok(out);
    }
    for (number, (a, l)) in a.as_slice().chunks(n * n).zip(out.make_mut().chunks_mut(n * n)).enumerate() {
        for row in 0..n {
            for column in 0..=row {
                let dot = (0..column).fold(F::ZERO, |sum, k| sum + l[row * n + k] * l[column * n + k]);
                let rest = a[row * n + column] - dot;
                if row > column {
                    l[row * n + column] = rest / l[column * n + column];
                } else if rest > F::ZERO && rest.is_finite() {
                    l[row * n + row] = rest.sqrt();
                } else {
                    return Err((number, row));
                }
            }
        }
    }
    Ok(out)
}

/// Solves L x = b, or Lᵀ x = b with `transpose`, for lower triangular matrices L in the last two axes. The right-hand
/// sides b have as many rows as L, and the same leading axes. Only the lower triangles are read; a zero on the diagonal
/// gives infinities.
///
/// # Panics
/// If L is not square, or the numbers of rows or the leading axes differ.
pub fn triangular_solve<F: Real>(pool: &Pool<F>, l: &Tensor<F>, b: &Tensor<F>, transpose: bool) -> Tensor<F> {
    let ((n, square), (rows, columns)) = (matrix(l), matrix(b));
    assert!(
        n == square && n == rows,
        "expected square matrices and {n} rows on the right, got {n} by {square} and {rows} rows"
    );
    let lead = |x: &Tensor<F>| Shape::from(&x.shape()[..x.shape().rank() - 2]);
    assert_eq!(lead(l), lead(b), "expected equal leading axes of a triangular solve");
    let mut out = pool.take(b.shape().clone());
    if out.is_empty() {
        return out;
    }
    out.make_mut().copy_from_slice(b.as_slice());
    for (l, x) in l.as_slice().chunks(n * n).zip(out.make_mut().chunks_mut(n * columns)) {
        for step in 0..n {
            let row = if transpose { n - 1 - step } else { step };
            let known = if transpose { row + 1..n } else { 0..row };
            for column in 0..columns {
                let dot = known.clone().fold(F::ZERO, |sum, k| {
                    let factor = if transpose { l[k * n + row] } else { l[row * n + k] };
                    sum + factor * x[k * columns + column]
                });
                x[row * columns + column] = (x[row * columns + column] - dot) / l[row * n + row];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;
    use crate::kernels::matmul::matmul;

    fn positive_definite(count: usize, n: usize) -> Tensor<f64> {
        let x = Tensor::from_fn([count, n, n], |i| ((i * 7 + 3) as f64 * 0.61).sin());
        let mut a = matmul(&Pool::new(), &x, false, &x, true);
        a.make_mut().chunks_mut(n * n).for_each(|a| (0..n).for_each(|i| a[i * n + i] += 0.5));
        a
    }

    #[test]
    fn factors_multiply_to_the_matrix() {
        let pool = Pool::new();
        for n in [1, 2, 5] {
            let a = positive_definite(3, n);
            let l = cholesky(&pool, &a).unwrap();
            let back = matmul(&pool, &l, false, &l, true);
            assert_abs_diff_eq!(back, a, epsilon = 1e-13);
            let b = Tensor::from_fn([3, n, 2], |i| (i as f64).cos());
            for transpose in [false, true] {
                let x = triangular_solve(&pool, &l, &b, transpose);
                let back = matmul(&pool, &l, transpose, &x, false);
                assert_abs_diff_eq!(back, b, epsilon = 1e-12);
            }
        }
    }

    #[test]
    fn the_first_bad_matrix_is_named() {
        let a = Tensor::from([1.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 1.0]).with_shape([2, 2, 2]);
        assert_eq!(cholesky(&Pool::new(), &a), Err((1, 1)));
        assert_eq!(cholesky(&Pool::new(), &Tensor::from([[f64::NAN]])), Err((0, 0)));
        assert!(cholesky(&Pool::<f64>::new(), &Tensor::zeros([0, 2, 2])).unwrap().is_empty());
    }
}
