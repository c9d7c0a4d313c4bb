//! The residual connection.

use std::panic::Location;

use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::layers::Layer;
use crate::layers::input::unfit;
use crate::record::Record;

/// Adds the output of a layer to its input: $y = x + f(x)$ (He et al. 2016). The parameters are those of the layer.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Activation, Layer, Mlp, Parameters, Residual};
/// use stochgrad_tape::Tape;
///
/// let mut parameters = Parameters::<f64>::new();
/// let block = Residual::new(Mlp::new(&mut parameters, "block", &[3, 8, 3], Activation::Gelu, Seed::new(7))?);
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let y = block.forward(&parameters.on(&graph), graph.constant([1.0, 2.0, 3.0]))?;
/// assert_eq!(y.shape()[..], [3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residual<L> {
    layer: L,
}

impl<L> Residual<L> {
    /// A connection around a layer whose output has the event shape of its input.
    pub fn new(layer: L) -> Self {
        Self { layer }
    }

    /// The layer.
    pub fn layer(&self) -> &L {
        &self.layer
    }
}

impl<F: Real, L: Layer<F>> Layer<F> for Residual<L> {
    /// The event shape stays the same.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        let change = self.layer.forward(record, x)?;
        record.tape().check()?;
        if change.shape() != x.shape() {
            let problem = format!("expected a layer whose output has the shape {} of its input", x.shape());
            return Err(unfit(change, "residual connection".into(), problem, at));
        }
        Ok(record.tape().located(at, || x + change))
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    use super::*;
    use crate::initialization::Initialization;
    use crate::layers::{Activation, Linear};
    use crate::parameters::Parameters;

    #[test]
    fn the_input_is_added() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let parameters = Parameters::new();
        let y = Residual::new(Activation::Relu).forward(&parameters.on(&graph), graph.constant([-1.0, 2.0])).unwrap();
        assert_eq!(y.value().unwrap().as_slice(), [-1.0, 4.0]);
    }

    #[test]
    fn an_output_of_another_shape_is_an_error() {
        let mut parameters = Parameters::<f64>::new();
        let linear = Linear::new(&mut parameters, "f", 2, 3, Initialization::Uniform, Seed::new(7)).unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let error = Residual::new(linear).forward(&parameters.on(&graph), graph.constant([-1.0, 2.0])).unwrap_err();
        let message = error.to_string();
        for part in ["residual connection", "expected a layer whose output has the shape [2]", "event shape [3]"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
