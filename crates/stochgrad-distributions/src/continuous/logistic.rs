//! The logistic distribution: a bell with exponential tails, whose distribution function is the logistic function. It
//! is the difference of two Gumbel samples, and the noise of relaxed bits.
//!
//! $$p(x; \mu, s) = \frac{e^{-z}}{s(1 + e^{-z})^2}, \quad z = \frac{x - \mu}{s}, \quad s > 0.$$
//!
//! Parameters: `location` $\mu$, any real number, and `scale` $s > 0$. The parameters broadcast; their common shape is
//! the event shape, and each element is an independent value. Support: the real line.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mu + s \ln\frac{U}{1 - U}$, any order |
//! | weak derivative with respect to $\mu$ | $1/4s$, $\mu \pm 2s\,\mathrm{arcosh}(e^{E/2})$ with the same $E$ in both parts |
//! | weak derivative with respect to $s$ | $1/s$; one replay: $x$ moved away from $\mu$ until the density has fallen by $e^{-E}$ |

use crate::derivative::weak::{location_derivative, scale_derivative};
use crate::distribution::above;
use crate::prelude::*;
use std::f64::consts::{LN_2, PI};

distribution! {
    /// Real values whose distribution function is the logistic function, given by location and scale. The difference of
    /// two Gumbel samples has this distribution.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Logistic};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = Logistic::new(tape.constant(1.0), 2.0);
    /// assert!((distribution.log_prob(tape.constant(1.0)).item()? + 8.0_f64.ln()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Logistic {
        /// The location.
        location: finite,
        /// The scale.
        scale: positive,
    }
    support: Real
}

impl<'t, F: Real> Logistic<Var<'t, F>> {
    /// Logistic samples around `location` with this `scale > 0`.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        Logistic { location, scale: scale.into_var(location.tape()) }
    }

    /// The distribution whose scale is `exp(log_scale)`.
    pub fn from_log_scale(location: Var<'t, F>, log_scale: Var<'t, F>) -> Self {
        Logistic { location, scale: log_scale.exp() }
    }

    /// A value in units of the scale, from the location.
    fn standardize(&self, value: Var<'t, F>) -> Var<'t, F> {
        (value - self.location) / self.scale
    }
}

impl<'t, F: Real> Distribution<'t, F> for Logistic<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let z = self.standardize(value);
        -z.softplus() - (-z).softplus() - self.scale.ln()
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some((self.scale.square() * (PI * PI / 3.0)).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        self.mean()
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Logistic<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_line(self.standardize(value), sigmoid)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_line(self.standardize(value), |z| sigmoid(-z))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_line(self.standardize(value), |z| -(-z).softplus())
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_line(self.standardize(value), |z| -z.softplus())
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Logistic<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::NEG_INFINITY, f64::INFINITY), |p| {
            self.location + self.scale * (p.ln() - (-p).log1p())
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::INFINITY, f64::NEG_INFINITY), |p| {
            self.location - self.scale * (p.ln() - (-p).log1p())
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Logistic<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Logistic<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record_noise(self.location.tape(), Fill::Logistic, &self.event_shape())?;
        Ok(self.location + self.scale * noise)
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Logistic<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let distribution = Logistic { location: self.location.stop_gradient(), scale: self.scale.stop_gradient() };
        let (tape, event) = (sample.tape(), self.event_shape());
        match parameter {
            0 => {
                let density_at_mode = distribution.scale.recip() * 0.25;
                let level = |e: Var<'t, F>| {
                    let radius = distribution.scale * distance(e);
                    (distribution.location + radius, distribution.location - radius)
                };
                location_derivative(tape, draw, &event, density_at_mode, level).map(Some)
            }
            1 => {
                let z = distribution.standardize(sample.stop_gradient());
                let outward = |e: Var<'t, F>| {
                    // At z the density is that at the location times sech²(z/2).
                    let fallen = z.abs() + (-z.abs()).softplus() * 2.0 - 2.0 * LN_2 + e;
                    distribution.location + distribution.scale * z.sign() * distance(fallen)
                };
                scale_derivative(tape, draw, &event, distribution.scale, outward).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Logistic<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() + 2.0).broadcast_to(self.event_shape()).sum()
    }
}

/// The z > 0 at which the standard density has fallen by a factor e^−d from its highest value: 2 arcosh(e^(d/2)).
pub(crate) fn distance<F: Real>(fallen: Var<'_, F>) -> Var<'_, F> {
    // e^(d/2) + √(e^d − 1) in logarithms: no overflow for large d, no cancellation for small d.
    fallen + (-(-fallen).expm1()).sqrt().log1p() * 2.0
}

/// The sigmoid, whose derivative keeps its digits where it is close to 1.
pub(crate) fn sigmoid<F: Real>(z: Var<'_, F>) -> Var<'_, F> {
    above(z, 0.0).select(1.0 - (-z).sigmoid(), z.sigmoid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite};

    const BUILD: Build = |p| Box::new(Logistic::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[0.3, 1.7], Domain::Line(-70.0, 70.0));
        distribution.assert_distribution(&[-3.0, 0.1, 5.0], 11);
        for parameters in [[0.0, 1e-8], [1e6, 1e-8], [-3.0, 1e8]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }
}
