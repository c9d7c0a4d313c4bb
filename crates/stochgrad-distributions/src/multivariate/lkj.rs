//! The LKJ distribution over Cholesky factors of correlation matrices. It is the usual prior of correlations.
//!
//! $$p(L; \eta) \propto \prod_{i=2}^{n} L_{ii}^{\,n - i + 2(\eta - 1)}, \quad L L^\top \text{ a correlation matrix}, \quad \eta > 0,$$
//!
//! with respect to the entries below the diagonal, so that the density of the correlation matrix is in proportion to
//! $\lvert L L^\top\rvert^{\eta - 1}$.
//!
//! Parameters: the dimension $n \ge 2$, fixed, and `concentration` $\eta > 0$. The event shape is that of the
//! concentration followed by $n \times n$; one element is the last two axes. Support: lower triangular matrices with a
//! positive diagonal and rows of length 1. Elsewhere the log-density is −∞: where the square of the length of a row is more
//! than 0.001 away from 1, where the absolute values above the diagonal add up to more than 0.001, and where the diagonal
//! is negative. At correlations of ±1 it is the limit.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | entropy | any order, from the means of the logarithms of the squared diagonal, which are beta variates |
//! | reparameterised | row by row from a beta variate and a direction (the onion method); order 2, through implicit derivatives of gamma variates |
//!
//! Source: Lewandowski, Kurowicka and Joe, "Generating random correlation matrices based on vines and extended onion
//! method", 2009.

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::family;
use crate::prelude::*;
use std::f64::consts::PI;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::special::lgamma;
use stochgrad_tensor::zip::Zip;

/// The largest distance of the square of the length of a row from 1, and of the entries above the diagonal from 0.
/// Beyond it the log-density is −∞.
const TOLERANCE: f64 = 1e-3;

/// Lower Cholesky factors of correlation matrices, given by dimension and concentration. A concentration of 1 is the
/// uniform distribution over the matrices; a larger one favours the identity. One element is the last two axes.
///
/// ```
/// use stochgrad_distributions::{Distribution, Lkj};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let uniform = Lkj::new(2, tape.constant(1.0));
/// let factor = tape.constant([[1.0, 0.0], [0.6, 0.8]]);
/// // The correlation is uniform on (−1, 1).
/// assert!((uniform.log_prob(factor).item()? + 2.0_f64.ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Lkj<V = stochgrad_tape::Id> {
    dimension: usize,
    concentration: V,
}

impl<V> Lkj<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<Lkj<W>, E> {
        Ok(Lkj { dimension: self.dimension, concentration: f(&self.concentration)? })
    }
}

family!(Lkj);

impl<'t, F: Real> Lkj<Var<'t, F>> {
    /// Factors of this dimension, at least 2, with `concentration > 0`.
    pub fn new(dimension: usize, concentration: Var<'t, F>) -> Self {
        Lkj { dimension, concentration }
    }

    /// The number of rows.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The concentration.
    pub fn concentration(&self) -> Var<'t, F> {
        self.concentration
    }

    /// The values of a function of the row, as a constant.
    fn of_rows(&self, f: impl Fn(f64) -> f64) -> Var<'t, F> {
        self.concentration.tape().constant_from_fn([self.dimension], |row| F::from_f64(f(row as f64)))
    }

    fn by_onion(&self, draw: &Draw<'_, F>, path: bool) -> DistributionResult<Var<'t, F>> {
        let (tape, n) = (self.concentration.tape(), self.dimension);
        let event = self.event_shape();
        let rows: Shape = event.iter().take(event.len() - 1).copied().collect();
        // The squared length of row k below the diagonal is of the distribution Beta(k/2, η + (n − 1 − k)/2); row 0 has
        // none.
        let first = self.of_rows(|k| if k == 0.0 { 1.0 } else { 0.5 * k }).broadcast_to(rows.clone());
        let second = self.concentration.unsqueeze(-1) + self.of_rows(|k| 0.5 * (n as f64 - 1.0 - k));
        let up = log_standard_gammas(first, &draw.purpose("below"), &rows, path)?;
        let down = log_standard_gammas(second, &draw.purpose("diagonal"), &rows, path)?;
        let below = self.of_rows(|k| if k == 0.0 { 0.0 } else { 1.0 });
        let odds = up - down;
        let length = (odds.log_sigmoid() * 0.5).exp() * below;
        // The diagonal stays positive where the beta variate is 1 to rounding.
        let rest = ((-odds).log_sigmoid() * 0.5).exp().clamp(F::MIN_POSITIVE.to_f64().sqrt(), 1.0);
        let diagonal = rest * below + (1.0 - below);
        let strict = tape.constant_from_fn([n, n], |cell| if cell % n < cell / n { F::ONE } else { F::ZERO });
        let direction = draw.purpose("direction").record_normal(tape, &event)? * strict;
        let norm = (direction.square().sum_axis(-1) + (1.0 - below)).sqrt();
        Ok(direction * (length / norm).unsqueeze(-1) + diagonal.to_diagonal())
    }
}

impl<'t, F: Real> Distribution<'t, F> for Lkj<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Lkj"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("concentration", self.concentration).with_path(SamplePath::Implicit(Order::Finite(2)))
        ]
    }

    fn event_shape(&self) -> Shape {
        self.concentration.shape().iter().copied().chain([self.dimension, self.dimension]).collect()
    }

    fn element_rank(&self) -> usize {
        2
    }

    fn support(&self) -> Support {
        Support::CorrelationFactors(self.dimension)
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let n = self.dimension as f64;
        let eta = self.concentration.unsqueeze(-1);
        let below = self.of_rows(|k| if k == 0.0 { 0.0 } else { 1.0 });
        // Half of the exponents, which may overflow.
        let exponents = (eta - 1.0 + self.of_rows(|k| 0.5 * (n - 1.0 - k))) * below;
        // The normalising constants of the rows: π^(k/2) Γ(η + (n − 1 − k)/2) / Γ(η + (n − 1)/2), as beta functions,
        // since logarithms of gamma functions would cancel.
        let halves = self.of_rows(|k| if k == 0.0 { 1.0 } else { 0.5 * k });
        let betas = special::log_beta(eta + self.of_rows(|k| 0.5 * (n - 1.0 - k)), halves);
        let powers = self.of_rows(|k| if k == 0.0 { 0.0 } else { 0.5 * k * PI.ln() - lgamma(0.5 * k) });
        let normalizers = (betas + powers) * below;
        // Without a power, a diagonal of 0 has no effect: correlations of ±1 at a concentration of 1.
        let (tape, diagonal) = (value.tape(), value.diagonal());
        let negative = Boundary::Included.outside(diagonal);
        let root = negative.select(tape.constant(1.0), diagonal);
        let density = ((root.map(Map::LnHeld) * 2.0).zip(Zip::Weigh, exponents) - normalizers).sum_axis(-1);
        let is_above = |cell: usize| F::from_usize(usize::from(cell % self.dimension > cell / self.dimension));
        let upper = tape.constant_from_fn([self.dimension; 2], is_above);
        let above = (value * upper).abs().sum_last(2);
        let excess = (value.square().sum_axis(-1) - 1.0).abs();
        let off = negative.sum_axis(-1)
            + Boundary::Included.outside(TOLERANCE - excess).sum_axis(-1)
            + Boundary::Included.outside(TOLERANCE - above);
        off.select(tape.constant(f64::NEG_INFINITY), density)
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.by_onion(draw, false)?.stop_gradient())
    }

    fn validate(&self) -> DistributionResult<()> {
        if self.dimension < 2 {
            let problem = format!("expected a dimension of at least 2, got {}", self.dimension);
            return Err(crate::DistributionError::Unsupported { distribution: "Lkj", problem });
        }
        positive("Lkj", "concentration", self.concentration)
    }

    capabilities!();
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Lkj<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // The squared diagonal of row k is of the distribution Beta(η + (n − 1 − k)/2, k/2); row 0 is fixed.
        let (n, eta) = (self.dimension as f64, self.concentration.unsqueeze(-1));
        let below = self.of_rows(|k| if k == 0.0 { 0.0 } else { 1.0 });
        let halves = self.of_rows(|k| if k == 0.0 { 1.0 } else { 0.5 * k });
        let first = eta + self.of_rows(|k| 0.5 * (n - 1.0 - k));
        let mean_log = -special::digamma_difference(first, first + halves);
        let powers = self.of_rows(|k| if k == 0.0 { 0.0 } else { 0.5 * k * PI.ln() - lgamma(0.5 * k) });
        let normalizers = special::log_beta(first, halves) + powers;
        ((normalizers - (first - 1.0) * mean_log) * below).sum()
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Lkj<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Lkj<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.by_onion(draw, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::KeyedNoise;
    use crate::testing::{check_family, on_samples, variance};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    /// In two dimensions the density of the correlation is (1 − r²)^(η − 1) / (2^(2η − 1) B(η, η)).
    /// Each row is then a normal vector of the dimension k with the variance 1 / 2η.
    #[test]
    fn own_samples_at_huge_concentrations_have_a_density() {
        for eta in [1e12, 1e200, 6.2e305, f64::MAX] {
            let tape = Tape::<f64>::new();
            let distribution = Lkj::new(3, tape.parameter(eta));
            let identity = tape.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
            let found = distribution.log_prob(identity).item().unwrap();
            assert_abs_diff_eq!(found, 1.5 * (eta.ln() - PI.ln()), epsilon = 1e-9);
            let sample = distribution.draw(&on_samples(&tape, &KeyedNoise::new(3, 0), 1)).unwrap();
            assert!(
                distribution.log_prob(tape.constant(sample.reshape([3, 3]).unwrap())).item().unwrap().is_finite(),
                "{eta}"
            );
        }
    }

    #[test]
    fn two_dimensions_are_a_beta_distribution() {
        let tape = Tape::<f64>::new();
        let eta = tape.parameter(2.3);
        let distribution = Lkj::new(2, eta);
        for r in [-0.9_f64, 0.1, 0.5] {
            let factor = tape.constant([[1.0, 0.0], [r, (1.0 - r * r).sqrt()]]);
            let beta = special::log_beta(eta, eta) + (eta * 2.0 - 1.0) * std::f64::consts::LN_2;
            let expected = (eta - 1.0) * (1.0 - r * r).ln() - beta;
            assert_abs_diff_eq!(
                distribution.log_prob(factor).item().unwrap(),
                expected.item().unwrap(),
                epsilon = 1e-12
            );
        }
        check_family(&tape, &distribution, tape.constant([[1.0, 0.0], [0.6, 0.8]]));
    }

    #[test]
    fn correlations_of_one_have_the_limit_of_the_density() {
        let inf = f64::INFINITY;
        let (straight, mirrored) = ([[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]]);
        for (eta, factor, expected) in [
            (1.0, straight, -std::f64::consts::LN_2),
            (1.0, mirrored, -std::f64::consts::LN_2),
            (2.0, straight, -inf),
            (0.5, mirrored, inf),
            (1.0, [[1.0, 0.0], [0.6, 0.6]], -inf),
            (1.0, [[1.0, 0.0], [0.6, -0.8]], -inf),
            (1.0, [[0.8, 0.6], [0.6, 0.8]], -inf),
        ] {
            let tape = Tape::<f64>::new();
            let (eta, factor) = (tape.parameter(eta), tape.parameter(factor));
            let log = Lkj::new(2, eta).log_prob(factor);
            let got = log.item().unwrap();
            assert!(got == expected || (got - expected).abs() < 1e-14, "{got}, expected {expected} at {factor:?}");
            for gradient in tape.backward(log, [eta, factor]).unwrap() {
                assert!(gradient.as_slice().iter().all(|g| !g.is_nan()), "{factor:?}: {gradient:?}");
            }
        }
    }

    /// The density of three dimensions integrates to one over the three correlations.
    #[test]
    fn three_dimensions_are_normalised() {
        let tape = Tape::<f64>::new();
        let distribution = Lkj::new(3, tape.parameter(1.7));
        let count = 60;
        let grid: Vec<f64> = (0..count).map(|i| (f64::from(i) + 0.5) / f64::from(count) * 2.0 - 1.0).collect();
        // Coordinates below the diagonal: a, and b, c with b² + c² < 1.
        let mut total = 0.0;
        for &a in &grid {
            let mut rows = Vec::new();
            for &b in &grid {
                for &c in &grid {
                    if b * b + c * c < 1.0 {
                        rows.extend([1.0, 0.0, 0.0, a, (1.0 - a * a).sqrt(), 0.0, b, c, (1.0 - b * b - c * c).sqrt()]);
                    }
                }
            }
            let many = rows.len() / 9;
            let value = tape.constant(Tensor::from(rows.as_slice()).with_shape([many, 3, 3]));
            total += distribution.log_prob_each(value).exp().sum().item().unwrap();
        }
        total *= (2.0 / f64::from(count)).powi(3);
        assert!((total - 1.0).abs() < 0.01, "{total}");
    }

    /// A correlation under LKJ has variance 1 / (2η + n − 1): its derivative along the path.
    #[test]
    fn paths_are_right() {
        let tape = Tape::<f64>::new();
        let samples = 200_000;
        let noise = KeyedNoise::new(10, 0);
        let draw = on_samples(&tape, &noise, samples);
        let copies = tape.parameter(vec![1.7; samples]);
        let distribution = Lkj::new(3, copies.event_to_plate(draw.plates()[0]));
        let l = distribution.rsample(&draw).unwrap();
        let correlation = l.matmul(l.transpose());
        assert!(correlation.diagonal().peek().unwrap().as_slice().iter().all(|d| (d - 1.0).abs() < 1e-12));
        for (row, column) in [(1, 0), (2, 0), (2, 1)] {
            let square = correlation.index(-2, row).index(-1, column).square();
            let mean = square.mean_over(draw.plates()[0]).item().unwrap();
            assert!((mean - 1.0 / 5.4).abs() < 0.003, "{row}, {column}: {mean}");
            let [gradient] = tape.backward(square.sum_over(draw.plates()[0]), [copies]).unwrap();
            let got = gradient.as_slice().iter().sum::<f64>() / samples as f64;
            let error = (variance(gradient.as_slice()) / samples as f64).sqrt();
            let expected = -2.0 / 5.4_f64.powi(2);
            assert!((got - expected).abs() < 4.0 * error, "{row}, {column}: {got} ± {error}, expected {expected}");
        }
        assert!(Lkj::new(1, copies).validate().is_err());
        assert!(Lkj::new(2, tape.constant(0.0)).validate().is_err());
    }
}
