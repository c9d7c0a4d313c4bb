//! The skew normal distribution: a normal density multiplied by a normal distribution function. It models data that are
//! nearly normal with one longer tail, such as residuals that are bounded by a frontier.
//!
//! $$p(x; \xi, \omega, \alpha) = \frac{2}{\omega}\, \varphi(z)\, \Phi(\alpha z), \quad z = \frac{x - \xi}{\omega}, \quad \omega > 0,$$
//!
//! with the standard normal density $\varphi$ and distribution function $\Phi$.
//!
//! Parameters: `location` $\xi$, any real number, `scale` $\omega > 0$, and `skewness` $\alpha$, any real number: the
//! upper tail is the longer one where it is positive, and at 0 the distribution is normal. The parameters broadcast;
//! their common shape is the event shape, and each element is an independent value. Support: the real line.
//!
//! With $c = 1/\sqrt{1 + \alpha^2}$ and $\delta = \alpha c$, parts of the weak derivatives are Rayleigh samples $R$,
//! Maxwell samples $M$ and a normal sample $\varepsilon$. Each mass below is the weight of one replay:
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \xi + \omega(\delta\lvert\varepsilon\rvert + c\varepsilon')$, any order |
//! | weak derivative with respect to $\xi$ | $\pm 2\Phi(\pm\alpha R)/\omega\sqrt{2\pi}$ at $\xi \pm \omega R$, and $-\delta\sqrt{2/\pi}/\omega$ at $\xi + \omega c\varepsilon$ |
//! | weak derivative with respect to $\omega$ | $\Phi(\pm\alpha M)/\omega$ at $\xi \pm \omega M$, and $\mp\delta c/\pi\omega$ at $\xi \pm \omega cR$ |
//! | weak derivative with respect to $\alpha$ | $\pm c^2/\pi$ at $\xi \pm \omega cR$ |
//!
//! The distribution function needs Owen's T function, and is not offered: as a difference of it and the normal
//! distribution function it has no digits in the shorter tail. The mode and the entropy have no closed form.
//!
//! Source: Azzalini, "A class of distributions which includes the normal ones", 1985.

use crate::distribution::{above, confine_real};
use crate::prelude::*;
use std::f64::consts::{FRAC_1_PI, LN_2, PI};

distribution! {
    /// Nearly normal values with one longer tail, given by location, scale and skewness.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, SkewNormal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let residuals = SkewNormal::new(tape.constant(1.0), 0.5, 1.0);
    /// // ξ + ωδ√(2/π), where δ is α/√(1 + α²).
    /// assert!((residuals.mean().unwrap().item()? - 1.0 - 0.5 / std::f64::consts::PI.sqrt()).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub struct SkewNormal {
        /// The location.
        location: finite,
        /// The scale.
        scale: positive,
        /// The skewness: the upper tail is the longer one where it is positive.
        skewness: finite,
    }
    support: Real
}

impl<'t, F: Real> SkewNormal<Var<'t, F>> {
    /// Normal samples around `location` with `scale > 0`, of which a value at the distance z, in units of the scale, is
    /// taken with the probability Φ(`skewness` · z), or else its mirror image.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>, skewness: impl IntoVar<'t, F>) -> Self {
        let tape = location.tape();
        SkewNormal { location, scale: scale.into_var(tape), skewness: skewness.into_var(tape) }
    }

    /// δ = α/√(1 + α²) and c = 1/√(1 + α²).
    fn shares(&self) -> [Var<'t, F>; 2] {
        // From the one of α and 1/α that is within ±1: the square of the other may overflow.
        let a = self.skewness;
        let large = above(a, 1.0) + above(-a, 1.0);
        let inverse = large.select(a, a.tape().constant(1.0)).recip();
        let hypotenuse = |small: Var<'t, F>| (small.square() + 1.0).sqrt();
        let [near, far] = [a, inverse].map(hypotenuse);
        let side = a.sign();
        [large.select(side / far, a / near), large.select(side * inverse / far, near.recip())]
    }
}

impl<'t, F: Real> Distribution<'t, F> for SkewNormal<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let height = LN_2 - 0.5 * (2.0 * PI).ln() - self.scale.ln();
        confine_real((value - self.location) / self.scale, |z| {
            height - z.square() * 0.5 + special::normal_log_cdf(self.skewness * z)
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        let [delta, _] = self.shares();
        Some(self.location + self.scale * delta * (2.0 / PI).sqrt())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // 1 − 2δ²/π, where δ² is 1 − c².
        let [_, rest] = self.shares();
        let variance = self.scale.square() * (1.0 - 2.0 / PI) + (self.scale * rest).square() * (2.0 / PI);
        Some(variance.broadcast_to(self.event_shape()))
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for SkewNormal<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for SkewNormal<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = |purpose| draw.purpose(purpose).record_normal(self.location.tape(), &self.event_shape());
        let [delta, rest] = self.shares();
        Ok(self.location + self.scale * (delta * noise("half")?.abs() + rest * noise("rest")?))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for SkewNormal<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let distribution = SkewNormal {
            location: self.location.stop_gradient(),
            scale: self.scale.stop_gradient(),
            skewness: self.skewness.stop_gradient(),
        };
        let (tape, event) = (sample.tape(), self.event_shape());
        let SkewNormal { location, scale, skewness } = distribution;
        let [delta, rest] = distribution.shares();
        let rayleigh = |purpose| -> DistributionResult<Var<'t, F>> {
            Ok((draw.purpose(purpose).record_exponential(tape, &event)? * 2.0).sqrt())
        };
        // Both values at a distance.
        let around = |distance: Var<'t, F>| [location + scale * distance, location - scale * distance];
        // The probabilities with which they are taken.
        let taken = |distance: Var<'t, F>| [skewness * distance, -(skewness * distance)].map(special::normal_cdf);
        match parameter {
            0 => {
                let distance = rayleigh("distance")?;
                let noise = draw.purpose("centre").record_normal(tape, &event)?;
                let [right, left] = around(distance);
                let factor = scale.recip() * (2.0 / PI).sqrt();
                let [taken, mirrored] = taken(distance);
                let weights = vec![factor * taken, -(factor * mirrored), -(factor * delta)];
                Ok(Some(Alternatives { values: vec![right, left, location + scale * rest * noise], weights }))
            }
            1 => {
                let square = draw.purpose("maxwell").record_normal(tape, &event)?.square();
                let distance = (square + rayleigh("distance")?.square()).sqrt();
                let ([right, left], [near_right, near_left]) = (around(distance), around(rest * rayleigh("near")?));
                let [taken, mirrored] = taken(distance).map(|probability| probability / scale);
                let change = delta * rest / scale * FRAC_1_PI;
                let values = vec![right, left, near_right, near_left];
                Ok(Some(Alternatives { values, weights: vec![taken, mirrored, -change, change] }))
            }
            2 => {
                let values = around(rest * rayleigh("near")?).to_vec();
                let change = rest.square() * FRAC_1_PI;
                Ok(Some(Alternatives { values, weights: vec![change, -change] }))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite};
    use stochgrad_tensor::special::normal_cdf;

    const BUILD: Build = |p| Box::new(SkewNormal::new(p[0], p[1], p[2]));

    /// Φ(z) − 2T(z, α), with the integral of Owen's T function by midpoints.
    fn distribution_function(z: f64, skewness: f64) -> f64 {
        let count = 100;
        let step = skewness / f64::from(count);
        let square = |i: i32| 1.0 + ((f64::from(i) + 0.5) * step).powi(2);
        let integral: f64 = (0..count).map(|i| (-0.5 * z * z * square(i)).exp() / square(i) * step).sum();
        normal_cdf(z) - integral * FRAC_1_PI
    }

    #[test]
    fn everything_follows_the_distribution() {
        for skewness in [-2.5, 0.7] {
            let distribution = DistributionCheck::new(BUILD, &[0.3, 1.2, skewness], Domain::Line(-15.0, 15.0));
            distribution.assert_distribution(&[-1.5, 0.2, 2.0], 261);
            distribution.assert_draws(262, |x| distribution_function((x - 0.3) / 1.2, skewness));
        }
        for parameters in [[0.0, 1e-8, 0.0], [1e6, 1e-8, 1e6], [-3.0, 1e8, -1e200]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }
}
