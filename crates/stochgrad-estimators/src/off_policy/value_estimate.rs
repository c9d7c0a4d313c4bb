//! An estimate of a value with its standard error and confidence intervals.

use crate::off_policy::logged_action::error;
use std::fmt;
use std::ops::RangeInclusive;
use std::panic::Location;
use stochgrad_graph::GraphResult;
use stochgrad_tensor::special::student_t_icdf;
use stochgrad_tensor::{Real, Tensor};

/// The mean of the contributions of the samples of a log, with its standard error: the estimated value of a policy. The
/// contributions are what the estimators of [`LoggedData`](crate::LoggedData) return.
///
/// ```
/// use stochgrad_estimators::ValueEstimate;
/// use stochgrad_tensor::Tensor;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let estimate = ValueEstimate::new(&Tensor::from([0.0, 1.7, 0.4, 0.0, 2.2, 0.9]))?;
/// assert!(estimate.interval(0.95)?.contains(&0.8));
/// assert!(estimate.to_string().starts_with("0.8667 ± 0.3739"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueEstimate {
    mean: f64,
    variance: f64,
    least: f64,
    largest: f64,
    count: usize,
}

impl ValueEstimate {
    /// The estimate from the contributions of independent samples, in any order.
    ///
    /// # Errors
    /// For fewer than two contributions, which have no spread, and for some that are not finite.
    #[track_caller]
    pub fn new<F: Real>(contributions: &Tensor<F>) -> GraphResult<Self> {
        let at = Location::caller();
        let values = contributions.as_slice();
        if values.len() < 2 {
            return Err(error(
                at,
                format!("expected the contributions of at least 2 samples for a standard error, got {}", values.len()),
            ));
        }
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(error(
                at,
                format!("expected finite contributions, got {} at position {position}", values[position].to_f64()),
            ));
        }
        let count = values.len() as f64;
        let mean = values.iter().map(|value| value.to_f64()).sum::<f64>() / count;
        let squares = values.iter().map(|value| (value.to_f64() - mean).powi(2)).sum::<f64>();
        let fold = |start: f64, pick: fn(f64, f64) -> f64| values.iter().map(|value| value.to_f64()).fold(start, pick);
        Ok(ValueEstimate {
            mean,
            variance: squares / (count - 1.0),
            least: fold(f64::INFINITY, f64::min),
            largest: fold(f64::NEG_INFINITY, f64::max),
            count: values.len(),
        })
    }

    /// The estimated value.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The estimated variance of the contribution of one sample.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// The estimated standard error of the value.
    pub fn standard_error(&self) -> f64 {
        (self.variance / self.count as f64).sqrt()
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.count
    }

    /// A confidence interval by the quantiles of Student's t distribution. It is right for many samples, and too short
    /// where few weights are large: a rare large weight that the log does not contain also lacks in the standard error.
    ///
    /// # Errors
    /// For a confidence outside (0, 1).
    #[track_caller]
    pub fn interval(&self, confidence: f64) -> GraphResult<RangeInclusive<f64>> {
        check_confidence(confidence, Location::caller())?;
        let quantile = -student_t_icdf(0.5 * (1.0 - confidence), self.count as f64 - 1.0);
        Ok(self.around(quantile * self.standard_error()))
    }

    /// A confidence interval that holds for every number of samples, if each contribution lies in `range` with certainty:
    /// the empirical Bernstein bound (Maurer and Pontil 2009, theorem 4),
    /// $\sqrt{2 s^2 \ln(4/\alpha) / n} + 7 (b - a) \ln(4/\alpha) / (3 (n - 1))$ on both sides. For inverse propensity
    /// weights, the range is that of the rewards times the largest weight that is possible, not the largest in the log.
    /// The bound does not hold for self-normalised contributions, which are not independent.
    ///
    /// # Errors
    /// For a confidence outside (0, 1), for a range that is not finite, and if a contribution lies outside of it.
    #[track_caller]
    pub fn bernstein_interval(&self, confidence: f64, range: RangeInclusive<f64>) -> GraphResult<RangeInclusive<f64>> {
        let at = Location::caller();
        check_confidence(confidence, at)?;
        let (low, high) = (*range.start(), *range.end());
        if !(low < high && low.is_finite() && high.is_finite()) {
            return Err(error(at, format!("expected a finite range with a lower end below the upper, got {range:?}")));
        }
        if self.least < low || self.largest > high {
            return Err(error(
                at,
                format!(
                    "expected contributions in {range:?}, got some from {} to {}; use the range that contributions \
                     cannot leave",
                    self.least, self.largest
                ),
            ));
        }
        let (count, log) = (self.count as f64, (4.0 / (1.0 - confidence)).ln());
        let distance = (2.0 * self.variance * log / count).sqrt() + 7.0 * (high - low) * log / (3.0 * (count - 1.0));
        Ok(self.around(distance))
    }

    fn around(&self, distance: f64) -> RangeInclusive<f64> {
        self.mean - distance..=self.mean + distance
    }
}

impl fmt::Display for ValueEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} ± {:.4} ({} samples)", self.mean, self.standard_error(), self.count)
    }
}

fn check_confidence(confidence: f64, at: &'static Location<'static>) -> GraphResult<()> {
    match confidence > 0.0 && confidence < 1.0 {
        true => Ok(()),
        false => Err(error(at, format!("expected a confidence in (0, 1), such as 0.95, got {confidence}"))),
    }
}
