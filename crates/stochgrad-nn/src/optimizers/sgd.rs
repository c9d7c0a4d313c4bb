//! Stochastic gradient descent.

use std::collections::BTreeMap;

use stochgrad_graph::Gradients;
use stochgrad_tensor::Real;

use super::slots::Slots;
use super::{Optimizer, OptimizerState, check_gradients, check_learning_rate, check_setting, gradient};
use crate::error::NnResult;
use crate::parameters::Parameters;

const KIND: &str = "sgd";
const VELOCITY: &str = "velocity";

/// Stochastic gradient descent, with optional momentum.
///
/// With gradient $g$, momentum $m$ and learning rate $\eta$: $v \leftarrow m v + g$ from $v = 0$, and
/// $\theta \leftarrow \theta - \eta v$; with Nesterov's momentum $\theta \leftarrow \theta - \eta (g + m v)$
/// (Sutskever et al. 2013).
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Optimizer, Parameters, Sgd};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f64>::new();
/// parameters.insert("x", Tensor::scalar(3.0))?;
/// let mut sgd = Sgd::new(0.25);
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// graph.cost("square", parameters.on(&graph).param("x")?.square())?;
/// sgd.step(&mut parameters, &graph.backward()?)?;
/// assert_eq!(parameters.get("x"), Some(&Tensor::scalar(1.5)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sgd<F: Real> {
    learning_rate: f64,
    momentum: f64,
    nesterov: bool,
    steps: u64,
    velocity: Slots<F>,
}

impl<F: Real> Sgd<F> {
    /// Gradient descent without momentum.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, momentum: 0.0, nesterov: false, steps: 0, velocity: Slots::default() }
    }

    /// Sets the momentum, in [0, 1).
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets whether to use Nesterov's momentum. It has no effect if the momentum is 0.
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }
}

impl<F: Real> Optimizer<F> for Sgd<F> {
    fn step(&mut self, parameters: &mut Parameters<F>, gradients: &Gradients<F>) -> NnResult<()> {
        check_learning_rate(self.learning_rate)?;
        check_setting(
            "the momentum of `Sgd`",
            self.momentum,
            |momentum| (0.0..1.0).contains(&momentum),
            "a number in [0, 1)",
        )?;
        check_gradients(parameters, gradients)?;
        self.velocity.check(parameters)?;
        let (rate, momentum) = (F::from_f64(self.learning_rate), F::from_f64(self.momentum));
        parameters.update(|name, shape, values| {
            let Some(gradient) = gradient(gradients, name) else { return Ok(()) };
            let values = values.iter_mut().zip(gradient.as_slice());
            if self.momentum == 0.0 {
                for (value, &g) in values {
                    *value -= rate * g;
                }
                return Ok(());
            }
            let velocity = self.velocity.elements(name, shape);
            for ((value, &g), v) in values.zip(velocity) {
                *v = momentum * *v + g;
                let along = if self.nesterov { g + momentum * *v } else { *v };
                *value -= rate * along;
            }
            Ok(())
        })?;
        self.steps += 1;
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
            slots: BTreeMap::from([(VELOCITY.into(), self.velocity.state())]),
        }
    }

    fn load_state(&mut self, state: &OptimizerState<F>) -> NnResult<()> {
        state.check(KIND, &[VELOCITY])?;
        self.steps = state.steps;
        self.velocity = Slots::from_state(state.slots.get(VELOCITY));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::testing::{gradients, one_parameter};

    /// The values of a parameter that starts at 1, after steps with gradient 1 and learning rate 0.1.
    fn descent(mut sgd: Sgd<f64>) -> [f64; 3] {
        let mut parameters = one_parameter(Tensor::scalar(1.0));
        std::array::from_fn(|_| {
            let gradients = gradients(&parameters, &[("x", Tensor::scalar(1.0))]);
            sgd.step(&mut parameters, &gradients).unwrap();
            parameters.get("x").unwrap().item().unwrap()
        })
    }

    #[test]
    fn steps_agree_with_those_made_by_hand() {
        // Velocities are 1, 1.9, 2.71; Nesterov's directions 1.9, 2.71, 3.439.
        let cases = [
            (Sgd::new(0.1), [0.9, 0.8, 0.7]),
            (Sgd::new(0.1).momentum(0.9), [0.9, 0.71, 0.439]),
            (Sgd::new(0.1).momentum(0.9).nesterov(true), [0.81, 0.539, 0.1951]),
        ];
        for (sgd, expected) in cases {
            for (found, expected) in descent(sgd).into_iter().zip(expected) {
                assert_abs_diff_eq!(found, expected, epsilon = 1e-14);
            }
        }
    }

    #[test]
    fn the_state_is_the_velocity_and_the_number_of_steps() {
        let mut parameters = one_parameter(Tensor::from([1.0, 2.0]));
        let mut sgd = Sgd::new(0.1).momentum(0.5);
        let slopes = [("x", Tensor::from([1.0, -2.0]))];
        for _ in 0..2 {
            let gradients = gradients(&parameters, &slopes);
            sgd.step(&mut parameters, &gradients).unwrap();
        }
        let state = sgd.state();
        assert_eq!(state.steps, 2);
        assert_eq!(state.slots["velocity"]["x"], Tensor::from([1.5, -3.0]));
        let mut other = Sgd::new(0.1).momentum(0.5);
        other.load_state(&state).unwrap();
        assert_eq!(other.state(), state);
    }

    #[test]
    fn a_momentum_outside_its_domain_is_an_error() {
        let mut parameters = one_parameter(Tensor::scalar(1.0));
        let gradients = gradients(&parameters, &[("x", Tensor::scalar(1.0))]);
        for momentum in [1.0, -0.1, f64::NAN] {
            let mut sgd = Sgd::new(0.1).momentum(momentum);
            let message = sgd.step(&mut parameters, &gradients).unwrap_err().to_string();
            assert!(message.contains("momentum"), "{message}");
        }
        assert_eq!(parameters.get("x"), Some(&Tensor::scalar(1.0)));
    }
}
