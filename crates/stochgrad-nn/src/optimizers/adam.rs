//! Adam.

use std::collections::BTreeMap;

use stochgrad_graph::Gradients;
use stochgrad_tensor::Real;
use stochgrad_tensor::descent::{AdamStep, adam, squares_are_finite};

use super::slots::Slots;
use super::{Optimizer, OptimizerState, check_learning_rate, check_setting, check_usable, gradient};
use crate::error::{NnError, NnResult};
use crate::parameters::Parameters;

const KIND: &str = "adam";
const FIRST: &str = "first_moment";
const SECOND: &str = "second_moment";

/// Adam (Kingma & Ba 2015), with optional decoupled weight decay (Loshchilov & Hutter 2019).
///
/// With gradient $g$, decay rates $\beta_1, \beta_2$, learning rate $\eta$ and weight decay $\lambda$, at step $t$:
/// $m \leftarrow \beta_1 m + (1 - \beta_1) g$, $v \leftarrow \beta_2 v + (1 - \beta_2) g^2$,
/// $\theta \leftarrow \theta - \eta \lambda \theta - \eta \hat m / (\sqrt{\hat v} + \epsilon)$ with
/// $\hat m = m / (1 - \beta_1^t)$ and $\hat v = v / (1 - \beta_2^t)$.
///
/// Gradients whose square is not finite are an error, too, since they would stop a parameter permanently.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Adam, Optimizer, Parameters};
/// use stochgrad_tape::Workspace;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f64>::new();
/// parameters.insert("x", Tensor::scalar(3.0))?;
/// let mut adam = Adam::new(0.1).betas(0.8, 0.99);
/// let mut workspace = Workspace::new();
/// for step in 0..300 {
///     let graph = Graph::new(workspace.tape(), Seed::new(7).step(step));
///     graph.cost("loss", (parameters.on(&graph).param("x")? - 1.0).square())?;
///     adam.step(&mut parameters, &graph.backward()?)?;
/// }
/// assert!((parameters.get("x").unwrap().item()? - 1.0).abs() < 1e-3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adam<F: Real> {
    learning_rate: f64,
    betas: [f64; 2],
    epsilon: f64,
    weight_decay: f64,
    steps: u64,
    first: Slots<F>,
    second: Slots<F>,
}

impl<F: Real> Adam<F> {
    /// Adam with decay rates 0.9 and 0.999, epsilon 1e-8 and no weight decay.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.0,
            steps: 0,
            first: Slots::default(),
            second: Slots::default(),
        }
    }

    /// Sets the decay rates of the two moments, in [0, 1).
    pub fn betas(mut self, first: f64, second: f64) -> Self {
        self.betas = [first, second];
        self
    }

    /// Sets the positive number that is added to the denominator.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Sets the weight decay λ ≥ 0. Each step multiplies each parameter by 1 − ηλ, where η is the learning rate.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    fn check_settings(&self) -> NnResult<()> {
        check_learning_rate(self.learning_rate)?;
        for beta in self.betas {
            check_setting("a beta of `Adam`", beta, |beta| (0.0..1.0).contains(&beta), "a number in [0, 1)")?;
        }
        check_setting(
            "the epsilon of `Adam`",
            self.epsilon,
            |epsilon| epsilon.is_finite() && F::from_f64(epsilon) > F::ZERO,
            "a positive finite number that the parameters' type can hold",
        )?;
        check_setting(
            "the weight decay of `Adam`",
            self.weight_decay,
            |decay| decay.is_finite() && decay >= 0.0,
            "a finite number that is not negative",
        )
    }
}

impl<F: Real> Optimizer<F> for Adam<F> {
    fn step(&mut self, parameters: &mut Parameters<F>, gradients: &Gradients<F>) -> NnResult<()> {
        self.check_settings()?;
        check_usable(parameters, gradients, squares_are_finite, |g| (g * g).is_finite())?;
        self.first.check(parameters)?;
        self.second.check(parameters)?;
        let steps = self.steps + 1;
        let correction = self.betas.map(|beta| 1.0 - beta.powf(steps as f64));
        let step = AdamStep {
            betas: self.betas.map(F::from_f64),
            rests: self.betas.map(|beta| F::from_f64(1.0 - beta)),
            rate: F::from_f64(self.learning_rate / correction[0]),
            root: F::from_f64(correction[1].sqrt().recip()),
            epsilon: F::from_f64(self.epsilon),
            kept: F::from_f64(1.0 - self.learning_rate * self.weight_decay),
        };
        parameters.update(|name, shape, values| {
            let Some(gradient) = gradient(gradients, name) else { return Ok(()) };
            let moments = [self.first.elements(name, shape), self.second.elements(name, shape)];
            adam(step, gradient.as_slice(), moments, values);
            Ok(())
        })?;
        self.steps = steps;
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    fn state(&self) -> OptimizerState<F> {
        OptimizerState {
            kind: KIND.into(),
            steps: self.steps,
            slots: BTreeMap::from([(FIRST.into(), self.first.state()), (SECOND.into(), self.second.state())]),
        }
    }

    fn load_state(&mut self, state: &OptimizerState<F>) -> NnResult<()> {
        state.check(KIND, &[FIRST, SECOND])?;
        let (first, second) = (state.slots.get(FIRST), state.slots.get(SECOND));
        let shapes = |slot: Option<&BTreeMap<String, stochgrad_tensor::Tensor<F>>>| {
            let tensors = slot.into_iter().flatten();
            tensors.map(|(name, tensor)| (name.clone(), tensor.shape().clone())).collect::<Vec<_>>()
        };
        let (of_first, of_second) = (shapes(first), shapes(second));
        if of_first != of_second {
            return Err(NnError::argument(
                "`state` of `Optimizer::load_state`",
                "first and second moments of the same parameters, of the same shapes",
                format!("{of_first:?} and {of_second:?}"),
                "resume from a state that `Optimizer::state` returned",
            ));
        }
        self.steps = state.steps;
        self.first = Slots::from_state(first);
        self.second = Slots::from_state(second);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::testing::{gradients, one_parameter};

    fn descent<const N: usize>(mut adam: Adam<f64>, slopes: [f64; N]) -> [f64; N] {
        let mut parameters = one_parameter(Tensor::scalar(1.0));
        slopes.map(|slope| {
            let gradients = gradients(&parameters, &[("x", Tensor::scalar(slope))]);
            adam.step(&mut parameters, &gradients).unwrap();
            parameters.get("x").unwrap().item().unwrap()
        })
    }

    #[test]
    fn steps_agree_with_those_made_by_hand() {
        // At step 2 the corrected moments are -0.055 / 0.19 and 0.00124975 / 0.001999.
        let found = descent(Adam::new(0.1), [0.5, -1.0, 2.0]);
        let expected = [0.900000002, 0.936610354240566, 0.894644792718105];
        for (found, expected) in found.into_iter().zip(expected) {
            assert_abs_diff_eq!(found, expected, epsilon = 1e-13);
        }
    }

    #[test]
    fn settings_and_decoupled_weight_decay_enter_as_in_the_formula() {
        let adam = Adam::new(0.01).betas(0.5, 0.9).epsilon(0.1).weight_decay(0.2);
        let [first, second] = descent(adam, [0.5, -1.0]);
        // 1 - 0.01 · 0.2 - 0.01 · 0.5 / (0.5 + 0.1).
        assert_abs_diff_eq!(first, 0.989_666_666_666_666_7, epsilon = 1e-14);
        assert_abs_diff_eq!(second, 0.993_224_707_422_219, epsilon = 1e-14);
    }

    #[test]
    fn the_state_comes_back_and_must_be_whole() {
        let mut parameters = one_parameter(Tensor::scalar(1.0));
        let mut adam = Adam::new(0.1);
        let gradients = gradients(&parameters, &[("x", Tensor::scalar(1.0))]);
        adam.step(&mut parameters, &gradients).unwrap();
        let state = adam.state();
        let mut other = Adam::new(0.1);
        other.load_state(&state).unwrap();
        assert_eq!(other.state(), state);

        let mut halved = state.clone();
        halved.slots.remove(SECOND);
        let mut foreign = state.clone();
        foreign.kind = "sgd".into();
        let mut unknown = state.clone();
        unknown.slots.insert("third_moment".into(), BTreeMap::new());
        for (wrong, part) in [(halved, "first and second"), (foreign, "sgd"), (unknown, "third_moment")] {
            let message = other.load_state(&wrong).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
            assert_eq!(other.state(), state);
        }
    }

    #[test]
    fn settings_outside_their_domain_are_errors() {
        let mut parameters = one_parameter(Tensor::scalar(1.0));
        let gradients = gradients(&parameters, &[("x", Tensor::scalar(1.0))]);
        for (mut adam, setting) in [
            (Adam::new(f64::NAN), "learning rate"),
            (Adam::new(-0.1), "learning rate"),
            (Adam::new(0.1).betas(1.0, 0.9), "beta"),
            (Adam::new(0.1).betas(0.9, -0.1), "beta"),
            (Adam::new(0.1).epsilon(0.0), "epsilon"),
            (Adam::new(0.1).weight_decay(-1.0), "weight decay"),
        ] {
            let message = adam.step(&mut parameters, &gradients).unwrap_err().to_string();
            assert!(message.contains(setting), "{message}");
        }
        assert_eq!(parameters.get("x"), Some(&Tensor::scalar(1.0)));
    }

    #[test]
    fn a_gradient_whose_square_overflows_is_an_error() {
        let mut parameters = one_parameter(Tensor::scalar(1.0));
        let gradients = gradients(&parameters, &[("x", Tensor::scalar(1e200))]);
        let mut adam = Adam::new(0.1);
        assert!(adam.step(&mut parameters, &gradients).is_err());
        assert_eq!(adam.state().steps, 0);
    }
}
