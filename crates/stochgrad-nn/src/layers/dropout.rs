//! Dropout.

use std::panic::Location;

use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::error::{NnError, NnResult};
use crate::layers::Layer;
use crate::parameters::Scope;
use crate::record::Record;

/// Dropout (Srivastava et al. 2014): in training, each element is 0 with a given probability, and the other elements
/// are divided by the probability with which they are kept. Evaluation and prediction return the input itself.
///
/// The name of the layer is the address of its noise, so that adding a layer does not change the noise of others. Each
/// element of each member has noise of its own. Alternatives of a node that a gradient method replays share it.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Dropout, Layer, Mode, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f64>::new();
/// let dropout = Dropout::new(&mut parameters, "dropout", 0.25)?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let (record, x) = (parameters.on(&graph), graph.constant(Tensor::ones([1000])));
/// let y = dropout.forward(&record, x)?.value()?;
/// let kept = y.as_slice().iter().filter(|&&y| y == 1.0 / 0.75).count();
/// let dropped = y.as_slice().iter().filter(|&&y| y == 0.0).count();
/// assert!(kept + dropped == 1000 && (700..800).contains(&kept));
/// assert_eq!(dropout.forward(&record.in_mode(Mode::Predict), x)?.id(), x.id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    name: String,
    probability: f64,
}

impl Dropout {
    /// Drops elements with a probability. The layer has no parameters; the scope determines its full name.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if the probability is outside [0, 1).
    pub fn new<'a, F: Real>(parameters: impl Into<Scope<'a, F>>, name: &str, probability: f64) -> NnResult<Self> {
        let scope = parameters.into().into_scope(name);
        if !(0.0..1.0).contains(&probability) {
            return Err(NnError::argument(
                "`probability` of `Dropout::new`",
                "a probability in [0, 1)",
                format!("{probability} for layer `{}`", scope.name()),
                "pass the probability with which an element is dropped",
            ));
        }
        Ok(Self { name: scope.name().into(), probability })
    }

    /// The probability with which an element is dropped.
    pub fn probability(&self) -> f64 {
        self.probability
    }
}

impl<F: Real> Layer<F> for Dropout {
    /// The event shape stays the same.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        record.tape().check()?;
        if !record.is_training() || self.probability == 0.0 {
            return Ok(x);
        }
        let kept = 1.0 - self.probability;
        record.tape().located(at, || {
            let mask = record.graph().mask(self.name.as_str(), kept, &x.plates(), x.shape())?;
            Ok(x * mask * (1.0 / kept))
        })
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::layers::check::{LayerCheck, values};
    use crate::parameters::Parameters;

    #[test]
    fn derivatives_plates_and_programs() {
        let mut parameters = Parameters::<f64>::new();
        let dropout = Dropout::new(&mut parameters, "dropout", 0.4).unwrap();
        LayerCheck::new(parameters, values([3, 2, 5])).combines_members().run(&dropout);
    }

    #[test]
    fn noise_is_that_of_the_name() {
        let mut parameters = Parameters::<f64>::new();
        let [a, b] = ["a", "b"].map(|name| Dropout::new(&mut parameters, name, 0.5).unwrap());
        let drawn = |layers: &[&Dropout]| {
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed::new(7));
            let x = graph.data("batch", Tensor::ones([4, 8])).unwrap();
            let drawn = layers.iter().map(|layer| layer.forward(&parameters.on(&graph), x).unwrap().value().unwrap());
            drawn.collect::<Vec<Tensor<f64>>>()
        };
        let (together, alone) = (drawn(&[&a, &b]), drawn(&[&b]));
        assert_eq!(together[1], alone[0]);
        assert_ne!(together[0], together[1]);
        let twice = drawn(&[&a, &a]);
        assert_eq!(twice[0], together[0]);
        assert_ne!(twice[0], twice[1]);
    }

    #[test]
    fn probabilities_outside_the_interval_are_errors() {
        let mut parameters = Parameters::<f64>::new();
        for probability in [-0.1, 1.0, f64::NAN] {
            let message = Dropout::new(parameters.scope("net"), "drop", probability).unwrap_err().to_string();
            assert!(message.contains("`net.drop`") && message.contains("[0, 1)"), "{message}");
        }
    }
}
