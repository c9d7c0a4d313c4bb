//! The log-logistic distribution: positive values whose logarithm is logistic. It models lifetimes and incomes, with a
//! hazard that may rise and then fall, and a tail that is a power. In economics it is the Fisk distribution.
//!
//! $$p(x; \alpha, \beta) = \frac{\beta}{x}\,\frac{z^\beta}{(1 + z^\beta)^2}, \quad z = x/\alpha, \quad x > 0, \quad \alpha, \beta > 0.$$
//!
//! Parameters: `scale` $\alpha > 0$, which is the median, and `concentration` $\beta > 0$, the exponent of the tail. The
//! parameters broadcast; their common shape is the event shape, and each element is an independent value. Support: the
//! positive real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \alpha (U/(1 - U))^{1/\beta}$, any order |
//! | weak derivative with respect to $\alpha$ | $\beta/4\alpha$, $\alpha (e^{E/2} + \sqrt{e^E - 1})^{\pm 2/\beta}$ with the same $E$ in both parts: that of the [logistic distribution](crate::Logistic) of the logarithm by its location |
//! | weak derivative with respect to $\beta$ | $-1/\beta$; one replay: $\ln x$ moved away from $\ln\alpha$ until its density has fallen by $e^{-E}$ |
//!
//! A sample beyond the range of positive floating-point numbers is the nearest one. Its path keeps the derivative of the
//! logarithm.

use crate::continuous::logistic::{distance, sigmoid};
use crate::continuous::shaped_tail::{horner, where_finite};
use crate::derivative::known_logarithms::logarithm_of;
use crate::derivative::underflow::positive_exponential;
use crate::distribution::{above, finite_end};
use crate::prelude::*;
use std::f64::consts::{LN_2, PI};

distribution! {
    /// Positive values whose logarithm is logistic, given by the median and the exponent of the tail. Use it for
    /// lifetimes whose hazard rises and falls.
    ///
    /// ```
    /// use stochgrad_distributions::{CumulativeDistribution, LogLogistic};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let times = LogLogistic::new(tape.constant(2.0), 3.0);
    /// assert!((times.survival(tape.constant(4.0)).item()? - 1.0 / 9.0).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub struct LogLogistic {
        /// The median.
        scale: positive,
        /// The exponent of the tail.
        concentration: positive,
    }
    support: Positive
}

impl<'t, F: Real> LogLogistic<Var<'t, F>> {
    /// Values around the median `scale > 0`, with a tail of exponent `concentration > 0`.
    pub fn new(scale: Var<'t, F>, concentration: impl IntoVar<'t, F>) -> Self {
        LogLogistic { scale, concentration: concentration.into_var(scale.tape()) }
    }

    /// A tail as a function of the logit of the distribution function.
    fn tail(&self, tail: Tail, value: Var<'t, F>, function: impl FnOnce(Var<'t, F>) -> Var<'t, F>) -> Var<'t, F> {
        match logarithm_of(value) {
            Some(log) => tail.on_line(self.concentration * (log - self.scale.ln()), function),
            None => tail.on_half_line(value, |x| function(self.concentration * (x.ln() - self.scale.ln()))),
        }
    }

    /// π/β and π/β over its sine, where the moment of this order is finite, and what they are at a shape above it
    /// elsewhere.
    fn angle(&self, order: f64) -> (Var<'t, F>, Var<'t, F>, Var<'t, F>) {
        let finite = above(self.concentration - order, 0.0);
        let angle = finite.select(self.concentration, self.concentration.tape().constant(order * 2.0)).recip() * PI;
        (finite, angle, angle / angle.sin())
    }
}

impl<'t, F: Real> Distribution<'t, F> for LogLogistic<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let of_ratio = |log: Var<'t, F>| {
            // Where this would overflow, the density is 0.
            let most = F::MAX.to_f64() * 0.25;
            let logit = (self.concentration * log).clamp(-most, most);
            logit - log - logit.softplus() * 2.0 + (self.concentration.ln() - self.scale.ln())
        };
        match logarithm_of(value) {
            Some(log) => of_ratio(log - self.scale.ln()),
            None => {
                let value = value + finite_end(self.concentration, F::MIN_POSITIVE.to_f64());
                Boundary::Excluded.confine_positive(value, |x| of_ratio(x.ln() - self.scale.ln()))
            }
        }
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        // Infinite up to an exponent of 1.
        let (finite, _, ratio) = self.angle(1.0);
        Some(finite.select(self.scale * ratio, finite.tape().constant(f64::INFINITY)))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // Infinite up to an exponent of 2. With b = π/β, it is α² (2b/sin 2b − b²/sin² b), which is
        // α² b²/sin² b · (tan b/b − 1), without the cancellation for small b.
        let (finite, angle, ratio) = self.angle(2.0);
        let square = angle.square();
        let tape = angle.tape();
        let far = above(angle, 1.0);
        // sin b − b cos b over b³.
        let terms = (0..11).scan(-1.0, |factorial: &mut f64, j| {
            let n = 2.0 * f64::from(j) + 2.0;
            *factorial *= -n * (n + 1.0);
            Some(n / *factorial)
        });
        let series = horner(far.select(tape.constant(0.0), square), terms);
        let direct = (angle.sin() - angle * angle.cos()) / (square * angle);
        let spread = far.select(direct, series) / angle.cos();
        // The square of a large mean could overflow, and so could a derivative with the factor of it.
        let size = self.scale * ratio * angle;
        let variance = where_finite(size * (size * spread));
        Some(finite.select(variance, tape.constant(f64::INFINITY)))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        let b = self.concentration;
        let (rising, tape) = (above(b, 1.0), b.tape());
        let shape = rising.select(b, tape.constant(2.0));
        let place = (((shape - 1.0) / (shape + 1.0)).ln() / shape).exp();
        Some(self.scale * rising.select(place, tape.constant(0.0)))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for LogLogistic<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Lower, value, sigmoid)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Upper, value, |logit| sigmoid(-logit))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogLower, value, |logit| -(-logit).softplus())
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogUpper, value, |logit| -logit.softplus())
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for LogLogistic<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [0.0, f64::INFINITY], |p| {
            self.scale * ((p.ln() - (-p).log1p()) / self.concentration).exp()
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::INFINITY, 0.0], |p| {
            self.scale * (((-p).log1p() - p.ln()) / self.concentration).exp()
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for LogLogistic<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for LogLogistic<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let noise = draw.record_noise(self.scale.tape(), Fill::Logistic, &self.event_shape())?;
        Ok(positive_exponential(self.scale, noise / self.concentration))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for LogLogistic<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let [scale, concentration, sample] = [self.scale, self.concentration, sample].map(Var::stop_gradient);
        let (tape, event) = (sample.tape(), self.event_shape());
        let at = |logit: Var<'t, F>| positive_exponential(scale, logit / concentration);
        match parameter {
            0 => {
                let e = draw.purpose("level").record_exponential(tape, &event)?;
                let (radius, weight) = (distance(e), concentration / scale * 0.25);
                Ok(Some(Alternatives { values: vec![at(radius), at(-radius)], weights: vec![weight, -weight] }))
            }
            1 => {
                let e = draw.purpose("outward").record_exponential(tape, &event)?;
                let logit = concentration * (sample.ln() - scale.ln());
                // The density of the logit is that at 0 times sech² of half of it.
                let fallen = logit.abs() + (-logit.abs()).softplus() * 2.0 - 2.0 * LN_2 + e;
                let farther = at(logit.sign() * distance(fallen));
                Ok(Some(Alternatives { values: vec![farther], weights: vec![-concentration.recip()] }))
            }
            _ => Ok(None),
        }
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for LogLogistic<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() - self.concentration.ln() + 2.0).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(LogLogistic::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[0.8, 2.6], Domain::HeavyHalfLine).with_bounded_cost();
        distribution.assert_distribution(&[0.05, 0.9, 40.0], 51);
        assert_nothing_at(BUILD, &[0.8, 2.6], 0.0);
        assert_nothing_at(BUILD, &[0.8, 2.6], -1.0);
        for parameters in [[1e-8, 0.3], [1.0, 1.0], [1e8, 3.0], [1.0, 1e6]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::<f64>::new();
        let at_end = LogLogistic::new(tape.constant(0.5), 1.0).log_prob(tape.constant(0.0));
        assert!((at_end.item().unwrap() - 2.0_f64.ln()).abs() < 1e-15, "{at_end:?}");
    }

    /// Exponent and variance of the distribution with the median 1, from mpmath at 60 digits.
    const VARIANCES: [(f64, f64); 6] = [
        (2.25, 6.1546367648834055),
        (2.6, 1.9742943409568068),
        (3.0, 0.9562355373360892),
        (3.2, 0.7311300693043146),
        (40.0, 0.0020654971894535387),
        (10000000.0, 3.289868133696691e-14),
    ];

    #[test]
    fn variances_of_any_exponent() {
        for (concentration, known) in VARIANCES {
            let tape = Tape::<f64>::new();
            let variance = LogLogistic::new(tape.constant(1.0), concentration).variance().unwrap().item().unwrap();
            assert!((variance / known - 1.0).abs() < 1e-13, "{concentration}: {variance:e}, not {known:e}");
        }
    }
}
