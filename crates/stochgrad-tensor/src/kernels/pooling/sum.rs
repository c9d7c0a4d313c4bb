//! Sums over windows, and their adjoint.

use super::geometry::Pooling;
use super::windows::Windows;
use crate::parallel::{ARITHMETIC, fill, threads_for};
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The sums over windows. `x` is [.., height, width, channels], and the result has the sizes of
/// [`Pooling::output_size`]. Positions outside `x` count as zeros.
///
/// # Panics
/// If there are fewer than three axes, or the windows do not fit.
///
/// ```
/// use stochgrad_tensor::pooling::{Pooling, sum_pool};
/// use stochgrad_tensor::{Pool, Tensor};
///
/// let x = Tensor::from([[1.0, 2.0, 3.0, 4.0]]).with_shape([1, 4, 1]);
/// assert_eq!(sum_pool(&Pool::new(), &Pooling::new([1, 2]), &x).as_slice(), &[3.0, 7.0]);
/// ```
pub fn sum_pool<F: Real>(pool: &Pool<F>, pooling: &Pooling<2>, x: &Tensor<F>) -> Tensor<F> {
    let (windows, lead) = Windows::new(pooling, x.shape());
    let shape: Shape = lead.iter().copied().chain(windows.output).chain([windows.channels]).collect();
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    let threads = threads_for(pool.threads(), x.len(), ARITHMETIC);
    let (x, row) = (x.as_slice(), windows.output_row());
    fill(threads, out.make_mut(), row, |start, out| sum_rows(&windows, start / row, x, out));
    out
}

dispatch! {
    fn sum_rows<F: Real>(windows: &Windows, first: usize, x: &[F], out: &mut [F]) = sum_rows_body;
}

#[inline(always)]
fn sum_rows_body<const FMA: bool, F: Real>(windows: &Windows, first: usize, x: &[F], out: &mut [F]) {
    let channels = windows.channels;
    out.fill(F::ZERO);
    for (row, out) in out.chunks_exact_mut(windows.output_row()).enumerate() {
        let (image, row) = ((first + row) / windows.output[0], (first + row) % windows.output[0]);
        let x = &x[image * windows.input_len()..(image + 1) * windows.input_len()];
        for (column, out) in out.chunks_exact_mut(channels).enumerate() {
            for y in windows.covered(0, row) {
                for at in windows.covered(1, column) {
                    let x = &x[(y * windows.input[1] + at) * channels..][..channels];
                    for (out, &x) in out.iter_mut().zip(x) {
                        *out += x;
                    }
                }
            }
        }
    }
}

/// The adjoint of [`sum_pool`]: each element of `y` is added to all positions of its window. `y` is
/// [.., output height, output width, channels], and the result is [.., height, width, channels] with the given `size`.
///
/// # Panics
/// If there are fewer than three axes, or the size of `y` is not the output size for `size`.
pub fn sum_pool_adjoint<F: Real>(pool: &Pool<F>, pooling: &Pooling<2>, size: [usize; 2], y: &Tensor<F>) -> Tensor<F> {
    let Some((lead, &[rows, columns, channels])) = y.shape().split_last_chunk() else {
        panic!("expected at least three axes for pooling, got shape {}", y.shape());
    };
    let shape: Shape = lead.iter().copied().chain(size).chain([channels]).collect();
    let (windows, _) = Windows::new(pooling, &shape);
    assert_eq!(windows.output, [rows, columns], "adjoint of pooling for shape {} and size {size:?}", y.shape());
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    let threads = threads_for(pool.threads(), out.len(), ARITHMETIC);
    let (y, image) = (y.as_slice(), windows.input_len());
    fill(threads, out.make_mut(), image, |start, out| spread(&windows, start / image, y, out));
    out
}

dispatch! {
    fn spread<F: Real>(windows: &Windows, first: usize, y: &[F], out: &mut [F]) = spread_body;
}

#[inline(always)]
fn spread_body<const FMA: bool, F: Real>(windows: &Windows, first: usize, y: &[F], out: &mut [F]) {
    let channels = windows.channels;
    out.fill(F::ZERO);
    for (image, out) in out.chunks_exact_mut(windows.input_len()).enumerate() {
        let y = &y[(first + image) * windows.output_len()..(first + image + 1) * windows.output_len()];
        for (number, y) in y.chunks_exact(channels).enumerate() {
            let (row, column) = (number / windows.output[1], number % windows.output[1]);
            for to in windows.covered(0, row) {
                for at in windows.covered(1, column) {
                    let out = &mut out[(to * windows.input[1] + at) * channels..][..channels];
                    for (out, &y) in out.iter_mut().zip(y) {
                        *out += y;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{same_bits, scrambled, tensor_of};

    #[test]
    fn sums_and_their_adjoint_agree_with_index_arithmetic() {
        for (pooling, input, channels) in [
            (Pooling::new([2, 2]), [5, 6], 3),
            (Pooling::new([3, 2]).stride([1, 3]).padding([1, 0]), [6, 7], 1),
            (Pooling::new([1, 4]).stride([1, 2]).padding([0, 2]), [1, 9], 5),
            (Pooling::new([5, 5]).padding([2, 2]), [1, 1], 2),
            (Pooling::new([2, 2]), [64, 50], 33),
            (Pooling::new([2, 2]), [4, 4], 0),
        ] {
            let x = scrambled(&[2, input[0], input[1], channels]);
            let covers = |axis: usize, number: usize, at: usize| {
                let from = number * pooling.stride[axis];
                (from..from + pooling.window[axis]).contains(&(at + pooling.padding[axis]))
            };
            let output = pooling.output_size(input).unwrap();
            let expected = tensor_of(&[2, output[0], output[1], channels], |index| {
                let mut sum = 0.0;
                for row in (0..input[0]).filter(|&row| covers(0, index[1], row)) {
                    for column in (0..input[1]).filter(|&column| covers(1, index[2], column)) {
                        sum += x.get(&[index[0], row, column, index[3]]).unwrap();
                    }
                }
                sum
            });
            let pool = Pool::new();
            let found = sum_pool(&pool, &pooling, &x);
            assert!(found.max_abs_difference(&expected).unwrap() < 1e-12, "{pooling:?}");
            let y = scrambled(found.shape()).map(f64::sin);
            let adjoint = sum_pool_adjoint(&pool, &pooling, input, &y);
            let back = tensor_of(x.shape(), |index| {
                let rows = (0..output[0]).filter(|&row| covers(0, row, index[1]));
                let columns = |_| (0..output[1]).filter(|&column| covers(1, column, index[2]));
                let each = rows.flat_map(|row| columns(row).map(move |column| (row, column)));
                each.map(|(row, column)| y.get(&[index[0], row, column, index[3]]).unwrap()).sum()
            });
            assert!(adjoint.max_abs_difference(&back).unwrap() < 1e-12, "{pooling:?}");
            for threads in [2, 8] {
                let pool = Pool::with_threads(threads);
                assert!(same_bits(&sum_pool(&pool, &pooling, &x), &found));
                assert!(same_bits(&sum_pool_adjoint(&pool, &pooling, input, &y), &adjoint));
            }
        }
    }
}
