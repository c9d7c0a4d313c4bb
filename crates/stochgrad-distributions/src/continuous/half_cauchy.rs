//! The half-Cauchy distribution: the absolute value of a Cauchy sample around 0. It is a usual prior of standard
//! deviations in hierarchical models.
//!
//! $$p(x; s) = \frac{2}{\pi s (1 + z^2)}, \quad z = x/s, \quad x \ge 0, \quad s > 0.$$
//!
//! Parameter: `scale` $s > 0$, which is the median; its shape is the event shape, and each element is an independent
//! value. Support: the nonnegative real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = s \tan(\pi U/2)$, any order |
//! | weak derivative | $1/s$; one replay: $x$ moved up to $z^2 = (1 + z_x^2) e^E - 1$ |

use crate::continuous::cauchy::FAR;
use crate::derivative::underflow::finite_draws;
use crate::derivative::weak::scale_derivative;
use crate::distribution::{above, log_of_either};
use crate::prelude::*;
use std::f64::consts::PI;

distribution! {
    /// Absolute values of Cauchy samples around 0, given by the scale. They have neither mean nor variance. Use it as a
    /// prior of standard deviations.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, HalfCauchy};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = HalfCauchy::new(tape.constant(2.0));
    /// assert!((distribution.log_prob(tape.constant(2.0)).item()? + (2.0 * std::f64::consts::PI).ln()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct HalfCauchy {
        /// The median.
        scale: positive,
    }
    support: Positive
}

impl<'t, F: Real> HalfCauchy<Var<'t, F>> {
    /// Absolute values of Cauchy samples with this `scale > 0`.
    pub fn new(scale: Var<'t, F>) -> Self {
        HalfCauchy { scale }
    }
}

impl<'t, F: Real> Distribution<'t, F> for HalfCauchy<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        Boundary::Included
            .confine_positive(value, |x| (2.0 / PI).ln() - self.scale.ln() - special::log1p_square_ratio(x, self.scale))
    }

    drawn_by_path!();

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.scale * 0.0)
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for HalfCauchy<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_half_line(value / self.scale, |z| special::atan(z) * (2.0 / PI))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_half_line(value / self.scale, |z| special::acot(z) * (2.0 / PI))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_half_line(value / self.scale, |z| {
            log_of_either(special::atan(z) * (2.0 / PI), special::acot(z) * (2.0 / PI))
        })
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_half_line(value / self.scale, |z| {
            let log = log_of_either(special::acot(z) * (2.0 / PI), special::atan(z) * (2.0 / PI));
            // Far out it is 2/πz, and the square of z would overflow in the derivative.
            above(z, FAR).select((2.0 / PI).ln() - z.ln(), log)
        })
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for HalfCauchy<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, 0.0, f64::INFINITY), |p| {
            let (sine, cosine, upper) = quarter_turn(p);
            self.scale * upper.select(cosine / sine, sine / cosine)
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::INFINITY, 0.0), |p| {
            let (sine, cosine, upper) = quarter_turn(p);
            self.scale * upper.select(sine / cosine, cosine / sine)
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for HalfCauchy<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for HalfCauchy<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record_noise(self.scale.tape(), Fill::Folded, &self.event_shape())?;
        let angle = noise.abs() * (0.5 * PI);
        let (sine, cosine) = (angle.sin(), angle.cos());
        Ok(finite_draws(self.scale * noise.gt(noise * 0.0).select(sine / cosine, cosine / sine)))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for HalfCauchy<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let [scale, sample] = [self.scale, sample].map(Var::stop_gradient);
        let z = sample / scale;
        let outward = |e: Var<'t, F>| finite_draws(scale * (e.expm1() + z.square() * e.exp()).sqrt());
        scale_derivative(sample.tape(), draw, &self.event_shape(), scale, outward).map(Some)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for HalfCauchy<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() + (2.0 * PI).ln()).sum()
    }
}

/// Sine and cosine of the share p of a right angle if p is at most 1/2, else of the share 1 − p and a mark: the cosine
/// would lose precision.
fn quarter_turn<F: Real>(p: Var<'_, F>) -> (Var<'_, F>, Var<'_, F>, Var<'_, F>) {
    let upper = above(p, 0.5);
    let angle = upper.select(1.0 - p, p) * (PI / 2.0);
    (angle.sin(), angle.cos(), upper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};

    const BUILD: Build = |p| Box::new(HalfCauchy::new(p[0]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[1.3], Domain::HeavyHalfLine).with_bounded_cost();
        distribution.assert_distribution(&[0.05, 1.7, 400.0], 61);
        assert_nothing_at(BUILD, &[1.3], -0.1);
        for parameters in [[1e-8], [1.0], [1e8], [1e306]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }
}
