//! Products whose first operand is mostly zeros, such as binary images and one-hot vectors.
//!
//! If at most a third of the elements are nonzero, it is faster to add up the rows of the second operand that belong to
//! nonzero elements: with one nonzero in eight, it takes a fifth of the time of a dense product. The remaining terms
//! are added in the order of the dense kernels for AVX2 and AVX-512. Hence the bits are the same, and one row of the
//! result does not depend on the zeros in other rows.
//!
//! The second operand is copied in panels of [`SLAB`] rows and [`PANEL`] columns. A panel stays in the first-level
//! cache while it is used for many rows of the result.

use super::Product;
use crate::real::Real;
use crate::simd::dispatch;

/// The largest number of rows of the result that are processed together.
const ROWS: usize = 128;

/// The largest number of nonzero elements in these rows.
const CAPACITY: usize = 16384;

/// The least number of rows for a thread.
const FEWEST: usize = 16;

/// The number of terms that are summed before the sum is added to the result, as in the dense kernels.
const DEPTH: usize = 512;

/// The number of rows of a panel.
const SLAB: usize = 128;

/// The number of columns of a panel: as many as there are registers for sums.
const PANEL: usize = 64;

/// The least number of columns for which skipping zeros can be faster.
const COLUMNS: usize = 16;

/// The least number of multiplications for which skipping zeros can be faster.
const LEAST: usize = 100_000;

/// The number of elements in the sample that is checked before all elements are.
const SAMPLE: usize = 256;

/// Writes the product into `out` and returns true, if the first operand is mostly zeros and the second operand is
/// finite. (The product of zero and a value that is not finite is not zero, so it cannot be skipped.) Otherwise it
/// returns false, and the contents of `out` are unspecified.
pub(super) fn write<F: Real>(product: &Product, threads: usize, out: &mut [F], a: &[F], b: &[F]) -> bool {
    pays(product, a) && split(product, threads, out, a, b)
}

fn pays<F: Real>(product: &Product, a: &[F]) -> bool {
    let [m, n, k] = product.dims;
    // An odd stride: it has no factor in common with layer sizes that are powers of two, so that all columns are
    // sampled.
    let step = (a.len() / SAMPLE).max(1) | 1;
    let few = |count: usize, len: usize| 3 * count <= len;
    let met = a.iter().step_by(step).filter(|&&x| x != F::ZERO).count();
    n >= COLUMNS
        && m * n * k >= LEAST
        && product.strides_b[1] == 1
        && few(met, a.len().div_ceil(step))
        && few(count_nonzeros(a), a.len())
}

dispatch! {
    fn count_nonzeros<F: Real>(x: &[F]) -> usize = count_body;
}

#[inline(always)]
fn count_body<const FMA: bool, F: Real>(x: &[F]) -> usize {
    // The counts fit into 32 bits, which are as wide as the elements.
    x.chunks(1 << 20).map(|x| x.iter().map(|&x| u32::from(x != F::ZERO)).sum::<u32>() as usize).sum()
}

/// Splits the rows over threads.
fn split<F: Real>(product: &Product, threads: usize, out: &mut [F], a: &[F], b: &[F]) -> bool {
    let [m, n, k] = product.dims;
    let near = threads / 2;
    let at = (m * near / threads.max(1)).next_multiple_of(FEWEST);
    if near == 0 || at >= m {
        return rows(*product, out, a, b);
    }
    let (first, second) = out.split_at_mut(at * n);
    let part = |rows: usize| Product { dims: [rows, n, k], ..*product };
    let far = &a[at * product.strides_a[0]..];
    let finite =
        rayon::join(|| split(&part(at), near, first, a, b), || split(&part(m - at), threads - near, second, far, b));
    finite.0 && finite.1
}

/// The nonzero elements of some rows, in a piece of the inner axis.
struct Nonzeros<F> {
    /// For each slab of the piece, the start of the elements of each row; after the last slab, their ends.
    starts: [[u16; ROWS]; DEPTH / SLAB + 1],
    /// The positions of the elements, relative to the start of the slab.
    positions: [u8; CAPACITY],
    values: [F; CAPACITY],
}

impl<F: Real> Nonzeros<F> {
    #[inline(always)]
    fn new() -> Self {
        Nonzeros { starts: [[0; ROWS]; DEPTH / SLAB + 1], positions: [0; CAPACITY], values: [F::ZERO; CAPACITY] }
    }

    /// Collects the nonzero elements of at most `rows` rows with `depth` elements each. Returns the number of rows.
    #[inline(always)]
    fn collect(&mut self, rows: usize, depth: usize, [row_a, column_a]: [usize; 2], a: &[F]) -> usize {
        let mut counts = [0_u32; ROWS];
        let counts = &mut counts[..rows.min(ROWS)];
        if row_a == 1 {
            for position in 0..depth {
                for (count, &x) in counts.iter_mut().zip(&a[position * column_a..]) {
                    *count += u32::from(x != F::ZERO);
                }
            }
        } else {
            for (row, count) in counts.iter_mut().enumerate() {
                *count = a[row * row_a..][..depth].iter().map(|&x| u32::from(x != F::ZERO)).sum();
            }
        }
        let mut ends = [0_u16; ROWS];
        let (mut rows, mut total) = (0, 0);
        for &count in &*counts {
            if total + count as usize >= CAPACITY {
                break;
            }
            ends[rows] = total as u16;
            rows += 1;
            total += count as usize;
        }
        for (slab, starts) in self.starts.iter_mut().enumerate() {
            let slab = SLAB * slab..(SLAB * (slab + 1)).min(depth);
            *starts = ends;
            let mut push = |row: usize, position: usize, x: F| {
                let at = usize::from(ends[row]);
                self.positions[at] = (position - slab.start) as u8;
                self.values[at] = x;
                ends[row] += 1;
            };
            if row_a == 1 {
                for position in slab.clone() {
                    let a = &a[position * column_a..][..rows];
                    nonzeros(a, |row| push(row, position, a[row]));
                }
            } else if !slab.is_empty() {
                for row in 0..rows {
                    let a = &a[row * row_a..][slab.clone()];
                    nonzeros(a, |position| push(row, slab.start + position, a[position]));
                }
            }
        }
        rows
    }
}

/// Calls `visit` with the positions of the nonzero elements.
#[inline(always)]
fn nonzeros<F: Real>(x: &[F], mut visit: impl FnMut(usize)) {
    for (piece, x) in x.chunks(16).enumerate() {
        let mut left = 0_u32;
        for (lane, &x) in x.iter().enumerate() {
            left |= u32::from(x != F::ZERO) << lane;
        }
        while left != 0 {
            visit(16 * piece + left.trailing_zeros() as usize);
            left &= left - 1;
        }
    }
}

dispatch! {
    /// Writes some rows of the product. Returns whether all elements of the second operand are finite.
    fn rows<F: Real>(product: Product, out: &mut [F], a: &[F], b: &[F]) -> bool = rows_body;
}

#[inline(always)]
fn rows_body<const FMA: bool, F: Real>(product: Product, out: &mut [F], a: &[F], b: &[F]) -> bool {
    let [m, n, k] = product.dims;
    let [row_a, column_a] = product.strides_a;
    let mut nonzeros = Nonzeros::new();
    let mut work = Work { panel: [F::ZERO; SLAB * PANEL], sums: [F::ZERO; ROWS * PANEL] };
    for start in (0..k).step_by(DEPTH) {
        let depth = DEPTH.min(k - start);
        let b = &b[start * n..];
        let mut row = 0;
        while row < m {
            let rows = nonzeros.collect(m - row, depth, product.strides_a, &a[row * row_a + start * column_a..]);
            let out = &mut out[row * n..(row + rows) * n];
            let piece = Piece { nonzeros: &nonzeros, depth, first: start == 0, n, b };
            let mut column = 0;
            while column < n {
                let columns = match n - column {
                    64.. => piece.add_up::<FMA, 4, 16>(&mut work, column, out),
                    32.. => piece.add_up::<FMA, 2, 16>(&mut work, column, out),
                    16.. => piece.add_up::<FMA, 1, 16>(&mut work, column, out),
                    8.. => piece.add_up::<FMA, 1, 8>(&mut work, column, out),
                    4.. => piece.add_up::<FMA, 1, 4>(&mut work, column, out),
                    _ => piece.add_up::<FMA, 1, 1>(&mut work, column, out),
                };
                let Some(columns) = columns else { return false };
                column += columns;
            }
            row += rows;
        }
    }
    true
}

/// Buffers that are aligned to a cache line, so that no load crosses a line boundary.
#[repr(C, align(64))]
struct Work<F> {
    panel: [F; SLAB * PANEL],
    /// The sums of a piece, for each row of the result.
    sums: [F; ROWS * PANEL],
}

/// Some rows of a product over a piece of the inner axis.
struct Piece<'a, F> {
    nonzeros: &'a Nonzeros<F>,
    depth: usize,
    /// Whether this is the first piece, so that the result is overwritten.
    first: bool,
    n: usize,
    b: &'a [F],
}

impl<F: Real> Piece<'_, F> {
    /// Computes `T · W` columns and returns their number, or `None` if the second operand is not finite there.
    #[inline(always)]
    fn add_up<const FMA: bool, const T: usize, const W: usize>(
        &self,
        work: &mut Work<F>,
        column: usize,
        out: &mut [F],
    ) -> Option<usize> {
        let panel = tiles_mut::<F, T, W>(&mut work.panel);
        let sums = &mut tiles_mut::<F, T, W>(&mut work.sums)[..out.len() / self.n];
        sums.fill([[F::ZERO; W]; T]);
        let mut seen = [F::ZERO; W];
        for (slab, ends) in self.nonzeros.starts[1..=self.depth.div_ceil(SLAB)].iter().enumerate() {
            let starts = &self.nonzeros.starts[slab];
            let rows = self.b[slab * SLAB * self.n..].chunks(self.n);
            for (panel, row) in panel.iter_mut().zip(rows.take(self.depth - slab * SLAB)) {
                let (row, _) = row[column..column + T * W].as_chunks::<W>();
                for (panel, row) in panel.iter_mut().zip(row) {
                    *panel = *row;
                    for (seen, &x) in seen.iter_mut().zip(row) {
                        // 0 for a finite value, NaN for any other.
                        *seen += x * F::ZERO;
                    }
                }
            }
            for ((sums, &start), &end) in sums.iter_mut().zip(starts).zip(ends) {
                let range = usize::from(start)..usize::from(end);
                let positions = &self.nonzeros.positions[range.clone()];
                let mut held = *sums;
                for (&position, &value) in positions.iter().zip(&self.nonzeros.values[range]) {
                    for (sums, terms) in held.iter_mut().zip(&panel[usize::from(position) % SLAB]) {
                        for (sum, &term) in sums.iter_mut().zip(terms) {
                            *sum = value.multiply_add::<FMA>(term, *sum);
                        }
                    }
                }
                *sums = held;
            }
        }
        for (sums, out) in sums.iter().zip(out.chunks_exact_mut(self.n)) {
            for (out, &sum) in out[column..column + T * W].iter_mut().zip(sums.as_flattened()) {
                *out = if self.first { sum } else { *out + sum };
            }
        }
        seen.iter().all(|x| x.is_finite()).then_some(T * W)
    }
}

/// The elements in groups of `T` by `W`.
#[inline(always)]
fn tiles_mut<F, const T: usize, const W: usize>(elements: &mut [F]) -> &mut [[[F; W]; T]] {
    elements.as_chunks_mut::<W>().0.as_chunks_mut::<T>().0
}

#[cfg(test)]
mod tests {
    use super::super::dense;
    use super::*;
    use crate::simd::{Level, level};

    /// Values of which about one in eight is nonzero, without a regular pattern, and values without a zero.
    fn operands<F: Real>(m: usize, n: usize, k: usize) -> [Vec<F>; 2] {
        let wave = |i: usize| F::from_f64((i as f64 * 12.9898).sin() * 3.0);
        let scattered = |i: usize| ((i as f64 * 78.233).sin() * 43_758.545_3).fract().abs() < 0.12;
        let a = (0..m * k).map(|i| if scattered(i) { wave(i) } else { F::ZERO }).collect();
        [a, (0..k * n).map(|i| wave(i + 5)).collect()]
    }

    fn check<F: Real>([m, n, k]: [usize; 3]) {
        let [a, b] = operands::<F>(m, n, k);
        for strides_a in [[k, 1], [1, m]] {
            let product = Product { dims: [m, n, k], strides_a, strides_b: [n, 1] };
            let (mut full, mut skipped) = (vec![F::NAN; m * n], vec![F::NAN; m * n]);
            dense::write(&product, 1, &mut full, &a, &b);
            for threads in [1, 2, 3, 7] {
                assert!(split(&product, threads, &mut skipped, &a, &b));
                if level() > Level::Portable {
                    assert_eq!(skipped, full, "{m} {n} {k}, {threads} threads");
                }
                for (skipped, full) in skipped.iter().zip(&full) {
                    let difference = (skipped.to_f64() - full.to_f64()).abs();
                    assert!(difference <= 9.0 * (k as f64 + 1.0) * F::EPSILON.to_f64());
                }
            }
        }
    }

    #[test]
    fn skipping_zeros_gives_the_bits_of_the_dense_product() {
        for dims in [[1, 16, 400], [5, 17, 512], [130, 31, 513], [200, 99, 60], [33, 200, 1100], [300, 127, 30]] {
            check::<f32>(dims);
            check::<f64>(dims);
        }
    }

    #[test]
    fn few_zeros_and_values_that_are_not_finite_are_left_to_the_dense_product() {
        let [m, n, k] = [60, 20, 100];
        let product = Product { dims: [m, n, k], strides_a: [k, 1], strides_b: [n, 1] };
        let [a, b] = operands::<f64>(m, n, k);
        let mut out = vec![0.0; m * n];
        assert!(write(&product, 1, &mut out, &a, &b));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for at in [0, 777, b.len() - 1] {
                let mut b = b.clone();
                b[at] = bad;
                assert!((1..4).all(|threads| !write(&product, threads, &mut out, &a, &b)));
            }
        }
        assert!(!pays(&product, &vec![1.0; m * k]), "an operand without zeros");
        assert!(!pays(&Product { strides_b: [1, k], ..product }, &a), "rows that are not in one piece");
        // Most elements are nonzero, and the zeros form a regular pattern.
        let hidden: Vec<f64> = (0..m * k).map(|i| f64::from(u8::from(i % 17 != 0))).collect();
        assert!(!pays(&product, &hidden));
    }

    #[test]
    fn nan_in_the_first_operand_is_kept() {
        let [m, n, k] = [100, 16, 100];
        let mut a = vec![0.0; m * k];
        a[3 * k + 50] = f64::NAN;
        let product = Product { dims: [m, n, k], strides_a: [k, 1], strides_b: [n, 1] };
        let (b, mut out) = (vec![1.0; k * n], vec![0.0; m * n]);
        product.write(1, &mut out, &a, &b);
        let rows: Vec<bool> = out.chunks_exact(n).map(|row| row.iter().all(|x| x.is_nan())).collect();
        assert_eq!(rows.iter().filter(|&&nan| nan).count(), 1);
        assert!(rows[3]);
    }
}
