//! The inverse Gaussian distribution: the time at which a Brownian motion with drift first reaches a level. It models
//! response times and other positive, skewed data.
//!
//! $$p(x; \mu, \lambda) = \sqrt{\frac{\lambda}{2\pi x^3}} \exp\Big(-\frac{\lambda(x - \mu)^2}{2\mu^2 x}\Big), \quad x > 0, \quad \mu, \lambda > 0.$$
//!
//! Parameters: `location` $\mu > 0$, the mean, and `concentration` $\lambda > 0$, the shape. The parameters broadcast;
//! their common shape is the event shape, and each element is an independent value. Support: the positive real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | implicit, order 1: with $w = \sqrt{\lambda/x}(x/\mu + 1)$ and Mills' ratio $M(w) = (1 - \Phi(w))/\varphi(w)$, $\partial_\mu x = 2\sqrt{\lambda x^3} M(w)/\mu^2$ and $\partial_\lambda x = x/\lambda - 2\sqrt{x^3/\lambda}\,M(w)/\mu$ |
//!
//! The entropy has no closed form without an exponential integral, and no weak derivative with a simple sampler is
//! known.
//!
//! Source: Michael, Schucany and Haas, "Generating random variates using transformations with multiple roots", 1976
//! (sampler).

use crate::prelude::*;
use std::f64::consts::PI;

distribution! {
    /// First passage times of a Brownian motion with drift, given by mean and shape.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, InverseGaussian};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let times = InverseGaussian::new(tape.constant(2.0), 4.0);
    /// assert_eq!((times.mean().unwrap().item()?, times.variance().unwrap().item()?), (2.0, 2.0));
    /// # Ok(())
    /// # }
    /// ```
    pub struct InverseGaussian {
        /// The mean.
        location: positive.with_path(SamplePath::Implicit(Order::Finite(1))),
        /// The shape.
        concentration: positive.with_path(SamplePath::Implicit(Order::Finite(1))),
    }
    support: Positive
}

impl<'t, F: Real> InverseGaussian<Var<'t, F>> {
    /// Times with mean `location > 0` and shape `concentration > 0`.
    pub fn new(location: Var<'t, F>, concentration: impl IntoVar<'t, F>) -> Self {
        InverseGaussian { location, concentration: concentration.into_var(location.tape()) }
    }
}

impl<'t, F: Real> Distribution<'t, F> for InverseGaussian<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        Boundary::Excluded.confine_positive(value, |x| {
            let log = x.ln();
            let excess = ((x - self.location) / self.location).square() / x;
            (self.concentration.ln() - log * 3.0 - (2.0 * PI).ln() - self.concentration * excess) * 0.5
        })
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        // Michael, Schucany and Haas, 1976: one of the two roots with the same deviation, without their cancellation.
        let (tape, event) = (self.location.tape(), self.event_shape());
        let square = draw.purpose("normal").record_normal(tape, &event)?.square();
        let u = draw.purpose("root").record_uniform(tape, &event)?;
        let ratio = square * self.location / self.concentration;
        let smaller = (ratio + 2.0 + (ratio * (ratio + 4.0)).sqrt()).recip() * 2.0;
        let first = (u * (smaller + 1.0)).le(tape.constant(1.0));
        Ok((self.location * first.select(smaller, smaller.recip())).stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.location * self.location.square() / self.concentration)
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        let k = self.location / self.concentration * 1.5;
        Some(self.location / ((k.square() + 1.0).sqrt() + k))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for InverseGaussian<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        let (tape, inside) = (value.tape(), value.step());
        let x = inside.select(value, tape.constant(1.0));
        let root = (self.concentration / x).sqrt();
        let v = root * (x / self.location - 1.0);
        let w = root * (x / self.location + 1.0);
        // e^(2λ/μ) Φ(−w), where 2λ/μ − w²/2 = −v²/2.
        let second = (special::normal_log_mills(w) - v.square() * 0.5).exp();
        inside.select(special::normal_cdf(v) + second, tape.constant(0.0))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for InverseGaussian<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        special::inverse_gaussian_icdf(probability, self.location, self.concentration)
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for InverseGaussian<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for InverseGaussian<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let [location, concentration] = [self.location, self.concentration].map(Var::stop_gradient);
        let x = self.sample(draw)?;
        let w = (concentration / x).sqrt() * (x / location + 1.0);
        let mills = (special::normal_log_mills(w) + 0.5 * (2.0 * PI).ln()).exp();
        let spread = (x.square() * x / concentration).sqrt() * mills * 2.0;
        let by_location = spread * concentration / location.square();
        let by_concentration = x / concentration - spread / location;
        let coefficients = [by_location, by_concentration].map(Var::stop_gradient);
        Ok(x.straight_through(coefficients[0] * self.location + coefficients[1] * self.concentration))
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for InverseGaussian<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let ratio = other.concentration / self.concentration;
        let shift = (self.location - other.location) / other.location;
        let moved = other.concentration * shift.square() / self.location;
        ((ratio - 1.0 - ratio.ln() + moved) * 0.5).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(InverseGaussian::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[1.3, 2.4], Domain::HalfLine);
        distribution.assert_distribution(&[0.2, 1.1, 4.0], 191);
        assert_nothing_at(BUILD, &[1.3, 2.4], 0.0);
        assert_nothing_at(BUILD, &[1.3, 2.4], -1.0);
        for parameters in [[1e-8, 1.0], [1.0, 1e8], [1e6, 1.0], [1.0, 1e-3]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::new();
        let (p, q) = (InverseGaussian::new(tape.constant(1.3), 2.4), InverseGaussian::new(tape.constant(2.0), 0.7));
        distribution.assert_divergence(&[2.0, 0.7], p.kl_to(&q).item().unwrap());
    }
}
