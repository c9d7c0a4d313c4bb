//! The uniform distribution on the whole numbers between two bounds.
//!
//! $$P(X = k; l, h) = \frac{1}{h - l + 1}, \quad k \in \{l, l + 1, \dots, h\}.$$
//!
//! | capability | |
//! |---|---|
//! | finite support | where all elements have the same bounds |
//! | distribution function | yes, and its inverse |
//!
//! The bounds are whole numbers: there is nothing to differentiate by.

use crate::distribution::FiniteSupport;
use crate::distribution::whole;
use crate::error::DistributionError;
use crate::prelude::*;
use stochgrad_tape::Smoothness;

distribution! {
    /// Whole numbers between two bounds, both included.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, DiscreteUniform};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let die = DiscreteUniform::new(tape.constant(1.0), 6.0);
    /// assert!((die.log_prob(tape.constant(6.0)).item()? + 6.0_f64.ln()).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub struct DiscreteUniform {
        /// The smallest number.
        low,
        /// The largest number.
        high,
    }
}

impl<'t, F: Real> DiscreteUniform<Var<'t, F>> {
    /// Whole numbers from `low` to `high ≥ low`.
    pub fn new(low: Var<'t, F>, high: impl IntoVar<'t, F>) -> Self {
        DiscreteUniform { low, high: high.into_var(low.tape()) }
    }

    /// How many numbers there are.
    pub fn count(&self) -> Var<'t, F> {
        self.high - self.low + 1.0
    }
}

impl<'t, F: Real> Distribution<'t, F> for DiscreteUniform<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "DiscreteUniform"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let fixed = |name, var| Parameter::smooth(name, var).with_score(Smoothness::Jump).with_path(SamplePath::None);
        smallvec![fixed("low", self.low), fixed("high", self.high)]
    }

    fn event_shape(&self) -> Shape {
        common_shape(&[self.low, self.high])
    }

    fn support(&self) -> Support {
        Support::Integers
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let tape = value.tape();
        let whole = value.equal(value.floor());
        let inside = whole * value.ge(self.low) * value.le(self.high);
        inside.select(-self.count().ln(), tape.constant(f64::NEG_INFINITY))
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let event = self.event_shape();
        let (low, high) = (draw.parameter(self.low, &event)?, draw.parameter(self.high, &event)?);
        let bounds = |i: usize| (low.as_slice()[i].to_f64(), high.as_slice()[i].to_f64());
        let mut value = draw.invert(&event, &|i, k| {
            let (low, high) = bounds(i);
            ((k as f64 + 1.0) / (high - low + 1.0)).min(1.0)
        })?;
        value.make_mut().iter_mut().enumerate().for_each(|(i, x)| *x += low.as_slice()[i]);
        Ok(value)
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some((self.low + self.high) * 0.5)
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some((self.count().square() - 1.0) * (1.0 / 12.0))
    }

    fn validate(&self) -> DistributionResult<()> {
        whole("DiscreteUniform", "low", self.low, i64::MIN)?;
        whole("DiscreteUniform", "high", self.high, i64::MIN)?;
        let hint = "give the lower bound first";
        check_parameter("DiscreteUniform", "high - low", self.high - self.low, "at least 0", hint, |width| width >= 0.0)
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for DiscreteUniform<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        ((value.floor() - self.low + 1.0) / self.count()).clamp(0.0, 1.0)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for DiscreteUniform<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let steps = (probability * self.count()).ceil() - 1.0;
        (self.low + steps).maximum(self.low).minimum(self.high)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for DiscreteUniform<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        self.count().ln().sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for DiscreteUniform<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // Infinite where the other distribution does not reach both bounds of this one.
        let covered = other.low.le(self.low) * other.high.ge(self.high);
        let infinite = covered.tape().constant(f64::INFINITY);
        covered.select((other.count() / self.count()).ln(), infinite).sum()
    }
}

impl<'t, F: Real> FiniteSupport<'t, F> for DiscreteUniform<Var<'t, F>> {
    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        let unsettled = |problem: &str| {
            Err(DistributionError::Unsupported { distribution: "DiscreteUniform", problem: problem.into() })
        };
        let (low, high) = (self.low.peek()?, self.high.peek()?);
        let same = |bounds: &Tensor<F>| bounds.as_slice().iter().all(|bound| *bound == bounds.as_slice()[0]);
        if low.is_empty() || high.is_empty() {
            return unsettled("no element has bounds; give at least one");
        }
        if !(same(&low) && same(&high)) {
            return unsettled(
                "the elements have different bounds, so that no one support fits all; sample them as separate nodes",
            );
        }
        let (low, high) = (low.as_slice()[0], high.as_slice()[0]);
        let count = (high - low).to_f64() + 1.0;
        if !(1.0..=1e9).contains(&count) {
            return unsettled("the bounds are not those of a finite list; validate the parameters");
        }
        Ok(Tensor::from_fn([count as usize], |k| low + F::from_usize(k)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::KeyedNoise;
    use crate::testing::distribution_checks::on_samples;
    use stochgrad_tape::Tape;

    #[test]
    fn everything_follows_the_distribution() {
        let tape = Tape::<f64>::new();
        let distribution = DiscreteUniform::new(tape.constant(-2.0), 3.0);
        distribution.validate().unwrap();
        let logs = distribution.log_prob_each(tape.constant([-3.0, -2.0, 0.5, 3.0, 4.0])).peek().unwrap().to_vec();
        let (nothing, each) = (f64::NEG_INFINITY, -6.0_f64.ln());
        assert_eq!(logs, [nothing, each, nothing, each, nothing]);
        assert_eq!(distribution.element_support().unwrap().to_vec(), [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!((distribution.mean().unwrap().item(), distribution.entropy().item()), (Ok(0.5), Ok(6.0_f64.ln())));
        assert!((distribution.variance().unwrap().item().unwrap() - 35.0 / 12.0).abs() < 1e-14);
        let cdf = distribution.cdf(tape.constant([-2.5, -2.0, 0.7, 9.0])).peek().unwrap().to_vec();
        assert_eq!(cdf, [0.0, 1.0 / 6.0, 0.5, 1.0]);
        let back = distribution.icdf(tape.constant([0.0, 0.1, 0.5, 0.51, 1.0])).peek().unwrap().to_vec();
        assert_eq!(back, [-2.0, -2.0, 0.0, 1.0, 3.0]);
        let noise = KeyedNoise::new(5, 0);
        let draw = on_samples(&tape, &noise, 60_000);
        let sample = distribution.draw(&draw).unwrap();
        for k in -2..=3 {
            let found = sample.as_slice().iter().filter(|&&x| x == f64::from(k)).count() as f64;
            assert!((found - 10_000.0).abs() < 4.0 * 92.0, "{k}: {found}");
        }
    }

    #[test]
    fn divergences_and_mistakes() {
        let tape = Tape::<f64>::new();
        let distribution = |low: f64, high: f64| DiscreteUniform::new(tape.constant(low), high);
        assert!((distribution(1.0, 2.0).kl_to(&distribution(0.0, 3.0)).item().unwrap() - 2.0_f64.ln()).abs() < 1e-15);
        assert_eq!(distribution(0.0, 3.0).kl_to(&distribution(1.0, 3.0)).item(), Ok(f64::INFINITY));
        assert!(distribution(0.5, 2.0).validate().is_err() && distribution(3.0, 2.0).validate().is_err());
        assert!(distribution(0.0, f64::INFINITY).validate().is_err());
        let mixed = DiscreteUniform::new(tape.constant([0.0, 1.0]), 3.0);
        assert!(mixed.element_support().is_err());
        assert!(distribution(0.0, 0.0).entropy().item() == Ok(0.0));
    }
}
