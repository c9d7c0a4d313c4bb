//! Optimisers, which update parameters with their gradients.

mod accumulation;
mod adam;
mod average;
mod compiled_rule;
mod descent;
mod rms_prop;
mod rule;
#[cfg(feature = "serde")]
mod settings;
mod sgd;
mod slots;

pub use adam::{Adam, AdamRule, AdamW};
pub use average::Average;
pub use descent::{CompiledStep, Descent, UpdatedParameter};
pub use rms_prop::{RmsProp, RmsPropRule};
pub use rule::{UpdateRule, Updated};
#[cfg(feature = "serde")]
pub use settings::{AverageSettings, ClipSettings, OptimizerSettings, RuleSettings};
pub use sgd::{Sgd, SgdRule};
pub use stochgrad_tape::descent::Schedule;

use std::collections::BTreeMap;

use stochgrad_graph::Gradients;
use stochgrad_tensor::descent::squares_are_finite;
use stochgrad_tensor::{Real, Shape, Tensor};

use crate::error::{NnError, NnResult};
use crate::parameters::{Parameters, in_words};

/// A rule that updates parameters with their gradients to decrease the cost.
pub trait Optimizer<F: Real> {
    /// Makes one step: updates every parameter that has a gradient.
    ///
    /// A parameter that the graph did not use has no gradient. It is not changed, and neither is the state of the
    /// optimiser for it. Gradients of other names are ignored, so that two optimisers can share a graph. Buffers and
    /// [frozen](Parameters::freeze) parameters are never changed.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if a setting is outside its domain, no parameter has a gradient, or a gradient has
    /// another shape than its parameter or contains a NaN or an infinity. Nothing is changed in this case.
    fn step(&mut self, parameters: &mut Parameters<F>, gradients: &Gradients<F>) -> NnResult<()>;

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64;

    /// Sets the learning rate of all further steps, in place of a schedule.
    fn set_learning_rate(&mut self, learning_rate: f64);

    /// The average of the parameters that the optimiser keeps, if it does: [`Average::averaged`] has the parameters for
    /// an evaluation.
    fn averages(&self) -> Option<&Average<F>> {
        None
    }

    /// The settings in words, with which those of a resumed run are compared. By default, the kind alone.
    fn settings(&self) -> String {
        self.state().kind
    }

    /// Compiles a step of this optimiser for parameters with these names and shapes, for running it elsewhere, such as
    /// on an accelerator. The step of a [`Descent`] has the rules of all groups and the clipping.
    ///
    /// ```
    /// use stochgrad_nn::optimizers::Schedule;
    /// use stochgrad_nn::{Optimizer, Sgd};
    /// use stochgrad_tensor::{Shape, Tensor};
    ///
    /// let sgd = Sgd::<f64>::new(Schedule::piecewise(1.0, [(10, 0.5)])).momentum(0.5);
    /// let mut step = sgd.compile_step(&[("x", Shape::from([2]))])?;
    /// assert_eq!(step.updated[0].slots, ["velocity"]);
    /// // After 10 updates: the value, its gradient, and its velocity.
    /// let inputs = [Tensor::scalar(10.0), [1.0, 2.0].into(), [2.0, 4.0].into(), [1.0, 1.0].into()];
    /// for (number, input) in inputs.iter().enumerate() {
    ///     step.program.set(number, input)?;
    /// }
    /// step.program.run(Default::default())?;
    /// assert_eq!(step.program.output(0)?.as_slice(), [-0.25, -0.25]);
    /// assert_eq!(step.program.output(1)?.as_slice(), [2.5, 4.5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] for settings outside their domain, for an optimiser that accumulates gradients or
    /// averages parameters, and by default: for an optimiser whose step is not a list of recorded operations.
    fn compile_step(&self, parameters: &[(&str, Shape)]) -> NnResult<CompiledStep<F>> {
        let _ = parameters;
        Err(not_compiled("one whose step is code of the host"))
    }

    /// The state of the optimiser between steps. Settings such as the learning rate are not part of it.
    fn state(&self) -> OptimizerState<F>;

    /// Restores a state that [`state`](Self::state) returned.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if the state belongs to another kind of optimiser. Nothing is changed in this case.
    fn load_state(&mut self, state: &OptimizerState<F>) -> NnResult<()>;
}

impl<F: Real, O: Optimizer<F> + ?Sized> Optimizer<F> for Box<O> {
    fn step(&mut self, parameters: &mut Parameters<F>, gradients: &Gradients<F>) -> NnResult<()> {
        (**self).step(parameters, gradients)
    }

    fn learning_rate(&self) -> f64 {
        (**self).learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        (**self).set_learning_rate(learning_rate);
    }

    fn averages(&self) -> Option<&Average<F>> {
        (**self).averages()
    }

    fn settings(&self) -> String {
        (**self).settings()
    }

    fn compile_step(&self, parameters: &[(&str, Shape)]) -> NnResult<CompiledStep<F>> {
        (**self).compile_step(parameters)
    }

    fn state(&self) -> OptimizerState<F> {
        (**self).state()
    }

    fn load_state(&mut self, state: &OptimizerState<F>) -> NnResult<()> {
        (**self).load_state(state)
    }
}

/// The state of an optimiser between steps.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerState<F: Real> {
    /// The kind of the optimiser. Optimisers of another kind do not accept the state.
    pub kind: String,
    /// The number of updates so far.
    pub steps: u64,
    /// Other numbers by name, such as that of the minibatches since the last update.
    pub counters: BTreeMap<String, u64>,
    /// For each kind of memory, such as `"velocity"`, a tensor for each parameter, by the name of the parameter.
    pub slots: BTreeMap<String, BTreeMap<String, Tensor<F>>>,
}

impl<F: Real> OptimizerState<F> {
    /// Checks that the state belongs to an optimiser of the given kind, and has no slots other than the given ones.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] for the state of another optimiser.
    pub fn check(&self, kind: &str, slots: &[&str]) -> NnResult<()> {
        if self.kind != kind {
            return Err(other_state(format!("the state of {kind}"), format!("one of {}", self.kind)));
        }
        match self.slots.keys().find(|slot| !slots.contains(&slot.as_str())) {
            None => Ok(()),
            Some(slot) => Err(other_state(format!("{kind} memory of {}", slots.join(", ")), format!("`{slot}`"))),
        }
    }
}

/// The error for an optimiser whose step cannot be compiled.
fn not_compiled(found: &str) -> NnError {
    NnError::argument(
        "the optimiser of `Optimizer::compile_step`",
        "one whose steps are recorded operations on the last gradients alone",
        found,
        "omit this setting, write the optimiser as an UpdateRule, or train on the host",
    )
}

/// The error for the state of another optimiser.
fn other_state(expected: impl Into<String>, found: impl Into<String>) -> NnError {
    NnError::argument(
        "`state` of `Optimizer::load_state`",
        expected,
        found,
        "resume with the optimiser that the state was saved from",
    )
}

fn refused(expected: String, found: String, hint: &'static str) -> NnError {
    NnError::argument("`gradients` of `Optimizer::step`", expected, found, hint)
}

/// The gradient of a parameter, if the graph used it.
fn gradient<'a, F: Real>(gradients: &'a Gradients<F>, name: &str) -> Option<&'a Tensor<F>> {
    gradients.get(name).ok()
}

/// Checks that some parameter has a gradient, and that all gradients are finite and have the shapes of their
/// parameters.
///
/// Call it first in the `step` of your own [`Optimizer`], so that nothing is changed on an error.
///
/// # Errors
///
/// [`NnError::InvalidArgument`] as described in [`Optimizer::step`].
pub fn check_gradients<F: Real>(parameters: &Parameters<F>, gradients: &Gradients<F>) -> NnResult<()> {
    check_usable(parameters, gradients, |name| (!parameters.is_frozen(name)).then_some(false))
}

/// As [`check_gradients`]. `demand` says whether the optimiser uses the gradient of a parameter, and whether its
/// squares must be finite as well. Nothing is checked if the squares of the gradients are known to be finite.
fn check_usable<F: Real>(
    parameters: &Parameters<F>,
    gradients: &Gradients<F>,
    demand: impl Fn(&str) -> Option<bool>,
) -> NnResult<()> {
    let wanted = || parameters.names().filter(|name| demand(name).is_some());
    if !parameters.is_empty() && wanted().all(|name| gradient(gradients, name).is_none()) {
        let found: Vec<&str> = gradients.iter().map(|(name, _)| name).collect();
        return Err(refused(
            format!(
                "a gradient for at least one of the parameters {}",
                in_words(wanted(), "to train, of which there are none")
            ),
            format!("gradients of {}", if found.is_empty() { "nothing".into() } else { found.join(", ") }),
            "pass the gradients of the graph that used these parameters",
        ));
    }
    for (name, value) in parameters.iter() {
        let (Some(squares), Some(gradient)) = (demand(name), gradient(gradients, name)) else { continue };
        if gradient.shape() != value.shape() {
            return Err(refused(
                format!("shape {} for `{name}`", value.shape()),
                format!("shape {}", gradient.shape()),
                "pass the gradients of the graph that used these parameters",
            ));
        }
        if !gradients.squares_are_finite()
            && !squares_are_finite(gradient.as_slice())
            && let Some(position) = {
                let usable = |g: F| if squares { (g * g).is_finite() } else { g.is_finite() };
                gradient.as_slice().iter().position(|&g| !usable(g))
            }
        {
            return Err(refused(
                format!("values of a usable size for `{name}`"),
                format!("{} at position {position}", gradient.as_slice()[position]),
                "find the cost that produces it, clip the gradients, or lower the learning rate; it is safe to skip \
                 the step",
            ));
        }
    }
    Ok(())
}

fn check_setting(setting: &'static str, value: f64, allowed: impl Fn(f64) -> bool, domain: &str) -> NnResult<()> {
    if allowed(value) {
        Ok(())
    } else {
        Err(NnError::argument(setting, domain, value.to_string(), "correct the setting"))
    }
}

fn check_not_negative(setting: &'static str, value: f64) -> NnResult<()> {
    check_setting(setting, value, |value| value.is_finite() && value >= 0.0, "a finite number that is not negative")
}

fn check_epsilon<F: Real>(setting: &'static str, value: f64) -> NnResult<()> {
    check_setting(
        setting,
        value,
        |value| value.is_finite() && F::from_f64(value) > F::ZERO,
        "a positive finite number that the parameters' type can hold",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{gradients, one_parameter};
    use approx::assert_abs_diff_eq;

    fn optimizers() -> [Box<dyn Optimizer<f64>>; 4] {
        [
            Box::new(Adam::new(0.1)),
            Box::new(AdamW::new(0.1).weight_decay(0.0)),
            Box::new(Sgd::new(0.1).momentum(0.5)),
            // The first step divides the gradient by itself.
            Box::new(RmsProp::new(0.1).smoothing(0.0).epsilon(1e-12)),
        ]
    }

    fn pair() -> Parameters<f64> {
        let mut parameters = one_parameter(Tensor::from([1.0, 2.0]));
        parameters.insert("y", Tensor::scalar(3.0)).unwrap();
        parameters
    }

    #[test]
    fn unusable_gradients_are_named_and_change_nothing() {
        let other = {
            let mut other = one_parameter(Tensor::from([1.0, 2.0]));
            other.insert("y", Tensor::from([3.0])).unwrap();
            other
        };
        let x = || ("x", Tensor::from([1.0, 1.0]));
        let stranger = {
            let mut stranger = Parameters::new();
            stranger.insert("z", Tensor::scalar(1.0)).unwrap();
            stranger
        };
        let infinite = {
            let mut gradients = gradients(&pair(), &[x(), ("y", Tensor::scalar(1.0))]);
            let y = gradients.iter_mut().find(|(name, _)| *name == "y").expect("a gradient");
            y.1.make_mut()[0] = f64::INFINITY;
            gradients
        };
        let cases = [
            (gradients(&stranger, &[("z", Tensor::scalar(1.0))]), vec!["`x`, `y`", "gradients of z"]),
            (gradients(&other, &[x(), ("y", Tensor::from([1.0]))]), vec!["`y`", "shape []", "shape [1]"]),
            (infinite, vec!["`y`", "inf", "position 0"]),
        ];
        for (gradients, parts) in cases {
            for mut optimizer in optimizers() {
                let mut parameters = pair();
                let before = optimizer.state();
                let error = optimizer.step(&mut parameters, &gradients).unwrap_err();
                let message = error.to_string();
                assert!(parts.iter().all(|part| message.contains(part)), "{message}");
                assert!(parameters.iter().eq(pair().iter()));
                assert_eq!(optimizer.state(), before);
            }
        }
    }

    #[test]
    fn gradients_of_other_names_are_left_alone() {
        let all = pair();
        let slopes = [("x", Tensor::from([1.0, 1.0])), ("y", Tensor::scalar(1.0))];
        let gradients = gradients(&all, &slopes);
        for mut optimizer in optimizers() {
            let mut parameters = one_parameter(Tensor::from([1.0, 2.0]));
            optimizer.step(&mut parameters, &gradients).unwrap();
            let moved = parameters.get("x").unwrap().as_slice();
            assert!((moved[0] - 0.9).abs() < 1e-8 && (moved[1] - 1.9).abs() < 1e-8);
        }
    }

    #[test]
    fn parameters_that_the_graph_did_not_use_stay_as_they_are() {
        let gradients = gradients(&pair(), &[("x", Tensor::from([1.0, 1.0]))]);
        for mut optimizer in optimizers() {
            let mut parameters = pair();
            optimizer.step(&mut parameters, &gradients).unwrap();
            assert_abs_diff_eq!(parameters.get("x").unwrap().as_slice()[0], 0.9, epsilon = 1e-8);
            assert_eq!(parameters.get("y"), pair().get("y"));
            assert!(optimizer.state().slots.values().all(|slot| !slot.contains_key("y")));
        }
    }

    #[test]
    fn another_model_under_the_same_names_is_an_error() {
        for mut optimizer in optimizers() {
            let mut small = one_parameter(Tensor::scalar(1.0));
            let slopes = [("x", Tensor::scalar(1.0))];
            let first = gradients(&small, &slopes);
            optimizer.step(&mut small, &first).unwrap();
            let before = optimizer.state();
            let mut large = one_parameter(Tensor::from([1.0, 2.0]));
            let gradients = gradients(&large, &[("x", Tensor::from([1.0, 1.0]))]);
            let message = optimizer.step(&mut large, &gradients).unwrap_err().to_string();
            assert!(message.contains("shape []") && message.contains("shape [2]"), "{message}");
            assert_eq!(optimizer.state(), before);
        }
    }

    #[test]
    fn the_learning_rate_can_be_scheduled() {
        for mut optimizer in optimizers() {
            optimizer.set_learning_rate(0.0);
            assert_eq!(optimizer.learning_rate(), 0.0);
            let mut parameters = one_parameter(Tensor::scalar(1.0));
            let gradients = gradients(&parameters, &[("x", Tensor::scalar(1.0))]);
            optimizer.step(&mut parameters, &gradients).unwrap();
            assert_eq!(parameters.get("x"), Some(&Tensor::scalar(1.0)));
        }
    }
}
