//! The von Mises–Fisher distribution: the normal distribution of directions. It models directions in space, such as unit
//! embeddings, and is the noise of directions with a given mean that assumes least.
//!
//! $$p(x; \mu, \kappa) = \frac{\kappa^{n/2 - 1}}{(2\pi)^{n/2} I_{n/2 - 1}(\kappa)} e^{\kappa \mu^\top x}, \quad \lVert x\rVert = 1, \quad \kappa > 0,$$
//!
//! with respect to the area of the sphere.
//!
//! Parameters: `direction` $\mu$, a vector with $n \ge 2$ coordinates along the last axis, of which only the direction
//! matters, and `concentration` $\kappa > 0$, whose axes are independent and broadcast with those of the directions. One
//! element is the last axis. Support: vectors of length 1. Values are divided by their length; where it is more than
//! 0.001 away from 1, the log-density is −∞.
//!
//! | capability | |
//! |---|---|
//! | score | any order, in any dimension: the normalising constant is a quadrature with 161 nodes |
//! | reparameterised | the cosine by Wood's rejection sampler with its implicit derivative, around a pole that a Householder reflection takes to $\mu$; any order in $\mu$, order 1 in $\kappa$ |
//!
//! A weak derivative has no cheap sampler and is not given. A sampling scheme, which needs quantiles of the cosine, is
//! refused.
//!
//! Source: Wood, "Simulation of the von Mises Fisher distribution", 1994 (sampler); Figurnov, Mohamed and Mnih, "Implicit
//! reparameterization gradients", 2018 (path).

mod cosine;
mod quadrature;

use crate::distribution::Tempered;
use crate::multivariate::sphere::{around, check_direction, on_sphere, square_distance, unit};
use crate::prelude::*;
use cosine::sampled_log_odds;
use quadrature::Cosines;
use std::f64::consts::LN_2;

distribution! {
    /// Unit vectors, given by direction and concentration. One element is the last axis. Use it for directions.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, VonMisesFisher};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = VonMisesFisher::new(tape.constant([0.0, 0.0, 2.0]), tape.constant(1.5));
    /// // In space the mean has the length coth κ − 1/κ.
    /// let mean = distribution.mean().unwrap().peek()?;
    /// assert!((mean.as_slice()[2] - (1.0 / 1.5_f64.tanh() - 1.0 / 1.5)).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct VonMisesFisher {
        /// The direction, a vector of any length.
        direction,
        /// The concentration.
        concentration,
    }
}

impl<'t, F: Real> VonMisesFisher<Var<'t, F>> {
    /// Unit vectors around `direction` with `concentration > 0`.
    pub fn new(direction: Var<'t, F>, concentration: impl IntoVar<'t, F>) -> Self {
        VonMisesFisher { direction, concentration: concentration.into_var(direction.tape()) }
    }

    /// The number of coordinates.
    pub fn dimension(&self) -> usize {
        self.direction.shape().last().copied().unwrap_or(0)
    }

    fn independent(&self) -> Shape {
        let event = self.event_shape();
        event.iter().take(event.len().saturating_sub(1)).copied().collect()
    }

    fn cosines(&self) -> Cosines<'t, F> {
        Cosines::new(self.concentration, self.dimension())
    }

    /// The length of the mean, for the cosines of the distribution.
    fn length(&self, cosines: &Cosines<'t, F>) -> Var<'t, F> {
        // Integration by parts gives the mean cosine from the mean squared sine, without cancellation.
        self.concentration * cosines.square_sine() * (1.0 / (self.dimension().max(2) as f64 - 1.0))
    }
}

impl<'t, F: Real> Distribution<'t, F> for VonMisesFisher<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "VonMisesFisher"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("direction", self.direction),
            Parameter::smooth("concentration", self.concentration).with_path(SamplePath::Implicit(Order::Finite(1)))
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
            let distance = square_distance(value, unit(self.direction));
            self.concentration * distance * -0.5 - self.cosines().log_normalizer()
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        let length = self.length(&self.cosines()).unsqueeze(-1);
        Some((unit(self.direction) * length).broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // Along the direction it is that of the cosine, and across the mean squared sine shared by the other axes.
        let cosines = self.cosines();
        let square = unit(self.direction).square();
        let across = cosines.square_sine() * (1.0 / (self.dimension().max(2) as f64 - 1.0));
        let [along, across] = [cosines.variance(), across].map(|each| each.unsqueeze(-1));
        Some((along * square + across * (1.0 - square)).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(unit(self.direction).broadcast_to(self.event_shape()))
    }

    fn validate(&self) -> DistributionResult<()> {
        check_direction("VonMisesFisher", "direction", self.direction)?;
        positive("VonMisesFisher", "concentration", self.concentration)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for VonMisesFisher<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for VonMisesFisher<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let odds = sampled_log_odds(self.concentration, self.dimension(), draw, &self.independent())?;
        let sine = ((odds.log_sigmoid() + (-odds).log_sigmoid()) * 0.5 + LN_2).exp();
        around(unit(self.direction), [(odds * 0.5).tanh(), sine], draw, &self.event_shape())
    }
}

impl<'t, F: Real> Tempered<'t, F> for VonMisesFisher<Var<'t, F>> {
    fn tempered(&self, temperature: f64) -> Box<dyn Distribution<'t, F> + 't> {
        Box::new(VonMisesFisher { direction: self.direction, concentration: self.concentration * (1.0 / temperature) })
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for VonMisesFisher<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let cosines = self.cosines();
        let entropy = cosines.log_normalizer() + self.concentration * cosines.gap();
        entropy.broadcast_to(self.independent()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for VonMisesFisher<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let (own, others) = (self.cosines(), other.cosines());
        let turn = square_distance(unit(self.direction), unit(other.direction)) * 0.5;
        let normalizers = others.log_normalizer() - own.log_normalizer();
        let spread = normalizers + (other.concentration - self.concentration) * own.gap();
        (spread + other.concentration * self.length(&own) * turn).sum()
    }
}

#[cfg(test)]
mod tests;
