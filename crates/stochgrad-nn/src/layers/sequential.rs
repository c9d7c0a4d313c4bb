//! Layers one after the other.

use std::fmt;

use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::error::NnResult;
use crate::layers::Layer;
use crate::parameters::Scope;
use crate::record::Record;

/// Layers of any types, each applied to the output of the one before. Their parameters are named after their positions,
/// `name.0`, `name.1` …, and layers without parameters count as well, as in PyTorch.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Activation, Initialization, Layer, Linear, Parameters, Residual, Sequential};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// let seed = Seed::new(7);
/// let mut parameters = Parameters::<f32>::new();
/// let encoder = Sequential::builder(&mut parameters, "encoder")
///     .layer(|at, name| Linear::new(at, name, 64, 32, Initialization::He, seed))
///     .then(Activation::Relu)
///     .layer(|at, name| Ok(Residual::new(Linear::new(at, name, 32, 32, Initialization::Zeros, seed)?)))
///     .layer(|at, name| Linear::new(at, name, 32, 10, Initialization::Uniform, seed))
///     .build()?;
/// let weights: Vec<&str> = parameters.names().filter(|name| name.ends_with("weight")).collect();
/// assert_eq!(weights, ["encoder.0.weight", "encoder.2.weight", "encoder.3.weight"]);
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, seed);
/// let logits = encoder.forward(&parameters.on(&graph), graph.constant(Tensor::ones([64])))?;
/// assert_eq!(logits.shape()[..], [10]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sequential<F: Real> {
    layers: Vec<Box<dyn Layer<F>>>,
}

impl<F: Real> Sequential<F> {
    /// Starts a list of layers, whose parameters are within `name`. An empty name leaves them within the scope.
    pub fn builder<'a, 'b>(parameters: impl Into<Scope<'a, F>>, name: &str) -> SequentialBuilder<'a, 'b, F> {
        SequentialBuilder { scope: parameters.into().into_scope(name), layers: Vec::new() }
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Box<dyn Layer<F>>] {
        &self.layers
    }
}

impl<F: Real> Layer<F> for Sequential<F> {
    /// The output of the last layer; the input itself if there are no layers.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let mut value = x;
        for layer in &self.layers {
            value = layer.forward(record, value)?;
        }
        Ok(value)
    }
}

impl<F: Real> fmt::Debug for Sequential<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequential").field("layers", &self.layers.len()).finish()
    }
}

/// A function that makes a layer within a scope, under a name.
type Make<'b, F> = Box<dyn FnOnce(&mut Scope<'_, F>, &str) -> NnResult<Box<dyn Layer<F>>> + 'b>;

/// The layers of a [`Sequential`] as far as they are listed. [`Sequential::builder`] makes one.
#[must_use = "the layers are made by `build`"]
pub struct SequentialBuilder<'a, 'b, F: Real> {
    scope: Scope<'a, F>,
    layers: Vec<Make<'b, F>>,
}

impl<'b, F: Real> SequentialBuilder<'_, 'b, F> {
    /// Adds a layer with parameters. `make` gets the scope and the name, its position, and passes them to the
    /// constructor of the layer.
    pub fn layer<L: Layer<F> + 'static>(
        mut self,
        make: impl FnOnce(&mut Scope<'_, F>, &str) -> NnResult<L> + 'b,
    ) -> Self {
        self.layers.push(Box::new(move |scope, name| Ok(Box::new(make(scope, name)?))));
        self
    }

    /// Adds a layer that is made already, such as an activation.
    pub fn then(self, layer: impl Layer<F> + 'static) -> Self {
        self.layer(|_, _| Ok(layer))
    }

    /// Makes the layers.
    ///
    /// # Errors
    ///
    /// The first error of a constructor. No parameter is added in this case.
    pub fn build(self) -> NnResult<Sequential<F>> {
        let Self { mut scope, layers } = self;
        let layers = scope.all_or_none(|scope| {
            layers.into_iter().enumerate().map(|(index, make)| make(scope, &index.to_string())).collect()
        })?;
        Ok(Sequential { layers })
    }
}

impl<F: Real> fmt::Debug for SequentialBuilder<'_, '_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SequentialBuilder").field("scope", &self.scope).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    use super::*;
    use crate::initialization::Initialization;
    use crate::layers::{Activation, Linear, Mlp};
    use crate::parameters::Parameters;

    const SEED: Seed = Seed { seed: 7, step: 0 };

    fn linear(at: &mut Scope<'_, f64>, name: &str, sizes: [usize; 2]) -> NnResult<Linear> {
        Linear::new(at, name, sizes[0], sizes[1], Initialization::Uniform, SEED)
    }

    #[test]
    fn layers_are_applied_in_order() {
        let mut parameters = Parameters::<f64>::new();
        let layers = Sequential::builder(&mut parameters, "f")
            .layer(|at, name| linear(at, name, [3, 4]))
            .then(Activation::Tanh)
            .layer(|at, name| Sequential::builder(at, name).layer(|at, name| linear(at, name, [4, 2])).build())
            .build()
            .unwrap();
        assert!(parameters.names().eq(["f.0.weight", "f.0.bias", "f.2.0.weight", "f.2.0.bias"]));
        assert_eq!(layers.layers().len(), 3);
        let mut same = Parameters::<f64>::new();
        let mlp = Mlp::new(&mut same, "f", &[3, 4, 2], Activation::Tanh, SEED).unwrap();
        for (ours, theirs) in [("f.0", "f.0"), ("f.1", "f.2.0")] {
            for tensor in ["weight", "bias"] {
                let value = parameters.get(&format!("{theirs}.{tensor}")).unwrap().clone();
                same.set(&format!("{ours}.{tensor}"), value).unwrap();
            }
        }
        let run = |layer: &dyn Layer<f64>, parameters: &Parameters<f64>| {
            let tape = Tape::new();
            let graph = Graph::new(&tape, SEED);
            let y = layer.forward(&parameters.on(&graph), graph.constant([0.1, -0.2, 0.3])).unwrap();
            y.value().unwrap()
        };
        assert_eq!(run(&layers, &parameters), run(&mlp, &same));
    }

    #[test]
    fn a_layer_that_cannot_be_made_leaves_nothing_behind() {
        let mut parameters = Parameters::<f64>::new();
        let built = Sequential::builder(&mut parameters, "f")
            .layer(|at, name| linear(at, name, [3, 4]))
            .layer(|at, name| linear(at, name, [4, 0]))
            .build();
        let message = built.unwrap_err().to_string();
        assert!(message.contains("4 and 0") && message.contains("`f.1`"), "{message}");
        assert!(parameters.is_empty());
    }

    #[test]
    fn a_list_without_layers_is_the_identity() {
        let mut parameters = Parameters::<f64>::new();
        let none = Sequential::builder(&mut parameters, "f").build().unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let x = graph.constant([1.0, 2.0]);
        assert_eq!(none.forward(&parameters.on(&graph), x).unwrap().id(), x.id());
    }
}
