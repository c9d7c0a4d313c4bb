//! The multilayer perceptron.

use std::panic::Location;

use stochgrad_graph::{GraphResult, Seed};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::error::{NnError, NnResult};
use crate::initialization::Initialization;
use crate::layers::Layer;
use crate::layers::kept_fraction::KeptFraction;
use crate::layers::kept_units::apply_keeping_units;
use crate::layers::{Activation, Linear};
use crate::parameters::Scope;
use crate::record::Record;

/// A multilayer perceptron: linear layers `name.0`, `name.1` … with an activation between each two of them, and none
/// after the last one.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Activation, Layer, Mlp, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// let seed = Seed::new(7);
/// let mut parameters = Parameters::<f32>::new();
/// let encoder = Mlp::new(&mut parameters, "encoder", &[64, 128, 20], Activation::LeakyRelu(0.1), seed)?;
/// assert_eq!(parameters.count(), 64 * 128 + 128 + 128 * 20 + 20);
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, seed);
/// let logits = encoder.forward(&parameters.on(&graph), graph.constant(Tensor::ones([64])))?;
/// assert_eq!(logits.shape()[..], [20]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    layers: Vec<Linear>,
    activation: Activation,
    kept_units: Option<KeptFraction>,
}

impl Mlp {
    /// Adds the parameters of the layers. `sizes` are the sizes of the input, the hidden layers and the output. The
    /// initial values are those of [`Initialization::Uniform`].
    ///
    /// # Errors
    ///
    /// As [`with_initialization`](Self::with_initialization).
    pub fn new<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        sizes: &[usize],
        activation: Activation,
        seed: Seed,
    ) -> NnResult<Self> {
        Self::with_initialization(parameters, name, sizes, activation, Initialization::default(), seed)
    }

    /// As [`new`](Self::new), with a choice of the initial values.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if there are fewer than two sizes, a size is 0, or a name is taken. Nothing is
    /// added in this case.
    pub fn with_initialization<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        sizes: &[usize],
        activation: Activation,
        initialization: Initialization,
        seed: Seed,
    ) -> NnResult<Self> {
        if sizes.len() < 2 || sizes.contains(&0) {
            return Err(NnError::argument(
                "`sizes` of `Mlp::new`",
                "the sizes of the input, of any hidden layers and of the output, none of them 0",
                format!("{sizes:?} for `{name}`"),
                "pass for instance `&[64, 128, 10]`",
            ));
        }
        let mut scope = parameters.into().into_scope(name);
        let layers = scope.all_or_none(|scope| {
            let pairs = sizes.windows(2).enumerate();
            pairs
                .map(|(layer, pair)| {
                    // PyTorch counts the activations between them.
                    let (name, in_pytorch) = (layer.to_string(), (2 * layer).to_string());
                    Linear::new(scope.scope_named(&name, &in_pytorch), "", pair[0], pair[1], initialization, seed)
                })
                .collect()
        })?;
        Ok(Self { layers, activation, kept_units: None })
    }

    /// Estimates the gradients of all weights from a random fraction of the rows of their inputs, in training:
    /// [`Linear::keep_rows`] for each layer.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if the fraction is outside (0, 1].
    pub fn keep_rows(self, fraction: f64) -> NnResult<Self> {
        let layers = self.layers.into_iter().map(|layer| layer.keep_rows(fraction)).collect::<NnResult<_>>()?;
        Ok(Self { layers, ..self })
    }

    /// Lets derivatives flow through a random fraction of the hidden units only, in training: [`KeptUnits`] between the
    /// layers. The name of the weights in front of an activation is the address of its random units.
    ///
    /// [`KeptUnits`]: crate::KeptUnits
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if the fraction is outside (0, 1].
    pub fn keep_units(self, fraction: f64) -> NnResult<Self> {
        let name = self.layers.first().map_or("", |layer| layer.weight());
        let kept = KeptFraction::new(fraction, "`fraction` of `Mlp::keep_units`", name)?;
        Ok(Self { kept_units: Some(kept), ..self })
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Linear] {
        &self.layers
    }

    /// The activation between layers.
    pub fn activation(&self) -> Activation {
        self.activation
    }
}

impl<F: Real> Layer<F> for Mlp {
    /// The event shape `[.., first size]` becomes `[.., last size]`.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        let mut value = x;
        let mut before: Option<&Linear> = None;
        for layer in &self.layers {
            if let Some(before) = before {
                let name = format!("units of {}", before.weight());
                value = record
                    .tape()
                    .located(at, || apply_keeping_units(self.activation, self.kept_units, record, &name, value))?;
            }
            value = layer.forward_at(record, value, at)?;
            before = Some(layer);
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::Graph;
    use stochgrad_tape::{Tape, Workspace};
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::optimizers::{Adam, Optimizer, Sgd};
    use crate::parameters::Parameters;

    const SEED: u64 = 7;

    fn squared_error(
        mlp: &Mlp,
        parameters: &Parameters<f64>,
        graph: &Graph<'_, f64>,
        data: &(Tensor<f64>, Tensor<f64>),
    ) -> GraphResult<()> {
        let x = graph.data("batch", &data.0)?;
        let y = graph.data("batch", &data.1)?;
        let output = mlp.forward(&parameters.on(graph), x)?;
        graph.cost("squared error", (output - y).square().sum())
    }

    fn loss(mlp: &Mlp, parameters: &Parameters<f64>, data: &(Tensor<f64>, Tensor<f64>)) -> f64 {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(SEED));
        squared_error(mlp, parameters, &graph, data).unwrap();
        graph.backward().unwrap().total()
    }

    #[test]
    fn the_gradient_agrees_with_central_differences() {
        let data = (Tensor::from([[0.3, -1.2, 0.7], [1.5, 0.4, -0.6]]), Tensor::from([[0.1, 0.9], [-0.5, 0.2]]));
        for activation in [
            Activation::Identity,
            Activation::Relu,
            Activation::LeakyRelu(0.1),
            Activation::Tanh,
            Activation::Sigmoid,
            Activation::Softplus,
        ] {
            let mut parameters = Parameters::new();
            let sizes = [3, 4, 5, 2];
            let mlp = Mlp::new(&mut parameters, "f", &sizes, activation, Seed::new(SEED)).unwrap();
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed::new(SEED));
            squared_error(&mlp, &parameters, &graph, &data).unwrap();
            let gradients = graph.backward().unwrap();
            let names: Vec<String> = parameters.names().map(String::from).collect();
            assert_eq!(names.len(), 6);
            for name in &names {
                let gradient = gradients.get(name).unwrap();
                for (element, &derivative) in gradient.as_slice().iter().enumerate() {
                    let moved = |by: f64| {
                        let mut value = parameters.get(name).unwrap().clone();
                        value.make_mut()[element] += by;
                        let mut moved = parameters.clone();
                        moved.set(name, value).unwrap();
                        loss(&mlp, &moved, &data)
                    };
                    let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                    assert!(
                        (difference - derivative).abs() < 1e-7 * (1.0 + derivative.abs()),
                        "{activation:?}, {name}[{element}]: {derivative}, differences {difference}"
                    );
                }
            }
        }
    }

    #[test]
    fn kept_rows_and_units_have_the_exact_gradient_as_their_mean() {
        let x = Tensor::from_fn([12, 3], |i| (i as f64 * 0.7).sin());
        let data = (x, Tensor::from_fn([12, 2], |i| (i as f64 * 1.3).cos()));
        let mut parameters = Parameters::new();
        let mlp = Mlp::new(&mut parameters, "f", &[3, 6, 5, 2], Activation::Tanh, Seed::new(SEED)).unwrap();
        let gradients = |mlp: &Mlp, step: u64| {
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed { seed: SEED, step });
            squared_error(mlp, &parameters, &graph, &data).unwrap();
            let gradients = graph.backward().unwrap();
            let all = parameters.names().flat_map(|name| gradients.get(name).unwrap().to_vec()).collect::<Vec<f64>>();
            (gradients.total(), all)
        };
        let (total, exact) = gradients(&mlp, 0);
        let random = mlp.clone().keep_rows(0.5).unwrap().keep_units(0.5).unwrap();
        const STEPS: u64 = 4000;
        let mut moments = vec![[0.0; 2]; exact.len()];
        for step in 0..STEPS {
            let (found, gradient) = gradients(&random, step);
            assert_eq!(found, total, "the costs are exact");
            for (moments, x) in moments.iter_mut().zip(gradient) {
                moments[0] += x / STEPS as f64;
                moments[1] += x * x / STEPS as f64;
            }
        }
        let mut varied = 0;
        for (element, ([mean, square], exact)) in moments.into_iter().zip(exact).enumerate() {
            let error = ((square - mean * mean).max(0.0) / STEPS as f64).sqrt();
            varied += usize::from(error > 1e-9);
            let bound = 4.5 * error + 1e-12;
            assert!((mean - exact).abs() < bound, "element {element}: {mean}, not {exact}, bound {bound}");
        }
        // All gradients are random but that of the biases of the last layer.
        assert_eq!(varied, parameters.count() - 2);
        for refused in [random.keep_rows(2.0), mlp.keep_units(0.0)] {
            let message = refused.unwrap_err().to_string();
            assert!(message.contains("`f.0.weight`") && message.contains("(0, 1]"), "{message}");
        }
    }

    #[test]
    fn the_last_layer_has_no_activation() {
        let mut parameters = Parameters::<f64>::new();
        let mlp = Mlp::new(&mut parameters, "f", &[1, 2, 1], Activation::Relu, Seed::new(SEED)).unwrap();
        for (name, value) in [
            ("f.0.weight", Tensor::from([[1.0, -1.0]])),
            ("f.0.bias", Tensor::from([0.5, 0.25])),
            ("f.1.weight", Tensor::from([[-2.0], [3.0]])),
            ("f.1.bias", Tensor::from([-1.0])),
        ] {
            parameters.set(name, value).unwrap();
        }
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(SEED));
        let y = mlp.forward(&parameters.on(&graph), graph.constant([2.0])).unwrap();
        // The hidden layer is [2.5, max(-1.75, 0)].
        assert_eq!(y.value().unwrap().as_slice(), [-6.0]);
    }

    #[test]
    fn a_small_regression_is_learned() {
        let x = Tensor::from_fn([40, 1], |i| -2.0 + i as f64 / 10.0);
        let data = (x.clone(), x.map(f64::sin));
        let optimizers: [Box<dyn Optimizer<f64>>; 2] =
            [Box::new(Adam::new(0.01)), Box::new(Sgd::new(0.05).momentum(0.9).nesterov(true))];
        for mut optimizer in optimizers {
            let mut parameters = Parameters::new();
            let seed = Seed::new(SEED);
            let mlp = Mlp::new(&mut parameters, "f", &[1, 16, 1], Activation::Tanh, seed).unwrap();
            let before = loss(&mlp, &parameters, &data);
            let mut workspace = Workspace::new();
            for step in 0..1500 {
                let graph = Graph::new(workspace.tape(), seed.step(step));
                squared_error(&mlp, &parameters, &graph, &data).unwrap();
                optimizer.step(&mut parameters, &graph.backward().unwrap()).unwrap();
            }
            let after = loss(&mlp, &parameters, &data);
            assert!(before > 0.1 && after < 2e-3, "{before} became {after}");
        }
    }

    #[test]
    fn initial_values_do_not_depend_on_other_layers() {
        let seed = Seed::new(SEED);
        let mut alone = Parameters::<f64>::new();
        Mlp::new(&mut alone, "f", &[3, 4, 2], Activation::Tanh, seed).unwrap();
        let mut together = Parameters::<f64>::new();
        Mlp::new(&mut together, "e", &[5, 4], Activation::Tanh, seed).unwrap();
        Mlp::new(&mut together, "f", &[3, 4, 2], Activation::Tanh, seed).unwrap();
        for (name, value) in alone.iter() {
            assert_eq!(together.get(name), Some(value));
        }
        assert_ne!(alone.get("f.0.bias").unwrap().as_slice(), together.get("e.0.bias").unwrap().as_slice());
        let mut scoped = Parameters::<f64>::new();
        let mut scope = scoped.scope("f");
        for (name, inputs, outputs) in [("0", 3, 4), ("1", 4, 2)] {
            Linear::new(&mut scope, name, inputs, outputs, Initialization::Uniform, seed).unwrap();
        }
        assert!(scoped.iter().eq(alone.iter()));
    }

    #[test]
    fn unusable_sizes_and_taken_names_are_errors_that_add_nothing() {
        let mut parameters = Parameters::<f32>::new();
        parameters.insert("f.1.weight", Tensor::scalar(1.0)).unwrap();
        let seed = Seed::new(SEED);
        for sizes in [&[][..], &[3], &[3, 0, 2], &[3, 4, 2]] {
            let error = Mlp::new(&mut parameters, "f", sizes, Activation::Tanh, seed);
            assert!(matches!(error, Err(NnError::InvalidArgument { .. })));
            assert_eq!(parameters.len(), 1);
        }
    }
}
