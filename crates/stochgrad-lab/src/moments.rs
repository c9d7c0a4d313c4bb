//! Running moments of gradients: the memory does not depend on the number of repetitions.

/// The running mean and variance of a number (Welford 1962).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
    }

    pub(crate) fn count(&self) -> f64 {
        self.count
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    /// The unbiased estimate of the variance; infinite for less than two values.
    pub(crate) fn variance(&self) -> f64 {
        if self.count < 2.0 { f64::INFINITY } else { self.squares / (self.count - 1.0) }
    }

    pub(crate) fn standard_error(&self) -> f64 {
        (self.variance() / self.count).sqrt()
    }
}

/// The running moments of the elements of a vector, up to the fourth (Pébay 2008), and those of its squared distance
/// from the mean.
#[derive(Clone, Debug, Default)]
pub(crate) struct VectorMoments {
    count: f64,
    elements: Vec<Element>,
}

/// The mean of an element, and the sums of the powers of its deviations.
#[derive(Clone, Copy, Debug, Default)]
struct Element {
    mean: f64,
    second: f64,
    third: f64,
    fourth: f64,
}

impl VectorMoments {
    pub(crate) fn new(elements: usize) -> Self {
        VectorMoments { count: 0.0, elements: vec![Element::default(); elements] }
    }

    /// Adds a vector. Returns its squared distance from the mean of the earlier ones for each range of elements, scaled
    /// so that its expectation is the total variance of the range; nothing for the first vector.
    ///
    /// The mean of these distances is exactly the total of the sample variances, so that their variance states its
    /// error: $\sum_i \frac{i - 1}{i} (x_i - \bar x_{i-1})^2$ is the sum of the squared deviations.
    pub(crate) fn add(
        &mut self,
        values: &[f64],
        ranges: &[std::ops::Range<usize>],
        mut distance: impl FnMut(usize, f64),
    ) {
        let before = self.count;
        self.count += 1.0;
        let count = self.count;
        for (number, range) in ranges.iter().enumerate() {
            let mut total = 0.0;
            for (element, &value) in self.elements[range.clone()].iter_mut().zip(&values[range.clone()]) {
                let delta = value - element.mean;
                let step = delta / count;
                let squared_step = step * step;
                let term = delta * step * before;
                element.mean += step;
                element.fourth += term * squared_step * (count * count - 3.0 * count + 3.0)
                    + 6.0 * squared_step * element.second
                    - 4.0 * step * element.third;
                element.third += term * step * (count - 2.0) - 3.0 * step * element.second;
                element.second += term;
                total += term;
            }
            if before > 0.0 {
                distance(number, total);
            }
        }
    }

    pub(crate) fn count(&self) -> f64 {
        self.count
    }

    pub(crate) fn means(&self) -> impl Iterator<Item = f64> {
        self.elements.iter().map(|element| element.mean)
    }

    pub(crate) fn variances(&self) -> impl Iterator<Item = f64> {
        self.elements.iter().map(|element| element.second / (self.count - 1.0))
    }

    /// The kurtosis of each element, 3 for a normal distribution; none for an element without variance.
    pub(crate) fn kurtoses(&self) -> impl Iterator<Item = Option<f64>> {
        let kurtosis = |element: &Element| self.count * element.fourth / (element.second * element.second);
        self.elements.iter().map(move |element| (element.second > 0.0).then(|| kurtosis(element)))
    }
}

/// The running covariance of two numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PairMoments {
    pub(crate) first: Moments,
    pub(crate) second: Moments,
    products: f64,
}

impl PairMoments {
    pub(crate) fn add(&mut self, first: f64, second: f64) {
        let before = first - self.first.mean();
        self.first.add(first);
        self.second.add(second);
        self.products += before * (second - self.second.mean());
    }

    /// The ratio of the means, and its standard error by the delta method.
    pub(crate) fn ratio(&self) -> (f64, f64) {
        let ratio = self.first.mean() / self.second.mean();
        let count = self.first.count();
        let covariance = self.products / (count - 1.0);
        let variance = self.first.variance() - 2.0 * ratio * covariance + ratio * ratio * self.second.variance();
        (ratio, (variance.max(0.0) / count).sqrt() / self.second.mean().abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    const VALUES: [f64; 6] = [0.3, -1.7, 4.2, 0.0, 2.5, -0.4];

    /// The mean of a power of the deviations from the mean, by its definition.
    fn central(values: &[f64], power: i32) -> f64 {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / values.len() as f64
    }

    #[test]
    fn moments_are_those_of_the_definition() {
        let mut moments = VectorMoments::new(3);
        let (mut distances, mut own) = ([Moments::default(); 2], Moments::default());
        for value in VALUES {
            own.add(value);
            moments
                .add(&[value, 1e6 + 2.0 * value, 7.0], &[0..1, 1..3], |range, distance| distances[range].add(distance));
        }
        let mean = VALUES.iter().sum::<f64>() / 6.0;
        let variance = central(&VALUES, 2) * 6.0 / 5.0;
        assert_relative_eq!(moments.means().next().unwrap(), mean, epsilon = 1e-12);
        assert_relative_eq!(own.mean(), mean, epsilon = 1e-12);
        assert_relative_eq!(own.variance(), variance, epsilon = 1e-12);
        let variances: Vec<f64> = moments.variances().collect();
        assert_relative_eq!(variances[0], variance, epsilon = 1e-12);
        assert_relative_eq!(variances[1], 4.0 * variance, epsilon = 1e-8);
        assert_eq!(variances[2], 0.0);
        assert_relative_eq!(distances[0].mean(), variance, epsilon = 1e-12);
        assert_relative_eq!(distances[1].mean(), 4.0 * variance, epsilon = 1e-8);
        assert_eq!(distances[0].count(), 5.0);
        let kurtosis = central(&VALUES, 4) / central(&VALUES, 2).powi(2);
        let kurtoses: Vec<Option<f64>> = moments.kurtoses().collect();
        assert_relative_eq!(kurtoses[0].unwrap(), kurtosis, epsilon = 1e-10);
        assert_relative_eq!(kurtoses[1].unwrap(), kurtosis, epsilon = 1e-6);
        assert_eq!(kurtoses[2], None);
    }

    #[test]
    fn a_ratio_of_proportional_values_has_no_error() {
        let mut pair = PairMoments::default();
        for value in VALUES {
            pair.add(3.0 * value + 0.0, value);
        }
        let (ratio, error) = pair.ratio();
        assert_relative_eq!(ratio, 3.0, epsilon = 1e-12);
        assert!(error < 1e-7, "{error}");
    }

    #[test]
    fn one_value_has_no_finite_error() {
        let mut moments = Moments::default();
        moments.add(1.0);
        assert_eq!(moments.standard_error(), f64::INFINITY);
    }
}
