//! The inverse square of symmetric matrices on their leading eigenvectors.

use nalgebra::{DMatrix, SymmetricEigen};
use stochgrad_tape::{Degree, Primitive, PrimitiveInputs, Smoothness, Var};
use stochgrad_tensor::{Real, Tensor};

/// How many eigenvectors are used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Leading {
    /// This number.
    Count(usize),
    /// As few as have this share of the sum of all eigenvalues.
    Share(f64),
}

/// The primitive $K \mapsto \sum_j u_j u_j^\top / \lambda_j^2$ over the leading eigenvectors $u_j$ with eigenvalues
/// $\lambda_j$ of symmetric matrices in the last two axes. It is computed in double precision and passes no derivative.
#[derive(Debug)]
pub(crate) struct InverseSquare {
    pub(crate) leading: Leading,
}

impl InverseSquare {
    /// The inverse square of one matrix, given by its elements.
    fn of(&self, elements: impl Iterator<Item = f64>, size: usize) -> Result<DMatrix<f64>, String> {
        let matrix = DMatrix::from_iterator(size, size, elements);
        if matrix.iter().any(|element| !element.is_finite()) {
            return Err(
                "expected finite samples that differ, got a kernel with NaN; set a width if most samples agree".into(),
            );
        }
        let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::new(matrix);
        let mut order: Vec<usize> = (0..size).collect();
        order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]));
        // Eigenvalues below this are rounding errors.
        let least = eigenvalues[order[0]] * f64::EPSILON * size as f64;
        let count = match self.leading {
            Leading::Count(count) => {
                if let Some(position) = order.iter().take(count).position(|&at| eigenvalues[at] <= least) {
                    return Err(format!(
                        "expected {count} eigenvalues of the kernel above rounding, got {position}; use fewer \
                         eigenfunctions or a smaller width"
                    ));
                }
                count
            }
            Leading::Share(share) => {
                let positive = order.iter().take_while(|&&at| eigenvalues[at] > least);
                let target = share * eigenvalues.sum();
                let mut sum = 0.0;
                let mut before = |at: usize| {
                    let is_needed = sum < target;
                    sum += eigenvalues[at];
                    is_needed
                };
                positive.take_while(|&&at| before(at)).count()
            }
        };
        let mut inverse = DMatrix::zeros(size, size);
        for &at in &order[..count.min(size)] {
            let vector = eigenvectors.column(at);
            inverse.ger(eigenvalues[at].powi(-2), &vector, &vector, 1.0);
        }
        Ok(inverse)
    }
}

impl<F: Real> Primitive<F> for InverseSquare {
    fn name(&self) -> &str {
        "inverse square on the leading eigenvectors"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let kernels = &inputs.values[0];
        let size = kernels.shape().last().copied().unwrap_or(1);
        let mut found = Vec::with_capacity(kernels.len());
        for kernel in kernels.as_slice().chunks(size * size) {
            let inverse = self.of(kernel.iter().map(|element| element.to_f64()), size)?;
            found.extend(inverse.iter().map(|element| F::from_f64(*element)));
        }
        Ok(Tensor::from_fn(kernels.shape().clone(), |i| found[i]))
    }

    fn gradient<'t>(&self, _: &[Var<'t, F>], _: Var<'t, F>, _: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![None]
    }

    /// The kernel is detached before.
    fn smoothness(&self, _input: usize) -> Smoothness {
        Smoothness::Constant
    }

    fn degree(&self, _operands: &[Degree]) -> Degree {
        Degree::CONSTANT
    }
}
