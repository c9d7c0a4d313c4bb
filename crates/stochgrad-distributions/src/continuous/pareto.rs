//! The Pareto distribution: values above a threshold whose tail falls as a power. It models sizes of cities, files and
//! losses.
//!
//! $$p(x; s, \alpha) = \frac{\alpha s^\alpha}{x^{\alpha + 1}}, \quad x \ge s > 0, \quad \alpha > 0.$$
//!
//! Parameters: `scale` $s > 0$, the threshold, and `concentration` $\alpha > 0$, the exponent of the tail. The
//! parameters broadcast; their common shape is the event shape, and each element is an independent value. Support: the
//! interval $[s, \infty)$, which depends on the threshold.
//!
//! | capability | |
//! |---|---|
//! | score | none: the support begins at $s$ |
//! | reparameterised | $x = s e^{E/\alpha}$, any order |
//! | weak derivative with respect to $\alpha$ | $1/\alpha$, the distribution itself and $x e^{E'/\alpha}$. One replay |
//!
//! A sample beyond the range of positive floating-point numbers is the nearest one. Its path keeps the derivative of the
//! logarithm.

use crate::derivative::underflow::positive_exponential;
use crate::distribution::one_minus_exp;
use crate::prelude::*;
use stochgrad_tape::Smoothness;

distribution! {
    /// Values above a threshold with a tail that falls as a power, given by threshold and exponent.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Pareto};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let sizes = Pareto::new(tape.constant(1.0), 3.0);
    /// assert_eq!(sizes.mean().unwrap().item()?, 1.5);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Pareto {
        /// The lower end of the support.
        scale: positive.with_score(Smoothness::Jump),
        /// The exponent of the tail.
        concentration: positive,
    }
    support: Interval
}

impl<'t, F: Real> Pareto<Var<'t, F>> {
    /// Values above `scale > 0` with a tail of exponent `concentration > 0`.
    pub fn new(scale: Var<'t, F>, concentration: impl IntoVar<'t, F>) -> Self {
        Pareto { scale, concentration: concentration.into_var(scale.tape()) }
    }
}

impl<'t, F: Real> Pareto<Var<'t, F>> {
    /// A function of probability from its form of u = a ln(x/s), where the survival function is e^−u.
    fn tail(&self, tail: Tail, value: Var<'t, F>, function: impl FnOnce(Var<'t, F>) -> Var<'t, F>) -> Var<'t, F> {
        // The logarithm is precise just above the threshold.
        let excess = (value - self.scale) / self.scale;
        tail.on_half_line(excess, |excess| function(self.concentration * excess.log1p()))
    }
}

impl<'t, F: Real> Distribution<'t, F> for Pareto<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let a = self.concentration;
        let excess = (value - self.scale) / self.scale;
        Boundary::Included.confine_positive(excess, |excess| (a.ln() - self.scale.ln()) - (a + 1.0) * excess.log1p())
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        // Infinite up to an exponent of 1.
        let a = self.concentration;
        let (finite, tape) = ((a - 1.0).step(), a.tape());
        let safe = finite.select(a, tape.constant(2.0));
        Some(finite.select(self.scale * safe / (safe - 1.0), tape.constant(f64::INFINITY)))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // Infinite up to an exponent of 2.
        let a = self.concentration;
        let (finite, tape) = ((a - 2.0).step(), a.tape());
        let safe = finite.select(a, tape.constant(3.0));
        // Both factors fall with the exponent, so that derivatives that overflow are not subtracted.
        let variance = (self.scale / (safe - 1.0)).square() * ((safe - 2.0).recip() * 2.0 + 1.0);
        Some(finite.select(variance, tape.constant(f64::INFINITY)))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.scale.broadcast_to(self.event_shape()))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Pareto<Var<'t, F>> {
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

impl<'t, F: Real> QuantileFunction<'t, F> for Pareto<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, [self.scale, probability.tape().constant(f64::INFINITY)], |p| {
            self.scale * (-(-p).log1p() / self.concentration).exp()
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, [probability.tape().constant(f64::INFINITY), self.scale], |p| {
            self.scale * (-p.ln() / self.concentration).exp()
        })
    }
}

impl<'t, F: Real> Reparameterized<'t, F> for Pareto<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let e = draw.record_exponential(self.scale.tape(), &self.event_shape())?;
        Ok(positive_exponential(self.scale, e / self.concentration))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Pareto<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 1 {
            return Ok(None);
        }
        let [a, sample] = [self.concentration, sample].map(Var::stop_gradient);
        let e = draw.purpose("longer").record_exponential(sample.tape(), &self.event_shape())?;
        let longer = sample * (e / a).exp();
        Ok(Some(Alternatives { values: vec![longer], weights: vec![-a.recip()] }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Pareto<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let a = self.concentration;
        (self.scale.ln() - a.ln() + 1.0 + a.recip()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Pareto<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // Infinite where the other distribution begins above this one.
        let outside = Boundary::Included.outside(self.scale - other.scale);
        let infinite = self.scale.tape().constant(f64::INFINITY);
        let ratio = other.concentration / self.concentration;
        let divergence = special::deviance(ratio.tape().constant(1.0), ratio)
            + other.concentration * special::log_ratio(self.scale, other.scale);
        outside.select(infinite, divergence).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Pareto::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[0.8, 2.6], Domain::AboveFirst).with_bounded_cost();
        distribution.assert_distribution(&[0.85, 1.7, 40.0], 51);
        assert_nothing_at(BUILD, &[0.8, 2.6], 0.7);
        for parameters in [[1e-8, 2.0], [1e8, 3.0], [1.0, 1e6]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::new();
        let (p, q) = (Pareto::new(tape.constant(0.8), 2.6), Pareto::new(tape.constant(0.5), 1.9));
        distribution.assert_divergence(&[0.5, 1.9], p.kl_to(&q).item().unwrap());
        assert_eq!(q.kl_to(&p).item(), Ok(f64::INFINITY));
    }
}
