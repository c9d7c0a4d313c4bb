//! Selection between two operands by a third one.

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::zip::kernel::{Operand, along, broadcast, fill_rows};
use crate::parallel::{ARITHMETIC, threads_for};
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// Selects `a` where the condition is not 0, and `b` elsewhere. The three operands broadcast together.
///
/// # Panics
/// If the shapes do not broadcast.
pub fn select<F: Real>(pool: &Pool<F>, condition: &Tensor<F>, a: &Tensor<F>, b: &Tensor<F>) -> Tensor<F> {
    let shape = broadcast(&broadcast(condition.shape(), a.shape()), b.shape());
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    let iter = BroadcastIter::new(&out.shape().clone(), [condition.shape(), a.shape(), b.shape()]);
    let threads = threads_for(pool.threads(), out.len(), ARITHMETIC);
    let steps = iter.steps;
    let (condition, a, b) = (condition.as_slice(), a.as_slice(), b.as_slice());
    fill_rows(threads, &iter, out.make_mut(), |out, at| {
        let len = out.len();
        let condition = along(condition, at[0], steps[0], len);
        select_slice(condition, along(a, at[1], steps[1], len), along(b, at[2], steps[2], len), out);
    });
    out
}

dispatch! {
    /// Selects between slices on the calling thread, with the same bits as [`select`].
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn select_slice<F: Real>(
        condition: Operand<'_, F>, a: Operand<'_, F>, b: Operand<'_, F>, out: &mut [F],
    ) = select_body;
}

#[inline(always)]
fn select_body<const FMA: bool, F: Real>(
    condition: Operand<'_, F>,
    a: Operand<'_, F>,
    b: Operand<'_, F>,
    out: &mut [F],
) {
    let conditions = match condition {
        Operand::Slice(conditions) => conditions,
        Operand::Scalar(condition) => {
            return match if condition != F::ZERO { a } else { b } {
                Operand::Slice(chosen) => out.copy_from_slice(chosen),
                Operand::Scalar(chosen) => out.fill(chosen),
            };
        }
    };
    let mismatch = "expected operands and a result of equal length";
    assert_eq!(conditions.len(), out.len(), "{mismatch}");
    match (a, b) {
        (Operand::Slice(a), Operand::Slice(b)) => {
            assert!(a.len() == out.len() && b.len() == out.len(), "{mismatch}");
            for (out, (&condition, (&a, &b))) in out.iter_mut().zip(conditions.iter().zip(a.iter().zip(b))) {
                *out = if condition != F::ZERO { a } else { b };
            }
        }
        (Operand::Slice(a), Operand::Scalar(b)) => {
            assert_eq!(a.len(), out.len(), "{mismatch}");
            for (out, (&condition, &a)) in out.iter_mut().zip(conditions.iter().zip(a)) {
                *out = if condition != F::ZERO { a } else { b };
            }
        }
        (Operand::Scalar(a), Operand::Slice(b)) => {
            assert_eq!(b.len(), out.len(), "{mismatch}");
            for (out, (&condition, &b)) in out.iter_mut().zip(conditions.iter().zip(b)) {
                *out = if condition != F::ZERO { a } else { b };
            }
        }
        (Operand::Scalar(a), Operand::Scalar(b)) => {
            for (out, &condition) in out.iter_mut().zip(conditions) {
                *out = if condition != F::ZERO { a } else { b };
            }
        }
    }
}
