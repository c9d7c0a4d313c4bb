//! When a kernel runs on several threads, and how its elements are divided.

use rayon::prelude::*;

/// A kernel of plain arithmetic with more elements than this is split over threads.
pub(crate) const ARITHMETIC: usize = 80_000;

/// A kernel with a transcendental function and more elements than this is split over threads.
pub(crate) const TRANSCENDENTAL: usize = 20_000;

/// The default length of a piece of an elementwise kernel.
pub(crate) const PIECE: usize = 8192;

/// Calls `work(start, piece)` on the pieces of `out`, in parallel if `threads` > 1.
///
/// Pieces begin at multiples of `piece`. The result does not depend on `threads`, provided that the value that `work`
/// writes to an element does not depend on where the pieces begin.
pub(crate) fn fill<T: Send>(threads: usize, out: &mut [T], piece: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    if threads <= 1 || out.len() <= piece {
        work(0, out);
        return;
    }
    let pieces = out.len().div_ceil(piece);
    out.par_chunks_mut(piece)
        .enumerate()
        .with_min_len(pieces.div_ceil(threads))
        .for_each(|(index, out)| work(index * piece, out));
}

/// `threads`, or 1 if the work is too small to split.
#[inline]
pub(crate) fn threads_for(threads: usize, work: usize, threshold: usize) -> usize {
    if work > threshold { threads } else { 1 }
}
