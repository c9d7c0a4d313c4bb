//! Patches of images: the elements that the results of a convolution read, gathered as the rows of a matrix.

use std::ops::Range;

use crate::real::Real;
use crate::simd::dispatch;

/// The positions along an axis that are read: result `i` reads `first + i · step + t · spacing` for each tap `t`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// The number of results.
    pub(super) count: usize,
    pub(super) first: isize,
    pub(super) step: usize,
    pub(super) taps: usize,
    pub(super) spacing: usize,
    /// The size of the source along the axis. Positions outside it count as zeros.
    pub(super) size: usize,
}

impl Line {
    #[inline(always)]
    pub(super) fn at(&self, result: usize, tap: usize) -> isize {
        self.first + (result * self.step + tap * self.spacing) as isize
    }
}

/// The patches of images [rows, columns, channels]. A patch has an element for each tap along the rows, for each tap
/// along the columns, and for each channel of a group, in this order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patches {
    pub(super) rows: Line,
    pub(super) columns: Line,
    /// The number of channels of a position.
    pub(super) channels: usize,
    /// The first channel of the group.
    pub(super) from: usize,
    /// The number of channels of the group.
    pub(super) width: usize,
}

impl Patches {
    /// The number of taps of a patch.
    pub(super) fn taps(&self) -> usize {
        self.rows.taps * self.columns.taps
    }

    /// The number of patches of an image.
    pub(super) fn per_image(&self) -> usize {
        self.rows.count * self.columns.count
    }

    /// The number of elements of an image.
    fn image(&self) -> usize {
        self.rows.size * self.columns.size * self.channels
    }

    /// The image, the row and the column of a result.
    #[inline(always)]
    fn position(&self, result: usize) -> [usize; 3] {
        let (row, column) = (result / self.columns.count, result % self.columns.count);
        [row / self.rows.count, row % self.rows.count, column]
    }

    /// The parts of patches that read one row of the source: for each row of results, and for each row of taps.
    #[inline(always)]
    fn parts(&self, results: Range<usize>, taps: Range<usize>) -> Parts {
        let [image, row, column] = self.position(results.start);
        let tap_row = taps.start / self.columns.taps;
        Parts { patches: *self, taps, count: results.len(), patch: 0, image, row, column, tap_row }
    }

    /// Whether the elements of neighbouring taps along the columns are neighbours in the source.
    fn contiguous(&self) -> bool {
        self.columns.spacing == 1 && self.width == self.channels
    }

    /// The results along the columns for which all of `count` taps from `tap` on are inside the source.
    #[inline(always)]
    fn inner(&self, tap: usize, count: usize) -> Range<usize> {
        let Line { step, size, count: results, .. } = self.columns;
        let first = self.columns.at(0, tap);
        let start = (-first).max(0) as usize;
        match (size as isize - count as isize).checked_sub(first).filter(|&last| last >= 0) {
            Some(last) => start.div_ceil(step)..(last as usize / step + 1).min(results),
            None => 0..0,
        }
    }
}

/// The numbers that both ranges contain.
#[inline(always)]
fn common(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// Iterates over the parts of patches.
struct Parts {
    patches: Patches,
    taps: Range<usize>,
    /// The number of patches.
    count: usize,
    /// The first patch of the next part, its position, and its row of taps.
    patch: usize,
    image: usize,
    row: usize,
    column: usize,
    tap_row: usize,
}

impl Iterator for Parts {
    type Item = Part;

    #[inline(always)]
    fn next(&mut self) -> Option<Part> {
        if self.patch == self.count {
            return None;
        }
        let Patches { rows, columns, channels, .. } = self.patches;
        let first = (self.tap_row * columns.taps).max(self.taps.start);
        let end = ((self.tap_row + 1) * columns.taps).min(self.taps.end);
        let at = rows.at(self.row, self.tap_row);
        let inside = at >= 0 && (at as usize) < rows.size;
        let start = self.image * self.patches.image() + at.max(0) as usize * columns.size * channels;
        let count = (columns.count - self.column).min(self.count - self.patch);
        let part = Part {
            patch: self.patch,
            columns: self.column..self.column + count,
            place: first - self.taps.start..end - self.taps.start,
            tap: first - self.tap_row * columns.taps,
            start: inside.then_some(start),
        };
        self.tap_row += 1;
        if end == self.taps.end {
            self.tap_row = self.taps.start / columns.taps;
            self.patch += count;
            self.column = 0;
            self.row += 1;
            if self.row == rows.count {
                self.row = 0;
                self.image += 1;
            }
        }
        Some(part)
    }
}

/// The parts of neighbouring patches that read one row of the source.
struct Part {
    /// The number of the first patch, counted from the first result.
    patch: usize,
    /// The results along the columns.
    columns: Range<usize>,
    /// The positions of the taps among those that are gathered.
    place: Range<usize>,
    /// The first tap along the columns.
    tap: usize,
    /// The start of the row of the source, if it is inside.
    start: Option<usize>,
}

dispatch! {
    /// Writes the patches of some results, restricted to some taps, as the rows of a matrix.
    pub(super) fn gather<F: Real>(
        patches: &Patches,
        results: Range<usize>,
        taps: Range<usize>,
        source: &[F],
        out: &mut [F],
    ) = gather_body;
}

#[inline(always)]
fn gather_body<const FMA: bool, F: Real>(
    patches: &Patches,
    results: Range<usize>,
    taps: Range<usize>,
    source: &[F],
    out: &mut [F],
) {
    let Patches { width, columns, channels, from, .. } = *patches;
    let depth = taps.len() * width;
    let contiguous = patches.contiguous();
    // The taps for which `inner` has been computed: all parts have the same ones, unless a part of a row is gathered.
    let (mut known, mut inner) = ((usize::MAX, 0), 0..0);
    for part in patches.parts(results, taps) {
        let len = part.place.len() * width;
        let rows = out[part.patch * depth..].chunks_exact_mut(depth).zip(part.columns.clone());
        let rows = rows.map(|(row, column)| (&mut row[part.place.start * width..][..len], column));
        let Some(start) = part.start else {
            for (row, _) in rows {
                clear(row);
            }
            continue;
        };
        let source = &source[start..start + columns.size * channels];
        if !contiguous {
            for (row, column) in rows {
                for (tap, row) in row.chunks_exact_mut(width).enumerate() {
                    let at = columns.at(column, part.tap + tap);
                    match source.get(at.max(0) as usize * channels + from..).filter(|_| at >= 0) {
                        Some(source) if (at as usize) < columns.size => copy(row, &source[..width]),
                        _ => clear(row),
                    }
                }
            }
            continue;
        }
        if (part.tap, part.place.len()) != known {
            known = (part.tap, part.place.len());
            inner = patches.inner(part.tap, part.place.len());
        }
        for (row, column) in rows {
            let at = columns.at(column, part.tap);
            if inner.contains(&column) {
                let source = &source[at as usize * width..][..len];
                match (<&mut [F; NARROW]>::try_from(&mut *row), <&[F; NARROW]>::try_from(source)) {
                    (Ok(row), Ok(source)) => *row = *source,
                    _ => copy(row, source),
                }
                continue;
            }
            let inside = inside(at, part.place.len(), columns.size);
            clear(&mut row[..inside.start * width]);
            if !inside.is_empty() {
                let from = (at + inside.start as isize) as usize * width;
                copy(&mut row[inside.start * width..inside.end * width], &source[from..][..inside.len() * width]);
            }
            clear(&mut row[inside.end * width..]);
        }
    }
}

dispatch! {
    /// Adds patches to the elements that they read. This is the adjoint of [`gather`], except that `planes` is the
    /// transposed matrix: it has a row for each element of a patch, and a column for each result.
    pub(super) fn scatter<F: Real>(patches: &Patches, results: Range<usize>, planes: &[F], source: &mut [F])
        = scatter_body;
}

#[inline(always)]
fn scatter_body<const FMA: bool, F: Real>(patches: &Patches, results: Range<usize>, planes: &[F], source: &mut [F]) {
    let Patches { width, columns, channels, from, .. } = *patches;
    let count = results.len();
    for tap in 0..patches.taps() {
        let all = patches.inner(tap % columns.taps, 1);
        for part in patches.parts(results.clone(), tap..tap + 1) {
            let inner = common(&all, &part.columns);
            let Some(start) = part.start.filter(|_| !inner.is_empty()) else { continue };
            let first = start + columns.at(inner.start, part.tap) as usize * channels + from;
            let patch = part.patch + inner.start - part.columns.start;
            for channel in 0..width {
                let plane = &planes[(tap * width + channel) * count + patch..][..inner.len()];
                let mut at = first + channel;
                for &x in plane {
                    source[at] += x;
                    at += columns.step * channels;
                }
            }
        }
    }
}

/// The part of `count` positions that start at `at` which is inside an axis of the given size.
#[inline(always)]
fn inside(at: isize, count: usize, size: usize) -> Range<usize> {
    let low = (-at).clamp(0, count as isize) as usize;
    let high = (size as isize - at).clamp(low as isize, count as isize) as usize;
    low..high
}

/// The number of elements that are moved at once.
const WIDE: usize = 16;

/// Elements of short rows are moved in groups of this size.
const NARROW: usize = 4;

#[inline(always)]
fn clear<F: Real>(out: &mut [F]) {
    let (wide, rest) = out.as_chunks_mut::<WIDE>();
    wide.fill([F::ZERO; WIDE]);
    for x in rest {
        *x = F::ZERO;
    }
}

#[inline(always)]
fn copy<F: Real>(out: &mut [F], source: &[F]) {
    let ((out, out_rest), (source, source_rest)) = (out.as_chunks_mut::<WIDE>(), source.as_chunks::<WIDE>());
    for (out, source) in out.iter_mut().zip(source) {
        *out = *source;
    }
    let ((out, out_rest), (source, source_rest)) =
        (out_rest.as_chunks_mut::<NARROW>(), source_rest.as_chunks::<NARROW>());
    for (out, source) in out.iter_mut().zip(source) {
        *out = *source;
    }
    for (out, &source) in out_rest.iter_mut().zip(source_rest) {
        *out = source;
    }
}
