//! The uniform distribution on the integers between two bounds, both included, such as the roll of a die.
//!
//! $$P(X = k; l, h) = \frac{1}{h - l + 1}, \quad k \in \{l, l + 1, \dots, h\}.$$
//!
//! Parameters: the bounds `low` $l$ and `high` $h \ge l$, integers that are not differentiated. The parameters
//! broadcast; their common shape is the event shape, and each element is an independent value. Support: $l, \dots, h$.
//!
//! | capability | |
//! |---|---|
//! | finite support | where all elements have the same bounds |
//! | distribution function | yes, and its inverse |
//!
//! The bounds are integers, so that there are no derivatives with respect to them: a derivative of the log-probability,
//! the entropy or a divergence with respect to a bound is an error.

use crate::derivative::weak::drawn_by_quantile;
use crate::discrete::tails::{Tail, of_probability, tails};
use crate::distribution::FiniteSupport;
use crate::distribution::consecutive::{count_integers, list_integers};
use crate::distribution::whole;
use crate::error::DistributionError;
use crate::prelude::*;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_tape::{Degree, Description, Primitive, PrimitiveInputs, Smoothness, TapeError};
use stochgrad_tensor::map::Map;

distribution! {
    /// Integers between two bounds, both included, which are equally likely.
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
        /// The smallest value.
        low,
        /// The largest value.
        high,
    }
}

impl<'t, F: Real> DiscreteUniform<Var<'t, F>> {
    /// Integers from `low` to `high ≥ low`.
    pub fn new(low: Var<'t, F>, high: impl IntoVar<'t, F>) -> Self {
        DiscreteUniform { low, high: high.into_var(low.tape()) }
    }

    /// The number of values.
    pub fn count(&self) -> Var<'t, F> {
        self.high - self.low + 1.0
    }

    /// The logarithm of the number of values, which has no derivative with respect to the bounds.
    fn log_count(&self) -> Var<'t, F> {
        self.low.tape().custom(Arc::new(WholeNumber), &[self.count()]).ln()
    }

    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
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
}

/// The same number; a derivative with respect to it is an error.
struct WholeNumber;

impl<F: Real> Primitive<F> for WholeNumber {
    fn name(&self) -> &str {
        "whole number"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        match inputs.values {
            [value] => Ok(value.clone()),
            _ => Err(format!("expected one value, got {}", inputs.values.len())),
        }
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        inputs.first().map(|&value| Description::of(value))
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], output: Var<'t, F>, _adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        let message = "DiscreteUniform: expected no derivative with respect to the bounds, which are integers, got a \
                       cost that asks for one; apply `stop_gradient` to the bounds"
            .into();
        let at = output.location().unwrap_or(Location::caller());
        vec![Some(inputs[0].tape().fail(TapeError::Other { message, at }))]
    }

    fn degree(&self, operands: &[Degree]) -> Degree {
        operands[0]
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
        // NaN stays NaN.
        let elsewhere = value.map(Map::MinScalar(f64::NEG_INFINITY));
        let whole = value.equal(value.floor());
        let inside = whole * value.ge(self.low) * value.le(self.high);
        inside.select(-self.log_count(), elsewhere)
    }

    drawn_by_quantile!(Fill::Folded, |values, noise| {
        // From the nearer end, where the noise has most digits.
        let steps = (noise.abs() * values.count()).ceil() - 1.0;
        let value = noise.gt(noise * 0.0).select(values.low + steps, values.high - steps);
        value.maximum(values.low).minimum(values.high)
    });

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
        check_parameter(
            "DiscreteUniform",
            "high - low",
            self.high - self.low,
            "at least 0",
            hint,
            Condition::Between { low: 0.0, high: f64::INFINITY },
        )
    }

    capabilities!();
}

impl<'t, F: Real> DiscreteUniform<Var<'t, F>> {
    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        tail.of(value, [value.lt(self.low), value.ge(self.high)], self.low, |number| {
            let (up_to, beyond) = (number - self.low + 1.0, self.high - number);
            // At a single value every argument is at an end.
            let beyond = beyond.maximum(value.tape().constant(0.5));
            match tail {
                Tail::Lower => up_to / self.count(),
                Tail::Upper => beyond / self.count(),
                Tail::LogLower => special::log_ratio(up_to, self.count()),
                Tail::LogUpper => special::log_ratio(beyond, self.count()),
            }
        })
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for DiscreteUniform<Var<'t, F>> {
    tails!();
}

impl<'t, F: Real> QuantileFunction<'t, F> for DiscreteUniform<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        // Reduced by the rounding error, so that the quantile of the distribution function at k is k.
        let numbers = (probability * self.count() * (1.0 - 4.0 * F::EPSILON.to_f64())).ceil();
        of_probability(probability, (self.low + (numbers - 1.0)).maximum(self.low).minimum(self.high))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let numbers = (probability * self.count() * (1.0 + 4.0 * F::EPSILON.to_f64())).floor();
        of_probability(probability, (self.high - numbers).maximum(self.low).minimum(self.high))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for DiscreteUniform<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        self.log_count().sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for DiscreteUniform<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // Infinite where the other distribution does not reach both bounds of this one.
        let covered = other.low.le(self.low) * other.high.ge(self.high);
        let infinite = covered.tape().constant(f64::INFINITY);
        covered.select(other.log_count() - self.log_count(), infinite).sum()
    }
}

impl<F: Real> DiscreteUniform<Var<'_, F>> {
    /// The bounds of all elements.
    ///
    /// # Errors
    /// If the elements have different bounds.
    fn common_bounds(&self) -> DistributionResult<(F, F)> {
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
        Ok((low.as_slice()[0], high.as_slice()[0]))
    }
}

impl<'t, F: Real> FiniteSupport<'t, F> for DiscreteUniform<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        let (low, high) = self.common_bounds()?;
        count_integers("DiscreteUniform", low, high)
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        let (low, high) = self.common_bounds()?;
        list_integers(self, low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::on_samples;
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::{PlateKind, Plates, Tape};

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
        assert_abs_diff_eq!(distribution.variance().unwrap().item().unwrap(), 35.0 / 12.0, epsilon = 1e-14);
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
    fn a_derivative_with_respect_to_a_bound_is_an_error() {
        type Number = for<'t> fn(DiscreteUniform<Var<'t, f64>>) -> Var<'t, f64>;
        let numbers: [Number; 3] = [
            |distribution| distribution.log_prob(distribution.low.tape().constant(3.0)),
            |distribution| distribution.entropy(),
            |distribution| distribution.kl_to(&DiscreteUniform::new(distribution.low.tape().constant(0.0), 9.0)),
        ];
        for number in numbers {
            let tape = Tape::<f64>::new();
            let (low, high) = (tape.parameter(1.0), tape.parameter(6.0));
            let message = tape.backward(number(DiscreteUniform::new(low, high)), [low]).unwrap_err().to_string();
            assert!(message.contains("bounds") && message.contains("stop_gradient"), "{message}");
        }
        let fixed = Tape::<f64>::new();
        let (low, slope) = (fixed.parameter(1.0), fixed.parameter(0.5));
        let log = DiscreteUniform::new(low.stop_gradient(), 6.0).log_prob(fixed.constant(3.0)) * slope;
        let [by_low, by_slope] = fixed.backward(log, [low, slope]).unwrap();
        assert_eq!((by_low.item(), by_slope.item()), (Ok(0.0), Ok(-6.0_f64.ln())));
    }

    #[test]
    fn no_end_is_drawn_more_often() {
        let tape = Tape::<f32>::new();
        let distribution = DiscreteUniform::new(tape.constant(-1.0), 1.0);
        let noise = KeyedNoise::new(6, 0);
        let plate = tape.plate("samples", 300_000, PlateKind::Samples, &[]);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        let sample = distribution.sample(&draw).unwrap().peek().unwrap();
        for k in -1..=1 {
            let found = sample.as_slice().iter().filter(|&&x| x == k as f32).count() as f64;
            assert!((found - 1e5).abs() < 4.0 * 258.2, "{k}: {found}");
        }
        let all = distribution.icdf(tape.constant([f32::MIN_POSITIVE, 1.0 - f32::EPSILON / 2.0])).peek().unwrap();
        assert_eq!(all.to_vec(), [-1.0, 1.0]);
    }

    #[test]
    fn divergences_and_mistakes() {
        let tape = Tape::<f64>::new();
        let distribution = |low: f64, high: f64| DiscreteUniform::new(tape.constant(low), high);
        assert_abs_diff_eq!(
            distribution(1.0, 2.0).kl_to(&distribution(0.0, 3.0)).item().unwrap(),
            2.0_f64.ln(),
            epsilon = 1e-15
        );
        assert_eq!(distribution(0.0, 3.0).kl_to(&distribution(1.0, 3.0)).item(), Ok(f64::INFINITY));
        assert!(distribution(0.5, 2.0).validate().is_err() && distribution(3.0, 2.0).validate().is_err());
        assert!(distribution(0.0, f64::INFINITY).validate().is_err());
        let mixed = DiscreteUniform::new(tape.constant([0.0, 1.0]), 3.0);
        assert!(mixed.element_support().is_err());
        assert!(distribution(0.0, 0.0).entropy().item() == Ok(0.0));
    }
}
