//! The von Mises distribution: the normal distribution of the circle.
//!
//! $$p(x; \mu, \kappa) = \frac{e^{\kappa\cos(x - \mu)}}{2\pi I_0(\kappa)}, \quad \kappa > 0.$$
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mu + z$, $z$ with the implicit derivative $-\partial_\kappa F(z)/p(z)$: any order by $\mu$, order 1 by $\kappa$ |
//! | weak derivative with respect to $\mu$ | $p(\mu) - p(\mu + \pi)$, $\mu \pm 2\arcsin\sqrt{d/2\kappa}$ with $d = -\ln(U + (1 - U)e^{-2\kappa})$ in both parts |

use crate::derivative::weak::location_derivative;
use crate::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::f64::consts::PI;
use stochgrad_tensor::special::{bessel_ie, von_mises_cdf_derivative};

distribution! {
    /// Angles in radians, by location and concentration. Whole turns are the same: a cost must not tell them apart.
    /// Values are drawn within half a turn of the location, and `mean` and `variance` are the circular ones: the
    /// location, and one less the mean of the cosine of the distance from it.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, VonMises};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = VonMises::new(tape.constant(1.0), 2.0);
    /// assert_eq!(distribution.mean().unwrap().item()?, 1.0);
    /// # Ok(())
    /// # }
    /// ```
    pub struct VonMises {
        /// The location.
        location: finite,
        /// The concentration.
        concentration: positive.with_path(SamplePath::Implicit(Order::Finite(1))),
    }
    support: Angles
}

impl<'t, F: Real> VonMises<Var<'t, F>> {
    /// Angles around `location` with `concentration > 0`.
    pub fn new(location: Var<'t, F>, concentration: impl IntoVar<'t, F>) -> Self {
        VonMises { location, concentration: concentration.into_var(location.tape()) }
    }
}

impl<'t, F: Real> Distribution<'t, F> for VonMises<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let half = (value - self.location) * 0.5;
        half.sin().square() * self.concentration * -2.0
            - special::bessel_ie(self.concentration, 0).ln()
            - (2.0 * PI).ln()
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let z = draw.record(self.location.tape(), self.standard(draw)?);
        Ok((self.location + z).inspect()?)
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(special::von_mises_gap(self.concentration).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        self.mean()
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for VonMises<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        // From half a turn below the location.
        special::von_mises_cdf((value - self.location).clamp(-PI, PI), self.concentration)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for VonMises<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.location + special::von_mises_icdf(probability, self.concentration)
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for VonMises<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for VonMises<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (tape, event) = (self.location.tape(), self.event_shape());
        let z = self.standard(draw)?;
        let concentration = draw.parameter(self.concentration, &event)?;
        let derivative = Tensor::from_fn(z.shape().clone(), |i| {
            let (z, kappa) = (z.as_slice()[i].to_f64(), concentration.as_slice()[i].to_f64());
            let density = (-2.0 * kappa * (0.5 * z).sin().powi(2)).exp() / (2.0 * PI * bessel_ie(0, kappa));
            let derivative = -von_mises_cdf_derivative(z.clamp(-PI, PI), kappa) / density;
            F::from_f64(if derivative.is_finite() { derivative } else { 0.0 })
        });
        let moving = draw.record(tape, derivative) * self.concentration;
        Ok(self.location + draw.record(tape, z).straight_through(moving))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for VonMises<Var<'t, F>> {
    weak_by_recording!();

    fn record_weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<RecordedAlternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let [location, kappa] = [self.location, self.concentration].map(Var::stop_gradient);
        let lowest = (kappa * -2.0).exp();
        let level = |e: Var<'t, F>| {
            // The exponential number is that of a uniform: the density falls to a level between its ends.
            let fallen = -(lowest + (-e).exp() * (1.0 - lowest)).ln();
            let square = (fallen / (kappa * 2.0)).minimum(fallen.tape().constant(1.0));
            let radius = special::atan((square / (1.0 - square)).sqrt()) * 2.0;
            (location + radius, location - radius)
        };
        let height = (1.0 - lowest) / special::bessel_ie(kappa, 0) * (0.5 / PI);
        location_derivative(sample.tape(), draw, &self.event_shape(), height, level).map(Some)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for VonMises<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let kappa = self.concentration;
        let entropy = special::bessel_ie(kappa, 0).ln() + kappa * special::von_mises_gap(kappa) + (2.0 * PI).ln();
        entropy.broadcast_to(self.event_shape()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for VonMises<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let (own, others) = (self.concentration, other.concentration);
        let gap = special::von_mises_gap(own);
        let turn = ((self.location - other.location) * 0.5).sin().square() * 2.0;
        let normalizers = special::bessel_ie(others, 0).ln() - special::bessel_ie(own, 0).ln();
        (normalizers + (others - own) * gap + (1.0 - gap) * others * turn).sum()
    }
}

impl<'t, F: Real> VonMises<Var<'t, F>> {
    /// Angles from the location, by rejection from a wrapped Cauchy distribution (Best and Fisher 1979), in a form
    /// without cancellation for any concentration.
    fn standard(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let event = self.event_shape();
        let concentration = draw.parameter(self.concentration, &event)?;
        draw.generate(&event, |i, rng| F::from_f64(angle(concentration.as_slice()[i].to_f64(), rng)))
    }
}

/// An angle around 0. With V = 1 − cos X: proposals V = 2bZ / (1 − (1 − b)Z) for Z of the arcsine distribution.
fn angle(kappa: f64, rng: &mut ChaCha8Rng) -> f64 {
    if !(kappa > 0.0 && kappa.is_finite()) {
        return f64::NAN;
    }
    let mut uniform = || ((rng.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let b = 1.0 / (2.0 * kappa + (4.0 * kappa * kappa + 1.0).sqrt());
    let (gap, inner) = (2.0 * b / (1.0 + b), (1.0 - b) / (1.0 + b));
    loop {
        let z = (0.5 * PI * uniform()).sin().powi(2);
        let v = 2.0 * b * z / (1.0 - (1.0 - b) * z);
        let excess = kappa * (gap - v) + ((gap + inner * v) / (gap * (1.0 + inner))).ln();
        if excess >= uniform().ln() {
            let size = 2.0 * (0.5 * v).sqrt().min(1.0).asin();
            return if uniform() < 0.5 { size } else { -size };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::distribution_checks::{Build, DistributionCheck, Domain, assert_finite};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(VonMises::new(p[0], p[1]));

    /// Moments are circular, so that only what is not a moment is compared with integrals.
    #[test]
    fn everything_follows_the_distribution() {
        for (kappa, values, seed) in
            [(1.3, [-1.0, 0.1, 2.0], 151), (0.05, [-1.0, 0.1, 2.0], 161), (40.0, [-0.5, 0.1, 1.0], 171)]
        {
            let distribution =
                DistributionCheck::new(BUILD, &[0.3, kappa], Domain::Line(0.3 - PI, 0.3 + PI)).with_bounded_cost();
            distribution.assert_score(&values);
            distribution.assert_cdf(&values);
            distribution.assert_path(seed);
            distribution.assert_weak(0, seed + 1);
            let tape = Tape::new();
            let (p, q) = (VonMises::new(tape.constant(0.3), kappa), VonMises::new(tape.constant(1.0), 0.8));
            distribution.assert_divergence(&[1.0, 0.8], p.kl_to(&q).item().unwrap());
            let density =
                distribution.expectation(&distribution.parameters, |x| p.log_prob(tape.constant(x)).item().unwrap());
            assert!((p.entropy().item().unwrap() + density).abs() < 1e-6);
        }
        for parameters in [[0.0, 1e-8], [1.0, 1e8], [-3.0, 50.0]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    #[test]
    fn draws_follow_the_distribution() {
        for (kappa, seed) in [(1e-3, 181), (1.3, 182), (40.0, 183), (1e6, 184)] {
            let distribution =
                DistributionCheck::new(BUILD, &[0.3, kappa], Domain::Line(0.3 - PI, 0.3 + PI)).with_bounded_cost();
            distribution.assert_cdf_of_draws(seed);
        }
    }
}
