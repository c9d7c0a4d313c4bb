//! The Wishart distribution: the scatter matrix of normal vectors. It is the conjugate prior of the precision of a
//! multivariate normal distribution.
//!
//! $$p(X; \nu, V) = \frac{\lvert X\rvert^{(\nu - n - 1)/2} e^{-\mathrm{tr}(V^{-1} X)/2}}{2^{\nu n/2} \lvert V\rvert^{\nu/2} \Gamma_n(\nu/2)}, \quad X \text{ positive definite}, \quad \nu > n - 1, \quad V = L L^\top.$$
//!
//! Parameters: `degrees_of_freedom` $\nu > n - 1$ and `scale_tril` $L$, the lower Cholesky factor of the scale, with
//! the last axes $n \times n$. The axes before the last two are independent and broadcast; one element is the last two
//! axes. Support: symmetric positive definite matrices.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $X = L A A^\top L^\top$ with Bartlett's triangle $A$; any order in $L$, order 2 in $\nu$ through the implicit derivatives of gamma variates |
//!
//! Near the least degrees of freedom, the triangle of a draw has entries so small on its diagonal that the matrix is
//! singular to rounding. They are raised to the least size for which the matrix has a Cholesky factor: for $n = 2$, to
//! $10^{-7}$ of the row in double and $2.4 \cdot 10^{-3}$ in single precision.
//!
//! Source: Bartlett, "On the theory of statistical regression", 1933 (sampler).

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::multivariate::multivariate_normal::{below_diagonal, check_regular, check_triangle};
use crate::prelude::*;
use std::f64::consts::{LN_2, PI};
use std::sync::Arc;
use stochgrad_tape::{Degree, Description, Primitive, PrimitiveInputs};
use stochgrad_tensor::map::Map;

distribution! {
    /// Positive definite matrices, given by degrees of freedom and the lower Cholesky factor of the scale. One element
    /// is the last two axes.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Wishart};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = Wishart::new(tape.constant(3.0), tape.constant([[1.0, 0.0], [0.5, 2.0]]));
    /// assert_eq!(distribution.mean().unwrap().peek()?.as_slice(), &[3.0, 1.5, 1.5, 12.75]);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Wishart {
        /// The degrees of freedom.
        degrees_of_freedom,
        /// The lower Cholesky factor of the scale.
        scale_tril,
    }
}

impl<'t, F: Real> Wishart<Var<'t, F>> {
    /// Matrices with `degrees_of_freedom` above the dimension less one, whose scale has the lower Cholesky factor
    /// `scale_tril`.
    pub fn new(degrees_of_freedom: Var<'t, F>, scale_tril: Var<'t, F>) -> Self {
        Wishart { degrees_of_freedom, scale_tril }
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

    /// The numbers of the rows, from 0, along a last axis.
    fn rows(&self) -> Var<'t, F> {
        self.scale_tril.tape().constant(Tensor::from_fn([self.dimension()], F::from_usize))
    }

    /// (ν − i) / 2 for the rows i from 0, along a last axis.
    fn half_degrees(&self) -> Var<'t, F> {
        (self.degrees_of_freedom.unsqueeze(-1) - self.rows()) * 0.5
    }

    /// ln |L|
    fn half_log_determinant(&self) -> Var<'t, F> {
        self.scale_tril.diagonal().ln().sum_axis(-1)
    }

    fn by_bartlett(&self, draw: &Draw<'_, F>, path: bool) -> DistributionResult<Var<'t, F>> {
        let (tape, event) = (self.scale_tril.tape(), self.event_shape());
        let rows: Shape = event.iter().take(event.len().saturating_sub(1)).copied().collect();
        let half = self.half_degrees().broadcast_to(rows.clone());
        let logs = log_standard_gammas(half, &draw.purpose("diagonal"), &rows, path)?;
        let diagonal = ((logs + LN_2) * 0.5).exp().to_diagonal();
        let below = draw.purpose("below").record_normal(tape, &event)?;
        let n = self.dimension();
        let strict = Tensor::from_fn([n, n], |cell| if cell % n < cell / n { F::ONE } else { F::ZERO });
        let factor = self.scale_tril.matmul(diagonal + below * tape.constant(&strict));
        let factor = tape.custom(Arc::new(Regular), &[factor]);
        Ok(factor.matmul(factor.transpose()))
    }
}

/// A lower Cholesky factor whose product with its transpose has a Cholesky factor to rounding, too. Near the least
/// degrees of freedom, entries of the diagonal are so small that the product is singular to rounding; they are raised
/// to the least size that survives. The derivative is that of the factor itself.
pub(crate) struct Regular;

impl Regular {
    /// The least size of an entry of the diagonal of `n` rows, in units of the length of the rest of the row.
    fn share<F: Real>(n: usize) -> F {
        (F::EPSILON * F::from_usize(16 * (n + 1))).sqrt()
    }
}

impl<F: Real> Primitive<F> for Regular {
    fn name(&self) -> &str {
        "regular factor"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let [factor] = inputs.values else {
            return Err(format!("expected one value, got {}", inputs.values.len()));
        };
        let n = factor.shape().last().copied().unwrap_or(0).max(1);
        let (share, least) = (Self::share::<F>(n), F::MIN_POSITIVE.sqrt() * F::from_f64(2.0));
        let mut out = inputs.pool.take(factor.shape().clone());
        let rows = out.make_mut().chunks_mut(n).zip(factor.as_slice().chunks(n));
        for (index, (out, row)) in rows.enumerate() {
            let at = index % n;
            out.copy_from_slice(row);
            let rest = row[..at].iter().map(|&x| x * x).sum::<F>().sqrt();
            // NaN stays.
            let bound = if rest * share > least { rest * share } else { least };
            out[at] = if row[at] < bound { bound } else { row[at] };
        }
        Ok(out)
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        let &[factor] = inputs else { return None };
        let n = factor.shape().last().copied()?;
        let below = Tensor::from_fn([n, n], |cell| if cell % n < cell / n { F::ONE } else { F::ZERO });
        let rest = (factor * factor.tape().constant(&below)).square().sum_axis(-1).sqrt();
        let (share, least) = (Self::share::<F>(n).to_f64(), F::MIN_POSITIVE.to_f64().sqrt() * 2.0);
        let bound = (rest * share).map(Map::MaxScalar(least));
        let diagonal = factor.diagonal();
        let raised = diagonal.lt(bound).select(bound, diagonal);
        Some(Description::of(factor - diagonal.to_diagonal() + raised.to_diagonal()))
    }

    fn gradient<'t>(&self, _: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![Some(adjoint)]
    }

    fn degree(&self, operands: &[Degree]) -> Degree {
        operands[0]
    }
}

impl<'t, F: Real> Distribution<'t, F> for Wishart<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Wishart"
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
        // In Bartlett's coordinates: the squares on the diagonal are gamma variates, whose large terms cancel inside
        // their densities, and what is below the diagonal is normal.
        let (n, factor) = (self.dimension() as f64, value.cholesky());
        let relative = self.scale_tril.triangular_solve(factor);
        let diagonal = relative.diagonal();
        let rows = self.rows();
        let each = special::log_gamma_kernel(self.half_degrees(), diagonal.square() * 0.5) + rows * diagonal.ln()
            - factor.diagonal().ln() * (n + 1.0);
        let below = below_diagonal(relative).square().sum_last(2) * 0.5;
        each.sum_axis(-1) - below - 0.25 * n * (n - 1.0) * (LN_2 + PI.ln())
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.by_bartlett(draw, false)?.stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.scale() * self.degrees_of_freedom.unsqueeze(-1).unsqueeze(-1))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let scale = self.scale();
        let diagonal = scale.diagonal();
        let outer = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2);
        Some((scale.square() + outer) * self.degrees_of_freedom.unsqueeze(-1).unsqueeze(-1))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        // NaN where the degrees of freedom are below n + 1: the density has no highest point inside.
        let excess = self.degrees_of_freedom - (self.dimension() as f64 + 1.0);
        let tape = excess.tape();
        let factor = excess.ge(tape.constant(0.0)).select(excess, tape.constant(f64::NAN));
        Some(self.scale() * factor.unsqueeze(-1).unsqueeze(-1))
    }

    fn validate(&self) -> DistributionResult<()> {
        check_triangle("Wishart", "scale_tril", self.scale_tril)?;
        check_regular("Wishart", "scale_tril", self.scale_tril)?;
        let least = self.dimension() as f64 - 1.0;
        let hint = "fewer degrees of freedom give matrices without an inverse";
        check_parameter(
            "Wishart",
            "degrees_of_freedom",
            self.degrees_of_freedom,
            "finite and above the dimension less one",
            hint,
            Condition::Inside { above: least, below: f64::INFINITY },
        )?;
        // The draws are some times as large as their mean.
        let mean = self.scale_tril.square().sum_axis(-1) * self.degrees_of_freedom.unsqueeze(-1);
        check_parameter(
            "Wishart",
            "scale_tril",
            mean,
            "such that the mean is in the range of floating-point numbers",
            "rescale the matrices, or use f64",
            Condition::Between { low: F::MIN_POSITIVE.to_f64() * 1e4, high: F::MAX.to_f64() * 1e-4 },
        )
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Wishart<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Wishart<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.by_bartlett(draw, true)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Wishart<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // With ψ(a) = ln a + d(a) and the kernels at the mean, the large terms are combined.
        let (n, a, rows) = (self.dimension() as f64, self.half_degrees(), self.rows());
        let d = special::digamma_minus_log(a);
        let each = (a.ln() + d) * (n + 1.0 - rows) * 0.5 - a * d - special::log_gamma_kernel(a, a) + rows * 0.5;
        let constant = 0.5 * n * (n + 1.0) * LN_2 + 0.25 * n * (n - 1.0) * PI.ln();
        let entropy = self.half_log_determinant() * (n + 1.0) + each.sum_axis(-1) + constant;
        entropy.broadcast_to(self.independent()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Wishart<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // In Bartlett's coordinates: each square on the diagonal is a gamma variate, and what is below is normal. All
        // terms are at least 0.
        let relative = other.scale_tril.triangular_solve(self.scale_tril);
        let variances = relative.diagonal().square();
        let (a, b) = (self.half_degrees(), other.half_degrees());
        let tape = variances.tape();
        let each = special::stirling_divergence(a, b)
            + special::deviance(b, a * variances)
            + special::deviance(tape.constant(1.0), variances) * (self.rows() * 0.5);
        let below = below_diagonal(relative).square().sum_last(2) * self.degrees_of_freedom * 0.5;
        let divergence = each.sum_axis(-1) + below;
        divergence.broadcast_to(self.independent()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuous::gamma::Gamma;
    use crate::noise::KeyedNoise;
    use crate::testing::{check_family, on_samples, variance};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    #[test]
    fn one_dimension_is_a_gamma_distribution() {
        let tape = Tape::<f64>::new();
        let nu = tape.parameter(3.4);
        let (distribution, gamma) = (Wishart::new(nu, tape.constant([[1.5]])), Gamma::from_scale(nu * 0.5, 2.0 * 2.25));
        for x in [0.2, 3.0, 20.0] {
            let (left, right) = (distribution.log_prob(tape.constant([[x]])), gamma.log_prob(tape.constant(x)));
            assert_abs_diff_eq!(left.item().unwrap(), right.item().unwrap(), epsilon = 1e-12);
        }
        assert_abs_diff_eq!(distribution.entropy().item().unwrap(), gamma.entropy().item().unwrap(), epsilon = 1e-12);
        let other = Wishart::new(tape.constant(5.0), tape.constant([[0.7]]));
        let exact = gamma.kl_to(&Gamma::from_scale(tape.constant(2.5), 2.0 * 0.49)).item().unwrap();
        assert_abs_diff_eq!(distribution.kl_to(&other).item().unwrap(), exact, epsilon = 1e-12);
    }

    /// Against SciPy, and the path by the derivative of E |X|, which is |V| ν (ν − 1) in two dimensions.
    #[test]
    fn densities_and_paths_are_right() {
        let tape = Tape::<f64>::new();
        let factor = tape.parameter([[1.0, 0.0], [0.5, 0.8]]);
        let nu = tape.parameter(4.3);
        let distribution = Wishart::new(nu, factor);
        distribution.validate().unwrap();
        let density = distribution.log_prob(tape.constant([[3.0, 0.4], [0.4, 2.0]])).item().unwrap();
        assert!((density + 4.7474680362668344).abs() < 1e-11, "{density}");
        assert!(
            (distribution.entropy().item().unwrap() - 5.803422935143887).abs() < 1e-11,
            "{:?}",
            distribution.entropy().item()
        );
        let samples = 200_000;
        let noise = KeyedNoise::new(9, 0);
        let draw = on_samples(&tape, &noise, samples);
        let copies = tape.parameter(vec![4.3; samples]);
        let x = Wishart::new(copies.event_to_plate(draw.plates()[0]), factor).rsample(&draw).unwrap();
        let mean = x.mean_over(draw.plates()[0]).peek().unwrap();
        for (got, expected) in mean.as_slice().iter().zip(distribution.mean().unwrap().peek().unwrap().as_slice()) {
            assert!((got - expected).abs() < 0.04, "{got}, expected {expected}");
        }
        let determinant = x.cholesky().diagonal().ln().sum_axis(-1) * 2.0;
        let [gradient] = tape.backward(determinant.exp().sum_over(draw.plates()[0]), [copies]).unwrap();
        let got = gradient.as_slice().iter().sum::<f64>() / samples as f64;
        let error = (variance(gradient.as_slice()) / samples as f64).sqrt();
        let expected = 0.64 * (2.0 * 4.3 - 1.0);
        assert!((got - expected).abs() < 4.0 * error, "{got} ± {error}, expected {expected}");
        check_family(&tape, &distribution, tape.constant([[3.0, 0.4], [0.4, 2.0]]));
    }

    /// Against mpmath, in single precision.
    #[test]
    fn many_degrees_of_freedom_keep_the_digits() {
        for (nu, x, density, entropy) in [
            (1e4, 10001.0, -5.8708239694731725, 6.370615639472648),
            (1e8, 100010000.0, -10.725935826711062, 10.975852488794162),
            (1e3, 1010.0, -4.754341333889285, 5.218722762886959),
        ] {
            let tape = Tape::<f32>::new();
            let distribution = Wishart::new(tape.parameter(nu), tape.constant([[1.0]]));
            let got = distribution.log_prob(tape.constant([[x]])).item().unwrap();
            assert!((f64::from(got) - density).abs() < 2e-6 * f64::abs(density), "{nu}: {got}, expected {density}");
            let got = distribution.entropy().item().unwrap();
            assert!((f64::from(got) - entropy).abs() < 2e-6 * f64::abs(entropy), "{nu}: {got}, expected {entropy}");
        }
    }

    #[test]
    fn parameters_are_checked() {
        let tape = Tape::<f64>::new();
        let factor = tape.constant([[1.0, 0.0], [0.5, 0.8]]);
        assert!(Wishart::new(tape.constant(1.0), factor).validate().is_err());
        assert!(Wishart::new(tape.constant(3.0), tape.constant([[1.0, 0.5], [0.0, 1.0]])).validate().is_err());
        assert!(Wishart::new(tape.constant(2.5), factor).mode().unwrap().peek().unwrap().as_slice()[0].is_nan());
    }
}
