//! The distribution of a certain value. Use it to hold a node of a model fixed, or as a component of a mixture, such as
//! an excess of zeros.
//!
//! $$P(X = v) = 1.$$
//!
//! Parameter: `value` $v$, finite; its shape is the event shape. Support: the value.
//!
//! | capability | |
//! |---|---|
//! | score | none: the support moves with the value |
//! | reparameterised | the value itself, any order |

use crate::discrete::tails::{Tail, of_probability, tails};
use crate::prelude::*;
use stochgrad_tape::Smoothness;
use stochgrad_tensor::map::Map;

distribution! {
    /// A value that is certain. Use it to hold a node fixed, or as a component of a mixture.
    ///
    /// ```
    /// use stochgrad_distributions::{Delta, Distribution};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let certain = Delta::new(tape.constant(2.0));
    /// assert_eq!(certain.log_prob(tape.constant(2.0)).item()?, 0.0);
    /// assert_eq!(certain.log_prob(tape.constant(2.1)).item()?, f64::NEG_INFINITY);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Delta {
        /// The value.
        value: finite.with_score(Smoothness::Jump),
    }
    support: Values
}

impl<'t, F: Real> Delta<Var<'t, F>> {
    /// The distribution of this value.
    pub fn new(value: Var<'t, F>) -> Self {
        Delta { value }
    }
}

impl<'t, F: Real> Distribution<'t, F> for Delta<Var<'t, F>> {
    declared!();

    /// A probability and not a density: 1 at the value, 0 elsewhere.
    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        // NaN stays NaN.
        let elsewhere = value.map(Map::MinScalar(f64::NEG_INFINITY));
        value.equal(self.value).select(value.tape().constant(0.0), elsewhere)
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.rsample(draw)?.stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.value)
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.value * 0.0)
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.value)
    }

    capabilities!();
}

impl<'t, F: Real> Delta<Var<'t, F>> {
    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        // Every number is at one of the ends.
        tail.of(value, [value.lt(self.value), value.ge(self.value)], value.tape().constant(0.0), |never| never)
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Delta<Var<'t, F>> {
    tails!();
}

impl<'t, F: Real> QuantileFunction<'t, F> for Delta<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        of_probability(probability, self.value)
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        of_probability(probability, self.value)
    }
}

impl<'t, F: Real> Reparameterized<'t, F> for Delta<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.value.expand_plates(draw.plates()))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Delta<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.value * 0.0).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::KeyedNoise;
    use crate::testing::{check_family, on_samples};
    use stochgrad_tape::Tape;

    #[test]
    fn everything_is_certain() {
        let tape = Tape::<f64>::new();
        let value = tape.parameter([1.5, -2.0]);
        let distribution = Delta::new(value);
        distribution.validate().unwrap();
        let noise = KeyedNoise::new(1, 0);
        let draw = on_samples(&tape, &noise, 3);
        let x = distribution.rsample(&draw).unwrap();
        assert_eq!(x.peek().unwrap(), distribution.draw(&draw).unwrap());
        assert_eq!(x.peek().unwrap().to_vec(), [1.5, -2.0, 1.5, -2.0, 1.5, -2.0]);
        let [gradient] = tape.backward(x.square().sum().sum_over(draw.plates()[0]), [value]).unwrap();
        assert_eq!(gradient.to_vec(), [9.0, -12.0]);
        assert_eq!(distribution.log_prob(tape.constant([1.5, 0.0])).item(), Ok(f64::NEG_INFINITY));
        assert_eq!(distribution.cdf(tape.constant([1.5, -3.0])).peek().unwrap().to_vec(), [1.0, 0.0]);
        assert_eq!((distribution.entropy().item(), distribution.variance().unwrap().sum().item()), (Ok(0.0), Ok(0.0)));
        check_family(&tape, &distribution, value);
        assert!(Delta::new(tape.constant(f64::NAN)).validate().is_err());
    }
}
