//! The horseshoe distribution: a normal sample whose standard deviation is a half-Cauchy sample. It is a prior for
//! coefficients of which most are 0: its density is infinite at 0, so that small coefficients shrink, and its tails are
//! heavy, so that large ones do not.
//!
//! $$p(x; \tau) = \frac{1}{\tau\sqrt{2\pi^3}}\, e^y E_1(y), \quad y = \frac{x^2}{2\tau^2}, \quad \tau > 0,$$
//!
//! with the exponential integral $E_1$. The density is exact; other libraries have bounds of it, or only the two samples.
//!
//! Parameter: `scale` $\tau > 0$; its shape is the event shape, and each element is an independent value. Support: the
//! real line. The log-density is $+\infty$ at 0, with derivatives of 0.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \tau \tan(\pi U/2)\, \varepsilon$, any order |
//! | weak derivative | $1/\tau$, $\pm\tau\lambda\sqrt{\varepsilon^2 + 2E}$ with a half-Cauchy sample $\lambda$ of its own and the sign of the sample, and the distribution itself. One replay |
//!
//! The distribution function needs a generalised hypergeometric function, and is not offered. The mean does not exist.
//!
//! Source: Carvalho, Polson and Scott, "The horseshoe estimator for sparse signals", 2010.

use crate::continuous::half_cauchy::HalfCauchy;
use crate::derivative::underflow::finite_draws;
use crate::distribution::{above, confine_real, held_at_infinity};
use crate::prelude::*;
use std::f64::consts::{LN_2, PI};

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// The entropy at scale 1: the integral of −p ln p, from mpmath at 50 digits.
const ENTROPY: f64 = 2.109_871_836_061_648;

/// Farther from 0 than this, and nearer than its inverse, the first term of a series is exact to the rounding.
const FAR: f64 = 1e9;

distribution! {
    /// Normal samples with half-Cauchy standard deviations, given by the scale. Use it as a prior of coefficients of
    /// which most are 0.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Horseshoe};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let coefficients = Horseshoe::new(tape.constant(1.0));
    /// // At √2, the exponential integral is at 1.
    /// let at_one = (0.5963473623231941 / (2.0 * std::f64::consts::PI.powi(3)).sqrt()).ln();
    /// assert!((coefficients.log_prob(tape.constant(2.0_f64.sqrt())).item()? - at_one).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Horseshoe {
        /// The scale.
        scale: positive,
    }
    support: Real
}

impl<'t, F: Real> Horseshoe<Var<'t, F>> {
    /// Normal samples whose standard deviations are half-Cauchy samples with this `scale > 0`.
    pub fn new(scale: Var<'t, F>) -> Self {
        Horseshoe { scale }
    }

    /// Half-Cauchy samples, differentiable with respect to the scale.
    fn deviations(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        HalfCauchy::new(self.scale).rsample(&draw.purpose("deviation"))
    }
}

impl<'t, F: Real> Distribution<'t, F> for Horseshoe<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        confine_real(value / self.scale, |z| {
            let (size, one) = (z.abs(), z.tape().constant(1.0));
            let (far, near) = (above(size, FAR), 1.0 - above(size, 1.0 / FAR));
            let middle = (far + near).select(one, size);
            let inside = special::scaled_exponential_integral(middle.square() * 0.5).ln();
            let double_log = near.select(size, far.select(size, one)).ln() * 2.0;
            // E₁(y) is −γ − ln y near 0, and e^−y / y far from it.
            let pole = near.select(LN_2 - EULER - double_log, one).ln();
            let kernel = far.select(LN_2 - double_log, near.select(pole, inside));
            held_at_infinity(kernel) - self.scale.ln() - 0.5 * (2.0 * PI.powi(3)).ln()
        })
    }

    drawn_by_path!();

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.scale * 0.0)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Horseshoe<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Horseshoe<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.purpose("value").record_normal(self.scale.tape(), &self.event_shape())?;
        Ok(finite_draws(self.deviations(draw)? * noise))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Horseshoe<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let (scale, sample) = (self.scale.stop_gradient(), sample.stop_gradient());
        let (tape, event) = (sample.tape(), self.event_shape());
        // Given the deviation, the part of a normal distribution: the square of the value has two degrees of freedom more.
        let draw = draw.purpose("farther");
        let deviation = Horseshoe { scale }.deviations(&draw)?;
        let square = draw.purpose("value").record_normal(tape, &event)?.square();
        let more = draw.purpose("more").record_exponential(tape, &event)? * 2.0;
        let side = sample.gt(tape.constant(0.0)) * 2.0 - 1.0;
        let farther = finite_draws(deviation * (square + more).sqrt() * side).stop_gradient();
        Ok(Some(Alternatives { values: vec![farther], weights: vec![scale.recip()] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Horseshoe<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() + ENTROPY).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::special::normal_cdf;

    const BUILD: Build = |p| Box::new(Horseshoe::new(p[0]));

    /// The mean of the normal distribution function over the half-Cauchy standard deviation, by midpoints.
    fn distribution_function(z: f64) -> f64 {
        let count = 400;
        let angle = |i: i32| (f64::from(i) + 0.5) / f64::from(count) * PI / 2.0;
        (0..count).map(|i| normal_cdf(z / angle(i).tan())).sum::<f64>() / f64::from(count)
    }

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[1.3], Domain::PoleAtZero).with_bounded_cost();
        distribution.assert_distribution(&[-4e4, -1.3, 0.05, 1.7], 271);
        distribution.assert_draws(272, |x| distribution_function(x / 1.3));
        for parameters in [[1e-8], [1.0], [1e8], [1e200]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    /// The forms of the log-density meet, and the pole has no derivative that is not a number.
    #[test]
    fn pole_and_tails() {
        let tape = Tape::<f64>::new();
        let distribution = Horseshoe::new(tape.constant(1.0));
        for edge in [FAR, 1.0 / FAR] {
            let [below, above] = [1.0 - 1e-9, 1.0 + 1e-9].map(|part| {
                let x = tape.parameter(edge * part);
                let log = distribution.log_prob(x);
                let [slope] = tape.backward(log, [x]).unwrap();
                (log.item().unwrap(), slope.item().unwrap())
            });
            assert!((below.0 - above.0).abs() < 1e-8 && (below.1 / above.1 - 1.0).abs() < 1e-8, "{edge}");
        }
        let (x, scale) = (tape.parameter([0.0, 1e-300, f64::MAX]), tape.parameter(1.0));
        let log = Horseshoe::new(scale).log_prob_each(x);
        assert_eq!(log.peek().unwrap().to_vec()[0], f64::INFINITY);
        for number in 0..3 {
            let [by_value, by_scale] = tape.backward(log.index(0, number), [x, scale]).unwrap();
            assert!(by_value.all_finite() && by_scale.all_finite(), "{number}: {by_value:?}, {by_scale:?}");
        }
    }
}
