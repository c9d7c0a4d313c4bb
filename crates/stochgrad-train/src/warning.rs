//! What a run warns of.

/// What a [`Warning`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// The gradient at a node consists of noise.
    WeakSignal,
    /// A cost stays below a limit of the program; see [`Trainer::warn_below`](crate::Trainer::warn_below).
    SmallCost,
    /// What a gradient method learns has not settled.
    Unsettled,
}

impl WarningKind {
    pub(crate) const ALL: [Self; 3] = [Self::WeakSignal, Self::SmallCost, Self::Unsettled];

    /// The title of the section of `docs/troubleshooting.md` that says what to do.
    pub fn section(self) -> &'static str {
        match self {
            Self::WeakSignal => "High variance",
            Self::SmallCost => "Posterior collapse",
            Self::Unsettled => "A baseline that has not settled",
        }
    }
}

/// A sign that a run does not do what it should. A run has each at most once, in its
/// [report](crate::Report::warnings), and passes it to its [observers](crate::Observer::warning).
///
/// ```
/// use stochgrad_nn::{Parameters, Record, Sgd};
/// use stochgrad_tensor::Tensor;
/// use stochgrad_train::source::Tensors;
/// use stochgrad_train::{Trainer, WarningKind};
///
/// let data = Tensors::new().with("x", [1.0, 2.0])?;
/// let mut parameters = Parameters::<f64>::new();
/// parameters.insert("mean", Tensor::scalar(1.0))?;
/// let report = Trainer::new(Sgd::new(0.1))
///     .steps(20)
///     .quiet()
///     .warn_below("divergence", 0.1, 10)
///     .fit(&mut parameters, &data, |record: &Record<'_, '_, f64>| {
///         record.cost("error", (record.param("mean")? - record.input("x")?).square())?;
///         record.cost("divergence", record.constant(0.0))
///     })?;
/// let warning = &report.warnings[0];
/// assert_eq!((warning.kind, warning.subject.as_str(), warning.step), (WarningKind::SmallCost, "divergence", 10));
/// println!("{warning}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    /// The name of the node or of the cost.
    pub subject: String,
    /// The number of completed steps.
    pub step: u64,
    /// The number of steps over which it was measured.
    pub steps: u64,
    /// What was measured.
    pub value: f64,
    /// The limit that it should keep.
    pub limit: f64,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Warning { kind, subject, step, steps, value, limit } = self;
        write!(f, "step {step}: ")?;
        match kind {
            WarningKind::WeakSignal => write!(
                f,
                "the gradient at node \"{subject}\" had a signal-to-noise ratio of {value:.2} over {steps} steps, below \
                 {limit}; unless the run has converged, reduce the variance"
            ),
            WarningKind::SmallCost => write!(
                f,
                "the cost \"{subject}\" was {value:.3e} on average over {steps} steps, below {limit}; if it is a \
                 divergence, the posterior may have collapsed"
            ),
            WarningKind::Unsettled => write!(
                f,
                "what the gradient method of node \"{subject}\" learns, such as a baseline, has moved in one direction \
                 for {steps} steps in which the costs have not changed: {value:.1} times as far as by chance, which is \
                 more than {limit}"
            ),
        }?;
        write!(f, "; see \"{}\" in docs/troubleshooting.md", kind.section())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_names_a_section_that_exists() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/troubleshooting.md");
        let page = std::fs::read_to_string(path).unwrap();
        for kind in WarningKind::ALL {
            assert!(page.lines().any(|line| line == format!("## {}", kind.section())), "{kind:?}");
        }
    }

    #[test]
    fn a_warning_says_what_was_measured_and_where_to_read() {
        let warning = Warning {
            kind: WarningKind::WeakSignal,
            subject: "z".into(),
            step: 800,
            steps: 400,
            value: 0.031,
            limit: 0.1,
        };
        assert_eq!(
            warning.to_string(),
            "step 800: the gradient at node \"z\" had a signal-to-noise ratio of 0.03 over 400 steps, below 0.1; unless \
             the run has converged, reduce the variance; see \"High variance\" in docs/troubleshooting.md"
        );
        let warning = Warning { kind: WarningKind::SmallCost, subject: "kl".into(), value: 1.5e-3, ..warning };
        let expected = "the cost \"kl\" was 1.500e-3 on average over 400 steps, below 0.1; if it is a divergence, the \
                        posterior may have collapsed; see \"Posterior collapse\" in docs/troubleshooting.md";
        assert_eq!(warning.to_string(), format!("step 800: {expected}"));
    }
}
