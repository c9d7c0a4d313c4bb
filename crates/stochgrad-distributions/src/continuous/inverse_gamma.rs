//! The inverse-gamma distribution: the reciprocal of a gamma variate. It is the conjugate prior of the variance of a
//! normal distribution.
//!
//! $$p(x; a, b) = \frac{b^a}{\Gamma(a)} x^{-a - 1} e^{-b/x}, \quad x > 0, \quad a, b > 0.$$
//!
//! Parameters: `concentration` $a > 0$ and `scale` $b > 0$, which is the rate of the gamma distribution. The parameters
//! broadcast; their common shape is the event shape, and each element is an independent value. Support: the positive
//! real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = b/G$ with $G$ a standard gamma variate; any order in $b$, order 2 in $a$ |
//! | weak derivative with respect to $b$ | $a/b$, the distribution itself and $1/(1/x + E/b)$: that of the gamma distribution with respect to its rate, pushed through the inverse. One replay |
//! | weak derivative with respect to $a$ | that of the [gamma distribution](crate::Gamma), pushed through the inverse |
//!
//! A sample beyond the range of positive floating-point numbers is the nearest one. Its log-probability and score are
//! those of the sample that it stands for, and a path that depends on what was lost is an error.

use crate::continuous::gamma::Gamma;
use crate::derivative::gamma_variates::log_standard_gammas;
use crate::derivative::known_logarithms::logarithm_of;
use crate::derivative::own_draws::{lost_by_own_draw, marked};
use crate::derivative::underflow::{held_logarithm, largest_logarithm, smallest_logarithm};
use crate::derivative::weak_gamma::weak_log_gammas;
use crate::derivative::weak_shape::concentration_parts;
use crate::distribution::WeaklyReparameterized;
use crate::distribution::{WeakNoise, WeakPath};
use crate::prelude::*;

distribution! {
    /// Reciprocals of gamma variates, given by concentration and scale (the rate of the gamma distribution). Use it as
    /// a prior of variances.
    ///
    /// Samples are limited to the range of positive numbers; the log-probability at a sample is that at the logarithm
    /// that was drawn, as for the [gamma distribution](crate::Gamma).
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, InverseGamma};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let variances = InverseGamma::new(tape.constant(3.0), 4.0);
    /// assert_eq!((variances.mean().unwrap().item()?, variances.mode().unwrap().item()?), (2.0, 1.0));
    /// # Ok(())
    /// # }
    /// ```
    pub struct InverseGamma {
        /// The concentration.
        concentration: positive.with_path(SamplePath::Implicit(Order::Finite(2))),
        /// The scale.
        scale: positive,
    }
    support: Positive
}

impl<'t, F: Real> InverseGamma<Var<'t, F>> {
    /// Reciprocals of gamma variates with this `concentration > 0` and the rate `scale > 0`.
    pub fn new(concentration: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        InverseGamma { concentration, scale: scale.into_var(concentration.tape()) }
    }

    /// The gamma distribution of the reciprocal.
    pub fn inverse(&self) -> Gamma<Var<'t, F>> {
        Gamma::new(self.concentration, self.scale)
    }

    /// The logarithm of a gamma variate, limited to the range of numbers.
    fn held_inverse(&self, log: Var<'t, F>) -> Var<'t, F> {
        log.clamp(F::MIN_POSITIVE.to_f64().ln(), F::MAX.to_f64().ln() - 1.0)
    }
}

impl<'t, F: Real> Distribution<'t, F> for InverseGamma<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(log) = logarithm_of(value) {
            // As for the gamma distribution, of which the inverse value is a variate.
            let inverse = self.scale.ln() - log;
            let held = self.held_inverse(inverse);
            let density = special::log_gamma_kernel(self.concentration, held.exp()) - log;
            return density + self.concentration * (inverse - held).minimum(log.tape().constant(0.0));
        }
        // What is smaller than this is rounding of the logarithm of the value.
        let rounding = 64.0 * F::EPSILON.to_f64() * largest_logarithm::<F>();
        let lost = lost_by_own_draw(value, |log| {
            let lost = log - value.held().ln();
            lost.abs().gt(value.tape().constant(rounding)).select(lost, value.tape().constant(0.0))
        });
        Boundary::Excluded.confine_positive(value, |x| match lost {
            // A limited value is replaced by the one that was drawn.
            Some(lost) => {
                let (log, limited) = (x.ln() + lost, lost.abs().step());
                let inverse = self.scale.ln() - log;
                let held = self.held_inverse(inverse);
                let variate = limited.select(held.exp(), self.scale / x);
                let zero = x.tape().constant(0.0);
                let beyond = limited.select((inverse - held).minimum(zero), zero);
                special::log_gamma_kernel(self.concentration, variate) - log + self.concentration * beyond
            }
            None => special::log_gamma_kernel(self.concentration, self.scale / x) - x.ln(),
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        // Infinite up to a concentration of 1.
        let a = self.concentration;
        let (finite, tape) = ((a - 1.0).step(), a.tape());
        let safe = finite.select(a, tape.constant(2.0));
        Some(finite.select(self.scale / (safe - 1.0), tape.constant(f64::INFINITY)))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // Infinite up to a concentration of 2.
        let a = self.concentration;
        let (finite, tape) = ((a - 2.0).step(), a.tape());
        let safe = finite.select(a, tape.constant(3.0));
        let variance = (self.scale / (safe - 1.0)).square() / (safe - 2.0);
        Some(finite.select(variance, tape.constant(f64::INFINITY)))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.scale / (self.concentration + 1.0))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for InverseGamma<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_half_line(value, |x| special::gamma_q(self.concentration, self.scale / x))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_half_line(value, |x| special::gamma_p(self.concentration, self.scale / x))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_half_line(value, |x| special::log_gamma_q(self.concentration, self.scale / x))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_half_line(value, |x| special::log_gamma_p(self.concentration, self.scale / x))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for InverseGamma<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [0.0, f64::INFINITY], |p| {
            self.scale / special::gamma_q_inverse(self.concentration, p)
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::INFINITY, 0.0], |p| {
            self.scale / special::gamma_p_inverse(self.concentration, p)
        })
    }
}

impl<'t, F: Real> WeaklyReparameterized<'t, F> for InverseGamma<Var<'t, F>> {
    fn weak_rsample(&self, draw: &Draw<'_, F>, noise: WeakNoise) -> DistributionResult<WeakPath<'t, F>> {
        let path = weak_log_gammas(self.concentration, draw, &self.event_shape(), noise)?;
        Ok(WeakPath { value: self.scale * (-path.value).exp(), ..path })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for InverseGamma<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for InverseGamma<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.by_gammas(draw)
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for InverseGamma<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let [a, scale, sample] = [self.concentration, self.scale, sample].map(Var::stop_gradient);
        let event = self.event_shape();
        match parameter {
            0 => Ok(Some(concentration_parts(a, draw, &event, |z| scale / z)?)),
            1 => {
                let e = draw.purpose("more").record_exponential(sample.tape(), &event)?;
                let smaller = (sample.recip() + e / scale).recip();
                Ok(Some(Alternatives { values: vec![smaller], weights: vec![-a / scale] }))
            }
            _ => Ok(None),
        }
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for InverseGamma<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // a + ln Γ(a) − (1 + a) ψ(a), with the large terms combined.
        let a = self.concentration;
        let rest = -(a + 1.0) * special::digamma_minus_log(a) - special::log_gamma_kernel(a, a);
        (self.scale.ln() - a.ln() + rest).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for InverseGamma<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        self.inverse().kl_to(&other.inverse())
    }
}

impl<'t, F: Real> InverseGamma<Var<'t, F>> {
    /// Values from logarithms of gamma variates, limited to the range of positive numbers.
    fn by_gammas(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let logs = log_standard_gammas(self.concentration, draw, &self.event_shape(), true)?;
        let shift = self.scale.ln();
        let log = shift.held() - logs;
        // The gamma variate must not underflow either, since the log-density needs it.
        let largest = largest_logarithm::<F>();
        let variate = held_logarithm("InverseGamma", logs, [smallest_logarithm::<F>(), largest]);
        let held = held_logarithm("InverseGamma", shift.held() - variate, limits::<F>());
        // The derivative with respect to the scale is not lost where the value is limited.
        Ok(marked((held + (shift - shift.held())).exp(), log))
    }
}

/// The range of the logarithms of values.
fn limits<F: Real>() -> [f64; 2] {
    let largest = largest_logarithm::<F>();
    [40.0 - largest, largest]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(InverseGamma::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[2.6, 1.4], Domain::HeavyHalfLine)
            .with_bounded_cost()
            .with_weak_samples(20_000);
        distribution.assert_distribution(&[0.2, 0.7, 6.0], 81);
        assert_nothing_at(BUILD, &[2.6, 1.4], 0.0);
        assert_nothing_at(BUILD, &[2.6, 1.4], -1.0);
        for parameters in [[1e-3, 1.0], [2.0, 1e-8], [3.0, 1e8], [1e6, 1.0]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::new();
        let (p, q) = (InverseGamma::new(tape.constant(2.6), 1.4), InverseGamma::new(tape.constant(1.1), 0.8));
        distribution.assert_divergence(&[1.1, 0.8], p.kl_to(&q).item().unwrap());
    }
}
