//! Whether predicted probabilities are frequencies.

use std::fmt;

use stochgrad_tensor::{Real, Tensor};

use super::labelled::{labelled, largest};
use crate::error::{TrainError, TrainResult};

/// The reliability of predicted probabilities, accumulated over minibatches.
///
/// Members are grouped by their confidence, the probability of the predicted class, into bins of equal width. In a bin,
/// a calibrated model is right as often as it is confident. The expected calibration error is the difference between
/// confidence and accuracy, averaged over the bins, weighted by their numbers of members $n_b$:
///
/// $$ \sum_b \frac{n_b}{n} \left| \mathrm{accuracy}_b - \mathrm{confidence}_b \right| $$
///
/// Source: Guo, Pleiss, Sun and Weinberger, *On Calibration of Modern Neural Networks* (2017).
///
/// ```
/// use stochgrad_tensor::Tensor;
/// use stochgrad_train::evaluation::Calibration;
///
/// let mut calibration = Calibration::new(10)?;
/// calibration.add(&Tensor::from([[0.75, 0.25], [0.25, 0.75]]), &Tensor::from([0.0, 0.0]))?;
/// assert_eq!(calibration.expected_error(), 0.25);
/// println!("{calibration}");
/// # Ok::<(), stochgrad_train::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    bins: Vec<Sums>,
}

/// The sums over the members of a bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    members: u64,
    right: u64,
    confidence: f64,
}

/// The members whose confidence lies in an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CalibrationBin {
    /// The lower end of the interval, which does not belong to it, apart from 0.
    pub lower: f64,
    /// The upper end of the interval, which belongs to it.
    pub upper: f64,
    /// The number of members.
    pub members: u64,
    /// The mean probability of the predicted class; NaN without members.
    pub confidence: f64,
    /// The fraction of members whose label is the predicted class; NaN without members.
    pub accuracy: f64,
}

impl Calibration {
    /// Of no members, with a number of bins of equal width. Usual numbers are 10 and 15.
    ///
    /// # Errors
    ///
    /// For no bins, and for more than 2²⁰.
    pub fn new(bins: usize) -> TrainResult<Self> {
        const MOST: usize = 1 << 20;
        if !(1..=MOST).contains(&bins) {
            let expected = format!("between 1 and {MOST}");
            return Err(TrainError::argument("`bins` of `Calibration::new`", expected, bins.to_string(), "pass 10"));
        }
        Ok(Self { bins: vec![Sums::default(); bins] })
    }

    /// Adds members with probabilities of shape `[members, classes]` and labels of shape `[members]`.
    ///
    /// # Errors
    ///
    /// For other shapes, for a label that is not the number of a class, and for values outside [0, 1]. Nothing is added
    /// in this case.
    pub fn add<F: Real>(&mut self, probabilities: &Tensor<F>, labels: &Tensor<F>) -> TrainResult<()> {
        const ARGUMENT: &str = "`Calibration::add`";
        let members = labelled(ARGUMENT, probabilities, labels)?;
        // Rounding may bring a probability above 1.
        let usable = |value: F| (0.0..=1.0 + 1e-4).contains(&value.to_f64());
        if let Some(value) = probabilities.as_slice().iter().find(|&&value| !usable(value)) {
            return Err(TrainError::argument(
                ARGUMENT,
                "probabilities from 0 to 1",
                value.to_string(),
                "pass the softmax of logits",
            ));
        }
        for (probabilities, label) in members {
            let predicted = largest(probabilities);
            let confidence = probabilities[predicted].to_f64().min(1.0);
            let count = self.bins.len();
            let bin = ((confidence * count as f64).ceil() as usize).clamp(1, count) - 1;
            let sums = &mut self.bins[bin];
            sums.members += 1;
            sums.right += u64::from(predicted == label);
            sums.confidence += confidence;
        }
        Ok(())
    }

    /// The bins in the order of confidence: the reliability diagram.
    pub fn bins(&self) -> impl ExactSizeIterator<Item = CalibrationBin> {
        let count = self.bins.len() as f64;
        self.bins.iter().enumerate().map(move |(number, sums)| CalibrationBin {
            lower: number as f64 / count,
            upper: (number + 1) as f64 / count,
            members: sums.members,
            confidence: sums.confidence / sums.members as f64,
            accuracy: sums.right as f64 / sums.members as f64,
        })
    }

    /// The expected calibration error; NaN without members.
    pub fn expected_error(&self) -> f64 {
        let members: u64 = self.bins.iter().map(|sums| sums.members).sum();
        self.gaps().map(|(gap, weight)| gap * weight as f64).sum::<f64>() / members as f64
    }

    /// The largest difference between confidence and accuracy of a bin; 0 without members.
    pub fn maximum_error(&self) -> f64 {
        self.gaps().map(|(gap, _)| gap).fold(0.0, f64::max)
    }

    /// The difference between confidence and accuracy, and the number of members, of each bin that has members.
    fn gaps(&self) -> impl Iterator<Item = (f64, u64)> {
        self.bins().filter(|bin| bin.members > 0).map(|bin| ((bin.accuracy - bin.confidence).abs(), bin.members))
    }
}

/// A table of the bins that have members, with the expected calibration error below.
impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>13}  {:>8}  {:>10}  {:>8}", "probability", "members", "confidence", "accuracy")?;
        for CalibrationBin { lower, upper, members, confidence, accuracy } in self.bins() {
            if members > 0 {
                writeln!(f, "{lower:>5.3} - {upper:<5.3}  {members:>8}  {confidence:>10.4}  {accuracy:>8.4}")?;
            }
        }
        write!(f, "expected calibration error {:.4}", self.expected_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_and_errors_are_those_of_a_calculation_by_hand() {
        let mut calibration = Calibration::new(4).unwrap();
        // Confidences 0.5, 0.5 (second bin, one right), 0.75 (third bin, right), 1 (fourth bin, wrong).
        let probabilities = Tensor::from([[0.5, 0.5], [0.5, 0.5], [0.25, 0.75], [1.0, 0.0]]);
        calibration.add(&probabilities, &Tensor::from([0.0, 1.0, 1.0, 1.0])).unwrap();
        let bins: Vec<CalibrationBin> = calibration.bins().collect();
        assert_eq!(bins.iter().map(|bin| bin.members).collect::<Vec<_>>(), [0, 2, 1, 1]);
        assert_eq!((bins[1].confidence, bins[1].accuracy), (0.5, 0.5));
        assert_eq!((bins[2].lower, bins[2].upper, bins[2].confidence, bins[2].accuracy), (0.5, 0.75, 0.75, 1.0));
        assert!(bins[0].confidence.is_nan());
        // (2 · 0 + 0.25 + 1) / 4
        assert_eq!((calibration.expected_error(), calibration.maximum_error()), (0.3125, 1.0));
        let table = calibration.to_string();
        assert!(table.contains("0.500 - 0.750         1      0.7500    1.0000"), "{table}");
        assert!(table.ends_with("expected calibration error 0.3125") && table.lines().count() == 5);
    }

    #[test]
    fn minibatches_accumulate() {
        let probabilities = Tensor::from_fn([12, 3], |i| [0.2, 0.3, 0.5, 0.1, 0.8, 0.1, 0.4, 0.25, 0.35][i % 9]);
        let labels = Tensor::from_fn([12], |i| (i % 3) as f64);
        let mut whole = Calibration::new(15).unwrap();
        whole.add(&probabilities, &labels).unwrap();
        let mut parts = Calibration::new(15).unwrap();
        for range in [0..5, 5..12] {
            let rows: Vec<usize> = range.collect();
            let part = |tensor| stochgrad_nn::data::rows(tensor, &rows).unwrap();
            parts.add(&part(&probabilities), &part(&labels)).unwrap();
        }
        assert_eq!(whole, parts);
        // Confidence 0.5 with labels 0, 1, 2, 0 and prediction 2, and so on: a naive loop over the members.
        let mut naive = [(0.0, 0.0, 0.0); 15];
        for (row, label) in probabilities.as_slice().chunks(3).zip(labels.as_slice()) {
            let confidence = row.iter().copied().fold(0.0, f64::max);
            let predicted = row.iter().position(|&value| value == confidence).unwrap();
            let bin = &mut naive[(1..=15).find(|&bin| confidence <= f64::from(bin) / 15.0).unwrap() as usize - 1];
            *bin = (bin.0 + 1.0, bin.1 + confidence, bin.2 + f64::from(u8::from(predicted as f64 == *label)));
        }
        let expected: f64 = naive.iter().map(|(_, confidence, right)| (confidence - right).abs() / 12.0).sum();
        assert!((whole.expected_error() - expected).abs() < 1e-12);
    }

    #[test]
    fn unusable_probabilities_are_errors_and_are_not_added() {
        assert!(Calibration::new(0).is_err());
        let mut calibration = Calibration::new(3).unwrap();
        for value in [1.5, -0.1, f64::NAN] {
            let error = calibration.add(&Tensor::from([[0.5, value]]), &Tensor::from([0.0])).unwrap_err().to_string();
            assert!(error.contains(&value.to_string()) && error.contains("softmax"), "{error}");
        }
        assert!(calibration.expected_error().is_nan());
        assert_eq!(calibration.maximum_error(), 0.0);
    }
}
