//! The normal distribution between two bounds.
//!
//! $$p(x; \mu, \sigma, l, h) = \frac{\varphi((x - \mu)/\sigma)}{\sigma(\Phi((h - \mu)/\sigma) - \Phi((l - \mu)/\sigma))}, \quad l \le x \le h, \quad \sigma > 0.$$
//!
//! | capability | |
//! |---|---|
//! | score | none: the support moves with the bounds |
//! | reparameterised | $x = \mu + \sigma\Phi^{-1}(\cdot)$ of a uniform number between the values of $\Phi$ at the bounds; any order by all parameters |
//!
//! Everything is computed from logarithms of the normal distribution function on the side of the lower tail (for bounds above the
//! location, mirrored), so that bounds forty scales away lose no digits.

use crate::prelude::*;
use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};
use stochgrad_tape::Smoothness;

distribution! {
    /// Normal numbers given that they lie between two bounds, either of which may be infinite.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, TruncatedNormal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let law = TruncatedNormal::new(tape.constant(0.0), 1.0, 0.0, f64::INFINITY);
    /// assert!((law.mean().unwrap().item()? - (2.0 / std::f64::consts::PI).sqrt()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct TruncatedNormal {
        /// The location of the normal law.
        location,
        /// The scale of the normal law.
        scale,
        /// The lower bound.
        low,
        /// The upper bound.
        high,
    }
}

impl<'t, F: Real> TruncatedNormal<Var<'t, F>> {
    /// Normal numbers around `location` with `scale > 0`, given that they lie between `low` and `high > low`.
    pub fn new(
        location: Var<'t, F>,
        scale: impl IntoVar<'t, F>,
        low: impl IntoVar<'t, F>,
        high: impl IntoVar<'t, F>,
    ) -> Self {
        TruncatedNormal {
            location,
            scale: scale.into_var(location.tape()),
            low: low.into_var(location.tape()),
            high: high.into_var(location.tape()),
        }
    }
}

impl<'t, F: Real> Distribution<'t, F> for TruncatedNormal<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "TruncatedNormal"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let moves = |name, var| Parameter::smooth(name, var).with_score(Smoothness::Jump);
        smallvec![
            Parameter::smooth("location", self.location),
            Parameter::smooth("scale", self.scale),
            moves("low", self.low),
            moves("high", self.high)
        ]
    }

    fn event_shape(&self) -> Shape {
        common_shape(&[self.location, self.scale, self.low, self.high])
    }

    fn support(&self) -> Support {
        Support::Interval
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let outside = Boundary::Included;
        let inner = self.inside();
        outside.confine((value - self.low).minimum(self.high - value), value, inner, |x| {
            let z = (x - self.location) / self.scale;
            z.square() * -0.5 - 0.5 * (2.0 * PI).ln() - self.scale.ln() - self.bounds().log_mass
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        let (at_low, at_high, _) = self.densities();
        Some(self.location + self.scale * (at_low - at_high))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let (at_low, at_high, weighted) = self.densities();
        Some(self.scale.square() * (weighted + 1.0 - (at_low - at_high).square()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.location.maximum(self.low).minimum(self.high))
    }

    fn validate(&self) -> DistributionResult<()> {
        finite("TruncatedNormal", "location", self.location)?;
        positive("TruncatedNormal", "scale", self.scale)?;
        let hint = "give the lower bound first; bounds may be infinite";
        check_parameter("TruncatedNormal", "high - low", self.high - self.low, "positive", hint, |width| width > 0.0)
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        Capabilities {
            reparameterized: Some(self),
            entropy: Some(self),
            cdf: Some(self),
            icdf: Some(self),
            ..Capabilities::default()
        }
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for TruncatedNormal<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        let (tape, bounds) = (value.tape(), self.bounds());
        let held = value.maximum(self.low).minimum(self.high);
        let z = (held - self.location) / self.scale * bounds.sign;
        // The share of the mass between the far bound of the mirrored interval and z.
        let log_z = special::normal_log_cdf(z.maximum(bounds.far));
        let at_far = (z - bounds.far).step();
        let gap = at_far.select(bounds.log_far - log_z, tape.constant(-1.0));
        let of_tails = (log_z + special::log1mexp(gap) - bounds.log_mass).exp() * at_far;
        let zero = tape.constant(0.0);
        let of_centre = (half_erf(z) - half_erf(bounds.far)) * (-bounds.central.select(bounds.log_mass, zero)).exp();
        let share = bounds.central.select(of_centre, of_tails);
        bounds.mirrored.select(1.0 - share, share)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for TruncatedNormal<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let bounds = self.bounds();
        let share = bounds.mirrored.select(1.0 - probability, probability);
        // Φ(far) + share · (Φ(near) − Φ(far)), as a share of Φ(near).
        let log = bounds.log_near + ((1.0 - share) * (bounds.log_far - bounds.log_near).expm1()).log1p();
        let of_tails = special::normal_icdf_of_log(log);
        let (zero, central) = (probability.tape().constant(0.0), bounds.central);
        let (low, high) = (half_erf(central.select(bounds.far, zero)), half_erf(central.select(bounds.near, zero)));
        let of_centre = special::erf_inv((low + share * (high - low)) * 2.0) * SQRT_2;
        let z = central.select(of_centre, of_tails);
        let value = self.location + self.scale * z * bounds.sign;
        value.maximum(self.low).minimum(self.high)
    }
}

impl<'t, F: Real> Reparameterized<'t, F> for TruncatedNormal<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let u = draw.record_uniform(self.location.tape(), &self.event_shape())?;
        Ok(self.icdf(u))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for TruncatedNormal<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let (_, _, weighted) = self.densities();
        let entropy = self.scale.ln() + self.bounds().log_mass + weighted * 0.5 + 0.5 * (2.0 * PI).ln() + 0.5;
        entropy.broadcast_to(self.event_shape()).sum()
    }
}

/// The bounds in units of the scale, mirrored where the interval lies above the location: then Φ is small at both, and keeps its digits.
struct Bounds<'t, F: Real> {
    /// 1 where the interval was mirrored.
    mirrored: Var<'t, F>,
    /// −1 where it was mirrored, else 1.
    sign: Var<'t, F>,
    /// The lower bound.
    far: Var<'t, F>,
    /// The upper bound.
    near: Var<'t, F>,
    log_far: Var<'t, F>,
    log_near: Var<'t, F>,
    /// 1 where the location lies between the bounds: then the error function has different signs at them, and nothing cancels.
    central: Var<'t, F>,
    /// ln(Φ(near) − Φ(far))
    log_mass: Var<'t, F>,
}

/// Φ(z) − 1/2
fn half_erf<F: Real>(z: Var<'_, F>) -> Var<'_, F> {
    (z * FRAC_1_SQRT_2).erf() * 0.5
}

/// Bounds beyond this many scales are as good as infinite.
const FAR: f64 = 1e10;

impl<'t, F: Real> TruncatedNormal<Var<'t, F>> {
    /// The bounds in units of the scale, from the location.
    fn standard_bounds(&self) -> (Var<'t, F>, Var<'t, F>) {
        // Infinite bounds are held first: the derivatives of their quotient are multiplied by zero.
        let held = |bound: Var<'t, F>| bound.clamp(-FAR * FAR, FAR * FAR);
        let standard = |bound: Var<'t, F>| ((held(bound) - self.location) / self.scale).clamp(-FAR, FAR);
        (standard(self.low), standard(self.high))
    }

    fn bounds(&self) -> Bounds<'t, F> {
        let (low, high) = self.standard_bounds();
        let mirrored = (low + high).step();
        let far = mirrored.select(-high, low);
        let near = mirrored.select(-low, high);
        let (log_far, log_near) = (special::normal_log_cdf(far), special::normal_log_cdf(near));
        let central = far.step().equal(near.step()).equal(far * 0.0);
        let one = far.tape().constant(1.0);
        // Each form is given harmless bounds where the other is used.
        let of_tails = {
            let gap = central.select(-one, log_far - log_near);
            log_near + special::log1mexp(gap)
        };
        let of_centre = (half_erf(central.select(near, one)) - half_erf(central.select(far, -one))).ln();
        let log_mass = central.select(of_centre, of_tails);
        Bounds { mirrored, sign: 1.0 - mirrored * 2.0, far, near, log_far, log_near, central, log_mass }
    }

    /// A value inside the bounds, whichever they are.
    fn inside(&self) -> Var<'t, F> {
        self.location.maximum(self.low).minimum(self.high)
    }

    /// The standard density over the mass at both bounds, and Σ ± bound · density, low less high.
    fn densities(&self) -> (Var<'t, F>, Var<'t, F>, Var<'t, F>) {
        let (low, high) = self.standard_bounds();
        let log_mass = self.bounds().log_mass;
        let density = |z: Var<'t, F>| (z.square() * -0.5 - 0.5 * (2.0 * PI).ln() - log_mass).exp();
        let (at_low, at_high) = (density(low), density(high));
        (at_low, at_high, low * at_low - high * at_high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law_checks::{Build, Domain, Law, assert_finite, assert_nothing_at};

    const BUILD: Build = |p| Box::new(TruncatedNormal::new(p[0], p[1], p[2], p[3]));
    const BETWEEN: Build = |p| Box::new(TruncatedNormal::new(p[2], p[3], p[0], p[1]));

    #[test]
    fn everything_follows_the_law() {
        for (bounds, values, seed) in [
            ([-1.0, 2.5], [-0.9, 0.4, 2.0], 121),
            ([9.0, 9.7], [9.05, 9.2, 9.6], 131),
            ([-9.6, -9.0], [-9.5, -9.4, -9.1], 141),
        ] {
            let law = Law::new(BETWEEN, &[bounds[0], bounds[1], 0.3, 1.4], Domain::Parameters);
            law.assert_law(&values, seed);
        }
        assert_nothing_at(BUILD, &[0.3, 1.4, -1.0, 2.5], 2.6);
        for parameters in [[0.0, 1e-8, -1.0, 1.0], [0.0, 1.0, 40.0, 41.0], [0.0, 1e8, -1.0, 1.0]] {
            assert_finite(BUILD, &parameters, 9);
        }
        for parameters in [[0.0, 1.0, 0.5, f64::INFINITY], [0.0, 1.0, f64::NEG_INFINITY, -8.0]] {
            assert_finite(BUILD, &parameters, 9);
            assert_nothing_at(BUILD, &parameters, 0.0);
        }
    }
}
