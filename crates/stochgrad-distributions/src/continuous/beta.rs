//! The beta distribution.
//!
//! $$p(x; \alpha, \beta) = \frac{x^{\alpha - 1} (1 - x)^{\beta - 1}}{B(\alpha, \beta)}, \quad 0 < x < 1, \quad \alpha, \beta > 0.$$
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \sigma(\ln G_\alpha - \ln G_\beta)$ with standard gamma numbers, each with its implicit derivative (Figurnov et al. 2018): order 1 |
//!
//! The parts of the weak derivatives lie on either side of the point where the score changes its sign; their numbers
//! are roots of $\partial_a I_x(a, b) = -cv$ with a uniform $v$ in both parts, a few microseconds each. The implicit
//! path is the cheaper tool.

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::derivative::underflow::held_above_underflow;
use crate::derivative::weak_gamma::weak_log_odds;
use crate::distribution::WeaklyReparameterized;
use crate::distribution::{WeakNoise, WeakPath};
use crate::prelude::*;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::special::{ShapeDerivative, beta_shape_derivative, sigmoid};

distribution! {
    /// Numbers between 0 and 1, by the two concentrations.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Beta};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = Beta::new(tape.constant(2.0), 3.0);
    /// assert!((distribution.mean().unwrap().item()? - 0.4).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Beta {
        /// The exponent at 0, plus one.
        alpha: positive.with_path(SamplePath::Implicit(Order::Finite(1))),
        /// The exponent at 1, plus one.
        beta: positive.with_path(SamplePath::Implicit(Order::Finite(1))),
    }
    support: UnitInterval
}

impl<'t, F: Real> Beta<Var<'t, F>> {
    /// Numbers between 0 and 1 with concentrations `alpha > 0` and `beta > 0`.
    pub fn new(alpha: Var<'t, F>, beta: impl IntoVar<'t, F>) -> Self {
        Beta { alpha, beta: beta.into_var(alpha.tape()) }
    }

    /// Numbers between 0 and 1 with this mean, in (0, 1), and this sum of the two concentrations.
    pub fn from_mean_and_total(mean: Var<'t, F>, total: impl IntoVar<'t, F>) -> Self {
        let total = total.into_var(mean.tape());
        Beta { alpha: mean * total, beta: (1.0 - mean) * total }
    }

    /// The sum of the concentrations.
    pub fn total(&self) -> Var<'t, F> {
        self.alpha + self.beta
    }
}

impl<'t, F: Real> Distribution<'t, F> for Beta<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let half = value.tape().constant(0.5);
        Boundary::Excluded.confine(value.minimum(1.0 - value), value, half, |x| {
            let y = 1.0 - x;
            special::log_beta_kernel(self.alpha, self.beta, x, y) - x.ln() - (-x).log1p()
        })
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        Ok(self.by_gammas(draw, false)?.expand_plates(draw.plates()).inspect()?)
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.alpha / self.total())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let total = self.total();
        Some(self.alpha / total * (self.beta / total) / (total + 1.0))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        // Where only one concentration is above 1, that end; where none is, there is no single mode: NaN.
        let (a, b) = (self.alpha - 1.0, self.beta - 1.0);
        let (rising, falling) = (a.step(), b.step());
        let tape = a.tape();
        let one_end = rising.select(tape.constant(1.0), falling.select(tape.constant(0.0), tape.constant(f64::NAN)));
        let both = rising * falling;
        let inner = both.select(a, tape.constant(1.0)) / both.select(a + b, tape.constant(2.0));
        Some(both.select(inner, one_end))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Beta<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        special::beta_inc(self.alpha, self.beta, value.clamp(0.0, 1.0))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Beta<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        special::beta_inc_inverse(self.alpha, self.beta, probability)
    }
}

impl<'t, F: Real> WeaklyReparameterized<'t, F> for Beta<Var<'t, F>> {
    fn weak_rsample(&self, draw: &Draw<'_, F>, noise: WeakNoise) -> DistributionResult<WeakPath<'t, F>> {
        let path = weak_log_odds([self.alpha, self.beta], draw, &self.event_shape(), noise)?;
        Ok(WeakPath { value: inside(path.value.sigmoid()), ..path })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Beta<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Beta<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.by_gammas(draw, true)
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Beta<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        _sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>> {
        if parameter > 1 {
            return Ok(None);
        }
        let event = self.event_shape();
        let (alpha, beta) = (draw.parameter(self.alpha, &event)?, draw.parameter(self.beta, &event)?);
        let shares = draw.purpose("share").uniform(&event)?;
        // By the second shape: that of the mirrored distribution.
        let sign = if parameter == 0 { 1.0 } else { -1.0 };
        let part = |i: usize| {
            let (a, b) = (alpha.as_slice()[i].to_f64(), beta.as_slice()[i].to_f64());
            let (a, b) = if parameter == 0 { (a, b) } else { (b, a) };
            beta_shape_derivative(a, b, shares.as_slice()[i].to_f64())
        };
        let parts: Vec<ShapeDerivative> = (0..shares.len()).map(part).collect();
        let of = |number: &dyn Fn(usize) -> f64| Tensor::from_fn(shares.shape().clone(), |i| F::from_f64(number(i)));
        let (lowest, highest) = (F::MIN_POSITIVE.to_f64(), 1.0 - 0.5 * F::EPSILON.to_f64());
        let number = |log_odds: f64| sigmoid(sign * log_odds).clamp(lowest, highest);
        Ok(Some(Alternatives {
            values: vec![of(&|i| number(parts[i].positive)), of(&|i| number(parts[i].negative))],
            weights: vec![of(&|i| parts[i].constant), of(&|i| -parts[i].constant)],
        }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Beta<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // With ψ(x) = ln x + d(x), and ln B from its kernel at the mean: the large terms have been taken together.
        let (a, b, n) = (self.alpha, self.beta, self.total());
        let d = special::digamma_minus_log;
        let rest = (n - 2.0) * d(n) - (a - 1.0) * d(a) - (b - 1.0) * d(b);
        (rest - special::log_beta_kernel(a, b, a / n, b / n) + a.ln() + b.ln() - n.ln() * 2.0).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Beta<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let (a, b) = (self.alpha - other.alpha, self.beta - other.beta);
        let logs = special::log_beta(other.alpha, other.beta) - special::log_beta(self.alpha, self.beta);
        (logs + a * self.alpha.digamma() + b * self.beta.digamma() - (a + b) * self.total().digamma()).sum()
    }
}

impl<'t, F: Real> Beta<Var<'t, F>> {
    /// Values from logarithms of two gamma numbers, held strictly inside the unit interval.
    fn by_gammas(&self, draw: &Draw<'_, F>, path: bool) -> DistributionResult<Var<'t, F>> {
        let event = self.event_shape();
        let up = log_standard_gammas(self.alpha, &draw.purpose("alpha"), &event, path)?;
        let down = log_standard_gammas(self.beta, &draw.purpose("beta"), &event, path)?;
        Ok(inside((up - down).sigmoid()))
    }
}

/// Values held strictly inside the unit interval.
fn inside<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    held_above_underflow("Beta", value.map(Map::MinScalar(1.0 - F::EPSILON.to_f64() / 2.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::distribution_checks::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Beta::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[2.3, 1.4], Domain::UnitInterval).with_weak_samples(3000);
        distribution.assert_distribution(&[0.05, 0.4, 0.98], 91);
        assert_nothing_at(BUILD, &[2.3, 1.4], 0.0);
        assert_nothing_at(BUILD, &[2.3, 1.4], -0.1);
        assert_nothing_at(BUILD, &[2.3, 1.4], 1.0);
        assert_nothing_at(BUILD, &[2.3, 1.4], 1.2);
        for parameters in [[1e-3, 1e-3], [1e-3, 1e6], [1.0, 1.0], [1e6, 1e6]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::new();
        let (p, q) = (Beta::new(tape.constant(2.3), 1.4), Beta::from_mean_and_total(tape.constant(0.4), 2.0));
        distribution.assert_divergence(&[0.8, 1.2], p.kl_to(&q).item().unwrap());
        DistributionCheck::new(BUILD, &[0.6, 0.3], Domain::UnitInterval).assert_draws_by_own_cdf(95);
    }
}
