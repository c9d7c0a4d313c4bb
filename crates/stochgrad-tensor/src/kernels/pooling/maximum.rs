//! The largest elements of windows, and their positions.

use super::geometry::Pooling;
use super::windows::Windows;
use crate::parallel::{ARITHMETIC, fill, threads_for};
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The largest elements of windows; NaN if a window contains one. `x` is [.., height, width, channels], and the result
/// has the sizes of [`Pooling::output_size`]. Positions outside `x` are left out.
///
/// # Panics
/// If there are fewer than three axes, or the windows do not fit.
///
/// ```
/// use stochgrad_tensor::pooling::{Pooling, max_pool, max_pool_positions};
/// use stochgrad_tensor::{Pool, Tensor};
///
/// let (pool, pairs) = (Pool::new(), Pooling::new([1, 2]));
/// let x = Tensor::from([[1.0, 2.0, 4.0, 3.0]]).with_shape([1, 4, 1]);
/// assert_eq!(max_pool(&pool, &pairs, &x).as_slice(), &[2.0, 4.0]);
/// assert_eq!(max_pool_positions(&pool, &pairs, &x).as_slice(), &[1.0, 2.0]);
/// ```
pub fn max_pool<F: Real>(pool: &Pool<F>, pooling: &Pooling<2>, x: &Tensor<F>) -> Tensor<F> {
    pooled(pool, pooling, x, largest)
}

/// The positions of the largest elements of windows, as `row · width + column`: the first of equal elements, or the
/// first NaN. The shapes are those of [`max_pool`].
///
/// # Panics
/// As [`max_pool`].
pub fn max_pool_positions<F: Real>(pool: &Pool<F>, pooling: &Pooling<2>, x: &Tensor<F>) -> Tensor<F> {
    pooled(pool, pooling, x, positions)
}

fn pooled<F: Real>(
    pool: &Pool<F>,
    pooling: &Pooling<2>,
    x: &Tensor<F>,
    rows: fn(&Windows, usize, &[F], &mut [F]),
) -> Tensor<F> {
    let (windows, lead) = Windows::new(pooling, x.shape());
    let shape: Shape = lead.iter().copied().chain(windows.output).chain([windows.channels]).collect();
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    let threads = threads_for(pool.threads(), x.len(), ARITHMETIC);
    let (x, row) = (x.as_slice(), windows.output_row());
    fill(threads, out.make_mut(), row, |start, out| rows(&windows, start / row, x, out));
    out
}

dispatch! {
    fn largest<F: Real>(windows: &Windows, first: usize, x: &[F], out: &mut [F]) = largest_body;
}

#[inline(always)]
fn largest_body<const FMA: bool, F: Real>(windows: &Windows, first: usize, x: &[F], out: &mut [F]) {
    let channels = windows.channels;
    out.fill(F::NEG_INFINITY);
    for_windows(windows, first, out, |at, out| {
        for (out, &x) in out.iter_mut().zip(&x[at..at + channels]) {
            *out = if x > *out || x.is_nan() { x } else { *out };
        }
    });
}

dispatch! {
    fn positions<F: Real>(windows: &Windows, first: usize, x: &[F], out: &mut [F]) = positions_body;
}

#[inline(always)]
fn positions_body<const FMA: bool, F: Real>(windows: &Windows, first: usize, x: &[F], out: &mut [F]) {
    let channels = windows.channels;
    let image = windows.input_len();
    // Until a window has a position, its elements are −1.
    out.fill(-F::ONE);
    for_windows(windows, first, out, |at, out| {
        let start = at / image * image;
        let position = F::from_usize((at - start) / channels);
        for (channel, out) in out.iter_mut().enumerate() {
            let value = x[at + channel];
            let better = *out < F::ZERO || {
                let best = x[start + position_of(*out) * channels + channel];
                value > best || value.is_nan() && !best.is_nan()
            };
            *out = if better { position } else { *out };
        }
    });
}

#[inline(always)]
fn position_of<F: Real>(position: F) -> usize {
    position.to_f64() as usize
}

/// Calls `visit` with each position of each window: its place in the images, and the elements of the result.
#[inline(always)]
fn for_windows<F: Real>(windows: &Windows, first: usize, out: &mut [F], mut visit: impl FnMut(usize, &mut [F])) {
    let channels = windows.channels;
    for (row, out) in out.chunks_exact_mut(windows.output_row()).enumerate() {
        let (image, row) = ((first + row) / windows.output[0], (first + row) % windows.output[0]);
        for (column, out) in out.chunks_exact_mut(channels).enumerate() {
            for y in windows.covered(0, row) {
                for at in windows.covered(1, column) {
                    visit(image * windows.input_len() + (y * windows.input[1] + at) * channels, out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{same_bits, scrambled, tensor_of};

    /// The largest element and its position in each window, by loops over all positions.
    fn naive(pooling: Pooling<2>, x: &Tensor<f64>) -> [Tensor<f64>; 2] {
        let [images, height, width, channels] = x.shape()[..] else { panic!("four axes") };
        let [rows, columns] = pooling.output_size([height, width]).unwrap();
        [0, 1].map(|what| {
            tensor_of(&[images, rows, columns, channels], |index| {
                let mut best: Option<[f64; 2]> = None;
                let covers = |axis: usize, at: usize| {
                    let from = index[axis + 1] * pooling.stride[axis];
                    (from..from + pooling.window[axis]).contains(&(at + pooling.padding[axis]))
                };
                for row in (0..height).filter(|&row| covers(0, row)) {
                    for column in (0..width).filter(|&column| covers(1, column)) {
                        let value = x.get(&[index[0], row, column, index[3]]).unwrap();
                        let better = |best: [f64; 2]| value > best[0] || value.is_nan() && !best[0].is_nan();
                        if best.is_none_or(better) {
                            best = Some([value, (row * width + column) as f64]);
                        }
                    }
                }
                best.unwrap()[what]
            })
        })
    }

    #[test]
    fn the_largest_elements_and_their_positions_agree_with_index_arithmetic() {
        for (pooling, input, channels) in [
            (Pooling::new([2, 2]), [5, 6], 3),
            (Pooling::new([3, 2]).stride([1, 3]).padding([1, 0]), [6, 7], 1),
            (Pooling::new([1, 4]).stride([1, 2]).padding([0, 2]), [1, 9], 5),
            (Pooling::new([5, 5]).padding([2, 2]), [1, 1], 2),
            (Pooling::new([2, 2]), [64, 50], 33),
        ] {
            let x = scrambled(&[2, input[0], input[1], channels]);
            let rounded = x.map(f64::round);
            let special = x.map(|x| {
                if x > 2.5 {
                    f64::NAN
                } else if x < 0.0 {
                    f64::NEG_INFINITY
                } else {
                    x
                }
            });
            for x in [x, rounded, special] {
                let pool = Pool::new();
                let found = [max_pool(&pool, &pooling, &x), max_pool_positions(&pool, &pooling, &x)];
                for (found, expected) in found.iter().zip(naive(pooling, &x)) {
                    assert_eq!(found.shape(), expected.shape());
                    let pairs = found.as_slice().iter().zip(expected.as_slice());
                    pairs.for_each(|(a, b)| assert!(a == b || a.is_nan() && b.is_nan(), "{pooling:?}: {a}, not {b}"));
                }
                let pool = Pool::with_threads(8);
                assert!(same_bits(&found[0], &max_pool(&pool, &pooling, &x)));
                assert!(same_bits(&found[1], &max_pool_positions(&pool, &pooling, &x)));
            }
        }
        assert!(max_pool(&Pool::new(), &Pooling::new([2, 2]), &scrambled(&[0, 4, 4, 2])).is_empty());
    }
}
