//! Ending a run when the held-out data shows no improvement.

/// Ends a run after a number of evaluations without an improvement.
///
/// ```
/// use stochgrad_train::EarlyStopping;
///
/// let stopping = EarlyStopping::patience(5).minimum_improvement(0.01);
/// assert_eq!(stopping, EarlyStopping { patience: 5, minimum_improvement: 0.01 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct EarlyStopping {
    /// The number of evaluations without an improvement after which the run ends, at least 1.
    pub patience: u64,
    /// An evaluation is an improvement if its cost is lower by more than this than that of the last improvement.
    #[cfg_attr(feature = "serde", serde(default))]
    pub minimum_improvement: f64,
}

impl EarlyStopping {
    /// Ends a run after so many evaluations without an improvement, however small.
    pub fn patience(evaluations: u64) -> Self {
        Self { patience: evaluations, minimum_improvement: 0.0 }
    }

    /// Sets by how much the cost must decrease for an improvement.
    pub fn minimum_improvement(self, minimum_improvement: f64) -> Self {
        Self { minimum_improvement, ..self }
    }
}

/// The evaluations since the last improvement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stall {
    /// The cost at the last improvement.
    pub(super) reference: f64,
    /// The number of evaluations since then.
    pub(super) evaluations: u64,
}

impl Default for Stall {
    fn default() -> Self {
        Self { reference: f64::INFINITY, evaluations: 0 }
    }
}

impl Stall {
    pub(super) fn observe(&mut self, value: f64, minimum_improvement: f64) {
        if value < self.reference - minimum_improvement {
            *self = Self { reference: value, evaluations: 0 };
        } else {
            self.evaluations += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_improvements_add_up_to_one() {
        let mut stall = Stall::default();
        let mut counts = Vec::new();
        for value in [3.0, 2.0, 1.95, 1.92, 1.88, 1.9, 2.5] {
            stall.observe(value, 0.1);
            counts.push(stall.evaluations);
        }
        assert_eq!(counts, [0, 0, 1, 2, 0, 1, 2]);
        assert_eq!(stall.reference, 1.88);
    }
}
