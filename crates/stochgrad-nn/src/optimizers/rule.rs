//! Update rules: the step of an optimiser, defined once as recorded operations.

use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::error::NnResult;

/// The values of a parameter and its slots after a step.
#[derive(Clone, Debug)]
pub struct Updated<'t, F: Real> {
    /// The parameter.
    pub parameter: Var<'t, F>,
    /// The slots, in the order of [`UpdateRule::slots`].
    pub slots: Vec<Var<'t, F>>,
}

/// The step of an optimiser as recorded operations on a parameter, its gradient and its slots. [`Descent`] makes an
/// [`Optimizer`] of it.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::optimizers::{Descent, Updated, UpdateRule};
/// use stochgrad_nn::{Optimizer, Parameters};
/// use stochgrad_tape::{Tape, Var};
/// use stochgrad_tensor::Tensor;
///
/// /// AdaGrad: divides each element by the root of the sum of its squared gradients so far.
/// #[derive(Clone, Debug)]
/// struct AdaGrad;
///
/// impl UpdateRule<f64> for AdaGrad {
///     fn kind(&self) -> &'static str {
///         "adagrad"
///     }
///
///     fn slots(&self) -> &'static [&'static str] {
///         &["squares"]
///     }
///
///     fn update<'t>(
///         &self,
///         coefficients: &[Var<'t, f64>],
///         parameter: Var<'t, f64>,
///         gradient: Var<'t, f64>,
///         slots: &[Var<'t, f64>],
///     ) -> Updated<'t, f64> {
///         let squares = slots[0] + gradient.square();
///         let parameter = parameter - gradient * coefficients[0] / (squares.sqrt() + 1e-10);
///         Updated { parameter, slots: vec![squares] }
///     }
/// }
///
/// let mut parameters = Parameters::<f64>::new();
/// parameters.insert("x", Tensor::scalar(3.0))?;
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// graph.cost("square", parameters.on(&graph).param("x")?.square())?;
/// let mut adagrad = Descent::of(AdaGrad, 0.5);
/// adagrad.step(&mut parameters, &graph.backward()?)?;
/// assert!((parameters.get("x").unwrap().item()? - 2.5).abs() < 1e-9);
/// assert_eq!(adagrad.state().slots["squares"]["x"].item()?, 36.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Descent`]: super::Descent
/// [`Optimizer`]: super::Optimizer
pub trait UpdateRule<F: Real> {
    /// The kind of the optimiser, for checkpoints.
    fn kind(&self) -> &'static str;

    /// The settings in words, with which those of a resumed run are compared. By default, the kind alone.
    fn settings(&self) -> String {
        self.kind().into()
    }

    /// The names of the slots: values of the shape of the parameter, which start at 0.
    fn slots(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether the squares of the gradients must be finite, since the rule remembers them.
    fn squares_gradients(&self) -> bool {
        false
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`](crate::NnError::InvalidArgument) for a setting outside its domain.
    fn check(&self) -> NnResult<()> {
        Ok(())
    }

    /// The scalars of a step that all parameters share, from the learning rate and the number of the step, of which the
    /// first is 1. By default, the learning rate alone.
    fn coefficients<'t>(&self, rate: Var<'t, F>, step: Var<'t, F>) -> Vec<Var<'t, F>> {
        let _ = step;
        vec![rate]
    }

    /// The step of one parameter.
    fn update<'t>(
        &self,
        coefficients: &[Var<'t, F>],
        parameter: Var<'t, F>,
        gradient: Var<'t, F>,
        slots: &[Var<'t, F>],
    ) -> Updated<'t, F>;

    /// A hand-written kernel in place of [`update`](Self::update), if there is one: it changes the values of the
    /// parameter and its slots, to the same bits, and returns true.
    fn kernel(&self, coefficients: &[F], gradient: &[F], slots: &mut [&mut [F]], parameter: &mut [F]) -> bool {
        let _ = (coefficients, gradient, slots, parameter);
        false
    }
}

/// The gradient with that of the penalty $\tfrac\lambda2 \lVert \theta \rVert^2$, where $\lambda$ is the weight decay.
pub(super) fn penalized<'t, F: Real>(gradient: Var<'t, F>, parameter: Var<'t, F>, weight_decay: f64) -> Var<'t, F> {
    // Without a penalty, a parameter that is 0 or infinite must not change its gradient.
    if weight_decay == 0.0 { gradient } else { gradient + parameter * weight_decay }
}

/// The same for the elements of a kernel.
pub(super) fn penalized_element<F: Real>(weight_decay: f64) -> impl Fn(F, F) -> F {
    let (penalizes, factor) = (weight_decay != 0.0, F::from_f64(weight_decay));
    move |gradient, parameter| if penalizes { gradient + parameter * factor } else { gradient }
}
