//! The logarithm of a mean of weights.

use stochgrad_tensor::{Real, Tensor};

use crate::error::{TrainError, TrainResult};

/// For each member, the logarithm of the mean of weights $w_1, \dots, w_K$, accumulated from chunks of their logarithms:
///
/// $$ \ln \frac{1}{K} \sum_{k=1}^K w_k $$
///
/// The memory does not depend on the number of samples. A weight of 0 has the logarithm −∞.
///
/// ```
/// use stochgrad_tensor::Tensor;
/// use stochgrad_train::evaluation::LogMeanExp;
///
/// let mut mean = LogMeanExp::new(1);
/// mean.add(&Tensor::from([[1.0_f64.ln(), 2.0_f64.ln()]]))?;
/// mean.add(&Tensor::from([[3.0_f64.ln(), 6.0_f64.ln()]]))?;
/// assert!((mean.values().next().unwrap() - 3.0_f64.ln()).abs() < 1e-12);
/// # Ok::<(), stochgrad_train::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LogMeanExp {
    members: usize,
    /// Those of all members, or none before the first samples.
    sums: Vec<Sums>,
    samples: usize,
}

/// The sums of one member, relative to its largest weight.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sums {
    largest: f64,
    /// The sum of the weights.
    first: f64,
    /// The sum of their squares.
    second: f64,
}

impl Sums {
    const EMPTY: Self = Self { largest: f64::NEG_INFINITY, first: 0.0, second: 0.0 };

    fn add(&mut self, log_weight: f64) {
        if log_weight > self.largest {
            let scale = (self.largest - log_weight).exp();
            self.first *= scale;
            self.second *= scale * scale;
            self.largest = log_weight;
        }
        // Without a positive weight so far, there is nothing to add; NaN and +∞ stay visible.
        if log_weight != f64::NEG_INFINITY {
            let weight = (log_weight - self.largest).exp();
            self.first += weight;
            self.second += weight * weight;
        }
    }
}

impl LogMeanExp {
    /// Of no samples, for a number of members.
    pub fn new(members: usize) -> Self {
        Self { members, sums: Vec::new(), samples: 0 }
    }

    /// Adds samples: logarithms of weights of shape `[members, ..]`, whose other axes are those of samples.
    ///
    /// # Errors
    ///
    /// For another number of members, and for logarithms that are NaN or +∞. Nothing is added in this case.
    pub fn add<F: Real>(&mut self, log_weights: &Tensor<F>) -> TrainResult<()> {
        const ARGUMENT: &str = "`log_weights` of `LogMeanExp::add`";
        if log_weights.shape().first() != Some(&self.members) {
            return Err(TrainError::argument(
                ARGUMENT,
                format!("a shape [{}, ..] with one row for each member", self.members),
                log_weights.shape().to_string(),
                "record the members as the first plate",
            ));
        }
        if let Some(value) = log_weights.as_slice().iter().find(|value| value.is_nan() || **value == F::INFINITY) {
            return Err(TrainError::argument(
                ARGUMENT,
                "finite numbers or −∞",
                value.to_string(),
                "look for the term that is not finite among those of the logarithm of the weight",
            ));
        }
        let samples = log_weights.len() / self.members.max(1);
        self.sums.resize(if samples > 0 { self.members } else { self.sums.len() }, Sums::EMPTY);
        for (sums, row) in self.sums.iter_mut().zip(log_weights.as_slice().chunks_exact(samples.max(1))) {
            row.iter().for_each(|log_weight| sums.add(log_weight.to_f64()));
        }
        self.samples += samples;
        Ok(())
    }

    fn each(&self) -> impl ExactSizeIterator<Item = Sums> {
        (0..self.members).map(|member| self.sums.get(member).copied().unwrap_or(Sums::EMPTY))
    }

    /// The number of samples of each member.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The logarithm of the mean weight of each member; −∞ if all weights are 0, and NaN without samples.
    pub fn values(&self) -> impl ExactSizeIterator<Item = f64> {
        let samples = self.samples as f64;
        self.each().map(move |sums| match samples > 0.0 {
            true if sums.first == 0.0 => f64::NEG_INFINITY,
            true => sums.largest + (sums.first / samples).ln(),
            false => f64::NAN,
        })
    }

    /// The standard error of each value, to first order: that of the mean weight, divided by the mean weight. It is NaN
    /// with fewer than two samples.
    ///
    /// The variance of weights can be infinite, and a few samples then seem precise. See
    /// [`effective_samples`](Self::effective_samples).
    pub fn standard_errors(&self) -> impl ExactSizeIterator<Item = f64> {
        let samples = self.samples as f64;
        self.each().map(move |sums| {
            let mean = sums.first / samples;
            let variance = (sums.second / samples - mean * mean).max(0.0) * samples / (samples - 1.0);
            (variance / samples).sqrt() / mean
        })
    }

    /// The number of samples of equal weight that would be as precise, from 1 to the number of samples:
    /// $(\sum_k w_k)^2 / \sum_k w_k^2$. If it is near 1, one weight dominates, and the value is too low.
    pub fn effective_samples(&self) -> impl ExactSizeIterator<Item = f64> {
        self.each().map(|sums| sums.first * sums.first / sums.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(weights: &[f64]) -> (f64, f64, f64) {
        let n = weights.len() as f64;
        let mean = weights.iter().sum::<f64>() / n;
        let variance = weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let squares: f64 = weights.iter().map(|w| w * w).sum();
        (mean.ln(), (variance / n).sqrt() / mean, (n * mean).powi(2) / squares)
    }

    #[test]
    fn chunks_give_what_all_samples_give() {
        let weights: Vec<f64> = (0..24).map(|i| 0.1 + (f64::from(i) * 0.7).sin().abs()).collect();
        let shift = 700.0;
        let mut mean = LogMeanExp::new(2);
        // The chunks have 3, 1 and 2 · 4 samples of each member.
        let part = |from: usize, count: usize| {
            Tensor::from_fn([2, count], |i| weights[i / count * 12 + from + i % count].ln() - [0.0, shift][i / count])
        };
        mean.add(&part(0, 3)).unwrap();
        mean.add(&part(3, 1)).unwrap();
        mean.add(&part(4, 8).reshape([2, 2, 4]).unwrap()).unwrap();
        assert_eq!(mean.samples(), 12);
        let results = mean.values().zip(mean.standard_errors()).zip(mean.effective_samples());
        for (member, ((value, error), effective)) in results.enumerate() {
            let expected = naive(&weights[member * 12..][..12]);
            assert!((value - (expected.0 - [0.0, shift][member])).abs() < 1e-11, "{value}");
            assert!((error - expected.1).abs() < 1e-11 && (effective - expected.2).abs() < 1e-10);
        }
    }

    #[test]
    fn weights_far_outside_the_range_of_floats_are_added() {
        let mut mean = LogMeanExp::new(1);
        mean.add(&Tensor::from([[-5000.0, -5000.0 + 3.0_f64.ln()]])).unwrap();
        assert!((mean.values().next().unwrap() - (-5000.0 + 2.0_f64.ln())).abs() < 1e-12);
        mean.add(&Tensor::from([[5000.0, f64::NEG_INFINITY]])).unwrap();
        assert!((mean.values().next().unwrap() - (5000.0 - 4.0_f64.ln())).abs() < 1e-12);
        assert_eq!(mean.effective_samples().next(), Some(1.0));
    }

    #[test]
    fn weights_of_zero_count_as_samples() {
        let mut mean = LogMeanExp::new(1);
        assert!(mean.values().next().unwrap().is_nan());
        mean.add(&Tensor::from([[f64::NEG_INFINITY]])).unwrap();
        assert_eq!(mean.values().next(), Some(f64::NEG_INFINITY));
        mean.add(&Tensor::from([[0.0_f64]])).unwrap();
        assert_eq!(mean.values().next(), Some(-(2.0_f64.ln())));
    }

    #[test]
    fn unusable_weights_are_errors_and_are_not_added() {
        let mut mean = LogMeanExp::new(2);
        for (weights, part) in [
            (Tensor::from([[0.0, f64::NAN], [0.0, 0.0]]), "NaN"),
            (Tensor::from([[0.0, f64::INFINITY], [0.0, 0.0]]), "inf"),
            (Tensor::from([[0.0, 0.0]]), "[2, ..]"),
            (Tensor::scalar(0.0), "[2, ..]"),
        ] {
            let error = mean.add(&weights).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(mean, LogMeanExp::new(2));
        LogMeanExp::new(0).add(&Tensor::<f64>::zeros([0, 3])).unwrap();
    }
}
