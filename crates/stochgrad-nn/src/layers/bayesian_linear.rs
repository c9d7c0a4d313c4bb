//! The affine layer with normal distributions in place of weights.

use std::panic::Location;

use stochgrad_distributions::Normal;
use stochgrad_graph::{GradientMethod, GraphResult, Seed};
use stochgrad_tape::{Id, PlateSet, Var};
use stochgrad_tensor::{Real, Shape, Tensor, machine_memory};

use crate::error::{NnError, NnResult};
use crate::initialization::Initialization;
use crate::layers::input::{expect_last, unfit};
use crate::mode::Mode;
use crate::parameters::Scope;
use crate::record::Record;

/// How the noise of the weights of a [`BayesianLinear`] layer reaches its output. All ways give the output of one
/// member the same distribution, and the expected gradients are the same; the variances differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WeightNoise {
    /// All members of a batch share a sample of the weights: $y_b = x_b W$.
    #[default]
    Shared,
    /// The outputs of each member are drawn from their distribution, which is normal with the mean $x_b M$ and the
    /// variance $x_b^2 S^2$ (Kingma, Salimans and Welling 2015). A member must be a single row: the outputs of several
    /// rows for the same weights are correlated.
    LocalReparameterization,
    /// Each member multiplies the deviations of the shared weights from their means by random signs of its own: $y_b =
    /// x_b M + ((x_b \circ r_b)(W - M)) \circ s_b$ (Wen, Vicol, Ba, Tran and Grosse 2018). All rows of a member have
    /// the same signs.
    Flipout,
}

/// An affine layer whose weights and biases are independent normal variates with a mean and a standard deviation each,
/// for variational inference (Blundell, Cornebise, Kavukcuoglu and Wierstra 2015).
///
/// The means are the parameter `name.mean`, and the standard deviations are `softplus` of `name.deviation`. Both have
/// the shape `[inputs + 1, outputs]`, with the biases in the last row, or `[inputs, outputs]` without biases.
///
/// [`posterior`](Self::posterior) is the distribution of the weights. Its divergence from a prior is a cost that all
/// members share. [`forward`](Self::forward) draws what the output needs; [`forward_with`](Self::forward_with) is given
/// a sample of the weights, which [`sample`](Self::sample) draws. The gradient method is an argument, since this crate
/// has none.
///
/// **Assumption** of [`Flipout`](WeightNoise::Flipout) and
/// [`LocalReparameterization`](WeightNoise::LocalReparameterization): the members of a batch meet in no other way than
/// in the average or the sum of their costs, and the layer is applied once to each member. Their outputs have the right
/// distributions one by one, but not together. A joint cost of several members (a log-mean-exp over a plate of samples,
/// statistics of a batch) and a loop over steps with the same weights need [`Shared`](WeightNoise::Shared) weights.
/// Predictions always share them, so that a plate of samples is a plate of functions.
///
/// ```
/// use stochgrad_distributions::{KlDivergence, Normal};
/// use stochgrad_estimators::Pathwise;
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{BayesianLinear, Initialization, Parameters, WeightNoise};
/// use stochgrad_tape::Tape;
///
/// let (mut parameters, seed) = (Parameters::<f64>::new(), Seed::new(7));
/// let layer = BayesianLinear::new(&mut parameters, "head", 2, 3, Initialization::Uniform, seed)?
///     .noise(WeightNoise::Flipout);
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, seed);
/// let record = parameters.on(&graph);
/// let x = graph.data("batch", [[1.0, 2.0], [3.0, 4.0]])?;
/// let y = layer.forward(&record, x, &Pathwise::new())?;
/// record.cost("likelihood", y.square().sum())?;
/// let prior = Normal::new(record.constant(0.0), 1.0);
/// record.cost("divergence", layer.posterior(&record)?.kl_to(&prior))?;
/// assert_eq!(graph.backward()?.get("head.mean")?.shape()[..], [3, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BayesianLinear {
    name: String,
    mean: String,
    deviation: String,
    inputs: usize,
    outputs: usize,
    has_bias: bool,
    noise: WeightNoise,
}

/// The initial value of the deviations before `softplus`: a standard deviation of 0.018.
const INITIAL_DEVIATION: f64 = -4.0;

impl BayesianLinear {
    /// Adds the means, with the initial values of the weights of a [`Linear`](crate::Linear) layer, and small
    /// deviations.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if there are no inputs or no outputs, or a name is taken. Nothing is added in this
    /// case.
    pub fn new<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        inputs: usize,
        outputs: usize,
        initialization: Initialization,
        seed: Seed,
    ) -> NnResult<Self> {
        Self::with_parameters(parameters.into().into_scope(name), [inputs, outputs], true, initialization, seed)
    }

    /// As [`new`](Self::new), without biases.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn without_bias<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        inputs: usize,
        outputs: usize,
        initialization: Initialization,
        seed: Seed,
    ) -> NnResult<Self> {
        Self::with_parameters(parameters.into().into_scope(name), [inputs, outputs], false, initialization, seed)
    }

    fn with_parameters<F: Real>(
        mut scope: Scope<'_, F>,
        [inputs, outputs]: [usize; 2],
        has_bias: bool,
        initialization: Initialization,
        seed: Seed,
    ) -> NnResult<Self> {
        let rows = inputs.saturating_add(usize::from(has_bias));
        if inputs == 0 || outputs == 0 || Shape::from([rows, outputs]).check_memory::<F>(machine_memory()).is_err() {
            return Err(NnError::argument(
                "`inputs` and `outputs` of `BayesianLinear::new`",
                "at least one of each, and a number of weights that fits in memory",
                format!("{inputs} and {outputs} for layer `{}`", scope.name()),
                "pass the size of the last event axis of the input and of the output",
            ));
        }
        let name = scope.name().to_string();
        scope.all_or_none(|scope| {
            let mean = initialization.weight(&scope.full_name("mean"), rows, outputs, seed);
            let mean = scope.insert("mean", mean)?;
            let start = Tensor::full([rows, outputs], F::from_f64(INITIAL_DEVIATION));
            let deviation = scope.insert("deviation", start)?;
            Ok(Self { name, mean, deviation, inputs, outputs, has_bias, noise: WeightNoise::default() })
        })
    }

    /// Sets how the noise of the weights reaches the output.
    pub fn noise(self, noise: WeightNoise) -> Self {
        Self { noise, ..self }
    }

    /// The full name of the means.
    pub fn mean(&self) -> &str {
        &self.mean
    }

    /// The full name of the deviations before `softplus`.
    pub fn deviation(&self) -> &str {
        &self.deviation
    }

    /// The size of the last event axis of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The size of the last event axis of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The distribution of the weights and biases.
    ///
    /// # Errors
    ///
    /// If parameters of the layer are missing.
    pub fn posterior<'t, F: Real>(&self, record: &Record<'_, 't, F>) -> GraphResult<Normal<Var<'t, F>>> {
        Ok(Normal::new(record.param(&self.mean)?, record.param(&self.deviation)?.softplus()))
    }

    /// A sample of the weights, at the address `name`, for [`forward_with`](Self::forward_with) and for costs that
    /// depend on the sample itself: the divergence from a prior without a closed form, for example.
    ///
    /// # Errors
    ///
    /// As [`posterior`](Self::posterior), and those of [`Record::sample`].
    #[track_caller]
    pub fn sample<'t, F: Real, M>(&self, record: &Record<'_, 't, F>, method: &M) -> GraphResult<Var<'t, F>>
    where
        M: GradientMethod<F, Normal<Id>> + Clone + 'static,
    {
        record.sample(self.name.as_str(), &self.posterior(record)?, method)
    }

    /// The output. The event shape `[.., inputs]` of the input becomes `[.., outputs]`. The method draws the weights,
    /// at the address `name`; with [local reparameterisation](WeightNoise::LocalReparameterization) it draws the
    /// outputs in place of them, at the address `name.activations`.
    ///
    /// # Errors
    ///
    /// For an input of another shape than the layer expects, for several rows with local reparameterisation, if
    /// parameters of the layer are missing, and those of [`Record::sample`]. A second application of the layer is one:
    /// draw the weights once, with [`sample`](Self::sample).
    #[track_caller]
    pub fn forward<'t, F: Real, M>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        method: &M,
    ) -> GraphResult<Var<'t, F>>
    where
        M: GradientMethod<F, Normal<Id>> + Clone + 'static,
    {
        let at = Location::caller();
        self.check(record, x, at)?;
        record.tape().located(at, || match self.noise_in(record) {
            WeightNoise::LocalReparameterization => self.drawn(record, x, method),
            noise => self.product_with(record, x, self.sample(record, method)?, noise),
        })
    }

    /// As [`forward`](Self::forward), with a sample of the weights. With local reparameterisation, only predictions
    /// depend on it.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    #[track_caller]
    pub fn forward_with<'t, F: Real, M>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        weights: Var<'t, F>,
        method: &M,
    ) -> GraphResult<Var<'t, F>>
    where
        M: GradientMethod<F, Normal<Id>> + Clone + 'static,
    {
        let at = Location::caller();
        self.check(record, x, at)?;
        record.tape().located(at, || match self.noise_in(record) {
            WeightNoise::LocalReparameterization => self.drawn(record, x, method),
            noise => self.product_with(record, x, weights, noise),
        })
    }

    fn noise_in<F: Real>(&self, record: &Record<'_, '_, F>) -> WeightNoise {
        if record.mode() == Mode::Predict { WeightNoise::Shared } else { self.noise }
    }

    fn check<'t, F: Real>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<()> {
        record.tape().check()?;
        let layer = || format!("Bayesian linear layer with means `{}`", self.mean);
        expect_last(x, self.inputs, layer, at)?;
        if self.noise_in(record) == WeightNoise::LocalReparameterization && x.shape().len() > 1 {
            let problem = "expected one row for each member with local reparameterisation, since the outputs of \
                           several rows for the same weights are correlated; put the rows on a plate if they are \
                           examples, or use WeightNoise::Flipout";
            return Err(unfit(x, layer(), problem.into(), at));
        }
        Ok(())
    }

    /// The product with a sample of the weights, or with a copy of it that has signs of its own for each member.
    #[track_caller]
    fn product_with<'t, F: Real>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        weights: Var<'t, F>,
        noise: WeightNoise,
    ) -> GraphResult<Var<'t, F>> {
        if noise != WeightNoise::Flipout {
            return Ok(self.product(x, weights));
        }
        let mean = record.param(&self.mean)?;
        let plates = PlateSet::from(x.plates()).union(&weights.plates());
        let signs = |part: &str, width: usize| -> GraphResult<Var<'t, F>> {
            Ok(record.graph().mask(format!("{}.{part}", self.name), 0.5, &plates, [width])? * 2.0 - 1.0)
        };
        let (inputs, outputs) = (signs("inputs", self.inputs)?, signs("outputs", self.outputs)?);
        Ok(self.product(x, mean) + self.product(x * inputs, weights - mean) * outputs)
    }

    /// The output, drawn from its distribution.
    #[track_caller]
    fn drawn<'t, F: Real, M>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>, method: &M) -> GraphResult<Var<'t, F>>
    where
        M: GradientMethod<F, Normal<Id>> + Clone + 'static,
    {
        let (mean, scale) = (record.param(&self.mean)?, record.param(&self.deviation)?.softplus());
        // Without the smallest positive number, an input of zeros would have outputs whose scale has an infinite
        // derivative.
        let variance = self.product(x.square(), scale.square()) + F::MIN_POSITIVE.to_f64();
        let outputs = Normal::new(self.product(x, mean), variance.sqrt());
        record.sample(format!("{}.activations", self.name), &outputs, method)
    }

    /// The product with weights, plus the biases.
    #[track_caller]
    fn product<'t, F: Real>(&self, x: Var<'t, F>, weights: Var<'t, F>) -> Var<'t, F> {
        match self.has_bias {
            true => x.matmul(weights.slice(0, 0..self.inputs)) + weights.index(0, self.inputs),
            false => x.matmul(weights),
        }
    }
}
