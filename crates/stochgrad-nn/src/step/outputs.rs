//! The results of a prediction.

use stochgrad_graph::{GraphError, GraphResult};
use stochgrad_tensor::{Real, Tensor};

/// The named outputs of a model, returned by [`Step::predict`](crate::Step::predict). The leading axes of each are its
/// plates, in the order in which the plates were made.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs<F: Real> {
    pub(super) outputs: Vec<(String, Tensor<F>)>,
}

impl<F: Real> Outputs<F> {
    /// An output.
    ///
    /// # Errors
    ///
    /// If no output has this name.
    pub fn get(&self, name: &str) -> GraphResult<&Tensor<F>> {
        self.outputs.iter().find(|(known, _)| known == name).map(|(_, value)| value).ok_or_else(|| {
            let known: Vec<&str> = self.outputs.iter().map(|(name, _)| name.as_str()).collect();
            let known = if known.is_empty() { "none; name one with record.output".into() } else { known.join(", ") };
            GraphError::Unknown { what: "output", name: name.into(), known }
        })
    }

    /// Names and values, in the order of recording.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor<F>)> {
        self.outputs.iter().map(|(name, value)| (name.as_str(), value))
    }
}
