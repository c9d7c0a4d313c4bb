//! Intervals for a mean: at a fixed number of repetitions, and at all numbers at once.

use stochgrad_tensor::special::{erfc, gamma_q_inverse};

/// An estimate with an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// An estimate that is known exactly.
    pub fn exact(estimate: f64) -> Self {
        Interval { estimate, low: estimate, high: estimate }
    }

    /// An interval of equal distances on both sides.
    pub(crate) fn around(estimate: f64, distance: f64) -> Self {
        Interval { estimate, low: estimate - distance, high: estimate + distance }
    }

    /// An interval of equal ratios on both sides, for an estimate that is positive, such as a variance: its logarithm
    /// is closer to a normal distribution than the estimate itself. `distance` is that of the logarithm times the
    /// estimate.
    pub(crate) fn positive(estimate: f64, distance: f64) -> Self {
        if estimate <= 0.0 || distance.is_nan() {
            return Interval { estimate, low: 0.0, high: estimate + distance };
        }
        let ratio = (distance / estimate).exp();
        Interval { estimate, low: estimate / ratio, high: estimate * ratio }
    }

    /// Whether a value lies in the interval.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Half the width of the interval.
    pub fn half_width(&self) -> f64 {
        0.5 * (self.high - self.low)
    }
}

/// The number $z$ with $P(|Z| > z) = \alpha$ for a standard normal $Z$.
pub(crate) fn two_sided_quantile(alpha: f64) -> f64 {
    (2.0 * gamma_q_inverse(0.5, alpha)).sqrt()
}

/// The distribution function of the standard normal distribution.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// The half-width of a confidence sequence for a mean, in standard deviations of one value, after `count` values.
///
/// $$\sqrt{\frac{2(t\rho^2 + 1)}{t^2\rho^2} \log\frac{\sqrt{t\rho^2 + 1}}{\alpha}},
/// \qquad \rho^2 = \frac{-2 \log\alpha + \log(1 - 2\log\alpha)}{t^*}$$
///
/// is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024, Annals of Statistics
/// 52, theorem 2.2). With probability $1 - \alpha$, the mean lies within it at all times $t$ together, so that it may
/// be looked at after every repetition. It assumes independent values with more than two finite moments, and it is
/// asymptotic: exact for normal values of known variance (the normal mixture of Robbins 1970), and an approximation
/// that improves with the number of values otherwise. $t^*$ is the time at which it is narrowest.
pub(crate) fn sequence_radius(count: f64, alpha: f64, narrowest: f64) -> f64 {
    if count < 2.0 {
        return f64::INFINITY;
    }
    let level = -2.0 * alpha.ln();
    let scaled = count * (level + (1.0 + level).ln()) / narrowest;
    (2.0 * (scaled + 1.0) / (count * scaled) * ((scaled + 1.0).sqrt() / alpha).ln()).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use stochgrad_tensor::random::Key;

    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        // From scipy.stats.norm.isf(alpha / 2).
        for (alpha, z) in [(0.05, 1.959963984540054), (0.01, 2.5758293035489004), (1e-6, 4.891638475698786)] {
            assert_abs_diff_eq!(two_sided_quantile(alpha), z, epsilon = 1e-9);
            assert_abs_diff_eq!(normal_cdf(-z), 0.5 * alpha, epsilon = 1e-12);
        }
    }

    #[test]
    fn intervals_have_equal_ratios_or_distances() {
        let ratio = Interval::positive(2.0, 0.2);
        assert_abs_diff_eq!(ratio.low * ratio.high, 4.0, epsilon = 1e-12);
        assert!(ratio.contains(2.0) && ratio.contains(2.2) && !ratio.contains(2.3));
        assert_eq!(Interval::positive(0.0, 0.0), Interval::exact(0.0));
        assert_eq!(Interval::around(1.0, 0.5).half_width(), 0.5);
    }

    #[test]
    fn a_sequence_holds_at_all_times_together() {
        // The interval for a fixed number of values fails at some time in far more than 5 % of the runs.
        let (mut fails, mut fixed_fails) = (0, 0);
        for run in 0..400 {
            let mut normals = [0.0_f64; 1000];
            Key::new(7, run, 0).normal(0, &mut normals);
            let (mut sum, mut inside, mut fixed_inside) = (0.0, true, true);
            for (index, value) in normals.iter().enumerate() {
                sum += value;
                let count = (index + 1) as f64;
                if count >= 10.0 {
                    inside &= (sum / count).abs() <= sequence_radius(count, 0.05, 200.0);
                    fixed_inside &= (sum / count).abs() <= 1.96 / count.sqrt();
                }
            }
            fails += usize::from(!inside);
            fixed_fails += usize::from(!fixed_inside);
        }
        assert!(fails <= 20, "{fails} of 400");
        assert!(fixed_fails > 100, "{fixed_fails} of 400");
    }

    #[test]
    fn a_sequence_is_wider_than_an_interval_and_shrinks() {
        let radii = [10.0, 100.0, 1e4, 1e6].map(|count| sequence_radius(count, 0.05, 1000.0));
        assert!(radii.windows(2).all(|pair| pair[1] < pair[0]));
        assert!(radii[2] > 1.96 / 100.0 && radii[2] < 4.0 / 100.0, "{radii:?}");
        assert_eq!(sequence_radius(1.0, 0.05, 1000.0), f64::INFINITY);
    }
}
