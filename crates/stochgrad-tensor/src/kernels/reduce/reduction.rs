//! The list of reductions.

use smallvec::SmallVec;

use crate::kernels::fold::{Fold, fold_row, fold_rows, larger, shift_of, smaller};
use crate::kernels::reduce::group::Group;
use crate::kernels::reduce::log_sum_exp::{log_sum_exp, log_sum_exp_row, log_sum_exp_short_rows};
use crate::kernels::reduce::short_rows::SHORT;
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The operation of a reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduce {
    /// The sum; 0 if there are no elements.
    Sum,
    /// The maximum; −∞ if there are no elements, NaN if one is NaN.
    Max,
    /// The minimum; +∞ if there are no elements, NaN if one is NaN.
    Min,
    /// ln Σ e^x, without overflow; −∞ if there are no elements, or all of them are −∞.
    LogSumExp,
    /// The product; 1 if there are no elements.
    Product,
}

impl Reduce {
    /// Whether the result for a row can be computed from the results for its two parts alone, to the same bits.
    pub fn joins(self) -> bool {
        self != Reduce::LogSumExp
    }

    /// The result for a row from the results for its two parts. See [`joins`](Self::joins).
    pub(crate) fn combine<F: Real>(self, a: F, b: F) -> F {
        match self {
            Reduce::Sum => a + b,
            Reduce::Max => larger(a, b),
            Reduce::Min => smaller(a, b),
            Reduce::Product => a * b,
            Reduce::LogSumExp => {
                let shift = shift_of(larger(a, b));
                shift + ((a - shift).exp() + (b - shift).exp()).ln()
            }
        }
    }
}

/// Reduces the given axes. With `keep` they are kept with size 1, otherwise they are removed. Without axes the result
/// is `x` itself.
///
/// # Panics
/// If an axis is outside the tensor.
pub fn reduce<F: Real>(pool: &Pool<F>, op: Reduce, x: &Tensor<F>, axes: &[usize], keep: bool) -> Tensor<F> {
    let shape = x.shape();
    let mut gone: SmallVec<[bool; 8]> = SmallVec::from_elem(false, shape.rank());
    for &axis in axes {
        assert!(axis < shape.rank(), "cannot reduce axis {axis} of a tensor of shape {shape}");
        gone[axis] = true;
    }
    let out_shape: Shape = shape
        .iter()
        .zip(&gone)
        .filter(|&(_, &gone)| keep || !gone)
        .map(|(&size, &gone)| if gone { 1 } else { size })
        .collect();

    let mut current: Option<Tensor<F>> = None;
    let mut inner = 1;
    let mut axis = shape.rank();
    while axis > 0 {
        axis -= 1;
        if !gone[axis] {
            inner *= shape[axis];
            continue;
        }
        let mut size = shape[axis];
        while axis > 0 && (gone[axis - 1] || shape[axis - 1] == 1) {
            axis -= 1;
            size *= shape[axis];
        }
        if size == 1 {
            continue;
        }
        let outer = shape[..axis].iter().product();
        let mut out = pool.take(Shape::from([outer, inner]));
        let source = current.as_ref().unwrap_or(x).as_slice();
        reduce_group(pool, op, source, [outer, size, inner], out.make_mut());
        if let Some(spent) = current.replace(out) {
            pool.recycle(spent);
        }
    }
    current.unwrap_or_else(|| x.clone()).with_shape(out_shape)
}

/// Reduces the middle axis of `[outer, size, inner]`.
fn reduce_group<F: Real>(pool: &Pool<F>, op: Reduce, x: &[F], dims: [usize; 3], out: &mut [F]) {
    let group = Group { threads: pool.threads(), x, dims };
    match op {
        Reduce::Sum => group.fold(Fold::Sum, out),
        Reduce::Product => group.fold(Fold::Product, out),
        Reduce::Max => group.fold(Fold::Max, out),
        Reduce::Min => group.fold(Fold::Min, out),
        Reduce::LogSumExp => log_sum_exp(pool, &group, out),
    }
}

/// Reduces a row on the calling thread, with the same bits as [`reduce`] along a last axis.
pub fn reduce_row<F: Real>(op: Reduce, x: &[F]) -> F {
    match op {
        Reduce::Sum => fold_row(1, Fold::Sum, x),
        Reduce::Product => fold_row(1, Fold::Product, x),
        Reduce::Max => fold_row(1, Fold::Max, x),
        Reduce::Min => fold_row(1, Fold::Min, x),
        Reduce::LogSumExp if x.is_empty() => F::NEG_INFINITY,
        Reduce::LogSumExp => log_sum_exp_row(1, x),
    }
}

/// Reduces consecutive rows of length `row` on the calling thread. Each result has the bits of [`reduce_row`].
///
/// # Panics
/// If the rows are empty, or their number is not the number of results.
pub fn reduce_rows<F: Real>(op: Reduce, row: usize, x: &[F], out: &mut [F]) {
    assert_eq!(x.len(), row * out.len(), "expected {} rows of {row} elements", out.len());
    let fold = match op {
        Reduce::Sum => Fold::Sum,
        Reduce::Product => Fold::Product,
        Reduce::Max => Fold::Max,
        Reduce::Min => Fold::Min,
        Reduce::LogSumExp if row <= SHORT => return log_sum_exp_short_rows(row, x, out),
        Reduce::LogSumExp => {
            return out.iter_mut().zip(x.chunks_exact(row)).for_each(|(out, row)| *out = log_sum_exp_row(1, row));
        }
    };
    fold_rows(fold, row, x, out);
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::reduce::softmax;
    use crate::testing::{index_of, same_bits, scrambled, shapes};

    const INF: f64 = f64::INFINITY;

    /// Reduces by index arithmetic, one element after the other.
    fn naive(op: Reduce, x: &Tensor<f64>, gone: &[bool]) -> Tensor<f64> {
        let start = match op {
            Reduce::Sum => 0.0,
            Reduce::Product => 1.0,
            Reduce::Min => INF,
            Reduce::Max | Reduce::LogSumExp => -INF,
        };
        let kept: Shape = x.shape().iter().zip(gone).map(|(&size, &gone)| if gone { 1 } else { size }).collect();
        let mut out = Tensor::full(kept.clone(), start);
        for flat in 0..x.len() {
            let value = x.as_slice()[flat];
            let to = index_of(x.shape(), flat)
                .iter()
                .zip(kept.iter())
                .fold(0, |to, (&i, &size)| to * size + if size == 1 { 0 } else { i });
            let out = &mut out.make_mut()[to];
            *out = match op {
                Reduce::Sum => *out + value,
                Reduce::Product => *out * value,
                Reduce::Max => out.max(value),
                Reduce::Min => out.min(value),
                Reduce::LogSumExp => (out.exp() + value.exp()).ln(),
            };
        }
        out
    }

    fn close(a: &Tensor<f64>, b: &Tensor<f64>) -> bool {
        a.max_abs_difference(b).is_some_and(|largest| largest < 1e-9)
    }

    proptest! {
        #[test]
        fn reductions_agree_with_index_arithmetic(
            shape in shapes(),
            bits in any::<[bool; 5]>(),
            keep in any::<bool>(),
        ) {
            let pool = Pool::new();
            let x = scrambled(&shape).map(|x| x * 0.4);
            let gone = &bits[..shape.len()];
            let axes: Vec<usize> = (0..shape.len()).filter(|&axis| gone[axis]).collect();
            for op in [Reduce::Sum, Reduce::Max, Reduce::Min, Reduce::LogSumExp, Reduce::Product] {
                let found = reduce(&pool, op, &x, &axes, keep);
                let expected = naive(op, &x, gone);
                if keep {
                    prop_assert_eq!(found.shape(), expected.shape());
                } else {
                    prop_assert_eq!(found.rank(), shape.len() - axes.len());
                }
                prop_assert!(close(&found.with_shape(expected.shape()), &expected), "{:?}", op);
            }
        }
    }

    #[test]
    fn empty_axes_reduce_to_the_neutral_element() {
        let pool = Pool::<f64>::new();
        for shape in [[2, 0, 3], [0, 2, 3]] {
            let x = Tensor::zeros(shape);
            for (op, neutral) in [
                (Reduce::Sum, 0.0),
                (Reduce::Product, 1.0),
                (Reduce::Max, -INF),
                (Reduce::Min, INF),
                (Reduce::LogSumExp, -INF),
            ] {
                assert_eq!(reduce(&pool, op, &x, &[0, 1], false), Tensor::full([3], neutral));
                assert_eq!(reduce(&pool, op, &x, &[0, 1, 2], false), Tensor::scalar(neutral));
            }
        }
    }

    #[test]
    fn long_sums_in_single_precision_stay_accurate() {
        let pool = Pool::new();
        const N: usize = 1 << 20;
        let expected = f64::from(0.1_f32) * N as f64;
        let row = Tensor::<f32>::full([N], 0.1);
        let sum = reduce(&pool, Reduce::Sum, &row, &[0], false).to_vec()[0];
        assert_relative_eq!(f64::from(sum), expected, max_relative = 1e-6);
        let columns = Tensor::<f32>::full([N, 3], 0.1);
        let sum = reduce(&pool, Reduce::Sum, &columns, &[0], false).to_vec()[1];
        assert_relative_eq!(f64::from(sum), expected, max_relative = 1e-4);
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let cases: [(&[usize], &[usize]); 6] = [
            (&[300_000], &[0]),
            (&[500, 401], &[1]),
            (&[500, 401], &[0]),
            (&[40, 30, 101], &[0, 2]),
            (&[40, 30, 101], &[1]),
            (&[3, 100_001], &[0, 1]),
        ];
        let (one, three) = (Pool::new(), Pool::with_threads(3));
        for (shape, axes) in cases {
            let x = scrambled(shape).map(|x| x * 0.2);
            for op in [Reduce::Sum, Reduce::Max, Reduce::LogSumExp, Reduce::Product] {
                let single = reduce(&one, op, &x, axes, false);
                assert!(same_bits(&single, &reduce(&three, op, &x, axes, false)), "{op:?} {axes:?}");
            }
            assert!(same_bits(&softmax(&one, &x, axes[0]), &softmax(&three, &x, axes[0])));
        }
    }

    #[test]
    fn scratch_goes_back_to_the_pool() {
        let pool = Pool::new();
        let x = scrambled(&[4, 5, 6]);
        let run = || {
            for axis in 0..3 {
                pool.recycle(reduce(&pool, Reduce::LogSumExp, &x, &[axis], false));
                pool.recycle(softmax(&pool, &x, axis));
            }
            pool.recycle(reduce(&pool, Reduce::Sum, &x, &[0, 2], true));
        };
        run();
        let before = pool.statistics();
        run();
        let after = pool.statistics();
        assert_eq!(after.held_bytes, before.held_bytes);
        assert_eq!(after.taken - before.taken, after.reused - before.reused);
    }
}
