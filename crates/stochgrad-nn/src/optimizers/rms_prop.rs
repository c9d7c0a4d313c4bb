//! RMSprop.

use stochgrad_tape::Var;
use stochgrad_tape::descent::Schedule;
use stochgrad_tensor::Real;

use super::descent::Descent;
use super::rule::{UpdateRule, Updated, penalized, penalized_element};
use super::{check_epsilon, check_not_negative, check_setting};
use crate::error::NnResult;

const SQUARES: &str = "square_average";
const GRADIENTS: &str = "gradient_average";
const VELOCITY: &str = "velocity";

/// RMSprop (Tieleman & Hinton 2012), as PyTorch's `RMSprop`: gradients are divided by the root of the running mean of
/// their squares. It suits losses that change during training, as in adversarial training, since its memory is short.
///
/// With gradient $g$, smoothing constant $\alpha$, learning rate $\eta$, momentum $\mu$ and weight decay $\lambda$: $g
/// \leftarrow g + \lambda \theta$, $v \leftarrow \alpha v + (1 - \alpha) g^2$, $d = g / (\sqrt{v} + \epsilon)$, and
/// $\theta \leftarrow \theta - \eta d$; with momentum $b \leftarrow \mu b + d$ and $\theta \leftarrow \theta - \eta b$.
/// If it is centered (Graves 2013), the root is that of the variance $v - a^2$ with $a \leftarrow \alpha a + (1 -
/// \alpha) g$, where a variance that is negative by rounding counts as 0.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Optimizer, Parameters, RmsProp};
/// use stochgrad_tape::Workspace;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f64>::new();
/// parameters.insert("x", Tensor::scalar(3.0))?;
/// let mut rms_prop = RmsProp::new(0.01).momentum(0.5);
/// let mut workspace = Workspace::new();
/// for step in 0..300 {
///     let graph = Graph::new(workspace.tape(), Seed::new(7).step(step));
///     graph.cost("loss", (parameters.on(&graph).param("x")? - 1.0).square())?;
///     rms_prop.step(&mut parameters, &graph.backward()?)?;
/// }
/// assert!((parameters.get("x").unwrap().item()? - 1.0).abs() < 0.02);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type RmsProp<F> = Descent<F, RmsPropRule>;

/// The update rule of [`RmsProp`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct RmsPropRule {
    /// The smoothing constant of the running means, in [0, 1).
    pub smoothing: f64,
    /// The positive number that is added to the root.
    pub epsilon: f64,
    /// The momentum, in [0, 1).
    pub momentum: f64,
    /// Whether the gradient is divided by its standard deviation.
    pub centered: bool,
    /// The weight decay λ ≥ 0.
    pub weight_decay: f64,
}

impl Default for RmsPropRule {
    /// The settings of [`RmsProp::new`].
    fn default() -> Self {
        RmsPropRule { smoothing: 0.99, epsilon: 1e-8, momentum: 0.0, centered: false, weight_decay: 0.0 }
    }
}

impl<F: Real> RmsProp<F> {
    /// RMSprop with the smoothing constant 0.99, epsilon 1e-8, no momentum and no weight decay, not centered.
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Descent::of(RmsPropRule::default(), learning_rate)
    }

    /// Sets the smoothing constant of the running means, in [0, 1).
    pub fn smoothing(self, smoothing: f64) -> Self {
        self.with(|rule| rule.smoothing = smoothing)
    }

    /// Sets the positive number that is added to the root.
    pub fn epsilon(self, epsilon: f64) -> Self {
        self.with(|rule| rule.epsilon = epsilon)
    }

    /// Sets the momentum, in [0, 1).
    pub fn momentum(self, momentum: f64) -> Self {
        self.with(|rule| rule.momentum = momentum)
    }

    /// Sets whether the gradient is divided by its standard deviation, instead of the root of its mean square.
    pub fn centered(self, centered: bool) -> Self {
        self.with(|rule| rule.centered = centered)
    }

    /// Sets the weight decay λ ≥ 0, which adds λθ to the gradient: that of the penalty $\tfrac\lambda2 \lVert \theta
    /// \rVert^2$.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        self.with(|rule| rule.weight_decay = weight_decay)
    }
}

impl<F: Real> UpdateRule<F> for RmsPropRule {
    fn kind(&self) -> &'static str {
        "rmsprop"
    }

    fn settings(&self) -> String {
        format!("{self:?}")
    }

    fn slots(&self) -> &'static [&'static str] {
        match (self.centered, self.momentum != 0.0) {
            (false, false) => &[SQUARES],
            (false, true) => &[SQUARES, VELOCITY],
            (true, false) => &[SQUARES, GRADIENTS],
            (true, true) => &[SQUARES, GRADIENTS, VELOCITY],
        }
    }

    fn squares_gradients(&self) -> bool {
        true
    }

    fn check(&self) -> NnResult<()> {
        let settings = [("the smoothing of `RmsProp`", self.smoothing), ("the momentum of `RmsProp`", self.momentum)];
        for (setting, value) in settings {
            check_setting(setting, value, |value| (0.0..1.0).contains(&value), "a number in [0, 1)")?;
        }
        check_epsilon::<F>("the epsilon of `RmsProp`", self.epsilon)?;
        check_not_negative("the weight decay of `RmsProp`", self.weight_decay)
    }

    fn update<'t>(
        &self,
        coefficients: &[Var<'t, F>],
        parameter: Var<'t, F>,
        gradient: Var<'t, F>,
        slots: &[Var<'t, F>],
    ) -> Updated<'t, F> {
        let (rate, rest) = (coefficients[0], 1.0 - self.smoothing);
        let gradient = penalized(gradient, parameter, self.weight_decay);
        let squares = slots[0] * self.smoothing + gradient * rest * gradient;
        let mut kept = vec![squares];
        let variance = match self.centered {
            false => squares,
            true => {
                let mean = slots[1] * self.smoothing + gradient * rest;
                kept.push(mean);
                (squares - mean * mean).maximum(parameter.tape().constant(0.0))
            }
        };
        let direction = gradient / (variance.sqrt() + self.epsilon);
        let direction = match slots.get(kept.len()) {
            None => direction,
            Some(&velocity) => {
                let velocity = velocity * self.momentum + direction;
                kept.push(velocity);
                velocity
            }
        };
        Updated { parameter: parameter - direction * rate, slots: kept }
    }

    fn kernel(&self, coefficients: &[F], gradient: &[F], slots: &mut [&mut [F]], parameter: &mut [F]) -> bool {
        let numbers = [self.smoothing, 1.0 - self.smoothing, self.epsilon, self.momentum].map(F::from_f64);
        let (rate, [smoothing, rest, epsilon, momentum]) = (coefficients[0], numbers);
        let penalized = penalized_element(self.weight_decay);
        // The next direction of an element, from its value, its gradient and its running means.
        let uncentered = |value: F, g: F, squares: &mut F| {
            let g = penalized(g, value);
            *squares = *squares * smoothing + g * rest * g;
            g / (squares.sqrt() + epsilon)
        };
        let centered = |value: F, g: F, squares: &mut F, mean: &mut F| {
            let g = penalized(g, value);
            *squares = *squares * smoothing + g * rest * g;
            *mean = *mean * smoothing + g * rest;
            let variance = *squares - *mean * *mean;
            g / ((if variance > F::ZERO { variance } else { F::ZERO }).sqrt() + epsilon)
        };
        let accelerate = |velocity: &mut F, direction: F| {
            *velocity = *velocity * momentum + direction;
            *velocity
        };
        let values = parameter.iter_mut().zip(gradient);
        match (self.centered, slots) {
            (false, [squares]) => {
                for ((value, &g), squares) in values.zip(squares.iter_mut()) {
                    *value -= uncentered(*value, g, squares) * rate;
                }
            }
            (false, [squares, velocity]) => {
                for ((value, &g), (squares, velocity)) in values.zip(squares.iter_mut().zip(velocity.iter_mut())) {
                    *value -= accelerate(velocity, uncentered(*value, g, squares)) * rate;
                }
            }
            (true, [squares, mean]) => {
                for ((value, &g), (squares, mean)) in values.zip(squares.iter_mut().zip(mean.iter_mut())) {
                    *value -= centered(*value, g, squares, mean) * rate;
                }
            }
            (true, [squares, mean, velocity]) => {
                let slots = squares.iter_mut().zip(mean.iter_mut()).zip(velocity.iter_mut());
                for ((value, &g), ((squares, mean), velocity)) in values.zip(slots) {
                    *value -= accelerate(velocity, centered(*value, g, squares, mean)) * rate;
                }
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::optimizers::Optimizer;
    use crate::testing::{assert_six_steps, gradients, one_parameter};

    /// Values of PyTorch 2.15 in double precision.
    #[test]
    fn six_steps_agree_with_pytorch() {
        let smooth = || RmsProp::<f64>::new(0.02).smoothing(0.9);
        let cases = [
            (RmsProp::new(0.02), [0.40741962295260586, -1.432752007601473, 0.19470502930267222]),
            (smooth().momentum(0.8).epsilon(1e-3), [0.4441019001986795, -1.4141964411671823, 0.12252696862677644]),
            (smooth().centered(true).weight_decay(0.3), [0.6990567003488077, -1.7414548732974462, 0.22465191348214134]),
            (
                smooth().centered(true).momentum(0.8).epsilon(1e-3).weight_decay(0.3),
                [0.16893633717039583, -1.3432054856837652, 0.09338434486487272],
            ),
        ];
        for (mut optimizer, expected) in cases {
            assert_six_steps(&mut optimizer, expected);
        }
    }

    #[test]
    fn a_variance_that_is_negative_by_rounding_counts_as_zero() {
        let mut parameters = one_parameter(Tensor::scalar(1.0));
        let gradients = gradients(&parameters, &[("x", Tensor::scalar(0.1))]);
        let mut optimizer = RmsProp::new(1e-6).smoothing(0.5).epsilon(1.0).centered(true);
        for _ in 0..200 {
            optimizer.step(&mut parameters, &gradients).unwrap();
        }
        let x = parameters.get("x").unwrap().item().unwrap();
        assert!((1.0 - 200.0 * 1e-7..1.0).contains(&x), "{x}");
    }

    #[test]
    fn settings_outside_their_domain_are_errors() {
        let mut parameters = one_parameter(Tensor::scalar(1.0));
        let gradients = gradients(&parameters, &[("x", Tensor::scalar(1.0))]);
        for (mut optimizer, setting) in [
            (RmsProp::new(-0.1), "learning rate"),
            (RmsProp::new(0.1).smoothing(1.0), "smoothing"),
            (RmsProp::new(0.1).momentum(-0.5), "momentum"),
            (RmsProp::new(0.1).epsilon(0.0), "epsilon"),
            (RmsProp::new(0.1).weight_decay(f64::INFINITY), "weight decay"),
        ] {
            let message = optimizer.step(&mut parameters, &gradients).unwrap_err().to_string();
            assert!(message.contains(setting), "{message}");
        }
        assert_eq!(parameters.get("x"), Some(&Tensor::scalar(1.0)));
    }
}
