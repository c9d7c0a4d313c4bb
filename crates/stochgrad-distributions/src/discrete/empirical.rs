//! The empirical distribution: one of given values, each as likely as the others. Use it to draw from data.
//!
//! $$P(X = x; v) = \frac{1}{n} \lvert\{i : v_i = x\}\rvert.$$
//!
//! Parameter: `values` $v$, finite, with the $n$ values along the last axis. The axes before it are the event shape:
//! independent choices. Support: the values.
//!
//! | capability | |
//! |---|---|
//! | score | none: the support moves with the values |
//! | reparameterised | the chosen value, any order |
//! | finite support | where there is one list of values |

use crate::discrete::discrete_uniform::DiscreteUniform;
use crate::distribution::FiniteSupport;
use crate::error::DistributionError;
use crate::prelude::*;
use stochgrad_tape::Smoothness;
use stochgrad_tensor::map::Map;

distribution! {
    /// One of the values along the last axis, each as likely as the others. Use it to draw from data.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Empirical};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let measured = Empirical::new(tape.constant([1.0, 2.0, 2.0, 5.0]));
    /// assert_eq!(measured.log_prob(tape.constant(2.0)).item()?, 0.5_f64.ln());
    /// # Ok(())
    /// # }
    /// ```
    pub struct Empirical {
        /// The values.
        values,
    }
}

impl<'t, F: Real> Empirical<Var<'t, F>> {
    /// One of the values along the last axis.
    pub fn new(values: Var<'t, F>) -> Self {
        Empirical { values }
    }

    fn nan_at_nan(&self, value: Var<'t, F>, share: Var<'t, F>) -> Var<'t, F> {
        value.map(Map::IsNan).select(value, share)
    }

    /// The number of values.
    pub fn count(&self) -> usize {
        self.values.shape().last().copied().unwrap_or(0)
    }
}

impl<'t, F: Real> Distribution<'t, F> for Empirical<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Empirical"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![Parameter::smooth("values", self.values).with_score(Smoothness::Jump)]
    }

    fn event_shape(&self) -> Shape {
        let shape = self.values.shape();
        shape.iter().take(shape.len().saturating_sub(1)).copied().collect()
    }

    fn support(&self) -> Support {
        Support::Values
    }

    /// The logarithm of the share of the values that are equal to this one.
    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.nan_at_nan(value, value.unsqueeze(-1).equal(self.values).mean_axis(-1)).ln()
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.rsample(draw)?.stop_gradient())
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.values.mean_axis(-1))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let deviations = self.values - self.values.mean_axis(-1).unsqueeze(-1);
        Some(deviations.square().mean_axis(-1))
    }

    fn validate(&self) -> DistributionResult<()> {
        if self.count() == 0 {
            let problem = format!("expected values along the last axis, got shape {}", self.values.shape());
            return Err(DistributionError::Unsupported { distribution: "Empirical", problem });
        }
        finite("Empirical", "values", self.values)
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Empirical<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.nan_at_nan(value, value.unsqueeze(-1).ge(self.values).mean_axis(-1))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.nan_at_nan(value, value.unsqueeze(-1).lt(self.values).mean_axis(-1))
    }
}

impl<'t, F: Real> Reparameterized<'t, F> for Empirical<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let tape = self.values.tape();
        let first = tape.constant(Tensor::zeros(self.event_shape()));
        let position = DiscreteUniform::new(first, self.count() as f64 - 1.0).sample(draw)?;
        let chosen = self.values.gather(-1, position.unsqueeze(-1));
        Ok(chosen.reshape(self.event_shape()))
    }
}

impl<'t, F: Real> FiniteSupport<'t, F> for Empirical<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        // Repeated values are one state. The list is no longer than the data.
        Ok(self.element_support()?.len() as u128)
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        if self.values.shape().len() != 1 || !self.values.plates().is_empty() {
            let problem =
                "the elements have different values, so that no one support fits all; sample them as separate nodes";
            return Err(DistributionError::Unsupported { distribution: "Empirical", problem: problem.into() });
        }
        let mut values = self.values.peek()?.to_vec();
        values.sort_by(|a, b| a.to_f64().total_cmp(&b.to_f64()));
        values.dedup();
        Ok(Tensor::from(values.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::KeyedNoise;
    use crate::testing::{check_family, on_samples};
    use stochgrad_tape::Tape;

    #[test]
    fn draws_and_probabilities_are_shares() {
        let tape = Tape::<f64>::new();
        let values = tape.parameter([1.0, 2.0, 2.0, 5.0]);
        let distribution = Empirical::new(values);
        distribution.validate().unwrap();
        assert_eq!(distribution.element_support().unwrap().to_vec(), [1.0, 2.0, 5.0]);
        assert_eq!(distribution.cdf(tape.constant([0.0, 2.0, 9.0])).peek().unwrap().to_vec(), [0.0, 0.75, 1.0]);
        assert_eq!((distribution.mean().unwrap().item(), distribution.variance().unwrap().item()), (Ok(2.5), Ok(2.25)));
        let noise = KeyedNoise::new(1, 0);
        let draw = on_samples(&tape, &noise, 40_000);
        let x = distribution.rsample(&draw).unwrap();
        assert_eq!(x.peek().unwrap(), distribution.draw(&draw).unwrap());
        let twos = x.peek().unwrap().as_slice().iter().filter(|&&x| x == 2.0).count() as f64;
        assert!((twos - 20_000.0).abs() < 400.0, "{twos}");
        let [gradient] = tape.backward(x.mean_over(draw.plates()[0]), [values]).unwrap();
        assert!(gradient.as_slice().iter().all(|share| (share - 0.25).abs() < 0.01), "{gradient:?}");
        check_family(&tape, &distribution, tape.constant(2.0));
    }

    #[test]
    fn lists_of_their_own_for_each_element() {
        let tape = Tape::<f64>::new();
        let distribution = Empirical::new(tape.parameter([[1.0, 2.0], [3.0, 3.0]]));
        assert_eq!(distribution.event_shape().to_vec(), [2]);
        let logs = distribution.log_prob_each(tape.constant([2.0, 3.0])).peek().unwrap();
        assert_eq!(logs.to_vec(), [0.5_f64.ln(), 0.0]);
        assert!(distribution.element_support().is_err());
        assert!(Empirical::new(tape.parameter(Tensor::zeros([0]))).validate().is_err());
    }
}
