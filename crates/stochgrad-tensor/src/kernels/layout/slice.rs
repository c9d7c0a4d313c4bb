//! Ranges of an axis, and their adjoint.

use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// The positions from `start` up to, but not including, `start + len` of an axis.
///
/// # Panics
/// If there is no such axis, or the part is not inside it.
pub fn slice<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, start: usize, len: usize) -> Tensor<F> {
    let (_, size, inner) = x.shape().around(axis);
    assert!(
        start <= size && len <= size - start,
        "expected a part of axis {axis} of shape {}, got {start}..{start}+{len}",
        x.shape()
    );
    if len == size {
        return x.clone();
    }
    let mut out = pool.take(x.shape().with_size(axis, len));
    if out.is_empty() {
        return out;
    }
    if len * inner == 1 {
        pick(size, start, x.as_slice(), out.make_mut());
        return out;
    }
    let rows = x.as_slice().chunks_exact(size * inner);
    for (out, x) in out.make_mut().chunks_exact_mut(len * inner).zip(rows) {
        out.copy_from_slice(&x[start * inner..(start + len) * inner]);
    }
    out
}

/// Places `x` at position `start` of an axis of size `full_len`, with zeros elsewhere. This is the adjoint of
/// [`slice()`].
///
/// # Panics
/// If there is no such axis, or `x` does not fit into it.
pub fn pad_into<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, start: usize, full_len: usize) -> Tensor<F> {
    let (_, size, inner) = x.shape().around(axis);
    assert!(
        start <= full_len && size <= full_len - start,
        "axis {axis} of shape {} does not fit at {start} of an axis of size {full_len}",
        x.shape()
    );
    if size == full_len {
        return x.clone();
    }
    let mut out = pool.full(x.shape().with_size(axis, full_len), F::ZERO);
    if x.is_empty() {
        return out;
    }
    let rows = out.make_mut().chunks_exact_mut(full_len * inner);
    for (out, x) in rows.zip(x.as_slice().chunks_exact(size * inner)) {
        out[start * inner..(start + size) * inner].copy_from_slice(x);
    }
    out
}

dispatch! {
    /// Writes element `at` of each group of `size` elements.
    pub(crate) fn pick<F: Real>(size: usize, at: usize, x: &[F], out: &mut [F]) = pick_body;
}

#[inline(always)]
fn pick_body<const FMA: bool, F: Real>(size: usize, at: usize, x: &[F], out: &mut [F]) {
    match (x.as_chunks::<2>().0, size, at) {
        (pairs, 2, 0) => out.iter_mut().zip(pairs).for_each(|(to, &[from, _])| *to = from),
        (pairs, 2, _) => out.iter_mut().zip(pairs).for_each(|(to, &[_, from])| *to = from),
        _ => out.iter_mut().zip(x[at..].iter().step_by(size)).for_each(|(to, &from)| *to = from),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::layout::concat;
    use crate::testing::{scrambled, shape_axis_permutation, tensor_of};

    proptest! {
        #[test]
        fn slices_join_to_the_whole((shape, axis, _) in shape_axis_permutation(), cut in 0..5_usize) {
            let pool = Pool::new();
            let size = shape[axis];
            let cut = cut.min(size);
            let x = scrambled(&shape);
            let head = slice(&pool, &x, axis, 0, cut);
            let tail = slice(&pool, &x, axis, cut, size - cut);
            prop_assert_eq!(&concat(&pool, &[&head, &tail], axis), &x);
            let padded = pad_into(&pool, &tail, axis, cut, size);
            let expected = tensor_of(&shape, |index| {
                if index[axis] >= cut { x.get(index).unwrap() } else { 0.0 }
            });
            prop_assert_eq!(padded, expected);
        }
    }
}
