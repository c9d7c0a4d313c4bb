//! What was found out about a combination of methods.

use stochgrad_graph::Guarantee;

use crate::arm::{Cost, Measured, Places};
use crate::interval::{Interval, sequence_radius, two_sided_quantile};
use crate::moments::Moments;
use crate::reference::Reference;
use crate::reservoir::Quantiles;
use crate::warning::Warning;

/// The statistics of the gradient of a combination of methods. Intervals have the confidence of the comparison, 95 % by
/// default, each by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// The number of repetitions.
    pub repetitions: u64,
    /// The names of the parameters and the mean of their gradients, element by element.
    pub means: Vec<(String, Vec<f64>)>,
    /// The sum of the variances of all elements.
    pub variance: Interval,
    /// The total variance, with an interval that holds at all numbers of repetitions together: a confidence sequence,
    /// by which the repetitions end. See [`Compare::precision`](crate::Compare::precision).
    pub variance_sequence: Interval,
    /// The sum of the variances of the elements of each parameter.
    pub variances: Vec<(String, Interval)>,
    /// The expected squared norm of the gradient.
    pub second_moment: Interval,
    /// The bias, if there is a reference.
    pub bias: Option<BiasEstimate>,
    /// The mean cosine of the angle between the gradient and the reference, if there is one that is not zero.
    pub cosine: Option<Interval>,
    /// The norm of the mean gradient over the root of the total variance.
    pub signal_to_noise: f64,
    /// The quantiles of $\langle g, r\rangle / \lVert r \rVert^2$ for the gradient $g$ and the reference $r$, whose mean
    /// is 1 without a bias, or of the norm of the gradient without a reference; none if the reference is zero.
    pub quantiles: Option<Quantiles>,
    /// The largest kurtosis of an element, 3 for a normal distribution; none without variance.
    pub kurtosis: Option<f64>,
    /// The number of cost evaluations of all nodes together, as the profiles of the methods state it.
    pub evaluations: Option<usize>,
    /// The number of backward passes through costs, counted in the same way.
    pub backward_passes: Option<usize>,
    /// The median time of a gradient, in seconds.
    pub time: Interval,
    /// The total variance times the time: the variance of a mean over all gradients of one second.
    pub variance_time: Interval,
    /// What the methods guarantee for all parameters together.
    pub guarantee: Guarantee,
    /// What makes the statistics unreliable.
    pub warnings: Vec<Warning>,
}

/// The bias of a gradient, estimated from the difference of its mean and a reference.
#[derive(Clone, Debug, PartialEq)]
pub struct BiasEstimate {
    /// $\langle E g - r, r\rangle / \lVert r \rVert^2$ for the reference $r$: the part of the bias that makes the
    /// gradient too long or too short, relative to the reference. None if the reference is zero.
    pub relative: Option<Interval>,
    /// The bias of the element whose bias is largest in units of its standard error, with an interval that holds for
    /// all elements of all combinations of methods together (Bonferroni).
    pub worst: Interval,
    /// The name of this element.
    pub element: String,
    /// $\lVert E g - r \rVert^2$, without the part that the noise of the mean contributes, so that it may be negative.
    pub squared: Interval,
}

impl BiasEstimate {
    /// Whether the bias of an element is significant.
    pub fn is_significant(&self) -> bool {
        !self.worst.contains(0.0)
    }
}

impl Statistics {
    pub(crate) fn new(
        measured: &Measured,
        cost: &Cost,
        places: &Places,
        reference: Option<&Reference>,
        (alpha, narrowest, arms): (f64, f64, usize),
        is_random: bool,
    ) -> Self {
        let z = two_sided_quantile(alpha);
        let pointwise = |moments: &Moments| Interval::around(moments.mean(), z * moments.standard_error());
        let positive = |moments: &Moments| Interval::positive(moments.mean(), z * moments.standard_error());
        let moments = &measured.moments;
        let means: Vec<f64> = moments.means().collect();
        let count = moments.count();
        let variance = positive(&measured.distance);
        let time = measured.time();
        let squared_signal = means.iter().map(|mean| mean * mean).sum::<f64>();
        let by_name = |range: &std::ops::Range<usize>| means[range.clone()].to_vec();
        Statistics {
            repetitions: count as u64,
            means: places.names.iter().cloned().zip(places.ranges.iter().map(by_name)).collect(),
            variance,
            variance_sequence: sequence(&measured.distance, alpha, narrowest),
            variances: places.names.iter().cloned().zip(measured.distances.iter().map(positive)).collect(),
            second_moment: positive(&measured.squared_norm),
            bias: reference.map(|reference| bias(measured, places, reference, (alpha, arms))),
            cosine: (measured.cosine.count() >= 2.0).then(|| pointwise(&measured.cosine)),
            signal_to_noise: (squared_signal / variance.estimate).sqrt(),
            quantiles: measured.sample.quantiles(),
            kurtosis: moments.kurtoses().flatten().reduce(f64::max),
            evaluations: cost.evaluations,
            backward_passes: cost.backward_passes,
            time,
            variance_time: variance_time(variance, time),
            guarantee: cost.guarantee,
            warnings: Warning::of(measured, is_random),
        }
    }
}

/// The confidence sequence of a positive mean.
pub(crate) fn sequence(moments: &Moments, alpha: f64, narrowest: f64) -> Interval {
    let radius = sequence_radius(moments.count(), alpha, narrowest);
    Interval::positive(moments.mean(), radius * moments.variance().sqrt())
}

/// The product of a variance and a time, which are independent: the relative errors add in squares.
fn variance_time(variance: Interval, time: Interval) -> Interval {
    let estimate = variance.estimate * time.estimate;
    let relative = |end: fn(&Interval) -> f64| {
        let distance = |one: &Interval| (end(one) / one.estimate).ln();
        let (first, second) = (distance(&variance), distance(&time));
        first.hypot(second).exp()
    };
    if estimate > 0.0 {
        Interval { estimate, low: estimate / relative(|one| one.low), high: estimate * relative(|one| one.high) }
    } else {
        Interval { estimate, low: 0.0, high: variance.high * time.high }
    }
}

fn bias(measured: &Measured, places: &Places, reference: &Reference, (alpha, arms): (f64, usize)) -> BiasEstimate {
    let z = two_sided_quantile(alpha);
    // The error of a reference that was estimated, along itself.
    let own = |element: usize| reference.values[element].powi(2) * reference.variance(element);
    let own_error = (0..reference.values.len()).map(own).sum::<f64>().sqrt() / reference.squared_norm;
    let relative = (measured.along.count() >= 2.0).then(|| {
        let error = measured.along.standard_error().hypot(own_error);
        Interval::around(measured.along.mean() - 1.0, z * error)
    });
    let elements = reference.values.len().max(1);
    // Of all elements and all combinations of methods.
    let joint = two_sided_quantile(alpha / (elements * arms) as f64);
    let count = measured.moments.count();
    let mut worst = (Interval::exact(0.0), 0, -1.0);
    let (mut squared, mut squared_error) = (0.0, 0.0);
    for (element, (mean, variance)) in measured.moments.means().zip(measured.moments.variances()).enumerate() {
        let difference = mean - reference.values[element];
        let squared_noise = variance / count + reference.variance(element);
        squared += difference * difference - squared_noise;
        squared_error += 4.0 * difference * difference * squared_noise + 2.0 * squared_noise * squared_noise;
        let error = squared_noise.sqrt();
        // Below rounding, an element without variance has no bias.
        let rounding = 1e-6 * reference.values[element].abs().max(reference.squared_norm.sqrt());
        let error = error.max(rounding / joint);
        let size = if error > 0.0 { difference.abs() / error } else { 0.0 };
        if size > worst.2 {
            worst = (Interval::around(difference, joint * error), element, size);
        }
    }
    let squared = Interval::around(squared, z * squared_error.sqrt());
    BiasEstimate { relative, worst: worst.0, element: places.element(worst.1), squared }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_errors_of_a_product_add_in_squares() {
        let variance = Interval { estimate: 2.0, low: 2.0 / 1.3, high: 2.0 * 1.3 };
        let product = variance_time(variance, Interval::exact(3.0));
        assert!((product.high - 7.8).abs() < 1e-12 && (product.low - 6.0 / 1.3).abs() < 1e-12);
        let both = variance_time(variance, Interval { estimate: 3.0, low: 2.0, high: 4.0 });
        assert!(both.high > product.high && both.low < product.low && both.high < 2.6 * 4.0);
        assert_eq!(variance_time(Interval::exact(0.0), Interval::exact(3.0)), Interval::exact(0.0));
    }
}
