//! Random orthogonal matrices.

use stochgrad_tensor::random::Key;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Weights as a matrix of all other axes by the last one, with orthonormal rows or columns, whichever are fewer. The
/// distribution is uniform (that of Haar): the factor Q of a matrix of normal samples, with the signs for which the
/// diagonal of R is positive (Mezzadri 2007).
pub(super) fn orthogonal<F: Real>(key: &Key, shape: Shape) -> Tensor<F> {
    let columns = shape.last().copied().unwrap_or(1);
    let rows = shape[..shape.rank().saturating_sub(1)].iter().product::<usize>();
    let (long, short) = (rows.max(columns), rows.min(columns));
    let mut normal = vec![0.0_f64; long * short];
    key.normal(0, &mut normal);
    let q = orthonormalized(normal, long, short);
    let element = |i: usize| {
        let (row, column) = (i / columns.max(1), i % columns.max(1));
        F::from_f64(if rows >= columns { q[column * long + row] } else { q[row * long + column] })
    };
    Tensor::from_fn(shape, element)
}

/// The factor Q of vectors of a length, one after the other, by reflections (Householder 1958).
fn orthonormalized(mut vectors: Vec<f64>, length: usize, count: usize) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // The normals of the reflections. Each vector is reflected by all normals of the vectors before it.
    let mut normals: Vec<Vec<f64>> = Vec::with_capacity(count);
    let mut signs = Vec::with_capacity(count);
    let reflect = |normal: &[f64], from: usize, vector: &mut [f64]| {
        let twice = 2.0 * dot(normal, &vector[from..]);
        vector[from..].iter_mut().zip(normal).for_each(|(x, n)| *x -= twice * n);
    };
    for number in 0..count {
        let vector = &mut vectors[number * length..(number + 1) * length];
        normals.iter().enumerate().for_each(|(from, normal)| reflect(normal, from, vector));
        let mut normal = vector[number..].to_vec();
        let norm = dot(&normal, &normal).sqrt();
        // The sign of the pivot avoids cancellation. The reflection maps the vector to −sign · norm.
        let sign = if normal[0] < 0.0 { -1.0 } else { 1.0 };
        normal[0] += sign * norm;
        let scale = dot(&normal, &normal).sqrt().max(f64::MIN_POSITIVE).recip();
        normal.iter_mut().for_each(|x| *x *= scale);
        normals.push(normal);
        signs.push(-sign);
    }
    // The columns of Q are the reflections of the unit vectors.
    for number in 0..count {
        let vector = &mut vectors[number * length..(number + 1) * length];
        vector.fill(0.0);
        vector[number] = signs[number];
        normals.iter().enumerate().rev().for_each(|(from, normal)| reflect(normal, from, vector));
    }
    vectors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewer_rows_or_columns_are_orthonormal() {
        for [rows, columns] in [[5, 3], [3, 5], [4, 4], [1, 1], [1, 6], [40, 30]] {
            let key = Key::new(11, 0, 5);
            let w = orthogonal::<f64>(&key, Shape::from([rows, columns]));
            let entry = |i: usize, j: usize| w.as_slice()[i * columns + j];
            for a in 0..rows.min(columns) {
                for b in 0..rows.min(columns) {
                    let product: f64 = match rows >= columns {
                        true => (0..rows).map(|i| entry(i, a) * entry(i, b)).sum(),
                        false => (0..columns).map(|j| entry(a, j) * entry(b, j)).sum(),
                    };
                    let expected = f64::from(a == b);
                    assert!((product - expected).abs() < 1e-13, "{rows} × {columns}: {product}");
                }
            }
        }
    }

    #[test]
    fn a_matrix_has_its_known_factor() {
        let q = orthonormalized(vec![3.0, 4.0, 0.0, 1.0, 2.0, -2.0], 3, 2);
        // The second vector minus its projection (11/25) (3, 4, 0), divided by its length.
        let rest = [1.0 - 33.0 / 25.0, 2.0 - 44.0 / 25.0, -2.0];
        let length = rest.iter().map(|x| x * x).sum::<f64>().sqrt();
        let expected = [0.6, 0.8, 0.0, rest[0] / length, rest[1] / length, rest[2] / length];
        for (x, e) in q.iter().zip(expected) {
            assert!((x - e).abs() < 1e-15, "{q:?}");
        }
    }

    #[test]
    fn entries_have_the_moments_of_the_uniform_distribution() {
        let draws: Vec<Tensor<f64>> = (0..2000).map(|n| orthogonal(&Key::new(n, 0, 5), Shape::from([3, 3]))).collect();
        for entry in 0..9 {
            let values = draws.iter().map(|w| w.as_slice()[entry]);
            let (mean, square) = (values.clone().sum::<f64>() / 2000.0, values.map(|x| x * x).sum::<f64>() / 2000.0);
            // The square of an entry has mean 1/3 and variance 4/45.
            assert!(mean.abs() < 4.0 * (1.0_f64 / 3.0 / 2000.0).sqrt(), "{entry}: {mean}");
            assert!((square - 1.0 / 3.0).abs() < 4.0 * (4.0_f64 / 45.0 / 2000.0).sqrt(), "{entry}: {square}");
        }
    }
}
