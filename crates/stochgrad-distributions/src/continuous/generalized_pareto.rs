//! The generalised Pareto distribution: the limit of what exceeds a high threshold. It models large losses, floods and
//! delays, beyond a threshold above which data are rare.
//!
//! $$p(x; \mu, \sigma, \xi) = \frac{1}{\sigma} (1 + \xi z)^{-1/\xi - 1}, \quad z = \frac{x - \mu}{\sigma} \ge 0, \quad 1 + \xi z > 0, \quad \sigma > 0,$$
//!
//! and $e^{-z}/\sigma$ for $\xi = 0$.
//!
//! Parameters: `location` $\mu$, the threshold, `scale` $\sigma > 0$, and `concentration` $\xi$, the shape, which may be
//! any real number. The tail is a power with exponent $1/\xi$ for a positive shape, exponential at 0, and it ends at
//! $\mu - \sigma/\xi$ for a negative one. Derivatives with respect to the shape are continuous at 0. The parameters
//! broadcast; their common shape is the event shape, and each element is an independent value. Support: the interval
//! from the location to its end, which depends on the parameters.
//!
//! | capability | |
//! |---|---|
//! | score | none: the support begins at $\mu$, and its end depends on all parameters |
//! | reparameterised | $x = \mu + \sigma (e^{\xi E} - 1)/\xi$, any order |
//! | weak derivative with respect to $\mu$, for $\xi > -1$ | $1/\sigma$, $\mu + \sigma (e^{\xi E/(1 + \xi)} - 1)/\xi$ and the point $\mu$ |
//! | weak derivative with respect to $\sigma$, for $\xi > -1$ | $1/\sigma$; one replay: $x$ moved up until the density has fallen by $e^{-E}$ |
//!
//! The weak derivative with respect to the shape has no simple sampler; the path with respect to it is explicit. For
//! $\xi \le -1$ the density does not fall, and the weak derivatives are an error.
//!
//! A sample is kept from rounding to the end of the support, where the density may be 0 or infinite.

use crate::continuous::shaped_tail::{ShapedTail, shaped_exp, shaped_log};
use crate::derivative::weak::{location_derivative, scale_derivative};
use crate::distribution::{above, finite_end, one_minus_exp, step_of_kernels};
use crate::prelude::*;
use stochgrad_tape::Smoothness;
use stochgrad_tensor::map::Map;

distribution! {
    /// What exceeds a threshold, given by threshold, scale and shape. Use it for tails: it includes exponential ones
    /// (shape 0), heavy ones, and those with an end.
    ///
    /// The log-probability of given values is differentiable with respect to all parameters, so that they can be fitted.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, GeneralizedPareto};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let losses = GeneralizedPareto::new(tape.constant(1.0), 3.0, 0.25);
    /// assert_eq!(losses.mean().unwrap().item()?, 5.0);
    /// # Ok(())
    /// # }
    /// ```
    pub struct GeneralizedPareto {
        /// The threshold, which is the lower end of the support.
        location: finite.with_score(Smoothness::Jump),
        /// The scale.
        scale: positive.with_score(Smoothness::Jump),
        /// The shape.
        concentration: finite.with_score(Smoothness::Jump),
    }
    support: Interval
}

impl<'t, F: Real> GeneralizedPareto<Var<'t, F>> {
    /// Values above `location`, with `scale > 0` and a shape of any sign.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>, concentration: impl IntoVar<'t, F>) -> Self {
        let tape = location.tape();
        GeneralizedPareto { location, scale: scale.into_var(tape), concentration: concentration.into_var(tape) }
    }

    fn shaped(&self) -> ShapedTail<'t, F> {
        ShapedTail { location: self.location, scale: self.scale, shape: self.concentration }
    }

    /// The lower and the upper end of the support.
    fn ends(&self) -> [Var<'t, F>; 2] {
        [self.location, self.shaped().ends()[1]]
    }

    /// A function of probability from its form of u, where the survival function is e^−u.
    fn tail(&self, tail: Tail, value: Var<'t, F>, function: impl FnOnce(Var<'t, F>) -> Var<'t, F>) -> Var<'t, F> {
        tail.on_interval(value, self.ends(), |x| function(self.shaped().exponent(x)))
    }
}

impl<'t, F: Real> Distribution<'t, F> for GeneralizedPareto<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let z = (value - self.location) / self.scale;
        Boundary::Included.confine_positive(z, |z| {
            // What is left of the support, which is lost in the rounding of 1 where the shape is not negative.
            // With a shape of −1 the density is constant up to the upper end, which belongs to the support then.
            let rest = self.concentration * z + 1.0 + finite_end(-self.concentration, step_of_kernels::<F>());
            Boundary::Excluded.confine_positive(rest.map(Map::MinScalar(1.0)), |_| {
                -(self.concentration + 1.0) * shaped_log(self.concentration, value - self.location, self.scale)
                    - self.scale.ln()
            })
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        // Infinite from a shape of 1 on.
        let rest = 1.0 - self.concentration;
        let (finite, tape) = (above(rest, 0.0), rest.tape());
        let safe = finite.select(rest, tape.constant(1.0));
        Some(finite.select(self.location + self.scale / safe, tape.constant(f64::INFINITY)))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // Infinite from a shape of 1/2 on.
        let rest = 1.0 - self.concentration * 2.0;
        let (finite, tape) = (above(rest, 0.0), rest.tape());
        let one = tape.constant(1.0);
        let (safe, shape) = (finite.select(rest, one), finite.select(self.concentration, tape.constant(0.0)));
        let variance = (self.scale / (1.0 - shape)).square() / safe;
        Some(finite.select(variance, tape.constant(f64::INFINITY)).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        // Below a shape of −1 the density has a pole at the upper end.
        let falling = above(self.concentration, -1.0);
        let [low, high] = self.ends();
        let flat = self.concentration.held().equal(self.concentration.tape().constant(-1.0));
        Some((falling + flat).select(low, high).broadcast_to(self.event_shape()))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for GeneralizedPareto<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Lower, value, one_minus_exp)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Upper, value, |u| (-u).exp())
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogLower, value, |u| special::log1mexp(-u))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogUpper, value, |u| -u)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for GeneralizedPareto<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, self.ends(), |p| self.shaped().quantile(-(-p).log1p()))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let [low, high] = self.ends();
        quantile_between(probability, [high, low], |p| self.shaped().quantile(-p.ln()))
    }
}

impl<'t, F: Real> Reparameterized<'t, F> for GeneralizedPareto<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.shaped().sample(draw.record_exponential(self.location.tape(), &self.event_shape())?))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for GeneralizedPareto<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter > 1 {
            return Ok(None);
        }
        check_parameter(
            "GeneralizedPareto",
            "concentration",
            self.concentration,
            "a shape above −1 for a weak derivative",
            "the density does not fall otherwise; use a method with a path",
            Condition::Inside { above: -1.0, below: f64::INFINITY },
        )?;
        let [location, scale, shape] = [self.location, self.scale, self.concentration].map(Var::stop_gradient);
        let (tape, event, tail) = (sample.tape(), self.event_shape(), ShapedTail { location, scale, shape });
        // The logarithm of the density falls 1 + ξ times as fast as that of the survival function.
        let drop = |e: Var<'t, F>| e / (shape + 1.0);
        match parameter {
            0 => {
                let level = |e: Var<'t, F>| (location + scale * shaped_exp(shape, drop(e)), location + e * 0.0);
                location_derivative(tape, draw, &event, scale.recip(), level).map(Some)
            }
            _ => {
                let outward = |e: Var<'t, F>| tail.sample(tail.exponent(sample.stop_gradient()) + drop(e));
                scale_derivative(tape, draw, &event, scale, outward).map(Some)
            }
        }
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for GeneralizedPareto<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() + self.concentration + 1.0).broadcast_to(self.event_shape()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuous::exponential::Exponential;
    use crate::error::DistributionError;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::{Plates, Tape};

    const BUILD: Build = |p| Box::new(GeneralizedPareto::new(p[0], p[1], p[2]));

    #[test]
    fn everything_follows_the_distribution() {
        for (shape, values, seed) in
            [(0.2, [-0.5, 1.7, 40.0], 51), (0.0, [-0.6, 0.7, 8.0], 61), (-0.25, [-0.6, 1.2, 3.6], 81)]
        {
            let distribution =
                DistributionCheck::new(BUILD, &[-0.7, 1.3, shape], Domain::AboveFirst).with_bounded_cost();
            distribution.assert_distribution(&values, seed);
        }
        for (shape, value) in [(0.2, -0.71), (0.0, -3.0), (-0.25, -0.71), (-0.25, 4.6), (-2.0, -0.04)] {
            assert_nothing_at(BUILD, &[-0.7, 1.3, shape], value);
        }
        for parameters in [[0.0, 1e-8, 0.3], [1e6, 1e-8, 0.0], [-3.0, 1e8, -0.4], [0.0, 1.0, 12.0], [0.0, 1.0, -0.9]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    #[test]
    fn the_shape_minus_1_is_a_uniform_distribution_and_0_an_exponential_one() {
        let tape = Tape::<f64>::new();
        let flat = GeneralizedPareto::new(tape.constant(1.0), 2.0, -1.0);
        for x in [1.0, 1.5, 2.75, 3.0 - 1e-15] {
            assert_eq!(flat.log_prob(tape.constant(x)).item(), Ok(-2.0_f64.ln()), "{x}");
        }
        let (limit, exponential) =
            (GeneralizedPareto::new(tape.constant(0.0), 2.0, 0.0), Exponential::from_scale(tape.constant(2.0)));
        for x in [0.0, 1.5, 30.0] {
            let x = tape.constant(x);
            let pairs = [
                (limit.log_prob(x), exponential.log_prob(x)),
                (limit.log_cdf(x), exponential.log_cdf(x)),
                (limit.survival(x), exponential.survival(x)),
            ];
            for (found, expected) in pairs {
                let (found, expected) = (found.item().unwrap(), expected.item().unwrap());
                assert!(found == expected || (found - expected).abs() <= 1e-15 * expected.abs(), "{x:?}");
            }
        }
    }

    #[test]
    fn a_weak_derivative_needs_a_density_that_falls() {
        let tape = Tape::<f64>::new();
        let distribution = GeneralizedPareto::new(tape.constant(0.0), 1.0, -1.5);
        let noise = KeyedNoise::new(1, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
        let error = distribution.weak_derivative(1, tape.constant(0.2), &draw).unwrap_err();
        assert!(
            matches!(error, DistributionError::Parameter { parameter: "concentration", found, .. } if found == -1.5),
            "{error}"
        );
    }
}
