//! Lengths and periods of a training run.

/// A length or a period of a training run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Span {
    /// A number of passes over the training data.
    Epochs(u64),
    /// A number of updates of the parameters.
    Steps(u64),
}

impl Span {
    /// Whether a period ends with this step. Epochs end with their last step.
    pub(super) fn ends(self, step: u64, epoch: u64, is_end_of_epoch: bool) -> bool {
        match self {
            Span::Epochs(period) => is_end_of_epoch && epoch.is_multiple_of(period),
            Span::Steps(period) => step.is_multiple_of(period),
        }
    }

    /// Whether a run of this length is complete.
    pub(super) fn is_complete(self, step: u64, epoch: u64) -> bool {
        match self {
            Span::Epochs(epochs) => epoch >= epochs,
            Span::Steps(steps) => step >= steps,
        }
    }

    /// The number of steps, if it is known.
    pub(super) fn steps(self, steps_per_epoch: Option<u64>) -> Option<u64> {
        match self {
            Span::Epochs(epochs) => steps_per_epoch.map(|steps| steps.saturating_mul(epochs)),
            Span::Steps(steps) => Some(steps),
        }
    }

    pub(super) fn count(self) -> u64 {
        match self {
            Span::Epochs(count) | Span::Steps(count) => count,
        }
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Span::Epochs(count) => write!(f, "{count} epochs"),
            Span::Steps(count) => write!(f, "{count} steps"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_end_with_steps_or_with_epochs() {
        // Epochs of three steps.
        let ends = |span: Span| -> Vec<u64> {
            (1..=12).filter(|&step| span.ends(step, step / 3, step % 3 == 0)).collect::<Vec<u64>>()
        };
        assert_eq!(ends(Span::Epochs(1)), [3, 6, 9, 12]);
        assert_eq!(ends(Span::Epochs(2)), [6, 12]);
        assert_eq!(ends(Span::Steps(5)), [5, 10]);
        assert!(Span::Epochs(2).is_complete(6, 2) && !Span::Epochs(2).is_complete(5, 1));
        assert!(Span::Steps(0).is_complete(0, 0) && !Span::Steps(5).is_complete(4, 9));
    }
}
