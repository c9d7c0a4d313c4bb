//! The half-normal distribution: the absolute value of a normal sample around 0. It models the size of errors, and is a
//! prior of standard deviations with a light tail.
//!
//! $$p(x; \sigma) = \frac{\sqrt 2}{\sigma\sqrt\pi} e^{-x^2/2\sigma^2}, \quad x \ge 0, \quad \sigma > 0.$$
//!
//! Parameter: `scale` $\sigma > 0$, the standard deviation of the normal distribution; its shape is the event shape,
//! and each element is an independent value. Support: the nonnegative real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \sigma\lvert\varepsilon\rvert$, any order |
//! | weak derivative | $1/\sigma$, $\sigma\chi_3$ and the distribution itself. One replay: $\sqrt{x^2 + 2\sigma^2 E}$ |

use crate::derivative::weak::scale_derivative;
use crate::distribution::{above, log_of_either};
use crate::prelude::*;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI, SQRT_2};

distribution! {
    /// Absolute values of normal samples around 0, given by the scale of the normal distribution. Use it for sizes of
    /// errors, and as a prior of standard deviations.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, HalfNormal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let errors = HalfNormal::new(tape.constant(2.0));
    /// assert_eq!(errors.mode().unwrap().item()?, 0.0);
    /// # Ok(())
    /// # }
    /// ```
    pub struct HalfNormal {
        /// The standard deviation of the normal distribution.
        scale: positive,
    }
    support: Positive
}

impl<'t, F: Real> HalfNormal<Var<'t, F>> {
    /// Absolute values of normal samples with standard deviation `scale > 0`.
    pub fn new(scale: Var<'t, F>) -> Self {
        HalfNormal { scale }
    }
}

impl<'t, F: Real> Distribution<'t, F> for HalfNormal<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let height = 0.5 * (2.0 / PI).ln() - self.scale.ln();
        Boundary::Included.confine_positive(value, |x| height - (x / self.scale).square() * 0.5)
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.scale * (2.0 / PI).sqrt())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.scale.square() * (1.0 - 2.0 / PI))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.scale * 0.0)
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for HalfNormal<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_half_line(value / self.scale, |z| (z * FRAC_1_SQRT_2).erf())
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_half_line(value / self.scale, |z| special::erfc(z * FRAC_1_SQRT_2))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_half_line(value / self.scale, |z| {
            let z = z * FRAC_1_SQRT_2;
            log_of_either(z.erf(), special::erfc(z))
        })
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_half_line(value / self.scale, |z| {
            let near = (-(z * FRAC_1_SQRT_2).erf()).log1p();
            above(z, 1.0).select(special::normal_log_cdf(-z) + LN_2, near)
        })
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for HalfNormal<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, 0.0, f64::INFINITY), |p| {
            self.scale * special::erf_inv(p) * SQRT_2
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, ends(probability, f64::INFINITY, 0.0), |p| {
            self.scale * -special::normal_icdf(p * 0.5)
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for HalfNormal<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for HalfNormal<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.scale * draw.record_normal(self.scale.tape(), &self.event_shape())?.abs())
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for HalfNormal<Var<'t, F>> {
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
        let outward = |e: Var<'t, F>| scale * ((sample / scale).square() + e * 2.0).sqrt();
        scale_derivative(sample.tape(), draw, &self.event_shape(), scale, outward).map(Some)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for HalfNormal<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() + 0.5 * (1.0 + (PI / 2.0).ln())).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for HalfNormal<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        let ratio = (self.scale / other.scale).square();
        let spread = special::deviance(ratio.tape().constant(1.0), ratio);
        (spread * 0.5).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(HalfNormal::new(p[0]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[1.3], Domain::HalfLine);
        distribution.assert_distribution(&[0.05, 1.1, 4.0], 1);
        assert_nothing_at(BUILD, &[1.3], -1e-3);
        for scale in [1e-8, 1.0, 1e8] {
            assert_finite(BUILD, &[scale], 9);
        }
        let tape = Tape::new();
        let (p, q) = (HalfNormal::new(tape.constant(1.3)), HalfNormal::new(tape.constant(0.6)));
        distribution.assert_divergence(&[0.6], p.kl_to(&q).item().unwrap());
    }
}
