//! Adam and AdamW.

use stochgrad_tape::Var;
use stochgrad_tape::descent::{self, Coefficients, Schedule};
use stochgrad_tensor::Real;
use stochgrad_tensor::descent::{AdamStep, adam};

use super::descent::Descent;
use super::rule::{UpdateRule, Updated, penalized};
use super::{check_epsilon, check_not_negative, check_setting};
use crate::error::NnResult;

const FIRST: &str = "first_moment";
const SECOND: &str = "second_moment";

/// Adam (Kingma & Ba 2015), with an optional L2 penalty.
///
/// With gradient $g$, decay rates $\beta_1, \beta_2$, learning rate $\eta$ and weight decay $\lambda$, at step $t$:
/// $g \leftarrow g + \lambda \theta$, $m \leftarrow \beta_1 m + (1 - \beta_1) g$,
/// $v \leftarrow \beta_2 v + (1 - \beta_2) g^2$, $\theta \leftarrow \theta - \eta \hat m / (\sqrt{\hat v} + \epsilon)$
/// with $\hat m = m / (1 - \beta_1^t)$ and $\hat v = v / (1 - \beta_2^t)$.
///
/// The weight decay is the gradient of the penalty $\tfrac\lambda2 \lVert \theta \rVert^2$, as in PyTorch's `Adam`: it
/// is divided by $\sqrt{\hat v}$ with the rest of the gradient, so that parameters with large gradients decay little.
/// With [`AdamW`] all parameters decay at the same rate.
///
/// The learning rate may be a [`Schedule`](super::Schedule). Gradients whose square is not finite are an error, too,
/// since they would stop a parameter permanently.
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
pub type Adam<F> = Descent<F, AdamRule<false>>;

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
///
/// The weight decay $\lambda$, 0.01 by default, does not enter the gradient of [`Adam`]'s formulas: each step first
/// multiplies each parameter by $1 - \eta \lambda$, where $\eta$ is the learning rate, as PyTorch's `AdamW` does.
///
/// ```
/// use stochgrad_graph::Gradients;
/// use stochgrad_nn::{AdamW, Optimizer, Parameters};
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f64>::new();
/// parameters.insert("x", Tensor::scalar(2.0))?;
/// let gradients = Gradients::from_tensors([("x", Tensor::scalar(0.0))]);
/// AdamW::new(0.1).weight_decay(0.5).step(&mut parameters, &gradients)?;
/// assert_eq!(parameters.get("x").unwrap().item()?, 1.9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type AdamW<F> = Descent<F, AdamRule<true>>;

/// The update rule of [`Adam`] and, with `DECOUPLED`, of [`AdamW`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamRule<const DECOUPLED: bool> {
    /// The decay rates of the two moments, in [0, 1).
    pub betas: [f64; 2],
    /// The positive number that is added to the denominator.
    pub epsilon: f64,
    /// The weight decay λ ≥ 0.
    pub weight_decay: f64,
}

impl<F: Real> Adam<F> {
    /// Adam with decay rates 0.9 and 0.999, epsilon 1e-8 and no weight decay.
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Descent::of(AdamRule::default(), learning_rate)
    }
}

impl<F: Real> AdamW<F> {
    /// AdamW with decay rates 0.9 and 0.999, epsilon 1e-8 and weight decay 0.01.
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Descent::of(AdamRule::default(), learning_rate)
    }
}

impl<F: Real, const DECOUPLED: bool> Descent<F, AdamRule<DECOUPLED>> {
    /// Sets the decay rates of the two moments, in [0, 1).
    pub fn betas(self, first: f64, second: f64) -> Self {
        self.with(|rule| rule.betas = [first, second])
    }

    /// Sets the positive number that is added to the denominator.
    pub fn epsilon(self, epsilon: f64) -> Self {
        self.with(|rule| rule.epsilon = epsilon)
    }

    /// Sets the weight decay λ ≥ 0. [`Adam`] adds λθ to the gradient, and [`AdamW`] multiplies the parameter by 1 − ηλ.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        self.with(|rule| rule.weight_decay = weight_decay)
    }
}

impl<const DECOUPLED: bool> Default for AdamRule<DECOUPLED> {
    /// The settings of [`Adam::new`] or [`AdamW::new`].
    fn default() -> Self {
        Self::with_weight_decay(if DECOUPLED { 0.01 } else { 0.0 })
    }
}

impl<const DECOUPLED: bool> AdamRule<DECOUPLED> {
    fn with_weight_decay(weight_decay: f64) -> Self {
        let descent::Adam { betas, epsilon, .. } = descent::Adam::DEFAULT;
        AdamRule { betas, epsilon, weight_decay }
    }

    /// The factor of a parameter in its gradient.
    fn penalty(&self) -> f64 {
        if DECOUPLED { 0.0 } else { self.weight_decay }
    }

    /// The step without the penalty.
    fn settings(&self) -> descent::Adam {
        let AdamRule { betas, epsilon, weight_decay } = *self;
        descent::Adam { betas, epsilon, weight_decay: if DECOUPLED { weight_decay } else { 0.0 } }
    }
}

impl<F: Real, const DECOUPLED: bool> UpdateRule<F> for AdamRule<DECOUPLED> {
    fn kind(&self) -> &'static str {
        if DECOUPLED { "adamw" } else { "adam" }
    }

    fn settings(&self) -> String {
        format!("{self:?}")
    }

    fn slots(&self) -> &'static [&'static str] {
        &[FIRST, SECOND]
    }

    fn squares_gradients(&self) -> bool {
        true
    }

    fn check(&self) -> NnResult<()> {
        let [beta, epsilon, weight_decay] = match DECOUPLED {
            false => ["a beta of `Adam`", "the epsilon of `Adam`", "the weight decay of `Adam`"],
            true => ["a beta of `AdamW`", "the epsilon of `AdamW`", "the weight decay of `AdamW`"],
        };
        for value in self.betas {
            check_setting(beta, value, |beta| (0.0..1.0).contains(&beta), "a number in [0, 1)")?;
        }
        check_epsilon::<F>(epsilon, self.epsilon)?;
        check_not_negative(weight_decay, self.weight_decay)
    }

    fn coefficients<'t>(&self, rate: Var<'t, F>, step: Var<'t, F>) -> Vec<Var<'t, F>> {
        let Coefficients { rate, root, kept } = self.settings().coefficients(rate, step);
        [rate, root].into_iter().chain(kept).collect()
    }

    fn update<'t>(
        &self,
        coefficients: &[Var<'t, F>],
        parameter: Var<'t, F>,
        gradient: Var<'t, F>,
        slots: &[Var<'t, F>],
    ) -> Updated<'t, F> {
        let coefficients =
            Coefficients { rate: coefficients[0], root: coefficients[1], kept: coefficients.get(2).copied() };
        let gradient = penalized(gradient, parameter, self.penalty());
        let moved = self.settings().step(coefficients, gradient, [slots[0], slots[1]], parameter);
        Updated { parameter: moved.parameter, slots: moved.moments.to_vec() }
    }

    fn kernel(&self, coefficients: &[F], gradient: &[F], slots: &mut [&mut [F]], parameter: &mut [F]) -> bool {
        let (&[rate, root, ref kept @ ..], [first, second]) = (coefficients, slots) else { return false };
        let step = AdamStep {
            betas: self.betas.map(F::from_f64),
            rests: self.betas.map(|beta| F::from_f64(1.0 - beta)),
            rate,
            root,
            epsilon: F::from_f64(self.epsilon),
            kept: kept.first().copied().unwrap_or(F::ONE),
            penalty: F::from_f64(self.penalty()),
        };
        adam(step, gradient, [first, second], parameter);
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

    fn descent<const N: usize>(mut adam: impl Optimizer<f64>, slopes: [f64; N]) -> [f64; N] {
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
        let adam = AdamW::new(0.01).betas(0.5, 0.9).epsilon(0.1).weight_decay(0.2);
        let [first, second] = descent(adam, [0.5, -1.0]);
        // 1 - 0.01 · 0.2 - 0.01 · 0.5 / (0.5 + 0.1).
        assert_abs_diff_eq!(first, 0.989_666_666_666_666_7, epsilon = 1e-14);
        assert_abs_diff_eq!(second, 0.993_224_707_422_219, epsilon = 1e-14);
    }

    /// Values of PyTorch 2.15 in double precision.
    #[test]
    fn six_steps_agree_with_pytorch() {
        let cases: [(Box<dyn Optimizer<f64>>, [f64; 3]); 3] = [
            (
                Box::new(Adam::new(0.1).betas(0.8, 0.95).epsilon(1e-6).weight_decay(0.3)),
                [0.4346978333696176, -1.4326404074943893, 0.09058136004650562],
            ),
            (
                Box::new(AdamW::new(0.1).betas(0.8, 0.95).epsilon(1e-6).weight_decay(0.3)),
                [0.43966421595081473, -1.1681647600208127, 0.08259581813231351],
            ),
            (Box::new(AdamW::new(0.05)), [0.7908133921570061, -1.7005586432455755, 0.15243156414797163]),
        ];
        for (mut optimizer, expected) in cases {
            assert_six_steps(&mut *optimizer, expected);
        }
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
        unknown.slots.insert("third_moment".into(), std::collections::BTreeMap::new());
        for (wrong, part) in
            [(halved, "`first_moment` and `second_moment`"), (foreign, "sgd"), (unknown, "third_moment")]
        {
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
