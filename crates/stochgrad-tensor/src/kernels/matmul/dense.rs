//! Dense products, by the kernels of other crates. All calls to those crates are in this file.
//!
//! On x86-64 with AVX2 or AVX-512 the kernels are those of `private-gemm-x86`, which `faer` uses. They are among the
//! fastest for matrices of the size of a layer, and do not allocate after the first product of a thread. Elsewhere the
//! kernels are those of `matrixmultiply`, which detects the instructions of the machine itself. At the level
//! [`Level::Plain`] the products are plain loops, with the same bits on every machine. Neither crate uses threads here:
//! the product is split in this file, and each piece is computed by one thread.

use std::any::TypeId;

use super::Product;
use crate::real::Real;
use crate::simd::{Level, level};

/// The numbers of rows and columns that a kernel processes together. Pieces of a split are multiples of these if
/// possible.
const UNITS: [usize; 2] = [4, 16];

/// The least number of columns for a thread, unless there are very few rows.
const COLUMNS: usize = 192;

/// Writes the product into `out`.
pub(super) fn write<F: Real>(product: &Product, threads: usize, out: &mut [F], a: &[F], b: &[F]) {
    write_at(product, threads, level(), out, a, b);
}

/// As [`write`], with the kernels of a given level, which the machine must support.
#[allow(unsafe_code)]
pub(super) fn write_at<F: Real>(product: &Product, threads: usize, at: Level, out: &mut [F], a: &[F], b: &[F]) {
    assert!(at <= level());
    let [m, n, k] = product.dims;
    let ([row_a, column_a], [row_b, column_b]) = (product.strides_a, product.strides_b);
    assert!(m > 0 && n > 0 && k > 0);
    assert!(out.len() >= m * n);
    assert!(a.len() > (m - 1) * row_a + (k - 1) * column_a);
    assert!(b.len() > (k - 1) * row_b + (n - 1) * column_b);
    let piece = Piece { product: *product, width: n, add: false, out: out.as_mut_ptr(), a: a.as_ptr(), b: b.as_ptr() };
    // SAFETY: the assertions ensure that every element that the strides reach is inside the three slices. `out` is
    // borrowed mutably, so it is not accessed elsewhere and overlaps neither operand. The machine supports the level.
    unsafe { piece.write(threads, at) }
}

/// Writes the product into rows of `out` that are `width` elements apart, on one thread. With `add`, it is added to the
/// elements there.
#[allow(unsafe_code)]
pub(super) fn write_rows<F: Real>(product: &Product, width: usize, add: bool, out: &mut [F], a: &[F], b: &[F]) {
    let [m, n, k] = product.dims;
    let ([row_a, column_a], [row_b, column_b]) = (product.strides_a, product.strides_b);
    assert!(m > 0 && n > 0 && k > 0 && n <= width);
    assert!(out.len() >= (m - 1) * width + n);
    assert!(a.len() > (m - 1) * row_a + (k - 1) * column_a);
    assert!(b.len() > (k - 1) * row_b + (n - 1) * column_b);
    let piece = Piece { product: *product, width, add, out: out.as_mut_ptr(), a: a.as_ptr(), b: b.as_ptr() };
    // SAFETY: as in `write_at`; rows of the result do not overlap, since they are at least `n` elements apart.
    unsafe { piece.write_alone(level()) }
}

/// Some rows and columns of a product. The rows of the result are `width` elements apart.
struct Piece<F> {
    product: Product,
    width: usize,
    /// Whether the product is added to the elements of the result.
    add: bool,
    out: *mut F,
    a: *const F,
    b: *const F,
}

// SAFETY: a piece represents an exclusive borrow of its elements of the result, and shared borrows of its operands,
// whose elements are `Send` and `Sync`. Pieces that run in parallel have no element of the result in common.
#[allow(unsafe_code)]
unsafe impl<F: Real> Send for Piece<F> {}

#[allow(unsafe_code)]
impl<F: Real> Piece<F> {
    /// Splits the piece in two before a row (`axis` 0) or a column (`axis` 1).
    ///
    /// # Safety
    /// The row or column must exist.
    unsafe fn split(self, axis: usize, at: usize) -> [Self; 2] {
        let Piece { product, width, add, out, a, b } = self;
        let (mut first, mut second) = (product, product);
        first.dims[axis] = at;
        second.dims[axis] -= at;
        // SAFETY: the offsets are those of an element of the result, of a row of `a`, and of a column of `b`.
        let (out_far, a_far, b_far) = unsafe {
            match axis {
                0 => (out.add(at * width), a.add(at * product.strides_a[0]), b),
                _ => (out.add(at), a, b.add(at * product.strides_b[1])),
            }
        };
        [
            Piece { product: first, width, add, out, a, b },
            Piece { product: second, width, add, out: out_far, a: a_far, b: b_far },
        ]
    }

    /// # Safety
    /// All elements that the sizes and strides reach must be valid. The elements of the result must not be accessed
    /// elsewhere during the call. The machine must support the level.
    unsafe fn write(self, threads: usize, level: Level) {
        let [m, n, _] = self.product.dims;
        // Each thread packs the second operand for its own columns. A split between rows would make every thread pack
        // all of it.
        let axis = if n < threads * COLUMNS && m >= threads * UNITS[0] { 0 } else { 1 };
        let (size, unit) = ([m, n][axis], UNITS[axis]);
        let near = threads / 2;
        let at = (size * near / threads.max(1)).next_multiple_of(unit);
        if near == 0 || at >= size {
            // SAFETY: guaranteed by the caller.
            return unsafe { self.write_alone(level) };
        }
        // SAFETY: `at` lies inside the axis, and the two pieces have no element of the result in common.
        let [first, second] = unsafe { self.split(axis, at) };
        rayon::join(
            // SAFETY: as above.
            move || unsafe { first.write(near, level) },
            // SAFETY: as above.
            move || unsafe { second.write(threads - near, level) },
        );
    }

    /// # Safety
    /// As for [`write`](Self::write).
    unsafe fn write_alone(self, level: Level) {
        debug_assert!(TypeId::of::<F>() == TypeId::of::<f32>() || TypeId::of::<F>() == TypeId::of::<f64>());
        let single = TypeId::of::<F>() == TypeId::of::<f32>();
        // SAFETY: guaranteed by the caller; the kernel is that of the type `F` and of a level that the machine
        // supports.
        unsafe {
            match level {
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 | Level::Avx512 => self.write_x86(single, level),
                Level::Plain => self.write_plain(),
                _ => self.write_portable(single),
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn write_x86(self, single: bool, level: Level) {
        use private_gemm_x86::{Accum, DType, DstKind, IType, InstrSet, gemm};
        use std::ptr::{from_ref, null};
        let [m, n, k] = self.product.dims;
        let ([row_a, column_a], [row_b, column_b]) = (self.product.strides_a, self.product.strides_b);
        let kind = if single { DType::F32 } else { DType::F64 };
        let instructions = if level == Level::Avx512 { InstrSet::Avx512 } else { InstrSet::Avx256 };
        let one = F::ONE;
        // SAFETY: guaranteed by the caller. The null pointers mean that all of the result is written in place, and that
        // there is no diagonal matrix between the operands.
        unsafe {
            gemm(
                kind,
                IType::U64,
                instructions,
                m,
                n,
                k,
                self.out.cast(),
                self.width as isize,
                1,
                null(),
                null(),
                DstKind::Full,
                if self.add { Accum::Add } else { Accum::Replace },
                self.a.cast(),
                row_a as isize,
                column_a as isize,
                false,
                null(),
                0,
                self.b.cast(),
                row_b as isize,
                column_b as isize,
                false,
                from_ref(&one).cast(),
                1,
            );
        }
    }

    /// Each element is the sum of its products, in the order of the inner axis.
    ///
    /// # Safety
    /// As for [`write`](Self::write).
    unsafe fn write_plain(self) {
        const STRIP: usize = 8;
        let [m, n, k] = self.product.dims;
        let ([row_a, column_a], [row_b, column_b]) = (self.product.strides_a, self.product.strides_b);
        for i in 0..m {
            for first in (0..n).step_by(STRIP) {
                let width = STRIP.min(n - first);
                let mut sums = [F::ZERO; STRIP];
                for p in 0..k {
                    // SAFETY: guaranteed by the caller.
                    let left = unsafe { *self.a.add(i * row_a + p * column_a) };
                    for (j, sum) in sums[..width].iter_mut().enumerate() {
                        // SAFETY: guaranteed by the caller.
                        *sum += left * unsafe { *self.b.add(p * row_b + (first + j) * column_b) };
                    }
                }
                for (j, &sum) in sums[..width].iter().enumerate() {
                    // SAFETY: guaranteed by the caller.
                    let out = unsafe { &mut *self.out.add(i * self.width + first + j) };
                    *out = if self.add { *out + sum } else { sum };
                }
            }
        }
    }

    unsafe fn write_portable(self, single: bool) {
        let [m, n, k] = self.product.dims;
        let ([row_a, column_a], [row_b, column_b]) = (self.product.strides_a, self.product.strides_b);
        macro_rules! gemm {
            ($gemm:ident) => {
                matrixmultiply::$gemm(
                    m,
                    k,
                    n,
                    1.0,
                    self.a.cast(),
                    row_a as isize,
                    column_a as isize,
                    self.b.cast(),
                    row_b as isize,
                    column_b as isize,
                    if self.add { 1.0 } else { 0.0 },
                    self.out.cast(),
                    self.width as isize,
                    1,
                )
            };
        }
        // SAFETY: guaranteed by the caller.
        unsafe { if single { gemm!(sgemm) } else { gemm!(dgemm) } }
    }
}
