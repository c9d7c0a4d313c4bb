//! Products whose first operand is mostly zeros: binary images, one-hot vectors.
//!
//! Where at most a quarter of the elements are not zero, adding up the rows of the second operand that count takes a third of
//! the time of a dense product, or less. The terms that are left are added in the order of the dense kernels for AVX2 and AVX-512,
//! so that the bits are the same, and one row of an operand does not depend on the zeros in another.

use super::Product;
use crate::Real;
use crate::simd::dispatch;

/// Rows of the result that are done together: some columns of the second operand are read for all of them, and stay in the
/// second-level cache meanwhile.
const ROWS: usize = 128;

/// Rows that a thread should have at least.
const FEWEST: usize = 16;

/// Terms that are added up before they are added to the result, as in the dense kernels.
const DEPTH: usize = 512;

/// The least number of columns for which looking for zeros can pay.
const COLUMNS: usize = 16;

/// Elements that are looked at before all are.
const SAMPLE: usize = 256;

/// Whether the first operand is mostly zeros, and the second one such that zeros can be skipped.
pub(super) fn pays<F: Real>(product: &Product, a: &[F], b: &[F]) -> bool {
    let [_, n, _] = product.dims;
    // A stride that shares no factor with the sizes of a layer, so that all columns are met.
    let step = (a.len() / SAMPLE).max(1) | 1;
    let few = |count: usize, len: usize| 4 * count <= len;
    let met = a.iter().step_by(step).filter(|&&x| x != F::ZERO).count();
    n >= COLUMNS
        && product.strides_b[1] == 1
        && few(met, a.len().div_ceil(step))
        && few(count_nonzeros(a), a.len())
        && all_finite(b)
}

dispatch! {
    fn count_nonzeros<F: Real>(x: &[F]) -> usize = count_body;
}

#[inline(always)]
fn count_body<const FMA: bool, F: Real>(x: &[F]) -> usize {
    // Counts that fit 32 bits, as wide as the elements.
    x.chunks(1 << 20).map(|x| x.iter().map(|&x| u32::from(x != F::ZERO)).sum::<u32>() as usize).sum()
}

dispatch! {
    /// Zero times anything else than a finite number is not zero.
    fn all_finite<F: Real>(x: &[F]) -> bool = finite_body;
}

#[inline(always)]
fn finite_body<const FMA: bool, F: Real>(x: &[F]) -> bool {
    let (lanes, rest) = x.as_chunks::<16>();
    let mut seen = [F::ZERO; 16];
    for lane in lanes {
        for (seen, &x) in seen.iter_mut().zip(lane) {
            // 0 for a finite number, NaN for any other.
            *seen += x * F::ZERO;
        }
    }
    seen.iter().chain(rest).all(|x| x.is_finite())
}

/// Writes the product into `out`.
pub(super) fn write<F: Real>(product: &Product, threads: usize, out: &mut [F], a: &[F], b: &[F]) {
    let [m, n, k] = product.dims;
    let near = threads / 2;
    let at = (m * near / threads.max(1)).next_multiple_of(FEWEST);
    if near == 0 || at >= m {
        return rows(*product, out, a, b);
    }
    let (first, second) = out.split_at_mut(at * n);
    let part = |rows: usize| Product { dims: [rows, n, k], ..*product };
    let far = &a[at * product.strides_a[0]..];
    rayon::join(|| write(&part(at), near, first, a, b), || write(&part(m - at), threads - near, second, far, b));
}

/// Where the elements of some rows that are not zero stand, in a piece of the inner axis.
struct Positions {
    /// How many each row has. Apart from the positions, so that those of all rows stay in the cache.
    counts: [usize; ROWS],
    of: [[u16; DEPTH]; ROWS],
}

impl Positions {
    #[inline(always)]
    fn push(&mut self, row: usize, position: usize) {
        self.of[row][self.counts[row]] = position as u16;
        self.counts[row] += 1;
    }
}

dispatch! {
    fn rows<F: Real>(product: Product, out: &mut [F], a: &[F], b: &[F]) = rows_body;
}

#[inline(always)]
fn rows_body<const FMA: bool, F: Real>(product: Product, out: &mut [F], a: &[F], b: &[F]) {
    let [_, n, k] = product.dims;
    let [row_a, column_a] = product.strides_a;
    let mut positions = Positions { counts: [0; ROWS], of: [[0; DEPTH]; ROWS] };
    for (group, out) in out.chunks_mut(ROWS * n).enumerate() {
        let rows = out.len() / n;
        for start in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - start);
            let from = &a[group * ROWS * row_a + start * column_a..];
            positions.counts = [0; ROWS];
            if row_a == 1 {
                for position in 0..depth {
                    nonzeros(&from[position * column_a..][..rows], |row| positions.push(row, position));
                }
            } else {
                for row in 0..rows {
                    nonzeros(&from[row * row_a..][..depth], |position| positions.push(row, position));
                }
            }
            let sums = Sums {
                positions: &positions,
                strides_a: product.strides_a,
                a: from,
                n,
                b: &b[start * n..],
                first: start == 0,
            };
            let mut column = 0;
            while column < n {
                column += match n - column {
                    96.. => sums.add_up::<FMA, 6, 16>(column, out),
                    48.. => sums.add_up::<FMA, 3, 16>(column, out),
                    16.. => sums.add_up::<FMA, 1, 16>(column, out),
                    8.. => sums.add_up::<FMA, 1, 8>(column, out),
                    4.. => sums.add_up::<FMA, 1, 4>(column, out),
                    _ => sums.add_up::<FMA, 1, 1>(column, out),
                };
            }
        }
    }
}

/// Calls `visit` with the positions of the elements that are not zero.
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

/// Some rows of a product over a piece of the inner axis.
struct Sums<'a, F> {
    positions: &'a Positions,
    strides_a: [usize; 2],
    a: &'a [F],
    n: usize,
    b: &'a [F],
    /// Whether this is the first piece, so that there is nothing in the result yet.
    first: bool,
}

impl<F: Real> Sums<'_, F> {
    /// Adds `T · W` columns up, row by row; gives their number.
    #[inline(always)]
    fn add_up<const FMA: bool, const T: usize, const W: usize>(&self, column: usize, out: &mut [F]) -> usize {
        let [row_a, column_a] = self.strides_a;
        let positions = self.positions.counts.iter().zip(&self.positions.of).map(|(&count, of)| &of[..count]);
        for (row, (positions, out)) in positions.zip(out.chunks_exact_mut(self.n)).enumerate() {
            let factors = &self.a[row * row_a..];
            let mut sums = [[F::ZERO; W]; T];
            for &position in positions {
                let position = usize::from(position);
                let factor = factors[position * column_a];
                let (terms, _) = self.b[position * self.n + column..][..T * W].as_chunks::<W>();
                for (sums, terms) in sums.iter_mut().zip(terms) {
                    for (sum, &term) in sums.iter_mut().zip(terms) {
                        *sum = factor.multiply_add::<FMA>(term, *sum);
                    }
                }
            }
            let (out, _) = out[column..column + T * W].as_chunks_mut::<W>();
            for (out, sums) in out.iter_mut().zip(&sums) {
                for (out, &sum) in out.iter_mut().zip(sums) {
                    *out = if self.first { sum } else { *out + sum };
                }
            }
        }
        T * W
    }
}

#[cfg(test)]
mod tests {
    use super::super::dense;
    use super::*;
    use crate::simd::{Level, level};

    /// Numbers of which about one in eight is not zero, without a pattern, and numbers without a zero.
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
            assert!(pays(&product, &a, &b) || n < COLUMNS);
            for threads in [1, 2, 3, 7] {
                write(&product, threads, &mut skipped, &a, &b);
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
    fn few_zeros_and_numbers_that_are_not_finite_are_left_to_the_dense_product() {
        let [m, n, k] = [40, 20, 100];
        let product = Product { dims: [m, n, k], strides_a: [k, 1], strides_b: [n, 1] };
        let [a, b] = operands::<f64>(m, n, k);
        assert!(pays(&product, &a, &b));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for at in [0, 777, b.len() - 1] {
                let mut b = b.clone();
                b[at] = bad;
                assert!(!pays(&product, &a, &b));
            }
        }
        assert!(!pays(&product, &vec![1.0; m * k], &b), "an operand without zeros");
        assert!(!pays(&Product { strides_b: [1, k], ..product }, &a, &b), "rows that are not in one piece");
        // What is not zero hides between the elements that are looked at first.
        let hidden: Vec<f64> = (0..m * k).map(|i| f64::from(u8::from(i % 17 != 0))).collect();
        assert!(!pays(&product, &hidden, &b));
    }

    #[test]
    fn what_is_not_a_number_in_the_first_operand_is_seen() {
        let [m, n, k] = [20, 16, 100];
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
