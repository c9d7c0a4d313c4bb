//! Any distribution of numbers or counts, observed between two bounds: values beyond a bound are seen as the bound. It
//! models measuring devices that saturate, and lifetimes of what has not failed by the end of a study.
//!
//! $$X = \min(\max(Y, l), h), \quad P(X = l) = P(Y \le l), \quad P(X = h) = P(Y \ge h),$$
//!
//! with the density or probability of $Y$ between the bounds. The log-probability of a real number is that of the atom at
//! a bound, and else the log-density.
//!
//! Parameters: the bounds `low` $l$ and `high` $h > l$, either of which may be infinite, and those of the distribution of
//! $Y$, which needs a distribution function. The bounds broadcast to its event shape. Support: from $l$ to $h$, both
//! included.
//!
//! | capability | |
//! |---|---|
//! | score | of counts only, any order: the bounds of real numbers have derivatives, with which the atoms move |
//! | reparameterised | of real numbers, if $Y$ has a path: order 1, in the parameters of $Y$ and in the bounds |
//! | distribution function, survival function and their logarithms | those of $Y$ between the bounds; the inverses are quantiles of $Y$, moved to the nearest bound |

use crate::compound::bounds::{bounded, check_bounds, is_count};
use crate::compound::wrapper::lacks;
use crate::distribution::{CustomSupport, IntegerSupport};
use crate::prelude::*;
use stochgrad_tape::Smoothness;

bounded! {
    /// Samples of a distribution, moved to the nearest of two bounds where they are beyond them.
    ///
    /// ```
    /// use stochgrad_distributions::{Censored, Distribution, Exponential};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// // Lifetimes in a study that ends after three years.
    /// let lifetimes = Censored::new(Exponential::new(tape.constant(0.5)), 0.0, 3.0)?;
    /// assert!((lifetimes.log_prob(tape.constant(3.0)).item()? + 1.5).abs() < 1e-14);
    /// assert!((lifetimes.log_prob(tape.constant(1.0)).item()? - (0.5_f64.ln() - 0.5)).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    Censored, Clamped
}

impl<'t, F: Real, D: Distribution<'t, F>> Censored<Var<'t, F>, D> {
    /// Samples of `base`, at least `low` and at most `high`.
    ///
    /// # Errors
    /// If the distribution is none of single real numbers or of counts, if it has no distribution function, or if a bound
    /// does not broadcast to its elements.
    pub fn new(base: D, low: impl IntoVar<'t, F>, high: impl IntoVar<'t, F>) -> DistributionResult<Self> {
        let tape = base.tape()?;
        let (low, high) = (low.into_var(tape), high.into_var(tape));
        check_bounds("Censored", &[low, high], &base)?;
        Ok(Censored { inner: Clamped { base, low, high } })
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Clamped<Var<'t, F>, D> {
    /// The bounds: of counts, the smallest and the largest count between them, without derivatives.
    fn ends(&self) -> [Var<'t, F>; 2] {
        match is_count(&self.base) {
            true => [self.low.held().ceil(), self.high.held().floor()],
            false => [self.low, self.high],
        }
    }

    fn clamped(&self, value: Var<'t, F>) -> Var<'t, F> {
        let [low, high] = self.ends();
        value.maximum(low).minimum(high)
    }

    /// A function of the distribution inside between the bounds, and these values below and from the upper bound on.
    fn tail(
        &self,
        value: Var<'t, F>,
        ends: [f64; 2],
        function: impl FnOnce(&dyn CumulativeDistribution<'t, F>, Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        let tape = value.tape();
        let Some(base) = self.base.capabilities().cdf else { return tape.constant(f64::NAN) };
        let [low, high] = self.ends();
        let [below, above] = ends.map(|end| tape.constant(end));
        let inside = function(base, value);
        value.held().lt(low.held()).select(below, value.held().ge(high.held()).select(above, inside))
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Distribution<'t, F> for Clamped<Var<'t, F>, D> {
    fn name(&self) -> &'static str {
        "Censored"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let (first, counts) = (Order::Finite(1), is_count(&self.base));
        let bound = |name, var| match counts {
            true => Parameter::smooth(name, var).with_score(Smoothness::Constant).with_path(SamplePath::None),
            false => Parameter::smooth(name, var).with_score(Smoothness::Jump).with_path(SamplePath::Recorded(first)),
        };
        let of_base = self.base.parameters().into_iter().map(|parameter| {
            // A sample at a bound has a kink.
            let path = match parameter.path {
                SamplePath::None => SamplePath::None,
                SamplePath::Recorded(order) => SamplePath::Recorded(order.min(first)),
                SamplePath::Implicit(order) => SamplePath::Implicit(order.min(first)),
            };
            parameter.with_path(path)
        });
        [bound("low", self.low), bound("high", self.high)].into_iter().chain(of_base).collect()
    }

    fn event_shape(&self) -> Shape {
        self.base.event_shape()
    }

    fn support(&self) -> Support {
        match is_count(&self.base) {
            true => self.base.support(),
            false => {
                let name = "an interval with atoms at its ends";
                Support::Custom(CustomSupport { name, continuous_scalar: false, fixed: false })
            }
        }
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let tape = value.tape();
        let Some(base) = self.base.capabilities().cdf else { return tape.constant(f64::NAN) };
        let [low, high] = self.ends();
        let last = if is_count(&self.base) { high - 1.0 } else { high };
        let outside = Boundary::Included.outside((value - low).minimum(high - value));
        let own = value.held();
        let (at_low, at_high) = (own.equal(low.held()), own.equal(high.held()));
        let log = at_high.select(base.log_survival(last), self.base.log_prob_each(value));
        outside.select(tape.constant(f64::NEG_INFINITY), at_low.select(base.log_cdf(low), log))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.clamped(self.base.sample(draw)?).stop_gradient())
    }

    fn validate(&self) -> DistributionResult<()> {
        self.base.validate()?;
        let [low, high] = self.ends();
        let hint = "exchange the bounds, or use Delta for a single value";
        let condition = Condition::AtMost { above: 0.0, high: f64::INFINITY };
        check_parameter("Censored", "distance of the bounds", high - low, "positive", hint, condition)
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        let (base, counts) = (self.base.capabilities(), is_count(&self.base));
        Capabilities {
            score: base.score.filter(|_| counts).map(|_| self as _),
            reparameterized: base.reparameterized.filter(|_| !counts).map(|_| self as _),
            cdf: base.cdf.map(|_| self as _),
            icdf: base.icdf.map(|_| self as _),
            whole_numbers: base.whole_numbers.filter(|_| counts).map(|_| self as _),
            ..Capabilities::default()
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> CumulativeDistribution<'t, F> for Clamped<Var<'t, F>, D> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(value, [0.0, 1.0], |base, x| base.cdf(x))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(value, [1.0, 0.0], |base, x| base.survival(x))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(value, [f64::NEG_INFINITY, 0.0], |base, x| base.log_cdf(x))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(value, [0.0, f64::NEG_INFINITY], |base, x| base.log_survival(x))
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> QuantileFunction<'t, F> for Clamped<Var<'t, F>, D> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        match self.base.capabilities().icdf {
            Some(base) => self.clamped(base.icdf(probability)),
            None => probability.tape().constant(f64::NAN),
        }
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        match self.base.capabilities().icdf {
            Some(base) => self.clamped(base.inverse_survival(probability)),
            None => probability.tape().constant(f64::NAN),
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> IntegerSupport<'t, F> for Clamped<Var<'t, F>, D> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.base.capabilities().whole_numbers {
            Some(base) => base.has_successor(value) * value.lt(self.ends()[1]),
            None => value.tape().constant(f64::NAN),
        }
    }
}

impl<'t, F: Real, D: Distribution<'t, F>> Reparameterized<'t, F> for Clamped<Var<'t, F>, D> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        match self.base.capabilities().reparameterized {
            Some(path) => Ok(self.clamped(path.rsample(draw)?)),
            None => Err(lacks("Censored", "a path", "the distribution inside")),
        }
    }
}

impl<'t, F: Real, D: IntegerSupport<'t, F>> IntegerSupport<'t, F> for Censored<Var<'t, F>, D> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.inner.has_successor(value)
    }
}

#[cfg(test)]
mod tests;
