//! The Rayleigh distribution: the length of a vector of two independent normal samples. It models wind speeds and
//! amplitudes of scattered signals.
//!
//! $$p(x; \sigma) = \frac{x}{\sigma^2} e^{-x^2/2\sigma^2}, \quad x > 0, \quad \sigma > 0.$$
//!
//! Parameter: `scale` $\sigma > 0$, the standard deviation of each coordinate; its shape is the event shape, and each
//! element is an independent value. Support: the positive real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \sigma\sqrt{2E}$, any order |
//! | weak derivative | $2/\sigma$, $\sigma\sqrt{2(E + E')}$ and the distribution itself. One replay: $\sqrt{x^2 + 2\sigma^2 E}$ |

use crate::distribution::{log_one_minus_exp_exp, one_minus_exp};
use crate::prelude::*;
use std::f64::consts::{LN_2, PI};

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

distribution! {
    /// Lengths of vectors of two normal samples, such as wind speeds, given by the scale of each coordinate.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Rayleigh};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let lengths = Rayleigh::new(tape.constant(2.0));
    /// assert!((lengths.mode().unwrap().item()? - 2.0).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Rayleigh {
        /// The standard deviation of a coordinate.
        scale: positive,
    }
    support: Positive
}

impl<'t, F: Real> Rayleigh<Var<'t, F>> {
    /// Lengths of vectors of two normal samples with standard deviation `scale > 0`.
    pub fn new(scale: Var<'t, F>) -> Self {
        Rayleigh { scale }
    }
}

impl<'t, F: Real> Distribution<'t, F> for Rayleigh<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        Boundary::Excluded.confine_positive(value / self.scale, |z| z.ln() - (z.square() * 0.5 + self.scale.ln()))
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.scale * (PI / 2.0).sqrt())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.scale.square() * (2.0 - PI / 2.0))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.scale * 1.0)
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Rayleigh<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_half_line(value / self.scale, |z| one_minus_exp(z.square() * 0.5))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_half_line(value / self.scale, |z| (z.square() * -0.5).exp())
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_half_line(value, |x| log_one_minus_exp_exp((x.ln() - self.scale.ln()) * 2.0 - LN_2))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_half_line(value / self.scale, |z| z.square() * -0.5)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Rayleigh<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, 0.0, f64::INFINITY), |p| {
            self.scale * ((-p).log1p() * -2.0).sqrt()
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::INFINITY, 0.0), |p| self.scale * (p.ln() * -2.0).sqrt())
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Rayleigh<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Rayleigh<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let e = draw.record_exponential(self.scale.tape(), &self.event_shape())?;
        Ok(self.scale * (e * 2.0).sqrt())
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Rayleigh<Var<'t, F>> {
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
        Ok(Some(Alternatives { values: vec![longer], weights: vec![scale.recip() * 2.0] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Rayleigh<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() + 1.0 + EULER / 2.0 - 0.5 * std::f64::consts::LN_2).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Rayleigh<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let ratio = (self.scale / other.scale).square();
        let spread = special::deviance(ratio.tape().constant(1.0), ratio);
        spread.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Rayleigh::new(p[0]));

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
        let (p, q) = (Rayleigh::new(tape.constant(1.3)), Rayleigh::new(tape.constant(0.6)));
        distribution.assert_divergence(&[0.6], p.kl_to(&q).item().unwrap());
    }
}
