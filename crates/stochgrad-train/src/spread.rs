//! The spread of repeated estimates.

use stochgrad_tensor::{Real, Tensor};

/// The means of some elements and the sums of their squared deviations (Welford 1962).
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread {
    count: f64,
    elements: Vec<(f64, f64)>,
}

impl Spread {
    pub(crate) fn add<'a, F: Real>(&mut self, gradients: impl Iterator<Item = &'a Tensor<F>>) {
        self.count += 1.0;
        let values = gradients.flat_map(|gradient| gradient.as_slice().iter().map(|x| x.to_f64()));
        for (index, value) in values.enumerate() {
            if index == self.elements.len() {
                self.elements.push((0.0, 0.0));
            }
            let (mean, squares) = &mut self.elements[index];
            let deviation = value - *mean;
            *mean += deviation / self.count;
            *squares += deviation * (value - *mean);
        }
    }

    /// The sum of the variances of the elements.
    pub(crate) fn total(&self) -> f64 {
        self.elements.iter().map(|(_, squares)| squares / (self.count - 1.0)).sum()
    }

    /// An unbiased estimate of the squared norm of the expected gradient.
    pub(crate) fn squared_signal(&self) -> f64 {
        self.elements.iter().map(|(mean, _)| mean * mean).sum::<f64>() - self.total() / self.count
    }

    /// The variance of [`squared_signal`](Self::squared_signal) without a signal, if the elements are independent and
    /// normal: 2 σ⁴ / k² for each, from k gradients.
    pub(crate) fn variance_of_squared_signal(&self) -> f64 {
        let variances = self.elements.iter().map(|(_, squares)| squares / (self.count - 1.0));
        variances.map(|variance| 2.0 * (variance / self.count).powi(2)).sum()
    }

    /// The mean of the variances of the elements; `None` without elements.
    pub(crate) fn variance(&self) -> Option<f64> {
        (!self.elements.is_empty()).then(|| self.total() / self.elements.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variance_is_that_of_the_elements() {
        let mut spread = Spread::default();
        for row in [[1.0, 10.0], [2.0, 10.0], [6.0, 10.0]] {
            spread.add([&Tensor::<f64>::from([row[0]]), &Tensor::from([row[1]])].into_iter());
        }
        // The variance of 1, 2 and 6 is 7, and that of a constant is 0.
        assert_eq!((spread.total(), spread.variance()), (7.0, Some(3.5)));
        // The means are 3 and 10, and the variance of a mean of three is a third.
        assert!((spread.squared_signal() - (109.0 - 7.0 / 3.0)).abs() < 1e-12);
        assert!((spread.variance_of_squared_signal() - 2.0 * 49.0 / 9.0).abs() < 1e-12);
        assert_eq!(Spread::default().variance(), None);
    }
}
