//! The Moyal distribution: minus the logarithm of a squared normal sample. It approximates the energy that a fast
//! charged particle loses in matter (the Landau distribution), with a steep lower and an exponential upper tail.
//!
//! $$p(x; \mu, \sigma) = \frac{1}{\sigma\sqrt{2\pi}} \exp\Big(-\frac{z + e^{-z}}{2}\Big), \quad z = \frac{x - \mu}{\sigma}, \quad \sigma > 0.$$
//!
//! Parameters: `location` $\mu$, any real number (the mode), and `scale` $\sigma > 0$. The parameters broadcast;
//! their common shape is the event shape, and each element is an independent value. Support: the real line.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mu - 2\sigma\ln\lvert\varepsilon\rvert$ with the quantile $\lvert\varepsilon\rvert$ of a uniform sample, any order |
//! | weak derivative with respect to $\mu$ | $1/\sigma\sqrt{2\pi e}$, $\mu + \sigma z_\pm$ where $z_- < 0 < z_+$ solve $z + e^{-z} - 1 = 2E$, with the same $E$ in both parts |
//! | weak derivative with respect to $\sigma$ | $1/\sigma$; one replay: $x$ moved away from $\mu$ until $z + e^{-z}$ has grown by $2E$ |
//!
//! Source: Moyal, "Theory of ionization fluctuations", 1955.

use crate::derivative::weak::{location_derivative, scale_derivative};
use crate::distribution::{above, log_of_either};
use crate::noise::FoldedNoise;
use crate::prelude::*;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI, SQRT_2};

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// Below minus this, the distribution function is 0 in any precision.
const NOTHING_BELOW: f64 = 8.0;

/// Beyond this on both sides, the first term of an expansion in e^−|z| is exact to rounding.
const FAR: f64 = 60.0;

distribution! {
    /// Real values with a steep lower and an exponential upper tail, given by location (the mode) and scale. Use it for
    /// losses of energy.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Moyal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let losses = Moyal::new(tape.constant(1.0), 2.0);
    /// let density = (8.0 * std::f64::consts::PI * std::f64::consts::E).sqrt().recip();
    /// assert!((losses.log_prob(tape.constant(1.0)).item()? - density.ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Moyal {
        /// The location: the mode.
        location: finite,
        /// The scale.
        scale: positive,
    }
    support: Real
}

impl<'t, F: Real> Moyal<Var<'t, F>> {
    /// Moyal samples whose mode is `location`, with this `scale > 0`.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        Moyal { location, scale: scale.into_var(location.tape()) }
    }

    /// A value in units of the scale, from the location.
    fn standardize(&self, value: Var<'t, F>) -> Var<'t, F> {
        (value - self.location) / self.scale
    }

    /// The parameters without derivatives.
    fn detached(&self) -> Self {
        Moyal { location: self.location.stop_gradient(), scale: self.scale.stop_gradient() }
    }
}

/// The size over √2 of the normal sample that a standard value belongs to: e^(−z/2) / √2.
fn normal_size<F: Real>(z: Var<'_, F>) -> Var<'_, F> {
    (z * -0.5).exp() * FRAC_1_SQRT_2
}

/// The standard value of a size of a normal sample over √2 of which smaller ones have this probability.
fn of_smaller<F: Real>(probability: Var<'_, F>) -> Var<'_, F> {
    -(special::erf_inv(probability) * SQRT_2).ln() * 2.0
}

/// The standard value of a size of a normal sample of which larger ones have this probability.
fn of_larger<F: Real>(probability: Var<'_, F>) -> Var<'_, F> {
    -(-special::normal_icdf(probability * 0.5)).ln() * 2.0
}

impl<'t, F: Real> Distribution<'t, F> for Moyal<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        // In terms of −z.
        -(self.scale.ln() + 0.5 * (2.0 * PI).ln()) - ((self.location - value) / self.scale).exp_excess() * 0.5
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location + self.scale * (EULER + LN_2))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some((self.scale.square() * (PI * PI / 2.0)).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Moyal<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_line(self.standardize(value), |z| {
            above(-z, NOTHING_BELOW).select(z.tape().constant(0.0), special::erfc(normal_size(z)))
        })
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_line(self.standardize(value), |z| {
            above(-z, NOTHING_BELOW).select(z.tape().constant(1.0), normal_size(z).erf())
        })
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_line(self.standardize(value), |z| {
            // The tails of the normal distribution: near 0 from the probability of the opposite, and far out from the
            // first term of the expansion, since the square of the size may overflow.
            let size = normal_size(z);
            let near = (-size.erf()).log1p();
            let middle = special::normal_log_cdf(size * -SQRT_2) + LN_2;
            let far = (z - (-z).exp() + (2.0 / PI).ln()) * 0.5;
            above(-z, FAR).select(far, above(-z, 0.0).select(middle, near))
        })
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_line(self.standardize(value), |z| {
            let size = normal_size(z);
            let near = log_of_either(size.erf(), special::erfc(size));
            let near = above(-z, NOTHING_BELOW).select(z.tape().constant(0.0), near);
            above(z, FAR).select((-z + (2.0 / PI).ln()) * 0.5, near)
        })
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Moyal<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::NEG_INFINITY, f64::INFINITY), |p| {
            self.location + self.scale * above(p, 0.5).select(of_smaller(1.0 - p), of_larger(p))
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::INFINITY, f64::NEG_INFINITY), |p| {
            self.location + self.scale * above(p, 0.5).select(of_larger(1.0 - p), of_smaller(p))
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Moyal<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Moyal<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        // By inversion: normal samples near 0, which have the largest values, are not resolved.
        let noise = FoldedNoise::record(draw, self.location.tape(), &self.event_shape())?;
        Ok(self.location + self.scale * noise.lower.select(of_larger(noise.tail), of_smaller(noise.tail)))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Moyal<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let Moyal { location, scale } = self.detached();
        let (tape, event) = (sample.tape(), self.event_shape());
        // The standard values above and below 0 at which z + e^−z is larger than at 0 by this.
        let right = |growth: Var<'t, F>| special::gumbel_level_right(growth);
        let left = |growth: Var<'t, F>| special::gumbel_level_left(growth);
        match parameter {
            0 => {
                let level = |e: Var<'t, F>| (location + scale * right(e * 2.0), location + scale * left(e * 2.0));
                let density_at_mode = scale.recip() * (2.0 * PI * std::f64::consts::E).sqrt().recip();
                location_derivative(tape, draw, &event, density_at_mode, level).map(Some)
            }
            1 => {
                let z = (sample.stop_gradient() - location) / scale;
                let outward = |e: Var<'t, F>| {
                    let growth = special::deviance_by_log(tape.constant(0.0), -z) + e * 2.0;
                    location + scale * z.step().select(right(growth), left(growth))
                };
                scale_derivative(tape, draw, &event, scale, outward).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Moyal<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let standard = 0.5 * ((2.0 * PI).ln() + EULER + LN_2 + 1.0);
        (self.scale.ln() + standard).broadcast_to(self.event_shape()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Moyal<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // With the ratio r of the scales, E e^−z of the other distribution is e^w = (e^−shift) 2^r Γ(r + ½)/Γ(½). The
        // divergence is r − 1 − ln r plus half of e^w − 1 − w and of the Bregman divergence of ln Γ from 3/2 to r + ½,
        // which do not cancel.
        let ratio = self.scale / other.scale;
        let shift = (self.location - other.location) / other.scale;
        let [zero, one, start] = [0.0, 1.0, 1.5].map(|number| ratio.tape().constant(number));
        let end = ratio + 0.5;
        let power = (ratio - 1.0) * LN_2 + special::log_gamma_difference(start, end) - shift;
        let bregman = special::stirling_divergence(start, end) + special::deviance(end, start);
        ((special::deviance_by_log(zero, power) + bregman) * 0.5 + special::deviance(one, ratio)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Moyal::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[0.3, 0.7], Domain::Line(-8.0, 60.0));
        distribution.assert_distribution(&[-1.0, 0.1, 5.0], 221);
        for parameters in [[0.0, 1e-8], [1e6, 1e-8], [-3.0, 1e8]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::new();
        let p = Moyal::new(tape.constant(0.3), 0.7);
        for other in [[-1.0, 1.1], [0.3, 0.7], [0.8, 0.3]] {
            let q = Moyal::new(tape.constant(other[0]), other[1]);
            distribution.assert_divergence(&other, p.kl_to(&q).item().unwrap());
        }
    }
}
