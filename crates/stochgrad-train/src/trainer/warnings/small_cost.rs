//! Costs that stay below a limit of the program.

use crate::warning::{Warning, WarningKind};

/// A limit below which the mean of a cost over some steps must not be.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct CostLimit {
    pub(in super::super) cost: String,
    pub(in super::super) below: f64,
    pub(in super::super) steps: u64,
}

/// The sum of a cost over the steps of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    sum: f64,
    steps: f64,
}

impl Sum {
    pub(super) fn row(&self) -> [f64; 2] {
        [self.sum, self.steps]
    }

    pub(super) fn from_row([sum, steps]: [f64; 2]) -> Self {
        Sum { sum, steps }
    }

    pub(super) fn observe(&mut self, limit: &CostLimit, value: f64, completed_steps: u64) -> Option<Warning> {
        self.sum += value;
        self.steps += 1.0;
        if self.steps < limit.steps as f64 {
            return None;
        }
        let Sum { sum, steps } = std::mem::take(self);
        let mean = sum / steps;
        (mean < limit.below).then(|| Warning {
            kind: WarningKind::SmallCost,
            subject: limit.cost.clone(),
            step: completed_steps,
            steps: limit.steps,
            value: mean,
            limit: limit.below,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_a_window_decides() {
        let limit = CostLimit { cost: "kl".into(), below: 0.5, steps: 3 };
        let mut sum = Sum::default();
        let costs = [0.0, 0.0, 1.6, 0.4, 0.6, 0.6, 0.1, 0.2, 0.9];
        let found: Vec<_> = (1..).zip(costs).filter_map(|(step, cost)| sum.observe(&limit, cost, step)).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].step, found[0].steps, found[0].limit), (9, 3, 0.5));
        assert!((found[0].value - 0.4).abs() < 1e-15);
    }
}
