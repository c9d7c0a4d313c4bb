//! Iteration over operands that broadcast to a common shape.

use smallvec::SmallVec;

use crate::real::Real;
use crate::storage::shape::Shape;

/// Iterates over `K` row-major operands along a common broadcast shape. The result is divided into rows of the
/// innermost axis; along a row every operand either advances by one element or stays at the same one.
pub(crate) struct BroadcastIter<const K: usize> {
    /// The length of a row.
    pub(crate) inner: usize,
    /// For each operand, 1 if it advances along a row and 0 if it stays at the same element.
    pub(crate) steps: [usize; K],
    outer: SmallVec<[Axis<K>; 6]>,
}

#[derive(Clone, Copy)]
struct Axis<const K: usize> {
    size: usize,
    strides: [usize; K],
}

impl<const K: usize> BroadcastIter<K> {
    /// An iterator over `out`, which must be the broadcast shape of the operands and must not be empty.
    pub(crate) fn new(out: &Shape, operands: [&Shape; K]) -> Self {
        let mut merged: SmallVec<[Axis<K>; 6]> = SmallVec::new();
        let mut natural = [1; K];
        for from_right in 0..out.rank() {
            let size = out[out.rank() - 1 - from_right];
            let mut strides = [0; K];
            for (k, operand) in operands.iter().enumerate() {
                if from_right < operand.rank() {
                    let own = operand[operand.rank() - 1 - from_right];
                    if own != 1 {
                        strides[k] = natural[k];
                        natural[k] *= own;
                    }
                }
            }
            if size == 1 {
                continue;
            }
            match merged.last_mut() {
                Some(last) if (0..K).all(|k| strides[k] == last.strides[k] * last.size) => {
                    last.size *= size;
                }
                _ => merged.push(Axis { size, strides }),
            }
        }
        if merged.is_empty() {
            return Self { inner: 1, steps: [1; K], outer: merged };
        }
        let innermost = merged.remove(0);
        merged.reverse();
        Self { inner: innermost.size, steps: innermost.strides, outer: merged }
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.outer.iter().map(|axis| axis.size).product()
    }

    /// Calls `visit(row, offsets)` for `count` rows starting at `first`, with the offset of each operand at the start
    /// of the row.
    pub(crate) fn for_rows(&self, first: usize, count: usize, mut visit: impl FnMut(usize, [usize; K])) {
        let mut index: SmallVec<[usize; 8]> = SmallVec::from_elem(0, self.outer.len());
        let mut offsets = [0; K];
        let mut rest = first;
        for (i, axis) in index.iter_mut().zip(&self.outer).rev() {
            *i = rest % axis.size;
            rest /= axis.size;
            for (offset, stride) in offsets.iter_mut().zip(axis.strides) {
                *offset += *i * stride;
            }
        }
        for row in first..first + count {
            visit(row, offsets);
            for (i, axis) in index.iter_mut().zip(&self.outer).rev() {
                *i += 1;
                for (offset, stride) in offsets.iter_mut().zip(axis.strides) {
                    *offset += stride;
                }
                if *i < axis.size {
                    break;
                }
                for (offset, stride) in offsets.iter_mut().zip(axis.strides) {
                    *offset -= axis.size * stride;
                }
                *i = 0;
            }
        }
    }
}

/// Writes each element `times` times in succession.
#[inline(always)]
pub(crate) fn repeat<F: Real>(times: usize, elements: &[F], out: &mut [F]) {
    #[inline(always)]
    fn exactly<F: Real, const N: usize>(elements: &[F], out: &mut [F]) {
        let (whole, rest) = out.as_chunks_mut::<N>();
        for (out, &x) in whole.iter_mut().zip(elements) {
            *out = [x; N];
        }
        if let Some(&x) = elements.get(whole.len()) {
            rest.fill(x);
        }
    }
    match times {
        2 => exactly::<F, 2>(elements, out),
        3 => exactly::<F, 3>(elements, out),
        4 => exactly::<F, 4>(elements, out),
        5 => exactly::<F, 5>(elements, out),
        8 => exactly::<F, 8>(elements, out),
        10 => exactly::<F, 10>(elements, out),
        16 => exactly::<F, 16>(elements, out),
        _ => {
            for (out, &x) in out.chunks_mut(times).zip(elements) {
                out.fill(x);
            }
        }
    }
}

/// Writes a row again and again. The last copy may be a part of it.
pub(crate) fn repeat_row<F: Real>(row: &[F], out: &mut [F]) {
    #[inline(always)]
    fn exactly<F: Real, const N: usize>(row: &[F], out: &mut [F]) {
        let (whole, rest) = out.as_chunks_mut::<N>();
        if let Some(&row) = row.first_chunk::<N>() {
            whole.iter_mut().for_each(|out| *out = row);
        }
        rest.copy_from_slice(&row[..rest.len()]);
    }
    match row.len() {
        0 => {}
        2 => exactly::<F, 2>(row, out),
        3 => exactly::<F, 3>(row, out),
        4 => exactly::<F, 4>(row, out),
        5 => exactly::<F, 5>(row, out),
        8 => exactly::<F, 8>(row, out),
        10 => exactly::<F, 10>(row, out),
        16 => exactly::<F, 16>(row, out),
        32 => exactly::<F, 32>(row, out),
        len => {
            // Each pass doubles what is written.
            let mut done = len.min(out.len());
            out[..done].copy_from_slice(&row[..done]);
            while done < out.len() {
                let more = done.min(out.len() - done);
                out.copy_within(..more, done);
                done += more;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_repeated_to_any_length() {
        for len in 1..40 {
            let row: Vec<f32> = (0..len).map(|i| i as f32).collect();
            for total in [0, 1, len - 1, len, 2 * len, 5 * len + len / 2] {
                let mut out = vec![f32::NAN; total];
                repeat_row(&row, &mut out);
                assert!(out.iter().enumerate().all(|(i, &x)| x == (i % len) as f32), "{len} to {total}");
            }
        }
    }

    #[test]
    fn compatible_axes_are_merged() {
        let out = Shape::from([4, 5, 2, 3]);
        let iter = BroadcastIter::new(&out, [&out, &[2, 3].into(), &[4, 1, 1, 1].into()]);
        assert_eq!((iter.rows(), iter.inner, iter.steps), (20, 6, [1, 1, 0]));
        let iter = BroadcastIter::new(&out, [&out, &out]);
        assert_eq!((iter.rows(), iter.inner, iter.steps), (1, 120, [1, 1]));
        let iter = BroadcastIter::new(&out, [&out, &Shape::scalar()]);
        assert_eq!((iter.rows(), iter.inner, iter.steps), (1, 120, [1, 0]));
    }

    #[test]
    fn iteration_can_begin_at_any_row() {
        let out = Shape::from([3, 2, 4]);
        let iter = BroadcastIter::new(&out, [&out, &[3, 1, 1].into(), &[2, 1].into()]);
        let mut all = Vec::new();
        iter.for_rows(0, iter.rows(), |row, offsets| all.push((row, offsets)));
        assert_eq!(all.len(), 6);
        assert_eq!(all[5], (5, [20, 2, 1]));
        let mut tail = Vec::new();
        iter.for_rows(3, 3, |row, offsets| tail.push((row, offsets)));
        assert_eq!(tail, all[3..]);
    }

    #[test]
    fn repeated_elements_stand_side_by_side() {
        for times in 1..20_usize {
            for len in [0, times - 1, times, 7 * times + times / 2] {
                let elements: Vec<f64> = (0..len.div_ceil(times)).map(|i| i as f64).collect();
                let mut out = vec![-1.0; len];
                repeat(times, &elements, &mut out);
                assert!(out.iter().enumerate().all(|(i, &x)| x == (i / times) as f64), "{times} {len}");
            }
        }
    }
}
