//! The power spherical distribution: directions around a mean direction. It is the distribution to choose for
//! directions that are learned or sampled in large numbers: unlike the
//! [von Mises–Fisher distribution](crate::VonMisesFisher) it needs neither Bessel functions nor a sampler with rejection.
//!
//! $$p(x; \mu, \kappa) = \frac{\Gamma(\alpha + \beta)}{2^{\alpha + \beta} \pi^\beta\, \Gamma(\alpha)} (1 + \mu^\top x)^\kappa, \quad \lVert x\rVert = 1, \quad \beta = \tfrac{n - 1}{2}, \quad \alpha = \beta + \kappa, \quad \kappa > 0,$$
//!
//! with respect to the area of the sphere.
//!
//! Parameters: `direction` $\mu$, a vector with $n \ge 2$ coordinates along the last axis, of which only the direction
//! matters, and `concentration` $\kappa > 0$, whose axes are independent and broadcast with those of the directions. One
//! element is the last axis. Support: vectors of length 1. Values are divided by their length; where it is more than
//! 0.001 away from 1, the log-density is −∞, and so it is opposite to the direction.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | the cosine is $2B - 1$ with a beta variate $B$ of the parameters $\alpha, \beta$, around a pole that a Householder reflection takes to $\mu$; any order in $\mu$, order 2 in $\kappa$ through the implicit derivatives of gamma variates |
//!
//! The mean is $\mu\kappa/(\kappa + n - 1)$. A weak derivative has no cheap sampler and is not given. The divergence to a
//! power spherical distribution with another direction has no closed form.
//!
//! Source: De Cao and Aziz, "The power spherical distribution", 2020.

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::distribution::Tempered;
use crate::multivariate::sphere::{around, by_log_half_cosine, check_direction, on_sphere, unit};
use crate::prelude::*;
use std::f64::consts::{LN_2, PI};
use stochgrad_tensor::special::lgamma;

distribution! {
    /// Unit vectors, given by direction and concentration. One element is the last axis. Use it for directions.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, PowerSpherical};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// // The length of the direction has no effect.
    /// let distribution = PowerSpherical::new(tape.constant([0.0, 3.0, 4.0]), tape.constant(2.0));
    /// let mean = distribution.mean().unwrap().peek()?;
    /// assert!((mean.as_slice()[1] - 0.3).abs() < 1e-15 && (mean.as_slice()[2] - 0.4).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub struct PowerSpherical {
        /// The direction, a vector of any length.
        direction,
        /// The concentration.
        concentration,
    }
}

impl<'t, F: Real> PowerSpherical<Var<'t, F>> {
    /// Unit vectors around `direction` with `concentration > 0`.
    pub fn new(direction: Var<'t, F>, concentration: impl IntoVar<'t, F>) -> Self {
        PowerSpherical { direction, concentration: concentration.into_var(direction.tape()) }
    }

    /// The number of coordinates.
    pub fn dimension(&self) -> usize {
        self.direction.shape().last().copied().unwrap_or(0)
    }

    fn independent(&self) -> Shape {
        let event = self.event_shape();
        event.iter().take(event.len().saturating_sub(1)).copied().collect()
    }

    /// β
    fn half_degrees(&self) -> f64 {
        0.5 * (self.dimension() as f64 - 1.0)
    }

    /// The logarithm of the density in the direction.
    fn log_height(&self) -> Var<'t, F> {
        let beta = self.half_degrees();
        let tape = self.concentration.tape();
        lgamma(beta) - beta * (4.0 * PI).ln() - special::log_beta(self.concentration + beta, tape.constant(beta))
    }

    fn by_beta(&self, draw: &Draw<'_, F>, path: bool) -> DistributionResult<Var<'t, F>> {
        let (event, independent) = (self.event_shape(), self.independent());
        let beta = self.concentration.tape().constant(self.half_degrees());
        let [alpha, beta] = [self.concentration + beta, beta].map(|shape| shape.broadcast_to(independent.clone()));
        let toward = log_standard_gammas(alpha, &draw.purpose("toward"), &independent, path)?;
        let away = log_standard_gammas(beta, &draw.purpose("away"), &independent, false)?;
        let odds = toward - away;
        let sine = ((odds.log_sigmoid() + (-odds).log_sigmoid()) * 0.5 + LN_2).exp();
        around(unit(self.direction), [(odds * 0.5).tanh(), sine], draw, &event)
    }
}

impl<'t, F: Real> Distribution<'t, F> for PowerSpherical<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "PowerSpherical"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("direction", self.direction),
            Parameter::smooth("concentration", self.concentration).with_path(SamplePath::Implicit(Order::Finite(2)))
        ]
    }

    fn event_shape(&self) -> Shape {
        let own: Shape = self.concentration.shape().iter().copied().chain([1]).collect();
        Shape::broadcast(&self.direction.shape(), &own).unwrap_or_default()
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::Sphere(self.dimension())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        on_sphere(value, |value| {
            by_log_half_cosine([unit(self.direction), value], |log| self.log_height() + self.concentration * log)
        })
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.by_beta(draw, false)?.stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        let kappa = self.concentration.unsqueeze(-1);
        let share = kappa / (kappa + (self.dimension() as f64 - 1.0));
        Some((unit(self.direction) * share).broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // Along the direction it is that of the cosine, and across the mean squared sine shared by the other axes.
        let beta = self.half_degrees();
        let alpha = self.concentration.unsqueeze(-1) + beta;
        let total = alpha + beta;
        let square = unit(self.direction).square();
        let across = alpha * 2.0 / (total * (total + 1.0));
        Some((across * (square * (total.recip() * (2.0 * beta)) + (1.0 - square))).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(unit(self.direction).broadcast_to(self.event_shape()))
    }

    fn validate(&self) -> DistributionResult<()> {
        check_direction("PowerSpherical", "direction", self.direction)?;
        positive("PowerSpherical", "concentration", self.concentration)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for PowerSpherical<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for PowerSpherical<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.by_beta(draw, true)
    }
}

impl<'t, F: Real> Tempered<'t, F> for PowerSpherical<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(PowerSpherical { direction: self.direction, concentration: self.concentration * (1.0 / temperature) })
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for PowerSpherical<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // The mean of the logarithm of a beta variate, ψ(α) − ψ(α + β), with ψ(a) = ln a + d(a).
        let (kappa, beta) = (self.concentration, self.half_degrees());
        let (alpha, d) = (kappa + beta, special::digamma_minus_log);
        let log = d(alpha) - d(alpha + beta) - (alpha.recip() * beta).log1p();
        (-self.log_height() - kappa * log).broadcast_to(self.independent()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, assert_finite, check_estimators, check_family, check_moments, vector};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(PowerSpherical::new(vector(&p[..p.len() - 1]), p[p.len() - 1]));

    fn cost<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
        (x.index(-1, 0) * 1.5 + x.index(-1, 1)).exp() - (x.index(-1, 1) * 3.0).sin()
    }

    #[test]
    fn on_the_circle_the_density_has_the_total_one() {
        let tape = Tape::<f64>::new();
        for kappa in [1e-6, 0.7, 30.0] {
            let distribution = PowerSpherical::new(tape.constant([0.6, -0.8]), kappa);
            let angle = |i: usize| (i as f64 + 0.5) * 2.0 * PI / 4000.0;
            let points =
                Tensor::from_fn([4000, 2], |i| if i % 2 == 0 { angle(i / 2).cos() } else { angle(i / 2).sin() });
            let total =
                distribution.log_prob_each(tape.constant(points)).exp().sum().item().unwrap() * 2.0 * PI / 4000.0;
            assert_abs_diff_eq!(total, 1.0, epsilon = 1e-8);
        }
    }

    #[test]
    fn draws_and_derivatives_follow_the_density() {
        for (parameters, seed) in
            [(&[0.3, -1.0, 0.4, 2.3][..], 41), (&[-2.0, 0.1, 12.0], 42), (&[0.0, 0.5, 0.5, 1.0, -1.0, 0.4], 43)]
        {
            check_moments(BUILD, parameters, seed);
            check_estimators(BUILD, parameters, &[], cost, None, seed + 10);
        }
    }

    #[test]
    fn the_ends_of_the_sphere() {
        let tape = Tape::<f64>::new();
        let (direction, kappa) = (tape.parameter([0.0, 0.0, 1.0]), tape.parameter(2.0));
        let distribution = PowerSpherical::new(direction, kappa);
        for x in [[0.0, 0.0, -1.0], [0.0, 0.0, 1.1], [f64::INFINITY, 0.0, 0.0], [0.0, 0.0, 0.0]] {
            let value = tape.parameter(x);
            let log = distribution.log_prob(value);
            assert_eq!(log.item(), Ok(f64::NEG_INFINITY), "{x:?}");
            for gradient in tape.backward(log, [direction, kappa, value]).unwrap() {
                assert!(gradient.as_slice().iter().all(|&g| g == 0.0), "{x:?}: {gradient:?}");
            }
        }
        assert!(distribution.log_prob(tape.constant([f64::NAN, 0.0, 0.0])).item().unwrap().is_nan());
        for parameters in [[0.0, 0.0, 1.0, 1e-8], [-1.0, 0.0, 0.0, 1e10], [1e200, 1e200, -1e200, 3.0]] {
            assert_finite(BUILD, &parameters, 5);
        }
        check_family(&tape, &distribution, tape.constant([0.6, 0.0, 0.8]));
        assert_eq!(distribution.tempered(2.0).parameters()[1].var.item(), Ok(1.0));
        assert!(PowerSpherical::new(tape.constant([0.0, 0.0]), 1.0).validate().is_err());
        assert!(PowerSpherical::new(tape.constant([1.0]), 1.0).validate().is_err());
        assert!(PowerSpherical::new(direction, 0.0).validate().is_err());
    }
}
