//! Adam as recorded operations.

use crate::var::Var;
use stochgrad_tensor::Real;

/// The settings of Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019).
///
/// With gradient $g$, decay rates $\beta_1, \beta_2$, learning rate $\eta$ and weight decay $\lambda$, at step $t$:
/// $m \leftarrow \beta_1 m + (1 - \beta_1) g$, $v \leftarrow \beta_2 v + (1 - \beta_2) g^2$,
/// $\theta \leftarrow \theta - \eta \lambda \theta - \eta \hat m / (\sqrt{\hat v} + \epsilon)$ with
/// $\hat m = m / (1 - \beta_1^t)$ and $\hat v = v / (1 - \beta_2^t)$.
///
/// The same operations on whole tensors are [`stochgrad_tensor::descent::adam`], which gives the same bits in one pass
/// over memory.
///
/// ```
/// use stochgrad_tape::Tape;
/// use stochgrad_tape::descent::Adam;
///
/// let tape = Tape::<f64>::new();
/// let zero = tape.constant([0.0, 0.0]);
/// let coefficients = Adam::DEFAULT.coefficients(tape.constant(0.1), tape.constant(1.0));
/// let step = Adam::DEFAULT.step(coefficients, tape.constant([2.0, -8.0]), [zero, zero], tape.constant([1.0, 1.0]));
/// let moved = step.parameter.peek()?;
/// assert!((moved.as_slice()[0] - 0.9).abs() < 1e-8 && (moved.as_slice()[1] - 1.1).abs() < 1e-8);
/// # Ok::<(), stochgrad_tape::TapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// The decay rates of the two moments, in [0, 1).
    pub betas: [f64; 2],
    /// The positive number that is added to the denominator.
    pub epsilon: f64,
    /// The decoupled weight decay λ ≥ 0.
    pub weight_decay: f64,
}

/// The coefficients of one step of Adam, which all parameters share: scalars.
#[derive(Clone, Copy, Debug)]
pub struct Coefficients<'t, F: Real> {
    /// The learning rate divided by the bias correction of the first moment.
    pub rate: Var<'t, F>,
    /// One divided by the square root of the bias correction of the second moment.
    pub root: Var<'t, F>,
    /// The factor of a parameter after weight decay; `None` without weight decay.
    pub kept: Option<Var<'t, F>>,
}

/// The values after a step of Adam.
#[derive(Clone, Copy, Debug)]
pub struct Moved<'t, F: Real> {
    /// The parameter.
    pub parameter: Var<'t, F>,
    /// The first and the second moment.
    pub moments: [Var<'t, F>; 2],
}

impl Adam {
    /// Decay rates 0.9 and 0.999, epsilon 1e-8, and no weight decay.
    pub const DEFAULT: Adam = Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0 };

    /// The coefficients of the step with this number, of which the first is 1, at a learning rate.
    #[track_caller]
    pub fn coefficients<'t, F: Real>(&self, rate: Var<'t, F>, step: Var<'t, F>) -> Coefficients<'t, F> {
        // 1 − βᵗ without cancellation.
        let [first, second] = self.betas.map(|beta| -(step * beta.ln()).expm1());
        let kept = (self.weight_decay != 0.0).then(|| 1.0 - rate * self.weight_decay);
        Coefficients { rate: rate / first, root: second.sqrt().recip(), kept }
    }

    /// One step of one parameter, whose gradient and moments have its shape.
    #[track_caller]
    pub fn step<'t, F: Real>(
        &self,
        coefficients: Coefficients<'t, F>,
        gradient: Var<'t, F>,
        moments: [Var<'t, F>; 2],
        parameter: Var<'t, F>,
    ) -> Moved<'t, F> {
        let [rest1, rest2] = self.betas.map(|beta| 1.0 - beta);
        let first = moments[0] * self.betas[0] + gradient * rest1;
        let second = moments[1] * self.betas[1] + gradient * rest2 * gradient;
        let kept = coefficients.kept.map_or(parameter, |kept| parameter * kept);
        let parameter = kept - first * coefficients.rate / (second.sqrt() * coefficients.root + self.epsilon);
        Moved { parameter, moments: [first, second] }
    }
}
