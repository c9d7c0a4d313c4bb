//! Concatenation along an axis.

use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// Concatenates tensors along an axis.
///
/// # Panics
/// If there are no tensors, there is no such axis, or the sizes of other axes differ.
pub fn concat<F: Real>(pool: &Pool<F>, parts: &[&Tensor<F>], axis: usize) -> Tensor<F> {
    let Some(first) = parts.first() else {
        panic!("expected at least one tensor to concatenate, got none");
    };
    let (outer, _, inner) = first.shape().around(axis);
    let mut total = 0;
    for part in parts {
        assert!(
            part.rank() == first.rank() && part.shape().with_size(axis, 0) == first.shape().with_size(axis, 0),
            "cannot concatenate shapes {} and {} along axis {axis}",
            first.shape(),
            part.shape()
        );
        total += part.shape()[axis];
    }
    let mut out = pool.take(first.shape().with_size(axis, total));
    if out.is_empty() {
        return out;
    }
    let row = total * inner;
    let data = out.make_mut();
    if let (&[a, b], 2, true) = (parts, row, parts.iter().all(|part| part.len() == first.len())) {
        interleave(a.as_slice(), b.as_slice(), data);
        return out;
    }
    let mut at = 0;
    for part in parts {
        let length = part.shape()[axis] * inner;
        if length == 1 {
            // A loop over single elements: a call for each of them would take ten times as long.
            data[at..].iter_mut().step_by(row).zip(part.as_slice()).for_each(|(to, &from)| *to = from);
        } else {
            for index in 0..outer {
                let begin = index * row + at;
                data[begin..begin + length].copy_from_slice(&part.as_slice()[index * length..(index + 1) * length]);
            }
        }
        at += length;
    }
    out
}

dispatch! {
    /// Writes the elements of two slices alternately.
    pub(crate) fn interleave<F: Real>(a: &[F], b: &[F], out: &mut [F]) = interleave_body;
}

#[inline(always)]
fn interleave_body<const FMA: bool, F: Real>(a: &[F], b: &[F], out: &mut [F]) {
    for (to, (&a, &b)) in out.as_chunks_mut::<2>().0.iter_mut().zip(a.iter().zip(b)) {
        *to = [a, b];
    }
}
