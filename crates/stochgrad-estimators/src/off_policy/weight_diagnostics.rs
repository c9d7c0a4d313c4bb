//! What the weights of a log say about the estimates that are made of them.

use crate::off_policy::logged_action::error;
use crate::off_policy::value_estimate::ValueEstimate;
use std::fmt;
use std::panic::Location;
use stochgrad_graph::GraphResult;
use stochgrad_tensor::{Real, Tensor};

/// The effective sample size of some importance weights, the largest of them, and their mean.
///
/// The weights are what [`LoggedData::weights`](crate::LoggedData::weights) returns, read from an output. An effective
/// sample size far below the number of samples, or a largest share of more than a few percent, means that a few samples
/// determine the estimate. A mean that differs from 1 by several standard errors means that the propensities are wrong,
/// or that the logging policy never takes some actions of the target policy.
///
/// ```
/// use stochgrad_estimators::WeightDiagnostics;
/// use stochgrad_tensor::Tensor;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let diagnostics = WeightDiagnostics::new(&Tensor::from([0.5, 1.0, 0.5, 2.0]))?;
/// assert!((diagnostics.effective_sample_size() - 16.0 / 5.5).abs() < 1e-12);
/// assert_eq!((diagnostics.largest_weight(), diagnostics.largest_share()), (2.0, 0.5));
/// assert_eq!(diagnostics.mean().mean(), 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightDiagnostics {
    effective: f64,
    largest: f64,
    share: f64,
    mean: ValueEstimate,
}

impl WeightDiagnostics {
    /// The diagnostics of some weights, in any order.
    ///
    /// # Errors
    /// For fewer than two weights, for weights that are negative or not finite, and if all of them are 0.
    #[track_caller]
    pub fn new<F: Real>(weights: &Tensor<F>) -> GraphResult<Self> {
        let at = Location::caller();
        let mean = ValueEstimate::new(weights)?;
        let values = || weights.as_slice().iter().map(|weight| weight.to_f64());
        if let Some((position, found)) = values().enumerate().find(|(_, weight)| *weight < 0.0) {
            return Err(error(at, format!("expected weights of at least 0, got {found} at position {position}")));
        }
        let largest = values().fold(0.0, f64::max);
        if largest == 0.0 {
            return Err(error(at, "expected a positive weight, got zeros: the target policy takes no logged action"));
        }
        // In units of the largest weight, so that squares do not overflow.
        let (sum, squares) = values()
            .map(|weight| weight / largest)
            .fold((0.0, 0.0), |(sum, squares), weight| (sum + weight, squares + weight * weight));
        Ok(WeightDiagnostics { effective: sum * sum / squares, largest, share: 1.0 / sum, mean })
    }

    /// $(\sum_i w_i)^2 / \sum_i w_i^2$ (Kong 1992): between 1, for a single weight that is not 0, and the number of
    /// samples, for equal weights.
    pub fn effective_sample_size(&self) -> f64 {
        self.effective
    }

    /// The largest weight.
    pub fn largest_weight(&self) -> f64 {
        self.largest
    }

    /// The part of the sum of all weights that the largest one has.
    pub fn largest_share(&self) -> f64 {
        self.share
    }

    /// The mean of the weights with its standard error. Its expectation is 1.
    pub fn mean(&self) -> ValueEstimate {
        self.mean
    }
}

impl fmt::Display for WeightDiagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WeightDiagnostics { effective, largest, share, mean } = self;
        write!(
            f,
            "effective sample size {effective:.1} of {}, largest weight {largest:.2} ({:.1} % of the sum), mean weight \
             {:.3} ± {:.3}",
            mean.samples(),
            100.0 * share,
            mean.mean(),
            mean.standard_error()
        )
    }
}
