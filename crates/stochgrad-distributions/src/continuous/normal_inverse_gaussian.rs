//! The normal inverse Gaussian distribution: a normal sample whose variance is an inverse Gaussian sample. It models
//! returns of assets and turbulence: its tails are heavier than normal, and it may be skewed.
//!
//! $$p(x; \mu, \delta, \alpha, \beta) = \frac{\alpha\delta}{\pi q}\, K_1(\alpha q)\, e^{\delta\gamma + \beta(x - \mu)}, \quad q = \sqrt{\delta^2 + (x - \mu)^2}, \quad \gamma = \sqrt{\alpha^2 - \beta^2},$$
//!
//! with the modified Bessel function $K_1$ of the second kind. The form with these parameters is also that of TensorFlow
//! Probability.
//!
//! Parameters: `location` $\mu$, any real number, `scale` $\delta > 0$, `tailweight` $\alpha > 0$ (the tails are shorter
//! where it is larger) and `skewness` $\beta$ with $\lvert\beta\rvert < \alpha$ (the upper tail is the longer one where it
//! is positive). The parameters broadcast; their common shape is the event shape, and each element is an independent
//! value. Support: the real line.
//!
//! | capability | |
//! |---|---|
//! | score | any order; the Bessel function is an integral with 65 nodes |
//! | reparameterised | $x = \mu + \beta V + \sqrt V \varepsilon$ with $V$ inverse Gaussian of mean $\delta/\gamma$ and shape $\delta^2$: any order in $\mu$, and order 1 in the other parameters, through the implicit derivatives of $V$ |
//!
//! The distribution function is an integral without a closed form, and no weak derivative with a simple sampler is known.
//!
//! Source: Barndorff-Nielsen, "Normal inverse Gaussian distributions and stochastic volatility modelling", 1997.

use crate::continuous::hyperbolic::{asinh, sinh};
use crate::continuous::inverse_gaussian::InverseGaussian;
use crate::derivative::underflow::finite_draws_around;
use crate::distribution::{above, confine_possible, confine_real, held_at_infinity};
use crate::prelude::*;
use std::f64::consts::{LN_2, PI};

/// Below this argument, the first terms of the power series of the Bessel function are exact to the rounding.
const SMALL: f64 = 1e-4;

/// The number of intervals between the nodes of the integral.
const INTERVALS: usize = 64;

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// ln(e^z K₁(z)) for z > 0. The relative error of the Bessel function is below 1e-14 in `f64`.
///
/// e^z K₁(z) is the integral of exp(−2z sinh²(t/2)) cosh t over t > 0, by the trapezoidal rule up to where the integrand
/// has fallen by e⁻⁴⁰. Its error falls exponentially with the number of nodes, since the integrand is even and entire.
fn log_scaled_bessel<'t, F: Real>(z: Var<'t, F>) -> Var<'t, F> {
    let (tape, large) = (z.tape(), above(z, SMALL));
    let [one, least] = [1.0, SMALL].map(|number| tape.constant(number));
    let far = large.select(z, one);
    let reach = far.held().recip() * 40.0;
    let end = (reach + (reach * (reach + 2.0)).sqrt()).log1p() * (1.0 / INTERVALS as f64);
    let place = tape.constant_from_fn([INTERVALS + 1], F::from_usize);
    let weight = tape.constant_from_fn([INTERVALS + 1], |at| F::from_f64(if at == 0 { 0.5 } else { 1.0 }));
    let t = end.unsqueeze(-1) * place;
    let half = sinh(t * 0.5).square() * 2.0;
    let terms = (-(far.unsqueeze(-1) * half)).exp() * (half + 1.0) * weight;
    let integral = terms.sum_axis(-1).ln() + end.ln();
    // K₁(z) is 1/z + (z/2)(ln(z/2) + γ − 1/2) + …
    let near = large.select(least, z);
    let excess = near.square() * 0.5 * (near.ln() + (EULER - 0.5 - LN_2));
    large.select(integral, near - near.ln() + excess.log1p())
}

distribution! {
    /// Normal samples with inverse Gaussian variances, given by location, scale, tail weight and skewness. Use it for
    /// skewed data with heavy tails.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, NormalInverseGaussian};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let returns = NormalInverseGaussian::new(tape.constant(1.0), 2.0, 5.0, 3.0);
    /// // γ is 4.
    /// assert!((returns.mean().unwrap().item()? - 2.5).abs() < 1e-14);
    /// assert!((returns.variance().unwrap().item()? - 0.78125).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct NormalInverseGaussian {
        /// The location.
        location,
        /// The scale.
        scale,
        /// The tail weight: the tails are shorter where it is larger.
        tailweight,
        /// The skewness, between minus and plus the tail weight.
        skewness,
    }
}

impl<'t, F: Real> NormalInverseGaussian<Var<'t, F>> {
    /// Values around `location` with positive `scale` and `tailweight`, and a `skewness` of smaller size than the tail
    /// weight.
    pub fn new(
        location: Var<'t, F>,
        scale: impl IntoVar<'t, F>,
        tailweight: impl IntoVar<'t, F>,
        skewness: impl IntoVar<'t, F>,
    ) -> Self {
        let tape = location.tape();
        NormalInverseGaussian {
            location,
            scale: scale.into_var(tape),
            tailweight: tailweight.into_var(tape),
            skewness: skewness.into_var(tape),
        }
    }

    /// The square roots of α + β and α − β, whose product is γ.
    fn roots(&self) -> [Var<'t, F>; 2] {
        [self.tailweight + self.skewness, self.tailweight - self.skewness].map(Var::sqrt)
    }

    fn gamma(&self) -> Var<'t, F> {
        let [sum, difference] = self.roots();
        sum * difference
    }
}

impl<'t, F: Real> Distribution<'t, F> for NormalInverseGaussian<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "NormalInverseGaussian"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let mixed = |name, var| Parameter::smooth(name, var).with_path(SamplePath::Implicit(Order::Finite(1)));
        smallvec![
            Parameter::smooth("location", self.location),
            mixed("scale", self.scale),
            mixed("tailweight", self.tailweight),
            mixed("skewness", self.skewness)
        ]
    }

    fn event_shape(&self) -> Shape {
        common_shape(&[self.location, self.scale, self.tailweight, self.skewness])
    }

    fn support(&self) -> Support {
        Support::Real
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let [sum, difference] = self.roots();
        let density = confine_real((value - self.location) / self.scale, |y| {
            // With y = sinh u and β/α = tanh s, the exponent α q − β (x − μ) − δ γ is δ γ (cosh(u − s) − 1).
            let stretch = special::log1p_square(y) * 0.5;
            let argument =
                (self.tailweight * self.scale * stretch.exp()).clamp(F::MIN_POSITIVE.to_f64(), F::MAX.to_f64());
            let distance = asinh(y) - special::log_ratio(sum, difference);
            let drop = self.scale * self.gamma() * sinh(distance * 0.5).square() * 2.0;
            self.tailweight.ln() - PI.ln() - stretch + log_scaled_bessel(argument) - drop
        });
        confine_possible(density)
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location + self.scale * (self.skewness / self.gamma()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let gamma = self.gamma();
        let variance = self.scale / gamma * (self.tailweight / gamma).square();
        Some(held_at_infinity(variance).broadcast_to(self.event_shape()))
    }

    fn validate(&self) -> DistributionResult<()> {
        let name = "NormalInverseGaussian";
        finite(name, "location", self.location)?;
        positive(name, "scale", self.scale)?;
        positive(name, "tailweight", self.tailweight)?;
        finite(name, "skewness", self.skewness)?;
        finite(name, "scale * tailweight", self.scale * self.tailweight)?;
        let rest = self.tailweight - self.skewness.abs();
        let hint = "use tailweight * tanh() of an unconstrained number as the skewness";
        check_parameter(name, "tailweight - |skewness|", rest, "a positive number", hint, Condition::POSITIVE)
    }

    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for NormalInverseGaussian<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for NormalInverseGaussian<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (event, least) = (self.event_shape(), F::MIN_POSITIVE.to_f64());
        let within = |x: Var<'t, F>| x.clamp(least, F::MAX.to_f64()).broadcast_to(event.clone());
        let variances = InverseGaussian::new(within(self.scale / self.gamma()), within(self.scale.square()));
        let variance = variances.rsample(&draw.purpose("variance"))?;
        let noise = draw.purpose("value").record_normal(self.location.tape(), &event)?;
        Ok(finite_draws_around(self.location + self.skewness * variance + variance.sqrt() * noise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(NormalInverseGaussian::new(p[0], p[1], p[2], p[3]));

    /// The distribution function at evenly spaced points, by Simpson's rule.
    fn distribution_function(parameters: &[f64; 4]) -> impl Fn(f64) -> f64 {
        let (low, step, count) = (-40.0, 0.01, 8000_usize);
        let tape = Tape::<f64>::new();
        let [m, s, a, b] = parameters.map(|value| tape.constant(value));
        let x = tape.constant((0..=2 * count).map(|i| low + 0.5 * step * i as f64).collect::<Vec<_>>());
        let density = NormalInverseGaussian::new(m, s, a, b).log_prob_each(x).exp().peek().unwrap().to_vec();
        let mut sums = vec![0.0];
        for i in 0..count {
            let part = (density[2 * i] + 4.0 * density[2 * i + 1] + density[2 * i + 2]) * step / 6.0;
            sums.push(sums[i] + part);
        }
        move |x| {
            let at = ((x - low) / step).clamp(0.0, count as f64 - 1.0);
            let (cell, share) = (at as usize, at.fract());
            sums[cell] * (1.0 - share) + sums[cell + 1] * share
        }
    }

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[0.3, 1.2, 1.5, 0.6], Domain::Line(-60.0, 60.0));
        distribution.assert_distribution(&[-1.5, 0.2, 0.31, 4.0], 281);
        distribution.assert_draws(283, distribution_function(&[0.3, 1.2, 1.5, 0.6]));
        let distribution = DistributionCheck::new(BUILD, &[-0.5, 0.7, 2.0, -1.1], Domain::Line(-60.0, 60.0));
        distribution.assert_moments();
        distribution.assert_score(&[-1.5, 0.2, 0.31, 4.0]);
        for parameters in [[0.0, 1e-8, 1.0, 0.0], [1e6, 1e3, 1e3, -900.0], [-3.0, 1e8, 1e-6, 1e-7]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::<f64>::new();
        let error = NormalInverseGaussian::new(tape.constant(0.0), 1.0, 1.0, -1.0).validate().unwrap_err();
        assert!(error.to_string().contains("tanh"), "{error}");
    }

    /// z and ln(e^z K₁(z)), from mpmath at 40 digits.
    const BESSEL: [(f64, f64); 8] = [
        (1e-300, 690.7755278982137),
        (1e-09, 20.72326583794641),
        (9.9e-05, 9.220489659626786),
        (0.000101, 9.200490991054865),
        (0.03, 3.5347008070791976),
        (1.7, 0.13631186398037562),
        (40.0, -1.6093880774037188),
        (1000000000.0, -10.135841565453479),
    ];

    #[test]
    fn bessel_functions() {
        for (z, expected) in BESSEL {
            let tape = Tape::<f64>::new();
            let at = tape.parameter(z);
            let found = log_scaled_bessel(at);
            assert!((found.item().unwrap() - expected).abs() < 1e-14 * expected.abs().max(1.0), "{z}: {found:?}");
            assert!(tape.backward(found, [at]).unwrap()[0].item().unwrap().is_finite());
        }
    }
}
