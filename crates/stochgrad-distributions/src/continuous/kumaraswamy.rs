//! The Kumaraswamy distribution: values between 0 and 1, much like those of the beta distribution, with an elementary
//! distribution function and inverse. Use it in place of the beta distribution where the exact path is needed at every
//! order.
//!
//! $$p(x; a, b) = a b x^{a - 1} (1 - x^a)^{b - 1}, \quad 0 < x < 1, \quad a, b > 0.$$
//!
//! Parameters: the exponents `a` $a > 0$ and `b` $b > 0$. The parameters broadcast; their common shape is the event
//! shape, and each element is an independent value. Support: the open unit interval.
//!
//! An exponent $b$ above 1.8e305 (3.4e35 in `f32`) is refused, since log-probabilities overflow.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = (1 - U^{1/b})^{1/a}$, any order |
//!
//! No weak derivative with a simple sampler is known.
//!
//! Source: Kumaraswamy, "A generalized probability density function for double-bounded random processes", 1980.

use crate::derivative::known_logarithms::log_odds_of;
use crate::distribution::{above, finite_end, log_one_minus_exp_exp, one_minus_exp};
use crate::prelude::*;

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

distribution! {
    /// Values between 0 and 1 with the distribution function 1 − (1 − x^a)^b. Use it in place of the beta distribution
    /// for an explicit path.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Kumaraswamy};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = Kumaraswamy::new(tape.constant(2.0), 1.0);
    /// assert!((distribution.mean().unwrap().item()? - 2.0 / 3.0).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Kumaraswamy {
        /// The inner exponent.
        a: positive,
        /// The outer exponent.
        b: counted,
    }
    support: UnitInterval
}

/// Checks that an exponent is positive, and that its product with the logarithm of any probability is within the range of
/// numbers.
fn counted<F: Real>(distribution: &'static str, parameter: &'static str, var: Var<'_, F>) -> DistributionResult<()> {
    let expected = "a positive number of at most 1.8e305 (3.4e35 in f32)";
    let hint = "a larger exponent has log-probabilities beyond the range of numbers";
    let condition = Condition::AtMost { above: 0.0, high: F::MAX.to_f64() * 1e-3 };
    check_parameter(distribution, parameter, var, expected, hint, condition)
}

impl<'t, F: Real> Kumaraswamy<Var<'t, F>> {
    /// Values between 0 and 1 with exponents `a > 0` and `b > 0`.
    pub fn new(a: Var<'t, F>, b: impl IntoVar<'t, F>) -> Self {
        Kumaraswamy { a, b: b.into_var(a.tape()) }
    }
}

impl<'t, F: Real> Kumaraswamy<Var<'t, F>> {
    /// The log-density at the value with this logit, which may have rounded to 0 or 1.
    fn log_prob_of_logit(&self, odds: Var<'t, F>) -> Var<'t, F> {
        let rest = self.rest_of_logit(odds);
        self.a.ln() + self.b.ln() + (self.a - 1.0) * odds.log_sigmoid() + (self.b - 1.0) * rest
    }

    /// ln(1 − x^a) at the value x with this logit.
    fn rest_of_logit(&self, odds: Var<'t, F>) -> Var<'t, F> {
        let least = F::MIN_POSITIVE.to_f64();
        let (log, complement) = (odds.log_sigmoid(), (-odds).log_sigmoid());
        // ln x is −e^(−odds) above, and 1 − x^a is −a ln x where that has underflowed.
        let beyond = complement - complement.clamp(least.ln(), 0.0);
        special::log1mexp(self.a * log.clamp(f64::NEG_INFINITY, -least)) + beyond
    }

    /// A tail, as a function of the logarithm of x and that of the survival function there.
    fn tail(
        &self,
        value: Var<'t, F>,
        tail: Tail,
        function: impl Fn(Var<'t, F>, Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        match log_odds_of(value) {
            Some(odds) => tail.on_line(odds, |odds| {
                let odds = odds.clamp(-F::MAX.to_f64(), F::MAX.to_f64());
                function(odds.log_sigmoid(), self.b * self.rest_of_logit(odds))
            }),
            None => tail.on_unit_interval(value, |x| function(x.ln(), self.log_upper(x))),
        }
    }

    /// The logarithm of the survival function inside the unit interval: b ln(1 − x^a).
    fn log_upper(&self, x: Var<'t, F>) -> Var<'t, F> {
        self.b * special::log1mexp(self.a * x.ln())
    }
}

impl<'t, F: Real> Distribution<'t, F> for Kumaraswamy<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(odds) = log_odds_of(value) {
            return self.log_prob_of_logit(odds);
        }
        // Above 1 the logarithm is positive, and that of the power of the other end does not exist.
        let step = F::MIN_POSITIVE.to_f64();
        let (near_zero, near_one) = (value + finite_end(self.a, step), (1.0 - value) + finite_end(self.b, step));
        let outside = Boundary::Excluded.outside(near_zero.minimum(near_one));
        let log = near_zero.ln();
        let rest = special::log1mexp(self.a * log - finite_end(self.b, step));
        let density = self.a.ln() + self.b.ln() + (self.a - 1.0) * log + (self.b - 1.0) * rest;
        outside.select(value.tape().constant(f64::NEG_INFINITY), density)
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.moment(1.0))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // From the logarithm of the second moment over the squared mean, with
        // E xⁿ = Γ(1 + n/a) Γ(1 + b) / Γ(1 + n/a + b).
        let (one, step) = (self.a.tape().constant(1.0), self.a.recip());
        let second = special::log_gamma_second_difference;
        let (squared_mean, log_ratio) = (self.moment(1.0).square(), second(one, step) - second(self.b + 1.0, step));
        // Where the second moment is much larger, the ratio may overflow, and there is nothing to cancel.
        let far = log_ratio.held().gt(one);
        let near = squared_mean * far.select(one, log_ratio).expm1();
        Some(far.select(self.moment(2.0) - squared_mean, near))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        // ((a − 1) / (ab − 1))^(1/a) if both exponents are above 1. If one of them is, the end at which the
        // density is highest; else NaN.
        let (a, b) = (self.a, self.b);
        let (rising, falling) = ((a - 1.0).step(), (b - 1.0).step());
        let tape = a.tape();
        let one_end = rising.select(tape.constant(1.0), falling.select(tape.constant(0.0), tape.constant(f64::NAN)));
        let both = rising * falling;
        let (safe_a, safe_b) = (both.select(a, tape.constant(2.0)), both.select(b, tape.constant(2.0)));
        let inner = (((safe_a - 1.0) / (safe_a * safe_b - 1.0)).ln() / safe_a).exp();
        Some(both.select(inner, one_end))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Kumaraswamy<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(value, Tail::Lower, |_, upper| one_minus_exp(-upper))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(value, Tail::Upper, |_, upper| upper.exp())
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(value, Tail::LogLower, |log, upper| {
            // Where x^a is below the rounding of 1, the probability is b x^a.
            let log_power = self.a * log;
            let small = log_one_minus_exp_exp(log_power + self.b.ln());
            above(log_power, -37.0).select(special::log1mexp(upper), small)
        })
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(value, Tail::LogUpper, |_, upper| upper)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Kumaraswamy<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [0.0, 1.0], |p| (special::log1mexp((-p).log1p() / self.b) / self.a).exp())
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [1.0, 0.0], |p| (special::log1mexp(p.ln() / self.b) / self.a).exp())
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Kumaraswamy<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Kumaraswamy<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let e = draw.record_noise(self.a.tape(), Fill::Exponential, &self.event_shape())?;
        let value = (special::log1mexp(-e / self.b) / self.a).exp();
        Ok(value.clamp(F::MIN_POSITIVE.to_f64(), 1.0 - F::EPSILON.to_f64() / 2.0))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Kumaraswamy<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let (a, b) = (self.a, self.b);
        let harmonic = (b + 1.0).digamma() + EULER;
        (1.0 - b.recip() + (1.0 - a.recip()) * harmonic - a.ln() - b.ln()).sum()
    }
}

impl<'t, F: Real> Kumaraswamy<Var<'t, F>> {
    /// E[xⁿ] = b B(1 + n/a, b).
    fn moment(&self, power: f64) -> Var<'t, F> {
        (self.b.ln() + special::log_beta(self.a.recip() * power + 1.0, self.b)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Kumaraswamy::new(p[0], p[1]));

    /// Values of b B(1 + 2/a, b) − (b B(1 + 1/a, b))² from mpmath.
    #[test]
    fn variances_where_the_mean_underflows_or_the_moments_are_far_apart() {
        let tape = Tape::<f64>::new();
        for (a, b, expected) in [
            (0.001, 10000000000.0, 0.0),
            (0.01, 100000.0, 0.0),
            (0.3, 2.5, 0.012900148954685069),
            (0.8, 40.0, 0.00017680732503131864),
            (2.3, 1.4, 0.048379931181520064),
        ] {
            let parameters = [a, b].map(|value| tape.parameter(value));
            let variance = Kumaraswamy::new(parameters[0], parameters[1]).variance().unwrap();
            let found = variance.item().unwrap();
            assert!((found - expected).abs() <= 1e-12 * expected, "{a}, {b}: {found:e}, not {expected:e}");
            for slope in tape.backward(variance, parameters).unwrap() {
                assert!(slope.all_finite(), "{a}, {b}: {slope:?}");
            }
        }
    }

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[2.3, 1.4], Domain::UnitInterval);
        distribution.assert_distribution(&[0.05, 0.4, 0.98], 101);
        assert_nothing_at(BUILD, &[2.3, 1.4], 0.0);
        assert_nothing_at(BUILD, &[2.3, 1.4], -0.1);
        assert_nothing_at(BUILD, &[2.3, 1.4], 1.0);
        assert_nothing_at(BUILD, &[2.3, 1.4], 1.2);
        for parameters in [[0.1, 0.1], [1e-2, 1e6], [1.0, 1.0], [1e6, 1e6]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    #[test]
    fn exponents_without_log_probabilities_are_refused() {
        let tape = Tape::<f32>::new();
        let validated = |b: f64| Kumaraswamy::new(tape.constant(1e-20), b).validate();
        assert!(validated(1e37).unwrap_err().to_string().contains("log-probabilities beyond"));
        assert!(validated(1e35).is_ok());
    }
}
