//! The positions that bring the elements of an axis into order.

use std::cmp::Ordering;

use rayon::prelude::*;

use crate::parallel::{TRANSCENDENTAL, threads_for};
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The direction in which elements are sorted. NaN counts as larger than +∞, −0 as equal to 0, and of equal elements
/// the one at the first position comes first in both directions.
///
/// ```
/// use stochgrad_tensor::sort::{argsort, Order};
/// use stochgrad_tensor::{Pool, Tensor};
///
/// let x = Tensor::from([2.0, f64::NAN, 1.0, 2.0]);
/// assert_eq!(argsort(&Pool::new(), &x, 0, Order::Ascending, 4).to_vec(), [2.0, 0.0, 3.0, 1.0]);
/// assert_eq!(argsort(&Pool::new(), &x, 0, Order::Descending, 2).to_vec(), [1.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// From the smallest to the largest.
    Ascending,
    /// From the largest to the smallest.
    Descending,
}

impl Order {
    /// How two elements with their positions compare. Only equal positions are equal.
    #[inline(always)]
    fn compare<F: Real>(self, [x, at_x]: &[F; 2], [y, at_y]: &[F; 2]) -> Ordering {
        let ascending = x.partial_cmp(y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()));
        let values = match self {
            Order::Ascending => ascending,
            Order::Descending => ascending.reverse(),
        };
        values.then_with(|| at_x.partial_cmp(at_y).unwrap_or(Ordering::Equal))
    }
}

/// The positions of the first `count` elements along an axis, in order.
///
/// # Panics
/// If there is no such axis, or its size is less than `count`.
pub fn argsort<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, order: Order, count: usize) -> Tensor<F> {
    let (outer, size, inner) = x.shape().around(axis);
    assert!(count <= size, "expected at most {size} elements of axis {axis} of shape {}, got {count}", x.shape());
    let mut out = pool.take(x.shape().with_size(axis, count));
    if out.is_empty() {
        return out;
    }
    // A column is sorted as pairs of an element and its position.
    let mut pairs = pool.take(Shape::from([outer * inner, size, 2]));
    let x = x.as_slice();
    let sort = |(column, pairs): (usize, &mut [F])| {
        let first = column / inner * size * inner + column % inner;
        let (pairs, _) = pairs.as_chunks_mut::<2>();
        for (at, pair) in pairs.iter_mut().enumerate() {
            *pair = [x[first + at * inner], F::from_usize(at)];
        }
        if count < size {
            pairs.select_nth_unstable_by(count, |a, b| order.compare(a, b));
        }
        pairs[..count].sort_unstable_by(|a, b| order.compare(a, b));
    };
    let columns = pairs.make_mut();
    if threads_for(pool.threads(), x.len(), TRANSCENDENTAL) > 1 {
        columns.par_chunks_exact_mut(2 * size).enumerate().for_each(sort);
    } else {
        columns.chunks_exact_mut(2 * size).enumerate().for_each(sort);
    }
    let (pairs_of, _) = pairs.as_slice().as_chunks::<2>();
    let rows = out.make_mut().chunks_exact_mut(inner).enumerate();
    for (row, out) in rows {
        let (outer, position) = (row / count, row % count);
        for (column, out) in out.iter_mut().enumerate() {
            *out = pairs_of[(outer * inner + column) * size + position][1];
        }
    }
    pool.recycle(pairs);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{index_of, same_bits, scrambled, shapes};

    proptest! {
        #[test]
        fn positions_agree_with_a_stable_sort(
            shape in shapes(),
            axis in 0..5_usize,
            part in 0..5_usize,
            descending: bool,
            values in prop::collection::vec(prop_oneof![4 => -3..4_i32, 1 => Just(9)], 1..40),
        ) {
            prop_assume!(axis < shape.len());
            // 9 stands for NaN, and some zeros are negative.
            let value = |i: usize| match values[i % values.len()] {
                9 => f64::NAN,
                0 if i.is_multiple_of(2) => -0.0,
                value => f64::from(value),
            };
            let x = Tensor::from_fn(shape.clone(), value);
            let count = part.min(shape[axis]);
            let order = if descending { Order::Descending } else { Order::Ascending };
            let found = argsort(&Pool::new(), &x, axis, order, count);
            prop_assert_eq!(found.shape(), &x.shape().with_size(axis, count));
            for flat in 0..found.len() {
                let mut index = index_of(found.shape(), flat);
                let rank = index[axis];
                let mut column: Vec<(f64, usize)> = (0..shape[axis])
                    .map(|i| {
                        index[axis] = i;
                        (x.get(&index).unwrap(), i)
                    })
                    .collect();
                let key = |x: f64| if x.is_nan() { f64::INFINITY } else { x };
                column.sort_by(|(a, _), (b, _)| {
                    let ascending = key(*a).partial_cmp(&key(*b)).unwrap();
                    if descending { ascending.reverse() } else { ascending }
                });
                prop_assert_eq!(found.as_slice()[flat] as usize, column[rank].1);
            }
        }
    }

    #[test]
    fn infinities_come_before_nan() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let x = Tensor::from([nan, inf, -inf, nan, 0.0]);
        let pool = Pool::new();
        assert_eq!(argsort(&pool, &x, 0, Order::Ascending, 5).to_vec(), [2.0, 4.0, 1.0, 0.0, 3.0]);
        assert_eq!(argsort(&pool, &x, 0, Order::Descending, 5).to_vec(), [0.0, 3.0, 1.0, 4.0, 2.0]);
    }

    #[test]
    fn threads_do_not_change_a_bit_and_scratch_goes_back() {
        let (one, three) = (Pool::new(), Pool::with_threads(3));
        let x = scrambled(&[41, 60, 30]);
        for axis in 0..3 {
            let single = argsort(&one, &x, axis, Order::Ascending, 20);
            assert!(same_bits(&single, &argsort(&three, &x, axis, Order::Ascending, 20)));
            one.recycle(single);
            let before = one.statistics();
            one.recycle(argsort(&one, &x, axis, Order::Ascending, 20));
            let after = one.statistics();
            assert_eq!(after.taken - before.taken, after.reused - before.reused);
        }
    }
}
