use rayon::prelude::*;

/// Elements from which a kernel of plain arithmetic is split over threads.
pub(crate) const ARITHMETIC: usize = 80_000;

/// Elements from which a kernel with a transcendental function is split over threads.
pub(crate) const TRANSCENDENTAL: usize = 20_000;

/// The default length of a piece of an elementwise kernel.
pub(crate) const PIECE: usize = 8192;

/// Calls `work(start, piece)` on the pieces of `out`, in parallel where `threads` > 1.
///
/// `work` must write each element independently of where the pieces begin; then the result does not depend on
/// `threads`. Pieces begin at multiples of `piece`.
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

/// `threads`, or 1 where the work is too small to be worth a split.
#[inline]
pub(crate) fn threads_for(threads: usize, work: usize, threshold: usize) -> usize {
    if work > threshold { threads } else { 1 }
}
