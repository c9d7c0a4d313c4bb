//! The results of an evaluation.

use stochgrad_graph::{GraphError, GraphResult};
use stochgrad_tensor::Real;

/// The estimates of the expectations of the costs of a model, returned by [`Step::evaluate`](crate::Step::evaluate).
#[derive(Clone, Debug, PartialEq)]
pub struct Costs<F: Real> {
    pub(super) costs: Vec<(String, F)>,
}

impl<F: Real> Costs<F> {
    /// The estimate of a cost.
    ///
    /// # Errors
    ///
    /// If no cost has this name.
    pub fn get(&self, name: &str) -> GraphResult<F> {
        self.costs.iter().find(|(known, _)| known == name).map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<&str> = self.costs.iter().map(|(name, _)| name.as_str()).collect();
            GraphError::Unknown { what: "cost", name: name.into(), known: known.join(", ") }
        })
    }

    /// Names and estimates, in the order of recording.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, F)> {
        self.costs.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The estimate of the total cost.
    pub fn total(&self) -> F {
        self.costs.iter().map(|(_, value)| *value).sum()
    }
}
