//! Gathering elements along an axis, and its adjoint.

use smallvec::SmallVec;

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::layout::position::position;
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// Gathers along an axis: the result at [.., i, ..] is `x` at [.., index[.., i, ..], ..].
///
/// `index` has the rank of `x` and any size along the axis; the other axes broadcast. The result is NaN where the index
/// is not an integer in 0..size, where size is that of the axis.
///
/// # Panics
/// If there is no such axis, the ranks differ, or the other axes do not broadcast.
pub fn gather<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, index: &Tensor<F>) -> Tensor<F> {
    let (_, size, inner) = x.shape().around(axis);
    let shape = common_shape(x.shape(), index.shape(), axis, index.shape().get(axis).copied());
    let mut out = pool.take(shape);
    let iter = GatherIter::new(out.shape(), x.shape(), index.shape(), axis);
    let stride = inner;
    let (x, index) = (x.as_slice(), index.as_slice());
    let data = out.make_mut();
    iter.visit(|to, at_x, at_index| {
        data[to] = position(index[at_index], size).map_or(F::NAN, |p| x[at_x + p * stride]);
    });
    out
}

/// Adds `x` at [.., i, ..] to the result at [.., index[.., i, ..], ..]. The result starts as zeros and has size `len`
/// along the axis. This is the adjoint of [`gather`].
///
/// The other axes broadcast; along the axis, a size of 1 broadcasts as well. An index that is not an integer in
/// 0..`len` is ignored.
///
/// # Panics
/// If there is no such axis, the ranks differ, or the axes do not broadcast.
pub fn scatter_add<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, index: &Tensor<F>, len: usize) -> Tensor<F> {
    let broadcast = Shape::broadcast(x.shape(), index.shape());
    let Some(shape) = broadcast.filter(|_| x.rank() == index.rank() && axis < x.rank()) else {
        panic!("cannot scatter shape {} by an index of shape {} along axis {axis}", x.shape(), index.shape());
    };
    let mut out = pool.full(shape.with_size(axis, len), F::ZERO);
    if shape.numel() == 0 {
        return out;
    }
    let iter = BroadcastIter::new(&shape, [x.shape(), index.shape()]);
    let (_, size, inner) = shape.around(axis);
    let (x, index) = (x.as_slice(), index.as_slice());
    let data = out.make_mut();
    iter.for_rows(0, iter.rows(), |row, [at_x, at_index]| {
        for i in 0..iter.inner {
            let flat = row * iter.inner + i;
            let (outer, column) = (flat / (size * inner), flat % inner);
            if let Some(p) = position(index[at_index + i * iter.steps[1]], len) {
                data[(outer * len + p) * inner + column] += x[at_x + i * iter.steps[0]];
            }
        }
    });
    out
}

/// The broadcast of two shapes of the same rank, with the given size along one axis.
fn common_shape(a: &Shape, b: &Shape, axis: usize, size: Option<usize>) -> Shape {
    let shape = match size {
        Some(size) if a.rank() == b.rank() => Shape::broadcast(&a.with_size(axis, size), &b.with_size(axis, size)),
        _ => None,
    };
    match shape {
        Some(shape) => shape,
        None => panic!("cannot gather from shape {a} by an index of shape {b} along axis {axis}"),
    }
}

/// Iterates over the result of a gather, with the offsets of the operand (at position 0 of the axis) and of the index.
struct GatherIter {
    axes: SmallVec<[(usize, [usize; 2]); 6]>,
}

impl GatherIter {
    fn new(out: &Shape, x: &Shape, index: &Shape, axis: usize) -> Self {
        let (strides_x, strides_index) = (x.strides(), index.strides());
        let axes = (0..out.rank())
            .map(|i| {
                let stride = |shape: &Shape, strides: &[usize]| {
                    if shape[i] == 1 { 0 } else { strides[i] }
                };
                let step_x = if i == axis { 0 } else { stride(x, &strides_x) };
                (out[i], [step_x, stride(index, &strides_index)])
            })
            .collect();
        Self { axes }
    }

    fn visit(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let total: usize = self.axes.iter().map(|axis| axis.0).product();
        let mut position: SmallVec<[usize; 8]> = SmallVec::from_elem(0, self.axes.len());
        let [mut at_x, mut at_index] = [0, 0];
        for to in 0..total {
            visit(to, at_x, at_index);
            for (i, &(size, [step_x, step_index])) in position.iter_mut().zip(&self.axes).rev() {
                *i += 1;
                at_x += step_x;
                at_index += step_index;
                if *i < size {
                    break;
                }
                at_x -= size * step_x;
                at_index -= size * step_index;
                *i = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{scrambled, shape_axis_permutation, tensor_of};

    fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
        assert_eq!(a.shape(), b.shape());
        a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum()
    }

    proptest! {
        #[test]
        fn scatter_add_is_the_adjoint_of_gather(
            (shape, axis, _) in shape_axis_permutation(),
            ones in any::<[[bool; 5]; 2]>(),
            count in 1..4_usize,
        ) {
            let pool = Pool::new();
            let size = shape[axis];
            prop_assume!(size > 0);
            let part = |ones: &[bool; 5], along: usize| -> Vec<usize> {
                (0..shape.len())
                    .map(|i| if i == axis { along } else if ones[i] { 1 } else { shape[i] })
                    .collect()
            };
            let x = scrambled(&part(&ones[0], size));
            let index = Tensor::from_fn(part(&ones[1], count), |i| ((i * 7 + 3) % size) as f64);
            let gathered = gather(&pool, &x, axis, &index);
            let expected = tensor_of(gathered.shape(), |at| {
                let own = |t: &Tensor<f64>, at: &[usize]| -> Vec<usize> {
                    at.iter().zip(t.shape().iter()).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect()
                };
                let position = index.get(&own(&index, at)).unwrap() as usize;
                let mut at = own(&x, at);
                at[axis] = position;
                x.get(&at).unwrap()
            });
            prop_assert_eq!(&gathered, &expected);
            let y = gathered.map(|x| (x * 2.0).cos());
            let back = scatter_add(&pool, &y, axis, &index, size);
            let back = crate::kernels::reduce::sum_to(&pool, &back, x.shape());
            prop_assert!((dot(&gathered, &y) - dot(&x, &back)).abs() < 1e-9);
        }
    }

    #[test]
    fn bad_indices_give_nan_and_scatter_nothing() {
        let pool = Pool::new();
        let x = Tensor::from([10.0, 20.0, 30.0]);
        let index = Tensor::from([2.0, 3.0, -1.0, 0.5, f64::NAN, f64::INFINITY, -0.0]);
        let gathered = gather(&pool, &x, 0, &index).to_vec();
        assert_eq!((gathered[0], gathered[6]), (30.0, 10.0));
        assert!(gathered[1..6].iter().all(|x| x.is_nan()));
        let scattered = scatter_add(&pool, &Tensor::ones([1]), 0, &index, 3);
        assert_eq!(scattered.to_vec(), [1.0, 0.0, 1.0]);
    }
}
