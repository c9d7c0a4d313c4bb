//! The multivariate normal distribution with a covariance of low rank plus a diagonal. Use it for approximate
//! posteriors of many dimensions and for factor analysis.
//!
//! $$\Sigma = W W^\top + D, \quad W \in \mathbb{R}^{n \times r}, \quad D = \mathrm{diag}(d), \quad d > 0.$$
//!
//! Parameters: `location` $\mu \in \mathbb{R}^n$, `factor` $W$ with the last axes $n \times r$, and `diagonal` $d > 0$.
//! The axes before the last one are independent and broadcast; one element is the last axis. Support: $\mathbb{R}^n$.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mu + W\varepsilon + \sqrt d\,\varepsilon'$, any order |
//!
//! Densities, entropies and divergences take time in proportion to $n r^2$: by Woodbury's identity and the matrix
//! determinant lemma with the capacitance $C = I + W^\top D^{-1} W$.

use crate::multivariate::multivariate_normal::{apply, solve};
use crate::prelude::*;
use std::f64::consts::PI;

distribution! {
    /// Normal vectors with a few common causes, given by location, factor and the remaining variances. One element is
    /// the last axis.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, LowRankMultivariateNormal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let factor = tape.constant([[1.0], [2.0]]);
    /// let distribution = LowRankMultivariateNormal::new(tape.constant([0.0, 0.0]), factor, tape.constant([0.5, 0.5]));
    /// assert_eq!(distribution.variance().unwrap().peek()?.as_slice(), &[1.5, 4.5]);
    /// # Ok(())
    /// # }
    /// ```
    pub struct LowRankMultivariateNormal {
        /// The location.
        location,
        /// The factor: a row for each coordinate, a column for each common cause.
        factor,
        /// The remaining variances.
        diagonal,
    }
}

impl<'t, F: Real> LowRankMultivariateNormal<Var<'t, F>> {
    /// Vectors around `location` with the covariance `factor factorᵀ + diag(diagonal)`.
    pub fn new(location: Var<'t, F>, factor: Var<'t, F>, diagonal: Var<'t, F>) -> Self {
        LowRankMultivariateNormal { location, factor, diagonal }
    }

    /// The number of coordinates.
    pub fn dimension(&self) -> usize {
        self.event_shape().last().copied().unwrap_or(0)
    }

    /// D⁻¹ W
    fn scaled_factor(&self) -> Var<'t, F> {
        self.factor / self.diagonal.unsqueeze(-1)
    }

    /// The lower Cholesky factor of the capacitance.
    fn capacitance_tril(&self) -> Var<'t, F> {
        let rank = self.factor.shape().last().copied().unwrap_or(0);
        let gram = self.factor.transpose().matmul(self.scaled_factor());
        (gram + self.factor.tape().constant(Tensor::eye(rank))).cholesky()
    }

    fn log_determinant(&self) -> Var<'t, F> {
        let spread = self.diagonal.broadcast_to(self.event_shape()).ln().sum_axis(-1);
        spread + self.capacitance_tril().diagonal().ln().sum_axis(-1) * 2.0
    }

    /// (x − μ)ᵀ Σ⁻¹ (x − μ) for a deviation.
    fn squared_distance(&self, deviation: Var<'t, F>) -> Var<'t, F> {
        // The least squares of the causes and of what they leave unexplained. Woodbury's identity itself would subtract
        // two numbers that are large where the diagonal is small.
        let projected = apply(self.scaled_factor().transpose(), deviation);
        let capacitance = self.capacitance_tril();
        let causes = solve(capacitance, solve(capacitance, projected, false), true);
        let rest = deviation - apply(self.factor, causes);
        (rest.square() / self.diagonal).sum_axis(-1) + causes.square().sum_axis(-1)
    }

    fn independent(&self) -> Shape {
        let event = self.event_shape();
        event.iter().take(event.len().saturating_sub(1)).copied().collect()
    }
}

impl<'t, F: Real> Distribution<'t, F> for LowRankMultivariateNormal<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "LowRankMultivariateNormal"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("location", self.location),
            Parameter::smooth("factor", self.factor),
            Parameter::smooth("diagonal", self.diagonal)
        ]
    }

    fn event_shape(&self) -> Shape {
        let factor = self.factor.shape();
        let rows: Shape = factor.iter().take(factor.len().saturating_sub(1)).copied().collect();
        let vectors = common_shape(&[self.location, self.diagonal]);
        Shape::broadcast(&vectors, &rows).unwrap_or_default()
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::Vectors(self.dimension())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let constant = (2.0 * PI).ln() * self.dimension() as f64;
        (self.squared_distance(value - self.location) + self.log_determinant() + constant) * -0.5
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some((self.factor.square().sum_axis(-1) + self.diagonal).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        self.mean()
    }

    fn validate(&self) -> DistributionResult<()> {
        finite("LowRankMultivariateNormal", "location", self.location)?;
        if self.factor.shape().len() < 2 {
            let problem = format!(
                "expected a factor with rows and columns in the last two axes, got shape {}",
                self.factor.shape()
            );
            return Err(crate::DistributionError::Unsupported { distribution: "LowRankMultivariateNormal", problem });
        }
        finite("LowRankMultivariateNormal", "factor", self.factor)?;
        positive("LowRankMultivariateNormal", "diagonal", self.diagonal)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for LowRankMultivariateNormal<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for LowRankMultivariateNormal<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let tape = self.location.tape();
        let rank = self.factor.shape().last().copied().unwrap_or(0);
        let causes: Shape = self.independent().iter().copied().chain([rank]).collect();
        let common = draw.purpose("causes").record_normal(tape, &causes)?;
        let own = draw.purpose("own").record_normal(tape, &self.event_shape())?;
        Ok(self.location + apply(self.factor, common) + self.diagonal.sqrt() * own)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for LowRankMultivariateNormal<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let constant = (1.0 + (2.0 * PI).ln()) * self.dimension() as f64;
        ((self.log_determinant() + constant) * 0.5).broadcast_to(self.independent()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for LowRankMultivariateNormal<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // The trace of Σ₂⁻¹ Σ₁, term by term of Woodbury's identity.
        let ratio = (self.diagonal / other.diagonal).broadcast_to(self.event_shape()).sum_axis(-1);
        let spread = (self.factor.square() / other.diagonal.unsqueeze(-1)).sum_last(2);
        let (capacitance, scaled) = (other.capacitance_tril(), other.scaled_factor().transpose());
        let root = self.diagonal.sqrt().unsqueeze(-2);
        let explained = capacitance.triangular_solve(scaled * root).square().sum_last(2)
            + capacitance.triangular_solve(scaled.matmul(self.factor)).square().sum_last(2);
        let distance = other.squared_distance(self.location - other.location);
        let determinants = other.log_determinant() - self.log_determinant();
        let total = ratio + spread - explained + distance + determinants - self.dimension() as f64;
        (total * 0.5).broadcast_to(self.independent()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multivariate::multivariate_normal::MultivariateNormal;
    use crate::noise::KeyedNoise;
    use crate::testing::{check_family, on_samples};
    use stochgrad_tape::Tape;

    fn distribution<'t>(tape: &'t Tape<f64>, by: f64) -> LowRankMultivariateNormal<Var<'t, f64>> {
        LowRankMultivariateNormal::new(
            tape.parameter([0.3 * by, -1.0, 2.0]),
            tape.parameter([[1.0, 0.2], [-0.5, by], [0.7, -0.3]]),
            tape.parameter([0.5, 0.8 * by, 1.5]),
        )
    }

    fn dense<'t>(distribution: &LowRankMultivariateNormal<Var<'t, f64>>) -> MultivariateNormal<Var<'t, f64>> {
        let covariance =
            distribution.factor.matmul(distribution.factor.transpose()) + distribution.diagonal.to_diagonal();
        MultivariateNormal::from_covariance(distribution.location, covariance)
    }

    /// Values and gradients agree with those of the distribution with the same full covariance.
    #[test]
    fn it_is_the_dense_distribution() {
        let tape = Tape::<f64>::new();
        let (p, q) = (distribution(&tape, 1.0), distribution(&tape, 0.6));
        let x = tape.constant([[0.1, 0.4, 0.0], [2.0, -3.0, 1.0]]);
        let pairs = [
            (p.log_prob(x), dense(&p).log_prob(x)),
            (p.entropy(), dense(&p).entropy()),
            (p.kl_to(&q), dense(&p).kl_to(&dense(&q))),
            (p.variance().unwrap().sum(), dense(&p).variance().unwrap().sum()),
        ];
        let wrt = [p.location, p.factor, p.diagonal];
        for (number, (low, full)) in pairs.into_iter().enumerate() {
            assert!((low.item().unwrap() - full.item().unwrap()).abs() < 1e-11, "{number}");
            let gradients = [low, full].map(|value| tape.backward(value, wrt).unwrap());
            for (low, full) in gradients[0].iter().zip(&gradients[1]) {
                assert!(low.as_slice().iter().zip(full.as_slice()).all(|(a, b)| (a - b).abs() < 1e-10), "{number}");
            }
        }
        p.validate().unwrap();
        check_family(&tape, &p, tape.constant([0.1, 0.4, 0.0]));
    }

    #[test]
    fn paths_have_the_covariance() {
        let tape = Tape::<f64>::new();
        let distribution = distribution(&tape, 1.0);
        let noise = KeyedNoise::new(8, 0);
        let draw = on_samples(&tape, &noise, 100_000);
        let deviation = distribution.rsample(&draw).unwrap() - distribution.location;
        let products = deviation.unsqueeze(-1).matmul(deviation.unsqueeze(-2)).mean_over(draw.plates()[0]);
        let exact = dense(&distribution).covariance().peek().unwrap();
        for (got, expected) in products.peek().unwrap().as_slice().iter().zip(exact.as_slice()) {
            assert!((got - expected).abs() < 0.04, "{got}, expected {expected}");
        }
        let wrong =
            LowRankMultivariateNormal::new(distribution.location, distribution.factor, tape.constant([1.0, 0.0, 1.0]));
        assert!(wrong.validate().is_err());
    }

    /// Against mpmath: a diagonal so small that the identity of Woodbury would subtract two large numbers.
    #[test]
    fn a_small_diagonal_keeps_the_digits() {
        let single = Tape::<f32>::new();
        let diagonal = single.parameter([1e-8, 1e-8]);
        let location = single.constant([0.0, 0.0]);
        let factor = single.constant([[1.0], [1.0]]);
        let log = LowRankMultivariateNormal::new(location, factor, diagonal).log_prob(single.constant([0.5, 0.5001]));
        let got = f64::from(log.item().unwrap());
        assert!((got - 6.65078173298).abs() < 2e-3, "{got}");
        let [slope] = single.backward(log, [diagonal]).unwrap();
        for (slope, expected) in slope.as_slice().iter().zip([-12497101.598685682, -12494600.933751684]) {
            assert!((f64::from(*slope) - expected).abs() < 5e-3 * f64::abs(expected), "{slope}, expected {expected}");
        }
        let double = Tape::<f64>::new();
        let diagonal = double.parameter([1e-16, 1e-16]);
        let (location, factor) = (double.constant([0.0, 0.0]), double.constant([[1.0], [1.0]]));
        let log =
            LowRankMultivariateNormal::new(location, factor, diagonal).log_prob(double.constant([0.5, 0.50000001]));
        assert!((log.item().unwrap() - 15.861230082250668).abs() < 1e-6, "{log:?}");
    }
}
