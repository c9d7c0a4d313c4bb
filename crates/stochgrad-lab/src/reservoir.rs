//! A random sample of many values, for their quantiles.

use stochgrad_tensor::random::Key;

/// The number of values that are kept.
const KEPT: usize = 1024;

/// A uniform random sample of the values so far (algorithm R of Vitter 1985): each of them is kept with the same
/// probability. The memory does not depend on their number. The random decisions are the same in every measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    kept: Vec<f64>,
    count: u64,
}

/// Quantiles of many values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// The quantile at 5 %.
    pub low: f64,
    /// The quantile at 25 %.
    pub lower_quartile: f64,
    /// The quantile at 50 %.
    pub median: f64,
    /// The quantile at 75 %.
    pub upper_quartile: f64,
    /// The quantile at 95 %.
    pub high: f64,
}

impl Sample {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        if self.kept.len() < KEPT {
            self.kept.push(value);
            return;
        }
        let mut unit = [0.0_f64];
        Key::new(self.count, 0, 0x7361_6d70_6c65).uniform(0, &mut unit);
        let place = (unit[0] * self.count as f64) as usize;
        if let Some(old) = self.kept.get_mut(place) {
            *old = value;
        }
    }

    /// The quantiles, by linear interpolation; none without values.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        let mut sorted = self.kept.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |probability: f64| {
            let place = probability * last as f64;
            let below = place as usize;
            let above = (below + 1).min(last);
            sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
        };
        Some(Quantiles {
            low: at(0.05),
            lower_quartile: at(0.25),
            median: at(0.5),
            upper_quartile: at(0.75),
            high: at(0.95),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_few_values_are_exact() {
        let mut sample = Sample::default();
        assert_eq!(sample.quantiles(), None);
        (0..=100).rev().for_each(|value| sample.add(f64::from(value)));
        let found = sample.quantiles().unwrap();
        let all = [found.low, found.lower_quartile, found.median, found.upper_quartile, found.high];
        assert_eq!(all, [5.0, 25.0, 50.0, 75.0, 95.0]);
    }

    #[test]
    fn early_and_late_values_are_kept_alike() {
        let mut sample = Sample::default();
        (0..100_000).for_each(|value| sample.add(f64::from(value)));
        assert_eq!(sample.kept.len(), KEPT);
        let found = sample.quantiles().unwrap();
        // Three standard errors of a quantile of a uniform sample of 1024.
        for (quantile, expected) in [(found.low, 5e3), (found.median, 5e4), (found.high, 9.5e4)] {
            assert!((quantile - expected).abs() < 4700.0, "{found:?}");
        }
    }
}
