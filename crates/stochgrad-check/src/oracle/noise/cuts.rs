//! Where the oracle cuts an interval of its noise before it uses a position inside it.
//!
//! A position is a node of a quadrature rule and stands for the whole remaining interval. If a later inversion has
//! several states on that interval, the node alone would decide for all of them, and the mean over the nodes would not
//! be the integral. The oracle notices this only at the inversion. It then visits the outcomes again, and cuts the
//! interval where the states meet.

use std::collections::HashMap;
use stochgrad_distributions::NoiseKey;

/// Ends that are closer to each other than this count as one end.
const SAME: f64 = 1e-14;

/// The interval that a position stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Position {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The number of choices that the run had made before the interval was cut.
    pub(crate) made: usize,
}

/// The ends at which intervals are cut, for each list of options taken before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cuts {
    ends: HashMap<(Vec<usize>, NoiseKey, u64), Vec<f64>>,
}

impl Cuts {
    /// The ends of the parts of an interval, including its own ends.
    pub(crate) fn ends(
        &self,
        taken: impl Iterator<Item = usize>,
        key: NoiseKey,
        index: u64,
        low: f64,
        high: f64,
    ) -> Vec<f64> {
        let mut ends = vec![low];
        if !self.ends.is_empty() {
            let known = self.ends.get(&(taken.collect(), key, index));
            let inside = |end: &&f64| **end - low > SAME && high - **end > SAME;
            ends.extend(known.into_iter().flatten().filter(inside));
        }
        ends.push(high);
        ends
    }

    /// Adds further ends.
    pub(crate) fn insert(
        &mut self,
        taken: impl Iterator<Item = usize>,
        key: NoiseKey,
        index: u64,
        ends: impl Iterator<Item = f64>,
    ) {
        let known = self.ends.entry((taken.collect(), key, index)).or_default();
        for end in ends {
            if known.iter().all(|other| (other - end).abs() > SAME) {
                known.push(end);
            }
        }
        known.sort_by(f64::total_cmp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_sorted_and_belong_to_the_choices_before() {
        let key = NoiseKey::new("x", None);
        let mut cuts = Cuts::default();
        cuts.insert([1, 0].into_iter(), key, 3, [0.7, 0.2, 0.2 + 1e-16].into_iter());
        let ends = |taken: &[usize], index, low, high| cuts.ends(taken.iter().copied(), key, index, low, high);
        assert_eq!(ends(&[1, 0], 3, 0.0, 1.0), [0.0, 0.2, 0.7, 1.0]);
        assert_eq!(ends(&[1, 0], 3, 0.2, 0.5), [0.2, 0.5]);
        assert_eq!(ends(&[1, 1], 3, 0.0, 1.0), [0.0, 1.0]);
        assert_eq!(ends(&[1, 0], 4, 0.0, 1.0), [0.0, 1.0]);
    }
}
