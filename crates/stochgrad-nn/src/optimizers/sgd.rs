//! Stochastic gradient descent.

use stochgrad_tape::Var;
use stochgrad_tape::descent::Schedule;
use stochgrad_tensor::Real;

use super::descent::Descent;
use super::rule::{UpdateRule, Updated, penalized, penalized_element};
use super::{check_not_negative, check_setting};
use crate::error::NnResult;

/// Stochastic gradient descent, with optional momentum and an optional L2 penalty, as PyTorch's `SGD`.
///
/// With gradient $g$, momentum $m$, learning rate $\eta$ and weight decay $\lambda$: $g \leftarrow g + \lambda \theta$,
/// $v \leftarrow m v + g$ from $v = 0$, and $\theta \leftarrow \theta - \eta v$; with Nesterov's momentum $\theta
/// \leftarrow \theta - \eta (g + m v)$ (Sutskever et al. 2013).
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
pub type Sgd<F> = Descent<F, SgdRule>;

/// The update rule of [`Sgd`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct SgdRule {
    /// The momentum, in [0, 1).
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// The weight decay λ ≥ 0.
    pub weight_decay: f64,
}

impl<F: Real> Sgd<F> {
    /// Gradient descent without momentum.
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Descent::of(SgdRule::default(), learning_rate)
    }

    /// Sets the momentum, in [0, 1).
    pub fn momentum(self, momentum: f64) -> Self {
        self.with(|rule| rule.momentum = momentum)
    }

    /// Sets whether to use Nesterov's momentum. It has no effect if the momentum is 0.
    pub fn nesterov(self, nesterov: bool) -> Self {
        self.with(|rule| rule.nesterov = nesterov)
    }

    /// Sets the weight decay λ ≥ 0, which adds λθ to the gradient: that of the penalty $\tfrac\lambda2 \lVert \theta
    /// \rVert^2$.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        self.with(|rule| rule.weight_decay = weight_decay)
    }
}

impl<F: Real> UpdateRule<F> for SgdRule {
    fn kind(&self) -> &'static str {
        "sgd"
    }

    fn settings(&self) -> String {
        format!("{self:?}")
    }

    fn slots(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["velocity"] }
    }

    fn check(&self) -> NnResult<()> {
        check_setting(
            "the momentum of `Sgd`",
            self.momentum,
            |momentum| (0.0..1.0).contains(&momentum),
            "a number in [0, 1)",
        )?;
        check_not_negative("the weight decay of `Sgd`", self.weight_decay)
    }

    fn update<'t>(
        &self,
        coefficients: &[Var<'t, F>],
        parameter: Var<'t, F>,
        gradient: Var<'t, F>,
        slots: &[Var<'t, F>],
    ) -> Updated<'t, F> {
        let rate = coefficients[0];
        let gradient = penalized(gradient, parameter, self.weight_decay);
        let Some(&velocity) = slots.first() else {
            return Updated { parameter: parameter - gradient * rate, slots: Vec::new() };
        };
        let velocity = velocity * self.momentum + gradient;
        let along = if self.nesterov { gradient + velocity * self.momentum } else { velocity };
        Updated { parameter: parameter - along * rate, slots: vec![velocity] }
    }

    fn kernel(&self, coefficients: &[F], gradient: &[F], slots: &mut [&mut [F]], parameter: &mut [F]) -> bool {
        let (rate, momentum) = (coefficients[0], F::from_f64(self.momentum));
        let penalized = penalized_element(self.weight_decay);
        let values = parameter.iter_mut().zip(gradient);
        match slots {
            [] => values.for_each(|(value, &g)| *value -= rate * penalized(g, *value)),
            [velocity, ..] => {
                for ((value, &g), v) in values.zip(velocity.iter_mut()) {
                    let g = penalized(g, *value);
                    *v = momentum * *v + g;
                    let along = if self.nesterov { g + momentum * *v } else { *v };
                    *value -= rate * along;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::optimizers::Optimizer;
    use crate::testing::{assert_six_steps, gradients, one_parameter};

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

    /// Values of PyTorch 2.15 in double precision.
    #[test]
    fn six_steps_with_weight_decay_agree_with_pytorch() {
        let sgd = || Sgd::<f64>::new(0.05).weight_decay(0.3);
        assert_six_steps(&mut sgd(), [0.6940463366422909, -0.968142745530264, 0.253814687485472]);
        let expected = [0.09968933324012123, 0.7482979898372035, 0.10051816126960948];
        assert_six_steps(&mut sgd().momentum(0.9).nesterov(true), expected);
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
