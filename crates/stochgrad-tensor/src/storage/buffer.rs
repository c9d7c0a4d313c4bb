//! Memory that is aligned to cache lines.
//!
//! A vector register is as wide as a cache line, or half as wide. The allocator does not align its buffers to cache
//! lines, so that every load, or every second one, would cross a line boundary. This halves the speed of kernels whose
//! operands are in the first-level cache.

use std::ops::{Deref, DerefMut};

use crate::real::Real;

/// Contiguous elements, the first of which is at the beginning of a cache line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer<F> {
    lines: Vec<Line<F>>,
    len: usize,
}

/// The elements of one cache line for `f32`, and of two for `f64`.
const WIDTH: usize = 16;

#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
struct Line<F>([F; WIDTH]);

impl<F: Real> Buffer<F> {
    /// A buffer whose elements all have the same value.
    ///
    /// # Panics
    /// If the allocator has no memory for it.
    pub(crate) fn full(len: usize, value: F) -> Self {
        let (mut lines, count) = (Vec::new(), len.div_ceil(WIDTH));
        if lines.try_reserve_exact(count).is_err() {
            panic!("expected memory for {len} elements of type {}, got none from the allocator", F::NAME);
        }
        lines.resize(count, Line([value; WIDTH]));
        Buffer { lines, len }
    }

    /// The first `len` elements of an iterator, which must have at least as many.
    pub(crate) fn collect(len: usize, elements: impl IntoIterator<Item = F>) -> Self {
        let mut buffer = Buffer::full(len, F::ZERO);
        for (place, element) in buffer.iter_mut().zip(elements) {
            *place = element;
        }
        buffer
    }
}

impl<F: Real> From<&[F]> for Buffer<F> {
    fn from(elements: &[F]) -> Self {
        let mut buffer = Buffer::full(elements.len(), F::ZERO);
        buffer.copy_from_slice(elements);
        buffer
    }
}

#[allow(unsafe_code)]
impl<F> Deref for Buffer<F> {
    type Target = [F];

    #[inline]
    fn deref(&self) -> &[F] {
        debug_assert!(self.len <= self.lines.len() * WIDTH && size_of::<Line<F>>() == size_of::<[F; WIDTH]>());
        // SAFETY: for elements of 4 or 8 bytes the lines are arrays of `F` without padding, and they hold at least
        // `len` elements.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

#[allow(unsafe_code)]
impl<F> DerefMut for Buffer<F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [F] {
        debug_assert!(self.len <= self.lines.len() * WIDTH && size_of::<Line<F>>() == size_of::<[F; WIDTH]>());
        // SAFETY: as in `deref`; the lines are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// A value that is aligned to a cache line, for small arrays on the stack.
#[repr(align(64))]
pub(crate) struct Aligned<T>(pub(crate) T);

#[cfg(test)]
mod tests {
    use super::*;

    fn check<F: Real>() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let values: Vec<F> = (0..len).map(|i| F::from_f64(i as f64)).collect();
            let mut buffer = Buffer::from(&values[..]);
            assert_eq!(*buffer, values[..]);
            assert_eq!(*Buffer::collect(len, values.iter().copied().chain([F::ONE])), values[..]);
            assert_eq!(buffer.as_ptr() as usize % 64, 0);
            buffer.fill(F::ONE);
            assert_eq!(*buffer, *Buffer::full(len, F::ONE));
        }
    }

    #[test]
    fn buffers_begin_with_a_cache_line() {
        check::<f32>();
        check::<f64>();
    }
}
