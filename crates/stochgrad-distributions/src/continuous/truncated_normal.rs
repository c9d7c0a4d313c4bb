//! The truncated normal distribution: normal samples given that they lie between two bounds.
//!
//! $$p(x; \mu, \sigma, l, h) = \frac{\varphi((x - \mu)/\sigma)}{\sigma(\Phi((h - \mu)/\sigma) - \Phi((l - \mu)/\sigma))}, \quad l \le x \le h, \quad \sigma > 0.$$
//!
//! Parameters: `location` $\mu$ and `scale` $\sigma > 0$ of the normal distribution, and the bounds `low` $l$ and
//! `high` $h > l$, either of which may be infinite. The parameters broadcast; their common shape is the event shape,
//! and each element is an independent value. Support: the interval between the bounds.
//!
//! | capability | |
//! |---|---|
//! | score | none: the support moves with the bounds |
//! | reparameterised | $x = \mu + \sigma\Phi^{-1}(\cdot)$ of a uniform sample between the values of $\Phi$ at the bounds; any order in all parameters |
//!
//! The mass between the bounds, the quantiles and the moments are functions of their own, which lose no digits where
//! the bounds are forty scales away or close together.

use crate::prelude::*;
use std::f64::consts::PI;
use stochgrad_tape::Smoothness;

distribution! {
    /// Normal samples given that they lie between two bounds, either of which may be infinite.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, TruncatedNormal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = TruncatedNormal::new(tape.constant(0.0), 1.0, 0.0, f64::INFINITY);
    /// assert!((distribution.mean().unwrap().item()? - (2.0 / std::f64::consts::PI).sqrt()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct TruncatedNormal {
        /// The location of the normal distribution.
        location,
        /// The scale of the normal distribution.
        scale,
        /// The lower bound.
        low,
        /// The upper bound.
        high,
    }
}

impl<'t, F: Real> TruncatedNormal<Var<'t, F>> {
    /// Normal samples around `location` with `scale > 0`, given that they lie between `low` and `high > low`.
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
            let (low, high) = self.standard_bounds();
            special::truncated_normal_log_density((x - self.location) / self.scale, low, high) - self.scale.ln()
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        let (low, high) = self.standard_bounds();
        Some(self.location + self.scale * special::truncated_normal_mean(low, high))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let (low, high) = self.standard_bounds();
        Some(self.scale.square() * special::truncated_normal_variance(low, high))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.location.maximum(self.low).minimum(self.high))
    }

    fn validate(&self) -> DistributionResult<()> {
        finite("TruncatedNormal", "location", self.location)?;
        positive("TruncatedNormal", "scale", self.scale)?;
        let hint = "give the lower bound first; bounds may be infinite";
        check_parameter(
            "TruncatedNormal",
            "high - low",
            self.high - self.low,
            "positive",
            hint,
            Condition::AtMost { above: 0.0, high: f64::INFINITY },
        )
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for TruncatedNormal<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        let (low, high) = self.standard_bounds();
        let held = value.maximum(self.low).minimum(self.high);
        special::truncated_normal_cdf((held - self.location) / self.scale, low, high)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for TruncatedNormal<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let (low, high) = self.standard_bounds();
        let value = self.location + self.scale * special::truncated_normal_icdf(probability, low, high);
        // Rounding must not leave the interval.
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
        let (low, high) = self.standard_bounds();
        let square = special::truncated_normal_variance(low, high) + special::truncated_normal_mean(low, high).square();
        let entropy = self.scale.ln() + self.log_mass() + square * 0.5 + 0.5 * (2.0 * PI).ln();
        entropy.broadcast_to(self.event_shape()).sum()
    }
}

/// Bounds beyond this many scales are as good as infinite.
const FAR: f64 = 1e10;

impl<'t, F: Real> TruncatedNormal<Var<'t, F>> {
    /// The bounds in units of the scale, from the location.
    fn standard_bounds(&self) -> (Var<'t, F>, Var<'t, F>) {
        // Infinite bounds are replaced first, since the derivatives of their quotient are multiplied by zero.
        let held = |bound: Var<'t, F>| bound.clamp(-FAR * FAR, FAR * FAR);
        let standard = |bound: Var<'t, F>| ((held(bound) - self.location) / self.scale).clamp(-FAR, FAR);
        (standard(self.low), standard(self.high))
    }

    /// The logarithm of the mass that the normal distribution has between the bounds.
    fn log_mass(&self) -> Var<'t, F> {
        let (low, high) = self.standard_bounds();
        special::normal_log_mass(low, high)
    }

    /// A value between the bounds.
    fn inside(&self) -> Var<'t, F> {
        self.location.maximum(self.low).minimum(self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derivative::implicit::implicit_path;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(TruncatedNormal::new(p[0], p[1], p[2], p[3]));
    const BETWEEN: Build = |p| Box::new(TruncatedNormal::new(p[2], p[3], p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        for (bounds, values, seed) in [
            ([-1.0, 2.5], [-0.9, 0.4, 2.0], 121),
            ([9.0, 9.7], [9.05, 9.2, 9.6], 131),
            ([-9.6, -9.0], [-9.5, -9.4, -9.1], 141),
        ] {
            let distribution = DistributionCheck::new(BETWEEN, &[bounds[0], bounds[1], 0.3, 1.4], Domain::Parameters);
            distribution.assert_distribution(&values, seed);
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

    /// Far out the derivative from the distribution function and the density agrees with that of the quantile.
    #[test]
    fn implicit_and_explicit_paths_agree_far_out() {
        for (low, high) in [(40.0, 41.0), (-1.0, 2.5), (-9.6, -9.0)] {
            let tape = Tape::<f64>::new();
            let parameters = [0.0, 1.0, low, high].map(|value| tape.parameter(value));
            let [location, scale, low, high] = parameters;
            let distribution = TruncatedNormal::new(location, scale, low, high);
            let value = distribution.icdf(tape.constant(0.3));
            let explicit = tape.backward(value, parameters).expect("gradients");
            let implicit = tape.backward(implicit_path(&distribution, value), parameters).expect("gradients");
            // With respect to the scale, the difference is a small part of a bound.
            let size = low.item().expect("a number").abs().max(1.0);
            for (one, other) in explicit.iter().zip(&implicit) {
                let (one, other) = (one.item().expect("a number"), other.item().expect("a number"));
                assert!((one - other).abs() < 1e-12 * size, "{one} and {other} above {low:?}");
            }
        }
    }
}
