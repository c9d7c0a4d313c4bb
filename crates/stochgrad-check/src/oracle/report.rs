//! The results of the exact oracle.

use crate::error::{CheckError, CheckResult};
use std::collections::BTreeMap;
use std::fmt;
use stochgrad_tensor::Tensor;

/// The exact mean and variance of each component of a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// The mean of each component.
    pub mean: Vec<f64>,
    /// The variance of each component.
    pub variance: Vec<f64>,
    /// The number of outcomes.
    pub outcomes: usize,
    /// The probability of all outcomes, which is 1 to rounding.
    pub probability: f64,
}

/// The exact mean and variance of the gradient of each parameter, and of the estimate of each cost.
#[derive(Clone, Debug)]
pub struct GradientMoments {
    pub(crate) parameters: BTreeMap<String, (Tensor<f64>, Tensor<f64>)>,
    pub(crate) costs: BTreeMap<String, (f64, f64)>,
    pub(crate) outcomes: usize,
    pub(crate) probability: f64,
}

impl GradientMoments {
    /// The mean of the gradient with respect to a parameter.
    ///
    /// # Errors
    /// [`CheckError::Unknown`] if no parameter has this name.
    pub fn mean(&self, parameter: &str) -> CheckResult<&Tensor<f64>> {
        find("parameter", &self.parameters, parameter).map(|(mean, _)| mean)
    }

    /// The variance of each element of the gradient with respect to a parameter.
    ///
    /// # Errors
    /// [`CheckError::Unknown`] if no parameter has this name.
    pub fn variance(&self, parameter: &str) -> CheckResult<&Tensor<f64>> {
        find("parameter", &self.parameters, parameter).map(|(_, variance)| variance)
    }

    /// The names of the parameters, in alphabetical order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parameters.keys().map(String::as_str)
    }

    /// The mean and the variance of the estimate of a cost.
    ///
    /// # Errors
    /// [`CheckError::Unknown`] if no cost has this name.
    pub fn cost(&self, name: &str) -> CheckResult<(f64, f64)> {
        find("cost", &self.costs, name).copied()
    }

    /// The mean of the total cost.
    pub fn total(&self) -> f64 {
        self.costs.values().map(|(mean, _)| mean).sum()
    }

    /// The number of outcomes.
    pub fn outcomes(&self) -> usize {
        self.outcomes
    }

    /// The probability of all outcomes, which is 1 to rounding.
    pub fn probability(&self) -> f64 {
        self.probability
    }
}

fn find<'a, T>(what: &'static str, known: &'a BTreeMap<String, T>, name: &str) -> CheckResult<&'a T> {
    known.get(name).ok_or_else(|| {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let known = if names.is_empty() { "none".into() } else { names.join(", ") };
        CheckError::Unknown { what, name: name.into(), known }
    })
}

/// The agreement that [`Oracle::verify`](crate::Oracle::verify) found.
#[derive(Clone, Debug, PartialEq)]
pub struct OracleReport {
    pub(crate) worst: Vec<(usize, f64)>,
    pub(crate) compared: usize,
    pub(crate) outcomes: usize,
}

impl OracleReport {
    /// For each order, the largest difference |found − expected| / max(1, |expected|).
    pub fn worst(&self) -> &[(usize, f64)] {
        &self.worst
    }

    /// The number of compared derivatives, including the value.
    pub fn compared(&self) -> usize {
        self.compared
    }

    /// The number of outcomes of the estimator.
    pub fn outcomes(&self) -> usize {
        self.outcomes
    }
}

impl fmt::Display for OracleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} derivatives over {} outcomes; largest difference", self.compared, self.outcomes)?;
        for (index, (order, worst)) in self.worst.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator} {worst:.1e} at order {order}")?;
        }
        Ok(())
    }
}
