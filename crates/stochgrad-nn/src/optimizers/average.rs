//! Averages of parameters over past steps.

use std::collections::BTreeMap;

use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

use super::compiled_rule::CompiledRule;
use super::rule::{UpdateRule, Updated};
use super::slots::Slots;
use super::{OptimizerState, check_setting};
use crate::error::NnResult;
use crate::parameters::Parameters;

/// The average of the parameters over past steps, which often generalises better than the parameters themselves.
///
/// $$\bar\theta_t = \bar\theta_{t-1} + a_t\, (\theta_t - \bar\theta_{t-1}), \qquad a_t = \frac1t \quad\text{or}\quad
/// a_t = \frac{1 - \beta}{1 - \beta^t},$$
///
/// for the [uniform](Self::uniform) average (Polyak & Juditsky 1992) and the [exponential](Self::exponential) one. The
/// formula is recorded once and compiled for each shape of a parameter.
///
/// ```
/// use stochgrad_nn::{Average, Parameters};
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f64>::new();
/// parameters.insert("x", Tensor::scalar(1.0))?;
/// let mut average = Average::uniform();
/// for x in [1.0, 2.0, 6.0] {
///     parameters.set("x", Tensor::scalar(x))?;
///     average.update(&parameters)?;
/// }
/// let averaged = average.averaged(&parameters)?;
/// assert_eq!(averaged.get("x"), Some(&Tensor::scalar(3.0)));
/// # Ok::<(), stochgrad_nn::NnError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Average<F: Real> {
    rule: AverageRule,
    steps: u64,
    averages: Slots<F>,
    compiled: CompiledRule<F>,
}

/// The name of the slot.
pub(super) const AVERAGE: &str = "average";

/// The average as an update rule: the parameter is the average, and the gradient the value that is added.
#[derive(Clone, Copy, Debug)]
struct AverageRule {
    /// The decay of the exponential average.
    decay: Option<f64>,
}

impl<F: Real> UpdateRule<F> for AverageRule {
    fn kind(&self) -> &'static str {
        if self.decay.is_some() { "exponential average" } else { "uniform average" }
    }

    fn check(&self) -> NnResult<()> {
        let decay = self.decay.unwrap_or(0.0);
        check_setting("the decay of `Average`", decay, |decay| (0.0..1.0).contains(&decay), "a number in [0, 1)")
    }

    /// The share of this step.
    fn coefficients<'t>(&self, _rate: Var<'t, F>, step: Var<'t, F>) -> Vec<Var<'t, F>> {
        let share = match self.decay {
            None => step.recip(),
            // 1 − βᵗ without cancellation.
            Some(decay) => (decay - 1.0) / (step * decay.ln()).expm1(),
        };
        vec![share]
    }

    fn update<'t>(
        &self,
        coefficients: &[Var<'t, F>],
        parameter: Var<'t, F>,
        gradient: Var<'t, F>,
        _slots: &[Var<'t, F>],
    ) -> Updated<'t, F> {
        Updated { parameter: parameter + (gradient - parameter) * coefficients[0], slots: Vec::new() }
    }
}

impl<F: Real> Average<F> {
    fn of(decay: Option<f64>) -> Self {
        Average { rule: AverageRule { decay }, steps: 0, averages: Slots::default(), compiled: CompiledRule::default() }
    }

    /// The plain average of all steps.
    pub fn uniform() -> Self {
        Self::of(None)
    }

    /// The average in which the step `n` steps ago has a weight in proportion to `decayⁿ`, with a decay in [0, 1).
    pub fn exponential(decay: f64) -> Self {
        Self::of(Some(decay))
    }

    /// Adds the present values of the parameters. Buffers are not averaged.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`](crate::NnError::InvalidArgument) for a decay outside its domain, or if the shape of a parameter has changed. Nothing
    /// is changed in this case.
    pub fn update(&mut self, parameters: &Parameters<F>) -> NnResult<()> {
        self.update_where(parameters, |_| true)
    }

    /// As [`update`](Self::update), for some of the parameters.
    pub(super) fn update_where(
        &mut self,
        parameters: &Parameters<F>,
        is_averaged: impl Fn(&str) -> bool,
    ) -> NnResult<()> {
        self.check(parameters)?;
        let Average { rule, steps, averages, compiled } = self;
        compiled.start(*steps + 1, 0.0, |step, rate| rule.coefficients(rate, step))?;
        for (name, value) in parameters.iter().filter(|(name, _)| is_averaged(name)) {
            compiled.run(rule, value, &mut [], averages.tensor(name, value.shape()))?;
        }
        *steps += 1;
        Ok(())
    }

    pub(super) fn check(&self, parameters: &Parameters<F>) -> NnResult<()> {
        UpdateRule::<F>::check(&self.rule)?;
        self.averages.check(parameters)
    }

    /// A copy of the parameters with their averages, for an evaluation; see [`copy_to`](Self::copy_to).
    ///
    /// # Errors
    ///
    /// Those of [`copy_to`](Self::copy_to).
    pub fn averaged(&self, parameters: &Parameters<F>) -> NnResult<Parameters<F>> {
        let mut averaged = parameters.clone();
        self.copy_to(&mut averaged)?;
        Ok(averaged)
    }

    /// Gives parameters their averages, for an evaluation. Parameters without an average keep their values.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`](crate::NnError::InvalidArgument) if a parameter has another shape than its average.
    pub fn copy_to(&self, parameters: &mut Parameters<F>) -> NnResult<()> {
        self.averages.check(parameters)?;
        self.averages.state().into_iter().try_for_each(|(name, average)| match parameters.get(&name) {
            Some(_) => parameters.set(&name, average),
            None => Ok(()),
        })
    }

    /// The settings in words.
    pub(super) fn settings(&self) -> String {
        let kind = UpdateRule::<F>::kind(&self.rule);
        self.rule.decay.map_or_else(|| kind.into(), |decay| format!("{kind} with decay {decay}"))
    }

    /// The averages and the number of steps, for checkpoints.
    pub fn state(&self) -> OptimizerState<F> {
        OptimizerState {
            kind: UpdateRule::<F>::kind(&self.rule).into(),
            steps: self.steps,
            counters: BTreeMap::new(),
            slots: BTreeMap::from([(AVERAGE.into(), self.averages.state())]),
        }
    }

    /// Restores a state that [`state`](Self::state) returned.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`](crate::NnError::InvalidArgument) if the state belongs to another kind of average. Nothing is changed in this case.
    pub fn load_state(&mut self, state: &OptimizerState<F>) -> NnResult<()> {
        state.check(UpdateRule::<F>::kind(&self.rule), &[AVERAGE])?;
        self.restore(state.steps, state.slots.get(AVERAGE));
        Ok(())
    }

    pub(super) fn restore(&mut self, steps: u64, averages: Option<&BTreeMap<String, Tensor<F>>>) {
        self.steps = steps;
        self.averages = Slots::from_state(averages.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::NnError;
    use crate::testing::one_parameter;
    use approx::assert_abs_diff_eq;

    fn averaged(average: &mut Average<f64>, values: &[f64]) -> f64 {
        let mut parameters = one_parameter(Tensor::scalar(0.0));
        for &value in values {
            parameters.set("x", Tensor::scalar(value)).unwrap();
            average.update(&parameters).unwrap();
        }
        average.copy_to(&mut parameters).unwrap();
        parameters.get("x").unwrap().item().unwrap()
    }

    #[test]
    fn averages_have_the_weights_of_their_formula_and_go_on_from_their_state() {
        let values = [3.0, -1.0, 4.0, 1.0];
        let weighted = |weights: [f64; 4]| {
            let sum: f64 = weights.iter().zip(values).map(|(weight, value)| weight * value).sum();
            sum / weights.iter().sum::<f64>()
        };
        for (make, expected) in [
            (Average::uniform as fn() -> Average<f64>, weighted([1.0; 4])),
            (|| Average::exponential(0.5), weighted([0.125, 0.25, 0.5, 1.0])),
            (|| Average::exponential(0.0), 1.0),
        ] {
            assert_abs_diff_eq!(averaged(&mut make(), &values), expected, epsilon = 1e-14);
            let (mut first, mut second) = (make(), make());
            averaged(&mut first, &values[..2]);
            second.load_state(&first.state()).unwrap();
            assert_eq!(averaged(&mut second, &values[2..]), averaged(&mut first, &values[2..]));
        }
        assert!(Average::<f64>::uniform().load_state(&Average::exponential(0.9).state()).is_err());
    }

    #[test]
    fn another_model_and_a_wrong_decay_are_errors() {
        let mut average = Average::<f64>::exponential(0.9);
        average.update(&one_parameter(Tensor::scalar(1.0))).unwrap();
        let before = average.state();
        assert!(matches!(
            average.update(&one_parameter(Tensor::from([1.0, 2.0]))),
            Err(NnError::InvalidArgument { .. })
        ));
        assert_eq!(average.state(), before);
        assert!(Average::<f64>::exponential(1.0).update(&one_parameter(Tensor::scalar(1.0))).is_err());
    }
}
