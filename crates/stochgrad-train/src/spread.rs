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
        assert_eq!(Spread::default().variance(), None);
    }
}
