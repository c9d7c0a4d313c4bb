//! The decayed mean and variance of each cost over past steps.

use crate::common::running_means::{RunningMeans, WEIGHT, mean_over_plates};
use stochgrad_graph::{MethodSlots, SlotDomain, SlotPart, Update};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Real;

const MEAN: SlotPart = SlotPart { name: "mean", domain: SlotDomain::Finite };
const VARIANCE: SlotPart = SlotPart { name: "variance", domain: SlotDomain::NotNegative };
const PARTS: &[SlotPart] = &[MEAN, VARIANCE, WEIGHT];

/// The mean and the variance of a cost over past steps, under the name of an owner. Clones share them.
///
/// With the share $a$ of a step in the mean, its mean $\bar x$ and its variance $v$,
///
/// $$m \leftarrow m + a\, (\bar x - m), \quad \sigma^2 \leftarrow (1 - a)\, (\sigma^2 + a\, (\bar x - m)^2) + a\, v,$$
///
/// which is the variance of all values with their weights, without the difference of large squares.
#[derive(Clone, Debug)]
pub struct RunningMoments {
    means: RunningMeans,
}

impl RunningMoments {
    /// No moments yet. The step `n` steps ago will have a weight in proportion to `decayⁿ`.
    pub fn new(decay: f64) -> Self {
        RunningMoments { means: RunningMeans::new(decay, PARTS) }
    }

    /// Checks the decay.
    ///
    /// # Errors
    /// If it is not in $[0, 1)$.
    pub fn check(&self) -> Result<(), String> {
        self.means.check()
    }

    /// The slots, for [`Method::slots`](stochgrad_graph::Method::slots).
    pub fn slots(&self) -> MethodSlots {
        self.means.slots()
    }

    /// Records the mean, which is 0 before the first step.
    pub fn mean<'t, F: Real>(&self, tape: &'t Tape<F>, owner: &str) -> Var<'t, F> {
        self.means.mean(tape, owner, MEAN.name, [])
    }

    /// Records the variance, which is 0 before the first step.
    pub fn variance<'t, F: Real>(&self, tape: &'t Tape<F>, owner: &str) -> Var<'t, F> {
        self.means.mean(tape, owner, VARIANCE.name, [])
    }

    /// The updates that add the values of a cost in this step: a scalar for each combination of members of its plates.
    pub fn updates<'t, F: Real>(&self, owner: &str, cost: Var<'t, F>) -> Vec<Update<'t, F>> {
        let tape = cost.tape();
        let (share, weight) = self.means.share(tape, owner);
        let (before, variance) = (self.mean(tape, owner), self.variance(tape, owner));
        let mean = mean_over_plates(cost);
        let spread = mean_over_plates((cost.stop_gradient() - mean).square());
        let step = mean - before;
        let next = (1.0 - share) * (variance + share * step.square()) + share * spread;
        vec![
            weight,
            Update::new(&self.means.slot(owner, MEAN.name, []), before + share * step),
            Update::new(&self.means.slot(owner, VARIANCE.name, []), next),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variance_is_that_of_all_values_even_far_from_zero() {
        let moments = RunningMoments::new(0.5);
        for values in [[1e6, 1e6 + 2.0], [1e6 + 4.0, 1e6 + 4.0], [1e6 - 1.0, 1e6 + 1.0]] {
            let tape = Tape::<f64>::new();
            let plate = tape.plate("members", 2, stochgrad_tape::PlateKind::Data, &[]);
            for update in moments.updates("x", tape.constant_on(&[plate], values)) {
                update.slot.write(update.value.peek().unwrap().as_slice());
            }
        }
        // Weights 1, 2 and 4 in proportion.
        let weighted = [(1.0, 0.0), (1.0, 2.0), (2.0, 4.0), (2.0, 4.0), (4.0, -1.0), (4.0, 1.0)];
        let total: f64 = weighted.iter().map(|(w, _)| w).sum();
        let mean = weighted.iter().map(|(w, x)| w * x).sum::<f64>() / total;
        let variance = weighted.iter().map(|(w, x)| w * (x - mean).powi(2)).sum::<f64>() / total;
        let tape = Tape::<f64>::new();
        let found = [moments.mean(&tape, "x"), moments.variance(&tape, "x")].map(|found| found.item().unwrap());
        assert!((found[0] - 1e6 - mean).abs() < 1e-9 && (found[1] - variance).abs() < 1e-9, "{found:?}");
    }
}
