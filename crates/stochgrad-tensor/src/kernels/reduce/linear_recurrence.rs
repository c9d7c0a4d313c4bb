//! Linear recurrences along an axis.

use crate::parallel::{ARITHMETIC, PIECE, fill, threads_for};
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// The number of rows that are computed together, so that their chains of dependent operations overlap.
const TOGETHER: usize = 8;

/// $y_i = a_i y_{i-1} + b_i$ along an axis, with $y_0 = b_0$. With `reverse` it runs from the end,
/// $y_i = a_i y_{i+1} + b_i$. The coefficient at the element where it starts is not used.
///
/// # Panics
/// If there is no such axis, or the shapes differ.
pub fn linear_recurrence<F: Real>(
    pool: &Pool<F>,
    a: &Tensor<F>,
    b: &Tensor<F>,
    axis: usize,
    reverse: bool,
) -> Tensor<F> {
    assert_eq!(a.shape(), b.shape(), "expected a coefficient for each element of a recurrence");
    let (_, size, inner) = b.shape().around(axis);
    let mut out = pool.take(b.shape().clone());
    if out.is_empty() {
        return out;
    }
    let block = size * inner;
    let threads = threads_for(pool.threads(), out.len(), ARITHMETIC);
    let (a, b) = (a.as_slice(), b.as_slice());
    fill(threads, out.make_mut(), PIECE.div_ceil(block) * block, |start, out| {
        let range = start..start + out.len();
        let (a, b) = (&a[range.clone()], &b[range]);
        if inner == 1 {
            rows(a, b, size, reverse, out);
        } else {
            let blocks = a.chunks_exact(block).zip(b.chunks_exact(block));
            out.chunks_exact_mut(block).zip(blocks).for_each(|(out, (a, b))| columns(a, b, inner, reverse, out));
        }
    });
    out
}

/// Recurrences along rows of length `size`.
fn rows<F: Real>(a: &[F], b: &[F], size: usize, reverse: bool, out: &mut [F]) {
    let many = TOGETHER * size;
    let whole = out.len() / many * many;
    for start in (0..whole).step_by(many) {
        let range = start..start + many;
        along_rows::<F, TOGETHER>(&a[range.clone()], &b[range.clone()], size, reverse, &mut out[range]);
    }
    for start in (whole..out.len()).step_by(size) {
        let range = start..start + size;
        along_rows::<F, 1>(&a[range.clone()], &b[range.clone()], size, reverse, &mut out[range]);
    }
}

fn along_rows<F: Real, const ROWS: usize>(a: &[F], b: &[F], size: usize, reverse: bool, out: &mut [F]) {
    let first = if reverse { size - 1 } else { 0 };
    let mut last = [F::ZERO; ROWS];
    for (row, last) in last.iter_mut().enumerate() {
        *last = b[row * size + first];
        out[row * size + first] = *last;
    }
    for step in 1..size {
        let column = if reverse { size - 1 - step } else { step };
        for (row, last) in last.iter_mut().enumerate() {
            let at = row * size + column;
            *last = a[at] * *last + b[at];
            out[at] = *last;
        }
    }
}

/// Recurrences along the columns of a matrix with rows of length `inner`.
fn columns<F: Real>(a: &[F], b: &[F], inner: usize, reverse: bool, out: &mut [F]) {
    let size = out.len() / inner;
    let row = |step: usize| if reverse { size - 1 - step } else { step };
    let first = row(0) * inner..(row(0) + 1) * inner;
    out[first.clone()].copy_from_slice(&b[first]);
    for step in 1..size {
        let to = row(step) * inner;
        let (last, next) = if reverse {
            let (near, far) = out.split_at_mut(to + inner);
            (&far[..inner], &mut near[to..])
        } else {
            let (near, far) = out.split_at_mut(to);
            (&near[to - inner..], &mut far[..inner])
        };
        let operands = a[to..to + inner].iter().zip(&b[to..to + inner]);
        for ((next, &last), (&a, &b)) in next.iter_mut().zip(last).zip(operands) {
            *next = a * last + b;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{same_bits, scrambled, shapes, tensor_of};

    proptest! {
        #[test]
        fn recurrences_agree_with_index_arithmetic(shape in shapes(), axis in 0..5_usize, reverse: bool) {
            prop_assume!(axis < shape.len());
            let (a, b) = (scrambled(&shape), scrambled(&shape).map(|x| (x * 3.0).cos()));
            let expected = tensor_of(&shape, |index| {
                let at = |x: &Tensor<f64>, i: usize| {
                    let mut index = index.to_vec();
                    index[axis] = i;
                    x.get(&index).unwrap()
                };
                let last = shape[axis] - 1;
                let walked: Vec<usize> =
                    if reverse { (index[axis]..=last).rev().collect() } else { (0..=index[axis]).collect() };
                walked[1..].iter().fold(at(&b, walked[0]), |y, &i| at(&a, i) * y + at(&b, i))
            });
            prop_assert!(same_bits(&linear_recurrence(&Pool::new(), &a, &b, axis, reverse), &expected));
        }
    }

    #[test]
    fn the_first_coefficient_is_not_used() {
        let pool = Pool::new();
        let (nan, b) = (f64::NAN, Tensor::from([1.0, 2.0, 3.0]));
        let forward = linear_recurrence(&pool, &Tensor::from([nan, 0.5, 2.0]), &b, 0, false);
        assert_eq!(forward.to_vec(), [1.0, 2.5, 8.0]);
        let backward = linear_recurrence(&pool, &Tensor::from([0.5, 2.0, nan]), &b, 0, true);
        assert_eq!(backward.to_vec(), [5.0, 8.0, 3.0]);
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (one, three) = (Pool::new(), Pool::with_threads(3));
        for (shape, axis) in [([1003, 101, 1], 1), ([301, 20, 17], 1), ([2, 50_021, 1], 1), ([1, 7, 20_001], 1)] {
            let (a, b) = (scrambled(&shape).map(|x| x * 0.3), scrambled(&shape));
            for reverse in [false, true] {
                let single = linear_recurrence(&one, &a, &b, axis, reverse);
                assert!(same_bits(&single, &linear_recurrence(&three, &a, &b, axis, reverse)), "{shape:?}");
            }
        }
    }
}
