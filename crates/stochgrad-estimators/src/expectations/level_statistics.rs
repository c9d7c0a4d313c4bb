//! What is known about one level of a sum: the moments of its term, and what the term costs.

use stochgrad_graph::{GraphError, GraphResult};

/// The mean, the second moment and the cost of the term of a level. They are known, or estimated from a pilot run.
///
/// ```
/// use stochgrad_estimators::LevelStatistics;
///
/// let level = LevelStatistics::of_samples(&[1.0, 3.0, 2.0, 2.0], 8.0);
/// assert_eq!((level.mean, level.mean_square, level.cost), (2.0, 4.5, 8.0));
/// // The variance of one sample, from four: the sum of squared deviations over three.
/// assert!((level.variance() - 2.0 / 3.0).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelStatistics {
    /// The mean of the term.
    pub mean: f64,
    /// The mean of its square.
    pub mean_square: f64,
    /// The cost of one sample, in any unit.
    pub cost: f64,
    /// The number of samples, if they are estimates.
    samples: Option<usize>,
}

impl LevelStatistics {
    /// A level of known moments.
    pub const fn new(mean: f64, mean_square: f64, cost: f64) -> Self {
        LevelStatistics { mean, mean_square, cost, samples: None }
    }

    /// A level of which some samples are known. Without samples, the moments are NaN.
    pub fn of_samples(samples: &[f64], cost: f64) -> Self {
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let mean_square = samples.iter().map(|sample| sample * sample).sum::<f64>() / count;
        LevelStatistics { mean, mean_square, cost, samples: Some(samples.len()) }
    }

    /// The variance of one sample: for estimated moments, the unbiased estimate.
    pub fn variance(&self) -> f64 {
        let variance = (self.mean_square - self.mean * self.mean).max(0.0);
        match self.samples {
            Some(count) if count > 1 => variance * count as f64 / (count - 1) as f64,
            _ => variance,
        }
    }

    /// Checks that the moments of some levels are finite and that each of them costs something.
    pub(crate) fn check(levels: &[LevelStatistics], error: impl Fn(String) -> GraphError) -> GraphResult<()> {
        if levels.is_empty() {
            return Err(error("expected the statistics of at least one level, got none".into()));
        }
        for (number, level) in levels.iter().enumerate() {
            let LevelStatistics { mean, mean_square, cost, .. } = *level;
            if !(mean.is_finite() && mean_square.is_finite() && cost.is_finite() && cost > 0.0 && mean_square >= 0.0) {
                return Err(error(format!(
                    "expected finite moments and a cost above 0, got mean {mean}, mean square {mean_square} and cost \
                     {cost} at level {number}"
                )));
            }
        }
        Ok(())
    }
}
