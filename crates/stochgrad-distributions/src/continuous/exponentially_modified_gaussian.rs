//! The exponentially modified Gaussian distribution: the sum of a normal and an exponential sample. It models response
//! times and the peaks of chromatography, which have a normal lower and an exponential upper tail.
//!
//! $$p(x; \mu, \sigma, \lambda) = \lambda\, e^{k(k/2 - z)}\, \Phi(z - k), \quad z = \frac{x - \mu}{\sigma}, \quad k = \lambda\sigma, \quad \sigma, \lambda > 0,$$
//!
//! with the standard normal distribution function $\Phi$.
//!
//! Parameters: `location` $\mu$, any real number, and `scale` $\sigma > 0$, the mean and the standard deviation of the
//! normal sample, and `rate` $\lambda > 0$, the inverse of the mean of the exponential one. The parameters broadcast;
//! their common shape is the event shape, and each element is an independent value. Support: the real line.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mu + \sigma\varepsilon + E/\lambda$, any order |
//! | weak derivative with respect to $\mu$ | $1/\sigma\sqrt{2\pi}$, $\mu \pm \sigma R + E/\lambda$ with the same Rayleigh sample $R$ and the same $E$ in both parts |
//! | weak derivative with respect to $\sigma$ | $1/\sigma$, $\mu + \sigma M + E/\lambda$ and $\mu + \sigma UM + E/\lambda$ with $M$ double-sided Maxwell, $U$ uniform |
//! | weak derivative with respect to $\lambda$ | $-1/\lambda$; one replay: $x + E'/\lambda$ |
//!
//! The mode, the entropy and the quantiles have no closed form.
//!
//! Source: Grushka, "Characterization of exponentially modified Gaussian peaks in chromatography", 1972.

use crate::distribution::{above, confine_possible, confine_real};
use crate::prelude::*;
use std::f64::consts::{LN_2, PI};
use stochgrad_tensor::map::Map;

/// Above this, the standard normal distribution function is 1 in any precision, and its logarithm 0.
const CERTAIN: f64 = 40.0;

/// The nodes in units of the interval, and the weights, of a quadrature that is exact for polynomials of degree 5.
const QUADRATURE: [(f64, f64); 3] =
    [(0.112_701_665_379_258_31, 5.0 / 18.0), (0.5, 8.0 / 18.0), (0.887_298_334_620_741_7, 5.0 / 18.0)];

distribution! {
    /// Sums of a normal and an exponential sample, given by location, scale and rate. Use it for response times.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, ExponentiallyModifiedGaussian};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let times = ExponentiallyModifiedGaussian::new(tape.constant(0.4), 0.1, 4.0);
    /// assert!((times.mean().unwrap().item()? - 0.65).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub struct ExponentiallyModifiedGaussian {
        /// The mean of the normal sample.
        location: finite,
        /// The standard deviation of the normal sample.
        scale: positive,
        /// The inverse of the mean of the exponential sample.
        rate: positive,
    }
    support: Real
}

impl<'t, F: Real> ExponentiallyModifiedGaussian<Var<'t, F>> {
    /// Sums of normal samples around `location` with standard deviation `scale > 0` and exponential samples of this
    /// `rate > 0`.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>, rate: impl IntoVar<'t, F>) -> Self {
        let tape = location.tape();
        ExponentiallyModifiedGaussian { location, scale: scale.into_var(tape), rate: rate.into_var(tape) }
    }

    /// A value in units of the scale, from the location.
    fn standardize(&self, value: Var<'t, F>) -> Var<'t, F> {
        (value - self.location) / self.scale
    }

    /// The standard deviation of the normal sample in units of the mean of the exponential one.
    fn steepness(&self) -> Var<'t, F> {
        (self.rate * self.scale).map(Map::MinScalar(F::MAX.to_f64()))
    }

    /// The logarithm of e^(k(k/2 − z)) Φ(z − k), of z and the value that it belongs to.
    fn log_excess(&self, z: Var<'t, F>, value: Var<'t, F>) -> Var<'t, F> {
        let k = self.steepness();
        // Where z is below k, e^(k(k/2 − z)) is e^(−z²/2) over e^(−(k − z)²/2), of which the second belongs to Φ. Far
        // above, the first term is the exponential tail, which does not depend on the scale.
        let (distance, zero) = (z - k, z.tape().constant(0.0));
        let cumulative = above(distance, CERTAIN).select(zero, special::normal_log_cdf(distance));
        let exponential = self.rate * (k * self.scale * 0.5 - (value - self.location)) + cumulative;
        above(distance, 0.0).select(exponential, log_mills(k - z) - z.square() * 0.5)
    }

    /// The logarithms of the distribution function and of the survival function. Each is precise where it is not close
    /// to 0.
    fn log_tails(&self, z: Var<'t, F>, value: Var<'t, F>) -> (Var<'t, F>, Var<'t, F>) {
        let (tape, k) = (z.tape(), self.steepness());
        let [zero, one, little] = [0.0, 1.0, 0.05].map(|number| tape.constant(number));
        // Beyond, the squares overflow: below, nothing is left, and above, only the exponential tail.
        let far = F::MAX.to_f64().sqrt() * 0.1;
        let nothing = above(-z, far);
        let z = nothing.select(-one, z);
        let below = above(z, CERTAIN).select(zero, special::normal_log_cdf(z));
        let excess = self.log_excess(z, value);
        // The distribution function is Φ(z) less the excess. Where the exponential sample is wide, the logarithm of the
        // ratio is small, and is an integral of a slope over the interval from −z to k − z.
        let close = k.held().lt(z.held().abs().maximum(one) * little);
        let width = close.select(k, zero);
        let integral = QUADRATURE
            .map(|(node, weight)| log_mills_slope(width * node - z) * weight)
            .into_iter()
            .fold(zero, |sum, term| sum + term)
            * width;
        // Below the location, both terms have the factor e^(−z²/2), and the ratio does not.
        let ratio = above(-z, 0.0).select(log_mills(k - z) - log_mills(-z), excess - below);
        let lower = below + special::log1mexp(close.select(integral, ratio));
        let normal = special::normal_log_cdf(-z);
        let negligible = above(excess - normal, 2.0 * CERTAIN);
        let upper = negligible.select(excess, normal.logaddexp(excess));
        (nothing.select(tape.constant(f64::NEG_INFINITY), lower), nothing.select(zero, upper))
    }
}

/// Laplace's continued fraction v + 2/(v + 3/(v + 4/(v + …))), for v of at least 6, where these terms are enough,
/// and at 6 below. Mills' ratio (1 − Φ(v))/φ(v) is 1/(v + 1/fraction), and the derivative of its logarithm −1/fraction.
fn continued_fraction<F: Real>(v: Var<'_, F>) -> (Var<'_, F>, Var<'_, F>) {
    let far = above(v, 6.0);
    let x = far.select(v, v.tape().constant(6.0));
    (far, (2..20).rev().fold(x, |rest, term| x + rest.recip() * f64::from(term)))
}

/// ln((1 − Φ(v)) e^(v²/2)), with derivatives that have their digits also where v is large.
fn log_mills<F: Real>(v: Var<'_, F>) -> Var<'_, F> {
    let (far, fraction) = continued_fraction(v);
    far.select(-((v + fraction.recip()).ln() + 0.5 * (2.0 * PI).ln()), special::normal_log_mills(v))
}

/// The derivative of the logarithm of Mills' ratio, v − φ(v)/(1 − Φ(v)).
fn log_mills_slope<F: Real>(v: Var<'_, F>) -> Var<'_, F> {
    let (far, fraction) = continued_fraction(v);
    let near = v - (-0.5 * (2.0 * PI).ln() - special::normal_log_mills(v)).exp();
    far.select(-fraction.recip(), near)
}

/// 1 where the probability with this logarithm is above 1/2.
fn above_half<F: Real>(log: Var<'_, F>) -> Var<'_, F> {
    above(log, -LN_2)
}

impl<'t, F: Real> Distribution<'t, F> for ExponentiallyModifiedGaussian<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        // Far above, the density does not depend on the value in units of the scale, which may overflow.
        let (z, most) = (self.standardize(value), F::MAX.to_f64());
        let beyond = above(z, most) * (1.0 - above(value - self.location, most));
        let z = beyond.select(z.tape().constant(most), z);
        let density = confine_real(z, |z| self.rate.ln() + self.log_excess(z, value));
        confine_possible(density)
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some((self.location + self.rate.recip()).broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some((self.scale.square() + self.rate.recip().square()).broadcast_to(self.event_shape()))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for ExponentiallyModifiedGaussian<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_line(self.standardize(value), |z| {
            let (below, above) = self.log_tails(z, value);
            above_half(below).select(1.0 - above.exp(), below.exp())
        })
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_line(self.standardize(value), |z| {
            let (below, above) = self.log_tails(z, value);
            above_half(below).select(above.exp(), 1.0 - below.exp())
        })
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_line(self.standardize(value), |z| {
            let (below, above) = self.log_tails(z, value);
            confine_possible(above_half(below).select(special::log1mexp(above), below))
        })
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_line(self.standardize(value), |z| {
            let (below, above) = self.log_tails(z, value);
            confine_possible(above_half(below).select(above, special::log1mexp(below)))
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for ExponentiallyModifiedGaussian<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for ExponentiallyModifiedGaussian<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (tape, event) = (self.location.tape(), self.event_shape());
        let noise = draw.purpose("normal").record_normal(tape, &event)?;
        let waiting = draw.purpose("exponential").record_exponential(tape, &event)?;
        Ok(self.location + self.scale * noise + waiting / self.rate)
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for ExponentiallyModifiedGaussian<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let [location, scale, rate] = [self.location, self.scale, self.rate].map(Var::stop_gradient);
        let (tape, event) = (sample.tape(), self.event_shape());
        let exponential = |purpose| draw.purpose(purpose).record_exponential(tape, &event);
        // The exponential part is the same on both sides.
        let around = |right: Var<'t, F>, left: Var<'t, F>, weight: Var<'t, F>| -> DistributionResult<_> {
            let centre = location + exponential("waiting")? / rate;
            let values = vec![centre + scale * right, centre + scale * left];
            Ok(Some(Alternatives { values, weights: vec![weight, -weight] }))
        };
        match parameter {
            0 => {
                let radius = (exponential("radius")? * 2.0).sqrt();
                around(radius, -radius, scale.recip() * (2.0 * PI).sqrt().recip())
            }
            1 => {
                // A normal sample is a uniform part of a double-sided Maxwell sample, which is farther out by E.
                let noise = draw.purpose("normal").record_normal(tape, &event)?;
                let farther = noise.sign() * (noise.square() + exponential("farther")? * 2.0).sqrt();
                around(farther, noise, scale.recip())
            }
            2 => {
                let value = sample.stop_gradient() + exponential("longer")? / rate;
                Ok(Some(Alternatives { values: vec![value], weights: vec![-rate.recip()] }))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(ExponentiallyModifiedGaussian::new(p[0], p[1], p[2]));

    #[test]
    fn everything_follows_the_distribution() {
        for rate in [0.6, 3.0] {
            let distribution = DistributionCheck::new(BUILD, &[0.3, 1.2, rate], Domain::Line(-12.0, 60.0));
            distribution.assert_moments();
            distribution.assert_score(&[-1.5, 0.2, 2.0]);
            distribution.assert_cdf(&[-1.5, 0.2, 2.0]);
        }
        let distribution = DistributionCheck::new(BUILD, &[0.3, 1.2, 0.6], Domain::Line(-12.0, 60.0));
        distribution.assert_cdf_of_draws(271);
        distribution.assert_path(272);
        for parameter in 0..3 {
            distribution.assert_weak(parameter, 273 + parameter as u64);
        }
        for parameters in
            [[0.0, 1e-8, 1.0], [1e6, 1e-8, 1e3], [-3.0, 1e8, 1e-4], [0.0, 1.0, 1e10], [0.0, 1e-300, 1e-140]]
        {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    /// v and v − φ(v)/(1 − Φ(v)), from mpmath at 40 digits.
    const SLOPES: [(f64, f64); 5] = [
        (-30.0, -30.0),
        (-1.5, -1.6387897504588507),
        (0.5, -0.6410777703680645),
        (4.25, -0.21447316926620066),
        (60.0, -0.016657420241124928),
    ];

    #[test]
    fn slopes_of_the_logarithm_of_the_ratio_of_mills() {
        for (v, expected) in SLOPES {
            let tape = Tape::<f64>::new();
            let found = log_mills_slope(tape.constant(v)).item().unwrap();
            assert!((found - expected).abs() <= 1e-13 * expected.abs(), "{v}: {found}, not {expected}");
        }
    }
}
