//! The Weibull distribution: waiting times whose hazard is a power of the time. It models lifetimes and wind speeds.
//!
//! $$p(x; k, \lambda) = \frac{k}{\lambda} z^{k - 1} e^{-z^k}, \quad z = x/\lambda, \quad x > 0, \quad k, \lambda > 0.$$
//!
//! Parameters: `concentration` $k > 0$, the shape, and `scale` $\lambda > 0$. The parameters broadcast; their common
//! shape is the event shape, and each element is an independent value. Support: the positive real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \lambda E^{1/k}$, any order |
//! | weak derivative with respect to $\lambda$ | $k/\lambda$, $\lambda (E + E')^{1/k}$ and the distribution itself (Mohamed et al. 2020, by the rate). One replay: $\lambda (z^k + E')^{1/k}$ |
//!
//! The weak derivative with respect to the shape has no simple sampler; the path with respect to it is explicit.
//!
//! A sample beyond the range of positive floating-point numbers is the nearest one. Its path keeps the derivative of the
//! logarithm.

use crate::derivative::known_logarithms::logarithm_of;
use crate::derivative::underflow::positive_exponential;
use crate::distribution::{exp_minus_exp, finite_end, log_one_minus_exp_exp, one_minus_exp_exp};
use crate::prelude::*;
use stochgrad_tensor::map::Map;

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

distribution! {
    /// Waiting times whose hazard is a power of the time, given by shape and scale.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Weibull};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let times = Weibull::new(tape.constant(1.0), 2.0);
    /// assert!((times.mean().unwrap().item()? - 2.0).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Weibull {
        /// The shape.
        concentration: positive,
        /// The scale.
        scale: positive,
    }
    support: Positive
}

impl<'t, F: Real> Weibull<Var<'t, F>> {
    /// Exponential samples to the power `1 / concentration`, times `scale`. Both parameters are positive.
    pub fn new(concentration: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        Weibull { concentration, scale: scale.into_var(concentration.tape()) }
    }
}

impl<'t, F: Real> Distribution<'t, F> for Weibull<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let k = self.concentration;
        let of_logarithm = |log: Var<'t, F>| {
            let log = log - self.scale.ln();
            // Where this would be infinite, the exponential is.
            let power = (k - 1.0) * log;
            let power = power.held().map(Map::MinScalar(F::MAX.to_f64())).straight_through(power);
            (k.ln() - self.scale.ln()) + power - (k * log).exp()
        };
        match logarithm_of(value) {
            Some(log) => of_logarithm(log),
            None => {
                let value = value + finite_end(k, F::MIN_POSITIVE.to_f64());
                Boundary::Excluded.confine_positive(value, |x| of_logarithm(x.ln()))
            }
        }
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.scale * self.root_moment(1.0).exp())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // Γ(1 + 2/k) − Γ(1 + 1/k)², from the logarithm of the ratio.
        let one = self.concentration.tape().constant(1.0);
        let log_ratio = special::log_gamma_second_difference(one, self.concentration.recip());
        // The square of a large mean could overflow.
        let mean = self.scale * self.root_moment(1.0).exp();
        Some(mean * (mean * log_ratio.expm1()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        let k = self.concentration;
        let rising = (k - 1.0).step();
        let tape = k.tape();
        let shape = rising.select(k, tape.constant(2.0));
        Some(self.scale * rising.select(((1.0 - shape.recip()).ln() / shape).exp(), tape.constant(0.0)))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Weibull<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_half_line(value, |x| one_minus_exp_exp(self.log_power(x)))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_half_line(value, |x| exp_minus_exp(self.log_power(x)))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_half_line(value, |x| log_one_minus_exp_exp(self.log_power(x)))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_half_line(value, |x| -self.log_power(x).exp())
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Weibull<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [0.0, f64::INFINITY], |p| {
            self.scale * ((-(-p).log1p()).ln() / self.concentration).exp()
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::INFINITY, 0.0], |p| self.scale * ((-p.ln()).ln() / self.concentration).exp())
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Weibull<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Weibull<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let e = draw.record_exponential(self.concentration.tape(), &self.event_shape())?;
        Ok(positive_exponential(self.scale, e.ln() / self.concentration))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Weibull<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 1 {
            return Ok(None);
        }
        let [k, scale, sample] = [self.concentration, self.scale, sample].map(Var::stop_gradient);
        let e = draw.purpose("longer").record_exponential(sample.tape(), &self.event_shape())?;
        let power = ((sample.ln() - scale.ln()) * k).exp();
        let longer = scale * ((power + e).ln() / k).exp();
        Ok(Some(Alternatives { values: vec![longer], weights: vec![k / scale] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Weibull<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let k = self.concentration;
        ((1.0 - k.recip()) * EULER + self.scale.ln() - k.ln() + 1.0).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Weibull<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // Bauckhage, "Computing the Kullback–Leibler divergence between two Weibull distributions", 2013; as
        // e^w − 1 − w plus the Bregman divergence of ln Γ between the ratio r of the shapes and 1, which do not cancel.
        let (k, l) = (self.concentration, other.concentration);
        let ratio = l / k;
        let power = l * special::log_ratio(self.scale, other.scale) + (ratio + 1.0).lgamma();
        let (zero, one) = (ratio.tape().constant(0.0), ratio.tape().constant(1.0));
        let shapes = special::stirling_divergence(one, ratio) + special::deviance(ratio, one);
        (special::deviance_by_log(zero, power) + shapes).sum()
    }
}

impl<'t, F: Real> Weibull<Var<'t, F>> {
    /// ln zᵏ of a positive value.
    fn log_power(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.concentration * (value.ln() - self.scale.ln())
    }

    /// ln E[zʳ] of the standard distribution: ln Γ(1 + r/k).
    fn root_moment(&self, power: f64) -> Var<'t, F> {
        (self.concentration.recip() * power + 1.0).lgamma()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Weibull::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[1.6, 0.8], Domain::HalfLine);
        distribution.assert_distribution(&[0.05, 0.7, 2.0], 41);
        assert_nothing_at(BUILD, &[1.6, 0.8], 0.0);
        assert_nothing_at(BUILD, &[1.6, 0.8], -1.0);
        for parameters in [[0.5, 1e-8], [1.0, 1e8], [50.0, 1.0]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::new();
        let (p, q) = (Weibull::new(tape.constant(1.6), 0.8), Weibull::new(tape.constant(0.7), 2.4));
        distribution.assert_divergence(&[0.7, 2.4], p.kl_to(&q).item().unwrap());
        assert!(p.kl_to(&p).item().unwrap().abs() < 1e-14);
    }

    #[test]
    fn the_density_is_zero_where_the_logarithm_of_the_power_overflows() {
        let tape = Tape::<f64>::new();
        for (concentration, scale, x) in [(f64::MAX, 0.5, 2.0), (1e306, 5e-324, f64::MAX), (f64::MAX, 2.0, 0.5)] {
            let log = Weibull::new(tape.constant(concentration), scale).log_prob(tape.constant(x));
            assert_eq!(log.item(), Ok(f64::NEG_INFINITY), "{concentration}, {scale} at {x}");
        }
    }
}
