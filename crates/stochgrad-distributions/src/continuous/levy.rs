//! The Lévy distribution: the time at which a Brownian motion without drift first reaches a level. It is a stable
//! distribution, with a tail so heavy that the mean is infinite.
//!
//! $$p(x; \mu, c) = \sqrt{\frac{c}{2\pi}}\,\frac{e^{-c/2(x - \mu)}}{(x - \mu)^{3/2}}, \quad x > \mu, \quad c > 0.$$
//!
//! Parameters: `location` $\mu$, the lower end of the support, and `scale` $c > 0$, the square of the level. The
//! parameters broadcast; their common shape is the event shape, and each element is an independent value. Support: the
//! real numbers above the location.
//!
//! | capability | |
//! |---|---|
//! | score | none: the support begins at $\mu$. For times from 0, use the [inverse-gamma distribution](crate::InverseGamma) with concentration $1/2$ and scale $c/2$ |
//! | reparameterised | $x = \mu + c/\varepsilon^2$, any order |
//! | weak derivative with respect to $c$ | $-1/2c$, $\mu + 1/(1/(x - \mu) + 2E/c)$ and the distribution itself: that of the inverse-gamma distribution with respect to its scale. One replay |
//!
//! A sample above half of the largest floating-point number is that half, and one that rounds to the location is the next
//! number above it.

use crate::derivative::underflow::finite_draws_around;
use crate::distribution::{above, confine_possible, log_of_either, log_unless_likely};
use crate::prelude::*;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI, SQRT_2};
use stochgrad_tape::Smoothness;

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

distribution! {
    /// First passage times of a Brownian motion without drift, given by location and scale.
    ///
    /// ```
    /// use stochgrad_distributions::{CumulativeDistribution, Levy};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let times = Levy::new(tape.constant(0.0), 2.0);
    /// // A time of at most 2 needs a normal sample beyond one standard deviation.
    /// assert!((times.cdf(tape.constant(2.0)).item()? - 0.317310507862914).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Levy {
        /// The lower end of the support.
        location: finite.with_score(Smoothness::Jump),
        /// The scale.
        scale: positive,
    }
    support: Interval
}

impl<'t, F: Real> Levy<Var<'t, F>> {
    /// Times above `location`, with `scale > 0`.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        Levy { location, scale: scale.into_var(location.tape()) }
    }

    /// A tail as a function of the distance r from 0 at which a standard normal sample gives this value.
    fn tail(&self, tail: Tail, value: Var<'t, F>, function: impl FnOnce(Var<'t, F>) -> Var<'t, F>) -> Var<'t, F> {
        tail.on_half_line(value - self.location, |x| {
            // Beyond, the square overflows, and both tails are at their ends.
            let (r, most) = (self.scale.sqrt() / x.sqrt(), F::MAX.to_f64().sqrt() * 0.5);
            function(above(r, most).select(r.tape().constant(most), r))
        })
    }

    /// The value at a distance r, which may be infinite.
    fn quantile(&self, r: Var<'t, F>) -> Var<'t, F> {
        // The square of r may underflow where the value does not overflow.
        let value = self.location + (self.scale.sqrt() / r).square();
        let beyond = above(value, F::MAX.to_f64());
        beyond.select(value.tape().constant(f64::INFINITY), value)
    }
}

/// The probability of a standard normal sample farther out than r.
fn outer<F: Real>(r: Var<'_, F>) -> Var<'_, F> {
    special::erfc(r * FRAC_1_SQRT_2)
}

/// The probability of a standard normal sample nearer than r.
fn inner<F: Real>(r: Var<'_, F>) -> Var<'_, F> {
    (r * FRAC_1_SQRT_2).erf()
}

impl<'t, F: Real> Distribution<'t, F> for Levy<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        Boundary::Excluded.confine_positive(value - self.location, |x| {
            let density = (self.scale.ln() - (2.0 * PI).ln() - x.ln() * 3.0 - self.scale / x) * 0.5;
            confine_possible(density)
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        let infinite = self.location.tape().constant(f64::INFINITY);
        Some(infinite.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        self.mean()
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.location + self.scale * (1.0 / 3.0))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Levy<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Lower, value, outer)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Upper, value, inner)
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogLower, value, |r| {
            log_unless_likely(confine_possible(special::normal_log_cdf(-r) + LN_2), inner(r))
        })
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogUpper, value, |r| log_of_either(inner(r), outer(r)))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Levy<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let end = probability.tape().constant(f64::INFINITY);
        quantile_between(probability, [self.location, end], |p| {
            let likely = above(p, 0.5);
            let tail = likely.select(p.tape().constant(0.5), p);
            self.quantile(likely.select(special::erf_inv(1.0 - p) * SQRT_2, -special::normal_icdf(tail * 0.5)))
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let end = probability.tape().constant(f64::INFINITY);
        quantile_between(probability, [end, self.location], |p| {
            let likely = above(p, 0.5);
            let tail = likely.select(1.0 - p, p.tape().constant(0.5));
            self.quantile(likely.select(-special::normal_icdf(tail * 0.5), special::erf_inv(p) * SQRT_2))
        })
    }
}

impl<'t, F: Real> Reparameterized<'t, F> for Levy<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record_normal(self.location.tape(), &self.event_shape())?;
        let value = finite_draws_around(self.location + (self.scale.sqrt() / noise).square());
        let location = self.location.held();
        let least = location + location.abs() * F::EPSILON.to_f64();
        Ok(value.held().maximum(least).straight_through(value))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Levy<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 1 {
            return Ok(None);
        }
        let [location, scale, sample] = [self.location, self.scale, sample].map(Var::stop_gradient);
        let e = draw.purpose("more").record_exponential(sample.tape(), &self.event_shape())?;
        let sooner = location + ((sample - location).recip() + e * 2.0 / scale).recip();
        Ok(Some(Alternatives { values: vec![sooner], weights: vec![scale.recip() * -0.5] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Levy<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let entropy = self.scale.ln() + 0.5 * (1.0 + 3.0 * EULER + (16.0 * PI).ln());
        entropy.broadcast_to(self.event_shape()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};

    const BUILD: Build = |p| Box::new(Levy::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[-0.7, 1.3], Domain::AboveFirst).with_bounded_cost();
        distribution.assert_distribution(&[-0.4, 0.7, 40.0], 51);
        assert_nothing_at(BUILD, &[-0.7, 1.3], -0.7);
        assert_nothing_at(BUILD, &[-0.7, 1.3], -2.0);
        for parameters in [[0.0, 1e-8], [1e6, 1e-8], [-3.0, 1e8], [-1e307, 1e308]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }
}
