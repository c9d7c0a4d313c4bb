//! The convolution itself.

use super::blocks::{PARALLEL, Weights, block_len, multiply, patches_at_once, split as over_threads};
use super::geometry::Convolution;
use super::narrow::{self, Narrow};
use super::problem::{Problem, split, with_matrices};
use super::runs::for_runs;
use crate::kernels::matmul::matmul;
use crate::parallel::threads_for;
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// Convolves images with weights. (As in other libraries, the kernel is not reversed.)
///
/// `x` is [.., height, width, inputs], `w` is [.., kernel height, kernel width, inputs / groups, outputs], and the
/// result is [.., output height, output width, outputs] with the sizes of [`Convolution::output_size`]. Leading axes
/// broadcast. Group `g` of the outputs reads group `g` of the inputs.
///
/// # Panics
/// If an operand has too few axes, the sizes do not fit, or the leading axes do not broadcast.
///
/// ```
/// use stochgrad_tensor::convolution::{Convolution, convolve};
/// use stochgrad_tensor::{Pool, Tensor};
///
/// let x = Tensor::from([[1.0, 2.0, 3.0, 4.0]]).with_shape([1, 4, 1]);
/// let w = Tensor::from([10.0, 1.0]).with_shape([1, 2, 1, 1]);
/// let y = convolve(&Pool::new(), &Convolution::new(), &x, &w);
/// assert_eq!(y.as_slice(), &[12.0, 23.0, 34.0]);
/// ```
pub fn convolve<F: Real>(pool: &Pool<F>, geometry: &Convolution<2>, x: &Tensor<F>, w: &Tensor<F>) -> Tensor<F> {
    let ((lead_x, input), (lead_w, weights)) = (split::<3>(x.shape()), split::<4>(w.shape()));
    let problem = Problem::new(*geometry, input, weights);
    let Some(lead) = Shape::broadcast(&lead_x, &lead_w) else {
        panic!("leading axes of shapes {} and {} do not broadcast", x.shape(), w.shape());
    };
    let shape: Shape = lead.iter().copied().chain(problem.output).chain([problem.outputs]).collect();
    if problem.is_pointwise() {
        let x = with_matrices(x, &lead_x, [problem.output_positions(), problem.inputs]);
        let w = with_matrices(w, &lead_w, [problem.inputs, problem.outputs]);
        return matmul(pool, &x, false, &w, false).with_shape(shape);
    }
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    if problem.inputs == 0 {
        out.make_mut().fill(F::ZERO);
        return out;
    }
    let (x, w) = (x.as_slice(), w.as_slice());
    let threads = threads_for(pool.threads(), problem.work() * lead.numel(), PARALLEL);
    let narrow = Narrow::new(&problem);
    let own_space = narrow.map_or_else(|| block_len::<F>(&problem.patches(0)), |narrow| narrow.padded_len());
    let mut space = pool.take(Shape::from([threads * own_space]));
    let (results, spaces) = (out.make_mut(), space.make_mut());
    for_runs(&lead, &lead_x, &lead_w, |run| {
        let source = &x[run.image * problem.input_len()..(run.image + run.count) * problem.input_len()];
        let weights = &w[run.weights * problem.weights_len()..(run.weights + 1) * problem.weights_len()];
        let own = run.result * problem.output_len()..(run.result + run.count) * problem.output_len();
        let out = &mut results[own];
        let Some(narrow) = &narrow else {
            return write(&problem, threads, run.count, source, weights, out, spaces);
        };
        over_threads(threads, 0..run.count, problem.output_len(), out, spaces, &|images, out, padded| {
            let own = images.start * problem.input_len()..images.end * problem.input_len();
            narrow::convolve(narrow, &source[own], weights, out, padded);
        });
    });
    pool.recycle(space);
    out
}

/// Convolves images that share their weights.
fn write<F: Real>(problem: &Problem, threads: usize, images: usize, x: &[F], w: &[F], out: &mut [F], space: &mut [F]) {
    let (outputs, own) = (problem.outputs, problem.group_outputs());
    let results = images * problem.output_positions();
    let rows = patches_at_once::<F>(&problem.patches(0));
    let units = 0..results.div_ceil(rows);
    over_threads(threads, units, rows * outputs, out, space, &|units, out, space| {
        for (unit, out) in units.zip(out.chunks_mut(rows * outputs)) {
            for group in 0..problem.geometry.groups {
                let columns = group * own;
                let weights = Weights { elements: &w[columns..], stride: outputs, columns: own };
                let results = unit * rows..results.min((unit + 1) * rows);
                multiply(&problem.patches(group), results, x, weights, &mut out[columns..], outputs, space);
            }
        }
    });
}
