//! The sinh-arcsinh distribution: a normal sample whose skewness and tails are changed by two parameters. Its tails may
//! be heavier or lighter than those of the normal distribution, which it contains. It models residuals of any shape.
//!
//! $$p(x; \epsilon, \delta, \xi, \eta) = \frac{\delta\sqrt{1 + S^2}}{\eta\sqrt{1 + y^2}}\, \varphi(S), \quad S = \sinh(\delta\sinh^{-1} y - \epsilon), \quad y = \frac{x - \xi}{\eta}, \quad \delta, \eta > 0,$$
//!
//! with the standard normal density $\varphi$.
//!
//! Parameters: `skewness` $\epsilon$, any real number (the upper tail is the longer one where it is positive),
//! `tailweight` $\delta > 0$ (tails heavier than the normal ones below 1, lighter above 1), `location` $\xi$, any real
//! number, and `scale` $\eta > 0$. At $\epsilon = 0$ and $\delta = 1$ it is the normal distribution. The parameters
//! broadcast; their common shape is the event shape, and each element is an independent value. Support: the real line.
//!
//! A skewness of a size above 353 (43 in `f32`) is refused, since the square of its hyperbolic sine overflows, and so
//! is a tail weight with which $(\lvert\epsilon\rvert + 5)/\delta$ overflows.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \xi + \eta\sinh((\sinh^{-1}\varepsilon + \epsilon)/\delta)$, any order |
//!
//! The moments need Bessel functions of the second kind of real orders; the mode and the entropy have no closed form.
//! No weak derivative with a simple sampler is known.
//!
//! Source: Jones and Pewsey, "Sinh-arcsinh distributions", 2009.

use crate::continuous::hyperbolic::{asinh, lost_by_sample, sinh, sinh_sample, within_range};
use crate::distribution::{confine_possible, confine_real};
use crate::prelude::*;
use std::f64::consts::PI;

/// More than the inverse hyperbolic sine of any standard normal sample.
const FARTHEST: f64 = 5.0;

distribution! {
    /// Normal samples with another skewness and other tails, given by skewness, tail weight, location and scale. Use it
    /// for data of unknown shape around the normal distribution.
    ///
    /// The parameters are those of Jones and Pewsey: a larger `tailweight` makes the tails lighter. TensorFlow
    /// Probability names the inverse of it `tailweight`, and scales the samples by a further factor.
    ///
    /// Samples are limited to the range of floating-point numbers; the log-probability at a sample is that at the value
    /// beyond the range that was drawn.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Normal, SinhArcsinh};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let (x, location) = (tape.constant(2.5), tape.constant(1.0));
    /// let normal = SinhArcsinh::new(tape.constant(0.0), 1.0, location, 0.5);
    /// let difference = normal.log_prob(x) - Normal::new(location, 0.5).log_prob(x);
    /// assert!(difference.item()?.abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct SinhArcsinh {
        /// The skewness: the upper tail is the longer one where it is positive.
        skewness: squared,
        /// The tail weight: the tails are heavier than those of the normal distribution below 1.
        tailweight: positive,
        /// The location.
        location: finite,
        /// The scale.
        scale: positive,
    }
    support: Real
}

/// Checks that the square of the hyperbolic sine of a skewness is within the range of numbers: it is the standard normal
/// value of samples that round to the location.
///
/// # Errors
/// Names the first element for which it is not.
fn squared<F: Real>(distribution: &'static str, parameter: &'static str, var: Var<'_, F>) -> DistributionResult<()> {
    let most = F::MAX.to_f64().ln() * 0.5 - 1.0;
    let expected = "a number between -353 and 353 (-43 and 43 in f32)";
    let hint = "with a larger skewness, log-probabilities next to the location are beyond the range of numbers";
    check_parameter(distribution, parameter, var, expected, hint, Condition::Between { low: -most, high: most })
}

impl<'t, F: Real> SinhArcsinh<Var<'t, F>> {
    /// `location + scale · sinh((asinh ε + skewness) / tailweight)` of normal samples ε. `tailweight` and `scale` are
    /// positive.
    pub fn new(
        skewness: Var<'t, F>,
        tailweight: impl IntoVar<'t, F>,
        location: impl IntoVar<'t, F>,
        scale: impl IntoVar<'t, F>,
    ) -> Self {
        let tape = skewness.tape();
        SinhArcsinh {
            skewness,
            tailweight: tailweight.into_var(tape),
            location: location.into_var(tape),
            scale: scale.into_var(tape),
        }
    }

    /// The standard normal value of a value.
    fn normal(&self, value: Var<'t, F>) -> Var<'t, F> {
        sinh(self.tailweight * asinh((value - self.location) / self.scale) - self.skewness)
    }

    /// The t of which a value with this standard normal value is the hyperbolic sine.
    fn argument(&self, normal: Var<'t, F>) -> Var<'t, F> {
        (asinh(normal) + self.skewness) / self.tailweight
    }

    /// The value of a standard normal value.
    fn value(&self, normal: Var<'t, F>) -> Var<'t, F> {
        self.location + self.scale * sinh(self.argument(normal))
    }
}

impl<'t, F: Real> Distribution<'t, F> for SinhArcsinh<Var<'t, F>> {
    declared!(|own| within_range("SinhArcsinh", (own.skewness.abs() + FARTHEST) / own.tailweight));

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let height = special::log_ratio(self.tailweight, self.scale) - 0.5 * (2.0 * PI).ln();
        let density = confine_real((value - self.location) / self.scale, |y| {
            let lost = lost_by_sample(value, self.scale);
            let normal = sinh(self.tailweight * (asinh(y) + lost) - self.skewness);
            confine_real(normal, |normal| {
                let growth = special::log1p_square(normal) - special::log1p_square(y) - normal.square();
                height + growth * 0.5 - lost.abs()
            })
        });
        confine_possible(density)
    }

    drawn_by_path!();

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for SinhArcsinh<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_line(self.normal(value), special::normal_cdf)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_line(self.normal(value), |z| special::normal_cdf(-z))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_line(self.normal(value), |z| confine_possible(special::normal_log_cdf(z)))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_line(self.normal(value), |z| confine_possible(special::normal_log_cdf(-z)))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for SinhArcsinh<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::NEG_INFINITY, f64::INFINITY], |p| self.value(special::normal_icdf(p)))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::INFINITY, f64::NEG_INFINITY], |p| self.value(-special::normal_icdf(p)))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for SinhArcsinh<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for SinhArcsinh<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record_normal(self.location.tape(), &self.event_shape())?;
        Ok(sinh_sample("SinhArcsinh", [self.location, self.scale], self.argument(noise)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(SinhArcsinh::new(p[0], p[1], p[2], p[3]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = |weight| DistributionCheck::new(BUILD, &[0.4, weight, 0.3, 0.9], Domain::HeavyLine);
        distribution(0.7).assert_distribution(&[-1.0, 0.3, 0.31, 1.5], 241);
        distribution(1.6).assert_moments();
        distribution(1.6).assert_score(&[-1.0, 0.3, 0.31, 1.5]);
        distribution(1.6).assert_cdf(&[-1.0, 0.3, 0.31, 1.5]);
        for parameters in [[0.0, 0.05, 0.0, 1.0], [3.0, 1e6, 1e6, 1e-8], [-40.0, 1.0, 0.0, 1e8]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    #[test]
    fn samples_beyond_the_range_of_numbers_keep_their_log_probability() {
        assert_finite(BUILD, &[0.0, 1e-6, 0.0, 1e6], 9);
        assert_finite(BUILD, &[0.2, 1e-300, 0.0, 1e-6], 9);
    }

    #[test]
    fn samples_beyond_the_range_of_numbers_are_refused() {
        let tape = Tape::<f64>::new();
        let refusal = |skewness: f64, tailweight: f64| {
            SinhArcsinh::new(tape.constant(skewness), tailweight, 0.0, 1.0).validate().unwrap_err().to_string()
        };
        assert!(refusal(-400.0, 1.0).contains("next to the location"));
        assert!(refusal(300.0, 1e-307).contains("larger tail weight"));
    }
}
