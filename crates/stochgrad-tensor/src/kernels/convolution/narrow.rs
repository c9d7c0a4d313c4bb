//! Convolutions whose results read few elements, such as those of images with one channel.
//!
//! Gathering short patches would take longer than their products. These kernels read the elements directly from a copy
//! of the image with its padding, which stays in the first-level cache. They keep the sums of several results, or of
//! several weights, in registers.

use std::ops::Range;

use super::problem::Problem;
use crate::real::Real;
use crate::simd::dispatch;

/// The largest number of elements that a result reads.
const DEPTH: usize = 64;

/// The least number of output channels, which are a vector.
const OUTPUTS: usize = 16;

/// The number of rows of weights that are computed together.
pub(super) const ROWS: usize = 8;

/// The largest number of positions whose products are summed before the sum is added to the weights.
const SUMMED: usize = 256;

/// A convolution whose results read few elements.
#[derive(Clone, Copy)]
pub(super) struct Narrow {
    problem: Problem,
    /// The size of an image with the part of its padding that is read.
    size: [usize; 2],
    /// For each element that a result reads, its distance from the first one in the padded image.
    offsets: [usize; DEPTH],
    depth: usize,
}

impl Narrow {
    /// `None` if a result reads too many elements, if there are too few output channels, or if images are empty.
    pub(super) fn new(problem: &Problem) -> Option<Self> {
        let (inputs, depth) = (problem.inputs, problem.taps() * problem.inputs);
        if depth > DEPTH || problem.outputs < OUTPUTS || problem.geometry.groups > 1 || problem.input_len() == 0 {
            return None;
        }
        let size = [0, 1].map(|axis| {
            let (stride, dilation) = (problem.geometry.stride[axis], problem.geometry.dilation[axis]);
            (problem.output[axis] - 1) * stride + (problem.kernel[axis] - 1) * dilation + 1
        });
        let mut offsets = [0; DEPTH];
        for (number, offset) in offsets[..depth].iter_mut().enumerate() {
            let (tap, channel) = (number / inputs, number % inputs);
            let (row, column) = (tap / problem.kernel[1], tap % problem.kernel[1]);
            let [down, across] = problem.geometry.dilation;
            *offset = (row * down * size[1] + column * across) * inputs + channel;
        }
        Some(Narrow { problem: *problem, size, offsets, depth })
    }

    /// The number of elements of the copy of an image.
    pub(super) fn padded_len(&self) -> usize {
        self.size[0] * self.size[1] * self.problem.inputs
    }

    /// Copies an image with its padding.
    #[inline(always)]
    fn pad<F: Real>(&self, x: &[F], padded: &mut [F]) {
        let Problem { input, inputs, geometry, .. } = self.problem;
        let (from, width) = (geometry.padding[1].min(self.size[1]), self.size[1] * inputs);
        let len = input[1].min(self.size[1] - from) * inputs;
        for (row, out) in padded[..self.padded_len()].chunks_exact_mut(width).enumerate() {
            match row.checked_sub(geometry.padding[0]).filter(|&row| row < input[0]) {
                Some(row) => {
                    out[..from * inputs].fill(F::ZERO);
                    out[from * inputs..][..len].copy_from_slice(&x[row * input[1] * inputs..][..len]);
                    out[from * inputs + len..].fill(F::ZERO);
                }
                None => out.fill(F::ZERO),
            }
        }
    }

    /// The place in the padded image of the first element that a result reads.
    #[inline(always)]
    fn place(&self, row: usize, column: usize) -> usize {
        let [down, across] = self.problem.geometry.stride;
        (row * down * self.size[1] + column * across) * self.problem.inputs
    }
}

dispatch! {
    /// Convolves images.
    pub(super) fn convolve<F: Real>(narrow: &Narrow, x: &[F], w: &[F], out: &mut [F], padded: &mut [F])
        = convolve_body;
}

#[inline(always)]
fn convolve_body<const FMA: bool, F: Real>(narrow: &Narrow, x: &[F], w: &[F], out: &mut [F], padded: &mut [F]) {
    let problem = &narrow.problem;
    let images = x.chunks_exact(problem.input_len()).zip(out.chunks_exact_mut(problem.output_len()));
    for (x, out) in images {
        narrow.pad(x, padded);
        for (row, out) in out.chunks_exact_mut(problem.output[1] * problem.outputs).enumerate() {
            let x = &padded[narrow.place(row, 0)..];
            match problem.output[1] {
                8.. => convolve_row::<FMA, F, 8>(narrow, x, w, out),
                4.. => convolve_row::<FMA, F, 4>(narrow, x, w, out),
                _ => convolve_row::<FMA, F, 1>(narrow, x, w, out),
            }
        }
    }
}

/// Computes a row of results, `P` at a time. The last ones overlap with those before.
#[inline(always)]
fn convolve_row<const FMA: bool, F: Real, const P: usize>(narrow: &Narrow, x: &[F], w: &[F], out: &mut [F]) {
    let (count, outputs) = (narrow.problem.output[1], narrow.problem.outputs);
    for start in (0..count).step_by(P) {
        let start = start.min(count - P);
        let (x, out) = (&x[narrow.place(0, start)..], &mut out[start * outputs..(start + P) * outputs]);
        let mut column = 0;
        while column < outputs {
            let (w, out) = (&w[column..], &mut out[column..]);
            column += match outputs - column {
                32.. => convolve_tile::<FMA, F, P, 2, 16>(narrow, x, w, out),
                16.. => convolve_tile::<FMA, F, P, 1, 16>(narrow, x, w, out),
                4.. => convolve_tile::<FMA, F, P, 1, 4>(narrow, x, w, out),
                _ => convolve_tile::<FMA, F, P, 1, 1>(narrow, x, w, out),
            };
        }
    }
}

/// Sums that are aligned to a cache line, so that no load or store crosses a line boundary.
#[repr(C, align(64))]
struct Sums<F, const N: usize, const T: usize, const W: usize>([[[F; W]; T]; N]);

/// Computes `T · W` outputs of `P` results, and returns the number of outputs.
#[inline(always)]
fn convolve_tile<const FMA: bool, F: Real, const P: usize, const T: usize, const W: usize>(
    narrow: &Narrow,
    x: &[F],
    w: &[F],
    out: &mut [F],
) -> usize {
    let (outputs, step) = (narrow.problem.outputs, narrow.place(0, 1));
    let mut aligned = Sums([[[F::ZERO; W]; T]; P]);
    let sums = &mut aligned.0;
    for (&offset, w) in narrow.offsets[..narrow.depth].iter().zip(w.chunks(outputs)) {
        let x = &x[offset..=offset + (P - 1) * step];
        let (w, _) = w[..T * W].as_chunks::<W>();
        for (p, sums) in sums.iter_mut().enumerate() {
            let x = x[p * step];
            for (sums, w) in sums.iter_mut().zip(w) {
                for (sum, &w) in sums.iter_mut().zip(w) {
                    *sum = x.multiply_add::<FMA>(w, *sum);
                }
            }
        }
    }
    for (sums, out) in sums.iter().zip(out.chunks_mut(outputs)) {
        out[..T * W].copy_from_slice(sums.as_flattened());
    }
    T * W
}

dispatch! {
    /// Computes some rows of the adjoint of the weights, which have one row for each element that a result reads.
    pub(super) fn weights<F: Real>(
        narrow: &Narrow,
        rows: Range<usize>,
        x: &[F],
        y: &[F],
        out: &mut [F],
        padded: &mut [F],
    ) = weights_body;
}

#[inline(always)]
fn weights_body<const FMA: bool, F: Real>(
    narrow: &Narrow,
    rows: Range<usize>,
    x: &[F],
    y: &[F],
    out: &mut [F],
    padded: &mut [F],
) {
    let problem = &narrow.problem;
    let outputs = problem.outputs;
    let at_once = (SUMMED / problem.output[1]).max(1);
    out.fill(F::ZERO);
    for (x, y) in x.chunks_exact(problem.input_len()).zip(y.chunks_exact(problem.output_len())) {
        narrow.pad(x, padded);
        for start in (0..problem.output[0]).step_by(at_once) {
            let results = start..problem.output[0].min(start + at_once);
            let mut row = rows.start;
            while row < rows.end {
                let out = &mut out[(row - rows.start) * outputs..];
                row += match rows.end - row {
                    ROWS.. => weights_rows::<FMA, F, ROWS>(narrow, row, results.clone(), padded, y, out),
                    4.. => weights_rows::<FMA, F, 4>(narrow, row, results.clone(), padded, y, out),
                    _ => weights_rows::<FMA, F, 1>(narrow, row, results.clone(), padded, y, out),
                };
            }
        }
    }
}

/// Adds to `K` rows of the adjoint of the weights, and returns the number of rows.
#[inline(always)]
fn weights_rows<const FMA: bool, F: Real, const K: usize>(
    narrow: &Narrow,
    row: usize,
    results: Range<usize>,
    padded: &[F],
    y: &[F],
    out: &mut [F],
) -> usize {
    let outputs = narrow.problem.outputs;
    let mut column = 0;
    while column < outputs {
        let (y, out) = (&y[column..], &mut out[column..]);
        let results = results.clone();
        column += match outputs - column {
            32.. => weights_tile::<FMA, F, K, 2, 16>(narrow, row, results, padded, y, out),
            16.. => weights_tile::<FMA, F, K, 1, 16>(narrow, row, results, padded, y, out),
            4.. => weights_tile::<FMA, F, K, 1, 4>(narrow, row, results, padded, y, out),
            _ => weights_tile::<FMA, F, K, 1, 1>(narrow, row, results, padded, y, out),
        };
    }
    K
}

/// Adds the products of some rows of results to `T · W` outputs of `K` rows, and returns the number of outputs.
#[inline(always)]
fn weights_tile<const FMA: bool, F: Real, const K: usize, const T: usize, const W: usize>(
    narrow: &Narrow,
    row: usize,
    results: Range<usize>,
    padded: &[F],
    y: &[F],
    out: &mut [F],
) -> usize {
    let Problem { outputs, output, .. } = narrow.problem;
    let offsets: &[usize; K] = narrow.offsets[row..].first_chunk().expect("enough rows");
    let step = narrow.place(0, 1);
    let mut aligned = Sums([[[F::ZERO; W]; T]; K]);
    let sums = &mut aligned.0;
    for result in results {
        let x = &padded[narrow.place(result, 0)..];
        let y = y[result * output[1] * outputs..].chunks(outputs).take(output[1]);
        for (column, y) in y.enumerate() {
            let x = &x[column * step..];
            let (y, _) = y[..T * W].as_chunks::<W>();
            for (&offset, sums) in offsets.iter().zip(&mut *sums) {
                let x = x[offset];
                for (sums, y) in sums.iter_mut().zip(y) {
                    for (sum, &y) in sums.iter_mut().zip(y) {
                        *sum = x.multiply_add::<FMA>(y, *sum);
                    }
                }
            }
        }
    }
    for (sums, out) in sums.iter().zip(out.chunks_mut(outputs)) {
        for (out, &sum) in out.iter_mut().zip(sums.as_flattened()) {
            *out += sum;
        }
    }
    T * W
}
