//! The Cauchy distribution: a bell with tails so heavy that it has neither mean nor variance. It models data with
//! outliers, and serves as a wide prior.
//!
//! $$p(x; \mu, s) = \frac{1}{\pi s (1 + z^2)}, \quad z = \frac{x - \mu}{s}, \quad s > 0.$$
//!
//! Parameters: `location` $\mu$, any real number, and `scale` $s > 0$, half the width of the density at half of its
//! height. The parameters broadcast; their common shape is the event shape, and each element is an independent value.
//! Support: the real line.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mu + s \tan(\pi(U - 1/2))$, any order |
//! | weak derivative with respect to $\mu$ | $1/\pi s$, $\mu \pm s\sqrt{e^E - 1}$ with the same $E$ in both parts |
//! | weak derivative with respect to $s$ | $1/s$; one replay: $x$ moved away from $\mu$, to $z^2 = (1 + z_x^2) e^E - 1$ |

use crate::derivative::underflow::finite_draws_around;
use crate::derivative::weak::{location_derivative, scale_derivative};
use crate::distribution::{above, log_of_either};
use crate::prelude::*;
use std::f64::consts::{FRAC_1_PI, PI};

distribution! {
    /// Real values with a heavy tail on both sides, given by location and scale. They have neither mean nor variance.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Cauchy};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = Cauchy::new(tape.constant(1.0), 2.0);
    /// assert!((distribution.log_prob(tape.constant(3.0)).item()? + (4.0 * std::f64::consts::PI).ln()).abs() < 1e-12);
    /// assert!(distribution.mean().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub struct Cauchy {
        /// The location.
        location: finite,
        /// The scale.
        scale: positive,
    }
    support: Real
}

impl<'t, F: Real> Cauchy<Var<'t, F>> {
    /// Cauchy samples around `location` with this `scale > 0`, half of the width of the density at half of its height.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        Cauchy { location, scale: scale.into_var(location.tape()) }
    }

    /// The distribution whose scale is `exp(log_scale)`.
    pub fn from_log_scale(location: Var<'t, F>, log_scale: Var<'t, F>) -> Self {
        Cauchy { location, scale: log_scale.exp() }
    }

    /// A value in units of the scale, from the location.
    fn standardize(&self, value: Var<'t, F>) -> Var<'t, F> {
        (value - self.location) / self.scale
    }
}

impl<'t, F: Real> Distribution<'t, F> for Cauchy<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        -(self.scale.ln() + PI.ln()) - special::log1p_square_ratio(value - self.location, self.scale)
    }

    drawn_by_path!();

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Cauchy<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_line(self.standardize(value), |z| special::acot(-z) * FRAC_1_PI)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_line(self.standardize(value), |z| special::acot(z) * FRAC_1_PI)
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_line(self.standardize(value), |z| log_upper(-z))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_line(self.standardize(value), log_upper)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Cauchy<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::NEG_INFINITY, f64::INFINITY), |p| {
            self.location - self.scale * cotangent(p)
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::INFINITY, f64::NEG_INFINITY), |p| {
            self.location + self.scale * cotangent(p)
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Cauchy<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Cauchy<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        // The cotangent is odd, so that both tails are as precise as the noise.
        let noise = draw.record_noise(self.location.tape(), Fill::Folded, &self.event_shape())?;
        let angle = noise * PI;
        Ok(finite_draws_around(self.location - self.scale * (angle.cos() / angle.sin())))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Cauchy<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let distribution = Cauchy { location: self.location.stop_gradient(), scale: self.scale.stop_gradient() };
        let (tape, event) = (sample.tape(), self.event_shape());
        match parameter {
            0 => {
                let density_at_mode = distribution.scale.recip() * FRAC_1_PI;
                let level = |e: Var<'t, F>| {
                    let radius = distribution.scale * e.expm1().sqrt();
                    (
                        finite_draws_around(distribution.location + radius),
                        finite_draws_around(distribution.location - radius),
                    )
                };
                location_derivative(tape, draw, &event, density_at_mode, level).map(Some)
            }
            1 => {
                let z = distribution.standardize(sample.stop_gradient());
                let outward = |e: Var<'t, F>| {
                    let square = e.expm1() + z.square() * e.exp();
                    finite_draws_around(distribution.location + distribution.scale * z.sign() * square.sqrt())
                };
                scale_derivative(tape, draw, &event, distribution.scale, outward).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Cauchy<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() + (4.0 * PI).ln()).broadcast_to(self.event_shape()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Cauchy<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // Chyzak and Nielsen, "A closed-form formula for the Kullback–Leibler divergence between Cauchy distributions",
        // 2019.
        let (a, b) = (self.scale, other.scale);
        let shift = self.location - other.location;
        let gap = a - b;
        (((gap / a) * (gap / b) + (shift / a) * (shift / b)) * 0.25).log1p().sum()
    }
}

/// The logarithm of the probability of a standard variate above z.
fn log_upper<F: Real>(z: Var<'_, F>) -> Var<'_, F> {
    let log = log_of_either(special::acot(z) * FRAC_1_PI, special::acot(-z) * FRAC_1_PI);
    // Far out it is 1/πz, and the square of z would overflow in the derivative.
    above(z, FAR).select(-(z.ln() + PI.ln()), log)
}

/// Where 1 + z² is z² up to rounding.
pub(super) const FAR: f64 = 1e9;

/// cot(πp) of a probability, computed from the nearer end.
fn cotangent<F: Real>(p: Var<'_, F>) -> Var<'_, F> {
    let upper = above(p, 0.5);
    let end = upper.select(1.0 - p, p) * PI;
    let size = end.cos() / end.sin();
    upper.select(-size, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Cauchy::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[0.3, 1.7], Domain::HeavyLine).with_bounded_cost();
        distribution.assert_distribution(&[-300.0, 0.1, 5.0], 21);
        for parameters in [[0.0, 1e-8], [1e6, 1e-8], [-3.0, 1e8], [0.3, 1e306], [-1e307, 1e308]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::new();
        let (p, q) = (Cauchy::new(tape.constant(0.3), 1.7), Cauchy::new(tape.constant(-1.0), 0.4));
        DistributionCheck::new(BUILD, &[0.3, 1.7], Domain::HeavyLine)
            .assert_divergence(&[-1.0, 0.4], p.kl_to(&q).item().unwrap());
    }
}
