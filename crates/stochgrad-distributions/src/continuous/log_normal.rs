//! The log-normal distribution: the exponential of a normal sample. It models positive values that are products of many
//! factors, such as incomes and sizes.
//!
//! $$p(x; \mu, \sigma) = \frac{1}{x\sigma\sqrt{2\pi}} \exp\Big(-\frac{(\ln x - \mu)^2}{2\sigma^2}\Big), \quad x > 0, \quad \sigma > 0.$$
//!
//! Parameters: `location` $\mu$, any real number, and `scale` $\sigma > 0$, the mean and the standard deviation of the
//! logarithm. The parameters broadcast; their common shape is the event shape, and each element is an independent
//! value. Support: the positive real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \exp(\mu + \sigma\varepsilon)$, any order |
//! | weak derivatives | those of the [normal distribution](crate::Normal), both parts pushed through the exponential, with the same constants |
//!
//! A sample beyond the range of positive floating-point numbers is the nearest one. Its path keeps the derivative of the
//! logarithm.

use crate::continuous::normal::Normal;
use crate::derivative::known_logarithms::logarithm_of;
use crate::derivative::own_draws::{lost_by_own_draw, marked};
use crate::derivative::underflow::{largest_logarithm, smallest_logarithm};
use crate::prelude::*;
use std::f64::consts::PI;
use stochgrad_tensor::map::Map;

distribution! {
    /// Positive values whose logarithm is normal, given by location and scale of the logarithm.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, LogNormal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let incomes = LogNormal::new(tape.constant(1.0), 0.5);
    /// assert!((incomes.mean().unwrap().item()? - 1.125_f64.exp()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct LogNormal {
        /// The location of the logarithm.
        location: finite,
        /// The scale of the logarithm.
        scale: positive,
    }
    support: Positive
}

impl<'t, F: Real> LogNormal<Var<'t, F>> {
    /// Exponentials of normal samples around `location` with standard deviation `scale > 0`.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        LogNormal { location, scale: scale.into_var(location.tape()) }
    }

    /// Exponentials of normal samples whose standard deviation is `exp(log_scale)`.
    pub fn from_log_scale(location: Var<'t, F>, log_scale: Var<'t, F>) -> Self {
        LogNormal { location, scale: log_scale.exp() }
    }

    /// The distribution of the logarithm.
    pub fn logarithm(&self) -> Normal<Var<'t, F>> {
        Normal::new(self.location, self.scale)
    }
}

impl<'t, F: Real> Distribution<'t, F> for LogNormal<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let height = -(self.scale.ln() + 0.5 * (2.0 * PI).ln());
        let of_logarithm = |log: Var<'t, F>| {
            let z = (log - self.location) / self.scale;
            (height - log) - z.square() * 0.5
        };
        match logarithm_of(value) {
            Some(log) => of_logarithm(log),
            None => Boundary::Excluded.confine_positive(value, |x| {
                // The logarithm with which a sample was drawn has neither been limited nor rounded by the exponential.
                let log = x.ln();
                of_logarithm(lost_by_own_draw(value, |drawn| drawn - log.held()).map_or(log, |lost| log + lost))
            }),
        }
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some((self.location + self.scale.square() * 0.5).exp())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let square = self.scale.square();
        Some((self.location * 2.0 + square).exp() * square.expm1())
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some((self.location - self.scale.square()).exp())
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for LogNormal<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        match logarithm_of(value) {
            Some(log) => self.logarithm().cdf(log),
            None => Tail::Lower.on_half_line(value, |x| self.logarithm().cdf(x.ln())),
        }
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        match logarithm_of(value) {
            Some(log) => self.logarithm().survival(log),
            None => Tail::Upper.on_half_line(value, |x| self.logarithm().survival(x.ln())),
        }
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        match logarithm_of(value) {
            Some(log) => self.logarithm().log_cdf(log),
            None => Tail::LogLower.on_half_line(value, |x| self.logarithm().log_cdf(x.ln())),
        }
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        match logarithm_of(value) {
            Some(log) => self.logarithm().log_survival(log),
            None => Tail::LogUpper.on_half_line(value, |x| self.logarithm().log_survival(x.ln())),
        }
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for LogNormal<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [0.0, f64::INFINITY], |p| self.logarithm().icdf(p).exp())
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::INFINITY, 0.0], |p| self.logarithm().inverse_survival(p).exp())
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for LogNormal<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for LogNormal<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let log = self.logarithm().rsample(draw)?;
        // Limited as in `positive_exponential`, by numbers.
        Ok(marked(log.map(Map::ExpWithin(smallest_logarithm::<F>(), largest_logarithm::<F>())), log))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for LogNormal<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let recorded = self.logarithm().weak_derivative(parameter, sample.ln(), draw)?;
        Ok(recorded.map(|parts| Alternatives {
            values: parts.values.into_iter().map(Var::exp).collect(),
            weights: parts.weights,
        }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for LogNormal<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        self.logarithm().entropy() + self.location.broadcast_to(self.event_shape()).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for LogNormal<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        self.logarithm().kl_to(&other.logarithm())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(LogNormal::new(p[0], p[1]));

    fn distribution() -> DistributionCheck {
        DistributionCheck::new(BUILD, &[0.2, 0.4], Domain::HalfLine)
    }

    #[test]
    fn everything_follows_the_distribution() {
        distribution().assert_distribution(&[0.3, 1.1, 4.0], 1);
        assert_nothing_at(BUILD, &[0.2, 0.4], 0.0);
        assert_nothing_at(BUILD, &[0.2, 0.4], -1.0);
        for parameters in [[0.0, 1e-8], [100.0, 1.0], [-3.0, 10.0]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    #[test]
    fn divergence_is_the_expected_difference() {
        let tape = Tape::new();
        let q = LogNormal::from_log_scale(tape.constant(-0.4), tape.constant(0.7_f64.ln()));
        let p = LogNormal::new(tape.constant(0.2), 0.4);
        distribution().assert_divergence(&[-0.4, 0.7], p.kl_to(&q).item().unwrap());
    }
}
