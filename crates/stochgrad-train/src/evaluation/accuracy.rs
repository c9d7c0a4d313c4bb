//! The fraction of labels that are predicted.

use stochgrad_tensor::{Real, Tensor};

use super::labelled::{labelled, largest};
use crate::error::TrainResult;

/// The fraction of members whose label is the class with the largest score, accumulated over minibatches.
///
/// ```
/// use stochgrad_tensor::Tensor;
/// use stochgrad_train::evaluation::Accuracy;
///
/// let mut accuracy = Accuracy::new();
/// let logits = Tensor::from([[2.0, 0.5, -1.0], [0.1, 0.3, 0.2]]);
/// accuracy.add(&logits, &Tensor::from([0.0, 2.0]))?;
/// assert_eq!(accuracy.value(), 0.5);
/// println!("accuracy {:.3} ± {:.3}", accuracy.value(), accuracy.standard_error());
/// # Ok::<(), stochgrad_train::TrainError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accuracy {
    right: u64,
    members: u64,
}

impl Accuracy {
    /// Of no members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds members with scores (logits or probabilities) of shape `[members, classes]` and labels of shape `[members]`.
    /// Of equal scores, the first counts as the largest.
    ///
    /// # Errors
    ///
    /// For other shapes, and for a label that is not the number of a class. Nothing is added in this case.
    pub fn add<F: Real>(&mut self, scores: &Tensor<F>, labels: &Tensor<F>) -> TrainResult<()> {
        for (scores, label) in labelled("`Accuracy::add`", scores, labels)? {
            self.right += u64::from(largest(scores) == label);
            self.members += 1;
        }
        Ok(())
    }

    /// The number of members.
    pub fn members(&self) -> u64 {
        self.members
    }

    /// The fraction of members that are predicted; NaN without members.
    pub fn value(&self) -> f64 {
        self.right as f64 / self.members as f64
    }

    /// The standard error of the fraction, √(p (1 − p) / n).
    pub fn standard_error(&self) -> f64 {
        let value = self.value();
        (value * (1.0 - value) / self.members as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minibatches_accumulate() {
        let mut accuracy = Accuracy::new();
        assert!(accuracy.value().is_nan());
        accuracy.add(&Tensor::from([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0]]), &Tensor::from([1.0, 1.0, 0.0])).unwrap();
        accuracy.add(&Tensor::from([[f64::NAN, -1.0]]), &Tensor::from([1.0])).unwrap();
        accuracy.add(&Tensor::zeros([0, 2]), &Tensor::<f64>::zeros([0])).unwrap();
        assert_eq!((accuracy.value(), accuracy.members()), (0.75, 4));
        assert_eq!(accuracy.standard_error(), (0.75_f64 * 0.25 / 4.0).sqrt());
    }

    #[test]
    fn unusable_members_are_errors_and_are_not_added() {
        let mut accuracy = Accuracy::new();
        let scores = Tensor::<f64>::zeros([2, 3]);
        for (labels, part) in [
            (Tensor::from([0.0, 3.0]), "3 of member 1"),
            (Tensor::from([0.5, 1.0]), "0.5 of member 0"),
            (Tensor::from([-1.0, 1.0]), "-1 of member 0"),
            (Tensor::from([f64::NAN, 1.0]), "NaN of member 0"),
            (Tensor::from([0.0]), "[2, 3] and [1]"),
        ] {
            let error = accuracy.add(&scores, &labels).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(accuracy.add(&Tensor::from([0.0, 1.0]), &Tensor::from([0.0, 1.0])).is_err());
        assert_eq!(accuracy, Accuracy::new());
    }
}
