//! The costs of a run.

use crate::error::{XlaError, XlaResult};
use stochgrad_tensor::Real;

/// The estimates of the costs that the last run computed.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceCosts<F> {
    pub(super) names: Vec<String>,
    pub(super) values: Vec<F>,
}

impl<F: Real> DeviceCosts<F> {
    pub(super) fn new(names: Vec<String>) -> Self {
        DeviceCosts { values: vec![F::NAN; names.len()], names }
    }

    /// The estimate of the expectation of a cost.
    ///
    /// # Errors
    /// If no cost has this name.
    pub fn get(&self, name: &str) -> XlaResult<F> {
        let found = self.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value).ok_or_else(|| XlaError::unknown("a cost", name, &self.names))
    }

    /// The names of the costs and their estimates, in the order of recording.
    pub fn iter(&self) -> impl Iterator<Item = (&str, F)> {
        self.names.iter().map(String::as_str).zip(self.values.iter().copied())
    }

    /// The estimate of the total expected cost.
    pub fn total(&self) -> F {
        self.values.iter().copied().sum()
    }
}
