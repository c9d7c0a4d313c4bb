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
//! | reparameterised | $X = L A A^\top L^\top$ with Bartlett's triangle $A$; any order in $L$, order 1 in $\nu$ through the implicit derivatives of gamma variates |
//!
//! Source: Bartlett, "On the theory of statistical regression", 1933 (sampler).

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::multivariate::multivariate_normal::check_triangle;
use crate::prelude::*;
use std::f64::consts::{LN_2, PI};

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

    /// (ν − i) / 2 for the rows i from 0, along a last axis.
    fn half_degrees(&self) -> Var<'t, F> {
        let rows = Tensor::from_fn([self.dimension()], F::from_usize);
        (self.degrees_of_freedom.unsqueeze(-1) - self.scale_tril.tape().constant(&rows)) * 0.5
    }

    /// ln Γₙ(ν/2)
    fn log_multivariate_gamma(&self) -> Var<'t, F> {
        let n = self.dimension() as f64;
        self.half_degrees().lgamma().sum_axis(-1) + 0.25 * n * (n - 1.0) * PI.ln()
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
        Ok(factor.matmul(factor.transpose()))
    }
}

impl<'t, F: Real> Distribution<'t, F> for Wishart<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Wishart"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("degrees_of_freedom", self.degrees_of_freedom)
                .with_path(SamplePath::Implicit(Order::Finite(1))),
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
        let n = self.dimension() as f64;
        let (nu, factor) = (self.degrees_of_freedom, value.cholesky());
        let trace = self.scale_tril.triangular_solve(factor).square().sum_last(2);
        let determinant = factor.diagonal().ln().sum_axis(-1);
        determinant * (nu - (n + 1.0))
            - trace * 0.5
            - nu * (0.5 * n * LN_2)
            - nu * self.half_log_determinant()
            - self.log_multivariate_gamma()
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
        let least = self.dimension() as f64 - 1.0;
        let hint = "fewer degrees of freedom give matrices without an inverse";
        check_parameter(
            "Wishart",
            "degrees_of_freedom",
            self.degrees_of_freedom,
            "finite and above the dimension less one",
            hint,
            Condition::Inside { above: least, below: f64::INFINITY },
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
        let n = self.dimension() as f64;
        let nu = self.degrees_of_freedom;
        let digammas = self.half_degrees().digamma().sum_axis(-1);
        let entropy =
            self.half_log_determinant() * (n + 1.0) + 0.5 * n * (n + 1.0) * LN_2 + self.log_multivariate_gamma()
                - (nu - (n + 1.0)) * digammas * 0.5
                + nu * (0.5 * n);
        entropy.broadcast_to(self.independent()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Wishart<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let n = self.dimension() as f64;
        let (own, others) = (self.degrees_of_freedom, other.degrees_of_freedom);
        let trace = other.scale_tril.triangular_solve(self.scale_tril).square().sum_last(2);
        let determinants = self.half_log_determinant() - other.half_log_determinant();
        let digammas = self.half_degrees().digamma().sum_axis(-1);
        let divergence = own * (trace - n) * 0.5 - others * determinants + other.log_multivariate_gamma()
            - self.log_multivariate_gamma()
            + (own - others) * digammas * 0.5;
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

    #[test]
    fn parameters_are_checked() {
        let tape = Tape::<f64>::new();
        let factor = tape.constant([[1.0, 0.0], [0.5, 0.8]]);
        assert!(Wishart::new(tape.constant(1.0), factor).validate().is_err());
        assert!(Wishart::new(tape.constant(3.0), tape.constant([[1.0, 0.5], [0.0, 1.0]])).validate().is_err());
        assert!(Wishart::new(tape.constant(2.5), factor).mode().unwrap().peek().unwrap().as_slice()[0].is_nan());
    }
}
