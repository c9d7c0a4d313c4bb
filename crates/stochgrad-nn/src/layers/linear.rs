//! The affine layer.

use std::panic::Location;

use stochgrad_graph::{GraphResult, Seed};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, machine_memory};

use crate::error::{NnError, NnResult};
use crate::initialization::Initialization;
use crate::layers::Layer;
use crate::layers::input::expect_last;
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
            Ok(Self { weight, bias, inputs, outputs })
        })
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
            let product = x.matmul(record.param(&self.weight)?);
            self.bias.as_ref().map_or(Ok(product), |bias| Ok(product + record.param(bias)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::Graph;
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    use super::*;
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
