//! Division of the work into blocks and over threads.

use super::patches::{Patches, gather};
use crate::kernels::matmul::{Block, block_product};
use crate::real::Real;
use std::ops::Range;

/// The number of bytes of a block of patches. It fits into the second-level cache, together with the weights.
const BYTES: usize = 128 * 1024;

/// The number of elements of a patch that are multiplied at once.
const DEPTH: usize = 512;

/// The largest number of patches of a block.
const MOST: usize = 512;

/// The least number of patches of a block.
const FEWEST: usize = 16;

/// Work with more multiplications than this is split over threads.
pub(super) const PARALLEL: usize = 500_000;

/// The number of taps that are multiplied at once.
pub(super) fn taps_at_once(patches: &Patches) -> usize {
    (DEPTH / patches.width.max(1)).clamp(1, patches.taps())
}

/// The number of patches of a block.
pub(super) fn patches_at_once<F: Real>(patches: &Patches) -> usize {
    let depth = taps_at_once(patches) * patches.width.max(1);
    (BYTES / size_of::<F>() / depth).clamp(FEWEST, MOST)
}

/// The number of elements of a block of patches.
pub(super) fn block_len<F: Real>(patches: &Patches) -> usize {
    patches_at_once::<F>(patches) * taps_at_once(patches) * patches.width
}

/// A matrix of weights with a row for each element of a patch.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a, F> {
    pub(super) elements: &'a [F],
    /// The distance between rows.
    pub(super) stride: usize,
    /// The number of columns.
    pub(super) columns: usize,
}

/// Writes the products of some patches with the weights into rows of `out` that are `width` elements apart. `block` is
/// the space for the patches.
pub(super) fn multiply<F: Real>(
    patches: &Patches,
    results: Range<usize>,
    source: &[F],
    weights: Weights<'_, F>,
    out: &mut [F],
    width: usize,
    block: &mut [F],
) {
    let (at_once, taps) = (taps_at_once(patches), patches.taps());
    for first in (0..taps).step_by(at_once) {
        let taps = first..taps.min(first + at_once);
        let depth = taps.len() * patches.width;
        gather(patches, results.clone(), taps, source, block);
        let rows = Block {
            elements: &weights.elements[first * patches.width * weights.stride..],
            strides: [weights.stride, 1],
        };
        let left = Block { elements: block, strides: [depth, 1] };
        block_product([results.len(), weights.columns, depth], left, rows, width, first > 0, out);
    }
}

/// Divides units of work over threads. Each unit owns `len` elements of `out`, the last one possibly fewer. `work` is
/// called with the units of a thread, their elements, and the space of the thread, which has `space.len() / threads`
/// elements.
pub(super) fn split<F: Real>(
    threads: usize,
    units: Range<usize>,
    len: usize,
    out: &mut [F],
    space: &mut [F],
    work: &(impl Fn(Range<usize>, &mut [F], &mut [F]) + Sync),
) {
    let near = threads / 2;
    let count = units.len() * near / threads.max(1);
    if count == 0 {
        let own = space.len() / threads.max(1);
        return work(units, out, &mut space[..own]);
    }
    let middle = units.start + count;
    let (first, second) = out.split_at_mut(count * len);
    let (own, other) = space.split_at_mut(space.len() / threads * near);
    rayon::join(
        || split(near, units.start..middle, len, first, own, work),
        || split(threads - near, middle..units.end, len, second, other, work),
    );
}
