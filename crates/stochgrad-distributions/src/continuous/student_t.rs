//! Student's t distribution: a bell with tails that fall as a power. It models data with outliers, and is the
//! distribution of a mean in units of its estimated error.
//!
//! $$p(x; \nu, \mu, \sigma) = \frac{(1 + z^2/\nu)^{-(\nu + 1)/2}}{\sigma\sqrt\nu\, B(\nu/2, 1/2)}, \quad z = \frac{x - \mu}{\sigma}, \quad \nu, \sigma > 0.$$
//!
//! Parameters: `degrees_of_freedom` $\nu > 0$, `location` $\mu$, any real number, and `scale` $\sigma > 0$. The
//! parameters broadcast; their common shape is the event shape, and each element is an independent value. Support: the
//! real line.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mu + \sigma\varepsilon\sqrt{\nu/2G}$ with a gamma variate $G$ of concentration $\nu/2$; any order in $\mu$ and $\sigma$, order 2 in $\nu$ through the implicit derivatives of $G$ |
//! | weak derivative with respect to $\mu$ | $p(\mu)$, $\mu \pm \sigma\sqrt{\nu(e^{2E/(\nu + 1)} - 1)}$ with the same $E$ in both parts |
//! | weak derivative with respect to $\sigma$ | $1/\sigma$; one replay: $x$ moved away from $\mu$ until the density has fallen by $e^{-E}$ |

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::derivative::own_draws::{lost_by_own_draw, marked};
use crate::derivative::underflow::{finite_draws_around, held_logarithm, largest_logarithm};
use crate::derivative::weak::{location_derivative, scale_derivative};
use crate::distribution::smallest_positive;
use crate::noise::FoldedNoise;
use crate::prelude::*;
use stochgrad_tensor::map::Map;

distribution! {
    /// Real values with tails that fall as a power, given by degrees of freedom, location and scale. Use it for data
    /// with outliers.
    ///
    /// Samples are limited to the range of floating-point numbers; the log-probability at a sample is that at the value
    /// beyond the range that was drawn, as for the [gamma distribution](crate::Gamma).
    ///
    /// Parameters for which the derivatives overflow, of up to 2 (ν + 1) / (σ√ν), are errors: a scale of 1e-300 with 1e300
    /// degrees of freedom, for example.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, StudentT};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = StudentT::new(tape.constant(1.0), 0.0, 1.0);
    /// assert!((distribution.log_prob(tape.constant(0.0)).item()? + std::f64::consts::PI.ln()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct StudentT {
        /// The degrees of freedom.
        degrees_of_freedom: positive.with_path(SamplePath::Implicit(Order::Finite(2))),
        /// The location.
        location: finite,
        /// The scale.
        scale: positive,
    }
    support: Real
}

impl<'t, F: Real> StudentT<Var<'t, F>> {
    /// Values around `location`, with `degrees_of_freedom > 0` and `scale > 0`.
    pub fn new(degrees_of_freedom: Var<'t, F>, location: impl IntoVar<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        StudentT {
            degrees_of_freedom,
            location: location.into_var(degrees_of_freedom.tape()),
            scale: scale.into_var(degrees_of_freedom.tape()),
        }
    }

    /// Checks that the derivatives of the log-density with respect to σ√ν, of up to (ν + 1) / σ√ν, do not overflow.
    ///
    /// # Errors
    /// Names the distribution, and the first element that is not finite.
    pub(super) fn has_finite_derivatives(&self, distribution: &'static str) -> DistributionResult<()> {
        let root = self.degrees_of_freedom.sqrt();
        let steepest = (root + root.recip()) * 2.0 / self.scale;
        let name = "2 (degrees_of_freedom + 1) / (scale · sqrt(degrees_of_freedom))";
        let hint = "derivatives overflow; use a larger scale, or a normal distribution for so many degrees of freedom";
        check_parameter(distribution, name, steepest, "a finite number", hint, Condition::Finite)
    }

    /// A value in units of the scale, from the location.
    fn standardize(&self, value: Var<'t, F>) -> Var<'t, F> {
        (value - self.location) / self.scale
    }
}

impl<'t, F: Real> Distribution<'t, F> for StudentT<Var<'t, F>> {
    declared!(|own| own.has_finite_derivatives("StudentT"));

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let nu = self.degrees_of_freedom;
        // The product of two small numbers must not be 0, and that of two large ones not infinite.
        let (width, range) = (self.scale * nu.sqrt(), [smallest_positive::<F>(), F::MAX.to_f64()]);
        let lost = width.held().map(Map::Outside(range[0], range[1]));
        let width = lost.select(width.held().clamp(range[0], range[1]), width);
        let tail = special::log1p_square_ratio(value - self.location, width) * ((nu + 1.0) * 0.5);
        let density = self.log_height() - tail;
        let largest = largest_stretch::<F>();
        match lost_by_own_draw(value, |stretch| stretch - stretch.clamp(-largest, largest)) {
            Some(lost) => density - (nu + 1.0) * lost,
            None => density,
        }
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        // None up to one degree of freedom.
        let exists = (self.degrees_of_freedom - 1.0).step();
        let nothing = exists.tape().constant(f64::NAN);
        Some(exists.select(self.location, nothing).broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // None up to one degree of freedom, infinite up to two.
        let nu = self.degrees_of_freedom;
        let (tape, exists, finite) = (nu.tape(), (nu - 1.0).step(), (nu - 2.0).step());
        let safe = finite.select(nu, tape.constant(3.0));
        let heavy = exists.select(tape.constant(f64::INFINITY), tape.constant(f64::NAN));
        // Not with ν / (ν − 2), whose derivative is a difference of terms that overflow with the scale.
        // A quotient for each of both factors, since the square of the scale may overflow.
        let excess = self.scale * (self.scale * 2.0 / (safe - 2.0));
        let variance = finite.select(self.scale.square() + excess, heavy);
        Some(variance.broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for StudentT<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_line(self.standardize(value), |t| special::student_t_cdf(t, self.degrees_of_freedom))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_line(self.standardize(value), |t| special::student_t_cdf(-t, self.degrees_of_freedom))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_line(self.standardize(value), |t| special::student_t_log_cdf(t, self.degrees_of_freedom))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_line(self.standardize(value), |t| special::student_t_log_cdf(-t, self.degrees_of_freedom))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for StudentT<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::NEG_INFINITY, f64::INFINITY], |p| {
            self.location + self.scale * special::student_t_icdf(p, self.degrees_of_freedom)
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::INFINITY, f64::NEG_INFINITY], |p| {
            self.location - self.scale * special::student_t_icdf(p, self.degrees_of_freedom)
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for StudentT<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for StudentT<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        if draw.has_scheme() { self.by_quantile(draw) } else { self.by_normal(draw) }
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for StudentT<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let distribution = StudentT {
            degrees_of_freedom: self.degrees_of_freedom.stop_gradient(),
            location: self.location.stop_gradient(),
            scale: self.scale.stop_gradient(),
        };
        let (tape, event, nu) = (sample.tape(), self.event_shape(), distribution.degrees_of_freedom);
        // ln(1 + z²/ν) where the logarithm of the density is E lower.
        let drop = |e: Var<'t, F>| e * 2.0 / (nu + 1.0);
        match parameter {
            1 => {
                let level = |e: Var<'t, F>| {
                    let radius = distribution.scale * (nu * drop(e).expm1()).sqrt();
                    (distribution.location + radius, distribution.location - radius)
                };
                location_derivative(tape, draw, &event, distribution.log_height().exp(), level).map(Some)
            }
            2 => {
                let z = distribution.standardize(sample.stop_gradient());
                let outward = |e: Var<'t, F>| {
                    let square = nu * drop(e).expm1() + z.square() * drop(e).exp();
                    distribution.location + distribution.scale * z.sign() * square.sqrt()
                };
                scale_derivative(tape, draw, &event, distribution.scale, outward).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for StudentT<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let nu = self.degrees_of_freedom;
        let next = nu + 1.0;
        let d = special::digamma_minus_log;
        // ψ((ν + 1)/2) − ψ(ν/2)
        let digammas = d(next * 0.5) - d(nu * 0.5) + nu.recip().log1p();
        (next * 0.5 * digammas - self.log_height()).broadcast_to(self.event_shape()).sum()
    }
}

impl<'t, F: Real> StudentT<Var<'t, F>> {
    /// The logarithm of the density at the location.
    fn log_height(&self) -> Var<'t, F> {
        special::student_t_log_height(self.degrees_of_freedom) - self.scale.ln()
    }

    /// The quantile of one uniform sample each, which a sampling scheme can place.
    fn by_quantile(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = FoldedNoise::record(draw, self.location.tape(), &self.event_shape())?;
        let distance = self.scale * special::student_t_icdf(noise.tail, self.degrees_of_freedom);
        Ok(finite_draws_around(self.location + noise.lower.select(distance, -distance)))
    }

    /// A normal sample over the root of a gamma variate.
    fn by_normal(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (distance, stretch) = self.distance_by_normal(draw)?;
        Ok(marked(self.location + distance, stretch))
    }

    /// A normal sample over the root of a gamma variate, times the scale, which is kept within the range of
    /// floating-point numbers; and the logarithm of its factor, with which a sample is marked.
    pub(crate) fn distance_by_normal(&self, draw: &Draw<'_, F>) -> DistributionResult<(Var<'t, F>, Var<'t, F>)> {
        let (event, half) = (self.event_shape(), self.degrees_of_freedom * 0.5);
        // The halves of the smallest numbers are not 0.
        let half = half.map(Map::MaxScalar(F::MIN_POSITIVE.to_f64()));
        let noise = draw.purpose("normal").record_normal(half.tape(), &event)?;
        let logs = log_standard_gammas(half, &draw.purpose("gamma"), &event, true)?;
        // Of the factor of the noise, what is above 1 goes into the logarithm, so that neither the sample nor the
        // standardized one overflows.
        let factor = self.scale * half.sqrt();
        let one = half.tape().constant(1.0);
        let above = (self.scale.ln() + half.ln() * 0.5).relu();
        let (largest, stretch) = (largest_stretch::<F>(), above - logs * 0.5);
        let held = held_logarithm("StudentT", stretch, [-largest, largest]).exp();
        Ok((factor.minimum(one) * noise * held, stretch))
    }
}

/// The largest logarithm of the factor of the normal sample, which is at most e³.
fn largest_stretch<F: Real>() -> f64 {
    largest_logarithm::<F>() - 4.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(StudentT::new(p[0], p[1], p[2]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[7.0, 0.3, 1.7], Domain::HeavyLine);
        distribution.assert_distribution(&[-20.0, 0.1, 5.0], 111);
        for parameters in [[0.05, 0.0, 1.0], [3.0, 1e6, 1e-8], [1e6, 0.0, 1e8]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    #[test]
    fn the_density_at_the_ends_where_the_width_overflows() {
        let tape = Tape::<f32>::new();
        for (nu, scale) in [(1e5_f32, 1e37), (1e37, 1e37)] {
            let distribution = StudentT::new(tape.constant(nu), 0.3, scale);
            for x in [f32::INFINITY, f32::NEG_INFINITY] {
                assert_eq!(distribution.log_prob(tape.constant(x)).item(), Ok(f32::NEG_INFINITY), "{nu}, {scale}");
            }
        }
    }

    #[test]
    fn the_derivatives_at_infinite_values_are_limits() {
        let tape = Tape::<f64>::new();
        let [location, scale] = [0.3, 1.7].map(|number| tape.parameter(number));
        for x in [f64::INFINITY, f64::NEG_INFINITY] {
            let log = StudentT::new(tape.constant(7.0), location, scale).log_prob(tape.constant(x));
            let [by_location, by_scale] = tape.backward(log, [location, scale]).unwrap();
            assert_eq!(by_location.item(), Ok(0.0));
            assert!((by_scale.item().unwrap() - 7.0 / 1.7).abs() < 1e-14);
        }
    }

    #[test]
    fn parameters_whose_derivatives_overflow_are_refused() {
        let tape = Tape::<f64>::new();
        for (nu, scale) in [(1e300, 1e-300), (1e-300, 1e-160)] {
            let message = StudentT::new(tape.constant(nu), 0.0, scale).validate().unwrap_err().to_string();
            assert!(message.contains("StudentT") && message.contains("use a larger scale"), "{message}");
        }
        StudentT::new(tape.constant(1e300), 0.0, 1e-150).validate().unwrap();
    }

    #[test]
    fn the_density_at_the_location_where_the_width_underflows() {
        let tape = Tape::<f64>::new();
        for (nu, location, scale) in [(1e-100, 1e100, 1.2e-279), (7e-10, 0.22, 5e-324), (1e-300, -1.0, 1e-300)] {
            let log = StudentT::new(tape.constant(nu), location, scale).log_prob(tape.constant(location));
            assert!(log.item().unwrap().is_finite(), "{nu}, {location}, {scale}: {log:?}");
        }
    }
}
