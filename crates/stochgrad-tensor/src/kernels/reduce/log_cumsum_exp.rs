//! The logarithms of cumulative sums of exponentials along an axis.

use crate::parallel::{PIECE, TRANSCENDENTAL, fill, threads_for};
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// $\ln \sum_{j \le i} e^{x_j}$ along an axis, without overflow; −∞ as long as all elements are −∞.
///
/// # Panics
/// If there is no such axis.
pub fn log_cumsum_exp<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize) -> Tensor<F> {
    let (_, size, inner) = x.shape().around(axis);
    let mut out = pool.take(x.shape().clone());
    if out.is_empty() {
        return out;
    }
    let block = size * inner;
    let threads = threads_for(pool.threads(), out.len(), TRANSCENDENTAL);
    let x = x.as_slice();
    fill(threads, out.make_mut(), PIECE.div_ceil(block) * block, |start, out| {
        for (out, x) in out.chunks_exact_mut(block).zip(x[start..].chunks_exact(block)) {
            for column in 0..inner {
                let mut sum = RunningSum::new();
                for at in (column..block).step_by(inner) {
                    sum.add(x[at]);
                    out[at] = sum.ln();
                }
            }
        }
    });
    out
}

/// The sum of the exponentials of some values, relative to the exponential of the largest one.
struct RunningSum<F> {
    largest: F,
    relative: F,
}

impl<F: Real> RunningSum<F> {
    fn new() -> Self {
        Self { largest: F::NEG_INFINITY, relative: F::ZERO }
    }

    #[inline(always)]
    fn add(&mut self, x: F) {
        if x > self.largest {
            self.relative = self.relative * (self.largest - x).exp() + F::ONE;
            self.largest = x;
        } else if x == self.largest {
            // The difference of equal infinities would be NaN.
            self.relative += F::ONE;
        } else {
            self.relative += (x - self.largest).exp();
        }
    }

    #[inline(always)]
    fn ln(&self) -> F {
        self.largest + self.relative.ln()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{same_bits, scrambled, shapes, tensor_of};

    const INF: f64 = f64::INFINITY;

    proptest! {
        #[test]
        fn cumulative_sums_agree_with_index_arithmetic(shape in shapes(), axis in 0..5_usize) {
            prop_assume!(axis < shape.len());
            let x = scrambled(&shape);
            let expected = tensor_of(&shape, |index| {
                let mut index = index.to_vec();
                let sum: f64 = (0..=index[axis]).map(|i| { index[axis] = i; x.get(&index).unwrap().exp() }).sum();
                sum.ln()
            });
            let found = log_cumsum_exp(&Pool::new(), &x, axis);
            prop_assert!(found.max_abs_difference(&expected).is_some_and(|largest| largest < 1e-12));
        }
    }

    #[test]
    fn infinities_large_values_and_nan() {
        let ln2 = 2.0_f64.ln();
        let cases = [
            ([-INF, -INF, 1.0], [-INF, -INF, 1.0]),
            ([1.0, -INF, 1.0], [1.0, 1.0, 1.0 + ln2]),
            ([1000.0, 1000.0, -1000.0], [1000.0, 1000.0 + ln2, 1000.0 + ln2]),
            ([-1000.0, -1000.0, 1000.0], [-1000.0, -1000.0 + ln2, 1000.0]),
            ([0.0, INF, 1.0], [0.0, INF, INF]),
            ([INF, INF, -INF], [INF, INF, INF]),
        ];
        for (x, expected) in cases {
            assert_eq!(log_cumsum_exp(&Pool::new(), &Tensor::from(x), 0).to_vec(), expected, "{x:?}");
        }
        let found = log_cumsum_exp(&Pool::new(), &Tensor::from([2.0, f64::NAN, 3.0]), 0).to_vec();
        assert!(found[0] == 2.0 && found[1].is_nan() && found[2].is_nan());
    }

    #[test]
    fn long_sums_in_single_precision_stay_accurate() {
        const N: usize = 1 << 16;
        let x = Tensor::<f32>::full([N], 0.0);
        let found = log_cumsum_exp(&Pool::new(), &x, 0).to_vec()[N - 1];
        assert!((f64::from(found) - (N as f64).ln()).abs() < 1e-6, "{found}");
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let x = scrambled(&[401, 30, 9]);
        for axis in 0..3 {
            let single = log_cumsum_exp(&Pool::new(), &x, axis);
            assert!(same_bits(&single, &log_cumsum_exp(&Pool::with_threads(3), &x, axis)), "axis {axis}");
        }
    }
}
