//! The inverse Wishart distribution: the inverse of a matrix of the [Wishart distribution](crate::Wishart). It is the
//! conjugate prior of the covariance of a multivariate normal distribution.
//!
//! $$p(X; \nu, \Psi) = \frac{\lvert\Psi\rvert^{\nu/2} \lvert X\rvert^{-(\nu + n + 1)/2} e^{-\mathrm{tr}(\Psi X^{-1})/2}}{2^{\nu n/2} \Gamma_n(\nu/2)}, \quad X \text{ positive definite}, \quad \nu > n - 1, \quad \Psi = L L^\top.$$
//!
//! Parameters: `degrees_of_freedom` $\nu > n - 1$ and `scale_tril` $L$, the lower Cholesky factor of the scale, with
//! the last axes $n \times n$. The axes before the last two are independent and broadcast; one element is the last two
//! axes. Support: symmetric positive definite matrices.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $X = L A^{-\top} A^{-1} L^\top$ with Bartlett's triangle $A$, an upper one; any order in $L$, order 2 in $\nu$ through the implicit derivatives of gamma variates |
//!
//! The mean exists for $\nu > n + 1$ and the variance for $\nu > n + 3$. Near the least degrees of freedom, gamma
//! variates are so small that the matrix would leave the range of floating-point numbers. They are limited, and a
//! derivative that depends on what they have lost is an error.
//!
//! Source: Bartlett, "On the theory of statistical regression", 1933 (sampler); Gupta and Nagar, "Matrix variate
//! distributions", 1999 (moments).

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::derivative::underflow::held_logarithm;
use crate::multivariate::multivariate_normal::{below_diagonal, check_regular, check_triangle};
use crate::multivariate::wishart::Regular;
use crate::prelude::*;
use std::f64::consts::{LN_2, PI};
use std::sync::Arc;

distribution! {
    /// Positive definite matrices, given by degrees of freedom and the lower Cholesky factor of the scale. One element
    /// is the last two axes. Use it as a prior of covariances.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, InverseWishart};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = InverseWishart::new(tape.constant(5.0), tape.constant([[1.0, 0.0], [0.5, 2.0]]));
    /// assert_eq!(distribution.mean().unwrap().peek()?.as_slice(), &[0.5, 0.25, 0.25, 2.125]);
    /// # Ok(())
    /// # }
    /// ```
    pub struct InverseWishart {
        /// The degrees of freedom.
        degrees_of_freedom,
        /// The lower Cholesky factor of the scale.
        scale_tril,
    }
}

impl<'t, F: Real> InverseWishart<Var<'t, F>> {
    /// Matrices with `degrees_of_freedom` above the dimension less one, whose scale has the lower Cholesky factor
    /// `scale_tril`.
    pub fn new(degrees_of_freedom: Var<'t, F>, scale_tril: Var<'t, F>) -> Self {
        InverseWishart { degrees_of_freedom, scale_tril }
    }

    /// The number of rows.
    pub fn dimension(&self) -> usize {
        self.scale_tril.shape().last().copied().unwrap_or(0)
    }

    /// The scale.
    pub fn scale(&self) -> Var<'t, F> {
        self.scale_tril.matmul(self.scale_tril.transpose())
    }

    fn independent(&self) -> Shape {
        let event = self.event_shape();
        event.iter().take(event.len().saturating_sub(2)).copied().collect()
    }

    /// The numbers of the rows below each row, along a last axis.
    fn rows_below(&self) -> Var<'t, F> {
        let n = self.dimension();
        self.scale_tril.tape().constant(Tensor::from_fn([n], |row| F::from_usize(n - 1 - row)))
    }

    /// (ν − k) / 2 for k rows below, along a last axis.
    fn half_degrees(&self) -> Var<'t, F> {
        (self.degrees_of_freedom.unsqueeze(-1) - self.rows_below()) * 0.5
    }

    /// ln |L|
    fn half_log_determinant(&self) -> Var<'t, F> {
        self.scale_tril.diagonal().ln().sum_axis(-1)
    }

    /// The degrees of freedom less a number, for matrices.
    fn degrees_above(&self, least: f64) -> Var<'t, F> {
        (self.degrees_of_freedom - least).unsqueeze(-1).unsqueeze(-1)
    }

    fn by_bartlett(&self, draw: &Draw<'_, F>, path: bool) -> DistributionResult<Var<'t, F>> {
        let (tape, event) = (self.scale_tril.tape(), self.event_shape());
        let rows: Shape = event.iter().take(event.len().saturating_sub(1)).copied().collect();
        let half = self.half_degrees().broadcast_to(rows.clone());
        let logs = log_standard_gammas(half, &draw.purpose("diagonal"), &rows, path)?;
        let logs = held_logarithm("InverseWishart", logs, [least_logarithm::<F>(), f64::INFINITY]);
        let diagonal = ((logs + LN_2) * 0.5).exp().to_diagonal();
        let below = draw.purpose("below").record_normal(tape, &event)?;
        let n = self.dimension();
        let strict = Tensor::from_fn([n, n], |cell| if cell % n < cell / n { F::ONE } else { F::ZERO });
        // The transpose of an upper triangle of Bartlett, whose rows have the degrees of freedom in the opposite order,
        // so that the factor is a lower one.
        let triangle = diagonal + below * tape.constant(&strict);
        let factor = triangle.transposed_triangular_solve(self.scale_tril.broadcast_to(event).transpose()).transpose();
        let factor = tape.custom(Arc::new(Regular), &[factor.lower_triangle()]);
        Ok(factor.matmul(factor.transpose()))
    }
}

/// The least logarithm of a gamma variate: the inverse of the variate is within the range of numbers.
fn least_logarithm<F: Real>() -> f64 {
    -0.4 * F::MAX.to_f64().ln()
}

impl<'t, F: Real> Distribution<'t, F> for InverseWishart<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "InverseWishart"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("degrees_of_freedom", self.degrees_of_freedom)
                .with_path(SamplePath::Implicit(Order::Finite(2))),
            Parameter::smooth("scale_tril", self.scale_tril)
        ]
    }

    fn event_shape(&self) -> Shape {
        common_shape(&[self.degrees_of_freedom.unsqueeze(-1).unsqueeze(-1), self.scale_tril])
    }

    fn element_rank(&self) -> usize {
        2
    }

    fn support(&self) -> Support {
        Support::PositiveDefinite(self.dimension())
    }

    /// A value that is not positive definite is an error on the tape.
    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        // In Bartlett's coordinates, as for the Wishart distribution.
        let (n, factor) = (self.dimension() as f64, value.cholesky());
        let relative = factor.triangular_solve(self.scale_tril);
        let diagonal = relative.diagonal();
        let each = special::log_gamma_kernel(self.half_degrees(), diagonal.square() * 0.5)
            + self.rows_below() * diagonal.ln()
            - factor.diagonal().ln() * (n + 1.0);
        let below = below_diagonal(relative).square().sum_last(2) * 0.5;
        each.sum_axis(-1) - below - 0.25 * n * (n - 1.0) * (LN_2 + PI.ln())
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.by_bartlett(draw, false)?.stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        // Not given up to n + 1 degrees of freedom, where it is infinite.
        let excess = self.degrees_above(self.dimension() as f64 + 1.0);
        Some(self.scale() / where_positive(excess))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // Not given up to n + 3 degrees of freedom, where it is infinite. With the quotients first, so that neither
        // numerator nor denominator overflows.
        let excess = self.degrees_above(self.dimension() as f64 + 1.0);
        let mean = self.scale() / excess;
        let diagonal = mean.diagonal();
        let outer = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2);
        let next = (excess + 1.0).recip();
        Some((mean.square() * (next + 1.0) + outer * (1.0 - next)) / where_positive(excess - 2.0))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.scale() / (self.degrees_of_freedom + (self.dimension() as f64 + 1.0)).unsqueeze(-1).unsqueeze(-1))
    }

    fn validate(&self) -> DistributionResult<()> {
        check_triangle("InverseWishart", "scale_tril", self.scale_tril)?;
        check_regular("InverseWishart", "scale_tril", self.scale_tril)?;
        let least = self.dimension() as f64 - 1.0;
        let hint = "fewer degrees of freedom give a density without a finite total";
        check_parameter(
            "InverseWishart",
            "degrees_of_freedom",
            self.degrees_of_freedom,
            "finite and above the dimension less one",
            hint,
            Condition::Inside { above: least, below: f64::INFINITY },
        )?;
        // The draws are some times as large as their mode, and larger near the least degrees of freedom.
        let mode = self.scale_tril.square().sum_axis(-1) / self.degrees_of_freedom.unsqueeze(-1);
        check_parameter(
            "InverseWishart",
            "scale_tril",
            mode,
            "such that the matrices are in the range of floating-point numbers",
            "rescale the matrices, or use f64",
            Condition::Between { low: F::MIN_POSITIVE.to_f64() * 1e4, high: F::MAX.to_f64().sqrt() },
        )
    }

    capabilities!();
}

/// A number where it is positive, and NaN elsewhere.
fn where_positive<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    value.step().select(value, value.tape().constant(f64::NAN))
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for InverseWishart<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for InverseWishart<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.by_bartlett(draw, true)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for InverseWishart<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // That of the inverse less (n + 1) times the mean of the logarithm of its determinant. With ψ(a) = ln a + d(a)
        // and the kernels at the mean, the large terms are combined.
        let (n, a, rows) = (self.dimension() as f64, self.half_degrees(), self.rows_below());
        let d = special::digamma_minus_log(a);
        let each = rows * 0.5 - (a.ln() + d) * (n + 1.0 + rows) * 0.5 - a * d - special::log_gamma_kernel(a, a);
        let constant = -0.5 * n * (n + 1.0) * LN_2 + 0.25 * n * (n - 1.0) * PI.ln();
        let entropy = self.half_log_determinant() * (n + 1.0) + each.sum_axis(-1) + constant;
        entropy.broadcast_to(self.independent()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for InverseWishart<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // That of the inverses. In Bartlett's coordinates each square on the diagonal is a gamma variate, and what is
        // below is normal. All terms are at least 0.
        let relative = self.scale_tril.triangular_solve(other.scale_tril);
        let variances = relative.diagonal().square();
        let (a, b) = (self.half_degrees(), other.half_degrees());
        let tape = variances.tape();
        let each = special::stirling_divergence(a, b)
            + special::deviance(b, a * variances)
            + special::deviance(tape.constant(1.0), variances) * (self.rows_below() * 0.5);
        let below = below_diagonal(relative).square().sum_last(2) * self.degrees_of_freedom * 0.5;
        let divergence = each.sum_axis(-1) + below;
        divergence.broadcast_to(self.independent()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuous::inverse_gamma::InverseGamma;
    use crate::multivariate::wishart::Wishart;
    use crate::testing::{Build, check_estimators, check_family, check_moments, vector};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(InverseWishart::new(p[0], vector(&p[1..]).reshape([2, 2])));

    #[test]
    fn one_dimension_is_an_inverse_gamma_distribution() {
        let tape = Tape::<f64>::new();
        let nu = tape.parameter(7.4);
        let (distribution, gamma) =
            (InverseWishart::new(nu, tape.constant([[1.5]])), InverseGamma::new(nu * 0.5, 0.5 * 2.25));
        for x in [0.2, 3.0, 20.0] {
            let (left, right) = (distribution.log_prob(tape.constant([[x]])), gamma.log_prob(tape.constant(x)));
            assert_abs_diff_eq!(left.item().unwrap(), right.item().unwrap(), epsilon = 1e-12);
        }
        let moments = |own: &dyn Distribution<'_, f64>| {
            let [mean, variance, mode] = [own.mean(), own.variance(), own.mode()];
            [mean, variance, mode].map(|each| each.unwrap().peek().unwrap().as_slice()[0])
        };
        for (left, right) in moments(&distribution).into_iter().zip(moments(&gamma)) {
            assert_abs_diff_eq!(left, right, epsilon = 1e-14);
        }
        assert_abs_diff_eq!(distribution.entropy().item().unwrap(), gamma.entropy().item().unwrap(), epsilon = 1e-12);
    }

    /// The density is that of the inverse times |X|^(−n − 1), and the divergence is that of the inverses.
    #[test]
    fn the_inverse_is_of_the_wishart_distribution() {
        let tape = Tape::<f64>::new();
        let wishart = |nu: f64, factor: [[f64; 2]; 2]| {
            let [[a, _], [b, c]] = factor;
            // The inverse of L Lᵀ.
            let determinant = (a * c).powi(2);
            let scale =
                [[(b * b + c * c) / determinant, -a * b / determinant], [-a * b / determinant, a * a / determinant]];
            Wishart::new(tape.constant(nu), tape.constant(scale).cholesky())
        };
        let own = [[1.0, 0.0], [0.5, 0.8]];
        let other = [[0.7, 0.0], [-0.2, 1.1]];
        let (p, q) = (InverseWishart::new(tape.constant(4.3), tape.constant(own)), wishart(4.3, own));
        let x = [[3.0, 0.4], [0.4, 2.0]];
        let determinant: f64 = 3.0 * 2.0 - 0.16;
        let inverted = [[2.0 / determinant, -0.4 / determinant], [-0.4 / determinant, 3.0 / determinant]];
        let expected = q.log_prob(tape.constant(inverted)).item().unwrap() - 3.0 * determinant.ln();
        assert_abs_diff_eq!(p.log_prob(tape.constant(x)).item().unwrap(), expected, epsilon = 1e-12);
        let divergence = p.kl_to(&InverseWishart::new(tape.constant(6.0), tape.constant(other)));
        let expected = q.kl_to(&wishart(6.0, other));
        assert_abs_diff_eq!(divergence.item().unwrap(), expected.item().unwrap(), epsilon = 1e-12);
        check_family(&tape, &p, tape.constant(x));
    }

    fn cost<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
        let entry = |i: usize, j: usize| x.index(-2, i).index(-1, j);
        (entry(0, 0) * 2.0).sin() + (entry(1, 0) * entry(1, 1)).tanh()
    }

    #[test]
    fn draws_and_derivatives_follow_the_density() {
        check_moments(BUILD, &[12.3, 1.0, 0.0, 0.5, 0.8], 81);
        check_estimators(BUILD, &[4.3, 1.0, 0.0, 0.5, 0.8], &[2], cost, None, 82);
        check_estimators(BUILD, &[1.7, 0.6, 0.0, -0.5, 0.3], &[2], cost, None, 83);
    }

    #[test]
    fn parameters_are_checked() {
        let tape = Tape::<f64>::new();
        let factor = tape.constant([[1.0, 0.0], [0.5, 0.8]]);
        assert!(InverseWishart::new(tape.constant(1.0), factor).validate().is_err());
        assert!(InverseWishart::new(tape.constant(3.0), factor.transpose()).validate().is_err());
        let moments = |nu: f64| {
            let own = InverseWishart::new(tape.constant(nu), factor);
            [own.mean(), own.variance()].map(|moment| moment.unwrap().peek().unwrap().as_slice()[0].is_nan())
        };
        assert_eq!((moments(3.0), moments(5.0), moments(5.5)), ([true, true], [false, true], [false, false]));
    }
}
