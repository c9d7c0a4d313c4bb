//! The Gumbel distribution: the limit of the largest of many samples. It models extremes such as floods, and is the
//! noise behind the Gumbel-max trick for categories.
//!
//! $$p(x; \mu, \beta) = \frac{1}{\beta} e^{-z - e^{-z}}, \quad z = \frac{x - \mu}{\beta}, \quad \beta > 0.$$
//!
//! Parameters: `location` $\mu$, any real number, which is the mode, and `scale` $\beta > 0$. The parameters broadcast;
//! their common shape is the event shape, and each element is an independent value. Support: the real line.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mu - \beta \ln E$, any order |
//! | weak derivative with respect to $\mu$ | $1/e\beta$, $\mu + \beta z_\pm$ where $z_- < 0 < z_+$ solve $z + e^{-z} - 1 = E$, with the same $E$ in both parts |

use crate::derivative::weak::location_derivative;
use crate::distribution::{exp_minus_exp, log_one_minus_exp_exp, one_minus_exp_exp};
use crate::prelude::*;
use std::f64::consts::{E, PI};

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

distribution! {
    /// Largest values of many samples, given by location (the mode) and scale.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Gumbel};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = Gumbel::new(tape.constant(1.0), 2.0);
    /// assert!((distribution.log_prob(tape.constant(1.0)).item()? + 1.0 + 2.0_f64.ln()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Gumbel {
        /// The location.
        location: finite,
        /// The scale.
        scale: positive,
    }
    support: Real
}

impl<'t, F: Real> Gumbel<Var<'t, F>> {
    /// Gumbel samples whose mode is `location`, with this `scale > 0`.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        Gumbel { location, scale: scale.into_var(location.tape()) }
    }

    /// The distribution whose scale is `exp(log_scale)`.
    pub fn from_log_scale(location: Var<'t, F>, log_scale: Var<'t, F>) -> Self {
        Gumbel { location, scale: log_scale.exp() }
    }

    /// A value in units of the scale, from the location.
    fn standardize(&self, value: Var<'t, F>) -> Var<'t, F> {
        (value - self.location) / self.scale
    }
}

impl<'t, F: Real> Distribution<'t, F> for Gumbel<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        // In terms of −z.
        -self.scale.ln() - ((self.location - value) / self.scale).exp_excess()
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location + self.scale * EULER)
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some((self.scale.square() * (PI * PI / 6.0)).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Gumbel<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_line(self.standardize(value), |z| exp_minus_exp(-z))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_line(self.standardize(value), |z| one_minus_exp_exp(-z))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_line(self.standardize(value), |z| -(-z).exp())
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_line(self.standardize(value), |z| log_one_minus_exp_exp(-z))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Gumbel<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::NEG_INFINITY, f64::INFINITY), |p| {
            self.location - self.scale * (-p.ln()).ln()
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::INFINITY, f64::NEG_INFINITY), |p| {
            self.location - self.scale * (-(-p).log1p()).ln()
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Gumbel<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Gumbel<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let e = draw.record_exponential(self.location.tape(), &self.event_shape())?;
        Ok(self.location - self.scale * e.ln())
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Gumbel<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let [location, scale] = [self.location, self.scale].map(Var::stop_gradient);
        let level = |e: Var<'t, F>| {
            (location + scale * special::gumbel_level_right(e), location + scale * special::gumbel_level_left(e))
        };
        let density_at_mode = scale.recip() * (1.0 / E);
        location_derivative(sample.tape(), draw, &self.event_shape(), density_at_mode, level).map(Some)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Gumbel<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() + (1.0 + EULER)).broadcast_to(self.event_shape()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Gumbel<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let ratio = self.scale / other.scale;
        let shift = (self.location - other.location) / other.scale;
        // e^w − 1 − w plus the Bregman divergence of ln Γ between the ratio of the scales and 1, which do not cancel.
        let (zero, one) = (ratio.tape().constant(0.0), ratio.tape().constant(1.0));
        let scales = special::stirling_divergence(one, ratio) + special::deviance(ratio, one);
        (special::deviance_by_log(zero, (ratio + 1.0).lgamma() - shift) + scales).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Gumbel::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[0.3, 1.7], Domain::Line(-12.0, 80.0));
        distribution.assert_distribution(&[-1.0, 0.1, 5.0], 31);
        for parameters in [[0.0, 1e-8], [1e6, 1e-8], [-3.0, 1e8]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::new();
        let (p, q) = (Gumbel::new(tape.constant(0.3), 1.7), Gumbel::new(tape.constant(-1.0), 2.4));
        DistributionCheck::new(BUILD, &[0.3, 1.7], Domain::Line(-12.0, 80.0))
            .assert_divergence(&[-1.0, 2.4], p.kl_to(&q).item().unwrap());
    }

    #[test]
    fn the_density_is_zero_where_the_distance_in_scales_overflows() {
        let tape = Tape::<f64>::new();
        for (location, scale, x) in [(f64::MAX, 1.7e-8, 1.8), (f64::MAX, 1.7e-12, -1000.0), (1e300, 5e-324, -1e300)] {
            let log = Gumbel::new(tape.constant(location), scale).log_prob(tape.constant(x));
            assert_eq!(log.item(), Ok(f64::NEG_INFINITY), "{location}, {scale} at {x}");
        }
    }
}
