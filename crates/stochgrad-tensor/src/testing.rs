//! Helpers for tests: naive index arithmetic, and strategies that generate operands.

use proptest::prelude::*;

use crate::real::Real;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The multi-dimensional index of a flat position.
pub(crate) fn index_of(shape: &[usize], mut flat: usize) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, &size) in index.iter_mut().zip(shape).rev() {
        *i = flat % size;
        flat /= size;
    }
    index
}

/// The element of `x` at an index of a shape to which `x` broadcasts.
pub(crate) fn broadcast_at<F: Real>(x: &Tensor<F>, index: &[usize]) -> F {
    let own: Vec<usize> = index[index.len() - x.rank()..]
        .iter()
        .zip(x.shape().iter())
        .map(|(&i, &size)| if size == 1 { 0 } else { i })
        .collect();
    x.get(&own).unwrap()
}

/// A tensor from a function of the index.
pub(crate) fn tensor_of<F: Real>(shape: &[usize], mut f: impl FnMut(&[usize]) -> F) -> Tensor<F> {
    Tensor::from_fn(shape, |flat| f(&index_of(shape, flat)))
}

/// Whether two tensors have the same shape and the same bits.
pub(crate) fn same_bits(a: &Tensor<f64>, b: &Tensor<f64>) -> bool {
    let bits = |x: &Tensor<f64>| -> Vec<u64> { x.as_slice().iter().map(|x| x.to_bits()).collect() };
    a.shape() == b.shape() && bits(a) == bits(b)
}

/// Values without a regular pattern, so that a misplaced element shows.
pub(crate) fn scrambled(shape: &[usize]) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| ((i as f64 + 1.0) * 12.9898).sin() * 3.0)
}

/// Shapes of up to five axes of sizes 0 to 4.
pub(crate) fn shapes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1 => Just(0), 4 => Just(1), 12 => 2..5_usize], 0..=5)
}

/// A shape, and a second one that broadcasts to it.
pub(crate) fn shape_and_part() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    shapes()
        .prop_flat_map(|shape| {
            let rank = shape.len();
            let ones = prop::collection::vec(any::<bool>(), rank);
            (Just(shape), ones, 0..=rank)
        })
        .prop_map(|(shape, ones, skip)| {
            let part = shape.iter().zip(&ones).map(|(&size, &one)| if one { 1 } else { size }).skip(skip).collect();
            (shape, part)
        })
}

/// `count` shapes that broadcast together.
pub(crate) fn broadcasting(count: usize) -> impl Strategy<Value = Vec<Vec<usize>>> {
    shapes()
        .prop_flat_map(move |shape| {
            let rank = shape.len();
            let ones = prop::collection::vec(prop::collection::vec(any::<bool>(), rank), count);
            (Just(shape), ones, prop::collection::vec(0..=rank, count))
        })
        .prop_map(|(shape, ones, skips)| {
            ones.iter()
                .zip(skips)
                .map(|(ones, skip)| {
                    shape.iter().zip(ones).map(|(&size, &one)| if one { 1 } else { size }).skip(skip).collect()
                })
                .collect()
        })
}

/// The broadcast of shapes that are known to be compatible.
pub(crate) fn broadcast_all(shapes: &[Vec<usize>]) -> Shape {
    shapes.iter().fold(Shape::scalar(), |all, shape| Shape::broadcast(&all, &shape.as_slice().into()).unwrap())
}

/// A shape, one of its axes, and a permutation.
pub(crate) fn shape_axis_permutation() -> impl Strategy<Value = (Vec<usize>, usize, Vec<usize>)> {
    shapes().prop_filter("needs an axis", |shape| !shape.is_empty()).prop_flat_map(|shape| {
        let rank = shape.len();
        let axes: Vec<usize> = (0..rank).collect();
        (Just(shape), 0..rank, Just(axes).prop_shuffle())
    })
}
