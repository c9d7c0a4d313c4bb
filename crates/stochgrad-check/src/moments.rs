//! Running weighted means and variances.

use crate::error::{CheckError, CheckResult};

/// Weighted mean and variance of vectors by West's update (1979), which does not subtract large sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunningMoments {
    weight: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl RunningMoments {
    /// Adds a vector, which must be as long as the first one.
    pub(crate) fn add(&mut self, weight: f64, values: &[f64]) -> CheckResult<()> {
        if self.mean.is_empty() {
            self.mean = vec![0.0; values.len()];
            self.squares = vec![0.0; values.len()];
        }
        if self.mean.len() != values.len() {
            return Err(CheckError::Runs {
                what: "the number of values".into(),
                expected: self.mean.len().to_string(),
                found: values.len().to_string(),
            });
        }
        if weight == 0.0 {
            return Ok(());
        }
        self.weight += weight;
        for ((mean, square), &value) in self.mean.iter_mut().zip(&mut self.squares).zip(values) {
            let before = value - *mean;
            *mean += before * (weight / self.weight);
            *square += weight * before * (value - *mean);
        }
        Ok(())
    }

    /// Adds zeros for the part of the total weight that has not been added.
    pub(crate) fn complete(&mut self, total: f64) -> CheckResult<()> {
        let missing = total - self.weight;
        let zeros = vec![0.0; self.mean.len()];
        if missing > 1e-13 * total { self.add(missing, &zeros) } else { Ok(()) }
    }

    pub(crate) fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The weighted mean of the squared distances from the mean.
    pub(crate) fn variance(&self) -> Vec<f64> {
        self.squares.iter().map(|square| if self.weight > 0.0 { square / self.weight } else { 0.0 }).collect()
    }
}

/// Returns an error for the first NaN or infinity.
pub(crate) fn check_finite(what: impl Fn(usize) -> String, values: &[f64]) -> CheckResult<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(element) => Err(CheckError::NotFinite { what: what(element), found: values[element] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn moments_are_those_of_the_definition() {
        let mut moments = RunningMoments::default();
        for (weight, value) in [(0.5, 1e8 + 1.0), (0.25, 1e8 + 3.0), (0.0, 17.0), (0.25, 1e8 + 7.0)] {
            moments.add(weight, &[value, -value]).expect("equal lengths");
        }
        assert_abs_diff_eq!(moments.mean()[0], 1e8 + 3.0, epsilon = 1e-7);
        assert_eq!(moments.mean()[1], -moments.mean()[0]);
        assert_abs_diff_eq!(moments.variance()[0], 6.0, epsilon = 1e-7);
        assert!(matches!(moments.add(1.0, &[1.0]), Err(CheckError::Runs { .. })));
    }

    #[test]
    fn missing_weight_counts_as_zeros() {
        let mut moments = RunningMoments::default();
        moments.add(0.25, &[4.0]).expect("equal lengths");
        moments.complete(1.0).expect("equal lengths");
        assert_abs_diff_eq!(moments.mean()[0], 1.0, epsilon = 1e-15);
        assert_abs_diff_eq!(moments.variance()[0], 3.0, epsilon = 1e-14);
    }

    #[test]
    fn a_nan_is_an_error_that_names_its_element() {
        let error = check_finite(|i| format!("value {i}"), &[1.0, f64::NAN]).expect_err("a NaN");
        assert!(error.to_string().contains("value 1"));
    }
}
