//! A continuous distribution on a bounded interval, written with public items only and checked by the public checks.
//!
//! The bounded Pareto distribution is a power law between two bounds, used for file sizes, service times and energies:
//!
//! $$p(x; \alpha) = \frac{\alpha\, l^\alpha x^{-\alpha - 1}}{1 - (l/h)^\alpha}, \quad l \le x \le h, \quad \alpha > 0.$$
//!
//! | capability | |
//! |---|---|
//! | score | any order: the bounds are fixed |
//! | reparameterised | $x = l \big(1 - U (1 - (l/h)^\alpha)\big)^{-1/\alpha}$, any order |
//! | distribution function and its inverse | elementary |

use stochgrad::distributions::{
    Boundary, CumulativeDistribution, Distribution, DistributionResult, Draw, Parameter, Parameters, QuantileFunction,
    Reparameterized, ScoreDifferentiable, Support, capabilities, family, positive,
};
use stochgrad::prelude::*;
use stochgrad::tape::special::log1mexp;
use stochgrad::tensor::{Real, Shape};

/// Numbers between two fixed bounds with a density that falls as a power.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoundedPareto<V> {
    low: f64,
    high: f64,
    exponent: V,
}

impl<V> BoundedPareto<V> {
    /// Numbers between `low` and `high`, `0 < low < high`, with the density in proportion to $x^{-\alpha - 1}$.
    pub(crate) fn new(low: f64, high: f64, exponent: V) -> Self {
        assert!(0.0 < low && low < high, "expected bounds with 0 < low < high, got {low} and {high}");
        BoundedPareto { low, high, exponent }
    }

    fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<BoundedPareto<W>, E> {
        Ok(BoundedPareto { low: self.low, high: self.high, exponent: f(&self.exponent)? })
    }

    /// The logarithm of the ratio of the bounds.
    fn span(&self) -> f64 {
        (self.high / self.low).ln()
    }
}

// Stores the distribution in a graph, and implements `rand::distr::Distribution` for `BoundedPareto<Tensor<F>>`.
family!(BoundedPareto);

impl<'t, F: Real> Distribution<'t, F> for BoundedPareto<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "BoundedPareto"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        [Parameter::smooth("exponent", self.exponent)].into_iter().collect()
    }

    fn event_shape(&self) -> Shape {
        self.exponent.shape()
    }

    fn support(&self) -> Support {
        Support::Between(self.low, self.high)
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let distance = (value - self.low).minimum(self.high - value);
        let middle = value.tape().constant((self.low * self.high).sqrt());
        Boundary::Included.confine(distance, value, middle, |x| {
            let log = x.ln();
            let above = log - self.low.ln();
            self.exponent.ln() - self.exponent * above - log - log1mexp(self.exponent * -self.span())
        })
    }

    // Recorded as operations on recorded noise, so that a compiled graph can draw again.
    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.rsample(draw)?.stop_gradient())
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.exponent * 0.0 + self.low)
    }

    fn validate(&self) -> DistributionResult<()> {
        positive("BoundedPareto", "exponent", self.exponent)
    }

    // The traits that are implemented below.
    capabilities!();
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for BoundedPareto<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for BoundedPareto<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let uniform = draw.record_uniform(self.exponent.tape(), &self.event_shape())?;
        // Rounding must not leave the support.
        Ok(self.icdf(uniform).clamp(self.low, self.high))
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for BoundedPareto<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        let above = value.clamp(self.low, self.high).ln() - self.low.ln();
        (self.exponent * -above).expm1() / (self.exponent * -self.span()).expm1()
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for BoundedPareto<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let survival = probability * (self.exponent * -self.span()).expm1();
        (-survival.log1p() / self.exponent).exp() * self.low
    }
}

/// Estimates the derivative of the mean logarithm with respect to the exponent by two methods.
pub(crate) fn demonstrate() -> Result<(), Box<dyn std::error::Error>> {
    let samples = 10_000;
    let estimate = |by_path: bool| -> Result<f64, Box<dyn std::error::Error>> {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(11));
        let size = BoundedPareto::new(1.0, 100.0, graph.param("exponent", 1.2)?);
        let size = match by_path {
            true => graph.sample("size", &size, &Pathwise::new().samples(samples))?,
            false => graph.sample("size", &size, &ScoreFunction::new().samples(samples).baseline(LeaveOneOut))?,
        };
        graph.cost("logarithm", size.ln())?;
        Ok(graph.backward()?.get("exponent")?.as_slice()[0])
    };
    println!(
        "derivative of the mean logarithm with respect to the exponent: {:.3} by path, {:.3} by score",
        estimate(true)?,
        estimate(false)?
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad::distributions::testing::{
        Build, DistributionCheck, Domain, assert_finite, assert_nothing_at, check_family,
    };

    const BUILD: Build = |p| Box::new(BoundedPareto::new(0.5, 4.0, p[0]));

    #[test]
    fn everything_follows_the_density() {
        for exponent in [0.3, 1.0, 2.5] {
            DistributionCheck::new(BUILD, &[exponent], Domain::Line(0.5, 4.0))
                .assert_distribution(&[0.6, 1.1, 3.7], 21);
        }
    }

    #[test]
    fn extremes_are_finite_and_nothing_is_outside() {
        for exponent in [1e-6, 1.0, 1e3] {
            assert_finite(BUILD, &[exponent], 5);
        }
        for value in [-1.0, 0.4, 4.1] {
            assert_nothing_at(BUILD, &[1.2], value);
        }
    }

    #[test]
    fn a_graph_stores_it() {
        let tape = Tape::<f64>::new();
        let distribution = BoundedPareto::new(0.5, 4.0, tape.parameter(1.2));
        check_family(&tape, &distribution, tape.constant(2.0));
        assert!(BoundedPareto::new(0.5, 4.0, tape.constant(-1.0)).validate().is_err());
    }

    #[test]
    fn both_methods_estimate_the_same_derivative() {
        demonstrate().expect("estimates");
    }
}
