//! The von Mises distribution: the counterpart of the normal distribution on the circle. It models directions and times
//! of day.
//!
//! $$p(x; \mu, \kappa) = \frac{e^{\kappa\cos(x - \mu)}}{2\pi I_0(\kappa)}, \quad \kappa > 0.$$
//!
//! Parameters: `location` $\mu$, any real number, and `concentration` $\kappa > 0$. The parameters broadcast; their
//! common shape is the event shape, and each element is an independent value. Support: angles in radians, of which
//! those a whole turn apart are the same.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mu + z$, $z$ with the implicit derivative $-\partial_\kappa F(z)/p(z)$: any order in $\mu$, order 1 in $\kappa$ |
//! | weak derivative with respect to $\mu$ | $p(\mu) - p(\mu + \pi)$, $\mu \pm 2\arcsin\sqrt{d/2\kappa}$ with $d = -\ln(U + (1 - U)e^{-2\kappa})$ in both parts |
//!
//! Source: Best and Fisher, "Efficient simulation of the von Mises distribution", 1979 (sampler).

use crate::derivative::gamma_variates::aligned;
use crate::derivative::weak::location_derivative;
use crate::noise::FoldedNoise;
use crate::prelude::*;
use std::f64::consts::PI;
use std::sync::Arc;
use stochgrad_tape::{
    Attempt, Description, Primitive, PrimitiveInputs, RecordedAttempt, RecordedProposal, Sampler, Smoothness, Special,
};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::random::attempts;
use stochgrad_tensor::von_mises_sample_derivatives;

distribution! {
    /// Angles in radians, given by location and concentration. Use it for directions and times of day.
    ///
    /// Angles that differ by whole turns are the same, so that a cost must have the period 2π. Samples lie within half
    /// a turn of the location. `mean` and `variance` are circular: the location, and one minus the mean of the cosine
    /// of the distance from it.
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
        let height = special::bessel_ie(self.concentration, 0).ln() + (2.0 * PI).ln();
        -height - (value - self.location).versine() * self.concentration
    }

    drawn_by_path!();

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
        Tail::Lower.on_angles(value - self.location, |x| special::von_mises_cdf(x, self.concentration))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_angles(value - self.location, |x| special::von_mises_cdf(-x, self.concentration))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_angles(value - self.location, |x| special::von_mises_log_cdf(x, self.concentration))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_angles(value - self.location, |x| special::von_mises_log_cdf(-x, self.concentration))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for VonMises<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, [self.location - PI, self.location + PI], |p| {
            self.location + special::von_mises_icdf(p, self.concentration)
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, [self.location + PI, self.location - PI], |p| {
            self.location - special::von_mises_icdf(p, self.concentration)
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for VonMises<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for VonMises<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (tape, event) = (self.location.tape(), self.event_shape());
        let angles = match draw.has_scheme() {
            true => {
                let noise = FoldedNoise::record(draw, tape, &event)?;
                let below = special::von_mises_icdf(noise.tail, self.concentration.held());
                noise.lower.select(below, -below)
            }
            false => draw.record_draw(tape, Arc::new(Angles), &[self.concentration], &event)?,
        };
        let concentration = aligned(self.concentration, event.len());
        // Held, not stopped: the path stands for the derivative of the sampler.
        let path = tape.custom(Arc::new(AnglePath), &[concentration, angles]);
        Ok(self.location + angles.held().straight_through(path))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for VonMises<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let [location, kappa] = [self.location, self.concentration].map(Var::stop_gradient);
        let lowest = (kappa * -2.0).exp();
        let level = |e: Var<'t, F>| {
            // The exponential sample is made of a uniform, since the density falls to a level between its extremes.
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

/// The sampler of angles around 0.
struct Angles;

impl<F: Real> Sampler<F> for Angles {
    fn name(&self) -> &str {
        "angles"
    }

    fn attempt(&self, attempt: &mut Attempt<'_, F>) {
        let count = attempt.len();
        let mut noise = [[F::ZERO; Attempt::<f64>::LARGEST]; 2];
        let [place, uniform] = &mut noise;
        let (place, uniform) = (&mut place[..count], &mut uniform[..count]);
        attempt.uniform(0, place);
        attempt.uniform(1, uniform);
        attempts::von_mises(attempt.parameter(0), place, uniform, attempt.values, attempt.rejected);
    }

    fn as_operations<'t>(&self, attempt: &RecordedAttempt<'t, F>) -> Option<RecordedProposal<'t, F>> {
        let tape = attempt.tape;
        let [own, place, u] = [*attempt.parameters.first()?, attempt.uniforms[0], attempt.uniforms[1]];
        let half = tape.constant(0.5);
        // The square of a larger concentration could overflow. There the angle is normal, in units of 1/√κ.
        let kappa = own.map(Map::MinScalar(F::MAX.to_f64().sqrt() * 0.1));
        let double = kappa * 2.0;
        let b = (double + (double.square() + 1.0).sqrt()).recip();
        let (gap, inner) = (b * 2.0 / (b + 1.0), (1.0 - b) / (b + 1.0));
        let turn = (place - 0.5) * PI;
        let (cosine, sine) = (turn.cos(), turn.sin());
        let z = sine.square();
        let v = b * 2.0 * z / (cosine.square() + b * z);
        let ratio = (inner * v + gap) / (gap * (inner + 1.0));
        let excess = kappa * (gap - v) + ratio.ln();
        // The square of the tangent of half the angle is V / (2 − V).
        let size = special::atan((b * z).sqrt() / cosine) * 2.0;
        let size = size * (kappa / own).sqrt();
        let valid = own.gt(tape.constant(0.0)) * own.le(tape.constant(F::MAX.to_f64()));
        let value = valid.select(place.lt(half).select(-size, size), tape.constant(f64::NAN));
        Some(RecordedProposal { value, rejected: valid * excess.lt(u.ln()) })
    }
}

/// An angle around 0 as a function of its concentration, at a constant value of the distribution function. The value is
/// that of the second operand.
struct AnglePath;

impl<F: Real> Primitive<F> for AnglePath {
    fn name(&self) -> &str {
        "path of angles"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        match inputs.values {
            [_, angles] => Ok(angles.clone()),
            _ => Err(format!("expected a concentration and angles, got {} operands", inputs.values.len())),
        }
    }

    fn takes_from_pool(&self) -> bool {
        // The value shares the buffer of an operand that does.
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        inputs.get(1).map(|&value| Description::of(value))
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], _output: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        let rule: Arc<dyn Primitive<F>> = Arc::new(AngleDerivative);
        vec![Some(adjoint * adjoint.tape().custom(rule, inputs)), None]
    }

    fn smoothness(&self, input: usize) -> Smoothness {
        if input == 0 { Smoothness::Smooth } else { Smoothness::Constant }
    }
}

/// The derivative of [`AnglePath`]. It is known only up to the first order and has no derivative of its own.
struct AngleDerivative;

impl<F: Real> Primitive<F> for AngleDerivative {
    fn name(&self) -> &str {
        "derivative of angles"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        match inputs.values {
            [kappa, angles] => Ok(von_mises_sample_derivatives(inputs.pool, kappa, angles)),
            _ => Err(format!("expected a concentration and angles, got {} operands", inputs.values.len())),
        }
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        let &[kappa, angles] = inputs else { return None };
        Some(Description::of(special::record(Special::VonMisesVariateByConcentration, &[angles, kappa])))
    }

    fn gradient<'t>(&self, _: &[Var<'t, F>], _: Var<'t, F>, _: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![None, None]
    }

    fn smoothness(&self, _input: usize) -> Smoothness {
        Smoothness::Constant
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, check_description};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(VonMises::new(p[0], p[1]));

    /// The moments are circular, so that they are not compared with integrals.
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
            assert_abs_diff_eq!(p.entropy().item().unwrap(), -density, epsilon = 1e-6);
        }
        for parameters in [[0.0, 1e-8], [1.0, 1e8], [-3.0, 50.0]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    #[test]
    fn attempts_are_described() {
        let concentrations = [1e-6, 0.3, 2.0, 50.0, 1e5, f64::INFINITY, -1.0, f64::NAN];
        check_description::<f64>(Angles, &concentrations, 1e-12);
        check_description::<f32>(Angles, &concentrations, 1e-5);
    }

    #[test]
    fn draws_follow_the_distribution() {
        for (kappa, seed) in [(1e-3, 181), (1.3, 182), (40.0, 183), (1e6, 184)] {
            let distribution =
                DistributionCheck::new(BUILD, &[0.3, kappa], Domain::Line(0.3 - PI, 0.3 + PI)).with_bounded_cost();
            distribution.assert_cdf_of_draws(seed);
        }
    }

    #[test]
    fn the_smallest_and_the_largest_concentration() {
        let tape = Tape::<f64>::new();
        let tau = 2.0 * PI;
        for (concentration, offset, expected) in [
            (5e-324, 1.2, -tau.ln()),
            (f64::MIN_POSITIVE, -3.0, -tau.ln()),
            (f64::MAX, 0.0, 0.5 * (f64::MAX.ln() - tau.ln())),
            (1.5e308, 0.0, 0.5 * (1.5e308_f64.ln() - tau.ln())),
            (f64::MAX, 3.0, -f64::INFINITY),
        ] {
            let log = VonMises::new(tape.constant(0.5), concentration).log_prob(tape.constant(0.5 + offset));
            let found = log.item().unwrap();
            let near = (found - expected).abs() < 1e-12 * expected.abs();
            assert!(found == expected || near, "{concentration} at {offset}: {found}, expected {expected}");
        }
    }
}
