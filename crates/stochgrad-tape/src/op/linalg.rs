//! Cholesky factors, triangular systems, triangles and diagonals of matrices in the last two event axes, with their
//! derivative rules.
//!
//! With $\bar L$ the adjoint of the factor of $A$, and $\Phi$ the lower triangle with half of the diagonal (Murray,
//! "Differentiation of the Cholesky decomposition", 2016),
//!
//! $$\bar A = \tfrac12 L^{-\top} (S + S^\top) L^{-1}, \quad S = \Phi(L^\top \bar L).$$
//!
//! For $x = L^{-1} b$: $\bar b = L^{-\top} \bar x$, and $\bar L$ is minus the lower triangle of $\bar b x^\top$.
//! Systems with $L^\top$ are analogous.

use crate::node::Node;
use crate::op::Op;
use crate::op::fault::Fault;
use crate::plate::Plates;
use crate::tape::Inner;
use crate::var::Var;
use stochgrad_tensor::{Pool, Real, Shape, Tensor, linalg, reduce};

impl<F: Real> Inner<F> {
    pub(crate) fn cholesky(&self, pool: &Pool<F>, x: &Node<F>) -> Result<Tensor<F>, Fault> {
        let event = x.event();
        let square = event.len() >= 2 && event[event.len() - 1] == event[event.len() - 2];
        if !square {
            return Err(self.operand(x, "expected square matrices in the last two event axes"));
        }
        linalg::cholesky(pool, &x.value).map_err(|(number, row)| {
            let problem = format!(
                "expected positive definite matrices, but matrix {number} is not, at row {row}; add a small multiple \
                 of the identity, or pass the Cholesky factor instead"
            );
            self.operand(x, problem)
        })
    }

    pub(crate) fn triangular_solve(
        &self,
        pool: &Pool<F>,
        l: &Node<F>,
        b: &Node<F>,
        transpose: bool,
    ) -> Result<(Tensor<F>, Plates), Fault> {
        let (left, right) = (l.event(), b.event());
        let fits = left.len() >= 2
            && right.len() >= 2
            && left[left.len() - 1] == left[left.len() - 2]
            && left[left.len() - 1] == right[right.len() - 2];
        let lead = |shape: &Shape| Shape::from(&shape[..shape.len().saturating_sub(2)]);
        let mismatch = || Fault::Broadcast { left: left.clone(), right: right.clone(), plates: String::new() };
        if !fits || Shape::broadcast(&lead(&left), &lead(&right)).is_none() {
            return Err(mismatch());
        }
        let aligned = self.align(&[l, b]);
        let [l, b] = [0, 1].map(|i| &aligned.values[i]);
        let common = Shape::broadcast(&lead(l.shape()), &lead(b.shape())).ok_or_else(mismatch)?;
        let widen = |x: &Tensor<F>| {
            let own = x.shape();
            let full: Shape = common.iter().chain(&own[own.len() - 2..]).copied().collect();
            reduce::expand(pool, x, &full)
        };
        let (l, b) = (widen(l), widen(b));
        let solution = linalg::triangular_solve(pool, &l, &b, transpose);
        pool.recycle(l);
        pool.recycle(b);
        Ok((solution, aligned.plates))
    }
}

/// A constant matrix of weights, of the size of some square matrices.
fn mask<'t, F: Real>(like: Var<'t, F>, weight: impl Fn(usize, usize) -> f64) -> Var<'t, F> {
    let n = like.shape().last().copied().unwrap_or(0);
    like.tape.constant(Tensor::from_fn([n, n], |cell| F::from_f64(weight(cell / n.max(1), cell % n.max(1)))))
}

/// The adjoint of a matrix, given the adjoint of its Cholesky factor.
pub(crate) fn cholesky_rule<'t, F: Real>(factor: Var<'t, F>, adjoint: Var<'t, F>) -> Var<'t, F> {
    let half = mask(factor, |row, column| match row.cmp(&column) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    });
    let s = factor.transpose().matmul(adjoint) * half;
    let symmetric = (s + s.transpose()) * 0.5;
    let left = factor.transposed_triangular_solve(symmetric);
    factor.transposed_triangular_solve(left.transpose()).transpose()
}

/// The adjoints of the triangle and the right-hand side, given the adjoint of the solution.
pub(crate) fn triangular_solve_rule<'t, F: Real>(
    l: Var<'t, F>,
    solution: Var<'t, F>,
    adjoint: Var<'t, F>,
    transpose: bool,
) -> (Var<'t, F>, Var<'t, F>) {
    let lower = mask(l, |row, column| if column <= row { 1.0 } else { 0.0 });
    let by_right = if transpose { l.triangular_solve(adjoint) } else { l.transposed_triangular_solve(adjoint) };
    let outer = if transpose { solution.matmul(by_right.transpose()) } else { by_right.matmul(solution.transpose()) };
    (-(outer * lower), by_right)
}

impl<'t, F: Real> Var<'t, F> {
    /// The lower Cholesky factor of symmetric positive definite matrices in the last two event axes. Only their lower
    /// triangles are read; the derivative is the symmetric one.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let factor = tape.constant([[4.0, 2.0], [2.0, 5.0]]).cholesky();
    /// assert_eq!(factor.peek().unwrap().as_slice(), &[2.0, 0.0, 1.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn cholesky(self) -> Self {
        self.apply(Op::Cholesky)
    }

    /// Solves L x = `right`, where this value holds lower triangular matrices L in its last two event axes. Leading
    /// axes broadcast.
    #[track_caller]
    pub fn triangular_solve(self, right: Self) -> Self {
        self.apply_with(Op::TriangularSolve { transpose: false }, &[right])
    }

    /// Solves Lᵀ x = `right`, where this value holds lower triangular matrices L in its last two event axes. Leading
    /// axes broadcast.
    #[track_caller]
    pub fn transposed_triangular_solve(self, right: Self) -> Self {
        self.apply_with(Op::TriangularSolve { transpose: true }, &[right])
    }

    /// The diagonals of square matrices in the last two event axes.
    #[track_caller]
    pub fn diagonal(self) -> Self {
        let shape = self.shape();
        let n = shape.last().copied().unwrap_or(0);
        let flat: Shape = shape.iter().take(shape.len().saturating_sub(2)).copied().chain([n * n]).collect();
        self.reshape(flat).index_select(-1, &(0..n).map(|i| i * (n + 1)).collect::<Vec<_>>())
    }

    /// Diagonal matrices with the elements of the last event axis.
    #[track_caller]
    pub fn to_diagonal(self) -> Self {
        let wide = self.unsqueeze(-1);
        let n = self.shape().last().copied().unwrap_or(0);
        wide * self.tape.constant(Tensor::eye(n))
    }

    /// The lower triangles of square matrices in the last two event axes, with zeros above the diagonal.
    #[track_caller]
    pub fn lower_triangle(self) -> Self {
        self * mask(self, |row, column| if column <= row { 1.0 } else { 0.0 })
    }
}
