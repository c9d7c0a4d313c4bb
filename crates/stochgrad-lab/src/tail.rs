//! The weight of the tail of a distribution.

/// The number of largest values that are kept.
const KEPT: usize = 64;

/// The largest of many nonnegative values, from which the tail index is estimated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    /// In ascending order.
    largest: Vec<f64>,
    count: usize,
    sum: f64,
}

/// The tail index $\alpha$ of a distribution: moments of an order above it are infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TailIndex {
    /// The estimate.
    pub estimate: f64,
    /// Its standard error.
    pub error: f64,
}

impl Tail {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        if self.largest.len() == KEPT && self.largest[0] >= value {
            return;
        }
        let place = self.largest.partition_point(|&other| other < value);
        self.largest.insert(place, value);
        if self.largest.len() > KEPT {
            self.largest.remove(0);
        }
    }

    /// The share of the largest value in the sum.
    pub(crate) fn largest_share(&self) -> f64 {
        match self.largest.last() {
            Some(&largest) if self.sum > 0.0 => largest / self.sum,
            _ => 0.0,
        }
    }

    /// The estimate of Hill (1975), from the largest values, at most a twentieth of all. None if there are too few
    /// values, if the tail ends at the largest value, or if most of the largest values are equal to others: the few
    /// values of a discrete distribution are no tail.
    pub(crate) fn index(&self) -> Option<TailIndex> {
        let used = (KEPT - 1).min(self.count / 20);
        if used < 20 {
            return None;
        }
        let top = &self.largest[self.largest.len() - used - 1..];
        let threshold = top[0];
        if threshold <= 0.0 {
            return None;
        }
        let is_new = |pair: &&[f64]| pair[1] > (1.0 + 1e-9) * pair[0];
        if 2 * top.windows(2).filter(is_new).count() < used {
            return None;
        }
        let excess = top[1..].iter().map(|value| (value / threshold).ln()).sum::<f64>() / used as f64;
        let estimate = 1.0 / excess;
        estimate.is_finite().then(|| TailIndex { estimate, error: estimate / (used as f64).sqrt() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tensor::random::Key;

    fn index_of(values: impl Fn(f64) -> f64) -> TailIndex {
        let mut uniform = vec![0.0_f64; 20_000];
        Key::new(7, 0, 0).uniform(0, &mut uniform);
        let mut tail = Tail::default();
        uniform.into_iter().for_each(|u| tail.add(values(u)));
        tail.index().expect("enough values")
    }

    #[test]
    fn the_index_of_a_pareto_distribution_is_its_exponent() {
        for exponent in [1.0, 1.5, 3.0] {
            let index = index_of(|u| u.powf(-1.0 / exponent));
            assert!((index.estimate - exponent).abs() < 3.0 * index.error, "{exponent}: {index:?}");
        }
    }

    #[test]
    fn light_tails_have_a_large_index() {
        assert!(index_of(|u| u).estimate > 100.0);
        assert!(index_of(|u| (-2.0 * u.ln()).sqrt()).estimate > 5.0);
    }

    #[test]
    fn a_few_values_are_no_tail() {
        let mut tail = Tail::default();
        (0..1000).for_each(|number| tail.add(if number % 40 == 0 { 1e6 } else { f64::from(number % 8) }));
        assert_eq!(tail.index(), None);
    }

    #[test]
    fn the_largest_values_are_kept() {
        let mut tail = Tail::default();
        (0..100).for_each(|value| tail.add(f64::from(value)));
        assert_eq!((tail.largest[0], tail.largest[KEPT - 1]), (36.0, 99.0));
        assert_eq!(tail.largest_share(), 99.0 / 4950.0);
        assert_eq!(tail.index(), None);
        assert_eq!(Tail::default().largest_share(), 0.0);
    }
}
