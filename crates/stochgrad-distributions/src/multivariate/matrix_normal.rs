//! The matrix normal distribution: normal matrices whose rows and columns are dependent. It is the distribution of the
//! weights of a linear layer with a covariance between inputs and one between outputs, and of several Gaussian processes
//! with a common kernel.
//!
//! $$p(X; M, A, B) = \frac{\exp\big(-\tfrac12 \lVert A^{-1} (X - M) B^{-\top} \rVert^2\big)}{(2\pi)^{np/2} \lvert A\rvert^p \lvert B\rvert^n}.$$
//!
//! Parameters: `location` $M \in \mathbb{R}^{n \times p}$, `row_scale_tril` $A$ ($n \times n$) and `column_scale_tril`
//! $B$ ($p \times p$), the lower Cholesky factors of the covariances of rows and of columns: the covariance of
//! $X_{ij}$ and $X_{kl}$ is $(A A^\top)_{ik} (B B^\top)_{jl}$. Only the product of the two is determined: $cA$ and $B/c$
//! give the same distribution. The axes before the last two are independent and broadcast; one element is the last two
//! axes. Support: real matrices.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $X = M + A Z B^\top$, any order |
//!
//! For weak derivatives, use the [multivariate normal distribution](crate::MultivariateNormal) of the flattened matrix.
//!
//! Source: Gupta and Nagar, "Matrix variate distributions", 1999.

use crate::distribution::confine_finite;
use crate::multivariate::multivariate_normal::{below_diagonal, check_triangle, spread_divergence};
use crate::prelude::*;
use std::f64::consts::PI;

distribution! {
    /// Normal matrices, given by location and the lower Cholesky factors of the covariances of rows and columns. One
    /// element is the last two axes.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, MatrixNormal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let location = tape.constant([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
    /// let rows = tape.constant([[1.0, 0.0], [0.0, 2.0]]);
    /// let columns = tape.constant([[1.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0]]);
    /// let distribution = MatrixNormal::new(location, rows, columns);
    /// assert_eq!(distribution.variance().unwrap().peek()?.as_slice(), &[1.0, 9.0, 1.0, 4.0, 36.0, 4.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub struct MatrixNormal {
        /// The location.
        location,
        /// The lower Cholesky factor of the covariance of the rows.
        row_scale_tril,
        /// The lower Cholesky factor of the covariance of the columns.
        column_scale_tril,
    }
}

impl<'t, F: Real> MatrixNormal<Var<'t, F>> {
    /// Matrices around `location`, whose rows and columns have covariances with these lower Cholesky factors.
    pub fn new(location: Var<'t, F>, row_scale_tril: Var<'t, F>, column_scale_tril: Var<'t, F>) -> Self {
        MatrixNormal { location, row_scale_tril, column_scale_tril }
    }

    /// The numbers of rows and of columns.
    pub fn dimensions(&self) -> [usize; 2] {
        [self.row_scale_tril, self.column_scale_tril].map(|factor| factor.shape().last().copied().unwrap_or(0))
    }

    fn independent(&self) -> Shape {
        let event = self.event_shape();
        event.iter().take(event.len().saturating_sub(2)).copied().collect()
    }

    /// A matrix in units of the factors, from the location.
    fn whiten(&self, value: Var<'t, F>) -> Var<'t, F> {
        let rows = self.row_scale_tril.triangular_solve(value - self.location);
        self.column_scale_tril.triangular_solve(rows.transpose())
    }

    /// The logarithm of the determinant of the factor of the covariance of all elements.
    fn half_log_determinant(&self) -> Var<'t, F> {
        let [rows, columns] = self.dimensions().map(|count| count as f64);
        let [own, other] =
            [self.row_scale_tril, self.column_scale_tril].map(|factor| factor.diagonal().ln().sum_axis(-1));
        own * columns + other * rows
    }

    fn numel(&self) -> f64 {
        let [rows, columns] = self.dimensions();
        rows as f64 * columns as f64
    }
}

impl<'t, F: Real> Distribution<'t, F> for MatrixNormal<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "MatrixNormal"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("location", self.location),
            Parameter::smooth("row_scale_tril", self.row_scale_tril),
            Parameter::smooth("column_scale_tril", self.column_scale_tril)
        ]
    }

    fn event_shape(&self) -> Shape {
        let batch = |factor: Var<'t, F>| -> Shape {
            let shape = factor.shape();
            shape.iter().take(shape.len().saturating_sub(2)).copied().collect()
        };
        let both = Shape::broadcast(&batch(self.row_scale_tril), &batch(self.column_scale_tril)).unwrap_or_default();
        let factors: Shape = both.iter().copied().chain(self.dimensions()).collect();
        Shape::broadcast(&self.location.shape(), &factors).unwrap_or_default()
    }

    fn element_rank(&self) -> usize {
        2
    }

    fn support(&self) -> Support {
        let [rows, columns] = self.dimensions();
        Support::Matrices(rows, columns)
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        confine_finite(value, 2, |value| {
            let constant = 0.5 * (2.0 * PI).ln() * self.numel();
            self.whiten(value).square().sum_last(2) * -0.5 - self.half_log_determinant() - constant
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let [rows, columns] = [self.row_scale_tril, self.column_scale_tril].map(|factor| factor.square().sum_axis(-1));
        Some((rows.unsqueeze(-1) * columns.unsqueeze(-2)).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        self.mean()
    }

    fn validate(&self) -> DistributionResult<()> {
        finite("MatrixNormal", "location", self.location)?;
        check_triangle("MatrixNormal", "row_scale_tril", self.row_scale_tril)?;
        check_triangle("MatrixNormal", "column_scale_tril", self.column_scale_tril)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for MatrixNormal<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for MatrixNormal<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let z = draw.record_normal(self.location.tape(), &self.event_shape())?;
        Ok(self.location + self.row_scale_tril.matmul(z).matmul(self.column_scale_tril.transpose()))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for MatrixNormal<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let constant = 0.5 * (1.0 + (2.0 * PI).ln()) * self.numel();
        (self.half_log_determinant() + constant).broadcast_to(self.independent()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for MatrixNormal<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // The trace of a Kronecker product is the product of the traces, n + a and p + b.
        let rows = other.row_scale_tril.triangular_solve(self.row_scale_tril);
        let columns = other.column_scale_tril.triangular_solve(self.column_scale_tril);
        let excess = |triangle: Var<'t, F>| {
            let diagonal = triangle.diagonal();
            ((diagonal - 1.0) * (diagonal + 1.0)).sum_axis(-1) + below_diagonal(triangle).square().sum_last(2)
        };
        let [n, p] = self.dimensions().map(|count| count as f64);
        let spread = spread_divergence(rows) * p + spread_divergence(columns) * n + excess(rows) * excess(columns);
        let shift = other.whiten(self.location).square().sum_last(2);
        ((spread + shift) * 0.5).broadcast_to(self.independent()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multivariate::multivariate_normal::MultivariateNormal;
    use crate::testing::{Build, check_estimators, check_family, check_moments, vector};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| {
        let location = vector(&p[..6]).reshape([2, 3]);
        Box::new(MatrixNormal::new(location, vector(&p[6..10]).reshape([2, 2]), vector(&p[10..]).reshape([3, 3])))
    };

    const ORDINARY: [f64; 19] =
        [0.3, -1.0, 0.2, 0.0, 0.5, 1.0, 1.3, 0.0, -0.7, 0.6, 0.8, 0.0, 0.0, 0.2, 1.1, 0.0, -0.4, 0.3, 0.5];

    fn matrices(tape: &Tape<f64>, shift: f64) -> MatrixNormal<Var<'_, f64>> {
        let p: Vec<Var<'_, f64>> = ORDINARY.iter().map(|&p| tape.parameter(p + shift * p.abs())).collect();
        let location = vector(&p[..6]).reshape([2, 3]);
        MatrixNormal::new(location, vector(&p[6..10]).reshape([2, 2]), vector(&p[10..]).reshape([3, 3]))
    }

    /// The flattened matrix is a normal vector whose covariance is the Kronecker product.
    #[test]
    fn the_flattened_matrix_is_a_normal_vector() {
        let tape = Tape::<f64>::new();
        let flat = |own: &MatrixNormal<Var<'_, f64>>| {
            let [rows, columns] =
                [own.row_scale_tril, own.column_scale_tril].map(|factor| factor.peek().unwrap().to_vec());
            let entry = |i: usize, k: usize| rows[(i / 3) * 2 + k / 3] * columns[(i % 3) * 3 + k % 3];
            let factor = Tensor::from_fn([6, 6], |at| entry(at / 6, at % 6));
            let location = own.location.peek().unwrap().to_vec();
            (location, factor)
        };
        let (own, other) = (matrices(&tape, 0.0), matrices(&tape, 0.2));
        let [p, q] = [&own, &other].map(|matrix| {
            let (location, factor) = flat(matrix);
            MultivariateNormal::new(tape.constant(location), tape.constant(factor))
        });
        let x = Tensor::from_fn([6], |i| (i as f64 * 1.7).sin());
        let densities = [own.log_prob(tape.constant(x.clone()).reshape([2, 3])), p.log_prob(tape.constant(x))];
        let [entropies, divergences] = [[own.entropy(), p.entropy()], [own.kl_to(&other), p.kl_to(&q)]];
        for pair in [densities, entropies, divergences] {
            let [found, expected] = pair.map(|value| value.item().unwrap());
            assert_abs_diff_eq!(found, expected, epsilon = 1e-11);
        }
        assert_eq!(own.kl_to(&own).item(), Ok(0.0));
        check_family(&tape, &own, tape.constant([[0.0, 0.1, 0.2], [0.3, 0.4, 0.5]]));
    }

    #[test]
    fn draws_and_derivatives_follow_the_density() {
        check_moments(BUILD, &ORDINARY, 71);
        check_estimators(BUILD, &ORDINARY, &[7, 11, 12, 15], cost, None, 72);
    }

    fn cost<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
        (x.index(-2, 0).index(-1, 1) - x.index(-2, 1).sum_axis(-1) * 0.5).sin()
    }

    #[test]
    fn batches_and_invalid_parameters() {
        let tape = Tape::<f64>::new();
        let (rows, columns) = (tape.constant(Tensor::eye(2)), tape.constant(Tensor::eye(3)));
        let location = tape.parameter(Tensor::from_fn([4, 2, 3], |i| i as f64));
        let batch = MatrixNormal::new(location, rows, columns);
        assert_eq!(batch.event_shape(), Shape::from([4, 2, 3]));
        assert_eq!(batch.log_prob_each(location * 0.5).shape(), Shape::from([4]));
        assert!(batch.validate().is_ok());
        assert!(MatrixNormal::new(location, rows * 0.0, columns).validate().is_err());
        assert!(MatrixNormal::new(location, rows, columns * -1.0).validate().is_err());
        let far = tape.parameter(Tensor::full([2, 3], f64::INFINITY));
        let log = MatrixNormal::new(location, rows, columns).log_prob_each(far).index(-1, 0);
        assert_eq!(log.item(), Ok(f64::NEG_INFINITY));
        assert!(tape.backward(log, [location]).unwrap()[0].as_slice().iter().all(|&g| g == 0.0));
    }
}
