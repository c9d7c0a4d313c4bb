//! The adjoint of a convolution with respect to its weights.

use super::blocks::{PARALLEL, block_len, patches_at_once, split as over_threads, taps_at_once};
use super::geometry::Convolution;
use super::narrow::{self, Narrow, ROWS};
use super::patches::gather;
use super::problem::{Problem, split};
use crate::kernels::matmul::{Block, block_product, matmul, matmul_leading};
use crate::parallel::threads_for;
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The adjoint of [`convolve`](super::convolve) with respect to its weights: the sum over images and positions of the
/// products of the inputs that a result reads with the adjoint of the result.
///
/// `x` is [.., height, width, inputs], `y` is [.., output height, output width, outputs] with the same leading axes.
/// The result is [.., kernel height, kernel width, inputs / groups, outputs], with the first `kept` leading axes; the sum
/// runs over the other ones.
///
/// # Panics
/// If an operand has too few axes, or the sizes do not fit.
pub fn convolve_weights<F: Real>(
    pool: &Pool<F>,
    geometry: &Convolution<2>,
    kernel: [usize; 2],
    x: &Tensor<F>,
    y: &Tensor<F>,
    kept: usize,
) -> Tensor<F> {
    let ((lead, input), (lead_y, output)) = (split::<3>(x.shape()), split::<3>(y.shape()));
    assert!(geometry.groups > 0, "expected at least one group");
    let weights = [kernel[0], kernel[1], input[2] / geometry.groups, output[2]];
    let problem = Problem::new(*geometry, input, weights);
    assert!(
        problem.output == output[..2] && lead == lead_y && kept <= lead.rank(),
        "adjoint of the weights of a convolution for shapes {} and {}",
        x.shape(),
        y.shape()
    );
    let shape: Shape = lead[..kept].iter().copied().chain(weights).collect();
    let members: usize = lead[..kept].iter().product();
    let images: usize = lead[kept..].iter().product();
    if problem.is_pointwise() {
        let matrix = |value: &Tensor<F>, channels: usize| {
            let positions = images * problem.output_positions();
            value.clone().with_shape(Shape::from([members, positions, channels]))
        };
        let (x, y) = (matrix(x, problem.inputs), matrix(y, problem.outputs));
        let product = if kept == 0 { matmul_leading(pool, &x, &y) } else { matmul(pool, &x, true, &y, false) };
        return product.with_shape(shape);
    }
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    let results = images * problem.output_positions();
    if results == 0 {
        out.make_mut().fill(F::ZERO);
        return out;
    }
    let (x, y) = (x.as_slice(), y.as_slice());
    let threads = threads_for(pool.threads(), problem.work() * images, PARALLEL);
    let narrow = Narrow::new(&problem);
    let own_space = narrow.map_or_else(|| block_len::<F>(&problem.patches(0)), |narrow| narrow.padded_len());
    let mut space = pool.take(Shape::from([threads * own_space]));
    let (own_x, own_y) = (images * problem.input_len(), images * problem.output_len());
    for (member, out) in out.make_mut().chunks_exact_mut(problem.weights_len()).enumerate() {
        let (x, y) = (&x[member * own_x..(member + 1) * own_x], &y[member * own_y..(member + 1) * own_y]);
        let space = space.make_mut();
        let Some(narrow) = &narrow else {
            write(&problem, threads, results, x, y, out, space);
            continue;
        };
        let (depth, outputs) = (out.len() / problem.outputs, problem.outputs);
        let units = 0..depth.div_ceil(ROWS);
        over_threads(threads, units, ROWS * outputs, out, space, &|units, out, padded| {
            let rows = units.start * ROWS..depth.min(units.end * ROWS);
            narrow::weights(narrow, rows, x, y, out, padded);
        });
    }
    pool.recycle(space);
    out
}

/// Each thread computes the weights of some taps, for all images in the same order. The sums are therefore the same for
/// any number of threads.
fn write<F: Real>(problem: &Problem, threads: usize, results: usize, x: &[F], y: &[F], out: &mut [F], space: &mut [F]) {
    let (outputs, own) = (problem.outputs, problem.group_outputs());
    let (taps, first) = (problem.taps(), problem.patches(0));
    let at_once = taps_at_once(&first).min(taps.div_ceil(threads));
    let rows = patches_at_once::<F>(&first);
    let len = at_once * first.width * outputs;
    over_threads(threads, 0..taps.div_ceil(at_once), len, out, space, &|units, out, space| {
        for (unit, out) in units.zip(out.chunks_mut(len)) {
            let taps = unit * at_once..taps.min((unit + 1) * at_once);
            let depth = taps.len() * first.width;
            for group in 0..problem.geometry.groups {
                let patches = problem.patches(group);
                for start in (0..results).step_by(rows) {
                    let results = start..results.min(start + rows);
                    let count = results.len();
                    gather(&patches, results, taps.clone(), x, space);
                    let left = Block { elements: space, strides: [1, depth] };
                    let right = Block { elements: &y[start * outputs + group * own..], strides: [outputs, 1] };
                    let out = &mut out[group * own..];
                    block_product([depth, own, count], left, right, outputs, start > 0, out);
                }
            }
        }
    });
}
