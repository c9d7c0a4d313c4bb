//! Products of row-major matrices.

/// A row-major matrix, or its transpose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    elements: &'a [f32],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// The matrix with these elements.
    pub(crate) fn new(elements: &'a [f32], [rows, columns]: [usize; 2]) -> Self {
        assert_eq!(elements.len(), rows * columns);
        Self { elements, rows, columns, transposed: false }
    }

    /// Its transpose.
    pub(crate) fn transpose(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    fn shape(&self) -> [usize; 2] {
        if self.transposed { [self.columns, self.rows] } else { [self.rows, self.columns] }
    }

    /// The strides of rows and of columns.
    fn strides(&self) -> [isize; 2] {
        let width = self.columns as isize;
        if self.transposed { [1, width] } else { [width, 1] }
    }
}

/// Writes the product of two matrices, on one thread.
///
/// # Panics
/// If the shapes do not match.
#[allow(unsafe_code)]
pub(crate) fn multiply(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>) {
    let ([m, k], [inner, n]) = (a.shape(), b.shape());
    assert_eq!(k, inner);
    assert_eq!(out.len(), m * n);
    let ([row_a, column_a], [row_b, column_b]) = (a.strides(), b.strides());
    // SAFETY: a `Matrix` has as many elements as its shape says, so that its strides reach no element outside of it,
    // and `out` has as many as the product. `out` is borrowed mutably and overlaps neither operand; its old elements
    // are not read.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.elements.as_ptr(),
            column_a,
            row_a,
            b.elements.as_ptr(),
            column_b,
            row_b,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_matrices_and_transposes() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 2.0, 1.0, 0.0, 3.0];
        let mut out = [f32::NAN; 4];
        multiply(&mut out, Matrix::new(&a, [2, 3]), Matrix::new(&b, [3, 2]));
        assert_eq!(out, [5.0, 11.0, 14.0, 23.0]);
        multiply(&mut out, Matrix::new(&a, [2, 3]), Matrix::new(&b, [2, 3]).transpose());
        assert_eq!(out, [7.0, 10.0, 16.0, 22.0]);
        multiply(&mut out, Matrix::new(&a, [3, 2]).transpose(), Matrix::new(&b, [3, 2]));
        assert_eq!(out, [7.0, 18.0, 10.0, 22.0]);
    }
}
