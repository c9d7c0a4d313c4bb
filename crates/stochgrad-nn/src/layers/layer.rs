//! The trait of layers.

use std::sync::Arc;

use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::record::Record;

/// A function of its input and of named parameters. The parameters are not in the layer, which knows their names only:
/// [`Record`] has their values.
///
/// The precision is a parameter of the trait, so that layers of different types can be boxed and put into one list.
///
/// ```
/// use stochgrad_graph::{Graph, GraphResult, Seed};
/// use stochgrad_nn::{Activation, Initialization, Layer, Linear, Parameters, Record};
/// use stochgrad_tape::{Tape, Var};
///
/// /// Adds the output of a layer to its input.
/// struct Residual(Box<dyn Layer<f32>>);
///
/// impl Layer<f32> for Residual {
///     fn forward<'t>(&self, record: &Record<'_, 't, f32>, x: Var<'t, f32>) -> GraphResult<Var<'t, f32>> {
///         Ok(x + self.0.forward(record, x)?)
///     }
/// }
///
/// let mut parameters = Parameters::new();
/// let linear = Linear::new(&mut parameters, "linear", 4, 4, Initialization::Uniform, Seed::new(7))?;
/// let layers: [Box<dyn Layer<f32>>; 2] = [Box::new(Residual(Box::new(linear))), Box::new(Activation::Tanh)];
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let record = parameters.on(&graph);
/// let mut x = record.constant([1.0, 2.0, 3.0, 4.0]);
/// for layer in &layers {
///     x = layer.forward(&record, x)?;
/// }
/// assert_eq!(x.shape()[..], [4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Layer<F: Real>: Send + Sync {
    /// The output of the layer. The plates of the input stay the same.
    ///
    /// # Errors
    ///
    /// For an input of another shape than the layer expects, if parameters of the layer are missing, and for earlier
    /// errors on the tape.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>>;
}

impl<F: Real, L: Layer<F> + ?Sized> Layer<F> for Box<L> {
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        (**self).forward(record, x)
    }
}

impl<F: Real, L: Layer<F> + ?Sized> Layer<F> for Arc<L> {
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        (**self).forward(record, x)
    }
}
