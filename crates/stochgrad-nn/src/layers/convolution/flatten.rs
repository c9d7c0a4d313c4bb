//! Event axes in one.

use std::panic::Location;

use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::layers::Layer;
use crate::record::Record;

/// Combines all event axes in one: between convolutions and linear layers.
///
/// The channels of images vary fastest here, and slowest in PyTorch. A linear layer behind this layer that was trained
/// in PyTorch needs the order of PyTorch: [`channels_first`](Self::channels_first).
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Flatten, Layer, Parameters};
/// use stochgrad_tape::Tape;
///
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let (parameters, signal) = (Parameters::new(), graph.constant([[1.0, 10.0], [2.0, 20.0]]));
/// let y = Flatten::new().forward(&parameters.on(&graph), signal)?;
/// assert_eq!(y.value()?.as_slice(), [1.0, 10.0, 2.0, 20.0]);
/// let y = Flatten::channels_first().forward(&parameters.on(&graph), signal)?;
/// assert_eq!(y.value()?.as_slice(), [1.0, 2.0, 10.0, 20.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten {
    is_channels_first: bool,
}

impl Flatten {
    /// In the order of the elements.
    pub fn new() -> Self {
        Self::default()
    }

    /// In the order in which the channels, the last event axis, vary slowest.
    pub fn channels_first() -> Self {
        Self { is_channels_first: true }
    }
}

impl<F: Real> Layer<F> for Flatten {
    /// Any event shape becomes one axis with as many elements.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let tape = record.tape();
        tape.check()?;
        let shape = x.shape();
        let count = shape.numel();
        tape.located(Location::caller(), || {
            if !self.is_channels_first || shape.rank() < 2 {
                return Ok(x.reshape([count]));
            }
            let channels = shape[shape.rank() - 1];
            Ok(x.reshape([count / channels.max(1), channels]).transpose().reshape([count]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::check::{LayerCheck, values};
    use crate::parameters::Parameters;

    #[test]
    fn derivatives_plates_and_programs() {
        for flatten in [Flatten::new(), Flatten::channels_first()] {
            LayerCheck::new(Parameters::new(), values([2, 3, 2, 4])).run(&flatten);
            LayerCheck::new(Parameters::new(), values([2])).run(&flatten);
        }
    }
}
