//! The adjoint of a convolution with respect to its input, which is the transposed convolution.

use super::blocks::{PARALLEL, Weights, block_len, multiply, patches_at_once, split as over_threads};
use super::geometry::Convolution;
use super::patches::{Patches, scatter};
use super::phases::Phase;
use super::problem::{Problem, split, with_matrices};
use super::runs::for_runs;
use crate::kernels::matmul::{Block, block_product, matmul};
use crate::parallel::threads_for;
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// With fewer channels of a group of the result than this, the products of all taps are added up.
const FEW: usize = 8;

/// The largest number of results whose products are added up at once.
const ADDED: usize = 256;

/// The adjoint of [`convolve`](super::convolve) with respect to its input, which is the transposed convolution: each
/// element of `y`, times the weights, is added to the inputs that it was computed from.
///
/// `y` is [.., output height, output width, outputs], `w` is [.., kernel height, kernel width, inputs / groups,
/// outputs], and the result is [.., height, width, inputs] with the given `size`, [height, width]. The size of `y` must
/// be the output size of the convolution for this size. Leading axes broadcast.
///
/// # Panics
/// If an operand has too few axes, the sizes do not fit, or the leading axes do not broadcast.
pub fn convolve_adjoint<F: Real>(
    pool: &Pool<F>,
    geometry: &Convolution<2>,
    size: [usize; 2],
    y: &Tensor<F>,
    w: &Tensor<F>,
) -> Tensor<F> {
    let ((lead_y, output), (lead_w, weights)) = (split::<3>(y.shape()), split::<4>(w.shape()));
    let inputs = weights[2] * geometry.groups;
    let problem = Problem::new(*geometry, [size[0], size[1], inputs], weights);
    assert!(
        output == [problem.output[0], problem.output[1], problem.outputs],
        "transposed convolution of shape {} with weights of shape {} to the size {size:?}",
        y.shape(),
        w.shape()
    );
    let Some(lead) = Shape::broadcast(&lead_y, &lead_w) else {
        panic!("leading axes of shapes {} and {} do not broadcast", y.shape(), w.shape());
    };
    let shape: Shape = lead.iter().copied().chain(size).chain([inputs]).collect();
    if problem.is_pointwise() {
        let y = with_matrices(y, &lead_y, [problem.output_positions(), problem.outputs]);
        let w = with_matrices(w, &lead_w, [inputs, problem.outputs]);
        return matmul(pool, &y, false, &w, true).with_shape(shape);
    }
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    if problem.outputs == 0 {
        out.make_mut().fill(F::ZERO);
        return out;
    }
    let (y, w) = (y.as_slice(), w.as_slice());
    let threads = threads_for(pool.threads(), problem.work() * lead.numel(), PARALLEL);
    let adds = problem.group_inputs() < FEW;
    let space_len = if adds { ADDED * problem.taps() * problem.group_inputs() } else { space_len::<F>(&problem) };
    let mut space = pool.take(Shape::from([threads * space_len]));
    let mut turned = pool.take(Shape::from([if adds { 0 } else { problem.weights_len() }]));
    let (results, spaces, turned_weights) = (out.make_mut(), space.make_mut(), turned.make_mut());
    for_runs(&lead, &lead_y, &lead_w, |run| {
        let source = &y[run.image * problem.output_len()..(run.image + run.count) * problem.output_len()];
        let weights = &w[run.weights * problem.weights_len()..(run.weights + 1) * problem.weights_len()];
        let own = run.result * problem.input_len()..(run.result + run.count) * problem.input_len();
        let out = &mut results[own];
        if adds {
            over_threads(threads, 0..run.count, problem.input_len(), out, spaces, &|images, out, space| {
                let own = images.start * problem.output_len()..images.end * problem.output_len();
                add_up(&problem, &source[own], weights, out, space);
            });
        } else {
            turn(&problem, weights, turned_weights);
            let images = images_at_once::<F>(&problem);
            let units = 0..run.count.div_ceil(images);
            over_threads(threads, units, images * problem.input_len(), out, spaces, &|units, out, space| {
                let outs = out.chunks_mut(images * problem.input_len());
                for (source, out) in source.chunks(images * problem.output_len()).skip(units.start).zip(outs) {
                    by_phases(&problem, source, turned_weights, out, space);
                }
            });
        }
    });
    pool.recycle(space);
    pool.recycle(turned);
    out
}

/// Computes the products of all taps, and adds them up. The products that are added at once are those of whole images,
/// or begin at fixed positions of one image, so that the order of the additions does not depend on the division of the
/// images.
fn add_up<F: Real>(problem: &Problem, y: &[F], w: &[F], out: &mut [F], products: &mut [F]) {
    let (outputs, own) = (problem.outputs, problem.group_outputs());
    out.fill(F::ZERO);
    let depth = problem.taps() * problem.group_inputs();
    let images = (ADDED / problem.output_positions()).max(1);
    let groups = y.chunks(images * problem.output_len()).zip(out.chunks_mut(images * problem.input_len()));
    for (y, out) in groups {
        let results = y.len() / outputs;
        for start in (0..results).step_by(ADDED) {
            let results = start..results.min(start + ADDED);
            for group in 0..problem.geometry.groups {
                // A row of products for each tap and channel, which is added to elements at equal distances.
                let weights = Block { elements: &w[group * own..], strides: [outputs, 1] };
                let columns = Block { elements: &y[start * outputs + group * own..], strides: [1, outputs] };
                let count = results.len();
                block_product([depth, count, own], weights, columns, count, false, products);
                scatter(&problem.patches(group), results.clone(), products, out);
            }
        }
    }
}

/// Calls `visit` with the phases along both axes, the patches of the output of the first group, and the number of
/// elements of the weights of the phases before.
fn for_phases(problem: &Problem, mut visit: impl FnMut([Phase; 2], Patches, usize)) {
    let (own, mut before) = (problem.group_outputs(), 0);
    let phases = |axis: usize| (0..problem.geometry.stride[axis]).filter_map(move |r| Phase::new(problem, axis, r));
    for down in phases(0) {
        for across in phases(1) {
            let patches =
                Patches { rows: down.line, columns: across.line, channels: problem.outputs, from: 0, width: own };
            visit([down, across], patches, before);
            before += patches.taps() * problem.outputs * problem.group_inputs();
        }
    }
}

/// The weights in the order in which the phases use them: for each phase and group, a matrix with a row for each tap
/// and output channel, and a column for each input channel.
fn turn<F: Real>(problem: &Problem, w: &[F], out: &mut [F]) {
    let (inputs, outputs, own) = (problem.group_inputs(), problem.outputs, problem.group_outputs());
    let matrix = inputs * outputs;
    for_phases(problem, |[down, across], patches, before| {
        let blocks = out[before..before + patches.taps() * matrix].chunks_exact_mut(own * inputs);
        for (number, out) in blocks.enumerate() {
            let (group, tap) = (number / patches.taps(), number % patches.taps());
            let (row, column) = (down.tap(tap / across.line.taps), across.tap(tap % across.line.taps));
            let w = &w[(row * problem.kernel[1] + column) * matrix + group * own..];
            for (output, out) in out.chunks_exact_mut(inputs).enumerate() {
                for (input, out) in out.iter_mut().enumerate() {
                    *out = w[input * outputs + output];
                }
            }
        }
    });
}

/// The number of images whose results are computed together.
fn images_at_once<F: Real>(problem: &Problem) -> usize {
    let mut images = usize::MAX;
    for_phases(problem, |_, patches, _| {
        if patches.taps() > 0 {
            images = images.min((patches_at_once::<F>(&patches) / patches.per_image()).max(1));
        }
    });
    if images == usize::MAX { 1 } else { images }
}

/// The number of elements of the space for patches and products.
fn space_len<F: Real>(problem: &Problem) -> usize {
    let mut len = 0;
    for_phases(problem, |_, patches, _| {
        if patches.taps() > 0 {
            let products = patches_at_once::<F>(&patches) * problem.group_inputs();
            len = len.max(block_len::<F>(&patches) + products);
        }
    });
    len
}

/// Writes the results of some images phase by phase.
fn by_phases<F: Real>(problem: &Problem, y: &[F], w: &[F], out: &mut [F], space: &mut [F]) {
    let (inputs, own) = (problem.inputs, problem.group_inputs());
    let images = out.len() / problem.input_len();
    let [height, width] = problem.input;
    let [down_by, across_by] = problem.geometry.stride;
    let matrix = own * problem.group_outputs();
    for_phases(problem, |[down, across], patches, before| {
        let results = images * patches.per_image();
        // The position in the result of the result of a patch.
        let place = |result: usize| {
            let (line, column) = (result / across.line.count, result % across.line.count);
            let (image, row) = (line / down.line.count, line % down.line.count);
            let line = image * height + down.start + row * down_by;
            (line * width + across.start + column * across_by) * inputs
        };
        if patches.taps() == 0 {
            (0..results).for_each(|result| out[place(result)..][..inputs].fill(F::ZERO));
            return;
        }
        let rows = patches_at_once::<F>(&patches);
        let (block, products) = space.split_at_mut(block_len::<F>(&patches));
        for start in (0..results).step_by(rows) {
            let results = start..results.min(start + rows);
            for group in 0..problem.geometry.groups {
                let patches = Patches { from: group * patches.width, ..patches };
                let elements = &w[before + group * patches.taps() * matrix..];
                let weights = Weights { elements, stride: own, columns: own };
                multiply(&patches, results.clone(), y, weights, products, own, block);
                for (result, products) in results.clone().zip(products.chunks_exact(own)) {
                    out[place(result) + group * own..][..own].copy_from_slice(products);
                }
            }
        }
    });
}
