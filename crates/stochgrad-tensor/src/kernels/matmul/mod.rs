//! Matrix products.
//!
//! Larger products are computed by `dense`, which calls a library, or by `sparse`, which skips zeros. Both add up the
//! terms of an element in the order of the inner axis, for any part of the result. Splitting rows and columns over
//! threads therefore does not change a bit.

mod dense;
mod sparse;

use rayon::prelude::*;
use std::cell::Cell;

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::fold::LANES;
use crate::parallel::threads_for;
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// A product with more multiplications than this is split over threads.
const PARALLEL: usize = 2_000_000;

/// Products with up to this many multiplications are computed by a plain loop, which needs no packing.
const TINY: usize = 512;

/// The matrix product over the last two axes; leading axes broadcast.
///
/// `a` is [.., m, k], or [.., k, m] with `transpose_a`; `b` is [.., k, n], or [.., n, k] with `transpose_b`. The result
/// is [.., m, n]. If `b` is a single matrix and `a` is not transposed, all leading axes of `a` are combined in one
/// product.
///
/// # Panics
/// If an operand has fewer than two axes, the inner sizes differ, or the leading axes do not broadcast.
pub fn matmul<F: Real>(
    pool: &Pool<F>,
    a: &Tensor<F>,
    transpose_a: bool,
    b: &Tensor<F>,
    transpose_b: bool,
) -> Tensor<F> {
    let (lead_a, [rows_a, columns_a]) = split(a.shape());
    let (lead_b, [rows_b, columns_b]) = split(b.shape());
    let (m, k) = if transpose_a { (columns_a, rows_a) } else { (rows_a, columns_a) };
    let (k_b, n) = if transpose_b { (columns_b, rows_b) } else { (rows_b, columns_b) };
    let Some(lead) = (if k == k_b { Shape::broadcast(&lead_a, &lead_b) } else { None }) else {
        panic!(
            "no matrix product of shapes {} (transposed: {transpose_a}) and {} (transposed: {transpose_b})",
            a.shape(),
            b.shape()
        );
    };
    let strides_a = if transpose_a { [1, columns_a] } else { [columns_a, 1] };
    let strides_b = if transpose_b { [1, columns_b] } else { [columns_b, 1] };

    let mut shape = lead.clone();
    shape.extend([m, n]);
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    if k == 0 {
        out.make_mut().fill(F::ZERO);
        return out;
    }
    let (slice_a, slice_b) = (a.as_slice(), b.as_slice());
    if lead_b.numel() == 1 && (!transpose_a || lead_a.numel() == 1) {
        let product = Product { dims: [lead.numel() * m, n, k], strides_a, strides_b };
        product.write(pool.threads(), out.make_mut(), slice_a, slice_b);
        return out;
    }

    let product = Product { dims: [m, n, k], strides_a, strides_b };
    let mut offsets = OFFSETS.take();
    offsets.clear();
    let iter = BroadcastIter::new(&lead, [&lead_a, &lead_b]);
    iter.for_rows(0, iter.rows(), |_, [at_a, at_b]| {
        for i in 0..iter.inner {
            offsets.push([at_a + i * iter.steps[0], at_b + i * iter.steps[1]]);
        }
    });
    let one = |threads: usize, out: &mut [F], [at_a, at_b]: [usize; 2]| {
        let (a, b) = (&slice_a[at_a * m * k..], &slice_b[at_b * k * n..]);
        product.write(threads, out, a, b);
    };
    let work = m * n * k;
    let matrices = out.make_mut();
    if pool.threads() > 1 && work < PARALLEL && work * offsets.len() > PARALLEL {
        let least = offsets.len().div_ceil(pool.threads());
        matrices
            .par_chunks_exact_mut(m * n)
            .zip(offsets.par_iter())
            .with_min_len(least)
            .for_each(|(out, &offset)| one(1, out, offset));
    } else {
        for (out, &offset) in matrices.chunks_exact_mut(m * n).zip(&offsets) {
            one(pool.threads(), out, offset);
        }
    }
    OFFSETS.set(offsets);
    out
}

thread_local! {
    /// The offsets of the matrices of a product, kept so that a repeated product allocates nothing.
    static OFFSETS: Cell<Vec<[usize; 2]>> = const { Cell::new(Vec::new()) };
}

/// aᵀ b summed over all leading axes: `a` is [.., r, m], `b` is [.., r, n] with the same leading axes, the result is
/// [m, n].
///
/// This is the gradient with respect to a weight matrix, in one product.
///
/// # Panics
/// If an operand has no axes, or the leading axes differ.
pub fn matmul_leading<F: Real>(pool: &Pool<F>, a: &Tensor<F>, b: &Tensor<F>) -> Tensor<F> {
    let (Some((&m, lead_a)), Some((&n, lead_b))) = (a.shape().split_last(), b.shape().split_last()) else {
        panic!("product over leading axes of shapes {} and {}", a.shape(), b.shape());
    };
    assert_eq!(lead_a, lead_b, "product over leading axes of shapes {} and {}", a.shape(), b.shape());
    let k = lead_a.iter().product();
    let mut out = pool.take(Shape::from([m, n]));
    if k == 0 {
        out.make_mut().fill(F::ZERO);
    } else if !out.is_empty() {
        let product = Product { dims: [m, n, k], strides_a: [1, m], strides_b: [n, 1] };
        product.write(pool.threads(), out.make_mut(), a.as_slice(), b.as_slice());
    }
    out
}

/// A matrix inside a buffer, with the distances between its rows and between its columns.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a, F> {
    pub(crate) elements: &'a [F],
    pub(crate) strides: [usize; 2],
}

/// Writes the product of two matrices of the sizes [m, k] and [k, n] into rows of `out` that are `width` elements
/// apart, on one thread. With `add`, it is added to the elements there. `dims` is [m, n, k], and no size is 0.
pub(crate) fn block_product<F: Real>(
    dims: [usize; 3],
    a: Block<'_, F>,
    b: Block<'_, F>,
    width: usize,
    add: bool,
    out: &mut [F],
) {
    let product = Product { dims, strides_a: a.strides, strides_b: b.strides };
    dense::write_rows(&product, width, add, out, a.elements, b.elements);
}

/// The leading axes, and the last two sizes.
fn split(shape: &Shape) -> (Shape, [usize; 2]) {
    match **shape {
        [ref lead @ .., rows, columns] => (Shape::from(lead), [rows, columns]),
        _ => panic!("expected at least two axes for a matrix product, got shape {shape}"),
    }
}

/// A product of two matrices with strides [row, column], one of which is 1, into a row-major matrix.
#[derive(Clone, Copy, Debug)]
struct Product {
    dims: [usize; 3],
    strides_a: [usize; 2],
    strides_b: [usize; 2],
}

impl Product {
    /// Writes the product. The choice of the method depends on the sizes and operands, never on the threads.
    fn write<F: Real>(&self, threads: usize, out: &mut [F], a: &[F], b: &[F]) {
        let [m, n, k] = self.dims;
        assert!(m > 0 && n > 0 && k > 0);
        let ([row_a, column_a], [row_b, column_b]) = (self.strides_a, self.strides_b);
        let out = &mut out[..m * n];
        let a = &a[..(m - 1) * row_a + (k - 1) * column_a + 1];
        let b = &b[..(k - 1) * row_b + (n - 1) * column_b + 1];
        let threads = threads_for(threads, m * n * k, PARALLEL);
        if m * n * k <= TINY {
            self.plain(out, a, b);
        } else if n == 1 && column_a == 1 && row_b == 1 {
            dot_rows(k, a, b, out);
        } else if m == 1 && column_a == 1 && row_b == 1 {
            dot_rows(k, b, a, out);
        } else if !sparse::write(self, threads, out, a, b) {
            dense::write(self, threads, out, a, b);
        }
    }

    fn plain<F: Real>(&self, out: &mut [F], a: &[F], b: &[F]) {
        let [m, n, k] = self.dims;
        let [row_a, column_a] = self.strides_a;
        let [row_b, column_b] = self.strides_b;
        for (i, out) in out[..m * n].chunks_exact_mut(n).enumerate() {
            for (j, out) in out.iter_mut().enumerate() {
                let mut sum = F::ZERO;
                for p in 0..k {
                    sum += a[i * row_a + p * column_a] * b[p * row_b + j * column_b];
                }
                *out = sum;
            }
        }
    }
}

dispatch! {
    /// The products of the rows of a matrix with a vector.
    fn dot_rows<F: Real>(k: usize, rows: &[F], vector: &[F], out: &mut [F]) = dot_rows_body;
}

#[inline(always)]
fn dot_rows_body<const FMA: bool, F: Real>(k: usize, rows: &[F], vector: &[F], out: &mut [F]) {
    /// The number of independent sums, enough to hide the latency of a multiply-add.
    const WIDE: usize = 4 * LANES;
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(k)) {
        let ((wide, rest), (wide_vector, rest_vector)) = (row.as_chunks::<WIDE>(), vector.as_chunks::<WIDE>());
        let mut sums = [F::ZERO; WIDE];
        for (x, y) in wide.iter().zip(wide_vector) {
            for (sum, (&x, &y)) in sums.iter_mut().zip(x.iter().zip(y)) {
                *sum = x.multiply_add::<FMA>(y, *sum);
            }
        }
        let mut width = WIDE / 2;
        while width > 0 {
            for lane in 0..width {
                sums[lane] += sums[lane + width];
            }
            width /= 2;
        }
        *out = rest.iter().zip(rest_vector).fold(sums[0], |sum, (&x, &y)| x.multiply_add::<FMA>(y, sum));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::{self, Level};
    use crate::testing::{broadcast_at, broadcasting, index_of, same_bits, scrambled, tensor_of};

    fn naive(a: &Tensor<f64>, transpose_a: bool, b: &Tensor<f64>, transpose_b: bool) -> Tensor<f64> {
        let (lead_a, _) = split(a.shape());
        let (lead_b, _) = split(b.shape());
        let [a0, a1] = *a.shape().last_chunk().unwrap();
        let [b0, b1] = *b.shape().last_chunk().unwrap();
        let (m, k) = if transpose_a { (a1, a0) } else { (a0, a1) };
        let n = if transpose_b { b0 } else { b1 };
        let mut shape = Shape::broadcast(&lead_a, &lead_b).unwrap();
        shape.extend([m, n]);
        let rank = shape.rank();
        tensor_of(&shape, |index| {
            let (i, j) = (index[rank - 2], index[rank - 1]);
            let at = |x: &Tensor<f64>, row: usize, column: usize, transposed: bool| {
                let mut index = index.to_vec();
                let (row, column) = if transposed { (column, row) } else { (row, column) };
                (index[rank - 2], index[rank - 1]) = (row, column);
                let own = &index[rank - x.rank()..];
                let lead: Vec<usize> = own[..x.rank() - 2]
                    .iter()
                    .zip(x.shape().iter())
                    .map(|(&i, &size)| if size == 1 { 0 } else { i })
                    .chain([row, column])
                    .collect();
                x.get(&lead).unwrap()
            };
            (0..k).map(|p| at(a, i, p, transpose_a) * at(b, p, j, transpose_b)).sum()
        })
    }

    fn assert_agrees(found: &Tensor<f64>, expected: &Tensor<f64>, k: usize, epsilon: f64) {
        let difference = found.max_abs_difference(expected).unwrap();
        assert!(
            difference <= 9.0 * (k as f64 + 1.0) * epsilon,
            "{} apart in a product of shape {}",
            difference,
            expected.shape()
        );
    }

    fn check(lead_a: &[usize], lead_b: &[usize], [m, n, k]: [usize; 3], turned: [bool; 2]) {
        let pool = Pool::new();
        let shape = |lead: &[usize], rows: usize, columns: usize, turned: bool| {
            let last = if turned { [columns, rows] } else { [rows, columns] };
            [lead, &last].concat()
        };
        let a = scrambled(&shape(lead_a, m, k, turned[0]));
        let b = scrambled(&shape(lead_b, k, n, turned[1])).map(|x| (x * 1.7).cos() * 3.0);
        let expected = naive(&a, turned[0], &b, turned[1]);
        assert_agrees(&matmul(&pool, &a, turned[0], &b, turned[1]), &expected, k, f64::EPSILON);
        let narrow = matmul(&Pool::new(), &a.cast::<f32>(), turned[0], &b.cast(), turned[1]);
        assert_agrees(&narrow.cast(), &expected, k, 2.0 * f64::from(f32::EPSILON));
    }

    const TURNS: [[bool; 2]; 4] = [[false, false], [false, true], [true, false], [true, true]];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 60 }))]
        #[test]
        fn products_agree_with_index_arithmetic(
            lead in broadcasting(2),
            m in 0..12_usize,
            n in 0..12_usize,
            k in 0..12_usize,
            turned in any::<[bool; 2]>(),
        ) {
            check(&lead[0], &lead[1], [m, n, k], turned);
        }
    }

    #[test]
    fn matrices_of_all_proportions_agree() {
        let sizes = [
            [1, 1, 300],
            [1, 70, 90],
            [70, 1, 90],
            [33, 17, 1],
            [33, 17, 2],
            [65, 67, 129],
            [8, 200, 40],
            [200, 7, 600],
        ];
        for dims in sizes {
            for turned in TURNS {
                check(&[], &[], dims, turned);
                check(&[3], &[], dims, turned);
            }
        }
    }

    #[test]
    fn products_agree_with_another_implementation() {
        let [m, n, k] = [150, 130, 170];
        let (a, b) = (scrambled(&[m, k]), scrambled(&[n, k]));
        let mut expected = vec![0.0; m * n];
        #[allow(unsafe_code)]
        // SAFETY: the strides are those of the row-major matrices [m, k], [n, k] (transposed) and [m, n].
        unsafe {
            matrixmultiply::dgemm(
                m,
                k,
                n,
                1.0,
                a.as_slice().as_ptr(),
                k as isize,
                1,
                b.as_slice().as_ptr(),
                1,
                k as isize,
                0.0,
                expected.as_mut_ptr(),
                n as isize,
                1,
            );
        }
        let expected = Tensor::new(expected, [m, n]).unwrap();
        assert_agrees(&matmul(&Pool::new(), &a, false, &b, true), &expected, k, f64::EPSILON);
    }

    /// Every number of rows and columns of a kernel's last piece, at every level that the machine has.
    #[test]
    fn pieces_of_any_size_give_the_same_bits() {
        // Miri is thousands of times slower than the processor.
        let ([m, n], depths) = if cfg!(miri) { ([9, 35], &[1, 3][..]) } else { ([9, 117], &[1, 513, 1030][..]) };
        for &k in depths {
            for strides_a in [[k, 1], [1, m]] {
                for strides_b in [[n, 1], [1, k]] {
                    let (a, b) = (scrambled(&[m, k]).cast::<f32>(), scrambled(&[k, n]).cast::<f32>());
                    let product = Product { dims: [m, n, k], strides_a, strides_b };
                    for level in [Level::Plain, Level::Portable, Level::Avx2, Level::Avx512] {
                        if level > simd::level() {
                            continue;
                        }
                        let mut whole = vec![f32::NAN; m * n];
                        dense::write_at(&product, 1, level, &mut whole, a.as_slice(), b.as_slice());
                        for threads in [2, 5, 40] {
                            let mut split = vec![f32::NAN; m * n];
                            dense::write_at(&product, threads, level, &mut split, a.as_slice(), b.as_slice());
                            assert_eq!(whole, split, "{level:?}, {threads} threads");
                        }
                        for columns in [1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 47, 48, 63, 65, 80, 95, 96, 97, 112, 116] {
                            if columns > n {
                                break;
                            }
                            let part = Product { dims: [m, columns, k], ..product };
                            let mut out = vec![f32::NAN; m * columns];
                            dense::write_at(&part, 1, level, &mut out, a.as_slice(), b.as_slice());
                            let same = out.chunks_exact(columns).zip(whole.chunks_exact(n));
                            assert!(same.into_iter().all(|(part, row)| *part == row[..columns]), "{columns}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn products_with_a_vector_agree() {
        for k in [513, 600, 1000, 1023, 1024, 1100] {
            check(&[], &[], [1, 3, k], [false, true]);
            check(&[], &[], [3, 1, k], [false, false]);
            check(&[2], &[], [3, 1, k], [false, false]);
            check(&[], &[], [1, 1, k], [false, true]);
        }
    }

    #[test]
    fn the_product_over_leading_axes_is_the_sum_of_products() {
        let pool = Pool::new();
        for (lead, m, n) in [(vec![4, 3, 50], 20, 10), (vec![7], 3, 2), (vec![], 3, 4), (vec![0], 2, 2)] {
            let a = scrambled(&[&lead[..], &[m]].concat());
            let b = scrambled(&[&lead[..], &[n]].concat()).map(f64::cos);
            let expected = tensor_of(&[m, n], |index| {
                (0..lead.iter().product())
                    .map(|row| {
                        let mut at = index_of(&lead, row);
                        at.push(index[0]);
                        let left = broadcast_at(&a, &at);
                        *at.last_mut().unwrap() = index[1];
                        left * broadcast_at(&b, &at)
                    })
                    .sum()
            });
            assert_agrees(&matmul_leading(&pool, &a, &b), &expected, a.len() / m, f64::EPSILON);
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let large: [(&[usize], &[usize]); 5] = [
            (&[300, 310], &[310, 290]),
            (&[40, 2000], &[2000, 130]),
            (&[3000, 64], &[64, 70]),
            (&[16, 100, 90], &[16, 90, 80]),
            (&[16, 1, 100, 90], &[4, 90, 80]),
        ];
        let pools = [Pool::with_threads(2), Pool::with_threads(5)];
        for (a, b) in large {
            let (a, b) = (scrambled(a), scrambled(b));
            let last = b.rank() - 1;
            let turn: Vec<usize> = (0..last - 1).chain([last, last - 1]).collect();
            let b_turned = crate::kernels::layout::transpose(&Pool::new(), &b, &turn);
            let one = Pool::new();
            for pool in &pools {
                assert!(same_bits(&matmul(&one, &a, false, &b, false), &matmul(pool, &a, false, &b, false)));
                let turned = matmul(pool, &a, false, &b_turned, true);
                assert!(same_bits(&matmul(&one, &a, false, &b_turned, true), &turned));
                let leading = [matmul_leading(&one, &a, &a), matmul_leading(pool, &a, &a)];
                assert!(same_bits(&leading[0], &leading[1]));
            }
            let narrow = (a.cast::<f32>(), b.cast::<f32>());
            let single = matmul(&Pool::new(), &narrow.0, false, &narrow.1, false);
            let double = matmul(&Pool::with_threads(2), &narrow.0, false, &narrow.1, false);
            assert!(same_bits(&single.cast(), &double.cast()));
        }
    }

    #[test]
    #[should_panic(expected = "matrix product of shapes [2, 3]")]
    fn sizes_that_do_not_fit_are_a_bug_of_the_caller() {
        matmul(&Pool::<f64>::new(), &Tensor::zeros([2, 3]), false, &Tensor::zeros([2, 3]), false);
    }
}
