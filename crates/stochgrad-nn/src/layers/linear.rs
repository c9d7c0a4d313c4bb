//! The affine layer.

use std::panic::Location;

use stochgrad_graph::{GraphResult, Seed};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, machine_memory};

use crate::error::{NnError, NnResult};
use crate::initialization::Initialization;
use crate::layers::Layer;
use crate::layers::input::expect_last;
use crate::layers::kept_fraction::{KeptFraction, limit_order};
use crate::parameters::Scope;
use crate::pytorch::Layout;
use crate::record::Record;

/// An affine layer: $y = x W + b$ on the last event axis, with weights `name.weight` of shape `[inputs, outputs]` and
/// biases `name.bias` of shape `[outputs]`.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Initialization, Layer, Linear, Parameters};
/// use stochgrad_tape::Tape;
///
/// let mut parameters = Parameters::<f64>::new();
/// let layer = Linear::new(&mut parameters, "head", 2, 3, Initialization::Uniform, Seed::new(7))?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.data("batch", [[1.0, 2.0], [3.0, 4.0]])?;
/// let y = layer.forward(&parameters.on(&graph), x)?;
/// assert_eq!(y.shape()[..], [3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linear {
    weight: String,
    bias: Option<String>,
    inputs: usize,
    outputs: usize,
    kept_rows: Option<KeptFraction>,
}

impl Linear {
    /// Adds the weights and biases. The seed and their names determine their initial values.
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

    /// As [`new`](Self::new), without biases: $y = x W$.
    ///
    /// ```
    /// use stochgrad_graph::Seed;
    /// use stochgrad_nn::{Initialization, Linear, Parameters};
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// let layer = Linear::without_bias(&mut parameters, "head", 2, 3, Initialization::Uniform, Seed::new(7))?;
    /// assert_eq!((layer.bias(), parameters.count()), (None, 6));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        if inputs == 0 || outputs == 0 || Shape::from([inputs, outputs]).check_memory::<F>(machine_memory()).is_err() {
            return Err(NnError::argument(
                "`inputs` and `outputs` of `Linear::new`",
                "at least one of each, and a number of weights that fits in memory",
                format!("{inputs} and {outputs} for layer `{}`", scope.name()),
                "pass the size of the last event axis of the input and of the output",
            ));
        }
        scope.all_or_none(|scope| {
            let weight = initialization.weight(&scope.full_name("weight"), inputs, outputs, seed);
            let weight = scope.insert_in_layout("weight", weight, "weight", Layout::TRANSPOSED)?;
            let bias = has_bias.then(|| initialization.bias(&scope.full_name("bias"), inputs, outputs, seed));
            let bias = bias.map(|bias| scope.insert("bias", bias)).transpose()?;
            Ok(Self { weight, bias, inputs, outputs, kept_rows: None })
        })
    }

    /// Estimates the gradient of the weights from a random fraction of the rows of the input, in training (Oktay et al.
    /// 2020). A row is the last event axis, for one position of the other event axes and one member of the plates. All
    /// other derivatives and the output are exact. See
    /// [`matmul_keeping_rows`](Var::matmul_keeping_rows) for the formula, and the page about randomized backward passes
    /// for what this saves.
    ///
    /// The estimate is unbiased at first order; a second derivative is an error. The number of rows is the nearest one
    /// to the fraction, and at least 1. The name of the weights is the address of the random rows.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_nn::{Initialization, Layer, Linear, Parameters};
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// let seed = Seed::new(7);
    /// let layer = Linear::new(&mut parameters, "head", 2, 3, Initialization::Uniform, seed)?.keep_rows(0.25)?;
    ///
    /// let tape = Tape::new();
    /// let graph = Graph::new(&tape, seed);
    /// let record = parameters.on(&graph);
    /// let x = graph.data("batch", Tensor::from_fn([100, 2], |i| i as f64))?;
    /// record.cost("cost", layer.forward(&record, x)?.square().sum())?;
    /// let gradients = graph.backward()?;
    /// assert_eq!(gradients.get("head.weight")?.shape()[..], [2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if the fraction is outside (0, 1].
    pub fn keep_rows(self, fraction: f64) -> NnResult<Self> {
        let kept = KeptFraction::new(fraction, "`fraction` of `Linear::keep_rows`", &self.weight)?;
        Ok(Self { kept_rows: Some(kept), ..self })
    }

    /// The full name of the weights.
    pub fn weight(&self) -> &str {
        &self.weight
    }

    /// The full name of the biases, if there are any.
    pub fn bias(&self) -> Option<&str> {
        self.bias.as_deref()
    }

    /// The size of the last event axis of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The size of the last event axis of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }
}

impl<F: Real> Layer<F> for Linear {
    /// The event shape `[.., inputs]` becomes `[.., outputs]`.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        self.forward_at(record, x, Location::caller())
    }
}

impl Linear {
    /// The output, recorded for a line of the user's source.
    pub(super) fn forward_at<'t, F: Real>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<Var<'t, F>> {
        let tape = record.tape();
        tape.check()?;
        expect_last(x, self.inputs, || format!("linear layer with weights `{}`", self.weight), at)?;
        tape.located(at, || {
            let weight = record.param(&self.weight)?;
            let product = match self.random_rows(record, x)? {
                Some(rows) => {
                    let product = x.matmul_keeping_rows(weight, rows);
                    limit_order(record, product, &self.name_of_rows());
                    product
                }
                None => x.matmul(weight),
            };
            self.bias.as_ref().map_or(Ok(product), |bias| Ok(product + record.param(bias)?))
        })
    }

    /// The rows that the backward pass keeps; `None` for all of them.
    fn random_rows<'t, F: Real>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Option<Var<'t, F>>> {
        let Some(kept) = self.kept_rows.filter(|_| record.is_training()) else { return Ok(None) };
        let members = x.plates().iter().map(|&plate| record.tape().plate_size(plate)).product::<usize>();
        let rows = members * x.shape().iter().rev().skip(1).product::<usize>();
        kept.positions(record, &self.name_of_rows(), rows)
    }

    fn name_of_rows(&self) -> String {
        format!("rows of {}", self.weight)
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::{Graph, Guarantee, Order};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::layers::check::{LayerCheck, values};
    use crate::mode::Mode;
    use crate::parameters::Parameters;

    fn layer(parameters: &mut Parameters<f64>) -> Linear {
        let seed = Seed::new(7);
        Linear::new(parameters, "head", 2, 3, Initialization::Uniform, seed).unwrap()
    }

    fn hand_made() -> (Parameters<f64>, Linear) {
        let mut parameters = Parameters::new();
        let layer = layer(&mut parameters);
        let weight = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        parameters.set(layer.weight(), weight).unwrap();
        parameters.set("head.bias", Tensor::from([0.5, 0.0, -0.5])).unwrap();
        (parameters, layer)
    }

    #[test]
    fn the_output_is_x_times_w_plus_b_for_vectors_matrices_and_plates() {
        let (parameters, layer) = hand_made();
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let model = parameters.on(&graph);
        let rows = [[1.0, 0.0], [10.0, -1.0]];
        let expected = [[1.5, 2.0, 2.5], [6.5, 15.0, 23.5]];
        let vector = layer.forward(&model, graph.constant(rows[1])).unwrap();
        assert_eq!(vector.value().unwrap().as_slice(), expected[1]);
        let matrix = layer.forward(&model, graph.constant(rows)).unwrap();
        assert_eq!(matrix.value().unwrap(), Tensor::from(expected));
        let batch = graph.data("batch", rows).unwrap();
        let output = layer.forward(&model, batch).unwrap();
        assert_eq!((output.shape().len(), output.plates().len()), (1, 1));
        assert_eq!(output.value().unwrap().as_slice(), expected.as_flattened());
    }

    #[test]
    fn an_input_that_does_not_fit_is_an_error_that_names_layer_and_shapes() {
        let (parameters, layer) = hand_made();
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let model = parameters.on(&graph);
        let x = graph.data("batch", [[1.0, 2.0, 3.0]]).unwrap();
        let message = layer.forward(&model, x).unwrap_err().to_string();
        for part in ["`head.weight`", "expected 2", "[3]", "batch", "linear.rs"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(layer.forward(&model, graph.constant(1.0)).is_err());
        let other = Parameters::new();
        let x = graph.constant([1.0, 2.0]);
        let message = layer.forward(&other.on(&graph), x).unwrap_err().to_string();
        assert!(message.contains("head.weight"), "{message}");
    }

    #[test]
    fn kept_rows_have_exact_outputs_and_the_same_programs_as_recordings() {
        let mut parameters = Parameters::new();
        let layer = layer(&mut parameters).keep_rows(0.4).unwrap();
        LayerCheck::new(parameters, values([3, 2, 2])).estimated().run(&layer);
    }

    #[test]
    fn rows_are_kept_in_training_only() {
        let (parameters, layer) = hand_made();
        let random = layer.clone().keep_rows(0.5).unwrap();
        let gradients = |layer: &Linear, step: u64, mode: Mode| {
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed { seed: 7, step });
            let record = parameters.on(&graph).in_mode(mode);
            let x = graph.data("batch", values([6, 2])).unwrap();
            record.cost("cost", layer.forward(&record, x).unwrap().square().sum()).unwrap();
            let gradients = graph.backward().unwrap();
            let is_random = layer.kept_rows.is_some_and(|kept| kept.of(6) < 6) && mode == Mode::Train;
            let order = if is_random { Order::Finite(1) } else { Order::Any };
            assert_eq!(gradients.guarantee("head.weight").unwrap(), Guarantee::unbiased(order));
            ["head.weight", "head.bias"].map(|name| gradients.get(name).unwrap().clone())
        };
        let exact = gradients(&layer, 0, Mode::Train);
        assert_eq!(gradients(&random, 0, Mode::Evaluate), exact);
        let [first, second] = [0, 1].map(|step| gradients(&random, step, Mode::Train));
        assert!(first[0] != exact[0] && first[0] != second[0]);
        assert_eq!((&first[1], &second[1]), (&exact[1], &exact[1]), "the gradient of the biases is exact");
        assert_eq!(gradients(&layer.clone().keep_rows(1.0).unwrap(), 0, Mode::Train), exact);
        // A small fraction keeps one row.
        let [one, other] = [1e-9, 0.2].map(|fraction| layer.clone().keep_rows(fraction).unwrap());
        assert_eq!(gradients(&one, 0, Mode::Train), gradients(&other, 0, Mode::Train));
    }

    #[test]
    fn fractions_outside_the_interval_are_errors() {
        let (_, layer) = hand_made();
        for fraction in [0.0, -0.1, 1.1, f64::NAN] {
            let message = layer.clone().keep_rows(fraction).unwrap_err().to_string();
            assert!(message.contains("`head.weight`") && message.contains("(0, 1]"), "{message}");
        }
    }

    #[test]
    fn sizes_of_zero_and_taken_names_are_errors_that_add_nothing() {
        let mut parameters = Parameters::<f64>::new();
        parameters.insert("head.bias", Tensor::scalar(1.0)).unwrap();
        for (inputs, outputs) in [(0, 3), (2, 0), (usize::MAX, 2), (2, 3)] {
            let initialization = Initialization::Uniform;
            let seed = Seed::new(7);
            let error = Linear::new(&mut parameters, "head", inputs, outputs, initialization, seed);
            assert!(matches!(error, Err(NnError::InvalidArgument { .. })));
            assert_eq!(parameters.len(), 1);
        }
        assert!(parameters.get("head.weight").is_none());
    }
}
