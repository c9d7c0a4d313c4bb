use crate::Real;

/// Independent accumulators of a tight loop.
const LANES: usize = 16;

/// Longer rows are split in the middle, which keeps rounding errors small and gives threads something to do.
const BLOCK: usize = 1024;

/// Rows from this length may be split over threads.
const PARALLEL: usize = 131_072;

/// A reduction of a row: `combine` over `map(x)`, from `start`, its neutral element.
pub(crate) struct Fold<F, M, C> {
    pub(crate) start: F,
    pub(crate) map: M,
    pub(crate) combine: C,
}

/// Reduces a row in an order that depends on its length only.
pub(crate) fn fold_row<F: Real>(
    threads: usize,
    fold: &Fold<F, impl Fn(F) -> F + Sync, impl Fn(F, F) -> F + Sync>,
    x: &[F],
) -> F {
    if x.len() <= BLOCK {
        return fold_block(fold, x);
    }
    let middle = x.len().div_ceil(2).next_multiple_of(BLOCK).min(x.len() - 1);
    let (left, right) = x.split_at(middle);
    let (left, right) = if threads > 1 && x.len() >= PARALLEL {
        rayon::join(|| fold_row(threads, fold, left), || fold_row(threads, fold, right))
    } else {
        (fold_row(1, fold, left), fold_row(1, fold, right))
    };
    (fold.combine)(left, right)
}

#[inline]
fn fold_block<F: Real>(fold: &Fold<F, impl Fn(F) -> F + Sync, impl Fn(F, F) -> F + Sync>, x: &[F]) -> F {
    let combine = &fold.combine;
    let mut total = fold.start;
    let (lanes, rest) = x.as_chunks::<LANES>();
    if !lanes.is_empty() {
        let mut sums = [fold.start; LANES];
        for lane in lanes {
            for (sum, &x) in sums.iter_mut().zip(lane) {
                *sum = combine(*sum, (fold.map)(x));
            }
        }
        let mut width = LANES / 2;
        while width > 0 {
            for lane in 0..width {
                sums[lane] = combine(sums[lane], sums[lane + width]);
            }
            width /= 2;
        }
        total = sums[0];
    }
    for &x in rest {
        total = combine(total, (fold.map)(x));
    }
    total
}
