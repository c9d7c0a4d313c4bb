//! The Maxwell distribution: the length of a vector of three independent normal samples. It is the distribution of
//! molecular speeds in a gas.
//!
//! $$p(x; \sigma) = \sqrt{\frac{2}{\pi}}\, \frac{x^2}{\sigma^3} e^{-x^2/2\sigma^2}, \quad x > 0, \quad \sigma > 0.$$
//!
//! Parameter: `scale` $\sigma > 0$, the standard deviation of each coordinate; its shape is the event shape, and each
//! element is an independent value. Support: the positive real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \sigma\sqrt{\varepsilon_1^2 + \varepsilon_2^2 + \varepsilon_3^2}$, any order |
//! | weak derivative | $3/\sigma$, $\sigma\chi_5$ and the distribution itself, $\chi_5^2 = \chi_3^2 + 2E$. One replay: $\sqrt{x^2 + 2\sigma^2 E}$ |

use crate::prelude::*;
use std::f64::consts::{PI, SQRT_2};

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

distribution! {
    /// Lengths of vectors of three normal samples, such as speeds in a gas, given by the scale of each coordinate.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Maxwell};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let lengths = Maxwell::new(tape.constant(2.0));
    /// assert!((lengths.mode().unwrap().item()? - 8.0_f64.sqrt()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Maxwell {
        /// The standard deviation of a coordinate.
        scale: positive,
    }
    support: Positive
}

impl<'t, F: Real> Maxwell<Var<'t, F>> {
    /// Lengths of vectors of three normal samples with standard deviation `scale > 0`.
    pub fn new(scale: Var<'t, F>) -> Self {
        Maxwell { scale }
    }

    /// z²/2 with the sign of z, the value in units of the scale: the argument of the incomplete gamma functions, which may
    /// underflow where z does not.
    fn half_square(&self, value: Var<'t, F>) -> Var<'t, F> {
        let z = value / self.scale;
        z * z.abs() * 0.5
    }
}

impl<'t, F: Real> Distribution<'t, F> for Maxwell<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        Boundary::Excluded.confine_positive(value / self.scale, |z| {
            (z.ln() * 2.0 - z.square() * 0.5) + (0.5 * (2.0 / PI).ln() - self.scale.ln())
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.scale * (8.0 / PI).sqrt())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.scale.square() * (3.0 - 8.0 / PI))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.scale * SQRT_2)
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Maxwell<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_half_line(self.half_square(value), |u| special::gamma_p(shape(u), u))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_half_line(self.half_square(value), |u| special::gamma_q(shape(u), u))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_half_line(self.half_square(value), |u| special::log_gamma_p(shape(u), u))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_half_line(self.half_square(value), |u| special::log_gamma_q(shape(u), u))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Maxwell<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [0.0, f64::INFINITY], |p| {
            self.scale * (special::gamma_p_inverse(shape(p), p) * 2.0).sqrt()
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::INFINITY, 0.0], |p| {
            self.scale * (special::gamma_q_inverse(shape(p), p) * 2.0).sqrt()
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Maxwell<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Maxwell<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let coordinates = Shape::from_iter(self.event_shape().iter().copied().chain([3]));
        let noise = draw.record_normal(self.scale.tape(), &coordinates)?;
        Ok(self.scale * noise.square().sum_last(1).sqrt())
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Maxwell<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let [scale, sample] = [self.scale, sample].map(Var::stop_gradient);
        let e = draw.purpose("longer").record_exponential(sample.tape(), &self.event_shape())?;
        let longer = scale * ((sample / scale).square() + e * 2.0).sqrt();
        Ok(Some(Alternatives { values: vec![longer], weights: vec![scale.recip() * 3.0] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Maxwell<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() + 0.5 * (2.0 * PI).ln() + EULER - 0.5).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Maxwell<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let ratio = (self.scale / other.scale).square();
        let spread = special::deviance(ratio.tape().constant(1.0), ratio);
        (spread * 1.5).sum()
    }
}

/// The shape of the gamma distribution of half the square.
fn shape<F: Real>(z: Var<'_, F>) -> Var<'_, F> {
    z.tape().constant(1.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Maxwell::new(p[0]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[1.3], Domain::HalfLine);
        distribution.assert_distribution(&[0.05, 1.1, 4.0], 1);
        assert_nothing_at(BUILD, &[1.3], 0.0);
        assert_nothing_at(BUILD, &[1.3], -1e-3);
        for scale in [1e-8, 1.0, 1e8] {
            assert_finite(BUILD, &[scale], 9);
        }
        let tape = Tape::new();
        let (p, q) = (Maxwell::new(tape.constant(1.3)), Maxwell::new(tape.constant(0.6)));
        distribution.assert_divergence(&[0.6], p.kl_to(&q).item().unwrap());
    }
}
