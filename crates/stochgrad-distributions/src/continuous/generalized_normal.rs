//! The generalized normal or exponential power distribution: the logarithm of the density falls as a power of the
//! distance from the location. It contains the Laplace and the normal distribution, and tends to a uniform one; as a
//! likelihood, it is the error in a norm of any order.
//!
//! $$p(x; \mu, \alpha, \beta) = \frac{1}{2\alpha\,\Gamma(1 + 1/\beta)} \exp(-\lvert z\rvert^\beta), \quad z = \frac{x - \mu}{\alpha}, \quad \alpha, \beta > 0.$$
//!
//! Parameters: `location` $\mu$, any real number, `scale` $\alpha > 0$, and `power` $\beta > 0$, at least 1.5e-152
//! (1.1e-17 in `f32`; Laplace at 1, normal with the standard deviation $\alpha/\sqrt 2$ at 2). The parameters broadcast;
//! their common shape is the event shape, and each element is an independent value. Support: the real line.
//!
//! | capability | |
//! |---|---|
//! | score | order 1 in $\mu$, since the log-density is not smooth there unless $\beta$ is even (its variance is infinite for $\beta \le 1/2$); any order in $\alpha$ and $\beta$ |
//! | reparameterised | $x = \mu + \alpha S G^{1/\beta}$ with a random sign $S$ and a gamma variate $G$ of concentration $1/\beta$; any order in $\mu$ and $\alpha$, order 2 in $\beta$ through the implicit derivatives of $G$ |
//! | weak derivative with respect to $\mu$ | $p(\mu)$, $\mu \pm \alpha E^{1/\beta}$ with the same $E$ in both parts |
//! | weak derivative with respect to $\alpha$ | $1/\alpha$; one replay: $x$ moved away from $\mu$ to $\lvert z\rvert^\beta + E$ |
//!
//! No weak derivative with respect to the power with a simple sampler is known. The divergence has a closed form only
//! between equal locations.
//!
//! Source: Nadarajah, "A generalized normal distribution", 2005.

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::derivative::own_draws::{lost_by_own_draw, marked};
use crate::derivative::underflow::{finite_draws_around, held_logarithm, largest_logarithm};
use crate::derivative::weak::{location_derivative, scale_derivative};
use crate::distribution::{above, confine_real, held_at_infinity};
use crate::noise::FoldedNoise;
use crate::prelude::*;
use std::f64::consts::LN_2;
use stochgrad_tape::Smoothness;
use stochgrad_tensor::map::Map;

distribution! {
    /// Real values with tails whose logarithm falls as a power, given by location, scale and power. Use it for errors
    /// between the Laplace, the normal and the uniform distribution.
    ///
    /// Samples are limited to the range of floating-point numbers; the log-probability at a sample is that at the value
    /// beyond the range that was drawn.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, GeneralizedNormal, Normal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let (x, location) = (tape.constant(2.5), tape.constant(1.0));
    /// let normal = GeneralizedNormal::new(location, 2.0_f64.sqrt(), 2.0);
    /// let difference = normal.log_prob(x) - Normal::new(location, 1.0).log_prob(x);
    /// assert!(difference.item()?.abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct GeneralizedNormal {
        /// The location: mean, median and mode.
        location: finite.with_score(Smoothness::Kinked),
        /// The scale.
        scale: positive,
        /// The power.
        power: invertible.with_path(SamplePath::Implicit(Order::Finite(2))),
    }
    support: Real
}

/// Checks that a power is positive and finite, and that the score, of the size of its inverse square times a logarithm, is
/// within the range of numbers.
fn invertible<F: Real>(distribution: &'static str, parameter: &'static str, var: Var<'_, F>) -> DistributionResult<()> {
    let least = (F::MIN_POSITIVE.to_f64() * 1e4).sqrt();
    let expected = "a finite number of at least 1.5e-152 (1.1e-17 in f32)";
    let hint = "a smaller power has no score within the range of numbers";
    check_parameter(
        distribution,
        parameter,
        var,
        expected,
        hint,
        Condition::Between { low: least, high: F::MAX.to_f64() },
    )
}

impl<'t, F: Real> GeneralizedNormal<Var<'t, F>> {
    /// Values around `location` whose log-density falls as the distance over `scale` to this `power`. Both are
    /// positive.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>, power: impl IntoVar<'t, F>) -> Self {
        let tape = location.tape();
        GeneralizedNormal { location, scale: scale.into_var(tape), power: power.into_var(tape) }
    }

    /// A value in units of the scale, from the location.
    fn standardize(&self, value: Var<'t, F>) -> Var<'t, F> {
        (value - self.location) / self.scale
    }

    /// The logarithm of the density at the location.
    fn log_height(&self) -> Var<'t, F> {
        -((self.power.recip() + 1.0).lgamma() + self.scale.ln() + LN_2)
    }

    /// How far below the location, as a negative number, a tail ends that has this probability.
    fn quantile(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let upper = above(probability, 0.5);
        let beyond = upper.select(1.0 - probability, probability) * 2.0;
        let size = self.size(beyond);
        upper.select(size, -size)
    }

    /// The distance from the location beyond which this is the probability, which is at most 1.
    fn size(&self, beyond: Var<'t, F>) -> Var<'t, F> {
        let a = self.power.recip();
        let within = 1.0 - beyond;
        // Near the location the density is constant. Its height is that of a distance in units of the scale.
        let flat = within * (a + 1.0).lgamma().map(Map::MinScalar(largest_stretch::<F>())).exp();
        let (one, half) = (beyond.tape().constant(1.0), beyond.tape().constant(0.5));
        let near = is_negligible(flat, self.power);
        let outer = above(within, 0.5);
        let from_outside = special::gamma_q_inverse(a, outer.select(beyond, half));
        let from_inside = special::gamma_p_inverse(a, near.select(half, outer.select(half, within)));
        let power = outer.select(from_outside, from_inside);
        // With a power so large that the variate underflows, the density is constant up to the end.
        let near = near.maximum(power.held().le(power.tape().constant(0.0)));
        self.scale * near.select(flat, near.select(one, power).pow(a))
    }

    /// The quantile of one uniform sample each, which a sampling scheme can place.
    fn by_quantile(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = FoldedNoise::record(draw, self.location.tape(), &self.event_shape())?;
        let size = self.size(noise.tail * 2.0);
        Ok(finite_draws_around(self.location + noise.lower.select(-size, size)))
    }

    /// A random sign times a root of a gamma variate, which is kept within the range of floating-point numbers.
    fn by_gamma(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (tape, event) = (self.location.tape(), self.event_shape());
        let side = draw.purpose("side").record_noise(tape, Fill::Folded, &event)?.sign();
        let logs = log_standard_gammas(self.power.recip(), &draw.purpose("gamma"), &event, true)?;
        // Of the scale, what is above 1 goes into the logarithm, so that neither the sample nor the standardized one
        // overflows.
        let stretch = self.scale.ln().relu() + logs / self.power;
        let largest = largest_stretch::<F>();
        let held = held_logarithm("GeneralizedNormal", stretch, [-largest, largest]).exp();
        Ok(marked(self.location + self.scale.minimum(tape.constant(1.0)) * side * held, stretch))
    }
}

/// The largest logarithm of a distance.
fn largest_stretch<F: Real>() -> f64 {
    largest_logarithm::<F>() - 1.0
}

/// 1 where the density at this distance, in units of the scale, is that at the location, to rounding.
fn is_negligible<'t, F: Real>(distance: Var<'t, F>, power: Var<'t, F>) -> Var<'t, F> {
    1.0 - above(power.held() * distance.held().ln(), F::EPSILON.to_f64().ln() - 4.0)
}

/// What the probability of a value above z is made of, for the location 0 and the scale 1.
struct Upper<'t, F: Real> {
    /// The inverse of the power: the concentration of the distance to the power.
    concentration: Var<'t, F>,
    /// The distance to the power, or 1 where another formula is used.
    power: Var<'t, F>,
    /// 1 where z is positive.
    positive: Var<'t, F>,
    /// 1 where the density is that at the location.
    near: Var<'t, F>,
    /// Twice the probability of a value between the location and z there, with the sign of z.
    share: Var<'t, F>,
    /// 1 where the distance to the power overflows.
    beyond: Var<'t, F>,
}

impl<'t, F: Real> Upper<'t, F> {
    fn new(z: Var<'t, F>, power: Var<'t, F>) -> Self {
        let (size, zero, one) = (z.abs(), z.tape().constant(0.0), z.tape().constant(1.0));
        let near = is_negligible(size, power);
        let beyond = above(power.held() * size.held().ln(), largest_stretch::<F>());
        let concentration = power.recip();
        let share = near.select(z, zero) * (-(concentration + 1.0).lgamma()).exp();
        let power = (near + beyond).select(one, size).pow(power);
        Upper { concentration, power, positive: above(z, 0.0), near, share, beyond }
    }

    fn probability(&self) -> Var<'t, F> {
        let [zero, one] = [0.0, 1.0].map(|number| self.power.tape().constant(number));
        let right = special::gamma_q(self.concentration, self.power) * 0.5;
        let left = special::gamma_p(self.concentration, self.power) * 0.5 + 0.5;
        let curved = self.positive.select(self.beyond.select(zero, right), self.beyond.select(one, left));
        self.near.select(0.5 - self.share * 0.5, curved)
    }

    fn log_probability(&self) -> Var<'t, F> {
        let [nothing, zero] = [f64::NEG_INFINITY, 0.0].map(|number| self.power.tape().constant(number));
        let right = special::log_gamma_q(self.concentration, self.power) - LN_2;
        let left = (special::gamma_q(self.concentration, self.power) * -0.5).log1p();
        let curved = self.positive.select(self.beyond.select(nothing, right), self.beyond.select(zero, left));
        self.near.select((-self.share).log1p() - LN_2, curved)
    }
}

impl<'t, F: Real> Distribution<'t, F> for GeneralizedNormal<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        confine_real(self.standardize(value), |z| {
            // At the location, the power has no finite derivative with respect to the distance if it is below 1.
            let (zero, one) = (z.tape().constant(0.0), z.tape().constant(1.0));
            let here = z.held().equal(zero);
            let power = here.select(zero, here.select(one, z.abs()).pow(self.power));
            let largest = largest_stretch::<F>();
            match lost_by_own_draw(value, |stretch| stretch - stretch.clamp(-largest, largest)) {
                Some(lost) => self.log_height() - power * (self.power * lost).exp(),
                None => self.log_height() - power,
            }
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.location.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // Γ(3/β) / Γ(1/β)
        let a = self.power.recip();
        let ratio = held_at_infinity(special::log_gamma_difference(a + 1.0, a * 3.0 + 1.0).exp());
        Some((self.scale * (self.scale * ratio) * (1.0 / 3.0)).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        self.mean()
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for GeneralizedNormal<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_line(self.standardize(value), |z| Upper::new(-z, self.power).probability())
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_line(self.standardize(value), |z| Upper::new(z, self.power).probability())
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_line(self.standardize(value), |z| Upper::new(-z, self.power).log_probability())
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_line(self.standardize(value), |z| Upper::new(z, self.power).log_probability())
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for GeneralizedNormal<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::NEG_INFINITY, f64::INFINITY], |p| self.location + self.quantile(p))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::INFINITY, f64::NEG_INFINITY], |p| self.location - self.quantile(p))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for GeneralizedNormal<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for GeneralizedNormal<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        if draw.has_scheme() { self.by_quantile(draw) } else { self.by_gamma(draw) }
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for GeneralizedNormal<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let distribution = GeneralizedNormal {
            location: self.location.stop_gradient(),
            scale: self.scale.stop_gradient(),
            power: self.power.stop_gradient(),
        };
        let GeneralizedNormal { location, scale, power } = distribution;
        let (tape, event) = (sample.tape(), self.event_shape());
        let root = |drop: Var<'t, F>| scale * (drop.ln() / power).exp();
        match parameter {
            0 => {
                let level =
                    |e: Var<'t, F>| (finite_draws_around(location + root(e)), finite_draws_around(location - root(e)));
                location_derivative(tape, draw, &event, distribution.log_height().exp(), level).map(Some)
            }
            1 => {
                let z = distribution.standardize(sample.stop_gradient());
                let outward = |e: Var<'t, F>| finite_draws_around(location + z.sign() * root(z.abs().pow(power) + e));
                scale_derivative(tape, draw, &event, scale, outward).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for GeneralizedNormal<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.power.recip() - self.log_height()).broadcast_to(self.event_shape()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite};

    const BUILD: Build = |p| Box::new(GeneralizedNormal::new(p[0], p[1], p[2]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = |power| DistributionCheck::new(BUILD, &[0.3, 1.2, power], Domain::Line(-40.0, 40.0));
        distribution(1.3).assert_distribution(&[-1.5, 0.2, 2.0], 251);
        distribution(3.5).assert_moments();
        distribution(3.5).assert_score(&[-1.5, 0.2, 2.0]);
        distribution(3.5).assert_cdf(&[-1.0, 0.3, 1.5]);
        for parameters in [[0.0, 1e-8, 0.5], [1e6, 1e-8, 20.0], [-3.0, 1e8, 1.0], [0.0, 1.0, 1e6]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    #[test]
    fn samples_beyond_the_range_of_numbers_keep_their_log_probability() {
        assert_finite(BUILD, &[0.0, 1e6, 1e-3], 9);
    }

    #[test]
    fn powers_without_a_score_are_refused() {
        assert_finite(BUILD, &[0.0, 1.0, 1e-150], 9);
        let tape = stochgrad_tape::Tape::<f64>::new();
        let error = GeneralizedNormal::new(tape.constant(0.0), 1.0, 1e-154).validate().unwrap_err();
        assert!(error.to_string().contains("no score"), "{error}");
    }
}
